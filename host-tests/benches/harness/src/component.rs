//! A component of the world `guest-tls:bench/figures` in wasmtime, with what `wasi:cli` commands have and no more.

use std::path::Path;

use anyhow::Result;
use host_tests::host::error;
use host_tests::wasi::{self, Parts, Wasi};
use wasmtime::Store;

mod bindings {
    #![allow(missing_docs, unreachable_pub)]
    wasmtime::component::bindgen!({ path: "../figures/wit", world: "figures" });
}
pub(crate) use bindings::Figure;

/// An instance.
pub(crate) struct Guest {
    store: Store<Wasi>,
    world: bindings::Figures,
}

impl Guest {
    /// An instance of the component in this file, and what it can do.
    pub(crate) fn load(path: &Path) -> Result<(Self, Vec<Figure>)> {
        let Parts { mut store, component, linker } = wasi::load(path)?;
        let world = bindings::Figures::instantiate(&mut store, &component, &linker).map_err(error)?;
        let figures = world.call_all(&mut store).map_err(error)?;
        Ok((Self { store, world }, figures))
    }

    /// Does a figure so many times.
    pub(crate) fn run(&mut self, index: usize, iterations: u64) -> Result<()> {
        self.world.call_run(&mut self.store, index as u32, iterations).map_err(error)
    }
}
