//! `cargo xtask setup`: gets everything that the other commands need.

use std::process::ExitCode;

use anyhow::Result;

use crate::{project::Project, tools::Tool, wasm_std::WasmStd};

/// Gets everything that the other commands need, and does nothing the second time.
///
/// That is: the Rust standard library for wasm32-wasip2 (the toolchain's; else by `rustup target add`; else built from Debian's source),
/// the program `openssl`, Node 24, and the program `wasmtime`. The other commands run this by themselves.
///
/// Environment: GUEST_TLS_CACHE, a folder for what outlives a clone (default: guest-tls in $XDG_CACHE_HOME or ~/.cache);
/// GUEST_TLS_WASM_STD, which of the three ways to the standard library to allow (default: toolchain,rustup,debian);
/// GUEST_TLS_NODE and GUEST_TLS_WASMTIME, the paths of a Node and of a wasmtime to use instead of those that are fetched;
/// GUEST_TLS_PYTHON, the Python that fetches from PyPI.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Runs the command.
pub(crate) fn run(project: &Project, _: &Arguments) -> Result<ExitCode> {
    let wasm_std = WasmStd::ensure(project)?;
    println!("wasm std: {}", wasm_std.origin);
    for tool in Tool::ALL {
        println!("{}", tool.ensure(project)?);
    }
    println!("setup: ok");
    Ok(ExitCode::SUCCESS)
}

/// Gets everything, as a step of another command: prints only what it does.
pub(crate) fn everything(project: &Project) -> Result<WasmStd> {
    let wasm_std = WasmStd::ensure(project)?;
    for tool in Tool::ALL {
        tool.ensure(project)?;
    }
    Ok(wasm_std)
}
