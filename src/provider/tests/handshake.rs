//! Whole handshakes in memory, each with a provider that has nothing but what the row names.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::CipherSuite::*;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, Error, HandshakeKind, NamedGroup, ProtocolVersion,
    RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion,
};

use super::fixture;
use crate::provider::crypto_provider;
use crate::provider::kx::{self, SECP256R1, X25519, X25519MLKEM768};
use crate::provider::random::with_seed;
use crate::provider::suites;

/// Each suite with each group that its version knows.
#[test]
fn every_suite_with_every_group() {
    let mut handshakes = 0;
    for suite in suites::ALL {
        let identity = match suite.suite() {
            TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            | TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
            | TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => RSA,
            _ => P256,
        };
        for group in kx::ALL {
            let version = suite.version().version;
            if !group.usable_for_version(version) {
                continue;
            }
            let what = format!("{:?}, {group:?}", suite.suite());
            let provider = provider(&[*suite], &[*group]);
            let mut pair = Pair::new(&provider, &provider, identity, None);
            pair.shake().unwrap_or_else(|e| panic!("{what}: {e}"));
            pair.exchange(&what);
            assert_eq!(pair.server.protocol_version(), Some(version), "{what}");
            assert_eq!(pair.suite(), suite.suite(), "{what}");
            assert_eq!(pair.group(), group.name(), "{what}");
            assert_eq!(pair.kind(), HandshakeKind::Full, "{what}");
            handshakes += 1;
        }
    }
    // Three suites of TLS 1.3 with five groups, six of TLS 1.2 with four.
    assert_eq!(handshakes, 3 * 5 + 6 * 4);
}

/// Each kind of certificate, for the server and for the client, in both versions; the signature is ours to make and to
/// check.
#[test]
fn every_certificate() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let suites: Vec<_> = suites::ALL.iter().copied().filter(|suite| suite.version() == version).collect();
        let provider = provider(&suites, &[X25519]);
        for (name, identity) in [
            ("RSA", RSA),
            ("RSA, certificate with PSS", RSA_PSS),
            ("P-256", P256),
            ("P-384", P384),
            ("P-521", P521),
            ("Ed25519", ED25519),
        ] {
            let what = format!("{:?}, {name}", version.version);
            let mut pair = Pair::new(&provider, &provider, identity, Some(identity));
            pair.shake().unwrap_or_else(|e| panic!("{what}: {e}"));
            pair.exchange(&what);
            assert_eq!(pair.server.peer_certificates().unwrap()[0].as_ref(), identity.certificate, "{what}");
            assert_eq!(pair.client.peer_certificates().unwrap()[0].as_ref(), identity.certificate, "{what}");
        }
    }
}

/// With all that we have, two of us choose the first of everything.
#[test]
fn preferences() {
    let provider = Arc::new(crypto_provider());
    let mut pair = Pair::new(&provider, &provider, P256, None);
    pair.shake().unwrap();
    assert_eq!(pair.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(pair.suite(), TLS13_CHACHA20_POLY1305_SHA256);
    assert_eq!(pair.group(), NamedGroup::X25519MLKEM768);
    assert_eq!(pair.kind(), HandshakeKind::Full);
}

/// A server without ML-KEM costs no second round trip, and one with a NIST curve alone costs one.
#[test]
fn servers_without_mlkem() {
    let client = Arc::new(crypto_provider());
    for (group, kind) in [(X25519, HandshakeKind::Full), (SECP256R1, HandshakeKind::FullWithHelloRetryRequest)] {
        let server = provider(suites::ALL, &[group]);
        let mut pair = Pair::new(&client, &server, P256, None);
        pair.shake().unwrap();
        assert_eq!(pair.group(), group.name());
        assert_eq!(pair.kind(), kind, "{group:?}");
    }
}

/// The second connection is resumed, in both versions and with each hash.
#[test]
fn resumption() {
    for suite in suites::ALL {
        let what = format!("{:?}", suite.suite());
        let identity = match what.contains("_RSA_") {
            true => RSA,
            false => P256,
        };
        let provider = provider(&[*suite], &[X25519]);
        let (client, server) = configs(&provider, &provider, identity, None);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut pair = Pair::of(&client, &server);
            pair.shake().unwrap_or_else(|e| panic!("{what}: {e}"));
            pair.exchange(&what);
            assert_eq!(pair.kind(), kind, "{what}");
        }
    }
}

