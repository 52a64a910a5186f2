//! `cargo xtask differential`: kernels against other implementations, by the million.

use std::{
    process::{Command, ExitCode},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};

use crate::{
    project::Project,
    step::{self, Step},
    test,
    wasm_std::{self, WasmStd},
};

/// Compares kernels with RustCrypto's and dalek's crates in random cases: in wasm, on WebAssembly's vectors, or natively on their twins.
///
/// It is what the tests do in few cases (`kernels/src/tests/differential.rs`), compiled with all optimisation. A case that fails is
/// repeated by its seed, which is printed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these kernels; default: all
    kernels: Vec<String>,
    /// How many cases of each kernel
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// The twins, natively
    #[arg(long)]
    native: bool,
    /// The seed of the first case; default: by the clock
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let wasm_std = if arguments.native { None } else { Some(WasmStd::ensure(project)?) };
    if wasm_std.is_some() {
        test::build_wasm_runner(project)?;
    }
    let program = |rest: &[&str]| -> Result<Command> {
        let (mut cargo, target) = match &wasm_std {
            Some(wasm_std) => (test::wasm_cargo(project, wasm_std)?, &["--target", wasm_std::TARGET][..]),
            None => (project.cargo(), &[][..]),
        };
        cargo.args(["test", "--release", "--package", "guest-tls-kernels", "--lib"]).args(target).args(rest);
        Ok(cargo)
    };
    Step::new("build: the kernels and what they are compared with", program(&["--no-run"])?).run()?;
    let listed = step::output(&mut program(&["--quiet", MODULE, "--", "--list"])?)?;
    let all: Vec<_> = listed.lines().filter_map(|line| line.strip_prefix(MODULE)?.strip_suffix(": test")).collect();
    if let Some(unknown) = arguments.kernels.iter().find(|kernel| !all.contains(&kernel.as_str())) {
        bail!("there is no kernel {unknown:?}; there are {}", all.join(", "));
    }

    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let seed = arguments.seed.unwrap_or(since.as_secs() << 32);
    let mut command = program(&["--quiet", "--", "--exact", "--nocapture"])?;
    let chosen = |kernel: &&&str| arguments.kernels.is_empty() || arguments.kernels.iter().any(|name| name == **kernel);
    command.args(all.iter().filter(chosen).map(|kernel| format!("{MODULE}{kernel}")));
    command.env("GUEST_TLS_CASES", arguments.cases.to_string()).env("GUEST_TLS_SEED", seed.to_string());
    let status = Step::new("differential", command).stream(&mut |_| {})?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The tests that are kernels.
const MODULE: &str = "tests::differential::";
