//! Whether a certificate is for a host, by Node's rules (row M7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::general_names::{GeneralName, general_names};
use super::x509::X509;
use super::{Certificate, extensions, text};
use crate::error::{Error, ErrorCode};

/// Says what is wrong where the certificate is not for `host`, which is a DNS name or an IP address.
///
/// An IP address must be among the IP addresses of the subject alternative names. A DNS name must match one of their DNS names;
/// only where there is none, a common name of the subject. An extension that is empty or unreadable counts as a name that
/// matches nothing. `*` stands for a part of the left-most label of a name with three labels or more.
/// A dot at the end of `host` does not count.
///
/// A name with letters beyond ASCII must be given in its ASCII form (`xn--…`, RFC 5891); else it matches nothing.
///
/// Error: [`ErrorCode::ErrTlsCertAltnameInvalid`], with Node's words; [`ErrorCode::ErrTlsInvalidCertificate`] where the bytes are
/// no certificate.
pub fn check_server_identity(host: &str, der: &[u8]) -> Result<(), Error> {
    match X509::new(der) {
        Some(x509) => {
            let certificate = Certificate::new(der);
            reason(host, &x509, &certificate).map_or(Ok(()), |reason| Err(mismatch(&reason)))
        }
        None => Err(Error::new(
            ErrorCode::ErrTlsInvalidCertificate,
            "The certificate is not a readable X.509 certificate in DER, so it is for no host.",
        )),
    }
}

/// The error for a certificate that is for another host.
pub(crate) fn mismatch(reason: &str) -> Error {
    Error::new(
        ErrorCode::ErrTlsCertAltnameInvalid,
        format!("Hostname/IP does not match certificate's altnames: {reason}"),
    )
}

fn reason(host: &str, x509: &X509<'_>, certificate: &Certificate) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let extension = x509.extension(extensions::SUBJECT_ALT_NAME);
    let alt_names = extension.and_then(general_names).unwrap_or_default();
    let mut dns_names: Vec<String> = alt_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::Dns(name) => Some(text::latin1(name)),
            _ => None,
        })
        .collect();
    // An extension that is empty or cannot be read names nobody: the common name does not count in its place.
    if extension.is_some() && alt_names.is_empty() {
        dns_names.push(String::new());
    }
    if is_ip(host) {
        let addresses: Vec<_> = alt_names.iter().filter_map(address).collect();
        let wanted = host.parse::<IpAddr>().ok();
        if wanted.is_some() && addresses.contains(&wanted) {
            return None;
        }
        let list: Vec<_> =
            addresses.iter().map(|address| address.as_ref().map_or_else(String::new, IpAddr::to_string)).collect();
        return Some(format!("IP: {host} is not in the cert's list: {}", list.join(", ")));
    }
    let common_names: Vec<&str> = certificate
        .subject
        .iter()
        .filter_map(|attribute| (attribute.name == "CN").then_some(attribute.value.as_str()))
        .collect();
    let labels = labels(&ascii(host));
    if !dns_names.is_empty() {
        if dns_names.iter().any(|name| matches(&labels, name)) {
            return None;
        }
        let alt_names = certificate.subjectaltname.as_deref().unwrap_or_default();
        return Some(format!("Host: {host}. is not in the cert's altnames: {alt_names}"));
    }
    match common_names[..] {
        [] | [""] => Some("Cert does not contain a DNS name".into()),
        _ if common_names.iter().any(|name| matches(&labels, name)) => None,
        _ => Some(format!("Host: {host}. is not cert's CN: {}", common_names.join(","))),
    }
}

/// The address of an alternative name that is one, none inside where its length is that of none.
fn address(name: &GeneralName<'_>) -> Option<Option<IpAddr>> {
    match name {
        GeneralName::Ip(octets) => Some(match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|octets| Ipv4Addr::from(octets).into()),
            _ => <[u8; 16]>::try_from(*octets).ok().map(|octets| Ipv6Addr::from(octets).into()),
        }),
        _ => None,
    }
}

/// IPv6 addresses may have a zone (RFC 4007 section 11); no certificate is for one.
fn is_ip(host: &str) -> bool {
    match host.split_once('%') {
        Some((address, zone)) => address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty(),
        None => host.parse::<IpAddr>().is_ok(),
    }
}

/// The host in ASCII, or nothing where it can't be a host: it has characters that URLs forbid in hosts, or others than ASCII.
fn ascii(host: &str) -> String {
    let is_forbidden = |c: char| c.is_control() || !c.is_ascii() || FORBIDDEN.contains(c);
    match host.contains(is_forbidden) {
        true => String::new(),
        false => host.to_owned(),
    }
}

fn labels(name: &str) -> Vec<String> {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase().split('.').map(str::to_owned).collect()
}

fn matches(host: &[String], pattern: &str) -> bool {
    let pattern_labels = labels(pattern);
    if pattern_labels.len() != host.len() || pattern_labels.iter().any(|label| !is_label(label)) {
        return false;
    }
    let ([host_first, host_rest @ ..], [first, rest @ ..]) = (host, &pattern_labels[..]) else {
        return false;
    };
    if host_rest != rest {
        return false;
    }
    // What stands for part of an A-label is not known, so it is taken as it is (RFC 6125 section 7.2).
    match first.split('*').collect::<Vec<_>>()[..] {
        [prefix, suffix] if !first.contains("xn--") => {
            pattern_labels.len() > 2
                && prefix.len() + suffix.len() <= host_first.len()
                && host_first.starts_with(prefix)
                && host_first.ends_with(suffix)
        }
        [_] => host_first == first,
        _ => first.contains("xn--") && host_first == first,
    }
}

/// Something visible in ASCII.
fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| matches!(byte, 0x21..=0x7f))
}

/// Forbidden domain code points of the URL standard, with `%`, which would be decoded there.
const FORBIDDEN: &str = " #%/:<>?@[\\]^|";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wildcard_stands_for_the_left_most_label() {
        #[rustfmt::skip]
        let rows = [
            ("the same name", "a.test", "a.test", true),
            ("another case", "A.Test", "a.tESt", true),
            ("a dot at the end of the pattern", "a.test", "a.test.", true),
            ("another name", "a.test", "b.test", false),
            ("a wildcard", "a.b.test", "*.b.test", true),
            ("a wildcard for two labels", "a.b.c.test", "*.c.test", false),
            ("a wildcard for no label", "b.test", "*.b.test", false),
            ("a wildcard of a top-level domain", "a.test", "*.test", false),
            ("part of a label", "abc.b.test", "a*c.b.test", true),
            ("part of a label that overlaps", "aba.b.test", "ab*ba.b.test", false),
            ("two wildcards", "abc.b.test", "*b*.b.test", false),
            ("a wildcard further right", "a.b.test", "a.*.test", false),
            ("a wildcard in an A-label", "xn--abc.b.test", "xn--*.b.test", false),
            ("an A-label", "xn--abc.b.test", "xn--abc.b.test", true),
            ("a host with a star", "*.b.test", "*.b.test", true),
            ("an empty label", "a..test", "a..test", false),
            ("a blank", "a b.test", "a b.test", false),
            ("no pattern", "a.test", "", false),
        ];
        for (what, host, pattern, expected) in rows {
            assert_eq!(matches(&labels(&ascii(host)), pattern), expected, "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_host_and_pattern_match_or_not(host in "\\PC{0,20}", pattern in "[a*.\u{0}-\u{ff}]{0,20}") {
            let _ = is_ip(&host);
            if matches(&labels(&ascii(&host)), &pattern) {
                prop_assert_eq!(labels(&host).len(), labels(&pattern).len());
            }
        }
    }
}
