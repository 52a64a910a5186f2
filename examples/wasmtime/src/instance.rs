//! An instance of the component, and all that it has.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime::{ResourceLimiter, Store, Trap};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::{clocks, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::bindings::Tls;
use crate::host::Compiled;

/// An instance. It does one call at a time. After a trap it is of no use any more.
pub struct Instance {
    store: Store<State>,
    world: Tls,
    /// Who makes time pass for it.
    compiled: Arc<Compiled>,
}

/// What an instance has: its streams and pollables, a clock, randomness, and a limit to its memory. No more.
pub struct State {
    table: ResourceTable,
    clocks: WasiClocksCtx,
    random: WasiRandomCtx,
    pub(crate) memory: Memory,
}

impl Instance {
    pub(crate) async fn new(compiled: &Arc<Compiled>) -> wasmtime::Result<Instance> {
        let (store, world) = compiled.instantiate().await?;
        Ok(Instance { store, world, compiled: Arc::clone(compiled) })
    }

    /// For calls of what it exports, which trap when they have taken longer than [`Limits::turn`](crate::Limits::turn) together.
    pub fn enter(&mut self) -> (&mut Store<State>, &Tls) {
        self.enter_for(self.compiled.options.limits.turn)
    }

    /// As [`enter`](Self::enter), for calls that make a context: they have [`Limits::context`](crate::Limits::context).
    pub fn enter_for_context(&mut self) -> (&mut Store<State>, &Tls) {
        self.enter_for(self.compiled.options.limits.context)
    }

    /// Bytes of linear memory that it has now.
    pub fn memory(&self) -> usize {
        self.store.data().memory.used
    }

    /// The streams and pollables that it has a handle to.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.store.data_mut().table
    }

    /// What a trap means, in words for users.
    pub(crate) fn explain(&self, trap: &wasmtime::Error) -> String {
        let limits = &self.compiled.options.limits;
        match trap.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => {
                format!("a call took longer than it may ({:?}; {:?} for a context)", limits.turn, limits.context)
            }
            _ if self.store.data().memory.refused => {
                format!("it wanted more memory than it may have ({} bytes)", limits.memory)
            }
            Some(trap) => format!("it trapped ({trap}), which is a fault of the component: please report it"),
            None => format!("{trap:#}"),
        }
    }

    fn enter_for(&mut self, time: Duration) -> (&mut Store<State>, &Tls) {
        self.store.set_epoch_deadline(self.compiled.ticks(time));
        (&mut self.store, &self.world)
    }
}

impl State {
    /// Nothing yet, with a limit to the bytes of memory.
    pub(crate) fn new(limit: usize) -> State {
        State {
            table: ResourceTable::new(),
            clocks: WasiClocksCtx::default(),
            random: WasiRandomCtx::default(),
            memory: Memory { limit, used: 0, refused: false },
        }
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
    /// Whether it wanted more than it may have.
    refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used - current + desired;
        let allowed = used <= self.limit;
        if allowed {
            self.used = used;
        } else {
            self.refused = true;
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
