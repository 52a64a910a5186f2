//! `cargo xtask p3`: the component for programs of WASI 0.3.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};

use crate::{
    build::{self, grouped},
    component::{self, Interface},
    compose, guest,
    project::{Project, write_if_changed},
    wasm_std::WasmStd,
};

/// Builds the component for programs of WASI 0.3, target/components/guest-tls-p3.wasm, and prints its size, imports and exports.
///
/// Beside it are guest-tls-p3.config.wasm, the same with its configuration (`wasi:config/store`) still to be given, and the program of
/// examples/wasi-tls, wasi-tls.socket.wasm, which is composed with both: wasi-tls.wasm and wasi-tls.config.wasm. It is an error if the component is too large, or its
/// imports or exports are not those of its world.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Runs the command.
pub(crate) fn run(project: &Project, _: &Arguments) -> Result<ExitCode> {
    let wasm_std = WasmStd::ensure(project)?;
    let built = component(project, &wasm_std, &project.components())?;
    print!("{}", built.report());
    programs(project, &wasm_std)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the component and all programs that are tested with it.
pub(crate) fn everything(project: &Project, wasm_std: &WasmStd) -> Result<()> {
    product_in(project, wasm_std, &project.components())?;
    programs(project, wasm_std)
}

/// Builds the component alone, and writes it to the folder `place`.
pub(crate) fn product_in(project: &Project, wasm_std: &WasmStd, place: &Path) -> Result<()> {
    println!("{}", component(project, wasm_std, place)?.summary());
    Ok(())
}

/// Builds the programs. The component has to be there.
fn programs(project: &Project, wasm_std: &WasmStd) -> Result<()> {
    program(project, wasm_std, "examples/wasi-tls", "wasi-tls-client", "wasi-tls")?;
    program(project, wasm_std, "host-tests/p3", "p3-tests", "p3-tests")
}

/// The built component.
struct Built {
    path: PathBuf,
    size: usize,
    interface: Interface,
}

impl Built {
    fn summary(&self) -> String {
        format!("p3: {}, {} bytes", self.path.display(), grouped(self.size))
    }

    fn report(&self) -> String {
        let mut report = format!("{}\n", self.summary());
        for (title, names) in [("imports", &self.interface.imports), ("exports", &self.interface.exports)] {
            report += &format!("\n{title}\n");
            for name in names {
                report += &format!("  {name}\n");
            }
        }
        report
    }
}

/// Builds the component in both forms, and checks the promises about size, imports and exports.
fn component(project: &Project, wasm_std: &WasmStd, place: &Path) -> Result<Built> {
    let output = guest::build(project, wasm_std, &project.root, "guest-tls-p3", build::PROFILE)?.path;
    let wasm = fs::read(&output).with_context(|| format!("can't read {}", output.display()))?;
    let path = place.join("guest-tls-p3.wasm");
    let open = path.with_extension("config.wasm");
    write_if_changed(
        &path.with_extension("names.wasm"),
        &component::strip(&wasm, |name| !name.starts_with(".debug_"))?,
    )?;
    write_if_changed(&open, &component::strip(&wasm, |_| false)?)?;
    let none = path.with_file_name("config.none.wasm");
    compose::no_config(project, &none)?;
    compose::plug(project, &open, &none, &path)?;

    let shipped = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    let open = component::interface(&fs::read(&open)?)?;
    let built = Built { size: shipped.len(), interface: component::interface(&shipped)?, path };
    check(&built.interface, IMPORTS)?;
    check(&open, &[IMPORTS, &[CONFIG]].concat())?;
    let (size, limit) = (grouped(built.size), grouped(TOO_LARGE));
    ensure!(built.size < TOO_LARGE, "{} is too large: {size} bytes, and has to be below {limit}", built.path.display());
    Ok(built)
}

/// Checks that a component exports exactly what it should, and imports nothing else than these.
fn check(interface: &Interface, imports: &[&str]) -> Result<()> {
    let wanted: BTreeSet<_> = EXPORTS.iter().map(ToString::to_string).collect();
    ensure!(interface.exports == wanted, "guest-tls-p3 exports {:?}, and should export {wanted:?}", interface.exports);
    let strange: Vec<_> = interface.imports.iter().filter(|name| !imports.contains(&name.as_str())).collect();
    ensure!(strange.is_empty(), "guest-tls-p3 imports {strange:?}, and may import only {imports:?}");
    Ok(())
}

/// Builds the program of `package`, a cdylib, and composes both forms of the component into it.
fn program(project: &Project, wasm_std: &WasmStd, workspace: &str, package: &str, name: &str) -> Result<()> {
    let built = guest::build(project, wasm_std, &project.root.join(workspace), package, build::PROFILE)?;
    let file = |name: String| project.component().with_file_name(name);
    let socket = compose::socket(project, &built, name)?;
    compose::plug(project, &socket, &file("guest-tls-p3.wasm".into()), &file(format!("{name}.wasm")))?;
    compose::plug(project, &socket, &file("guest-tls-p3.config.wasm".into()), &file(format!("{name}.config.wasm")))
}

/// In bytes.
const TOO_LARGE: usize = 2_200_000;

/// All that the component may import.
const IMPORTS: &[&str] = &[
    "wasi:clocks/monotonic-clock@0.2.12",
    "wasi:clocks/monotonic-clock@0.3.0",
    "wasi:clocks/wall-clock@0.2.12",
    "wasi:random/insecure-seed@0.2.12",
    "wasi:random/random@0.2.12",
];

/// What it imports too where its configuration is still to be given.
const CONFIG: &str = "wasi:config/store@0.2.0-rc.1";

const EXPORTS: &[&str] = &[
    "guest:tls/certificate@0.1.0",
    "guest:tls/client@0.3.0-draft",
    "guest:tls/connection@0.3.0-draft",
    "guest:tls/secure-context@0.1.0",
    "guest:tls/secure-pair@0.1.0",
    "guest:tls/server@0.3.0-draft",
    "guest:tls/types@0.1.0",
    "wasi:tls/client@0.3.0-draft",
    "wasi:tls/types@0.3.0-draft",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_exact_and_imports_at_most_those() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let of = |imports: &[&str], exports: &[&str]| Interface { imports: set(imports), exports: set(exports) };
        assert!(check(&of(&IMPORTS[..1], EXPORTS), IMPORTS).is_ok());
        assert!(check(&of(&[CONFIG], EXPORTS), IMPORTS).is_err());
        assert!(check(&of(&[], &EXPORTS[1..]), IMPORTS).is_err());
    }
}
