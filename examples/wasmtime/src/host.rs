//! The compiled component, and the pool of its instances.

use std::convert::Infallible;
use std::num::NonZero;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use crate::bindings::TlsPre;
use crate::cache::CompiledCache;
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
    /// How many instances connections are spread over, each with a thread of its own. Default: the number of processors.
    pub instances: NonZero<usize>,
    /// How many instances there are at most. Those beyond `instances` are made where all others are full, and end with their last
    /// connection. Fewer than `instances` counts as that many. Default: 16, or the number of processors if that is more.
    pub instances_max: NonZero<usize>,
    /// What each instance may take.
    pub limits: Limits,
    /// Where to keep what wasmtime compiled, so that only the first start compiles. Default: a folder of the user.
    pub cache: CompiledCache,
}

/// What an instance of a host has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceLoad {
    /// How many connections, with those that begin.
    pub connections: usize,
    /// Bytes of linear memory. They grow and never shrink, since wasm can't give memory back; 0 where there is no instance yet.
    pub memory: usize,
}

/// What an instance may take before it traps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of linear memory. Default: 256 MiB. An instance begins with some 2 MiB.
    pub memory: usize,
    /// How many connections an instance has at most. Default: as many as its memory holds if each takes the most that it can, which is
    /// 504 with 256 MiB. With more of them, peers can make the instance trap by what they send, which ends all its connections.
    pub connections: Option<usize>,
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
    /// Makes a host of this component, with the default options.
    ///
    /// Compiling takes a second or more on all processors, and far longer where wasmtime's compiler is not optimised, as in a program's
    /// profile `dev`; see [`CompiledCache`]. It blocks: call it before the runtime has work, or by `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: the bytes are no component, or it wants more than it may have.
    pub fn new(component: &[u8]) -> Result<Host, Error> {
        Host::with_options(component, HostOptions::default())
    }

    /// Makes a host of this component, with these options, as [`new`](Host::new) does.
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: as for [`new`](Host::new), or the folder of the cache can't be used.
    pub fn with_options(component: &[u8], options: HostOptions) -> Result<Host, Error> {
        let engine = engine(&options)?;
        let component = Component::from_binary(&engine, component).map_err(not_run)?;
        Host::of(engine, component, options)
    }

    /// Returns what this host compiled, for [`deserialize`](Host::deserialize).
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: wasmtime can't write it down.
    pub fn serialize(&self) -> Result<Vec<u8>, Error> {
        self.compiled.component.serialize().map_err(not_run)
    }

    /// Makes a host of what [`serialize`](Host::serialize) gave, which takes milliseconds. wasmtime checks that the same version with the
    /// same configuration wrote it, for this kind of processor; it can't check who did.
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: another version of wasmtime, another configuration or another kind of processor gave it.
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

    /// Returns the same compiled component with instances of its own: connections of the one host can't reach those of the other.
    pub fn isolated(&self) -> Host {
        Host { compiled: Arc::clone(&self.compiled), pool: Arc::default() }
    }

    /// Makes an instance that belongs to the caller and not to the pool: for who wants to call the contract itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the instance. It can be called again.
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: the instance wants more memory than it may have, or can't be made.
    pub async fn instance(&self) -> Result<Instance, Error> {
        Instance::new(&self.compiled).await.map_err(not_run)
    }

    /// Returns what each instance of the pool has, for monitoring: none before the first context was made.
    pub fn loads(&self) -> Vec<InstanceLoad> {
        match self.pool.get() {
            Some(Ok(pool)) => pool.loads(),
            _ => Vec::new(),
        }
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
        HostOptions {
            instances,
            instances_max: instances.max(INSTANCES_MAX),
            limits: Limits::default(),
            cache: CompiledCache::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: 256 << 20, connections: None, turn: Duration::from_secs(10), context: Duration::from_secs(60) }
    }
}

impl Limits {
    /// How many connections an instance has at most.
    pub(crate) fn connections(&self) -> usize {
        self.connections.unwrap_or_else(|| (self.memory.saturating_sub(INSTANCE) / CONNECTION).max(1))
    }
}

fn engine(options: &HostOptions) -> Result<Engine, Error> {
    let mut config = Config::new();
    config.parallel_compilation(true);
    config.epoch_interruption(true);
    config.cache(options.cache.open()?);
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

pub(crate) fn not_run(error: wasmtime::Error) -> Error {
    Error::Component(format!("{error:?}"))
}

/// How finely the time of a turn is measured, within the two bounds below.
const TICKS_PER_TURN: u32 = 8;
const TICK_MIN: Duration = Duration::from_millis(1);
/// Ten wake-ups a second are nothing, and limits are in seconds.
const TICK_MAX: Duration = Duration::from_millis(100);

/// Bytes of memory of an instance with contexts and sessions and without connections.
const INSTANCE: usize = 4 << 20;

/// The most bytes of memory that a connection takes. Some 120 KiB were measured where all its buffers are full (tests/pool.rs); the rest is
/// for a handshake with the longest chain that the guest takes, and for gaps.
const CONNECTION: usize = 512 << 10;

/// Instances at most: with their default memory these are 4 GiB.
const INSTANCES_MAX: NonZero<usize> = NonZero::new(16).expect("16 is not 0");
