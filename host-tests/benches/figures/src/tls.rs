//! Whole TLS: two rustls connections in one thread, with an implementation's provider at both ends.

use std::io::{Read as _, Write as _};
use std::ops::DerefMut;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, NamedGroup, RootCertStore,
    ServerConfig, ServerConnection, SideData,
};

use crate::{Figures, fixtures};

impl Figures {
    /// Handshakes of TLS 1.3, and bytes from a client to a server, with what this provider has.
    pub fn tls(&mut self, provider: &CryptoProvider) {
        for (group, group_name) in [(NamedGroup::X25519, "X25519"), (NamedGroup::X25519MLKEM768, "X25519MLKEM768")] {
            for identity in [P256, RSA] {
                if let Some(ends) = Ends::new(provider, SHAKEN, group, identity, Resumption::disabled()) {
                    let name = format!("handshake, {group_name}, {}", identity.name);
                    self.operation(name, move || ends.handshake(HandshakeKind::Full));
                }
            }
        }
        if let Some(ends) = Ends::new(provider, SHAKEN, NamedGroup::X25519, P256, Resumption::in_memory_sessions(1)) {
            ends.handshake(HandshakeKind::Full);
            self.operation("handshake, X25519, resumed", move || ends.handshake(HandshakeKind::Resumed));
        }
        for (suite, suite_name) in SUITES {
            for (size, len) in [("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("64 KiB", 64 << 10)] {
                if let Some(ends) = Ends::new(provider, suite, NamedGroup::X25519, P256, Resumption::disabled()) {
                    let mut link = ends.handshake(HandshakeKind::Full);
                    let (sent, mut received) = (vec![7; len], vec![0; len]);
                    self.bytes(format!("bulk, {suite_name}, {size}"), len, move || {
                        link.client.writer().write_all(&sent).expect("there is no limit to what waits");
                        let got = transfer(&mut link.client, &mut link.server, &mut link.wire, &mut received);
                        assert_eq!(got, len);
                    });
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Identity {
    name: &'static str,
    certificate: &'static [u8],
    key: &'static [u8],
}

const P256: Identity =
    Identity { name: "P-256 certificate", certificate: fixtures::P256_CERTIFICATE, key: fixtures::P256_KEY };

const RSA: Identity =
    Identity { name: "RSA-2048 certificate", certificate: fixtures::RSA_CERTIFICATE, key: fixtures::RSA_KEY };

const SUITES: [(CipherSuite, &str); 3] = [
    (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "ChaCha20-Poly1305"),
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "AES-128-GCM"),
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "AES-256-GCM"),
];

/// The suite of the handshakes that are measured: one that all have.
const SHAKEN: CipherSuite = CipherSuite::TLS13_AES_128_GCM_SHA256;

/// A client and a server that can only do one thing.
struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

struct Link {
    client: ClientConnection,
    server: ServerConnection,
    wire: Vec<u8>,
}

impl Ends {
    /// Nothing if the provider does not have the suite or the group.
    fn new(
        provider: &CryptoProvider,
        suite: CipherSuite,
        group: NamedGroup,
        identity: Identity,
        resumption: Resumption,
    ) -> Option<Self> {
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![*provider.cipher_suites.iter().find(|known| known.suite() == suite)?],
            kx_groups: vec![*provider.kx_groups.iter().find(|known| known.name() == group)?],
            ..provider.clone()
        });
        let certificate = CertificateDer::from(identity.certificate);
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("the certificate is an anchor");
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has a suite of TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = resumption;
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has a suite of TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key)))
            .expect("the key fits its certificate");
        Some(Self { client: client.into(), server: server.into() })
    }

    fn handshake(&self, kind: HandshakeKind) -> Link {
        let name = ServerName::try_from("server.test").expect("it is a name");
        let mut client = ClientConnection::new(self.client.clone(), name).expect("the configuration is whole");
        let mut server = ServerConnection::new(self.server.clone()).expect("the configuration is whole");
        client.set_buffer_limit(None);
        let mut wire = Vec::new();
        while client.wants_write() || server.wants_write() {
            transfer(&mut client, &mut server, &mut wire, &mut []);
            transfer(&mut server, &mut client, &mut wire, &mut []);
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        assert_eq!(client.handshake_kind(), Some(kind));
        Link { client, server, wire }
    }
}

/// Hands over all that one end has to send, and says how many bytes of data the other end found in it.
fn transfer<A: SideData, B: SideData>(
    from: &mut impl DerefMut<Target = ConnectionCommon<A>>,
    to: &mut impl DerefMut<Target = ConnectionCommon<B>>,
    wire: &mut Vec<u8>,
    received: &mut [u8],
) -> usize {
    wire.clear();
    while from.wants_write() {
        from.write_tls(wire).expect("memory takes all");
    }
    let (mut rest, mut got) = (wire.as_slice(), 0);
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("memory gives all");
        let state = to.process_new_packets().expect("the other end is in order");
        let len = state.plaintext_bytes_to_read();
        to.reader().read_exact(&mut received[got..got + len]).expect("it is there");
        got += len;
    }
    got
}
