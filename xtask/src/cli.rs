//! `cargo xtask cli`: TLS on the command line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
};

use anyhow::{Context, Result};

use crate::{
    build, compose, guest,
    project::{Project, write_if_changed},
    step::{self, Step},
    tools::Tool,
    wasm_std::WasmStd,
};

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
    compile(project, &output)
}

/// Compiles a program for this machine, unless that was done, and gives the path of that, with the ending `.cwasm`.
pub(crate) fn compile(project: &Project, program: &Path) -> Result<PathBuf> {
    let wasmtime = Tool::WASMTIME.program(project)?;
    let compiled = program.with_extension("cwasm");
    // What it was made of, and by whom, is kept beside it.
    let made_of = program.with_extension("cwasm.made-of");
    let version = step::output(Command::new(&wasmtime).arg("--version"))?;
    let bytes = fs::read(program).with_context(|| format!("can't read {}", program.display()))?;
    let whole = [version.as_bytes(), &bytes].concat();
    if compiled.is_file() && fs::read(&made_of).is_ok_and(|old| old == whole) {
        return Ok(compiled);
    }
    let mut command = Command::new(wasmtime);
    command.arg("compile").arg(program).arg("-o").arg(&compiled);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    Step::new(format!("wasmtime: compiling {name}"), command).run()?;
    write_if_changed(&made_of, &whole)?;
    Ok(compiled)
}

const WORKSPACE: &str = "examples/cli";

/// The package, and the command's file.
const NAME: &str = "guest-tls-cli";
