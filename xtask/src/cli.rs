//! `cargo xtask cli`: TLS on the command line.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{build, compose, project::Project, step::Step, tools::Tool, wasm_std::WasmStd};

/// Builds examples/cli, composes guest-tls into it, target/components/guest-tls-cli.wasm, compiles that for this machine,
/// guest-tls-cli.cwasm, and runs it in wasmtime with these arguments. It sees this folder, the network, and nothing else.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For the command, such as `connect localhost:443`; none: only build
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let wasm_std = build::step(project)?;
    let compiled = compiled(project, &wasm_std)?;
    if arguments.arguments.is_empty() {
        println!("{}", compiled.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut wasmtime = Command::new(Tool::WASMTIME.program(project)?);
    wasmtime.args(["run", "--allow-precompiled", "-Sinherit-network,allow-ip-name-lookup", "--dir=."]);
    let status = wasmtime.arg(compiled).args(&arguments.arguments).status().context("can't start wasmtime")?;
    Ok(ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1)))
}

/// Builds the command, with guest-tls in it, compiles it for this machine, and gives the path of that. The component has to be there.
pub(crate) fn compiled(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    let output = compose::command(project, wasm_std, "examples/cli", "guest-tls-cli", "guest-tls-cli")?;
    let compiled = output.with_extension("cwasm");
    let mut wasmtime = Command::new(Tool::WASMTIME.program(project)?);
    wasmtime.arg("compile").arg(&output).arg("-o").arg(&compiled);
    Step::new("wasmtime: compiling guest-tls-cli.wasm", wasmtime).run()?;
    Ok(compiled)
}
