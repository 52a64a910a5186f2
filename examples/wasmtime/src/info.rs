//! What is known of a connection after its handshake.

use wasmtime::component::ResourceAny;

use crate::bindings::exports::guest::tls::certificate::Certificate;
use crate::bindings::exports::guest::tls::secure_pair::{Cipher, EphemeralKeyInfo};
use crate::bindings::exports::guest::tls::types::{Error as TlsError, ProtocolVersion};
use crate::instance::Instance;

/// What was agreed on in the handshake, and with whom.
#[derive(Clone, Debug)]
pub struct Info {
    /// The version (row K6).
    pub protocol: Option<ProtocolVersion>,
    /// The cipher suite (row K5).
    pub cipher: Option<Cipher>,
    /// The key exchange (row K10).
    pub ephemeral_key_info: Option<EphemeralKeyInfo>,
    /// The application protocol, where there is one (row K4).
    pub alpn_protocol: Option<Vec<u8>>,
    /// The name that the client asked for by SNI (row K4).
    pub servername: Option<String>,
    /// Whether the peer's certificate was verified: chain and, for a client, name (row K2).
    pub authorized: bool,
    /// Why it was not, where there was one and unauthorized peers are not rejected (row K2).
    pub authorization_error: Option<TlsError>,
    /// The peer's certificates as it sent them, leaf first; empty where there are none (row K7).
    pub peer_certificates: Vec<Certificate>,
    /// Whether a session was resumed (row K8).
    pub is_session_reused: bool,
}

impl Info {
    /// Asks the guest, all at once: most is asked of every connection, and an answer that is at hand needs no `await`.
    pub(crate) async fn of(instance: &mut Instance, pair: ResourceAny) -> wasmtime::Result<Info> {
        let (store, world) = instance.enter();
        let guest = world.guest_tls_secure_pair().secure_pair();
        Ok(Info {
            protocol: guest.call_protocol(&mut *store, pair).await?,
            cipher: guest.call_cipher(&mut *store, pair).await?,
            ephemeral_key_info: guest.call_ephemeral_key_info(&mut *store, pair).await?,
            alpn_protocol: guest.call_alpn_protocol(&mut *store, pair).await?,
            servername: guest.call_servername(&mut *store, pair).await?,
            authorized: guest.call_authorized(&mut *store, pair).await?,
            authorization_error: guest.call_authorization_error(&mut *store, pair).await?,
            peer_certificates: guest.call_peer_certificates(&mut *store, pair).await?,
            is_session_reused: guest.call_is_session_reused(&mut *store, pair).await?,
        })
    }
}
