//! Tests of the provider. They are pure Rust without threads, files or network, so that they run in wasm as well.
//!
//! Each file is one harness with a table of cases. The fixtures are made with OpenSSL, so that whatever uses them also
//! compares two implementations.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod exchange;
mod handshake;
mod keys;
mod policy;
mod randomness;
mod records;
mod wycheproof;

/// The bytes of a file under `fixtures/`.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}
use fixture;
