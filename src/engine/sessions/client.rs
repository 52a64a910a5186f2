//! The sessions of clients (rows O17, K8).
//!
//! rustls does not let a client's session out, so it stays in the guest, and what the caller gets is a name for it: 32 random bytes
//! that can't be guessed. A session of TLS 1.3 resumes one connection, as RFC 8446 appendix C.4 asks, one of TLS 1.2 any number.
//!
//! rustls resumes a session only under the same verifier and the same client credentials, and tells them by their address. Ours
//! belong to one connection each. So rustls gets one verifier and one resolver for all connections, [`Relay`], which hand on to those
//! of the connection that is driven at the time; and what rustls would have compared is compared here, by [`Terms`].

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error as TlsError, NamedGroup, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::lock;
use super::server::AUTHENTICATION_MAX;
use crate::context::Identities;
use crate::provider::random;
use crate::verify::{PeerVerifier, Verdict};

/// What must be the same for a session to be resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Terms {
    /// The server's name.
    pub(in super::super) servername: String,
    /// What servers are verified against, by which rules, and who we say that we are.
    pub(in super::super) binding: [u8; 32],
}

/// A session of a client.
#[derive(Debug)]
pub(in super::super) struct Session {
    terms: Terms,
    value: Value,
    /// What was found out about the server when the session was made.
    verdict: Arc<Verdict>,
    /// When the full handshake was from which it follows, in seconds since 1970.
    authenticated: u64,
}

#[derive(Debug)]
enum Value {
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// Keeps a session, and names it. `None` without randomness.
pub(in super::super) fn keep(session: Session) -> Option<Vec<u8>> {
    let mut name = [0; NAME_LEN];
    random::fill(&mut name).ok()?;
    let mut kept = lock(&KEPT);
    if kept.len() == KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back((name, session));
    Some(name.to_vec())
}

/// The session of this name, where there is one on the same terms that does not follow from too old a handshake. One of TLS 1.3 is
/// given out once.
pub(in super::super) fn find(name: &[u8], terms: &Terms, now: u64) -> Option<Session> {
    let mut kept = lock(&KEPT);
    let good =
        |session: &Session| session.terms == *terms && now.saturating_sub(session.authenticated) < AUTHENTICATION_MAX;
    let index = kept.iter().position(|(known, session)| known == name && good(session))?;
    let again = match &kept[index].1 {
        Session { value: Value::Tls12(value), terms, verdict, authenticated } => Some(Session {
            terms: terms.clone(),
            value: Value::Tls12(value.clone()),
            verdict: verdict.clone(),
            authenticated: *authenticated,
        }),
        Session { value: Value::Tls13(_), .. } => None,
    };
    again.or_else(|| kept.remove(index).map(|(_, session)| session))
}

/// Whether bytes may name a session.
pub(in super::super) fn is_name(bytes: &[u8]) -> bool {
    bytes.len() == NAME_LEN
}

/// What rustls asks about sessions during a client's connection.
#[derive(Debug)]
pub(in super::super) struct ConnectionSession {
    terms: Terms,
    /// To be resumed, and the verdict that goes with it.
    offered: Mutex<Option<Value>>,
    offered_verdict: Option<Arc<Verdict>>,
    offered_authenticated: Option<u64>,
    /// How many were made, of which only the first are kept: a server may send any number.
    count: AtomicUsize,
    /// Made in this connection, and not yet kept.
    made: Mutex<Vec<Value>>,
}

impl ConnectionSession {
    /// Offers a session, or none.
    pub(in super::super) fn new(terms: Terms, offered: Option<Session>) -> Self {
        let offered_authenticated = offered.as_ref().map(|session| session.authenticated);
        let (offered, offered_verdict) = offered.map(|session| (session.value, session.verdict)).unzip();
        Self {
            terms,
            offered: Mutex::new(offered),
            offered_verdict,
            offered_authenticated,
            count: AtomicUsize::new(0),
            made: Mutex::default(),
        }
    }

    /// The verdict of the session that was offered.
    pub(in super::super) fn offered_verdict(&self) -> Option<&Arc<Verdict>> {
        self.offered_verdict.as_ref()
    }

