//! Clients.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::Tls;
use crate::bindings::exports::guest::tls::types::ProtocolVersion;
use crate::context::Context;
use crate::error::Error;
use crate::instance::State;
use crate::pool::{Guest, Life, Member, Origin};
use crate::stream::{self, TlsStream};

/// Begins connections as a client. Cloning is cheap and gives another handle to the same, with the same sessions.
#[derive(Clone, Debug)]
pub struct Connector {
    context: Context,
    options: Arc<ConnectorOptions>,
    sessions: Arc<Sessions>,
}

/// What the connections of a connector have in common.
#[derive(Clone, Debug)]
pub struct ConnectorOptions {
    /// The application protocols in order of preference (row O16). Default: none, which leaves ALPN out.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// Whether a server whose certificate does not verify ends the connection (row O13). Where false, [`Info`](crate::Info) tells.
    /// Default: true.
    pub reject_unauthorized: bool,
    /// Whether the caller checks by itself that the certificate is for the server that it wants (row O22). Default: false.
    pub danger_skip_server_identity: bool,
    /// Whether sessions are kept, and resumed in the next connection to the same name (row O17). Default: true.
    pub resumption: bool,
    /// How long a handshake may take (row O20). Default: 120 s.
    pub handshake_timeout: Duration,
}

impl Connector {
    /// Returns a connector with the credentials and the policy of this context. What is wrong with the options shows when it connects.
    pub fn new(context: &Context, options: ConnectorOptions) -> Connector {
        Connector { context: context.clone(), options: Arc::new(options), sessions: Arc::default() }
    }

    /// Has the handshake over this transport with a server whose certificate is for `servername`, a DNS name or an IP address. A session
    /// of an earlier connection to that name is resumed where there is one, unless its instance has far more connections than others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the transport and the connection. A session of TLS 1.3 that it was to resume is used up.
    ///
    /// # Errors
    ///
    /// * [`Error::Options`]: the name is none, or the options are wrong.
    /// * [`Error::Tls`]: what ended the handshake. The server was sent its alert, if it took it within two seconds.
    /// * [`Error::Transport`]: the transport failed.
    /// * [`Error::TooManyConnections`]: the host has as many as it may have. The transport is dropped, and nothing was sent.
    /// * [`Error::Component`]: an instance can't be made.
    /// * [`Error::Trapped`]: the instance is gone, by this connection or another one.
    pub async fn connect<S>(&self, servername: &str, transport: S) -> Result<TlsStream<S>, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let pool = &self.context.0.pool;
        let session = self.sessions.take(servername, |member| pool.welcomes(member));
        let (context, options) = (Arc::clone(&self.context.0), Arc::clone(&self.options));
        let origin = Origin::Client { context, options, servername: servername.to_string(), session };
        let kept = self.options.resumption.then(|| (Arc::clone(&self.sessions), servername.to_string()));
        stream::open(pool, origin, transport, kept, self.options.handshake_timeout).await
    }
}

impl ConnectorOptions {
    /// The guest's options of a connection.
    pub(crate) async fn create(
        &self,
        store: &mut Store<State>,
        world: &Tls,
        servername: &str,
        session: Option<&Session>,
    ) -> wasmtime::Result<ResourceAny> {
        let to = world.guest_tls_secure_pair().secure_pair_options();
        let made = to.call_constructor(&mut *store).await?;
        to.call_set_servername(&mut *store, made, servername).await?;
        if !self.alpn_protocols.is_empty() {
            to.call_set_alpn_protocols(&mut *store, made, &self.alpn_protocols).await?;
        }
        to.call_set_reject_unauthorized(&mut *store, made, self.reject_unauthorized).await?;
        to.call_set_danger_skip_server_identity(&mut *store, made, self.danger_skip_server_identity).await?;
        to.call_set_session_event(&mut *store, made, self.resumption).await?;
        to.call_set_handshake_timeout(&mut *store, made, stream::milliseconds(self.handshake_timeout)).await?;
        if let Some(session) = session {
            to.call_set_session(&mut *store, made, &session.name).await?;
        }
        Ok(made)
    }
}

impl Default for ConnectorOptions {
    fn default() -> ConnectorOptions {
        ConnectorOptions {
            alpn_protocols: Vec::new(),
            reject_unauthorized: true,
            danger_skip_server_identity: false,
            resumption: true,
            handshake_timeout: stream::HANDSHAKE_TIMEOUT,
        }
    }
}

/// Sessions by the name of their server.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_name: HashMap<String, VecDeque<Session>>,
    /// The names, the one that was used longest ago first.
    names: VecDeque<String>,
}

/// A session, which is a name in the instance that has it.
#[derive(Clone)]
pub(crate) struct Session {
    /// An instance that others have no use for any more need not stay for its sessions.
    pub(crate) member: Weak<Member>,
    pub(crate) life: Arc<Life>,
    pub(crate) name: Vec<u8>,
    protocol: Option<ProtocolVersion>,
}

impl Session {
    /// A session that this connection was given.
    pub(crate) fn of(guest: &Guest, name: Vec<u8>, protocol: Option<ProtocolVersion>) -> Session {
        Session { member: Arc::downgrade(guest.member()), life: Arc::clone(guest.life()), name, protocol }
    }
}

impl Sessions {
    pub(crate) fn keep(&self, servername: &str, session: Session) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.names.retain(|name| name != servername);
        if kept.names.len() == NAMES_MAX
            && let Some(oldest) = kept.names.pop_front()
        {
            kept.by_name.remove(&oldest);
        }
        kept.names.push_back(servername.to_string());
        let sessions = kept.by_name.entry(servername.to_string()).or_default();
        if sessions.len() == SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(session);
    }

    /// Takes the newest session of this server whose instance is still there and welcomes the connection. The others stay.
    fn take(&self, servername: &str, welcomes: impl Fn(&Arc<Member>) -> bool) -> Option<Session> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sessions = kept.by_name.get_mut(servername)?;
        sessions.retain(|session| session.life.trap().is_none() && session.member.strong_count() > 0);
        let fits = |session: &Session| session.member.upgrade().is_some_and(|member| welcomes(&member));
        let newest = sessions.iter().rposition(fits)?;
        let session = sessions.remove(newest)?;
        // One of TLS 1.3 serves once (RFC 8446 appendix C.4), and servers send new ones. One of TLS 1.2 serves until there is another.
        if session.protocol == Some(ProtocolVersion::Tls12) {
            sessions.push_back(session.clone());
        }
        Some(session)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

/// Servers whose sessions are kept.
const NAMES_MAX: usize = 256;

/// Sessions of one server: enough for a browser's number of connections at once. The guest keeps 512 of all servers.
const SESSIONS_MAX: usize = 6;
