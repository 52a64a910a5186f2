//! `ct GUEST.wasm [--measurements N] [OPERATION…]`: measures whether operations take the same time for all secrets. `cargo xtask ct`
//! builds the guest and starts this.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use host_tests::ct::{Effort, Finding, Guest, LIMIT};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ct: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, and says whether all was as expected.
fn run() -> Result<bool> {
    let Arguments { guest, effort, names } = Arguments::read(std::env::args().skip(1))?;
    let mut guest = Guest::new(&guest)?;
    let operations = guest.operations(&names)?;
    println!("{}", head());
    let mut good = true;
    for operation in &operations {
        let finding = guest.measure(operation, effort)?;
        good &= finding.is_expected();
        println!("{}", row(&finding));
    }
    println!("\n|t| below {LIMIT} is expected, and more of the operations whose names begin with \"leaky\"");
    Ok(good)
}

struct Arguments {
    guest: PathBuf,
    effort: Effort,
    names: Vec<String>,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let guest = words.next().context("usage: ct GUEST.wasm [--measurements N] [OPERATION…]")?.into();
        let mut arguments = Arguments { guest, effort: SHORT, names: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--measurements" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    let measurements = number.context("--measurements needs a number")?;
                    arguments.effort = Effort { measurements, time: Duration::MAX };
                }
                word if word.starts_with('-') => bail!("there is no option {word}"),
                _ => arguments.names.push(word),
            }
        }
        Ok(arguments)
    }
}

fn head() -> String {
    format!(
        "{:<24}{:<48}{:>12}{:>11}{:>12}{:>9}  verdict",
        "operation", "classes", "measurements", "median", "difference", "t"
    )
}

fn row(finding: &Finding) -> String {
    let Finding { operation, measurements, median, difference } = finding;
    let classes = operation.classes.join(" / ");
    let (nanoseconds, t) = (format!("{:.1} ns", difference.nanoseconds), difference.t);
    let median = format!("{:.2} µs", median.as_nanos() as f64 / 1000.0);
    format!(
        "{:<24}{classes:<48}{measurements:>12}{median:>11}{nanoseconds:>12}{t:>9.2}  {}",
        operation.name,
        finding.verdict()
    )
}

/// Unless a number is asked for.
const SHORT: Effort = Effort { measurements: 1_000_000, time: Duration::from_secs(10) };
