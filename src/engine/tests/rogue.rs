//! A peer that keeps the keys and breaks the rules: rustls over record protection that says what it likes on the outside.

use std::cell::Cell;
use std::sync::Arc;

use guest_tls_kernels::ChaCha20Poly1305;
use rustls::crypto::cipher::{
    AeadKey, Iv, MessageDecrypter, MessageEncrypter, Nonce, OutboundOpaqueMessage, OutboundPlainMessage,
    PrefixedPayload, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, Error as TlsError,
    ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite, Tls13CipherSuite,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::fixtures::{self, CA, SERVER};
use crate::engine::Connection;
use crate::error::{Direction, ErrorCode};
use crate::provider::crypto_provider;
use crate::provider::suites::TLS13_CHACHA20_POLY1305_SHA256;

thread_local! {
    /// What the rogue's protected records say on the outside.
    static OUTSIDE: Cell<(ContentType, ProtocolVersion)> = const { Cell::new(RIGHT) };
}

const RIGHT: (ContentType, ProtocolVersion) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);

/// ChaCha20-Poly1305 that authenticates the outside that it says, so that every tag is right.
struct Rogue;

struct Encrypter(ChaCha20Poly1305, Iv);

impl Tls13AeadAlgorithm for Rogue {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Encrypter(ChaCha20Poly1305::new(key.as_ref().try_into().expect("32 bytes")), iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        real().aead_alg.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        ChaCha20Poly1305::KEY_LEN
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl MessageEncrypter for Encrypter {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, TlsError> {
        let (typ, version) = OUTSIDE.get();
        let mut inner = message.payload.to_vec();
        inner.extend(message.typ.to_array());
        let length = (inner.len() as u16 + 16).to_be_bytes();
        let aad = [&typ.to_array()[..], &version.to_array(), &length].concat();
        let tag = self.0.seal(&Nonce::new(&self.1, seq).0, &aad, &mut inner);
        let mut record = PrefixedPayload::with_capacity(inner.len() + tag.len());
        record.extend_from_slice(&inner);
        record.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(typ, version, record))
    }

    fn encrypted_payload_len(&self, payload: usize) -> usize {
        payload + 1 + 16
    }
}

#[test]
fn a_peer_can_not_choose_what_its_protected_records_are_taken_for() {
    use ContentType::{Alert, ApplicationData, Handshake};
    let outsides = [
        (Handshake, ProtocolVersion::TLSv1_2),
        (Alert, ProtocolVersion::TLSv1_2),
        (ApplicationData, ProtocolVersion::TLSv1_0),
        (ApplicationData, ProtocolVersion::TLSv1_3),
    ];
    for outside in outsides {
        for is_server in [false, true] {
            for in_handshake in [true, false] {
                let what = format!("{outside:?}, rogue server: {is_server}, in the handshake: {in_handshake}");
                OUTSIDE.set(if in_handshake { outside } else { RIGHT });
                let (mut ours, mut rogue) = ends(is_server);
                let mut error = carry(&mut ours, &mut rogue);
                if !in_handshake {
                    assert_eq!((ours.error(), error), (None, None), "{what}");
                    OUTSIDE.set(outside);
                    std::io::Write::write_all(&mut rogue.writer(), b"text").expect("it is not over");
                    error = carry(&mut ours, &mut rogue);
                }
                let seen =
                    ours.error().map(|error| (error.code, error.alert.map(|alert| (alert.direction, alert.name()))));
                let expected = (ErrorCode::ErrSslUnexpectedMessage, Some((Direction::Sent, "unexpected_message")));
                assert_eq!(seen, Some(expected), "{what}");
                assert_eq!(error, Some(TlsError::AlertReceived(AlertDescription::UnexpectedMessage)), "{what}");
                assert_eq!(ours.peer_finished().is_some(), !in_handshake, "{what}");
                if in_handshake {
                    assert_eq!(ours.tls_ticket(), None, "{what}");
                }
                OUTSIDE.set(RIGHT);
            }
        }
    }
}

/// Carries until nothing moves. Gives what ended the rogue.
fn carry(ours: &mut Connection, rogue: &mut rustls::Connection) -> Option<TlsError> {
    loop {
        let to_rogue = ours.read_encrypted(usize::MAX);
        let mut from_rogue = Vec::new();
        let mut rest = &to_rogue[..];
        while !rest.is_empty() {
            rogue.read_tls(&mut rest).expect("it reads");
            if let Err(error) = rogue.process_new_packets() {
                return Some(error);
            }
        }
        while rogue.wants_write() {
            rogue.write_tls(&mut from_rogue).expect("it writes");
        }
        let _ = ours.write_encrypted(&from_rogue);
        if to_rogue.is_empty() && from_rogue.is_empty() {
            return None;
        }
    }
}

fn ends(rogue_is_server: bool) -> (Connection, rustls::Connection) {
    let suite = Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: real().common.suite,
            hash_provider: real().common.hash_provider,
            confidentiality_limit: real().common.confidentiality_limit,
        },
        hkdf_provider: real().hkdf_provider,
        aead_alg: &Rogue,
        quic: None,
    };
    // A suite lives for ever; these are some of a test.
    let suite = SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)));
    let provider = Arc::new(CryptoProvider { cipher_suites: vec![suite], ..crypto_provider() });
    let only = &[&rustls::version::TLS13];
    match rogue_is_server {
        true => {
            let config =
                ServerConfig::builder_with_provider(provider).with_protocol_versions(only).expect("it has TLS 1.3");
            let chain = vec![CertificateDer::from_pem_slice(SERVER.0).expect("PEM")];
            let key = PrivateKeyDer::from_pem_slice(SERVER.1).expect("PEM");
            let config = config.with_no_client_auth().with_single_cert(chain, key).expect("they belong together");
            let rogue = ServerConnection::new(Arc::new(config)).expect("right");
            let ours = Connection::new(fixtures::client_context(), fixtures::client()).expect("right");
            (ours, rogue.into())
        }
        false => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(CA).expect("PEM")).expect("a CA");
            let config =
                ClientConfig::builder_with_provider(provider).with_protocol_versions(only).expect("it has TLS 1.3");
            let config = config.with_root_certificates(roots).with_no_client_auth();
            let name = "server.test".try_into().expect("a name");
            let rogue = ClientConnection::new(Arc::new(config), name).expect("right");
            let ours = Connection::new(fixtures::server_context(), fixtures::server()).expect("right");
            (ours, rogue.into())
        }
    }
}

fn real() -> &'static Tls13CipherSuite {
    TLS13_CHACHA20_POLY1305_SHA256.tls13().expect("it is of TLS 1.3")
}