    /// The sessions that were made since the last call, in a handshake of `now` or one that resumed. Mostly there are none: then
    /// nobody asks for the time. Those of TLS 1.2 need extended master secret, so that no other peer can have them (RFC 7627
    /// section 5.3).
    pub(in super::super) fn take_made(
        &self,
        verdict: &Arc<Verdict>,
        reused: bool,
        extended_master_secret: bool,
        now: impl Fn() -> u64,
    ) -> Vec<Session> {
        let session = |value| Session {
            terms: self.terms.clone(),
            value,
            verdict: verdict.clone(),
            authenticated: self.offered_authenticated.filter(|_| reused).unwrap_or_else(&now),
        };
        let is_good = |value: &Value| extended_master_secret || matches!(value, Value::Tls13(_));
        lock(&self.made).drain(..).filter(is_good).map(session).collect()
    }

    fn keep_made(&self, value: Value) {
        if self.count.fetch_add(1, Ordering::Relaxed) < MADE_MAX {
            lock(&self.made).push(value);
        }
    }
}

impl ClientSessionStore for ConnectionSession {
    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.keep_made(Value::Tls12(value));
    }

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        match &*lock(&self.offered) {
            Some(Value::Tls12(value)) => Some(value.clone()),
            _ => None,
        }
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {
        let mut offered = lock(&self.offered);
        if matches!(*offered, Some(Value::Tls12(_))) {
            *offered = None;
        }
    }

    fn insert_tls13_ticket(&self, _server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.keep_made(Value::Tls13(value));
    }

    fn take_tls13_ticket(&self, _server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut offered = lock(&self.offered);
        match offered.take() {
            Some(Value::Tls13(value)) => Some(value),
            other => {
                *offered = other;
                None
            }
        }
    }
}

/// What a client's connection has of its own while it is driven.
#[derive(Debug)]
pub(in super::super) struct ClientSide {
    pub(in super::super) verifier: PeerVerifier,
    pub(in super::super) identities: Arc<Identities>,
    /// The stapled OCSP response as it came (row K9); empty where none did.
    pub(in super::super) staple: Mutex<Option<Vec<u8>>>,
    /// The identity that we showed (row K7).
    pub(in super::super) shown: Mutex<Option<Arc<CertifiedKey>>>,
}

/// Runs `call` for this connection.
pub(in super::super) fn with<R>(side: Option<&Arc<ClientSide>>, call: impl FnOnce() -> R) -> R {
    let before = DRIVEN.replace(side.cloned());
    let result = call();
    DRIVEN.set(before);
    result
}

/// The one verifier and resolver that rustls sees.
#[derive(Debug)]
pub(in super::super) struct Relay;

impl Relay {
    /// The same allocation each time.
    pub(in super::super) fn shared() -> &'static Arc<Self> {
        static RELAY: OnceLock<Arc<Relay>> = OnceLock::new();
        RELAY.get_or_init(|| Arc::new(Self))
    }

    fn side() -> Option<Arc<ClientSide>> {
        DRIVEN.with_borrow(Clone::clone)
    }

    fn side_or_error() -> Result<Arc<ClientSide>, TlsError> {
        Self::side().ok_or_else(|| TlsError::General("no connection is driven".into()))
    }
}

impl ServerCertVerifier for Relay {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let side = Self::side_or_error()?;
        *lock(&side.staple) = Some(ocsp_response.to_vec());
        side.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls12_signature(&Self::side_or_error()?.verifier, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        ServerCertVerifier::verify_tls13_signature(&Self::side_or_error()?.verifier, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::side().map(|side| ServerCertVerifier::supported_verify_schemes(&side.verifier)).unwrap_or_default()
    }
}

impl ResolvesClientCert for Relay {
    fn resolve(&self, _root_hint_subjects: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let side = Self::side()?;
        let shown = side.identities.resolve_for_server(schemes);
        (*lock(&side.shown)).clone_from(&shown);
        shown
    }

    fn has_certs(&self) -> bool {
        Self::side().is_some_and(|side| !side.identities.is_empty())
    }
}

thread_local! {
    static DRIVEN: RefCell<Option<Arc<ClientSide>>> = const { RefCell::new(None) };
}

static KEPT: Mutex<VecDeque<([u8; NAME_LEN], Session)>> = Mutex::new(VecDeque::new());

/// Sessions of all clients in the guest; the oldest goes first. One has a few KiB: the server's certificates are in it.
const KEPT_MAX: usize = 512;
const NAME_LEN: usize = 32;
/// Sessions of one connection. OpenSSL sends two.
const MADE_MAX: usize = 8;
