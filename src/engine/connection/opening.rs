//! From options to a connection of rustls.

use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, Error as TlsError, KeyLog, ServerConfig};

use super::super::ConnectionOptions;
use super::super::sessions::client::{ClientSide, ConnectionSession, Relay, Terms};
use super::super::sessions::lock;
use super::super::sessions::server::ConnectionSessions;
use crate::context::Context;
use crate::context::Identities;
use crate::error::{Error, Role, from_rustls};
use crate::verify::{PeerVerifier, Verdict, VerifyOptions};

/// What a server shows: one of the context's identities, with the staple for it.
#[derive(Debug)]
pub(super) struct ServerSide {
    identities: Arc<Identities>,
    staple: Option<Vec<u8>>,
    /// The identity that was shown (row K7).
    pub(super) shown: Mutex<Option<Arc<CertifiedKey>>>,
}

/// Lines for a key log file, as they come (row S6). The format is that of NSS, which Wireshark reads.
#[derive(Debug, Default)]
pub(super) struct KeyLogLines(Mutex<Vec<String>>);

/// A client's connection with its ClientHello ready, inside of [`client::with`](super::super::sessions::client::with).
pub(super) fn client(
    context: &Arc<Context>,
    options: &ConnectionOptions,
    session: &Arc<ConnectionSession>,
    key_log: Option<&Arc<KeyLogLines>>,
    max_fragment_size: Option<usize>,
) -> Result<ClientConnection, Error> {
    let name = options.server_name()?;
    let open = || {
        let mut config = ClientConfig::builder_with_details(context.provider().clone(), context.time().clone())
            .with_protocol_versions(context.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Relay::shared().clone())
            .with_client_cert_resolver(Relay::shared().clone());
        config.alpn_protocols.clone_from(&options.alpn_protocols);
        config.resumption = Resumption::store(session.clone());
        config.require_ems = context.require_ems();
        config.max_fragment_size = max_fragment_size;
        config.cert_compressors = context.cert_compressors();
        config.cert_decompressors = context.cert_decompressors();
        if let Some(lines) = key_log {
            config.key_log = lines.clone();
        }
        ClientConnection::new(Arc::new(config), name)
    };
    // Nothing was sent yet, so that no alert is due.
    let role = Role { is_server: false, heard_tls: false, version: None, said: None };
    open().map_err(|error: TlsError| Error { alert: None, ..from_rustls(&error, role) })
}

/// What a client's connection has of its own.
pub(super) fn client_side(context: &Arc<Context>, options: &ConnectionOptions, verdict: &Arc<Verdict>) -> ClientSide {
    ClientSide {
        verifier: verifier(context, options, verdict),
        identities: context.identities().clone(),
        staple: Mutex::default(),
        shown: Mutex::default(),
    }
}

/// What must be the same for a session to be resumed.
pub(super) fn terms(context: &Context, options: &ConnectionOptions) -> Terms {
    Terms {
        servername: options.servername.clone().unwrap_or_default().to_ascii_lowercase(),
        binding: context.client_binding(verify_options(options)),
    }
}

/// The configuration of a server's connection.
pub(super) fn server_config(
    context: &Arc<Context>,
    options: &ConnectionOptions,
    sessions: &Arc<ConnectionSessions>,
    side: &Arc<ServerSide>,
    alpn: Option<Vec<u8>>,
    key_log: Option<&Arc<KeyLogLines>>,
    max_fragment_size: Option<usize>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_details(context.provider().clone(), context.time().clone())
        .with_protocol_versions(context.versions())?;
    let builder = match options.request_cert {
        true => builder.with_client_cert_verifier(Arc::new(verifier(context, options, &sessions.verdict))),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(side.clone());
    config.alpn_protocols = alpn.map_or_else(|| options.alpn_protocols.clone(), |chosen| vec![chosen]);
    config.ignore_client_order = context.honor_cipher_order();
    config.session_storage = sessions.clone();
    config.ticketer = sessions.clone();
    // Where the caller keeps the sessions, a ticket is just the id of one.
    config.send_tls13_tickets = if options.tickets || options.session_events { TICKETS } else { 0 };
    config.require_ems = context.require_ems();
    config.max_fragment_size = max_fragment_size;
    config.cert_compressors = context.cert_compressors();
    config.cert_decompressors = context.cert_decompressors();
    if let Some(lines) = key_log {
        config.key_log = lines.clone();
    }
    Ok(config)
}

fn verifier(context: &Arc<Context>, options: &ConnectionOptions, verdict: &Arc<Verdict>) -> PeerVerifier {
    PeerVerifier::new(context.clone(), verify_options(options), verdict.clone())
}

fn verify_options(options: &ConnectionOptions) -> VerifyOptions {
    VerifyOptions {
        reject_unauthorized: options.reject_unauthorized,
        danger_skip_server_identity: options.danger_skip_server_identity,
    }
}

impl ServerSide {
    pub(super) fn new(context: &Context, staple: Option<Vec<u8>>) -> Self {
        Self { identities: context.identities().clone(), staple, shown: Mutex::default() }
    }
}

impl ResolvesServerCert for ServerSide {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut shown = self.identities.resolve_for_client(&hello)?;
        if let Some(staple) = &self.staple {
            shown = Arc::new(CertifiedKey { ocsp: Some(staple.clone()), ..CertifiedKey::clone(&shown) });
        }
        *lock(&self.shown) = Some(shown.clone());
        Some(shown)
    }
}

impl KeyLogLines {
    /// The lines since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0))
    }
}

impl KeyLog for KeyLogLines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        lock(&self.0).push(format!("{label} {} {}", hex(client_random), hex(secret)));
    }
}

/// How many tickets a client of TLS 1.3 gets, as from OpenSSL: one for each of two connections at once.
const TICKETS: usize = 2;
