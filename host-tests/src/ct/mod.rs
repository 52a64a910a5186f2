//! Whether the time of an operation depends on a secret: dudect's test (O. Reparaz, J. Balasch, I. Verbauwhede, "dude, is my code constant
//! time?", 2017) on the guest in `host-tests/ct`, in wasmtime.
//!
//! The guest makes inputs of two classes, in an order that we draw. We take the time of each run, and Welch's t-test says whether the
//! times of the classes have different means: see [`statistics`]. docs/constant-time.md says what the result means.

pub mod statistics;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use wasmtime::Store;

use crate::host;
use crate::paths;
use crate::wasi::{self, Parts, Wasi};
use statistics::{Class, Difference, Measurement, largest_difference};

#[allow(missing_docs, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({ path: "ct/wit", world: "ct" });
}

/// An instance of the guest.
pub struct Guest {
    store: Store<Wasi>,
    world: bindings::Ct,
    operations: Vec<Operation>,
}

/// An operation of the guest.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its place in the guest's list.
    index: u32,
    /// Its name.
    pub name: String,
    /// What sets the two classes of inputs apart.
    pub classes: [String; 2],
    /// Whether it leaks on purpose.
    pub leaks: bool,
}

/// How much is measured of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many measurements at most.
    pub measurements: usize,
    /// How long at most, with the making of the inputs.
    pub time: Duration,
}

/// What the times of an operation say.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The operation.
    pub operation: Operation,
    /// How many measurements count.
    pub measurements: usize,
    /// The median of all times.
    pub median: Duration,
    /// The difference of the cut that has the largest t.
    pub difference: Difference,
}

impl Guest {
    /// Compiles the component and makes an instance of it.
    pub fn new(path: &Path) -> Result<Guest> {
        let loaded = wasi::load(path);
        let Parts { mut store, component, linker } =
            loaded.with_context(|| format!("no guest at {} (cargo xtask ct makes it)", path.display()))?;
        let world = bindings::Ct::instantiate(&mut store, &component, &linker).map_err(host::error)?;
        let listed = world.call_operations(&mut store).map_err(host::error)?;
        let operations = (0..).zip(listed).map(|(index, listed)| Operation {
            index,
            name: listed.name,
            classes: [listed.classes.0, listed.classes.1],
            leaks: listed.leaks,
        });
        Ok(Guest { operations: operations.collect(), store, world })
    }

    /// The operations with these names, in the guest's order; all if there is no name. The twins that leak are always among them.
    pub fn operations(&self, names: &[String]) -> Result<Vec<Operation>> {
        if let Some(unknown) = names.iter().find(|name| self.operations.iter().all(|known| known.name != **name)) {
            let known: Vec<_> = self.operations.iter().map(|operation| operation.name.as_str()).collect();
            bail!("there is no operation {unknown:?}; there are {}", known.join(", "));
        }
        let chosen = |operation: &&Operation| operation.leaks || names.is_empty() || names.contains(&operation.name);
        Ok(self.operations.iter().filter(chosen).cloned().collect())
    }

    /// Measures an operation.
    pub fn measure(&mut self, operation: &Operation, effort: Effort) -> Result<Finding> {
        let started = Instant::now();
        // What warms the caches and the guest's heap does not count.
        self.batch(operation, BATCH.min(effort.measurements))?;
        let mut measured = Vec::new();
        while measured.len() < effort.measurements && (measured.is_empty() || started.elapsed() < effort.time) {
            measured.extend(self.batch(operation, BATCH.min(effort.measurements - measured.len()))?);
        }
        let difference = largest_difference(&mut measured);
        let median = measured.get(measured.len() / 2).map_or(0, |measurement| measurement.nanoseconds);
        Ok(Finding {
            operation: operation.clone(),
            measurements: measured.len(),
            median: Duration::from_nanos(median),
            difference,
        })
    }

    /// The times of runs with inputs of classes in a random order.
    fn batch(&mut self, operation: &Operation, size: usize) -> Result<Vec<Measurement>> {
        let random = RandomState::new();
        let second_class: Vec<bool> = (0..size).map(|at| random.hash_one(at) & 1 == 1).collect();
        let (store, world) = (&mut self.store, &self.world);
        world.call_prepare(&mut *store, operation.index, random.hash_one(size), &second_class).map_err(host::error)?;
        let mut times = Vec::with_capacity(size);
        let mut good = true;
        for index in 0..size as u32 {
            let started = Instant::now();
            let went = world.call_run(&mut *store, index);
            let time = started.elapsed();
            good &= matches!(went, Ok(true));
            times.push(time.as_nanos() as u64);
        }
        ensure!(good, "{}: a run did not go as it must, so that its time says nothing", operation.name);
        let measured = times.into_iter().zip(second_class).map(|(nanoseconds, second)| Measurement {
            class: if second { Class::Second } else { Class::First },
            nanoseconds,
        });
        Ok(measured.collect())
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("operations", &self.operations).finish_non_exhaustive()
    }
}

impl Finding {
    /// Whether the times tell the classes apart.
    pub fn is_leak(&self) -> bool {
        self.difference.t.abs() >= LIMIT
    }

    /// Whether that is as it must be: only the twins that leak on purpose may, and they must.
    pub fn is_expected(&self) -> bool {
        self.is_leak() == self.operation.leaks
    }

    /// It in a word or two.
    pub fn verdict(&self) -> &'static str {
        match (self.operation.leaks, self.is_leak()) {
            (false, false) => "no difference found",
            (false, true) => "DIFFERENT TIMES",
            (true, true) => "leak found, as it must be",
            (true, false) => "LEAK NOT FOUND",
        }
    }
}

/// Where the guest is: where `cargo xtask ct` and `cargo xtask test` put it.
pub fn guest_path() -> PathBuf {
    paths::target().join("components/ct.wasm")
}

/// Times whose |t| is at least this are different: by chance it happens in less than one operation of a hundred
/// thousand, all cuts taken together.
pub const LIMIT: f64 = 5.0;

/// For how many runs inputs are made at a time.
const BATCH: usize = 500;
