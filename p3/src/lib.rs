//! guest-tls for programs of WASI 0.3: the standard interface `wasi:tls`, and `guest:tls` with `stream<u8>` in both directions.
//!
//! The engine is the crate `guest-tls`, and what both components export alike (contexts, certificates, a connection without I/O) is the
//! same source. What is here is how its bytes move:
//!
//! | module | what it is |
//! |---|---|
//! | `component/standard.rs` | `wasi:tls/client`, and its trust anchors |
//! | `component/connection.rs`, `client.rs`, `server.rs` | `guest:tls@0.3.0-draft` |
//! | `component/pump.rs` | moves the bytes of one connection between four streams |
//! | `component/verdict.rs` | the future that tells how a direction ended |
#![cfg(target_os = "wasi")]

mod component;
/// Where the sources that are shared with the other component look for the engine's errors.
mod error {
    pub(crate) use guest_tls::{Direction, Error, ErrorCode, with_error_codes};
}

use guest_tls::{certificate, context, engine};
