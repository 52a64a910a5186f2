//! webpki's errors in words. Its own are the names of Rust's variants.

use webpki::Error;

/// The end of a sentence about a certificate that cannot be read. What is wrong with a path, `verify` says.
pub(crate) fn words(error: &Error) -> &'static str {
    match error {
        Error::BadDer | Error::TrailingData(_) => "it is not well-formed DER",
        Error::BadDerTime => "a time in it is not well-formed",
        Error::EmptyEkuExtension => "its extended key usage names no purpose (RFC 5280 section 4.2.1.12)",
        Error::ExtensionValueInvalid => "one of its extensions is not well-formed, or is there twice",
        Error::InvalidSerialNumber => "its serial number is not one to 20 octets long (RFC 5280 section 4.1.2.2)",
        Error::MalformedDnsIdentifier => "one of its DNS names is none",
        Error::MalformedExtensions => "its extensions are not well-formed, or one is there twice",
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            "its name constraints are not well-formed (RFC 5280 section 4.2.1.10)"
        }
        Error::SignatureAlgorithmMismatch => "it names two algorithms for its signature (RFC 5280 section 4.1.1.2)",
        Error::UnsupportedCertVersion => "it is not of version 3",
        Error::UnsupportedCriticalExtension => "it has a critical extension that is not known (RFC 5280 section 4.2)",
        Error::UnsupportedNameType => "it has a name of a kind that is not supported",
        // Those of paths and of revocation lists; and a newer webpki has more of them.
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
