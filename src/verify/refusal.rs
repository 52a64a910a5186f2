//! What webpki alone finds wrong with a chain, by OpenSSL's names and in words: it prints its errors as Rust does.

use rustls::CertificateError;
use webpki::Error as ChainError;

use super::faults::Fault;
use crate::certificate::webpki::words;
use crate::error::ErrorCode;

/// The fault that webpki's error stands for.
pub(super) fn refusal(cause: &ChainError) -> Fault {
    use ErrorCode::*;
    let (code, message, tls) = match cause {
        ChainError::UnknownRevocationStatus => (
            UnableToGetCrl,
            "On no path to a trusted CA do the revocation lists show that every certificate is good.",
            CertificateError::UnknownRevocationStatus,
        ),
        ChainError::UnknownIssuer => (
            UnableToGetIssuerCertLocally,
            "No path leads from the certificate to a CA that is trusted.",
            CertificateError::UnknownIssuer,
        ),
        ChainError::CertDistrusted => (
            CertUntrusted,
            "The chain has the key of a CA that was broken into, and that is never trusted.",
            CertificateError::UnknownIssuer,
        ),
        ChainError::CertExpired { .. } => {
            (CertHasExpired, "A certificate of the chain is no longer valid.", CertificateError::Expired)
        }
        ChainError::CertNotValidYet { .. } => (
            CertNotYetValid,
            "A certificate of the chain is not valid yet; is the clock right?",
            CertificateError::NotValidYet,
        ),
        ChainError::InvalidCertValidity => (
            CertUntrusted,
            "A certificate of the chain ends before it begins (RFC 5280 section 4.1.2.5).",
            CertificateError::BadEncoding,
        ),
        ChainError::CaUsedAsEndEntity => (
            CertUntrusted,
            "The certificate is that of a CA, and can't stand for a server or client itself, except in compat mode.",
            CertificateError::InvalidPurpose,
        ),
        ChainError::EndEntityUsedAsCa => (
            InvalidCa,
            "A certificate that is no CA issued another one of the chain (RFC 5280 section 4.2.1.9).",
            CertificateError::UnknownIssuer,
        ),
        ChainError::PathLenConstraintViolated => (
            PathLengthExceeded,
            "There are more certificates below a CA of the chain than it allows (RFC 5280 section 4.2.1.9).",
            CertificateError::UnknownIssuer,
        ),
        ChainError::MaximumPathDepthExceeded => (
            CertUntrusted,
            "More than six certificates stand between the peer's and a trusted CA; only compat mode takes as many.",
            CertificateError::UnknownIssuer,
        ),
        ChainError::MaximumNameConstraintComparisonsExceeded
        | ChainError::MaximumPathBuildCallsExceeded
        | ChainError::MaximumSignatureChecksExceeded => (
            CertUntrusted,
            "There are too many ways to link up what the peer sent, or too many names in it, to try them all.",
            CertificateError::UnknownIssuer,
        ),
        ChainError::NameConstraintViolation => (
            CertUntrusted,
            "A certificate of the chain has a name that a CA above it does not permit (RFC 5280 section 4.2.1.10).",
            CertificateError::UnknownIssuer,
        ),
        ChainError::RequiredEkuNotFoundContext(_) => (
            InvalidPurpose,
            "A certificate of the chain does not allow by its extended key usage what it is used for here.",
            CertificateError::InvalidPurpose,
        ),
        ChainError::InvalidSignatureForPublicKey => {
            (CertSignatureFailure, "A signature of the chain is wrong.", CertificateError::BadSignature)
        }
        ChainError::SignatureAlgorithmMismatch => (
            CertSignatureFailure,
            "A certificate of the chain names two algorithms for its signature (RFC 5280 section 4.1.1.2).",
            CertificateError::BadSignature,
        ),
        ChainError::UnsupportedSignatureAlgorithmContext(_)
        | ChainError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => (
            CertUntrusted,
            "A certificate of the chain is signed by an algorithm that is not supported, or does not fit its issuer's key.",
            CertificateError::UnknownIssuer,
        ),
        ChainError::UnsupportedCertVersion => (
            CertUntrusted,
            "A certificate of the chain is not of version 3, and is only taken in compat mode.",
            CertificateError::BadEncoding,
        ),
        ChainError::UnsupportedCriticalExtension => (
            CertUntrusted,
            "A certificate of the chain has a critical extension that is not known (RFC 5280 section 4.2).",
            CertificateError::UnhandledCriticalExtension,
        ),
        ChainError::BadDer
        | ChainError::BadDerTime
        | ChainError::EmptyEkuExtension
        | ChainError::ExtensionValueInvalid
        | ChainError::InvalidNetworkMaskConstraint
        | ChainError::InvalidSerialNumber
        | ChainError::MalformedDnsIdentifier
        | ChainError::MalformedExtensions
        | ChainError::MalformedNameConstraint
        | ChainError::TrailingData(_) => {
            let message = format!("A certificate of the chain is not readable: {}.", words(cause));
            return Fault::new(CertUntrusted, message, CertificateError::BadEncoding);
        }
        // Those of revocation lists, which webpki is not given, of names, which it is not asked, and new ones.
        _ => {
            let message = format!("The certificate can't be trusted: {}.", words(cause));
            return Fault::new(CertUntrusted, message, CertificateError::UnknownIssuer);
        }
    };
    Fault::new(code, message, tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_webpki_finds_wrong_is_told_in_words() {
        #[rustfmt::skip]
        let rows = [
            (ChainError::BadDer, ErrorCode::CertUntrusted, "not well-formed"),
            (ChainError::TrailingData(webpki::DerTypeId::Certificate), ErrorCode::CertUntrusted, "not well-formed"),
            (ChainError::CertDistrusted, ErrorCode::CertUntrusted, "broken into"),
            (ChainError::EndEntityUsedAsCa, ErrorCode::InvalidCa, "no CA"),
            (ChainError::InvalidSignatureForPublicKey, ErrorCode::CertSignatureFailure, "signature"),
            (ChainError::MaximumPathDepthExceeded, ErrorCode::CertUntrusted, "More than six certificates"),
            (ChainError::MaximumSignatureChecksExceeded, ErrorCode::CertUntrusted, "too many"),
            (ChainError::PathLenConstraintViolated, ErrorCode::PathLengthExceeded, "than it allows"),
            (ChainError::UnknownIssuer, ErrorCode::UnableToGetIssuerCertLocally, "No path"),
            (ChainError::UnknownRevocationStatus, ErrorCode::UnableToGetCrl, "revocation lists"),
            (ChainError::UnsupportedNameType, ErrorCode::CertUntrusted, "can't be trusted"),
        ];
        for (cause, code, words) in rows {
            let Fault { error, .. } = refusal(&cause);
            assert_eq!(error.code, code, "{cause:?}");
            assert!(error.message.contains(words) && error.message.ends_with('.'), "{cause:?}: {}", error.message);
            assert!(!error.message.contains(&format!("{cause:?}")), "{}", error.message);
        }
    }
}
