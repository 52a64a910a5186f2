//! `cargo xtask wit`: the contract.

use std::{collections::BTreeSet, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail};
use wit_component::WitPrinter;
use wit_parser::{PackageId, Resolve, WorldId, WorldKey, decoding};

use crate::{
    component::{Interface, interface},
    project::{Project, write_if_changed},
};

/// Checks that wit/ parses and its worlds resolve, and that the component, if it is built, keeps to the world `tls` and is what
/// docs/guest-tls.wit says.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Make docs/guest-tls.wit anew, from the built component
    #[arg(long)]
    write: bool,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    if arguments.write {
        let changed =
            write_if_changed(&project.root.join(DOCUMENT), document(&read(&project.component())?)?.as_bytes())?;
        println!("{DOCUMENT}: {}", if changed { "written" } else { "as it was" });
    }
    println!("{}", check(project)?);
    Ok(ExitCode::SUCCESS)
}

/// Checks the contract: what was found to be right, as a line for people.
pub(crate) fn check(project: &Project) -> Result<String> {
    check_of(project, &project.component())
}

/// As [`check`], of the component at this path.
pub(crate) fn check_of(project: &Project, component: &Path) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_dir(project.root.join("wit")).map_err(|error| anyhow::anyhow!("wit/ is wrong\n{error:#}"))?;
    // The same check as wasm-tools': every world's imports and exports, with all that they use.
    resolve.assert_valid();
    let name = resolve.packages[package].name.to_string();
    let worlds: Vec<_> = resolve.packages[package].worlds.keys().cloned().collect();
    let world = world(&resolve, package, WORLD)?;
    let right = format!("wit: {name} is right, world {}", worlds.join(", "));

    if !component.is_file() {
        return Ok(format!("{right}; the component is not built"));
    }
    let wasm = read(component)?;
    let mut wrong = Vec::new();
    let differences = differences(&world, &interface(&wasm)?);
    if !differences.is_empty() {
        wrong.push(format!("the component doesn't keep to the world `{WORLD}`: {}", differences.join("; ")));
    }
    let checked_in = fs::read_to_string(project.root.join(DOCUMENT)).unwrap_or_default();
    if let Some(change) = change(&checked_in, &document(&wasm)?) {
        wrong.push(format!(
            "{DOCUMENT} is not what the component says, {change}: if that is meant, run `cargo xtask wit --write`, and commit"
        ));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(format!("{right}; the component keeps to it, and to {DOCUMENT}"))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}: run `cargo xtask build`", path.display()))
}

/// A component's world as text: what `wasm-tools component wit` prints.
fn document(wasm: &[u8]) -> Result<String> {
    let decoded = decoding::decode(wasm).context("the component's types can't be read")?;
    let resolve = decoded.resolve();
    let main = decoded.package();
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != main).collect();
    let mut printer = WitPrinter::default();
    printer.print(resolve, main, &others)?;
    Ok(printer.output.to_string())
}

/// Where a text begins to be another one.
fn change(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let at = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    let line = |text: &str| text.lines().nth(at).map_or("the end".to_string(), |line| format!("`{}`", line.trim()));
    Some(format!("from line {} on: {} there, {} in the component", at + 1, line(old), line(new)))
}

/// The names of what a world imports and exports.
fn world(resolve: &Resolve, package: PackageId, name: &str) -> Result<Interface> {
    let id: WorldId =
        *resolve.packages[package].worlds.get(name).with_context(|| format!("wit/ has no world `{name}`"))?;
    let world = &resolve.worlds[id];
    let names = |keys: &mut dyn Iterator<Item = &WorldKey>| {
        keys.map(|key| resolve.name_world_key(key)).collect::<BTreeSet<_>>()
    };
    Ok(Interface { imports: names(&mut world.imports.keys()), exports: names(&mut world.exports.keys()) })
}

/// Where a component differs from its world. It may import less, and of the packages that the world imports from also other
/// interfaces (Rust's standard library takes the seed of its hash tables from `wasi:random/insecure-seed`) and other versions.
fn differences(world: &Interface, component: &Interface) -> Vec<String> {
    let mut differences = Vec::new();
    let lacking = world.exports.difference(&component.exports).map(|name| format!("it doesn't export {name}"));
    let surplus = component.exports.difference(&world.exports).map(|name| format!("it exports {name}"));
    differences.extend(lacking.chain(surplus));
    let promised: BTreeSet<_> = world.imports.iter().map(|name| package_of(name)).collect();
    let strange = component.imports.iter().filter(|name| !promised.contains(package_of(name)));
    differences.extend(strange.map(|name| format!("it imports {name}")));
    differences
}

/// `wasi:io` of `wasi:io/poll@0.2.12`.
fn package_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(package, _)| package)
}

/// The component's world as text, checked in so that a change is seen.
const DOCUMENT: &str = "docs/guest-tls.wit";

/// The world of the component.
const WORLD: &str = "tls";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_may_import_less_and_export_neither_more_nor_less() {
        let world = of(&["wasi:io/poll@0.2.12", "wasi:io/streams@0.2.12"], &["guest:tls/socket@0.1.0"]);
        let good = of(&["wasi:io/poll@0.2.6", "wasi:io/error@0.2.6"], &["guest:tls/socket@0.1.0"]);
        assert!(differences(&world, &good).is_empty());
        let bad = of(&["wasi:cli/exit@0.2.6"], &["guest:tls/server@0.1.0"]);
        let expected = [
            "it doesn't export guest:tls/socket@0.1.0",
            "it exports guest:tls/server@0.1.0",
            "it imports wasi:cli/exit@0.2.6",
        ];
        assert_eq!(differences(&world, &bad), expected);
    }

    #[test]
    fn a_worlds_names_are_those_of_a_component() -> Result<()> {
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str("test.wit", "package a:b@1.2.3; interface i { f: func(); } world tls { import i; export i; }")?;
        assert_eq!(world(&resolve, package, "tls")?, of(&["a:b/i@1.2.3"], &["a:b/i@1.2.3"]));
        assert!(world(&resolve, package, "other").is_err());
        Ok(())
    }

    #[test]
    fn a_change_is_told_by_its_line() {
        assert_eq!(change("a\nb\n", "a\nb\n"), None);
        let told = change("a\n  b\n", "a\n  c\n");
        assert_eq!(told.as_deref(), Some("from line 2 on: `b` there, `c` in the component"));
        let told = change("", "a\n");
        assert_eq!(told.as_deref(), Some("from line 1 on: the end there, `a` in the component"));
        assert!(change("a\n", "a").is_some());
    }

    #[test]
    fn a_file_that_is_no_component_has_no_document() {
        assert!(document(b"no wasm").is_err());
    }

    fn of(imports: &[&str], exports: &[&str]) -> Interface {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Interface { imports: set(imports), exports: set(exports) }
    }
}
