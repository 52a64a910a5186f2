//! A component of the world `guest-tls:bench/figures` in wasmtime, with what `wasi:cli` commands have and no more.

use std::path::Path;

use anyhow::{Result, anyhow};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    #![allow(missing_docs, unreachable_pub)]
    wasmtime::component::bindgen!({ path: "../figures/wit", world: "figures" });
}
pub(crate) use bindings::Figure;

/// An instance.
pub(crate) struct Guest {
    store: Store<State>,
    world: bindings::Figures,
}

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

impl Guest {
    /// An instance of the component in this file, and what it can do.
    pub(crate) fn load(path: &Path) -> Result<(Self, Vec<Figure>)> {
        let engine = Engine::default();
        let component = Component::from_file(&engine, path).map_err(error)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(error)?;
        let ctx = WasiCtx::builder().inherit_stderr().build();
        let mut store = Store::new(&engine, State { ctx, table: ResourceTable::new() });
        let world = bindings::Figures::instantiate(&mut store, &component, &linker).map_err(error)?;
        let figures = world.call_all(&mut store).map_err(error)?;
        Ok((Self { store, world }, figures))
    }

    /// Does a figure so many times.
    pub(crate) fn run(&mut self, index: usize, iterations: u64) -> Result<()> {
        self.world.call_run(&mut self.store, index as u32, iterations).map_err(error)
    }
}

fn error(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}
