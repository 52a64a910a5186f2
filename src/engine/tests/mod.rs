//! Two connections in memory, driven byte by byte: no socket, no clock, no randomness but the provider's.

mod alerts;
mod fixtures;
mod handshake;
mod hostile;
mod pair;
mod rogue;
mod sessions;
mod stream;
