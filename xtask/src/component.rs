//! Reading a WebAssembly component: what it imports and exports, what is large in it, and the same component without its names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use wasmparser::{BinaryReader, Encoding, KnownCustom, Name, Parser, Payload};

/// The component without its custom sections, also those of the modules and components inside it, except those that `keep` names.
/// Nothing that runs is changed.
pub(crate) fn strip(wasm: &[u8], keep: fn(&str) -> bool) -> Result<Vec<u8>> {
    let header =
        wasm.get(..HEADER).filter(|header| header.starts_with(b"\0asm")).context("this is no WebAssembly file")?;
    let is_component = Parser::is_component(header);
    let mut stripped = header.to_vec();
    let mut reader = BinaryReader::new(&wasm[HEADER..], HEADER as u64);
    while !reader.eof() {
        let id = reader.read_u8()?;
        let size = reader.read_var_u32()? as usize;
        let content = reader.read_bytes(size)?;
        if id == CUSTOM_SECTION {
            let name = BinaryReader::new(content, 0).read_string()?;
            if keep(name) {
                append_section(&mut stripped, id, content);
            }
        } else if is_component && (id == CORE_MODULE_SECTION || id == COMPONENT_SECTION) {
            append_section(&mut stripped, id, &strip(content, keep)?);
        } else {
            append_section(&mut stripped, id, content);
        }
    }
    Ok(stripped)
}

/// What a component imports and exports, by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Interface {
    /// The names of the imports, such as `wasi:io/streams@0.2.6`.
    pub(crate) imports: BTreeSet<String>,
    /// The names of the exports.
    pub(crate) exports: BTreeSet<String>,
}

/// Reads a component's imports and exports.
pub(crate) fn interface(wasm: &[u8]) -> Result<Interface> {
    ensure!(Parser::is_component(wasm), "this is no WebAssembly component");
    let mut interface = Interface::default();
    // Components and modules inside the component have imports of their own; they are not what the host sees.
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    interface.imports.insert(import?.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    interface.exports.insert(export?.name.name.to_string());
                }
            }
            _ => {}
        }
    }
    Ok(interface)
}

/// Something in a component that takes bytes.
#[derive(Debug, PartialEq)]
pub(crate) struct Item {
    /// A function's name as people write it, or a data segment's in brackets.
    pub(crate) name: String,
    /// The crate that it belongs to, or a word in brackets for what belongs to none.
    pub(crate) origin: String,
    /// How many bytes of the file it is.
    pub(crate) bytes: usize,
}

