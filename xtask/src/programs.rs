//! `cargo xtask programs`: the library in programs for WebAssembly of others.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    build, cli, guest,
    project::{Project, write_if_changed},
    step::Step,
    wasm_std::WasmStd,
};

/// Builds a ureq program and a hyper program with the provider of guest-tls, without flags, and measures them beside the component.
///
/// All get the same page from `openssl s_server`, in the same wasmtime. The table has their megabytes a second of processor time, and the
/// ratio to `guest-tls connect`, into which the component is composed. They take turns, and the best of each counts.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each is measured
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let wasm_std = build::step(project)?;
    cli::compiled(project, &wasm_std)?;
    compiled(project, &wasm_std)?;
    let mut cargo = project.cargo();
    cargo.args(["run", "--package", "host-tests", "--bin", "programs", "--", &arguments.rounds.to_string()]);
    let status = Step::new("programs", cargo).stream(&mut |_| {})?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the programs, target/components/ureq-get.wasm and hyper-get.wasm, and compiles them for this machine.
pub(crate) fn compiled(project: &Project, wasm_std: &WasmStd) -> Result<()> {
    for package in PACKAGES {
        let built = guest::build_plain(project, wasm_std, &project.root.join("host-tests/programs"), package)?;
        let wasm = fs::read(&built).with_context(|| format!("can't read {}", built.display()))?;
        let path = project.component().with_file_name(format!("{package}.wasm"));
        write_if_changed(&path, &wasm)?;
        cli::compile(project, &path)?;
    }
    Ok(())
}

const PACKAGES: [&str; 2] = ["ureq-get", "hyper-get"];
