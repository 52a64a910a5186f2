//! One chain, checked by webpki; what is wrong in OpenSSL's words, and in rustls' for the right alert.

use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error as ChainError, KeyUsage};

use crate::error::{Error, ErrorCode};

/// Why a certificate was not verified.
#[derive(Debug)]
pub(super) struct Refusal {
    /// For the caller.
    pub(super) error: Error,
    /// For rustls, which chooses the alert by it.
    pub(super) tls: CertificateError,
}

/// Checks that a path leads from the certificate to one of the anchors, with everything on it valid now and for this usage.
pub(super) fn check(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    usage: KeyUsage,
    now: UnixTime,
) -> Result<(), Refusal> {
    let leaf = EndEntityCert::try_from(end_entity).map_err(|cause| refusal(&cause))?;
    match leaf.verify_for_usage(algorithms, anchors, intermediates, now, usage, None, None) {
        Ok(_) => Ok(()),
        // webpki looks at the leaf before the path. OpenSSL has no objection to a CA as leaf, but to the end of its path.
        Err(cause @ (ChainError::UnknownIssuer | ChainError::CaUsedAsEndEntity)) => {
            Err(path_end(&leaf, intermediates, anchors).unwrap_or_else(|| refusal(&cause)))
        }
        Err(cause) => Err(refusal(&cause)),
    }
}

/// Checks that the certificate is for this name (row M7; RFC 9525).
pub(super) fn check_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Refusal> {
    let leaf = EndEntityCert::try_from(end_entity).map_err(|cause| refusal(&cause))?;
    leaf.verify_is_valid_for_subject_name(name).map_err(|cause| {
        let presented = match &cause {
            ChainError::CertNotValidForName(context) if !context.presented.is_empty() => context.presented.join(", "),
            _ => "no name".into(),
        };
        Refusal {
            error: Error::new(
                ErrorCode::ErrTlsCertAltnameInvalid,
                format!(
                    "The certificate is not for {:?}: its subject alternative names give {presented}.",
                    name.to_str()
                ),
            ),
            tls: CertificateError::NotValidForName,
        }
    })
}

/// How the path ends that the peer's certificates make, where it ends in nothing that is trusted.
fn path_end(
    leaf: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
) -> Option<Refusal> {
    let refuse =
        |code, message: &str| Some(Refusal { error: Error::new(code, message), tls: CertificateError::UnknownIssuer });
    if leaf.subject() == leaf.issuer() {
        return refuse(
            ErrorCode::DepthZeroSelfSignedCert,
            "The certificate is signed by itself and is not trusted as a CA; give its issuer's certificate as `ca`.",
        );
    }
    let presented: Vec<EndEntityCert<'_>> =
        intermediates.iter().filter_map(|certificate| EndEntityCert::try_from(certificate).ok()).collect();
    let mut issuer = leaf.issuer();
    for depth in 0..=presented.len() {
        if anchors.iter().any(|anchor| anchor.subject.as_ref() == issuer) {
            // A path there is; what is wrong lies elsewhere.
            return None;
        }
        match presented.iter().find(|certificate| certificate.subject() == issuer) {
            Some(next) if next.issuer() == issuer => {
                return refuse(
                    ErrorCode::SelfSignedCertInChain,
                    "The chain ends in a certificate that is signed by itself and is not trusted; give it as `ca` if it should be.",
                );
            }
            Some(next) => issuer = next.issuer(),
            None if depth == 0 => {
                return refuse(
                    ErrorCode::UnableToVerifyLeafSignature,
                    "The issuer of the certificate is neither sent by the peer nor trusted; give the CA's certificate as `ca`.",
                );
            }
            None => break,
        }
    }
    refuse(
        ErrorCode::UnableToGetIssuerCertLocally,
        "The issuer of the last certificate of the chain is not trusted; give the CA's certificate as `ca`.",
    )
}

fn refusal(cause: &ChainError) -> Refusal {
    let (code, message, tls) = match cause {
        ChainError::CertExpired { .. } => {
            (ErrorCode::CertHasExpired, "A certificate of the chain has expired.".to_owned(), CertificateError::Expired)
        }
        ChainError::CertNotValidYet { .. } => (
            ErrorCode::CertNotYetValid,
            "A certificate of the chain is not valid yet; is the clock right?".to_owned(),
            CertificateError::NotValidYet,
        ),
        ChainError::CertRevoked => {
            (ErrorCode::CertRevoked, "A certificate of the chain was revoked.".to_owned(), CertificateError::Revoked)
        }
        ChainError::InvalidSignatureForPublicKey => (
            ErrorCode::CertSignatureFailure,
            "The signature of a certificate of the chain is wrong.".to_owned(),
            CertificateError::BadSignature,
        ),
        ChainError::EndEntityUsedAsCa => (
            ErrorCode::InvalidCa,
            "A certificate of the chain was issued by one that is no CA.".to_owned(),
            CertificateError::UnknownIssuer,
        ),
        ChainError::PathLenConstraintViolated => (
            ErrorCode::PathLengthExceeded,
            "There are more certificates below a CA than it allows.".to_owned(),
            CertificateError::UnknownIssuer,
        ),
        ChainError::RequiredEkuNotFoundContext(_) | ChainError::EmptyEkuExtension => (
            ErrorCode::InvalidPurpose,
            "The certificate's extended key usage does not allow what it is used for here.".to_owned(),
            CertificateError::InvalidPurpose,
        ),
        ChainError::UnknownIssuer => (
            ErrorCode::UnableToGetIssuerCertLocally,
            "No path leads from the certificate to a CA that is trusted.".to_owned(),
            CertificateError::UnknownIssuer,
        ),
        ChainError::CaUsedAsEndEntity => (
            ErrorCode::CertUntrusted,
            "The certificate is that of a CA, and can't stand for a server or client itself.".to_owned(),
            CertificateError::InvalidPurpose,
        ),
        ChainError::BadDer | ChainError::BadDerTime | ChainError::TrailingData(_) => (
            ErrorCode::CertUntrusted,
            format!("A certificate of the chain is not readable: {cause}."),
            CertificateError::BadEncoding,
        ),
        other => (
            ErrorCode::CertUntrusted,
            format!("The certificate can't be trusted: {other}."),
            CertificateError::UnknownIssuer,
        ),
    };
    Refusal { error: Error::new(code, message), tls }
}
