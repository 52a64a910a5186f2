//! What rustls asks about sessions during a server's connection.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::server::{ProducesTickets, StoresServerSessions};
use rustls::time_provider::TimeProvider;
use zeroize::Zeroizing;

use super::cache::SESSION_MAX;
use super::stored::{BINDING_LEN, Client, Stored};
use super::{ServerSessions, lock};
use crate::verify::Verdict;

/// One connection's view of its server's sessions: it puts in, and takes out, only what is bound to what this connection is.
pub(in super::super) struct ConnectionSessions {
    pub(in super::super) sessions: Arc<ServerSessions>,
    /// What sessions are bound to.
    pub(in super::super) binding: [u8; BINDING_LEN],
    /// How long a session lives, in seconds (row O18).
    pub(in super::super) lifetime: u32,
    /// Whether this connection asks for a client's certificate.
    pub(in super::super) asks: bool,
    /// Whether a client that is not authorized ends the connection.
    pub(in super::super) rejects: bool,
    /// Whether tickets are made and taken.
    pub(in super::super) tickets: bool,
    /// False if no session is made: in TLS 1.2 without extended master secret one could be resumed with another peer (RFC 7627
    /// section 5.3).
    pub(in super::super) resumable: bool,
    /// Whether sessions are kept outside (rows S3, S4), and what came from there.
    pub(in super::super) outside: Option<Outside>,
    pub(in super::super) time: Arc<dyn TimeProvider>,
    /// What this connection found out about its client.
    pub(in super::super) verdict: Arc<Verdict>,
    /// What the session that was taken out said about the client.
    pub(in super::super) restored: Mutex<Option<Client>>,
    /// When the full handshake was from which that session follows, in seconds since 1970.
    pub(in super::super) authenticated: Mutex<Option<u64>>,
}

/// Sessions that are kept outside.
#[derive(Default)]
pub(in super::super) struct Outside {
    /// What the answer to `resume-session` brought: an id and the data.
    pub(in super::super) offered: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    /// Made in this connection, and not yet told.
    pub(in super::super) made: Mutex<VecDeque<NewSession>>,
}

/// A session to be kept outside (row S3).
#[derive(Clone, PartialEq, Eq)]
pub struct NewSession {
    /// What the client will ask by.
    pub id: Vec<u8>,
    /// What to give back then. It holds the session's secret: keep it as one keeps a key.
    pub data: Zeroizing<Vec<u8>>,
}

impl ConnectionSessions {
    /// What was restored. Where the handshake is a full one, what was taken out counts for nothing.
    pub(in super::super) fn take_restored(&self, reused: bool) -> Option<Client> {
        if !reused {
            *lock(&self.authenticated) = None;
        }
        lock(&self.restored).take()
    }

    /// The sessions that were made since the last call.
    pub(in super::super) fn take_made(&self) -> Vec<NewSession> {
        self.outside.as_ref().map(|outside| lock(&outside.made).drain(..).collect()).unwrap_or_default()
    }

    fn now(&self) -> Option<u64> {
        self.time.current_time().map(|now| now.as_secs())
    }

    fn wrap(&self, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if !self.resumable {
            return None;
        }
        let client = match (self.asks, self.verdict.error()) {
            (false, _) => Client::NotAsked,
            (true, Some(error)) => Client::Unauthorized(error),
            (true, None) if self.verdict.is_good() => Client::Authorized,
            // TLS 1.2 makes the next session in the call in which it takes one. Else nothing came though it was asked for, and
            // rustls goes on only where that is allowed.
            (true, None) => lock(&self.restored).clone().unwrap_or_else(|| Client::Unauthorized(Verdict::missing())),
        };
        let now = self.now()?;
        let stored = Stored {
            binding: self.binding,
            created: now,
            authenticated: lock(&self.authenticated).unwrap_or(now),
            client,
            value: Zeroizing::new(value.to_vec()),
        };
        Some(stored.write())
    }

    fn unwrap(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let stored = Stored::read(bytes)?;
        let now = self.now()?;
        let of_the_future = stored.created > now.saturating_add(CLOCK_SKEW);
        let age = now.saturating_sub(stored.created);
        let too_old = age >= u64::from(self.lifetime)
            || now.saturating_sub(stored.authenticated) >= AUTHENTICATION_MAX.max(self.lifetime.into());
        let asked = stored.client != Client::NotAsked;
        let refused = self.rejects && matches!(stored.client, Client::Unauthorized(_));
        if stored.binding != self.binding || of_the_future || too_old || asked != self.asks || refused {
            return None;
        }
        *lock(&self.authenticated) = Some(stored.authenticated);
        *lock(&self.restored) = Some(stored.client);
        Some(stored.value.to_vec())
    }

    fn offered(&self, outside: &Outside, key: &[u8]) -> Option<Vec<u8>> {
        let (id, data) = outside.offered.as_ref()?;
        (id == id_of(key)).then(|| self.unwrap(data)).flatten()
    }
}

impl StoresServerSessions for ConnectionSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let Some(session) = self.wrap(&Zeroizing::new(value)) else {
            return false;
        };
        match &self.outside {
            Some(_) if session.len() > SESSION_MAX => false,
            Some(outside) => {
                lock(&outside.made).push_back(NewSession { id: id_of(&key).to_vec(), data: session });
                true
            }
            None => lock(&self.sessions.cache).put(id_of(&key), session),
        }
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match &self.outside {
            Some(outside) => self.offered(outside, key),
            None => {
                let session = lock(&self.sessions.cache).get(id_of(key))?;
                self.unwrap(&session)
            }
        }
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        match &self.outside {
            Some(outside) => self.offered(outside, key),
            None => {
                let session = lock(&self.sessions.cache).take(id_of(key))?;
                self.unwrap(&session)
            }
        }
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl ProducesTickets for ConnectionSessions {
    fn enabled(&self) -> bool {
        self.tickets
    }

    fn lifetime(&self) -> u32 {
        self.lifetime
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let session = self.wrap(plain)?;
        if session.len() > SESSION_MAX {
            return None;
        }
        lock(&self.sessions.tickets).seal(&session, self.now()?, self.lifetime)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        // In TLS 1.2 rustls asks for any ticket that comes.
        if !self.tickets {
            return None;
        }
        let session = lock(&self.sessions.tickets).open(ticket, self.now()?, self.lifetime)?;
        self.unwrap(&session)
    }
}

impl fmt::Debug for ConnectionSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSessions").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession").field("id", &self.id).finish_non_exhaustive()
    }
}

/// rustls gives the ids of TLS 1.2 with their length before them, as in the message. All ids that it makes have 32 bytes.
fn id_of(key: &[u8]) -> &[u8] {
    match key {
        [32, id @ ..] if id.len() == 32 => id,
        id => id,
    }
}

/// How long sessions may follow from each other without a full handshake, in seconds, in which certificates are looked at again
/// (RFC 8446 section 4.6.1). A longer life of a session goes before it.
pub(super) const AUTHENTICATION_MAX: u64 = 24 * 60 * 60;
/// How far the clocks of a fleet may lie apart, in seconds.
const CLOCK_SKEW: u64 = 60;
