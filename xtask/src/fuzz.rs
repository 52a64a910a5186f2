//! `cargo xtask fuzz`: hostile bytes by the million.

use std::{
    fs,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::{
    project::Project,
    step::{self, Outcome, Step},
    wasm_std::add_rustflags,
};

/// Fuzzes the parsers of outside bytes: builds each target in `fuzz/`, and runs it for some seconds.
///
/// It needs g++ beside the stable toolchain. What one run learned is where the next begins: `target/fuzz/corpus`. An input that
/// crashes a target is kept in `target/fuzz/artifacts`, and makes the exit code 1. `target/fuzz/HOST/release/TARGET FILE` runs it once more.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these targets; default: all
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let all = targets(&project.root)?;
    if let Some(unknown) = arguments.targets.iter().find(|target| !all.contains(target)) {
        bail!("there is no target {unknown:?}; there are {}", all.join(", "));
    }
    let chosen = if arguments.targets.is_empty() { &all } else { &arguments.targets };

    let version = step::output(project.cargo().arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("`cargo -vV` names no host")?;
    let folder = project.target.join("fuzz");
    let mut cargo = project.cargo();
    cargo.current_dir(project.root.join("fuzz")).env("CARGO_TARGET_DIR", &folder);
    // With `--target`, the flags are for the targets alone, and not for build scripts and proc macros.
    cargo.args(["build", "--release", "--bins", "--target", host]);
    add_rustflags(&mut cargo, RUSTFLAGS);
    Step::new("build: the fuzz targets", cargo).run()?;

    let programs = folder.join(host).join("release");
    let seeds = folder.join("seeds");
    let mut command = Command::new(programs.join("seeds"));
    command.arg(&seeds);
    Step::new("fuzz: seeds", command).run()?;

    let mut crashed = false;
    for target in chosen {
        let [corpus, artifacts] = ["corpus", "artifacts"].map(|name| folder.join(name).join(target));
        for folder in [&corpus, &artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
        }
        let mut command = Command::new(programs.join(target));
        command
            .args([format!("-max_total_time={}", arguments.seconds), format!("-timeout={UNIT_SECONDS}")])
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args([&corpus, &seeds.join(target)]);
        let outcome = Step::new(format!("fuzz: {target}"), command).attempt()?;
        crashed |= !outcome.success;
        println!("{target:<24} {}", summary(&outcome));
    }
    Ok(if crashed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The names of the targets, in order.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("can't read the folder {}", folder.display()))?;
    let names = entries.map(|entry| Ok(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned())));
    let mut names: Vec<_> = names.filter_map(Result::transpose).collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// Runs and coverage, and what was found.
fn summary(outcome: &Outcome) -> String {
    let Progress { runs, coverage } = outcome.lines.iter().rev().find_map(|line| progress(line)).unwrap_or_default();
    let found = match outcome.lines.iter().find_map(|line| line.split_once(WRITTEN)) {
        _ if outcome.success => String::new(),
        Some((_, path)) => format!("   CRASH: {path}\n{}", outcome.tail(TAIL)),
        None => format!("   FAILED: {}\n{}", outcome.ending, outcome.tail(TAIL)),
    };
    format!("{runs:>9} runs   coverage {coverage:>6}{found}")
}

#[derive(Debug, Default, PartialEq)]
struct Progress {
    runs: u64,
    coverage: u64,
}

/// Reads a line such as `#2048 pulse  cov: 512 ft: 1024 corp: 30/4Kb lim: 4096 exec/s: 682 rss: 40Mb`.
fn progress(line: &str) -> Option<Progress> {
    let mut words = line.strip_prefix('#')?.split_whitespace();
    let runs = words.next()?.parse().ok()?;
    let coverage = words.skip_while(|word| *word != "cov:").nth(1)?.parse().ok()?;
    Some(Progress { runs, coverage })
}

/// What `cargo fuzz` gives the compiler, as far as a stable one takes it: coverage for libFuzzer, and the checks of a debug build.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions";

/// An input that takes longer than this is a fault.
const UNIT_SECONDS: u32 = 20;

/// How libFuzzer says where it put an input.
const WRITTEN: &str = "Test unit written to ";

/// How many lines of a target that crashed are shown.
const TAIL: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libfuzzers_lines_are_read() {
        let line = "#2048\tpulse  cov: 512 ft: 1024 corp: 30/4Kb lim: 4096 exec/s: 682 rss: 40Mb";
        assert_eq!(progress(line), Some(Progress { runs: 2048, coverage: 512 }));
        for other in ["", "#", "#0\tREAD units: 12", "INFO: Seed: 1", "Done 5 runs in 1 second(s)"] {
            assert_eq!(progress(other), None, "{other}");
        }
    }

    #[test]
    fn a_crash_is_told_with_its_input() {
        let lines = ["#8\tNEW    cov: 3 ft: 4", "panicked", "artifact_prefix='a/'; Test unit written to a/crash-1"];
        let mut outcome = Outcome { success: false, ending: "77".into(), lines: lines.map(String::from).into() };
        let told = summary(&outcome);
        assert!(told.starts_with("        8 runs   coverage      3   CRASH: a/crash-1\n"), "{told}");
        outcome.lines.pop();
        assert!(summary(&outcome).contains("FAILED: 77\n"));
        outcome.success = true;
        assert_eq!(summary(&outcome), "        8 runs   coverage      3");
    }

    #[test]
    fn every_target_is_built() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask's folder has a parent")?;
        let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml"))?;
        for target in targets(root)? {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
        }
        Ok(())
    }
}
