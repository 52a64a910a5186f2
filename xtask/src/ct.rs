//! `cargo xtask ct`: constant time, measured.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

use crate::{
    build, guest,
    project::{Project, write_if_changed},
    step::Step,
    wasm_std::WasmStd,
};

/// Measures in wasmtime whether operations take the same time for all secrets: dudect's test (two classes of inputs, Welch's t).
///
/// Prints t for each operation; |t| below 5 is expected. Twins of operations that leak on purpose are always measured too, and it is an
/// error if the test does not find them. docs/constant-time.md says what a result shows and what it does not.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these operations; default: all
    operations: Vec<String>,
    /// How many measurements of each operation, a million in the full form; default: as many as ten seconds allow
    #[arg(long, value_parser = clap::value_parser!(u64).range(10_000..))]
    measurements: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let guest = guest(project, &WasmStd::ensure(project)?)?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "host-tests", "--bin", HOST]);
    Step::new("build: the program that measures", cargo).run()?;
    let mut command = Command::new(project.target.join("debug").join(HOST));
    command.env("CARGO_TARGET_DIR", &project.target).arg(guest);
    if let Some(measurements) = arguments.measurements {
        command.args(["--measurements", &measurements.to_string()]);
    }
    command.args(&arguments.operations);
    let status = Step::new("ct", command).stream(&mut |_| {})?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the guest, by the profile of the product, and gives its path.
pub(crate) fn guest(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    let workspace = project.root.join("host-tests/ct");
    let read = |folder: &Path| {
        let path = folder.join("Cargo.lock");
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let others = other_versions(&read(&project.root)?, &read(&workspace)?);
    ensure!(others.is_empty(), "host-tests/ct/Cargo.lock has other versions than the product: {}", others.join(", "));
    let built = guest::build(project, wasm_std, &workspace, "guest-tls-ct", build::PROFILE)?;
    let wasm = fs::read(&built.path).with_context(|| format!("can't read {}", built.path.display()))?;
    let path = project.component().with_file_name("ct.wasm");
    write_if_changed(&path, &wasm)?;
    Ok(path)
}

/// The crates of the guest that the product has too, but in other versions: what is measured must be what is shipped.
fn other_versions(product: &str, guest: &str) -> Vec<String> {
    let product: BTreeSet<_> = packages(product).collect();
    let is_other = |&(name, version): &(&str, &str)| {
        product.iter().any(|known| known.0 == name) && !product.contains(&(name, version))
    };
    packages(guest).filter(is_other).map(|(name, version)| format!("{name} {version}")).collect()
}

/// The names and versions in a `Cargo.lock`.
fn packages(lock: &str) -> impl Iterator<Item = (&str, &str)> {
    lock.split("[[package]]").skip(1).filter_map(|package| {
        let field = |name: &str| package.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix('"'));
        Some((field("name = \"")?, field("version = \"")?))
    })
}

/// The program of host-tests that measures.
const HOST: &str = "ct";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_named() {
        let lock = |packages: &[(&str, &str)]| {
            let package = |(name, version): &(&str, &str)| {
                format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [\n \"sha2\",\n]\n\n")
            };
            format!("version = 4\n\n{}", packages.iter().map(package).collect::<String>())
        };
        let product = lock(&[("aes", "0.9.1"), ("sha2", "0.10.9"), ("sha2", "0.11.0")]);
        assert_eq!(other_versions(&product, &lock(&[("sha2", "0.10.9"), ("ct", "0.0.0")])), Vec::<String>::new());
        assert_eq!(other_versions(&product, &lock(&[("sha2", "0.11.1"), ("aes", "0.9.1")])), ["sha2 0.11.1"]);
    }
}
