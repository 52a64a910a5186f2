//! The way to the tickets, for the measurement of their time in `host-tests/ct`.

use zeroize::Zeroizing;

use super::TICKET_KEYS_LEN;
use super::tickets;

/// The tickets of a server, at one moment.
#[derive(Debug)]
pub struct Tickets(tickets::Tickets);

impl Tickets {
    /// Tickets by these keys.
    pub fn new(keys: &[u8; TICKET_KEYS_LEN]) -> Self {
        Self(tickets::Tickets::new(Some(keys)))
    }

    /// Seals a session. `None` without randomness.
    pub fn seal(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(plain, 0, LIFETIME)
    }

    /// Opens a ticket. `None` where it was changed.
    pub fn open(&mut self, ticket: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.open(ticket, 0, LIFETIME)
    }
}

const LIFETIME: u32 = 300;
