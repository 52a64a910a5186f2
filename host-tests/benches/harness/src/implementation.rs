//! One implementation: a component in wasmtime, or Rust in this process. Criterion has the clock.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use bench_figures::Figures;
use criterion::{BenchmarkId, Criterion};
use serde::Deserialize;

use crate::component::Guest;
use crate::table::Measured;

/// Something that has figures.
pub(crate) struct Implementation {
    name: String,
    figures: Vec<Named>,
    runner: Runner,
}

struct Named {
    name: String,
    unit: String,
    amount: f64,
}

enum Runner {
    Component(Guest),
    Native(Figures),
}

impl Implementation {
    /// A component of the world `guest-tls:bench/figures`.
    pub(crate) fn component(name: &str, path: &Path) -> Result<Self> {
        let (guest, figures) = Guest::load(path).with_context(|| format!("the component {}", path.display()))?;
        let named =
            |figure: crate::component::Figure| Named { name: figure.name, unit: figure.unit, amount: figure.amount };
        let figures = figures.into_iter().map(named).collect();
        Ok(Self { name: name.to_string(), figures, runner: Runner::Component(guest) })
    }

    /// Rust in this process.
    pub(crate) fn native(name: &str, figures: Figures) -> Self {
        let named = |figure: &bench_figures::Figure| Named {
            name: figure.name.clone(),
            unit: figure.unit.to_string(),
            amount: figure.amount,
        };
        Self { name: name.to_string(), figures: figures.0.iter().map(named).collect(), runner: Runner::Native(figures) }
    }

    /// What it can do.
    pub(crate) fn names(&self) -> Vec<String> {
        self.figures.iter().map(|figure| figure.name.clone()).collect()
    }

    fn run(&mut self, index: usize, iterations: u64) {
        match &mut self.runner {
            Runner::Native(figures) => figures.0[index].run(iterations),
            // Criterion has no way to end by an error; what the guest panicked about is in it.
            Runner::Component(guest) => {
                guest.run(index, iterations).unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
            }
        }
    }
}

/// Measures one figure of all that have it, in turns, some rounds of them.
///
/// What else a machine does can only add time, and it comes and goes: the best round counts.
pub(crate) fn measure(
    criterion: &mut Criterion,
    name: &str,
    implementations: &mut [Implementation],
    rounds: usize,
) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = Vec::new();
    let mut group = criterion.benchmark_group(name);
    for round in 1..=rounds {
        for implementation in &mut *implementations {
            let Some(index) = implementation.figures.iter().position(|figure| figure.name == name) else { continue };
            let id = format!("{} {round}", implementation.name);
            group.bench_function(BenchmarkId::from_parameter(&id), |bencher| {
                bencher.iter_custom(|iterations| {
                    let started = Instant::now();
                    implementation.run(index, iterations);
                    started.elapsed()
                });
            });
            let figure = &implementation.figures[index];
            let Estimate { point_estimate, confidence_interval: interval } =
                estimate(name, &id).with_context(|| format!("what criterion kept of {name}"))?;
            // Of nanoseconds an iteration; the longest time is the lowest rate.
            let rate = |nanoseconds: f64| figure.amount * 1e9 / nanoseconds;
            let now = Measured {
                figure: name.to_string(),
                implementation: implementation.name.clone(),
                unit: figure.unit.clone(),
                value: rate(point_estimate),
                low: Some(rate(interval.upper_bound)),
                high: Some(rate(interval.lower_bound)),
            };
            match measured.iter_mut().find(|one| one.implementation == now.implementation) {
                Some(best) if best.value >= now.value => {}
                Some(best) => *best = now,
                None => measured.push(now),
            }
        }
    }
    group.finish();
    Ok(measured)
}

/// The median that criterion has found, and where it lies with a confidence of 95 %.
fn estimate(group: &str, id: &str) -> Result<Estimate> {
    let folder = std::env::var_os("CRITERION_HOME").map_or_else(|| PathBuf::from("target/criterion"), PathBuf::from);
    let path = folder.join(directory_name(group)).join(directory_name(id)).join("new/estimates.json");
    let text = std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    let estimates: Estimates = serde_json::from_slice(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    Ok(estimates.median)
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

/// How criterion names a folder: what a file system might not take is another character, and no more than 64 of them.
fn directory_name(name: &str) -> String {
    let name: String = name.chars().map(|c| if "?\"/\\*<>:|^".contains(c) { '_' } else { c }).collect();
    name.chars().take(64).collect::<String>().trim_end().to_string()
}
