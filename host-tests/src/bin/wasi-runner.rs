//! Runs a wasip2 command: `wasi-runner test.wasm ARGUMENT…`. Cargo's runner for the tests that run in wasm.
//!
//! Of the environment the command sees the variables whose names begin with `GUEST_TLS_`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use host_tests::host;
use host_tests::wasi::Wasi;
use wasmtime::Store;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{I32Exit, WasiCtx};

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
    let engine = host::engine()?;
    let component = Component::from_file(&engine, path).map_err(host::error)?;
    let mut linker = Linker::<Wasi>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(host::error)?;
    let variables: Vec<_> = std::env::vars().filter(|(name, _)| name.starts_with("GUEST_TLS_")).collect();
    let ctx = WasiCtx::builder().inherit_stdio().args(&arguments).envs(&variables).build();
    let mut store = Store::new(&engine, Wasi::new(ctx));
    let command = Command::instantiate_async(&mut store, &component, &linker).await.map_err(host::error)?;
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Ok(0),
        Ok(Err(())) => Ok(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0 as u8),
            None => Err(host::error(error)),
        },
    }
}