/// What differs between the two sides ends the handshake, and with the right alert.
#[test]
fn nothing_in_common() {
    let chacha = provider(&[suites::TLS13_CHACHA20_POLY1305_SHA256], kx::ALL);
    let aes = provider(&[suites::TLS13_AES_128_GCM_SHA256], kx::ALL);
    let x25519 = provider(suites::ALL, &[X25519]);
    let p256 = provider(suites::ALL, &[SECP256R1]);
    let mlkem = provider(suites::ALL, &[X25519MLKEM768]);
    for (client, server, error) in [
        (&chacha, &aes, "peer is incompatible: NoCipherSuitesInCommon"),
        (&x25519, &p256, "peer is incompatible: NoKxGroupsInCommon"),
        (&mlkem, &x25519, "peer is incompatible: NoKxGroupsInCommon"),
    ] {
        let failed = Pair::new(client, server, P256, None).shake().unwrap_err();
        assert_eq!(failed.to_string(), error);
    }
}

/// A certificate that signs itself but is not the one we know.
#[test]
fn unknown_certificate() {
    let provider = Arc::new(crypto_provider());
    let (client, _) = configs(&provider, &provider, P256, None);
    let (_, server) = configs(&provider, &provider, P384, None);
    let failed = Pair::of(&client, &server).shake().unwrap_err();
    assert_eq!(failed.to_string(), "invalid peer certificate: UnknownIssuer");
}

/// The private key of another certificate.
#[test]
fn wrong_private_key() {
    let provider = Arc::new(crypto_provider());
    let wrong = Identity { key: fixture!("p384.pkcs8.der"), ..P256 };
    let refused = server_config(&provider, wrong, None).unwrap_err();
    assert_eq!(refused.to_string(), "keys may not be consistent: KeyMismatch");
}

/// The same seed gives the same bytes on the wire, so that a failure can be repeated.
#[test]
fn handshakes_are_reproducible() {
    let wire = |seed| {
        with_seed(seed, || {
            let provider = Arc::new(crypto_provider());
            let mut pair = Pair::new(&provider, &provider, P256, Some(P256));
            pair.shake().unwrap();
            pair.exchange("reproducible");
            pair.wire
        })
    };
    let first = wire(1);
    assert!(first.len() > 2000);
    assert_eq!(first, wire(1));
    assert_ne!(first, wire(2));
}

/// A client and a server with a wire between them.
struct Pair {
    client: Connection,
    server: Connection,
    /// All that went over the wire.
    wire: Vec<u8>,
}

impl Pair {
    fn new(
        client: &Arc<CryptoProvider>,
        server: &Arc<CryptoProvider>,
        identity: Identity,
        client_identity: Option<Identity>,
    ) -> Self {
        let (client, server) = configs(client, server, identity, client_identity);
        Self::of(&client, &server)
    }

    fn of(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Self {
        let name = ServerName::try_from("server.test").unwrap();
        Self {
            client: ClientConnection::new(client.clone(), name).unwrap().into(),
            server: ServerConnection::new(server.clone()).unwrap().into(),
            wire: Vec::new(),
        }
    }

    /// Until neither side has anything to say.
    fn shake(&mut self) -> Result<(), Error> {
        while self.client.wants_write() || self.server.wants_write() {
            transfer(&mut self.client, &mut self.server, &mut self.wire)?;
            transfer(&mut self.server, &mut self.client, &mut self.wire)?;
        }
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        Ok(())
    }

    /// Data in both directions, longer than one record, and the same exported secret on both sides.
    fn exchange(&mut self, what: &str) {
        let sent: Vec<u8> = (0..40_000_u32).map(|i| i as u8).collect();
        for client_sends in [true, false] {
            let (from, to) = match client_sends {
                true => (&mut self.client, &mut self.server),
                false => (&mut self.server, &mut self.client),
            };
            from.writer().write_all(&sent).unwrap();
            let received = transfer(from, to, &mut self.wire).unwrap();
            assert!(received == sent, "{what}");
        }
        let exported =
            |side: &Connection| side.export_keying_material([0; 32], b"EXPORTER-test", Some(b"context")).unwrap();
        assert_eq!(exported(&self.client), exported(&self.server), "{what}");
    }

    fn suite(&self) -> CipherSuite {
        let suite = self.client.negotiated_cipher_suite();
        assert_eq!(suite, self.server.negotiated_cipher_suite());
        suite.unwrap().suite()
    }

    fn group(&self) -> NamedGroup {
        let name = |side: &Connection| side.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(name(&self.client), name(&self.server));
        name(&self.client)
    }

    fn kind(&self) -> HandshakeKind {
        assert_eq!(self.client.handshake_kind(), self.server.handshake_kind());
        self.client.handshake_kind().unwrap()
    }
}

/// Hands over what one side has to send, and returns the data that the other side finds in it.
fn transfer(from: &mut Connection, to: &mut Connection, wire: &mut Vec<u8>) -> Result<Vec<u8>, Error> {
    let mut received = Vec::new();
    while from.wants_write() {
        let mut bytes = Vec::new();
        from.write_tls(&mut bytes).unwrap();
        wire.extend_from_slice(&bytes);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            to.process_new_packets()?;
            // Its error "would block" says that this was all.
            let _ = to.reader().read_to_end(&mut received);
        }
    }
    Ok(received)
}

