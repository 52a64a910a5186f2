//! `cargo xtask demo`: the main job, shown.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{
    build, cli,
    project::Project,
    tools::{self, Tool},
};

/// Builds the component and shows it at work: TLS over real TCP on 127.0.0.1, as server and as client, also with openssl.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Show the proxy of examples/cli instead: PostgreSQL and an HTTP server behind it, psql and curl in front
    #[arg(long)]
    proxy: bool,
    /// For the demo itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let wasm_std = build::step(project)?;
    let program = if arguments.proxy {
        cli::compiled(project, &wasm_std)?;
        Tool::POSTGRES.program(project)?;
        tools::apt_install(project, "a client for the demo", &["curl"])?;
        "demo-proxy"
    } else {
        "demo"
    };
    // The same profile as the tests', so that both use the same compiled dependencies.
    let mut cargo = project.cargo();
    cargo.args(["run", "--package", "host-tests", "--bin", program, "--"]).args(&arguments.arguments);
    let status = cargo.status().context("can't start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