/// The functions and the data segments of all modules in a component that still has its names, the largest first.
pub(crate) fn items(wasm: &[u8]) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let mut module: Option<Module> = None;
    for payload in Parser::new(0).parse_all(wasm) {
        match (payload?, &mut module) {
            (Payload::Version { encoding: Encoding::Module, .. }, module) => *module = Some(Module::default()),
            (Payload::End(_), module) => items.extend(module.take().map(Module::into_items).into_iter().flatten()),
            (Payload::ImportSection(section), Some(module)) => {
                for import in section.into_imports() {
                    let is_function =
                        matches!(import?.ty, wasmparser::TypeRef::Func(_) | wasmparser::TypeRef::FuncExact(_));
                    module.imported_functions += u32::from(is_function);
                }
            }
            (Payload::CodeSectionEntry(body), Some(module)) => module.functions.push(body.as_bytes().len()),
            (Payload::DataSection(section), Some(module)) => {
                for segment in section {
                    module.segments.push(segment?.data.len());
                }
            }
            (Payload::CustomSection(section), Some(module)) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    for names in names {
                        match names? {
                            Name::Function(map) => read_names(map, &mut module.function_names)?,
                            Name::Data(map) => read_names(map, &mut module.segment_names)?,
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
    }
    items.sort_by(|one, other| other.bytes.cmp(&one.bytes).then_with(|| one.name.cmp(&other.name)));
    Ok(items)
}

/// The bytes of each crate, the largest first.
pub(crate) fn by_origin(items: &[Item]) -> Vec<(&str, usize)> {
    let mut sums = BTreeMap::new();
    for item in items {
        *sums.entry(item.origin.as_str()).or_insert(0) += item.bytes;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    sums
}

/// What is read of one core module.
#[derive(Default)]
struct Module {
    imported_functions: u32,
    functions: Vec<usize>,
    function_names: HashMap<u32, String>,
    segments: Vec<usize>,
    segment_names: HashMap<u32, String>,
}

impl Module {
    fn into_items(self) -> Vec<Item> {
        let functions = self.functions.iter().zip(self.imported_functions..).map(|(&bytes, index)| {
            let name =
                self.function_names.get(&index).map_or_else(|| format!("function {index}"), |name| demangle(name));
            Item { origin: origin(&name), name, bytes }
        });
        let segments = self.segments.iter().zip(0..).map(|(&bytes, index)| {
            let name = self.segment_names.get(&index).map_or_else(|| index.to_string(), String::clone);
            Item { name: format!("[data {name}]"), origin: "[data]".to_string(), bytes }
        });
        functions.chain(segments).collect()
    }
}

fn read_names(map: wasmparser::NameMap<'_>, names: &mut HashMap<u32, String>) -> Result<()> {
    for naming in map {
        let naming = naming?;
        names.insert(naming.index, naming.name.to_string());
    }
    Ok(())
}

fn demangle(name: &str) -> String {
    // Without the hash at the end.
    format!("{:#}", rustc_demangle::demangle(name))
}

/// The crate that a demangled name belongs to: that of the function, or of the type whose method or trait it is.
fn origin(name: &str) -> String {
    if name.contains('#') || name.starts_with("cabi_") {
        return "[exports]".to_string();
    }
    if !name.contains("::") {
        return "[C library, start-up]".to_string();
    }
    // `<&mut [alloc::vec::Vec<u8>] as core::fmt::Debug>::fmt` is alloc's.
    let mut rest = name;
    loop {
        let start = rest.trim_start_matches(['<', '&', '*', '[', '(', ' ']);
        let start = ["mut ", "const ", "dyn "].iter().fold(start, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        if start == rest {
            break;
        }
        rest = start;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if rest[end..].starts_with("::") {
        return rest[..end].to_string();
    }
    // `<u8 as core::fmt::Debug>::fmt`: a type of the language's own, so the trait's crate.
    rest.split_once(" as ").map_or_else(|| "core".to_string(), |(_, rest)| origin(rest))
}

fn append_section(to: &mut Vec<u8>, id: u8, content: &[u8]) {
    to.push(id);
    let mut size = content.len();
    while size >= 0x80 {
        to.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    to.push(size as u8);
    to.extend_from_slice(content);
}

/// The magic number and the version.
const HEADER: usize = 8;

const CUSTOM_SECTION: u8 = 0;

/// In a component only.
const CORE_MODULE_SECTION: u8 = 1;

/// In a component only.
const COMPONENT_SECTION: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_component_is_valid_and_has_no_names() -> Result<()> {
        let component = component();
        let stripped = strip(&component, |_| false)?;
        wasmparser::Validator::new().validate_all(&component)?;
        wasmparser::Validator::new().validate_all(&stripped)?;
        let text = String::from_utf8_lossy(&stripped).into_owned();
        assert!(!text.contains("name") && !text.contains("producers"), "{text:?}");
        assert_eq!(interface(&stripped)?, interface(&component)?);
        let sizes =
            |wasm: &[u8]| Ok::<_, anyhow::Error>(items(wasm)?.iter().map(|item| item.bytes).collect::<Vec<_>>());
        assert_eq!(sizes(&stripped)?, sizes(&component)?);
        assert_eq!(strip(&stripped, |_| false)?, stripped);
        Ok(())
    }

    #[test]
    fn what_is_to_be_kept_stays() -> Result<()> {
        let component = component();
        assert_eq!(strip(&component, |_| true)?, component);
        assert_eq!(items(&strip(&component, |name| name == "name")?)?, items(&component)?);
        Ok(())
    }

    #[test]
    fn items_have_names_and_sizes() -> Result<()> {
        let items = items(&component())?;
        let large = Item { name: "rustls::large".to_string(), origin: "rustls".to_string(), bytes: 5 };
        let small = Item { name: "function 1".to_string(), origin: "[C library, start-up]".to_string(), bytes: 2 };
        assert_eq!(items, [large, small]);
        assert_eq!(by_origin(&items), [("rustls", 5), ("[C library, start-up]", 2)]);
        Ok(())
    }

    #[test]
    fn imports_and_exports_are_those_of_the_outermost() -> Result<()> {
        let interface = interface(&component())?;
        assert_eq!(interface.imports, BTreeSet::from(["wasi:io/poll@0.2.0".to_string()]));
        assert_eq!(interface.exports, BTreeSet::from(["a".to_string()]));
        assert!(super::interface(&module()).is_err());
        Ok(())
    }

    #[test]
    fn a_broken_file_is_an_error() {
        assert!(strip(b"", |_| false).is_err());
        assert!(strip(b"\x7fELF 12345678", |_| false).is_err());
        let component = component();
        assert!(strip(&component[..component.len() - 1], |_| false).is_err());
    }

    #[test]
    fn a_size_of_several_bytes_is_written_right() -> Result<()> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        let mut custom = vec![1, b'x'];
        custom.resize(70_000, 7);
        append_section(&mut wasm, CUSTOM_SECTION, &custom);
        wasmparser::Validator::new().validate_all(&wasm)?;
        assert_eq!(strip(&wasm, |name| name == "x")?, wasm);
        assert_eq!(strip(&wasm, |_| false)?.len(), HEADER);
        Ok(())
    }

    #[test]
    fn names_belong_to_crates() {
        for (name, expected) in [
            ("rustls::client::handy::f", "rustls"),
            ("<rustls::Error as core::fmt::Debug>::fmt", "rustls"),
            ("<&mut [alloc::vec::Vec<u8>] as core::fmt::Debug>::fmt", "alloc"),
            ("<u8 as core::fmt::Debug>::fmt", "core"),
            ("<(dyn core::any::Any + 'static)>::type_id", "core"),
            ("core::ptr::drop_in_place::<rustls::Error>", "core"),
            ("memcpy", "[C library, start-up]"),
            ("guest:tls/socket@0.1.0#[method]socket.read", "[exports]"),
            ("cabi_realloc", "[exports]"),
        ] {
            assert_eq!(origin(name), expected, "{name}");
        }
        assert_eq!(demangle("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"), "core::fmt::Formatter::pad");
    }

    /// A component that imports an (empty) instance and exports it again, with a module inside and custom sections everywhere.
    fn component() -> Vec<u8> {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        // A type: an instance with nothing in it.
        append_section(&mut wasm, 7, b"\x01\x42\x00");
        let name = b"wasi:io/poll@0.2.0";
        let import = [&[1, 0, name.len() as u8], &name[..], &[5, 0]].concat();
        append_section(&mut wasm, 10, &import);
        append_section(&mut wasm, CORE_MODULE_SECTION, &module());
        append_section(&mut wasm, 11, b"\x01\x00\x01a\x05\x00\x00");
        append_section(&mut wasm, CUSTOM_SECTION, b"\x0ecomponent-name");
        append_section(&mut wasm, CUSTOM_SECTION, b"\x09producers\x00");
        wasm
    }

    /// A module of two functions, of which one has a name.
    fn module() -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        append_section(&mut wasm, 1, b"\x01\x60\x00\x00");
        append_section(&mut wasm, 3, b"\x02\x00\x00");
        append_section(&mut wasm, 10, b"\x02\x05\x00\x01\x01\x01\x0b\x02\x00\x0b");
        let function_names = b"\x01\x00\x0drustls::large";
        let names = [&b"\x04name\x01"[..], &[function_names.len() as u8], function_names].concat();
        append_section(&mut wasm, CUSTOM_SECTION, &names);
        wasm
    }
}
