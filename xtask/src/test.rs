//! `cargo xtask test`: all tests.

use std::{
    fmt::Write,
    path::PathBuf,
    process::{Command, ExitCode},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    build, cli, ct,
    engine::{self, Engine},
    hosts, libraries, p3, postgres, programs,
    project::Project,
    rows,
    step::{Step, seconds},
    tools::{self, Tool},
    wasm_std::{self, WasmStd},
    wit,
};

/// Runs all tests: the contract, the library natively and in wasm, the component in a real host, the rows that these show, and
/// xtask's own.
///
/// A step that fails doesn't stop the ones after it. The last line is `N passed, N failed`, where a step that ended without a test's
/// result counts as one failure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run nothing but the library's tests, and the component's against real peers, in this JavaScript engine; may be given several times
    #[arg(long, value_enum)]
    engine: Vec<Engine>,
    /// Also build the components with each standard library that can be had, rustup's and Debian's, and check what they import
    #[arg(long)]
    libraries: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
    /// For the test programs, such as --nocapture
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let mut results = Vec::new();
    if !arguments.engine.is_empty() {
        let wasm_std = WasmStd::ensure(project)?;
        note(&mut results, "set up and build", || build::step(project).and_then(|_| hosts::set_up(project)));
        for engine in &arguments.engine {
            results.push(in_engine(project, &wasm_std, *engine, arguments));
            results.push(peers_of(project, *engine, arguments));
        }
        return Ok(conclusion(&results, "", arguments));
    }
    // Without these there is nothing to test with; what they need to say is in their errors.
    let wasm_std = note(&mut results, "set up and build", || build::step(project));
    note(&mut results, "contract", || {
        println!("{}", wit::check(project)?);
        Ok(())
    });

    let wasm_std = wasm_std.or_else(|| WasmStd::ensure(project).ok());
    note(&mut results, "runner of wasm", || build_wasm_runner(project));
    // Tests in wasm have one thread, and so has the last step of building a component: the other processors do what is native. What is
    // fetched takes none.
    thread::scope(|scope| {
        let hosts = scope.spawn(|| {
            let mut results = Vec::new();
            note(&mut results, "hosts", || hosts::set_up(project));
            note(&mut results, "servers", || tools::apt_install(project, "servers that begin in the clear", SERVERS));
            note(&mut results, "files", || tools::apt_install(project, "what writes files of its own", FILES));
            note(&mut results, "PostgreSQL", || Tool::POSTGRES.program(project));
            for tool in [Tool::CURL, Tool::NMAP, Tool::SSLYZE] {
                note(&mut results, "clients and scanners", || tool.program(project));
            }
            results
        });
        let in_wasm = wasm_std.as_ref().map(|wasm_std| scope.spawn(|| in_wasm(project, wasm_std, arguments)));
        let native = ["--package", "guest-tls", "--package", "guest-tls-kernels"];
        results.push(tests("library, native", arguments, project.cargo(), &native));
        match in_wasm.map(thread::ScopedJoinHandle::join) {
            Some(Ok((outcomes, lines))) => {
                lines.iter().for_each(|line| println!("{line}"));
                results.extend(outcomes);
            }
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            // That there is none is among the results already.
            None => {}
        }
        match hosts.join() {
            Ok(outcomes) => results.extend(outcomes),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    let hosted = ["--package", "host-tests", "--package", "guest-tls-wasmtime"];
    results.push(tests("component, in a host", arguments, project.cargo(), &hosted));
    let command = ["--manifest-path", "examples/cli/Cargo.toml"];
    results.push(tests("command, its units", arguments, project.cargo(), &command));
    // Their own filters are other languages'.
    if arguments.filter.is_none() {
        results.extend(examples(project));
    }
    note(&mut results, "rows of the contract", || {
        println!("{}", rows::check(project)?);
        Ok(())
    });
    let own = ["--package", "xtask", "--package", "compose", "--package", "contract", "--profile", "xtask"];
    results.push(tests("xtask", arguments, project.cargo(), &own));

    let mut left_out = String::new();
    if arguments.libraries {
        results.push(Outcome::of("standard libraries", || {
            let checked = libraries::check(project);
            left_out = checked.left_out;
            Ok(Counts { passed: checked.passed, failed: checked.failed })
        }));
    }
    Ok(conclusion(&results, &left_out, arguments))
}

/// Prints how the steps went, and what was left out.
fn conclusion(results: &[Outcome], left_out: &str, arguments: &Arguments) -> ExitCode {
    let counts = results.iter().fold(Counts::default(), |sum, outcome| sum + outcome.counts);
    println!("\n{}\n{left_out}", table(results).trim_end());
    if counts == Counts::default() {
        eprintln!("no test ran: no name contains {:?}", arguments.filter.as_deref().unwrap_or_default());
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    let good = counts.failed == 0 && counts.passed > 0;
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How a step went.
struct Outcome {
    name: &'static str,
    counts: Counts,
    time: Duration,
}

impl Outcome {
    /// Does the work and takes its time; an error counts as one failure.
    fn of(name: &'static str, work: impl FnOnce() -> Result<Counts>) -> Self {
        let started = Instant::now();
        let counts = work().unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            Counts { passed: 0, failed: 1 }
        });
        Self { name, counts, time: started.elapsed() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// Runs a step that is no test: it counts only when it fails.
fn note<T>(results: &mut Vec<Outcome>, name: &'static str, step: impl FnOnce() -> Result<T>) -> Option<T> {
    let mut value = None;
    results.push(Outcome::of(name, || {
        value = Some(step()?);
        Ok(Counts::default())
    }));
    value
}

/// Runs `cargo test` and adds up what its test programs say.
fn tests(name: &'static str, arguments: &Arguments, cargo: Command, what: &[&str]) -> Outcome {
    println!("\n=== {name} ===");
    Outcome::of(name, || streamed(name, cargo_test(cargo, what, arguments)))
}

/// Runs test programs with their output passed on.
fn streamed(name: &str, command: Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let status = Step::new(name, command).stream(&mut |line| counts = counts + parse(line).unwrap_or_default())?;
    Ok(judged(counts, status.success()))
}

fn cargo_test(mut cargo: Command, what: &[&str], arguments: &Arguments) -> Command {
    cargo.args(["test", "--no-fail-fast"]).args(what).args(&arguments.filter);
    if !arguments.arguments.is_empty() {
        cargo.arg("--").args(&arguments.arguments);
    }
    cargo
}

/// Builds what is measured, and runs the library's tests in wasm; what they print is held back.
fn in_wasm(project: &Project, wasm_std: &WasmStd, arguments: &Arguments) -> (Vec<Outcome>, Vec<String>) {
    let mut results = Vec::new();
    note(&mut results, "guest of the measurement", || ct::guest(project, wasm_std));
    note(&mut results, "example: postgres", || postgres::command(project, wasm_std));
    note(&mut results, "example: cli", || cli::compiled(project, wasm_std));
    note(&mut results, "programs of libraries", || programs::compiled(project, wasm_std));
    note(&mut results, "guest-tls-p3", || p3::everything(project, wasm_std));
    let cargo = || Ok(cargo_test(wasm_cargo(project, wasm_std)?, WASM_ARGUMENTS, arguments));
    let (outcome, mut lines) = held_back("library, in wasm", cargo);
    results.push(outcome);
    // The kernels also as they are compiled for whoever gives no flags.
    let plain = || Ok(cargo_test(plain_wasm_cargo(project, wasm_std)?, KERNELS_IN_WASM, arguments));
    let (outcome, of_plain) = held_back("kernels, no flags", plain);
    results.push(outcome);
    lines.extend(of_plain);
    (results, lines)
}

/// Runs test programs, and gives what they print.
fn held_back(name: &'static str, command: impl FnOnce() -> Result<Command>) -> (Outcome, Vec<String>) {
    let mut lines = vec![format!("\n=== {name} ===")];
    let outcome = Outcome::of(name, || {
        let ran = Step::new(name, command()?).attempt()?;
        let counts = ran.lines.iter().filter_map(|line| parse(line)).fold(Counts::default(), |sum, one| sum + one);
        lines.extend(ran.lines);
        Ok(judged(counts, ran.success))
    });
    (outcome, lines)
}

/// Runs the tests of all examples, two at a time, since each of them waits for its peers most of the time.
fn examples(project: &Project) -> Vec<Outcome> {
    let left = Mutex::new(EXAMPLES.iter());
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        let mut results = Vec::new();
        while let Some(example) = next() {
            let (mut outcome, lines) = held_back(example.name, || Ok(example.command(project)));
            println!("{}", lines.join("\n"));
            if outcome.counts == Counts::default() {
                eprintln!("{}: no test of it ran, or its summary can't be read", example.name);
                outcome.counts.failed = 1;
            }
            results.push(outcome);
        }
        results
    };
    thread::scope(|scope| {
        let other = scope.spawn(run);
        let mut results = run();
        match other.join() {
            Ok(outcomes) => results.extend(outcomes),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        results
    })
}

/// Tests in the language of an example, by the runner of its people.
struct Example {
    name: &'static str,
    folder: &'static str,
    tool: &'static str,
    arguments: &'static [&'static str],
}

impl Example {
    fn command(&self, project: &Project) -> Command {
        let mut command = Command::new(project.tools().join(self.tool));
        command.current_dir(project.root.join("examples").join(self.folder)).args(self.arguments);
        command.env("GUEST_TLS_COMPONENT", project.component());
        command.env("GUEST_TLS_ARTEFACTS", project.target.join("artefacts"));
        command
    }
}

/// Runs the library's tests in a JavaScript engine.
fn in_engine(project: &Project, wasm_std: &WasmStd, engine: Engine, arguments: &Arguments) -> Outcome {
    let name = match engine {
        Engine::Node => "library, in Node",
        Engine::Deno => "library, in Deno",
        Engine::Bun => "library, in Bun",
    };
    println!("\n=== {name} ===");
    Outcome::of(name, || {
        let mut cargo = wasm_std.cargo(project);
        cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics"]).args(WASM_ARGUMENTS);
        let built = Step::new(format!("{name}: build"), cargo).run()?;
        let programs: Vec<_> = built.lines.iter().filter_map(|line| executable(line)).collect();
        ensure!(!programs.is_empty(), "cargo built the tests, and named none of them");
        programs.iter().try_fold(Counts::default(), |counts, program| {
            let mut command = engine.command(project)?;
            command.arg(project.root.join("host-tests/js/run.mjs")).arg(engine::transpile(project, program)?);
            command.args(&arguments.filter).args(&arguments.arguments);
            Ok(counts + streamed(name, command)?)
        })
    })
}

/// Lets the component meet everybody in a JavaScript engine, by the npm package, as it does in wasmtime in other runs.
fn peers_of(project: &Project, engine: Engine, arguments: &Arguments) -> Outcome {
    let (name, host) = match engine {
        Engine::Node => ("component, in Node", "Node"),
        Engine::Deno => ("component, in Deno", "Deno"),
        Engine::Bun => ("component, in Bun", "Bun"),
    };
    let mut cargo = project.cargo();
    cargo.env("GUEST_TLS_HOST", host);
    tests(name, arguments, cargo, &["--package", "host-tests", "--test", "matrix", "--test", "refusals"])
}

/// The program that a line of cargo's JSON names.
fn executable(line: &str) -> Option<PathBuf> {
    let (_, rest) = line.split_once("\"executable\":\"")?;
    Some(rest.split_once('"')?.0.into())
}

/// What the result of a test command counts: one that failed without a failed test died on the way.
fn judged(counts: Counts, success: bool) -> Counts {
    let died = !success && counts.failed == 0;
    Counts { failed: counts.failed + u64::from(died), ..counts }
}

/// Builds the program that runs tests in wasm.
pub(crate) fn build_wasm_runner(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "host-tests", "--bin", RUNNER]);
    Step::new("build: the program that runs tests in wasm", cargo).run()?;
    Ok(())
}

/// Cargo for tests in wasm, with the program that runs them.
pub(crate) fn wasm_cargo(project: &Project, wasm_std: &WasmStd) -> Result<Command> {
    with_runner(wasm_std.cargo(project), project)
}

/// As [`wasm_cargo`], without a flag.
fn plain_wasm_cargo(project: &Project, wasm_std: &WasmStd) -> Result<Command> {
    with_runner(wasm_std.cargo_without_flags(project), project)
}

fn with_runner(mut cargo: Command, project: &Project) -> Result<Command> {
    let variable = format!("CARGO_TARGET_{}_RUNNER", wasm_std::TARGET.to_uppercase().replace('-', "_"));
    let runner = project.target.join("debug").join(RUNNER);
    cargo.env(variable, runner.to_str().context("the target folder's path is not UTF-8")?);
    Ok(cargo)
}

/// The counts in a line of cargo's, of Node's runner or of pytest's, such as `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured;
/// 2 filtered out; finished in 0.01s`, `ℹ pass 5` or `5 passed, 1 failed in 0.30s`.
fn parse(line: &str) -> Option<Counts> {
    let count = |counts: &str, separator: char, word: &str| {
        counts.split(separator).find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
    };
    if let Some(result) = line.strip_prefix("test result: ") {
        let (_, counts) = result.split_once(". ")?;
        return Some(Counts { passed: count(counts, ';', "passed")?, failed: count(counts, ';', "failed")? });
    }
    if let Some(passed) = line.strip_prefix("ℹ pass ") {
        return Some(Counts { passed: passed.parse().ok()?, failed: 0 });
    }
    if let Some(failed) = line.strip_prefix("ℹ fail ") {
        return Some(Counts { passed: 0, failed: failed.parse().ok()? });
    }
    let (counts, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
    time.split(' ').next()?.strip_suffix('s')?.parse::<f64>().ok()?;
    let (passed, failed) = (count(counts, ',', "passed"), count(counts, ',', "failed"));
    let errors = count(counts, ',', "error").or_else(|| count(counts, ',', "errors"));
    if passed.is_none() && failed.is_none() && errors.is_none() {
        return None;
    }
    Some(Counts { passed: passed.unwrap_or(0), failed: failed.unwrap_or(0) + errors.unwrap_or(0) })
}

fn table(results: &[Outcome]) -> String {
    let mut table = String::new();
    for Outcome { name, counts, time } in results {
        // Writing to a string can't fail.
        let _ = writeln!(
            table,
            "{name:<22} {:>6} passed {:>4} failed  {:>7}",
            counts.passed,
            counts.failed,
            seconds(*time)
        );
    }
    table
}

/// For Node, whose summary depends on where it prints to unless it is told.
const NODE_TESTS: &[&str] = &["--test", "--test-reporter=spec", "test/*.test.mjs"];

/// What `connect` is tested with: servers, and a client beside it.
const SERVERS: &[&str] =
    &["dovecot-imapd", "dovecot-pop3d", "gnutls-bin", "prosody", "python3-aiosmtpd", "python3-pyftpdlib", "slapd"];

/// What writes keys and PKCS#12 files of its own: GnuTLS and NSS.
const FILES: &[&str] = &["gnutls-bin", "libnss3-tools"];

/// The examples with tests in their own language.
const EXAMPLES: &[Example] = &[
    Example { name: "npm package", folder: "node", tool: "node", arguments: NODE_TESTS },
    Example { name: "Workers", folder: "workers", tool: "node", arguments: NODE_TESTS },
    Example { name: "page", folder: "browser", tool: "node", arguments: NODE_TESTS },
    Example {
        name: "Python module",
        folder: "python",
        tool: "python",
        arguments: &["-m", "pytest", "--quiet", "tests"],
    },
    Example { name: "deployment", folder: "deploy", tool: "python-deploy", arguments: &["check"] },
];

/// Optimised enough that RSA is quick where nothing inlines, with the checks of a debug build.
const WASM_ARGUMENTS: &[&str] = &[
    "--package",
    "guest-tls",
    "--package",
    "guest-tls-kernels",
    "--lib",
    "--no-default-features",
    "--features",
    "guest-tls/aes-gcm",
    "--target",
    wasm_std::TARGET,
    "--config",
    "profile.dev.opt-level=1",
];

/// As [`WASM_ARGUMENTS`], of the kernels alone.
const KERNELS_IN_WASM: &[&str] =
    &["--package", "guest-tls-kernels", "--lib", "--target", wasm_std::TARGET, "--config", "profile.dev.opt-level=1"];

/// The program of host-tests that runs a wasm test program.
const RUNNER: &str = "wasi-runner";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_named_by_cargos_json() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/x.wasm"],"executable":"/t/x.wasm","fresh":true}"#;
        assert_eq!(executable(line), Some("/t/x.wasm".into()));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null,"fresh":true}"#), None);
    }

    #[test]
    fn cargos_lines_are_read() {
        let line = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s";
        assert_eq!(parse(line), Some(Counts { passed: 5, failed: 0 }));
        let line =
            "test result: FAILED. 12 passed; 34 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        assert_eq!(parse(line), Some(Counts { passed: 12, failed: 34 }));
        assert_eq!(parse("ℹ pass 12"), Some(Counts { passed: 12, failed: 0 }));
        assert_eq!(parse("ℹ fail 3"), Some(Counts { passed: 0, failed: 3 }));
        assert_eq!(parse("12 passed in 0.52s"), Some(Counts { passed: 12, failed: 0 }));
        let line = "=== 2 failed, 107 passed, 3 skipped, 1 error in 61.05s (0:01:01) ===";
        assert_eq!(parse(line), Some(Counts { passed: 107, failed: 3 }));
        for other in [
            "no tests ran in 0.01s",
            "ℹ tests 12",
            "test result: ",
            "running 5 tests",
            "test a ... ok",
            "x test result: ok. 5 passed; 0 failed;",
            "5 passed, 0 failed",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_step_without_a_result_is_a_failure() {
        let none = Counts::default();
        let passed = Counts { passed: 2, failed: 0 };
        let failed = Counts { passed: 2, failed: 3 };
        assert_eq!(judged(none, false), Counts { passed: 0, failed: 1 });
        assert_eq!(judged(none, true), none);
        assert_eq!(judged(passed, true), passed);
        assert_eq!(judged(passed, false), Counts { passed: 2, failed: 1 });
        assert_eq!(judged(failed, false), failed);
        let arguments = Arguments { engine: Vec::new(), libraries: false, filter: None, arguments: Vec::new() };
        let missing = Command::new("/nonexistent/cargo");
        assert_eq!(tests("missing", &arguments, missing, &[]).counts, judged(none, false));
    }

    #[test]
    fn the_table_has_a_line_a_step() {
        let outcome =
            Outcome { name: "xtask", counts: Counts { passed: 3, failed: 0 }, time: Duration::from_millis(1500) };
        assert_eq!(table(&[outcome]), "xtask                       3 passed    0 failed    1.5 s\n");
    }
}
