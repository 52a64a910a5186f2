//! The compiled component, and the pool of its instances.

use std::convert::Infallible;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};

use crate::bindings::TlsPre;
use crate::error::Error;
use crate::instance::{Instance, State, link};
use crate::pool::Pool;

/// The compiled component with a pool of instances. Cloning is cheap and gives another handle to the same.
#[derive(Clone)]
pub struct Host {
    compiled: Arc<Compiled>,
    pool: Arc<OnceLock<Result<Pool, Error>>>,
}

/// How a [`Host`] is made.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// How many instances there are at most, each with a thread of its own. Default: the number of processors.
    pub instances: NonZero<usize>,
    /// What each instance may take.
    pub limits: Limits,
    /// A folder, an absolute path, for what wasmtime compiled, which saves some seconds at the next start. Whoever can write to it can
    /// run code in this process. Default: none.
    pub cache: Option<PathBuf>,
}

/// What an instance may take before it traps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of linear memory. Default: 256 MiB. An instance begins with some 2 MiB; a connection takes 50 to 200 KiB.
    pub memory: usize,
    /// How long the guest may take for one turn of a connection, in which it moves at most 128 KiB each way. It is time on the clock, so
    /// that a machine with much to do needs more. Default: 10 s, while a handshake with RSA of 4096 bits takes some 50 ms.
    pub turn: Duration,
    /// How long it may take to make a context: keys may be encrypted by a key derivation that takes seconds. Default: 60 s.
    pub context: Duration,
}

/// What all instances are made of.
pub(crate) struct Compiled {
    engine: Engine,
    component: Component,
    pre: TlsPre<State>,
    pub(crate) options: HostOptions,
    tick: Duration,
    /// The thread that advances the epoch ends when this is dropped.
    _ticker: mpsc::Sender<Infallible>,
}

impl Host {
    /// A host of this component, with the default options. Compiling takes a second or more on all processors.
    /// Error: [`Error::Component`], also where the component wants more than it may have.
    pub fn new(component: &[u8]) -> Result<Host, Error> {
        Host::with_options(component, HostOptions::default())
    }

    /// As [`new`](Host::new), with these options.
    pub fn with_options(component: &[u8], options: HostOptions) -> Result<Host, Error> {
        let engine = engine(&options)?;
        let component = Component::from_binary(&engine, component).map_err(not_run)?;
        Host::of(engine, component, options)
    }

    /// What this host compiled, for [`deserialize`](Host::deserialize).
    pub fn serialize(&self) -> Result<Vec<u8>, Error> {
        self.compiled.component.serialize().map_err(not_run)
    }

    /// A host of what [`serialize`](Host::serialize) gave, which starts in milliseconds.
    /// Error: [`Error::Component`] where another version of wasmtime, another configuration or another kind of processor gave it.
    ///
    /// # Safety
    ///
    /// The bytes are machine code, which is not checked: they must be, unchanged, what `serialize` gave. Keep them where nobody can
    /// write who may not run code in this process.
    #[allow(unsafe_code, reason = "the caller vouches for the bytes")]
    pub unsafe fn deserialize(compiled: &[u8], options: HostOptions) -> Result<Host, Error> {
        let engine = engine(&options)?;
        // SAFETY: that of this function.
        let component = unsafe { Component::deserialize(&engine, compiled) }.map_err(not_run)?;
        Host::of(engine, component, options)
    }

    /// The same compiled component with instances of its own: connections of the one host can't reach those of the other.
    pub fn isolated(&self) -> Host {
        Host { compiled: Arc::clone(&self.compiled), pool: Arc::default() }
    }

    /// A new instance that belongs to the caller and not to the pool: for who wants to call the contract itself.
    pub async fn instance(&self) -> Result<Instance, Error> {
        Instance::new(&self.compiled).await.map_err(not_run)
    }

    /// The names of all that the component imports.
    pub fn imports(&self) -> Vec<String> {
        let (ty, engine) = (self.compiled.component.component_type(), &self.compiled.engine);
        ty.imports(engine).map(|(name, _)| name.to_string()).collect()
    }

    /// The names of all that the component exports, with the items in them.
    pub fn exports(&self) -> Vec<(String, Vec<String>)> {
        let (ty, engine) = (self.compiled.component.component_type(), &self.compiled.engine);
        ty.exports(engine)
            .map(|(name, item)| {
                let items = match item.ty {
                    ComponentItem::ComponentInstance(instance) => {
                        instance.exports(engine).map(|(name, _)| name.to_string()).collect()
                    }
                    _ => Vec::new(),
                };
                (name.to_string(), items)
            })
            .collect()
    }

    /// The pool, which is started by who needs it first.
    pub(crate) fn pool(&self) -> Result<&Pool, Error> {
        self.pool.get_or_init(|| Pool::new(&self.compiled)).as_ref().map_err(Error::clone)
    }

    fn of(engine: Engine, component: Component, options: HostOptions) -> Result<Host, Error> {
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(not_run)?;
        let pre = linker.instantiate_pre(&component).and_then(TlsPre::new).map_err(not_run)?;
        let tick = (options.limits.turn / TICKS_PER_TURN).clamp(TICK_MIN, TICK_MAX);
        let ticker = ticker(engine.clone(), tick)?;
        let compiled = Compiled { engine, component, pre, options, tick, _ticker: ticker };
        Ok(Host { compiled: Arc::new(compiled), pool: Arc::default() })
    }
}

impl Compiled {
    /// A store with the limits of the options, and a new instance in it.
    pub(crate) async fn instantiate(&self) -> wasmtime::Result<(Store<State>, crate::bindings::Tls)> {
        let mut store = Store::new(&self.engine, State::new(self.options.limits.memory));
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(self.ticks(self.options.limits.context));
        let world = self.pre.instantiate_async(&mut store).await?;
        Ok((store, world))
    }

    /// So many ticks that at least this time passes.
    pub(crate) fn ticks(&self, time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(self.tick.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).min(u64::MAX / 2) + 1
    }
}

impl Default for HostOptions {
    fn default() -> HostOptions {
        let instances = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        HostOptions { instances, limits: Limits::default(), cache: None }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: 256 << 20, turn: Duration::from_secs(10), context: Duration::from_secs(60) }
    }
}

fn engine(options: &HostOptions) -> Result<Engine, Error> {
    let mut config = Config::new();
    config.parallel_compilation(true);
    config.epoch_interruption(true);
    if let Some(folder) = &options.cache {
        let mut cache = CacheConfig::new();
        cache.with_directory(folder);
        config.cache(Some(Cache::new(cache).map_err(not_run)?));
    }
    Engine::new(&config).map_err(not_run)
}

/// Starts the thread by which time passes for the guests of this engine.
fn ticker(engine: Engine, tick: Duration) -> Result<mpsc::Sender<Infallible>, Error> {
    let (sender, ended) = mpsc::channel();
    let tick = move || {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(tick) {
            engine.increment_epoch();
        }
    };
    let started = thread::Builder::new().name("guest-tls-epoch".to_string()).spawn(tick);
    started.map_err(|error| Error::Component(format!("no thread for its deadlines: {error}")))?;
    Ok(sender)
}

fn not_run(error: wasmtime::Error) -> Error {
    Error::Component(format!("{error:?}"))
}

/// How finely the time of a turn is measured, within the two bounds below.
const TICKS_PER_TURN: u32 = 8;
const TICK_MIN: Duration = Duration::from_millis(1);
/// Ten wake-ups a second are nothing, and limits are in seconds.
const TICK_MAX: Duration = Duration::from_millis(100);
