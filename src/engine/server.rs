//! What the connections of a server have in common (row M3).

use std::sync::Arc;

use zeroize::Zeroizing;

use super::contexts::require_certificate;
use super::{Connection, ConnectionOptions, Contexts, ServerSessions, TICKET_KEYS_LEN, ticket_keys};
use crate::context::Context;
use crate::error::{Error, ErrorCode};

/// How often a client may ask for renegotiation: rustls refuses it each time, and ends the connection at the next (rows M8, K14).
pub const CLIENT_RENEG_LIMIT: u32 = 1;

/// Node's window for that limit, in seconds (row M8). rustls counts over the whole life of a connection.
pub const CLIENT_RENEG_WINDOW: u32 = 600;

/// Contexts by name, the options of every connection, and the sessions of all.
#[derive(Debug)]
pub struct Server {
    contexts: Contexts,
    options: ConnectionOptions,
    sessions: Arc<ServerSessions>,
    /// How many connections there may be at once (row O24). Default: any number.
    max_connections: Option<usize>,
    /// Each connection holds one of these.
    place: Arc<()>,
}

impl Server {
    /// A server, or all that is wrong with the options. Its sessions are those of the context, so that connections that are made
    /// from the same context without a server resume them as well.
    pub fn new(context: Arc<Context>, options: ConnectionOptions) -> Result<Self, Vec<Error>> {
        let options = ConnectionOptions { is_server: true, ..options };
        let mut errors = options.check();
        if !options.sni_event {
            errors.extend(require_certificate(&context).err());
        }
        match errors.is_empty() {
            true => Ok(Self {
                sessions: context.sessions().clone(),
                contexts: Contexts::new(context),
                options,
                max_connections: None,
                place: Arc::default(),
            }),
            false => Err(errors),
        }
    }

    /// The contexts, to be changed while running: connections that are open keep theirs (row S7).
    pub fn contexts_mut(&mut self) -> &mut Contexts {
        &mut self.contexts
    }

    /// Replaces the context for all names that were not added. Where it has ticket keys of its own, they seal from now on, as after
    /// [`set_ticket_keys`](Self::set_ticket_keys) (row S7). Error: `ErrTlsInvalidCertificate`.
    pub fn set_secure_context(&mut self, context: Arc<Context>) -> Result<(), Error> {
        self.contexts.set_default(context.clone())?;
        if let Some(keys) = context.ticket_keys() {
            self.sessions.set_ticket_keys(keys, context.now());
        }
        Ok(())
    }

    /// A connection at its beginning. Error: `ErrServerMaxConnections`.
    pub fn accept(&self) -> Result<Connection, Error> {
        let open = self.connections();
        if self.max_connections.is_some_and(|max| open >= max) {
            return Err(Error::new(
                ErrorCode::ErrServerMaxConnections,
                format!("There are {open} connections, which is the limit for this server: close the transport."),
            ));
        }
        let (contexts, options) = (self.contexts.clone(), self.options.clone());
        Ok(Connection::accept(contexts, options, self.sessions.clone(), self.place.clone()))
    }

    /// How many connections there are, done ones included until they are dropped (row O24).
    pub fn connections(&self) -> usize {
        Arc::strong_count(&self.place) - 1
    }

    /// Sets how many connections there may be at once; `None` for any number (row O24).
    pub fn set_max_connections(&mut self, max: Option<usize>) {
        self.max_connections = max;
    }

    /// The 48 bytes that seal tickets now (row S8). Where none were given, they are random and change by themselves.
    pub fn ticket_keys(&self) -> Result<Zeroizing<[u8; TICKET_KEYS_LEN]>, Error> {
        let context = self.contexts.choose(None);
        self.sessions.ticket_keys(context.now(), context.session_timeout())
    }

    /// Seals tickets by these from now on. Tickets of the keys before are still taken for the lifetime of a session (row S8).
    /// Error: `ErrInvalidArgValue` for any other length than 48 bytes.
    pub fn set_ticket_keys(&self, keys: &[u8]) -> Result<(), Error> {
        self.sessions.set_ticket_keys(&*ticket_keys(keys)?, self.contexts.choose(None).now());
        Ok(())
    }
}
