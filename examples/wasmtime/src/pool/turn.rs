//! One turn of a connection: what the guest is given, and what it makes of it.

use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::Tls;
use crate::bindings::exports::guest::tls::secure_pair::{Cleartext, Event};
use crate::error::Error;
use crate::info::Info;
use crate::instance::State;

/// Bytes on their way through the guest, and what it said meanwhile.
#[derive(Default)]
pub(crate) struct Turn {
    /// From the transport. What was not taken stays.
    pub(crate) received: Vec<u8>,
    /// Nothing more will come from the transport.
    pub(crate) transport_ended: bool,
    /// From the application. They stay, and `outgoing_taken` says how many of them were taken.
    pub(crate) outgoing: Vec<u8>,
    /// Nothing more will come from the application.
    pub(crate) end: bool,
    /// How much is wanted for the transport at most.
    pub(crate) encrypted_max: usize,
    /// How much is wanted for the application at most.
    pub(crate) cleartext_max: usize,

    /// How much the guest took of what is outgoing.
    pub(crate) outgoing_taken: usize,
    /// For the transport.
    pub(crate) encrypted: Vec<u8>,
    /// For the application.
    pub(crate) cleartext: Vec<u8>,
    /// Our end was taken, after all that was to go before it.
    pub(crate) ended: bool,
    /// The peer's end has come.
    pub(crate) peer_ended: bool,
    /// The handshake was done in this turn.
    pub(crate) info: Option<Info>,
    /// Sessions that can be resumed.
    pub(crate) sessions: Vec<Vec<u8>>,
    /// The guest may have more events.
    pub(crate) more_events: bool,
    /// What the reader is told after all cleartext.
    pub(crate) read_error: Option<Error>,
    /// What the writer is told.
    pub(crate) write_error: Option<Error>,
}

impl Turn {
    /// Says whether the handshake was done. Errors: a trap, also where the guest says what can't be, as one that was taken over may.
    pub(super) async fn run(
        &mut self,
        store: &mut Store<State>,
        world: &Tls,
        pair: ResourceAny,
    ) -> wasmtime::Result<bool> {
        let guest = world.guest_tls_secure_pair().secure_pair();
        let (mut received, mut outgoing, mut events) = (0, 0, 0);
        let mut secure = false;
        loop {
            let mut moved = false;
            if received < self.received.len() {
                // All that is given is copied, and the guest takes some two records at a time.
                let end = self.received.len().min(received + PIECE);
                match guest.call_write_encrypted(&mut *store, pair, &self.received[received..end]).await? {
                    Ok(taken) => {
                        received += counted("write-encrypted", taken, end - received)?;
                        moved |= taken > 0;
                    }
                    // The reader gets this error after all that came before it.
                    Err(_) => received = self.received.len(),
                }
            }
            if self.transport_ended && received == self.received.len() {
                guest.call_end_encrypted(&mut *store, pair).await?;
                self.transport_ended = false;
            }
            while events < EVENTS_MAX {
                let Some(event) = guest.call_next_event(&mut *store, pair).await? else {
                    break;
                };
                events += 1;
                match event {
                    Event::Secure => secure = true,
                    Event::Session(session) => self.sessions.push(session),
                    // The others come only where they were asked for.
                    _ => {}
                }
                moved = true;
            }
            if outgoing < self.outgoing.len() {
                match guest.call_write_cleartext(&mut *store, pair, &self.outgoing[outgoing..]).await? {
                    Ok(taken) => {
                        outgoing += counted("write-cleartext", taken, self.outgoing.len() - outgoing)?;
                        moved |= taken > 0;
                    }
                    Err(error) => {
                        outgoing = self.outgoing.len();
                        self.write_error = Some(Error::Tls(error));
                    }
                }
            }
            if self.end && outgoing == self.outgoing.len() {
                guest.call_end(&mut *store, pair).await?;
                (self.end, self.ended) = (false, true);
            }
            if self.encrypted.len() < self.encrypted_max {
                let room = (self.encrypted_max - self.encrypted.len()) as u64;
                let bytes = guest.call_read_encrypted(&mut *store, pair, room).await?;
                counted("read-encrypted", bytes.len() as u64, room as usize)?;
                moved |= !bytes.is_empty();
                append(&mut self.encrypted, bytes);
            }
            if self.cleartext.len() < self.cleartext_max && !self.peer_ended && self.read_error.is_none() {
                let room = (self.cleartext_max - self.cleartext.len()) as u64;
                match guest.call_read_cleartext(&mut *store, pair, room).await? {
                    Ok(Cleartext::Data(bytes)) => {
                        counted("read-cleartext", bytes.len() as u64, room as usize)?;
                        append(&mut self.cleartext, bytes);
                        moved = true;
                    }
                    Ok(Cleartext::End) => self.peer_ended = true,
                    Ok(Cleartext::Pending) => {}
                    Err(error) => {
                        self.read_error = Some(Error::Tls(error));
                        // There may be an alert.
                        moved = true;
                    }
                }
            }
            if !moved {
                break;
            }
        }
        self.more_events = events == EVENTS_MAX;
        self.received.drain(..received);
        self.outgoing_taken = outgoing;
        Ok(secure)
    }
}

fn append(to: &mut Vec<u8>, bytes: Vec<u8>) {
    if to.is_empty() { *to = bytes } else { to.extend_from_slice(&bytes) }
}

/// A count of bytes that the guest says it took or gave, which can't be more than it was given or asked for.
fn counted(call: &str, count: u64, most: usize) -> wasmtime::Result<usize> {
    usize::try_from(count).ok().filter(|count| *count <= most).ok_or_else(|| {
        wasmtime::Error::msg(format!(
            "{call} says {count} bytes where {most} are the most, which is a fault of the component: please report it"
        ))
    })
}

/// The most that is given to the guest at once.
const PIECE: usize = 32 * 1024;

/// The most events in a turn, so that a peer who sends nothing but tickets does not keep the other connections of its instance waiting.
const EVENTS_MAX: usize = 64;
