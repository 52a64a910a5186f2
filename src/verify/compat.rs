//! Compat mode: what OpenSSL accepts and webpki does not. Off unless a context asks for it (`ContextOptions::compat`).
//!
//! A path is good where it ends in a trust anchor and [`faults::of`] finds nothing on it: every signature is checked by the
//! provider's algorithms, and so are validity, key usage, extended key usage, basic constraints, path lengths and name constraints;
//! critical extensions that are not known are refused. One path is tried, of at most sixteen certificates, so there are at most
//! fifteen signatures to check. What it takes beyond webpki: leaves of version 1, CAs as leaves, names that differ in case or type
//! of string, and certificates of version 1 or without basic constraints at the top of a path.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer};
use webpki::Error as ChainError;

use super::faults::{self, Fault};
use super::path::{End, Path};
use crate::certificate::{X509, check_server_identity};

/// Whether a path on which this is the fault is good, although webpki refused it for this cause. What webpki itself distrusts
/// (keys of CAs that were broken into) is never good.
pub(super) fn accepts(path: &Path<'_>, fault: Option<&Fault>, cause: &ChainError) -> bool {
    path.end == End::Anchor && fault.is_none() && *cause != ChainError::CertDistrusted
}

/// Checks the name as Node does: by the common name where there is no other (row M7).
pub(super) fn check_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Fault> {
    check_server_identity(&name.to_str(), end_entity)
        .map_err(|error| Fault { error, tls: CertificateError::NotValidForName })
}

/// Checks a signature of TLS 1.2 by the key of a certificate of whatever version (RFC 5246 section 7.4.8).
pub(super) fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, TlsError> {
    let x509 = X509::new(certificate).ok_or(CertificateError::BadEncoding)?;
    let (key_algorithm, key) = faults::public_key(x509.spki).ok_or(CertificateError::BadEncoding)?;
    let of_scheme = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == dss.scheme).flat_map(|(_, all)| *all);
    let is_verified = of_scheme
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key_algorithm)
        .any(|algorithm| algorithm.verify_signature(key, message, dss.signature()).is_ok());
    match is_verified {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

/// Likewise of TLS 1.3 (RFC 8446 section 4.4.3).
pub(super) fn verify_tls13_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, TlsError> {
    let x509 = X509::new(certificate).ok_or(CertificateError::BadEncoding)?;
    verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(x509.spki), dss, algorithms)
}
