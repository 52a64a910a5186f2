//! TLS terminators under load on 127.0.0.1, one after the other: the proxy of examples/cli beside stunnel, hitch and nginx.
//!
//! `cargo xtask load` gets what is needed and starts this. The load is made by `openssl s_time` (connections), `wrk` (requests and bytes)
//! and [`hold`] (idle connections). Load and server share one machine, so what counts is the work for each second of the *server's own*
//! processor time, as the kernel accounts it to the server's processes.
//!
//! [`terminators`] starts the servers, [`process`] knows their processor time and memory and ends them, [`measure`] makes the figures,
//! and [`table`] writes them down.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use crate::measure::{Figures, Plan};
use crate::place::Place;
use crate::terminators::{Backend, Terminator};

mod hold;
mod measure;
mod place;
mod process;
mod table;
mod terminators;

/// Measures TLS terminators under load; `cargo xtask load` starts this.
#[derive(Parser)]
struct Arguments {
    /// The program wasmtime; guest-tls is left out without it
    #[arg(long, value_name = "FILE", requires = "component")]
    wasmtime: Option<PathBuf>,
    /// The composed, precompiled examples/cli
    #[arg(long, value_name = "FILE", requires = "wasmtime")]
    component: Option<PathBuf>,
    /// Only these; default: all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How long each figure is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=8))]
    seconds: u64,
    /// At how many idle connections memory is measured, ascending
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_values_t = [1_000, 10_000])]
    idle: Vec<usize>,
    /// Where the tables go, besides standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A folder for what the servers read, deleted at the end
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let place = Place::make(&arguments.folder)?;
    let mut terminators = vec![Terminator::Stunnel, Terminator::Hitch, Terminator::Nginx];
    if let (Some(wasmtime), Some(component)) = (&arguments.wasmtime, &arguments.component) {
        let [wasmtime, component] = [wasmtime, component].map(std::path::absolute);
        terminators.push(Terminator::GuestTls { wasmtime: wasmtime?, component: component? });
    }
    terminators.retain(|one| arguments.only.is_empty() || arguments.only.iter().any(|name| name == one.name()));
    anyhow::ensure!(!terminators.is_empty(), "there is none of the name {}", arguments.only.join(", "));

    let backend = Backend::start(&place)?;
    let plan = Plan::new(Duration::from_secs(arguments.seconds), &arguments.idle, place.open_files);
    let mut all = Vec::new();
    for terminator in &terminators {
        all.push(Figures::measure(&place, &backend, terminator, &plan)?);
    }
    let text = table::markdown(&all, &plan, &place)?;
    print!("{text}");
    if let Some(output) = &arguments.output {
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
        }
        fs::write(output, &text).with_context(|| format!("can't write {}", output.display()))?;
    }
    let failed: Vec<_> = all.iter().flat_map(Figures::failures).collect();
    failed.iter().for_each(|failure| eprintln!("error: {failure}"));
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
