//! One engine, one compiled component, and the only interfaces that it may import.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Result, Store};

use crate::bindings::TlsPre;
use crate::instance::{Instance, State, link};

/// The compiled component, ready to be instantiated as often as one likes.
pub struct Host {
    engine: Engine,
    component: Component,
    pre: TlsPre<State>,
}

impl Host {
    /// A host of this component. Fails if the component wants more than it may have.
    pub fn new(engine: Engine, component: &[u8]) -> Result<Host> {
        let component = Component::from_binary(&engine, component)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        let pre = linker.instantiate_pre(&component).and_then(TlsPre::new)?;
        Ok(Host { engine, component, pre })
    }

    /// A new instance, with the usual limit to its memory.
    pub async fn instance(&self) -> Result<Instance> {
        self.instance_with_memory(MEMORY_LIMIT).await
    }

    /// A new instance that may have this many bytes of memory.
    pub async fn instance_with_memory(&self, limit: usize) -> Result<Instance> {
        let mut store = Store::new(&self.engine, State::new(limit));
        store.limiter(|state| &mut state.memory);
        let world = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance { store, world })
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

/// Enough for any number of connections that the tests have at once, too little for a leak to go on for long.
const MEMORY_LIMIT: usize = 256 << 20;
