//! A host for `guest-tls.wasm`: it serves and dials TCP for the component, and lets it talk to peers that are not ours.
//!
//! * [`host`]: the component in wasmtime, by the crate `guest-tls-wasmtime`.
//! * [`tls`]: an instance, and its resources as handles.
//! * [`tcp`]: a TCP connection as streams of `wasi:io`; [`pump`]: what moves the bytes.
//! * [`exchange`]: what is said over a connection.
//! * [`hello`]: what the component offers as a client.
//! * [`setup`]: what is asked of an end, and what it reports; [`certificates`]: made on the fly.
//! * [`peers`]: OpenSSL, Node, rustls with ring, and the component itself.
//! * [`meeting`]: two of them meet, and what they saw must agree.
//! * [`service`]: many connections in one instance; [`table`]: tests as rows.
//! * [`conversation`]: one connection, a step at a time, for events and answers; [`peers::command`]: its other end.
//! * [`judge`]: Node says what the component must say.
//! * [`memory`]: two connections in one instance, with no TCP between them.
//! * [`hosts`]: where the component runs beside wasmtime.
//! * [`postgres`]: a real PostgreSQL; [`wasi`]: guests that are not the product, such as commands.
//! * [`cli`]: the command of examples/cli, and other programs in the stock wasmtime; [`pages`]: OpenSSL with pages for them.
//! * [`ct`]: whether the time of an operation depends on a secret.

pub mod certificates;
pub mod cli;
pub mod conversation;
pub mod ct;
pub mod exchange;
pub mod hello;
pub mod host;
pub mod hosts;
pub mod judge;
pub mod meeting;
pub mod memory;
pub mod pages;
pub mod paths;
pub mod peers;
pub mod postgres;
pub mod pump;
pub mod revocation;
pub mod service;
pub mod setup;
pub mod table;
pub mod tcp;
pub mod tls;
pub mod wasi;
