//! Runs a wasip2 command: `wasi-runner test.wasm ARGUMENT…`. Cargo's runner for the tests that run in wasm.
//!
//! Of the environment the command sees the variables whose names begin with `GUEST_TLS_`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use host_tests::wasi::Program;
use wasmtime_wasi::WasiCtx;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("wasi-runner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command to its end and gives its exit code.
#[tokio::main]
async fn run() -> Result<u8> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let path = arguments.first().context("usage: wasi-runner COMMAND.wasm ARGUMENT…")?;
    let variables: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("GUEST_TLS_")).collect();
    let ctx = WasiCtx::builder().inherit_stdio().args(&arguments).envs(&variables).build();
    Program::load(path.as_ref())?.run(ctx).await
}
