//! TLS for tokio whose stack runs in a WebAssembly sandbox: [guest-tls](https://github.com/guest-tls/guest-tls) in wasmtime.
//!
//! ```no_run
//! use guest_tls_wasmtime::{Connector, ConnectorOptions, Context, ContextOptions, Host};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::new(&std::fs::read("guest-tls.wasm")?)?;
//! let context = Context::new(&host, ContextOptions::new().ca(std::fs::read("ca.pem")?)).await?;
//! let connector = Connector::new(&context, ConnectorOptions::default());
//! let tcp = tokio::net::TcpStream::connect("server.test:443").await?;
//! let mut tls = connector.connect("server.test", tcp).await?;
//! tls.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
//! tls.flush().await?;
//! let mut page = Vec::new();
//! tls.read_to_end(&mut page).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! A [`Host`] compiles the component once. It has a pool of instances, by default one for each processor; each has a thread of its
//! own, and connections are spread over them. A [`TlsStream`] moves bytes between its transport and its instance: it hands over what
//! it has by a channel and is woken by the answer. So nothing blocks the async runtime, however long a handshake with RSA takes,
//! and no call into the guest is ever given up half-way. What that costs is two changes of thread for up to 128 KiB. (Calling the guest
//! inside `poll` would block a worker of the runtime for milliseconds in handshakes; fibers that yield would have to be run to their
//! end after their connection was dropped, since an instance is lost with a call that did not return.)
//!
//! Each order to an instance has a deadline, by wasmtime's epochs, and each instance has a limit to its memory: see [`Limits`]. A trap
//! ends all connections of its instance by [`Error::Trapped`]; the next connection gets a new instance.
//!
//! An instance has as many connections as its memory holds if each takes the most that it can: see `connections` of [`Limits`]. Where all
//! are full there are more of them, up to [`HostOptions::instances_max`], which end with their last connection; beyond that, new
//! connections get [`Error::TooManyConnections`]. The others live as long as the host, so that instances are made rarely: wasmtime's
//! pooling allocator, which makes that quicker, is not used.
//!
//! Writing is ready when the transport was offered the records, as with tokio-rustls; what is different is in [`TlsStream`].
//!
//! # Starting quickly
//!
//! wasmtime compiles the component at the first start and keeps the result in a folder of the user: see [`CompiledCache`]. Where the
//! compiler itself is not optimised, as in a program's profile `dev`, that takes most of a minute; `opt-level = 1` under
//! `[profile.dev.package."*"]` in the program's `Cargo.toml` makes it seconds.
//!
//! # What the sandbox protects, and what it does not
//!
//! * The process from the TLS stack: records, certificates, keys and lists of the peer or the user are parsed in the guest. A fault there
//!   reaches the guest's memory and no more: it has no files, no sockets, no environment, and what it may take of memory and time is
//!   limited.
//! * Not the guest from the process: code in the host can read the guest's memory. The files of a [`Context`] are kept in the host as
//!   well, wiped when it is dropped, since an instance that replaces a trapped one needs them.
//! * Not connections of one instance from each other: one that makes it trap ends them all, and one that took it over would read them
//!   all. [`Host::isolated`] gives instances of their own to those that must not share, for example each tenant or listener.
//! * Not from denial of service by work: handshakes cost time, so limit how many there are at once.
//! * Side channels: secrets are handled in constant time as far as that can be measured (docs/constant-time.md).

mod acceptor;
pub mod bindings;
mod cache;
mod connector;
mod context;
mod error;
mod host;
mod info;
mod instance;
mod pool;
mod stream;
mod tickets;

pub use acceptor::{Acceptor, AcceptorOptions};
pub use bindings::exports::guest::tls::certificate::{Certificate, InfoAccess, NameAttribute};
pub use bindings::exports::guest::tls::secure_context::CertificateCompression;
pub use bindings::exports::guest::tls::secure_pair::{Cipher, EphemeralKeyInfo};
pub use bindings::exports::guest::tls::types::{Alert, Direction, Error as TlsError, ErrorCode, ProtocolVersion};
pub use cache::CompiledCache;
pub use connector::{Connector, ConnectorOptions};
pub use context::{Context, ContextOptions};
pub use error::Error;
pub use host::{Host, HostOptions, InstanceLoad, Limits};
pub use info::Info;
pub use instance::{Instance, State};
pub use stream::TlsStream;
