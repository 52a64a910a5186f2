//! OpenSSL's names of methods, by which `secureProtocol` chooses the versions (row O10).

use std::ops::RangeInclusive;

use super::Version;
use crate::error::{Error, ErrorCode};

/// The versions of these options, of which `secure_protocol` excludes the other two.
pub(super) fn versions(
    secure_protocol: Option<&str>,
    min: Option<Version>,
    max: Option<Version>,
) -> Result<RangeInclusive<Version>, Error> {
    match secure_protocol {
        None => range(min.unwrap_or(Version::MIN), max.unwrap_or(Version::MAX)),
        Some(name) => {
            let versions = by_name(name)?;
            let given =
                [("lowest", min), ("highest", max)].into_iter().find_map(|(what, version)| Some((what, version?)));
            match given {
                None => Ok(versions),
                Some((what, version)) => Err(Error::new(
                    ErrorCode::ErrTlsProtocolVersionConflict,
                    format!(
                        "TLS protocol version \"{version}\" as the {what} conflicts with secureProtocol {name:?}: give one of them."
                    ),
                )),
            }
        }
    }
}

fn range(min: Version, max: Version) -> Result<RangeInclusive<Version>, Error> {
    match min <= max {
        true => Ok(min..=max),
        false => Err(Error::new(
            ErrorCode::ErrTlsInvalidProtocolVersion,
            format!("The range of versions is empty: the lowest is {min}, the highest {max}."),
        )),
    }
}

/// A method for clients or servers only is taken for both: a context does not know yet which it will be.
fn by_name(name: &str) -> Result<RangeInclusive<Version>, Error> {
    let invalid = |why: String| Err(Error::new(ErrorCode::ErrTlsInvalidProtocolMethod, why));
    let family = ["_client_method", "_server_method", "_method"].iter().find_map(|end| name.strip_suffix(end));
    match family {
        Some("TLS" | "SSLv23") => Ok(Version::MIN..=Version::MAX),
        Some("TLSv1_2") => Ok(Version::Tls12..=Version::Tls12),
        Some("SSLv2") => invalid(old(name, "SSL 2.0", "RFC 6176")),
        Some("SSLv3") => invalid(old(name, "SSL 3.0", "RFC 7568")),
        Some("TLSv1") => invalid(old(name, "TLS 1.0", "RFC 8996")),
        Some("TLSv1_1") => invalid(old(name, "TLS 1.1", "RFC 8996")),
        Some("TLSv1_3") => {
            invalid(format!("Unknown method: {name}. OpenSSL has none for TLS 1.3: set the lowest version to it."))
        }
        _ => invalid(format!("Unknown method: {name}. Expected TLS_method or TLSv1_2_method.")),
    }
}

fn old(name: &str, version: &str, rfc: &str) -> String {
    format!(
        "The method {name} is not supported: {version} is not safe, and {rfc} forbids it. Expected TLS_method or TLSv1_2_method."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_versions_give_a_range_or_say_why_not() {
        use ErrorCode::*;
        use Version::*;
        type Row = (
            Option<&'static str>,
            Option<Version>,
            Option<Version>,
            Result<RangeInclusive<Version>, (ErrorCode, &'static str)>,
        );
        #[rustfmt::skip]
        let rows: [Row; 20] = [
            (None, None, None, Ok(Tls12..=Tls13)),
            (None, Some(Tls13), None, Ok(Tls13..=Tls13)),
            (None, None, Some(Tls12), Ok(Tls12..=Tls12)),
            (None, Some(Tls13), Some(Tls12), Err((ErrTlsInvalidProtocolVersion, "empty"))),
            (Some("TLS_method"), None, None, Ok(Tls12..=Tls13)),
            (Some("TLS_client_method"), None, None, Ok(Tls12..=Tls13)),
            (Some("TLS_server_method"), None, None, Ok(Tls12..=Tls13)),
            (Some("SSLv23_method"), None, None, Ok(Tls12..=Tls13)),
            (Some("SSLv23_client_method"), None, None, Ok(Tls12..=Tls13)),
            (Some("TLSv1_2_method"), None, None, Ok(Tls12..=Tls12)),
            (Some("TLSv1_2_server_method"), None, None, Ok(Tls12..=Tls12)),
            (Some("TLSv1_1_method"), None, None, Err((ErrTlsInvalidProtocolMethod, "not supported: TLS 1.1"))),
            (Some("TLSv1_client_method"), None, None, Err((ErrTlsInvalidProtocolMethod, "not supported: TLS 1.0"))),
            (Some("SSLv3_method"), None, None, Err((ErrTlsInvalidProtocolMethod, "not supported: SSL 3.0"))),
            (Some("SSLv2_method"), None, None, Err((ErrTlsInvalidProtocolMethod, "not supported: SSL 2.0"))),
            (Some("TLSv1_3_method"), None, None, Err((ErrTlsInvalidProtocolMethod, "Unknown method"))),
            (Some("tls_method"), None, None, Err((ErrTlsInvalidProtocolMethod, "Unknown method"))),
            (Some(""), None, None, Err((ErrTlsInvalidProtocolMethod, "Unknown method"))),
            (Some("TLS_method"), Some(Tls12), None, Err((ErrTlsProtocolVersionConflict, "\"TLSv1.2\" as the lowest"))),
            (Some("TLSv1_2_method"), None, Some(Tls13), Err((ErrTlsProtocolVersionConflict, "\"TLSv1.3\" as the highest"))),
        ];
        for (name, min, max, expected) in rows {
            match (versions(name, min, max), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name:?}"),
                (Err(error), Err((code, text))) => {
                    assert_eq!(error.code, code, "{name:?}");
                    assert!(error.message.contains(text), "{name:?}: {error}");
                }
                (found, _) => panic!("{name:?}: {found:?}"),
            }
        }
    }
}
