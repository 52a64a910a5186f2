//! The way to what reads sessions, for the fuzz targets in `fuzz/`.

use super::stored::Stored;
use super::tickets::{TICKET_KEYS_LEN, Tickets};

/// Reads bytes as a session and as a ticket, and the session once more after it was written and sealed.
pub fn session(bytes: &[u8]) {
    let mut tickets = Tickets::new(Some(&[7; TICKET_KEYS_LEN]));
    assert_eq!(tickets.open(bytes, 0, LIFETIME), None, "nobody guesses a tag");
    let Some(session) = Stored::read(bytes) else { return };
    let written = session.write();
    let ticket = tickets.seal(&written, 0, LIFETIME).expect("there is randomness");
    let opened = tickets.open(&ticket, 0, LIFETIME).expect("the keys are the same");
    let read = Stored::read(&opened).expect("it was just written");
    assert_eq!(read.value, session.value, "what rustls made comes back as it was");
    assert_eq!((read.binding, read.created), (session.binding, session.created));
}

const LIFETIME: u32 = 300;
