//! One TLS connection without I/O: bytes go in and come out, time and randomness come from the context and the provider.
//!
//! Only this module holds a rustls connection. See [`Connection`].

mod connection;
mod contexts;
mod details;
mod options;
mod server;
#[cfg(test)]
mod tests;

pub use connection::{Cleartext, Connection, Event};
pub use contexts::Contexts;
pub use details::{Cipher, EphemeralKeyInfo};
pub use options::ConnectionOptions;
pub use server::Server;
