//! The check of the peer's certificate: chain and name by webpki, and what is wrong by OpenSSL's names (row K2).

mod chain;
mod compat;
mod constraints;
mod crl;
mod distribution;
mod faults;
mod path;
mod refusal;
mod revocation;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error as TlsError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::EndEntityCert;

use crate::context::Context;
use crate::error::{Alert, Direction, Error, ErrorCode};
pub(crate) use crl::RevocationList;
use faults::{Fault, Purpose};

/// Checks the certificate of one connection's peer, and keeps what came of it in a [`Verdict`].
///
/// Whatever the verdict, the peer has to prove by its signature in the handshake that it has the certificate's key.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    context: Arc<Context>,
    options: VerifyOptions,
    hints: Vec<DistinguishedName>,
    verdict: Arc<Verdict>,
}

/// How the peer's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VerifyOptions {
    /// Whether a certificate that is not verified ends the connection (row O13).
    pub(crate) reject_unauthorized: bool,
    /// Whether the caller checks by itself that a server's certificate is for the server (row O22). The chain is checked all the
    /// same. Who sets this and checks nothing talks to whoever has any certificate of a trusted CA.
    pub(crate) danger_skip_server_identity: bool,
}

/// What the check of the peer's certificate came to. One a connection.
#[derive(Debug, Default)]
pub(crate) struct Verdict(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    outcome: Option<Result<(), Error>>,
    chain: Vec<CertificateDer<'static>>,
}

impl PeerVerifier {
    /// A verifier against the trust anchors and revocation lists of `context`.
    pub(crate) fn new(context: Arc<Context>, options: VerifyOptions, verdict: Arc<Verdict>) -> Self {
        let roots = context.client_roots();
        let own = roots.anchors().iter().filter(|_| roots.are_own());
        // Mozilla's hundred and more names would fill a record, and no client certificate comes from them.
        let mut hints: Vec<_> = own.map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect();
        // The names are optional (RFC 8446 section 4.2.4, RFC 5246 section 7.4.4), and a message that is too long is refused.
        if hints.iter().map(|name| name.as_ref().len() + 2).sum::<usize>() > HINTS_MAX {
            hints = Vec::new();
        }
        Self { context, options, hints, verdict }
    }

    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), TlsError> {
        let purpose = match name {
            Some(_) => Purpose::ServerAuth,
            None => Purpose::ClientAuth,
        };
        let checked = chain::check(&self.context, end_entity, intermediates, purpose, now);
        let name = name.filter(|_| !self.options.danger_skip_server_identity);
        let outcome = checked.outcome.and_then(|()| match name {
            Some(name) if self.context.compat() => compat::check_name(&checked.chain, name),
            Some(name) => chain::check_name(end_entity, name),
            None => Ok(()),
        });
        match outcome {
            Ok(()) => {
                self.verdict.set(Ok(()), checked.chain);
                Ok(())
            }
            Err(Fault { mut error, tls }) => {
                if self.options.reject_unauthorized {
                    error.alert = Some(Alert {
                        direction: Direction::Sent,
                        description: u8::from(rustls::AlertDescription::from(tls.clone())),
                    });
                }
                self.verdict.set(Err(error), checked.chain);
                match self.options.reject_unauthorized {
                    true => Err(TlsError::InvalidCertificate(tls)),
                    false => Ok(()),
                }
            }
        }
    }

    fn algorithms(&self) -> &WebPkiSupportedAlgorithms {
        &self.context.provider().signature_verification_algorithms
    }

    /// Whether this is a certificate that webpki does not read, and compat mode does.
    fn needs_compat(&self, certificate: &CertificateDer<'_>) -> bool {
        self.context.compat() && EndEntityCert::try_from(certificate).is_err()
    }

    fn verify_tls12(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match self.needs_compat(cert) {
            true => compat::verify_tls12_signature(message, cert, dss, self.algorithms()),
            false => verify_tls12_signature(message, cert, dss, self.algorithms()),
        }
    }

    fn verify_tls13(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        match self.needs_compat(cert) {
            true => compat::verify_tls13_signature(message, cert, dss, self.algorithms()),
            false => verify_tls13_signature(message, cert, dss, self.algorithms()),
        }
    }
}

impl Verdict {
    /// Whether chain and name were checked and found good.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self.lock().outcome, Some(Ok(())))
    }

    /// What is wrong with the peer's certificate.
    pub(crate) fn error(&self) -> Option<Error> {
        match &self.lock().outcome {
            Some(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }

    /// The peer's certificate and those above it, each the issuer of the one before: to the trust anchor where they are verified,
    /// else as far as what was sent and what is trusted link up (row K7). Empty where no certificate came.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.lock().chain.clone()
    }

    /// What is wrong where a certificate was asked for and none came. Node gives that this name.
    pub(crate) fn missing() -> Error {
        Error::new(ErrorCode::UnableToGetIssuerCert, "The client was asked for a certificate and sent none.")
    }

    /// Takes over what was found out before, in the connection whose session is resumed or in none.
    pub(crate) fn set(&self, outcome: Result<(), Error>, chain: Vec<CertificateDer<'static>>) {
        *self.lock() = State { outcome: Some(outcome), chain };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
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
        self.options.reject_unauthorized
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

/// The length of all names of CAs that a client is told, in bytes, each with its own length.
const HINTS_MAX: usize = 16 * 1024;
