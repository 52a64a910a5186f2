//! Measures the components beside it in wasmtime, ring natively, and guest-tls' own component over TCP; prints a table, and writes
//! what it measured as JSON. `cargo xtask bench` builds all that it needs and starts it.

mod component;
mod implementation;
mod table;
mod tcp;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use criterion::Criterion;

use implementation::Implementation;
use table::Measured;

/// Where the components are and how to measure them.
#[derive(Parser)]
struct Arguments {
    /// Components of the world guest-tls:bench/figures, as NAME=FILE
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    component: Vec<(String, PathBuf)>,
    /// Measure nothing: print the table of what is in this file
    #[arg(long, value_name = "JSON", conflicts_with = "json")]
    show: Option<PathBuf>,
    /// A few samples of each instead of many
    #[arg(long)]
    quick: bool,
    /// Where to write one JSON object a line, for each figure
    #[arg(long, default_value = "figures.json")]
    json: PathBuf,
    /// Only figures whose names contain one of these
    filter: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(path) = &arguments.show {
        let measured = read(path).with_context(|| format!("can't read {}", path.display()))?;
        print!("\n{}", table::table(&measured));
        return Ok(());
    }
    let mut implementations = Vec::new();
    for (name, path) in &arguments.component {
        implementations.push(Implementation::component(name, path)?);
    }
    implementations.push(Implementation::native("ring-native", bench_ring::figures()));

    let file = File::create(&arguments.json);
    let file = file.with_context(|| format!("can't write {}", arguments.json.display()))?;
    let mut record = Record { measured: Vec::new(), file };
    let ended = measure(arguments, &mut implementations, &mut record);
    // Also of what was measured before something failed.
    print!("\n{}", table::table(&record.measured));
    println!("figures: {}", arguments.json.display());
    ended
}

fn measure(arguments: &Arguments, implementations: &mut [Implementation], record: &mut Record) -> Result<()> {
    let wanted = |name: &str| arguments.filter.is_empty() || arguments.filter.iter().any(|part| name.contains(part));
    let (mut criterion, rounds) = criterion(arguments.quick);
    // The first implementation, which is ours, has every figure.
    for name in implementations[0].names() {
        if wanted(&name) {
            for one in implementation::measure(&mut criterion, &name, implementations, rounds)? {
                record.add(one)?;
            }
        }
    }
    tcp::measure(&wanted, arguments.quick, &mut |one| record.add(one))
}

/// What was measured, in memory and in the JSON file, which has each figure as soon as there is one.
struct Record {
    measured: Vec<Measured>,
    file: File,
}

impl Record {
    fn add(&mut self, one: Measured) -> Result<()> {
        let line = serde_json::to_string(&one)?;
        writeln!(self.file, "{line}").context("can't write a figure")?;
        self.measured.push(one);
        Ok(())
    }
}

/// How a figure is measured, and in how many rounds.
fn criterion(quick: bool) -> (Criterion, usize) {
    let criterion = Criterion::default().without_plots();
    if quick {
        let criterion = criterion.sample_size(10).nresamples(1001);
        (criterion.warm_up_time(Duration::from_millis(20)).measurement_time(Duration::from_millis(100)), 4)
    } else {
        let criterion = criterion.sample_size(30).warm_up_time(Duration::from_millis(200));
        (criterion.measurement_time(Duration::from_secs(1)), 5)
    }
}

fn read(path: &PathBuf) -> Result<Vec<Measured>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn named(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = argument.split_once('=').ok_or("it has to be NAME=FILE")?;
    Ok((name.to_string(), path.into()))
}
