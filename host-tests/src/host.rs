//! One engine, one compiled component, and the only interfaces that it may import.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasData, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, ResourceLimiter, Store};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::{clocks, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomCtx};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::bindings::TlsPre;
use crate::paths;
use crate::tls::Tls;

/// The compiled component, ready to be instantiated as often as one likes.
pub struct Host {
    engine: Engine,
    component: Component,
    pre: TlsPre<State>,
}

/// What an instance has: its streams and pollables, a clock, randomness, and a limit to its memory. No more.
pub struct State {
    pub(crate) table: ResourceTable,
    clocks: WasiClocksCtx,
    random: WasiRandomCtx,
    memory: Memory,
}

impl Host {
    /// The process's host of [`component_path`]. Compiles once in a process, and once in all for the same bytes.
    pub fn shared() -> Result<&'static Host> {
        static HOST: OnceLock<Result<Host, String>> = OnceLock::new();
        HOST.get_or_init(|| {
            let path = component_path();
            let read = std::fs::read(&path)
                .with_context(|| format!("no component at {} (cargo xtask build makes it)", path.display()));
            read.and_then(|bytes| Host::new(&bytes)).map_err(|error| format!("{error:#}"))
        })
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// A host of this component. Fails if the component wants more than it may have.
    pub fn new(component: &[u8]) -> Result<Host> {
        let engine = engine()?;
        let component = Component::from_binary(&engine, component).map_err(error)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(error)?;
        let pre = linker.instantiate_pre(&component).and_then(TlsPre::new).map_err(error)?;
        Ok(Host { engine, component, pre })
    }

    /// A new instance, with the usual limit to its memory.
    pub async fn instance(&self) -> Result<Tls> {
        self.instance_with_memory(MEMORY_LIMIT).await
    }

    /// A new instance that may have this many bytes of memory.
    pub async fn instance_with_memory(&self, limit: usize) -> Result<Tls> {
        let state = State {
            table: ResourceTable::new(),
            clocks: WasiClocksCtx::default(),
            random: WasiRandomCtx::default(),
            memory: Memory { limit, used: 0 },
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.memory);
        let world = self.pre.instantiate_async(&mut store).await.map_err(error)?;
        Ok(Tls::new(store, world))
    }

    /// The names of all that the component imports.
    pub fn imports(&self) -> Vec<String> {
        self.component.component_type().imports(&self.engine).map(|(name, _)| name.to_string()).collect()
    }

    /// The names of all that the component exports, with the items in them.
    pub fn exports(&self) -> Vec<(String, Vec<String>)> {
        let ty = self.component.component_type();
        ty.exports(&self.engine)
            .map(|(name, item)| {
                let items = match item.ty {
                    ComponentItem::ComponentInstance(instance) => {
                        instance.exports(&self.engine).map(|(name, _)| name.to_string()).collect()
                    }
                    _ => Vec::new(),
                };
                (name.to_string(), items)
            })
            .collect()
    }
}

impl State {
    /// Bytes of linear memory that the instance has now.
    pub(crate) fn memory(&self) -> usize {
        self.memory.used
    }
}

/// Where the component is: `GUEST_TLS_COMPONENT`, or where `cargo xtask build` puts it.
pub fn component_path() -> PathBuf {
    match std::env::var_os("GUEST_TLS_COMPONENT") {
        Some(path) => path.into(),
        None => paths::target().join("components/guest-tls.wasm"),
    }
}

/// An engine that compiles in parallel and keeps what it compiled below the target folder.
pub fn engine() -> Result<Engine> {
    let mut cache = CacheConfig::new();
    cache.with_directory(paths::target().join("wasmtime-cache"));
    let mut config = Config::new();
    config.cache(Some(Cache::new(cache).map_err(error)?));
    config.parallel_compilation(true);
    Engine::new(&config).map_err(error)
}

/// Adds the interfaces of the world `guest:tls/tls`, one by one: nothing else is there to be imported.
fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
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

/// wasmtime's error as one of ours, with its causes.
pub fn error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

/// Bytes of linear memory of an instance.
struct Memory {
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

/// Enough for any number of connections that the tests have at once, too little for a leak to go on for long.
const MEMORY_LIMIT: usize = 256 << 20;

/// Entries of a function table.
const TABLE_LIMIT: usize = 100_000;
