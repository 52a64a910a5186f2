//! A TLS stack for WebAssembly: rustls and all its cryptography in one component, which the host supplies with bytes and nothing
//! else.
//!
//! What users see is the WIT package `guest:tls` in `wit/`; its rows are those of Node's `tls`. Below it, from top to bottom:
//!
//! | module | what it is |
//! |---|---|
//! | `component` | the WIT world over the engine, one file an interface; only in the component itself |
//! | [`engine`] | one connection without I/O: bytes go in and come out |
//! | [`context`] | options → configuration: certificates, keys, trust anchors, suites, groups, versions |
//! | `verify` | the check of the peer's certificate, by OpenSSL's names of what is wrong |
//! | [`certificate`] | a certificate as people and programs read it |
//! | [`provider`] | rustls' `CryptoProvider` from our kernels and RustCrypto's and dalek's crates |
//!
//! A program for WebAssembly that links this crate takes [`provider::crypto_provider`] for its rustls: README.md shows how. It needs no
//! compiler flag, since the kernels enable WebAssembly's vectors themselves, and no feature: `component` is for the component alone.
//!
//! Nothing below `component` knows WIT, nothing above [`provider`] knows a cipher, and only [`engine`] holds a rustls connection.
//! Everything below `component` also builds natively, where `cargo test` takes seconds.

pub mod certificate;
#[cfg(all(feature = "component", target_os = "wasi", not(test)))]
mod component;
pub mod context;
pub mod engine;
mod error;
pub mod provider;
mod verify;

pub use error::{Alert, Direction, Error, ErrorCode};
