//! `cargo xtask lint`: the form.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::{
    project::Project,
    step::{Step, seconds},
    tools,
    wasm_std::{self, WasmStd},
};

/// Checks the form: rustfmt of all workspaces; clippy (natively, and of the library and the examples for wasm) and rustdoc of the main
/// one. Every warning is an error.
///
/// Where the wasm compiler is Debian's, so is its clippy (package rust-web-clippy), since rustup's belongs to another compiler. If that
/// package can't be had, `cargo check` with warnings as errors takes its place, and a line says so.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Runs the command.
pub(crate) fn run(project: &Project, _: &Arguments) -> Result<ExitCode> {
    let wasm_std = WasmStd::ensure(project)?;
    let mut failed = Vec::new();
    for (name, command) in checks(project, &wasm_std) {
        println!("\n=== {name} ===");
        let started = std::time::Instant::now();
        let status = Step::new(name, command).stream(&mut |_| {})?;
        println!("{name}: {}, {}", if status.success() { "ok" } else { "failed" }, seconds(started.elapsed()));
        if !status.success() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint: failed: {}", failed.join("; "));
    }
    println!("\nlint: ok");
    Ok(ExitCode::SUCCESS)
}

fn checks(project: &Project, wasm_std: &WasmStd) -> Vec<(&'static str, Command)> {
    let format = |(name, folder): (&'static str, &str)| {
        let mut format = project.cargo();
        format.current_dir(project.root.join(folder)).args(["fmt", "--all", "--check"]);
        (name, format)
    };
    let mut clippy = project.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"]);

    let mut documentation = project.cargo();
    documentation.env("RUSTDOCFLAGS", "-Dwarnings").args(["doc", "--workspace", "--no-deps"]);

    let mut checks = FORMATTED.into_iter().map(format).collect::<Vec<_>>();
    checks.push(("clippy, native", clippy));
    checks.extend(wasm(project, wasm_std));
    checks.push(("rustdoc", documentation));
    checks
}

fn wasm(project: &Project, wasm_std: &WasmStd) -> Vec<(&'static str, Command)> {
    if wasm_std.is_debians()
        && let Err(error) = tools::apt_install(project, "clippy for Debian's compiler", &["rust-web-clippy"])
    {
        eprintln!("lint: no clippy for wasm, `cargo check` takes its place: {error:#}");
    }
    let check = |(name, folder, packages): (&'static str, &str, &[&str])| {
        let clippy = wasm_std.clippy(project);
        let warnings: &[&str] = if clippy.is_some() { &["--", "-Dwarnings"] } else { &[] };
        let mut command = clippy.unwrap_or_else(|| {
            let mut check = wasm_std.cargo(project);
            wasm_std::add_rustflags(&mut check, "-Dwarnings");
            check.arg("check");
            check
        });
        command.current_dir(project.root.join(folder)).args(["--target", wasm_std::TARGET]);
        command.args(packages.iter().flat_map(|package| ["--package", package])).args(warnings);
        (name, command)
    };
    IN_WASM.into_iter().map(check).collect()
}

/// The workspaces of the repository.
const FORMATTED: [(&str, &str); 8] = [
    ("rustfmt", "."),
    ("rustfmt, examples/cli", "examples/cli"),
    ("rustfmt, examples/postgres", "examples/postgres"),
    ("rustfmt, examples/wasi-tls", "examples/wasi-tls"),
    ("rustfmt, fuzz", "fuzz"),
    ("rustfmt, host-tests/benches", "host-tests/benches"),
    ("rustfmt, host-tests/ct", "host-tests/ct"),
    ("rustfmt, host-tests/p3", "host-tests/p3"),
];

/// What is for wasm: a name, a workspace, packages.
const IN_WASM: [(&str, &str, &[&str]); 5] = [
    ("clippy, wasm", ".", &["guest-tls", "guest-tls-kernels", "guest-tls-p3"]),
    ("clippy, examples/cli", "examples/cli", &["guest-tls-cli"]),
    ("clippy, examples/postgres", "examples/postgres", &["guest-tls-postgres"]),
    ("clippy, examples/wasi-tls", "examples/wasi-tls", &["wasi-tls-client"]),
    ("clippy, host-tests/p3", "host-tests/p3", &["p3-tests"]),
];
