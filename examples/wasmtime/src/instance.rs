//! An instance of the component, and all that it has.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::{clocks, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::bindings::Tls;

/// An instance. It does one call at a time.
pub struct Instance {
    /// Its memory, and what the host keeps for it.
    pub store: Store<State>,
    /// What it exports.
    pub world: Tls,
}

/// What an instance has: its streams and pollables, a clock, randomness, and a limit to its memory. No more.
pub struct State {
    pub(crate) table: ResourceTable,
    clocks: WasiClocksCtx,
    random: WasiRandomCtx,
    pub(crate) memory: Memory,
}

impl State {
    /// Nothing yet, with a limit to the bytes of memory.
    pub(crate) fn new(limit: usize) -> State {
        State {
            table: ResourceTable::new(),
            clocks: WasiClocksCtx::default(),
            random: WasiRandomCtx::default(),
            memory: Memory { limit, used: 0 },
        }
    }

    /// Bytes of linear memory that the instance has now.
    pub fn memory(&self) -> usize {
        self.memory.used
    }

    /// The streams and pollables that the instance has a handle to.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// Adds the interfaces of the world `guest:tls/tls`, one by one: nothing else is there to be imported.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<State, Io>(linker, |state| &mut state.table)?;
    io::poll::add_to_linker::<State, Io>(linker, |state| &mut state.table)?;
    io::streams::add_to_linker::<State, Io>(linker, |state| &mut state.table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, clocks_of)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(linker, clocks_of)?;
    random::random::add_to_linker::<State, WasiRandom>(linker, |state| &mut state.random)?;
    // The seed of the standard library's hash maps.
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, |state| &mut state.random)
}

fn clocks_of(state: &mut State) -> WasiClocksCtxView<'_> {
    WasiClocksCtxView { ctx: &mut state.clocks, table: &mut state.table }
}

/// Bytes of linear memory of an instance.
pub(crate) struct Memory {
    limit: usize,
    used: usize,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used - current + desired;
        let allowed = used <= self.limit;
        if allowed {
            self.used = used;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_LIMIT)
    }
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Entries of a function table.
const TABLE_LIMIT: usize = 100_000;
