//! `cargo xtask cli`: TLS on the command line.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use anyhow::{Context, Result};

use crate::{build, compose, guest, project::Project, step::Step, tools::Tool, wasm_std::WasmStd};

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

/// Builds the component, and the command with it, as fast as may be from nothing: what does not depend on each other goes side by side.
pub(crate) fn from_nothing(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    thread::scope(|scope| {
        let command = scope.spawn(|| {
            compose::build(project)?;
            let workspace = project.root.join(WORKSPACE);
            guest::build_command(project, wasm_std, &workspace, NAME, build::PROFILE).map(drop)
        });
        build::product(project, wasm_std)?;
        command.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    compiled(project, wasm_std)
}

/// Builds the command, with guest-tls in it, compiles it for this machine, and gives the path of that. The component has to be there.
pub(crate) fn compiled(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    let output = compose::command(project, wasm_std, WORKSPACE, NAME, NAME)?;
    let compiled = output.with_extension("cwasm");
    let program = Tool::WASMTIME.program(project)?;
    if is_newer(&compiled, &[&output, &program]) {
        return Ok(compiled);
    }
    let mut wasmtime = Command::new(program);
    wasmtime.arg("compile").arg(&output).arg("-o").arg(&compiled);
    Step::new("wasmtime: compiling guest-tls-cli.wasm", wasmtime).run()?;
    Ok(compiled)
}

/// Whether a file was written after all of these.
fn is_newer(file: &Path, than: &[&Path]) -> bool {
    let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    written(file).is_some_and(|file| than.iter().all(|path| written(path).is_some_and(|path| path < file)))
}

const WORKSPACE: &str = "examples/cli";

/// The package, and the command's file.
const NAME: &str = "guest-tls-cli";
