//! Ways to private operations on secrets for `host-tests/ct`, which measures their time.

pub use super::sessions::ct::Tickets;
