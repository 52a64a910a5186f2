//! What a guest that is not the product has of WASI: whatever its context gives it. The product itself gets less: see [`host`].

use std::path::Path;

use anyhow::Result;
use wasmtime::Store;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::host::{self, error};

/// The state of such a guest's store.
pub struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl Wasi {
    /// With this context, and no resources yet.
    pub fn new(ctx: WasiCtx) -> Wasi {
        Wasi { ctx, table: ResourceTable::new() }
    }
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

/// What an instance is made of.
pub struct Parts {
    /// Where it will live.
    pub store: Store<Wasi>,
    /// The component, compiled.
    pub component: Component,
    /// All of WASI 0.2, synchronous.
    pub linker: Linker<Wasi>,
}

/// Compiles the component in this file, for an instance that may write to standard error and has no files and no network.
pub fn load(path: &Path) -> Result<Parts> {
    let engine = host::engine()?;
    let component = Component::from_file(&engine, path).map_err(error)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).map_err(error)?;
    let store = Store::new(&engine, Wasi::new(WasiCtx::builder().inherit_stderr().build()));
    Ok(Parts { store, component, linker })
}