fn provider(suites: &[SupportedCipherSuite], groups: &[&'static dyn SupportedKxGroup]) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), kx_groups: groups.to_vec(), ..crypto_provider() })
}

fn configs(
    client: &Arc<CryptoProvider>,
    server: &Arc<CryptoProvider>,
    identity: Identity,
    client_identity: Option<Identity>,
) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let client = client_config(client, identity, client_identity);
    let server = server_config(server, identity, client_identity).unwrap();
    (Arc::new(client), Arc::new(server))
}

/// The versions that the provider has suites for, the newest first.
fn versions(provider: &CryptoProvider) -> Vec<&'static SupportedProtocolVersion> {
    let has = |version: &&_| provider.cipher_suites.iter().any(|suite| suite.version() == *version);
    rustls::ALL_VERSIONS.iter().copied().filter(has).collect()
}

/// A client that knows the server's certificate.
fn client_config(provider: &Arc<CryptoProvider>, server: Identity, own: Option<Identity>) -> ClientConfig {
    let builder = ClientConfig::builder_with_details(provider.clone(), Arc::new(Today))
        .with_protocol_versions(&versions(provider))
        .unwrap()
        .with_root_certificates(server.root());
    let mut config = match own {
        Some(own) => builder.with_client_auth_cert(own.chain(), own.private_key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(8);
    config
}

/// A server that asks for the client's certificate if it knows one.
fn server_config(
    provider: &Arc<CryptoProvider>,
    own: Identity,
    client: Option<Identity>,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(Today))
        .with_protocol_versions(&versions(provider))?;
    let builder = match client {
        Some(client) => {
            let roots = Arc::new(client.root());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(own.chain(), own.private_key())
}

/// A certificate that signs itself, and its key.
#[derive(Clone, Copy)]
struct Identity {
    certificate: &'static [u8],
    key: &'static [u8],
}

impl Identity {
    fn chain(self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(self.certificate)]
    }

    fn private_key(self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key).into()
    }

    fn root(self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.certificate)).unwrap();
        roots
    }
}

/// A day within the certificates' hundred years.
#[derive(Debug)]
struct Today;

impl TimeProvider for Today {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000)))
    }
}

const RSA: Identity = Identity { certificate: fixture!("rsa-2048.cert.der"), key: fixture!("rsa-2048.pkcs8.der") };
const RSA_PSS: Identity =
    Identity { certificate: fixture!("rsa-2048-pss.cert.der"), key: fixture!("rsa-2048.pkcs8.der") };
const P256: Identity = Identity { certificate: fixture!("p256.cert.der"), key: fixture!("p256.pkcs8.der") };
const P384: Identity = Identity { certificate: fixture!("p384.cert.der"), key: fixture!("p384.pkcs8.der") };
const P521: Identity = Identity { certificate: fixture!("p521.cert.der"), key: fixture!("p521.pkcs8.der") };
const ED25519: Identity = Identity { certificate: fixture!("ed25519.cert.der"), key: fixture!("ed25519.pkcs8.der") };
