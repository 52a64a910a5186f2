//! `cargo xtask postgres`: the example that asks a database.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{build, compose, project::Project, step::Step, tools::Tool, wasm_std::WasmStd};

/// Builds examples/postgres, composes guest-tls into it, target/components/postgres.wasm, and lets it ask a PostgreSQL server that is
/// started for it on 127.0.0.1.
///
/// PostgreSQL is Debian's, and is installed with apt-get if it is missing; GUEST_TLS_POSTGRES is the folder of the programs of another
/// one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to ask; default: what the server knows of the connection
    query: Option<String>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let wasm_std = build::step(project)?;
    Tool::POSTGRES.program(project)?;
    let command = command(project, &wasm_std)?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "host-tests", "--bin", HOST]);
    Step::new("build: what starts the server", cargo).run()?;
    let mut host = Command::new(project.target.join("debug").join(HOST));
    host.env("CARGO_TARGET_DIR", &project.target).arg(command).args(&arguments.query);
    let status = host.status().context("can't start it")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the command, with guest-tls in it, and gives its path. The component has to be there.
pub(crate) fn command(project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
    compose::command(project, wasm_std, "examples/postgres", "guest-tls-postgres", "postgres")
}

/// The program of host-tests that starts a server and runs the command.
const HOST: &str = "postgres";
