//! The check of the peer's certificate: chain and name by webpki, and what is wrong by OpenSSL's names (row K2).

mod chain;

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error as TlsError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::KeyUsage;

use crate::context::Context;
use crate::error::{Alert, Direction, Error, ErrorCode};
use chain::Refusal;

/// Checks the certificate of one connection's peer, and keeps what came of it in a [`Verdict`].
///
/// Whatever the verdict, the peer has to prove by its signature in the handshake that it has the certificate's key.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    context: Arc<Context>,
    reject_unauthorized: bool,
    hints: Vec<DistinguishedName>,
    verdict: Arc<Verdict>,
}

/// What the check of the peer's certificate came to. One a connection.
#[derive(Debug, Default)]
pub(crate) struct Verdict(Mutex<Option<Result<(), Error>>>);

impl PeerVerifier {
    /// A verifier against the trust anchors of `context`. It lets a handshake go on whatever it finds where
    /// `reject_unauthorized` is false (row O13).
    pub(crate) fn new(context: Arc<Context>, reject_unauthorized: bool, verdict: Arc<Verdict>) -> Self {
        let hints = match context.roots().are_own() {
            true => {
                context.roots().anchors().iter().map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect()
            }
            // Mozilla's hundred and more names would fill a record, and no client certificate comes from them.
            false => Vec::new(),
        };
        Self { context, reject_unauthorized, hints, verdict }
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), TlsError> {
        let usage = match name {
            Some(_) => KeyUsage::server_auth(),
            None => KeyUsage::client_auth(),
        };
        let found =
            chain::check(end_entity, intermediates, self.context.roots().anchors(), self.algorithms().all, usage, now)
                .and_then(|()| match name {
                    Some(name) => chain::check_name(end_entity, name),
                    None => Ok(()),
                });
        match found {
            Ok(()) => {
                self.verdict.set(Ok(()));
                Ok(())
            }
            Err(Refusal { mut error, tls }) => {
                if self.reject_unauthorized {
                    error.alert = Some(Alert {
                        direction: Direction::Sent,
                        description: u8::from(rustls::AlertDescription::from(tls.clone())),
                    });
                }
                self.verdict.set(Err(error));
                match self.reject_unauthorized {
                    true => Err(TlsError::InvalidCertificate(tls)),
                    false => Ok(()),
                }
            }
        }
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.context.provider().signature_verification_algorithms
    }

    fn verify_tls12(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, self.algorithms())
    }

    fn verify_tls13(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, self.algorithms())
    }
}

impl Verdict {
    /// Whether chain and name were checked and found good.
    pub(crate) fn is_good(&self) -> bool {
        matches!(*self.lock(), Some(Ok(())))
    }

    /// What is wrong with the peer's certificate.
    pub(crate) fn error(&self) -> Option<Error> {
        match &*self.lock() {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }

    /// What is wrong where a certificate was asked for and none came. Node gives that this name.
    pub(crate) fn missing() -> Error {
        Error::new(ErrorCode::UnableToGetIssuerCert, "The client was asked for a certificate and sent none.")
    }

    pub(crate) fn set(&self, verdict: Result<(), Error>) {
        *self.lock() = Some(verdict);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Result<(), Error>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.check(end_entity, intermediates, Some(server_name), now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.reject_unauthorized
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        self.check(end_entity, intermediates, None, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls12(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verify_tls13(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms().supported_schemes()
    }
}
