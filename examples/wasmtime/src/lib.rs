//! guest-tls in wasmtime: what a host needs to run the component, and no more than the component may have.
//!
//! * [`Host`]: the compiled component, and the only interfaces that it may import.
//! * [`Instance`]: its memory and its exports, which [`bindings`] call by name.

pub mod bindings;
mod host;
mod instance;

pub use host::Host;
pub use instance::{Instance, State};
