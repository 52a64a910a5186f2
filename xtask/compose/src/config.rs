//! `compose config OUTPUT [KEY=FILE]...`: a component that is a configuration. It exports `wasi:config/store@0.2.0-rc.1` with what stands in the
//! files, and imports nothing.
//!
//! Plugged into a component that imports that interface, it settles the component's configuration for good: no host can change it or has
//! to have it. Without values it settles that there is none.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, ensure};

/// The component of these arguments, each `KEY=FILE`.
pub(crate) fn of_arguments(arguments: &[String]) -> Result<Vec<u8>> {
    let value = |argument: &String| {
        let (key, path) = argument.split_once('=').with_context(|| format!("{argument:?} is not KEY=FILE"))?;
        let value = fs::read_to_string(path).with_context(|| format!("can't read {path} as text"))?;
        Ok((key.to_string(), value))
    };
    component(&arguments.iter().map(value).collect::<Result<Vec<_>>>()?)
}

/// The component of these keys and values.
fn component(values: &[(String, String)]) -> Result<Vec<u8>> {
    let mut memory = Memory::default();
    // Looked up one after the other, so the first of a key counts.
    let mut lookup = String::new();
    let mut all = Vec::new();
    for (key, value) in values {
        let (key, value) = (memory.place(key), memory.place(value));
        writeln!(
            lookup,
            "(if (call $same (local.get $at) (local.get $length) {key}) (then (return (call $found {value}))))"
        )?;
        for number in [key.at, key.length, value.at, value.length] {
            all.extend(number.to_le_bytes());
        }
    }
    let list = memory.place_bytes(&all);
    let count = values.len();
    let pages = memory.bytes.len() / PAGE + 2;
    ensure!(pages < 1 << 14, "the values are too long for one component: {} bytes", memory.bytes.len());
    // What a function gives lies in front; what it is given behind the values, where the last page is free, and is forgotten.
    let free = (pages - 1) * PAGE;
    let data: String = memory.bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(component
  (core module $module
    (memory (export "memory") {pages})
    (data (i32.const 0) "{data}")
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (if (i32.gt_u (local.get $size) (i32.const {PAGE})) (then (unreachable)))
      (i32.const {free}))
    (func $same (param $at i32) (param $length i32) (param $other i32) (param $other-length i32) (result i32)
      (if (i32.ne (local.get $length) (local.get $other-length)) (then (return (i32.const 0))))
      (loop $next
        (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br_if $next (i32.eq
          (i32.load8_u (i32.add (local.get $at) (local.get $length)))
          (i32.load8_u (i32.add (local.get $other) (local.get $length))))))
      (i32.const 0))
    (func $found (param $at i32) (param $length i32) (result i32)
      (i32.store (i32.const 4) (i32.const 1))
      (i32.store (i32.const 8) (local.get $at))
      (i32.store (i32.const 12) (local.get $length))
      (i32.const 0))
    (func (export "get") (param $at i32) (param $length i32) (result i32)
      {lookup}
      (i32.store (i32.const 4) (i32.const 0))
      (i32.const 0))
    (func (export "get-all") (result i32)
      (i32.store (i32.const 4) (i32.const {list_at}))
      (i32.store (i32.const 8) (i32.const {count}))
      (i32.const 0)))
  (core instance $core (instantiate $module))
  (type $error (variant (case "upstream" string) (case "io" string)))
  (func $get (param "key" string) (result (result (option string) (error $error)))
    (canon lift (core func $core "get") (memory (core memory $core "memory")) (realloc (core func $core "realloc"))))
  (func $get-all (result (result (list (tuple string string)) (error $error)))
    (canon lift (core func $core "get-all") (memory (core memory $core "memory"))))
  (component $interface
    (type $error (variant (case "upstream" string) (case "io" string)))
    (import "error" (type $named (eq $error)))
    (import "get" (func $get (param "key" string) (result (result (option string) (error $named)))))
    (import "get-all" (func $get-all (result (result (list (tuple string string)) (error $named)))))
    (export $exported "error" (type $named))
    (export "get" (func $get) (func (param "key" string) (result (result (option string) (error $exported)))))
    (export "get-all" (func $get-all) (func (result (result (list (tuple string string)) (error $exported))))))
  (instance $store (instantiate $interface
    (with "error" (type $error)) (with "get" (func $get)) (with "get-all" (func $get-all))))
  (export "{INTERFACE}" (instance $store)))"#,
        list_at = list.at,
    );
    wat::parse_str(text).context("the component of the configuration")
}

/// What lies in the component's memory.
struct Memory {
    bytes: Vec<u8>,
}

/// Where something lies, as operands of WebAssembly.
struct Place {
    at: u32,
    length: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Self { bytes: vec![0; RESULT] }
    }
}

impl Memory {
    fn place(&mut self, text: &str) -> Place {
        self.place_bytes(text.as_bytes())
    }

    fn place_bytes(&mut self, bytes: &[u8]) -> Place {
        let at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(at, 0);
        self.bytes.extend(bytes);
        // What is longer than a memory can be is refused later.
        Place { at: u32::try_from(at).unwrap_or(u32::MAX), length: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(i32.const {}) (i32.const {})", self.at, self.length)
    }
}

const INTERFACE: &str = "wasi:config/store@0.2.0-rc.1";

/// In bytes.
const PAGE: usize = 64 * 1024;

/// How many bytes a result takes.
const RESULT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_component_whatever_the_values() -> Result<()> {
        for values in [
            vec![],
            vec![("tls.ca".to_string(), "\"quoted\\\" and 日本".to_string())],
            vec![("a".to_string(), String::new()), ("b".to_string(), "x".repeat(3 * PAGE))],
        ] {
            // wat checks the form, wac-graph that it is a component that can be plugged.
            let component = component(&values)?;
            let mut graph = wac_graph::CompositionGraph::new();
            let package = wac_graph::types::Package::from_bytes("config", None, component, graph.types_mut())?;
            let package = graph.register_package(package)?;
            let world = &graph.types()[graph[package].ty()];
            assert!(world.imports.is_empty());
            assert_eq!(world.exports.keys().collect::<Vec<_>>(), [INTERFACE]);
        }
        Ok(())
    }

    #[test]
    fn an_argument_has_a_key_and_a_file() {
        let told = |argument: &str| of_arguments(&[argument.to_string()]).map_err(|error| error.to_string());
        assert_eq!(told("tls.ca"), Err("\"tls.ca\" is not KEY=FILE".to_string()));
        assert_eq!(told("tls.ca=/nowhere"), Err("can't read /nowhere as text".to_string()));
    }
}
