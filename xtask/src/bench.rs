//! `cargo xtask bench`: how fast it is, and beside whom.

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    build,
    engine::{self, Engine},
    guest,
    project::Project,
    step::Step,
    tools,
    wasm_std::WasmStd,
};

/// Measures this project's cryptography and TLS in wasmtime, beside ring and RustCrypto's crates in wasmtime and ring natively.
///
/// Every figure is measured of all implementations in turns, by criterion. The table has a line a figure: the best round's medians, and how
/// many times as fast guest-tls is. Ring is compiled for WebAssembly by clang, which is installed with apt-get if it is missing.
/// What is built is kept in target/benches; the first build takes some ten minutes on two cores.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only figures whose names contain one of these
    filter: Vec<String>,
    /// A few samples of each figure instead of many: two minutes instead of fifteen
    #[arg(long)]
    quick: bool,
    /// Measure in this JavaScript engine instead of wasmtime; there is no native ring then, and nothing over TCP
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Where to write one JSON object a line: figure, impl, unit, value, low and high (the median's 95 % interval), each as soon as it is
    /// measured [default: target/benches/wasmtime.json, or the engine's name]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    tools::apt_install(project, "a C compiler for WebAssembly, for ring", &["clang", "llvm"])?;
    let wasm_std = build::step(project)?;
    let folder = project.target.join("benches");
    let guests = GUESTS.map(|guest| Ok((guest.name, guest.build(project, &wasm_std)?)));
    let guests = guests.into_iter().collect::<Result<Vec<_>>>()?;
    let mut cargo = project.cargo();
    cargo.current_dir(workspace(project)).env("CARGO_TARGET_DIR", &folder);
    cargo.args(["build", "--package", "bench-harness", "--profile", HARNESS]);
    Step::new("build: what measures", cargo).run()?;

    let mut harness = Command::new(folder.join(HARNESS).join("bench-harness"));
    harness.current_dir(&project.root).env("CRITERION_HOME", folder.join("criterion"));
    // Where the component and the tools are: the harness itself lies in another target folder.
    harness.env("CARGO_TARGET_DIR", &project.target);
    let name = arguments.engine.map_or("wasmtime", Engine::name);
    let json = arguments.json.clone().unwrap_or_else(|| folder.join(format!("{name}.json")));
    let json = std::path::absolute(json).context("the JSON file's path is no path")?;
    match arguments.engine {
        Some(engine) => {
            let form = if arguments.quick { "quick" } else { "full" };
            let mut script = engine.command(project)?;
            script.arg(workspace(project).join("js/bench.mjs")).arg(&json).arg(form).args(&arguments.filter).arg("--");
            for (name, component) in guests {
                script.arg(format!("{name}={}", engine::transpile(project, &component)?.display()));
            }
            if !script.status().with_context(|| format!("can't start {}", engine.name()))?.success() {
                return Ok(ExitCode::FAILURE);
            }
            harness.arg("--show").arg(json);
        }
        None => {
            for (name, component) in guests {
                harness.arg("--component").arg(format!("{name}={}", component.display()));
            }
            if arguments.quick {
                harness.arg("--quick");
            }
            harness.arg("--json").arg(json).args(&arguments.filter);
        }
    }
    let status = harness.status().context("can't start the harness")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is measured in wasmtime.
struct Guest {
    /// The implementation's name in the figures.
    name: &'static str,
    package: &'static str,
    profile: &'static str,
}

impl Guest {
    fn build(&self, project: &Project, wasm_std: &WasmStd) -> Result<PathBuf> {
        Ok(guest::build(project, wasm_std, &workspace(project), self.package, self.profile)?.path)
    }
}

fn workspace(project: &Project) -> PathBuf {
    project.root.join("host-tests/benches")
}

/// Ours is built as the component is, which is mostly for few bytes; the others for nothing but speed.
const GUESTS: [Guest; 3] = [
    Guest { name: "guest-tls", package: "bench-guest-tls", profile: build::PROFILE },
    Guest { name: "ring-wasm", package: "bench-ring", profile: "release" },
    Guest { name: "rustcrypto-wasm", package: "bench-rustcrypto", profile: "release" },
];

/// The profile of what measures.
const HARNESS: &str = "harness";
