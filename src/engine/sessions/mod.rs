//! Sessions that are resumed (rows O17 to O19, S3, S4, S8, K8).
//!
//! * [`stored`]: what a server keeps of a session, and what it is bound to.
//! * [`tickets`]: sealed, so that the client keeps it.
//! * [`cache`]: in the guest, by id.
//! * [`server`]: what rustls asks during a connection, from any of these or from outside.
//! * [`client`]: the sessions of clients.

mod cache;
pub(super) mod client;
#[cfg(feature = "ct")]
pub(super) mod ct;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
pub(super) mod server;
pub(super) mod stored;
mod tickets;

use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::error::Error;
use cache::Cache;
pub use server::NewSession;
pub use tickets::TICKET_KEYS_LEN;
use tickets::Tickets;
pub(crate) use tickets::ticket_keys;

/// The sessions of all connections of a context or of a server.
#[derive(Debug)]
pub(crate) struct ServerSessions {
    tickets: Mutex<Tickets>,
    cache: Mutex<Cache>,
}

impl ServerSessions {
    /// Without sessions yet. `keys` are those of a fleet; without them they are made, and renewed.
    pub(crate) fn new(keys: Option<&[u8; TICKET_KEYS_LEN]>) -> Self {
        Self { tickets: Mutex::new(Tickets::new(keys)), cache: Mutex::default() }
    }

    /// The keys that seal tickets now (row S8). `lifetime` is that of a session, `now` the time, both in seconds.
    pub(super) fn ticket_keys(&self, now: u64, lifetime: u32) -> Result<Zeroizing<[u8; TICKET_KEYS_LEN]>, Error> {
        lock(&self.tickets).keys(now, lifetime)
    }

    /// Seals tickets by other keys from now on; the ones before still open theirs for the lifetime of a session (row S8).
    pub(super) fn set_ticket_keys(&self, keys: &[u8; TICKET_KEYS_LEN], now: u64) {
        lock(&self.tickets).set(keys, now);
    }
}

/// What a panic elsewhere leaves behind is whole: nothing here panics half-way through a change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
