//! One TLS connection without I/O: bytes go in and come out, time and randomness come from the context and the provider.
//!
//! Only this module holds a rustls connection. See [`Connection`].

mod client_hello;
mod connection;
mod contexts;
#[cfg(feature = "ct")]
#[doc(hidden)]
pub mod ct;
mod details;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod options;
mod reader;
mod server;
mod sessions;
#[cfg(test)]
mod tests;
mod transcript;

pub use connection::{Cleartext, Connection, Event};
pub use contexts::Contexts;
pub use details::{Cipher, EphemeralKeyInfo};
pub use options::ConnectionOptions;
pub use server::{CLIENT_RENEG_LIMIT, CLIENT_RENEG_WINDOW, Server};
pub use sessions::{NewSession, TICKET_KEYS_LEN};
pub(crate) use sessions::{ServerSessions, ticket_keys};
