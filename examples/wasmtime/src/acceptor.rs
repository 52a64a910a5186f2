//! Servers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::Tls;
use crate::context::Context;
use crate::error::Error;
use crate::instance::State;
use crate::pool::{Id, Order, Origin};
use crate::stream::{self, TlsStream};
use crate::tickets::{MissingKeys, TicketKeys};

/// Begins connections as a server. Cloning is cheap and gives another handle to the same.
#[derive(Clone)]
pub struct Acceptor(Arc<Inner>);

/// What the connections of an acceptor have in common.
#[derive(Clone, Debug)]
pub struct AcceptorOptions {
    /// The application protocols in order of preference, which wins over the client's (row O16). Default: none, which leaves ALPN out.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// Whether to ask the client for a certificate (row O12). Default: false.
    pub request_cert: bool,
    /// Whether a client whose certificate does not verify, or that sends none where one was asked for, ends the connection (row O13).
    /// Where false, [`Info`](crate::Info) tells. Default: true.
    pub reject_unauthorized: bool,
    /// Contexts for clients that ask for a name, whose left-most label may be `*`; the last one that fits wins (row O15).
    /// Default: none.
    pub contexts: Vec<(String, Context)>,
    /// Whether clients get tickets, and theirs are taken (RFC 8446 section 4.6.1). Default: true.
    pub tickets: bool,
    /// How long a handshake may take (row O20). Default: 120 s.
    pub handshake_timeout: Duration,
}

/// What the handles to an acceptor share.
pub(crate) struct Inner {
    pub(crate) id: Id,
    pub(crate) context: Context,
    pub(crate) options: AcceptorOptions,
    ticket_keys: Option<Mutex<TicketKeys>>,
}

impl Acceptor {
    /// Returns an acceptor with the credentials and the policy of this context. Sessions of its connections are resumed in any of its
    /// instances.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops what was made. It can be called again.
    ///
    /// # Errors
    ///
    /// * [`Error::Options`]: the options are wrong, or the context has no certificate.
    /// * [`Error::Component`]: there is no instance, or no randomness for the keys of tickets.
    /// * [`Error::Trapped`]: the instance in which it was tried is gone.
    pub async fn new(context: &Context, options: AcceptorOptions) -> Result<Acceptor, Error> {
        let ticket_keys = match context.0.options.has_ticket_keys() {
            true => None,
            false => {
                let contexts = options.contexts.iter().map(|(_, context)| context).chain([context]);
                let session = contexts.map(|context| context.0.options.session_life()).max().unwrap_or_default();
                Some(Mutex::new(TicketKeys::new(session, Instant::now())?))
            }
        };
        let inner = Arc::new(Inner { id: Id::new(), context: context.clone(), options, ticket_keys });
        context.0.pool.try_server(&inner).await?;
        Ok(Acceptor(inner))
    }

    /// Has the handshake with a client over this transport.
    ///
    /// Call it in a task of its own, so that a client that is slow does not keep others waiting.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the transport and the connection: what the client sent is lost, so it can't be called again for it.
    ///
    /// # Errors
    ///
    /// * [`Error::Tls`]: what ended the handshake. The client was sent its alert, if it took it within two seconds.
    /// * [`Error::Transport`]: the transport failed.
    /// * [`Error::TooManyConnections`]: the host has as many as it may have. The transport is dropped, and nothing was sent.
    /// * [`Error::Component`]: an instance can't be made.
    /// * [`Error::Trapped`]: the instance is gone, by this connection or another one.
    pub async fn accept<S>(&self, transport: S) -> Result<TlsStream<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let origin = Origin::Server(Arc::clone(&self.0));
        stream::open(&self.0.context.0.pool, origin, transport, None, self.0.options.handshake_timeout).await
    }
}

impl Inner {
    /// The keys of tickets that an instance with those of this generation lacks; none where the context has keys of its own.
    pub(crate) fn missing_ticket_keys(&self, has: Option<u64>) -> Option<MissingKeys> {
        let mut keys = self.ticket_keys.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        keys.missing(has, Instant::now())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.context.0.pool.tell_all(|| Order::ForgetServer(self.id));
    }
}

impl AcceptorOptions {
    /// The guest's options of a server.
    pub(crate) async fn create(&self, store: &mut Store<State>, world: &Tls) -> wasmtime::Result<ResourceAny> {
        let to = world.guest_tls_secure_pair().secure_pair_options();
        let made = to.call_constructor(&mut *store).await?;
        to.call_set_is_server(&mut *store, made, true).await?;
        if !self.alpn_protocols.is_empty() {
            to.call_set_alpn_protocols(&mut *store, made, &self.alpn_protocols).await?;
        }
        to.call_set_request_cert(&mut *store, made, self.request_cert).await?;
        to.call_set_reject_unauthorized(&mut *store, made, self.reject_unauthorized).await?;
        to.call_set_tickets(&mut *store, made, self.tickets).await?;
        to.call_set_handshake_timeout(&mut *store, made, stream::milliseconds(self.handshake_timeout)).await?;
        Ok(made)
    }
}

impl Default for AcceptorOptions {
    fn default() -> AcceptorOptions {
        AcceptorOptions {
            alpn_protocols: Vec::new(),
            request_cert: false,
            reject_unauthorized: true,
            contexts: Vec::new(),
            tickets: true,
            handshake_timeout: stream::HANDSHAKE_TIMEOUT,
        }
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("options", &self.0.options).finish_non_exhaustive()
    }
}
