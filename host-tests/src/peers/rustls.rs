//! Native rustls with ring.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use ::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use ::rustls::pki_types::pem::PemObject as _;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use ::rustls::server::WebPkiClientVerifier;
use ::rustls::{
    AlertDescription, ClientConfig, CommonState, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Listening;
use crate::certificates::Identity;
use crate::exchange::{Application as _, Exchange, hex};
use crate::setup::{EXPORTER_BYTES, EXPORTER_LABEL, Failure, Report, Setup, Version};

/// A server that takes one connection.
pub async fn listen(setup: &Setup) -> Result<Listening> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(setup)?));
    let setup = setup.clone();
    let server = async move {
        let (tcp, _) = listener.accept().await?;
        drop(listener);
        match acceptor.accept(tcp).await {
            Err(error) => Ok(failed(&error)),
            Ok(mut stream) => {
                let mut report = describe(stream.get_ref().1)?;
                report.servername = stream.get_ref().1.server_name().map(str::to_string);
                let mut material = [0; EXPORTER_BYTES];
                stream.get_ref().1.export_keying_material(&mut material, EXPORTER_LABEL.as_bytes(), None)?;
                report.exporter = Some(hex(&material));
                talk(&setup, &mut stream, report).await
            }
        }
    };
    Ok(Listening::spawn(port, server))
}

/// A client.
pub async fn connect(setup: &Setup, port: u16) -> Result<Report> {
    let connector = TlsConnector::from(Arc::new(client_config(setup)?));
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let name = ServerName::try_from(setup.servername.clone())?;
    match connector.connect(name, tcp).await {
        Err(error) => Ok(failed(&error)),
        Ok(mut stream) => {
            let mut report = describe(stream.get_ref().1)?;
            let mut material = [0; EXPORTER_BYTES];
            stream.get_ref().1.export_keying_material(&mut material, EXPORTER_LABEL.as_bytes(), None)?;
            report.exporter = Some(hex(&material));
            talk(setup, &mut stream, report).await
        }
    }
}

/// A client's configuration for this setup.
pub fn client_config(setup: &Setup) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider(setup)).with_protocol_versions(&versions(setup))?;
    let builder = if setup.reject_unauthorized {
        builder.with_root_certificates(roots(setup)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAll(provider(setup))))
    };
    let mut config = match &setup.identity {
        Some(identity) => builder.with_client_auth_cert(chain(identity)?, key(identity)?)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = setup.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

/// A server's configuration for this setup.
pub fn server_config(setup: &Setup) -> Result<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider(setup)).with_protocol_versions(&versions(setup))?;
    let builder = if setup.request_cert {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(setup)?), provider(setup));
        let verifier = if setup.reject_unauthorized { verifier } else { verifier.allow_unauthenticated() };
        builder.with_client_cert_verifier(verifier.build()?)
    } else {
        builder.with_no_client_auth()
    };
    let identity = setup.identity.as_ref().context("a server needs a certificate")?;
    let mut config = builder.with_single_cert(chain(identity)?, key(identity)?)?;
    config.alpn_protocols = setup.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

async fn talk(setup: &Setup, stream: impl AsyncRead + AsyncWrite, mut report: Report) -> Result<Report> {
    let (exchange, result) = Exchange::new(setup.turn, setup.bytes).run(stream).await;
    (report.sent, report.received, report.ended) = exchange.result();
    report.failure = result.err().map(|error| failure(&error));
    Ok(report)
}

fn describe(connection: &CommonState) -> Result<Report> {
    let leaf = connection.peer_certificates().and_then(|chain| chain.first());
    Ok(Report {
        protocol: connection.protocol_version().map(|version| format!("{version:?}").replace('_', ".")),
        suite: connection.negotiated_cipher_suite().map(|suite| standard_name(&format!("{:?}", suite.suite()))),
        group: connection.negotiated_key_exchange_group().map(|group| group_name(&format!("{:?}", group.name()))),
        alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        peer_subject: leaf.and_then(|leaf| common_name(leaf)),
        authorized: leaf.map(|_| true),
        ..Report::default()
    })
}

fn failed(error: &std::io::Error) -> Report {
    Report { failure: Some(failure(error)), ..Report::default() }
}

fn failure(error: &std::io::Error) -> Failure {
    let alert = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(alert)) => Some(u8::from(*alert)),
        Some(Error::InvalidCertificate(invalid)) => Some(u8::from(AlertDescription::from(invalid.clone()))),
        _ => None,
    };
    let code = error.get_ref().map_or_else(|| format!("{:?}", error.kind()), |inner| format!("{inner:?}"));
    Failure { code, message: error.to_string(), reason: None, alert }
}

/// ring, with the suites and groups of this setup only, in its order.
fn provider(setup: &Setup) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    let suite_rank = |suite: &SupportedCipherSuite| {
        let name = standard_name(&format!("{:?}", suite.suite()));
        setup.suites.iter().position(|wanted| wanted.name == name)
    };
    if !setup.suites.is_empty() {
        provider.cipher_suites.retain(|suite| suite_rank(suite).is_some());
        provider.cipher_suites.sort_by_key(suite_rank);
    }
    let group_rank = |group: &&dyn SupportedKxGroup| {
        let name = group_name(&format!("{:?}", group.name()));
        setup.groups.iter().position(|wanted| wanted.openssl == name)
    };
    if !setup.groups.is_empty() {
        provider.kx_groups.retain(|group| group_rank(group).is_some());
        provider.kx_groups.sort_by_key(group_rank);
    }
    Arc::new(provider)
}

fn versions(setup: &Setup) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(Version::Tls12, &::rustls::version::TLS12), (Version::Tls13, &::rustls::version::TLS13)];
    let (lowest, highest) = setup.versions;
    all.into_iter().filter(|(version, _)| (lowest..=highest).contains(version)).map(|(_, version)| version).collect()
}

fn roots(setup: &Setup) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for root in &setup.roots {
        store.add(CertificateDer::from_pem_slice(root.certificate.as_bytes())?)?;
    }
    Ok(store)
}

fn chain(identity: &Identity) -> Result<Vec<CertificateDer<'static>>> {
    let pem = identity.full_chain();
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

fn key(identity: &Identity) -> Result<PrivateKeyDer<'static>> {
    Ok(PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?)
}

/// rustls's name of a suite as IANA has it: rustls says `TLS13_AES_128_GCM_SHA256`.
fn standard_name(name: &str) -> String {
    name.replace("TLS13_", "TLS_")
}

/// rustls's name of a group as OpenSSL has it.
fn group_name(name: &str) -> String {
    match name {
        "secp256r1" => "prime256v1".to_string(),
        other => other.to_string(),
    }
}

/// The last common name in a certificate of ours: the subject's, which comes after the issuer's.
fn common_name(certificate: &[u8]) -> Option<String> {
    /// An attribute of type commonName (2.5.4.3) whose value is a UTF8String.
    const COMMON_NAME: [u8; 6] = [0x06, 0x03, 0x55, 0x04, 0x03, 0x0c];
    let at = certificate.windows(COMMON_NAME.len()).rposition(|window| window == COMMON_NAME)? + COMMON_NAME.len();
    let length = usize::from(*certificate.get(at)?);
    let value = certificate.get(at + 1..at + 1 + length)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Looks at signatures, but not at whose they are.
#[derive(Debug)]
struct AcceptAll(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _staple: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ::rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ::rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
