//! Compat mode: what OpenSSL accepts and webpki does not. Off unless a context asks for it (`ContextOptions::compat`).
//!
//! A path is good where it ends in a trust anchor and [`faults::of`](super::faults::of) finds nothing on it:
//! every signature is checked by the provider's algorithms, and so are validity, key usage, extended key usage,
//! basic constraints, path lengths and name constraints; critical extensions that are not known are refused, and
//! revocation lists are asked. One path is tried, of at most sixteen certificates, so there are at most fifteen
//! signatures to check, and those of lists. What it takes beyond webpki: leaves of version 1, CAs as leaves, names
//! that differ in case or type of string, and certificates of version 1 or without basic constraints at the top
//! of a path.

use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{EndEntityCert, Error as ChainError, KeyUsage};

use super::constraints;
use super::faults::Fault;
use super::path::{End, Path};
use super::signature::public_key;
use crate::certificate::extensions::NAME_CONSTRAINTS;
use crate::certificate::{X509, check_server_identity};
use crate::error::ErrorCode;

/// Whether a path on which this is the fault is good, although webpki refused it for this cause. What webpki itself distrusts
/// (keys of CAs that were broken into) is never good, wherever it stands on the path.
pub(super) fn accepts(path: &Path<'_>, fault: Option<&Fault>, cause: &ChainError) -> bool {
    path.end == End::Anchor
        && fault.is_none()
        && *cause != ChainError::CertDistrusted
        && !path.links.iter().any(|link| is_distrusted(link.der))
}

/// Whether webpki distrusts the key of a certificate. It says so before it looks at anything else, but of certificates of version
/// 1 it says nothing.
fn is_distrusted(certificate: &CertificateDer<'_>) -> bool {
    let now = UnixTime::since_unix_epoch(Duration::ZERO);
    EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
        let checked = certificate.verify_for_usage(&[], &[], &[], now, KeyUsage::server_auth(), None, None);
        matches!(checked, Err(ChainError::CertDistrusted))
    })
}

/// Checks the name of a chain's leaf as Node does: by the common name where there is no other (row M7). The issuers' name
/// constraints have to permit it too, whoever checked the chain: webpki does not ask them about common names.
pub(super) fn check_name(chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Result<(), Fault> {
    let (host, end_entity) = (name.to_str(), chain.first().map_or(&[][..], |leaf| leaf));
    check_server_identity(&host, end_entity)
        .map_err(|error| Fault { error, tls: CertificateError::NotValidForName })?;
    let host = host.strip_suffix('.').unwrap_or(&host);
    for issuer in chain.iter().skip(1).filter_map(|issuer| X509::new(issuer)) {
        if let Some(constraints) = issuer.extension(NAME_CONSTRAINTS) {
            constraints::check_host(constraints, host).map_err(|cause| {
                Fault::new(
                    ErrorCode::CertUntrusted,
                    format!("A CA of the chain does not permit the host {host}: {cause}."),
                    CertificateError::UnknownIssuer,
                )
            })?;
        }
    }
    Ok(())
}

/// Checks a signature of TLS 1.2 by the key of a certificate of whatever version (RFC 5246 section 7.4.8).
pub(super) fn verify_tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, TlsError> {
    let x509 = X509::new(certificate).ok_or(CertificateError::BadEncoding)?;
    let (key_algorithm, key) = public_key(x509.spki).ok_or(CertificateError::BadEncoding)?;
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

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::context::Roots;

    #[test]
    fn a_path_through_a_distrusted_key_is_never_good() {
        let rows: [(&str, &[u8], bool); 2] = [
            ("a CA", include_bytes!("fixtures/middle.pem"), true),
            ("a CA whose key webpki distrusts", include_bytes!("fixtures/distrusted.pem"), false),
        ];
        let pem = |pem| CertificateDer::from_pem_slice(pem).expect("the fixture is PEM");
        let leaf = pem(include_bytes!("fixtures/leaf.pem"));
        for (what, issuer, expected) in rows {
            let issuer = pem(issuer);
            let path = Path::verified(&[&leaf, &issuer], &Roots::Mozilla).expect("certificates");
            assert_eq!(accepts(&path, None, &ChainError::CaUsedAsEndEntity), expected, "{what}");
        }
    }
}
