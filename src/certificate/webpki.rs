//! webpki's errors in words. Its own are the names of Rust's variants.

use webpki::Error;

/// The end of a sentence about a certificate or its path. Revocation lists are not shown to webpki.
pub(crate) fn words(error: &Error) -> &'static str {
    match error {
        Error::BadDer | Error::TrailingData(_) => "it is not well-formed DER",
        Error::BadDerTime => "a time in it is not well-formed",
        Error::CaUsedAsEndEntity => "a CA's certificate stands where that of a server or client is wanted",
        Error::CertExpired { .. } => "a certificate is no longer valid",
        Error::CertNotValidYet { .. } => "a certificate is not valid yet",
        Error::CertNotValidForName(_) => "it is for another name",
        Error::EmptyEkuExtension => "its extended key usage names no purpose (RFC 5280 section 4.2.1.12)",
        Error::EndEntityUsedAsCa => "a certificate issued another one and is no CA (RFC 5280 section 4.2.1.9)",
        Error::ExtensionValueInvalid => "one of its extensions is not well-formed, or is there twice",
        Error::InvalidCertValidity => "its validity ends before it begins",
        Error::InvalidSerialNumber => "its serial number is not one to 20 octets long (RFC 5280 section 4.1.2.2)",
        Error::InvalidSignatureForPublicKey => "the signature of a certificate is wrong",
        Error::MalformedDnsIdentifier => "one of its DNS names is none",
        Error::MalformedExtensions => "its extensions are not well-formed, or one is there twice",
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            "its name constraints are not well-formed (RFC 5280 section 4.2.1.10)"
        }
        Error::MaximumPathDepthExceeded => "more than six CA certificates stand between it and the trust anchor",
        Error::MaximumNameConstraintComparisonsExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded => {
            "the certificates could be put together in too many ways; leave out those that are not needed"
        }
        Error::NameConstraintViolation => "a CA's name constraints do not permit one of its names",
        Error::PathLenConstraintViolated => "there are more certificates below a CA than it allows",
        Error::SignatureAlgorithmMismatch => "it names two algorithms for its signature (RFC 5280 section 4.1.1.2)",
        Error::UnknownIssuer => "no path leads from it to a CA that is trusted",
        Error::UnsupportedCertVersion => "it is not of version 3",
        Error::UnsupportedCriticalExtension => "it has a critical extension that is not known (RFC 5280 section 4.2)",
        Error::UnsupportedNameType => "it has a name of a kind that is not supported",
        Error::RequiredEkuNotFoundContext(_) => "its extended key usage does not allow what it is used for here",
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "it is signed by an algorithm that is not supported, or that does not fit its issuer's key"
        }
        Error::CertDistrusted => "its key is distrusted",
        // Those of revocation lists; and a newer webpki has more of them.
        _ => "the check of X.509 refuses it for a reason that has no words here",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_variant_is_a_word() {
        for error in
            [Error::BadDer, Error::MaximumPathDepthExceeded, Error::UnsupportedCertVersion, Error::UnknownIssuer]
        {
            let (words, name) = (words(&error), format!("{error:?}"));
            assert!(!words.contains(&name) && words.contains(' '), "{words}");
        }
    }
}
