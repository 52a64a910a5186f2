//! The process's host of the component that is tested, and the engine of guests that are not the product.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use guest_tls_wasmtime::{CompiledCache, HostOptions};
use wasmtime::{Cache, CacheConfig, Config, Engine};

use crate::paths;
use crate::tls::Tls;

/// The compiled component, ready to be instantiated as often as one likes.
pub struct Host(guest_tls_wasmtime::Host);

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
        let options = HostOptions { cache: CompiledCache::Folder(cache()), ..HostOptions::default() };
        Ok(Host(guest_tls_wasmtime::Host::with_options(component, options)?))
    }

    /// A new instance, with the usual limits.
    pub async fn instance(&self) -> Result<Tls> {
        Ok(Tls::new(self.0.instance().await?))
    }

    /// What connectors and acceptors are made of.
    pub fn pool(&self) -> &guest_tls_wasmtime::Host {
        &self.0
    }

    /// The names of all that the component imports.
    pub fn imports(&self) -> Vec<String> {
        self.0.imports()
    }

    /// The names of all that the component exports, with the items in them.
    pub fn exports(&self) -> Vec<(String, Vec<String>)> {
        self.0.exports()
    }
}

/// Where the component is: `GUEST_TLS_COMPONENT`, or where `cargo xtask build` puts it.
pub fn component_path() -> PathBuf {
    match std::env::var_os("GUEST_TLS_COMPONENT") {
        Some(path) => path.into(),
        None => paths::target().join("components/guest-tls.wasm"),
    }
}

/// An engine for a guest that is not the product, which compiles in parallel and keeps what it compiled below the target folder.
pub fn engine() -> Result<Engine> {
    let mut compiled = CacheConfig::new();
    compiled.with_directory(cache());
    let mut config = Config::new();
    config.cache(Some(Cache::new(compiled).map_err(error)?));
    config.parallel_compilation(true);
    Engine::new(&config).map_err(error)
}

fn cache() -> PathBuf {
    paths::target().join("wasmtime-cache")
}

/// wasmtime's error as one of ours, with its causes.
pub fn error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}
