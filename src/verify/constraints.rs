//! Name constraints (RFC 5280 section 4.2.1.10).

use std::net::IpAddr;

use crate::certificate::extensions::SUBJECT_ALT_NAME;
use crate::certificate::general_names::{GeneralName, general_names};
use crate::certificate::{X509, der, names};

/// Checks all names of a certificate against the constraints of a CA above it. Says what is wrong.
pub(super) fn check(constraints: &[u8], x509: &X509<'_>, is_leaf: bool) -> Result<(), String> {
    let mut all = match x509.extension(SUBJECT_ALT_NAME) {
        Some(extension) => general_names(extension).ok_or("its alternative names are not readable")?,
        None => Vec::new(),
    };
    let has_dns_name = all.iter().any(|name| matches!(name, GeneralName::Dns(_)));
    let attributes = names::attributes(x509.subject);
    // A common name may be taken for a host's where there is no other, so it is one here.
    let common_names = attributes
        .iter()
        .filter(|attribute| is_leaf && !has_dns_name && attribute.name == "CN" && !attribute.value.contains(' '));
    all.extend(common_names.map(|attribute| GeneralName::Dns(attribute.value.as_bytes())));
    // RFC 5280 section 4.2.1.6: addresses of before there were alternative names.
    let addresses = attributes.iter().filter(|attribute| attribute.name == "emailAddress");
    all.extend(addresses.map(|attribute| GeneralName::Email(attribute.value.as_bytes())));
    if !names::is_empty(x509.subject) {
        all.push(GeneralName::Directory(x509.subject));
    }
    check_names(constraints, &all)
}

/// Likewise the host that is asked for, without a dot at its end: by a common name or a wildcard, a certificate may be for hosts
/// that its own names don't say.
pub(super) fn check_host(constraints: &[u8], host: &str) -> Result<(), String> {
    match host.parse() {
        Ok(IpAddr::V4(address)) => check_names(constraints, &[GeneralName::Ip(&address.octets())]),
        Ok(IpAddr::V6(address)) => check_names(constraints, &[GeneralName::Ip(&address.octets())]),
        Err(_) => check_names(constraints, &[GeneralName::Dns(host.as_bytes())]),
    }
}

fn check_names(constraints: &[u8], all: &[GeneralName<'_>]) -> Result<(), String> {
    const UNREADABLE: &str = "the constraints are not readable";
    let mut fields = der::Reader::new(der::only(constraints, der::SEQUENCE).ok_or(UNREADABLE)?);
    let permitted = subtrees(fields.optional(der::CONTEXT_CONSTRUCTED)).ok_or(UNREADABLE)?;
    let excluded = subtrees(fields.optional(der::CONTEXT_CONSTRUCTED + 1)).ok_or(UNREADABLE)?;
    if !fields.is_empty() {
        return Err(UNREADABLE.into());
    }
    if all.len().saturating_mul(permitted.len() + excluded.len()) > COMPARISONS {
        return Err("there are too many names and constraints to compare".into());
    }
    for name in all.iter().copied().map(Name::new) {
        // A name that can't be compared is outside where it must be inside, and inside where it must be outside.
        let mut of_its_kind = permitted.iter().filter_map(|subtree| within(&name, subtree, false)).peekable();
        if of_its_kind.peek().is_some() && !of_its_kind.any(|is_within| is_within) {
            return Err("it is in no permitted subtree".into());
        }
        if excluded.iter().any(|subtree| within(&name, subtree, true) == Some(true)) {
            return Err("it is in an excluded subtree".into());
        }
    }
    Ok(())
}

/// A name that is compared with many.
#[derive(Debug)]
struct Name<'a> {
    name: GeneralName<'a>,
    /// Of a directory name that can be compared.
    canonical: Option<names::Canonical<'a>>,
}

impl<'a> Name<'a> {
    fn new(name: GeneralName<'a>) -> Self {
        let canonical = match name {
            GeneralName::Directory(name) => names::Canonical::new(name),
            _ => None,
        };
        Self { name, canonical }
    }
}

/// The bases of `GeneralSubtrees`. Those with a minimum or maximum are not in use (RFC 5280), and not read.
fn subtrees(list: Option<&[u8]>) -> Option<Vec<Name<'_>>> {
    let trees = der::Reader::new(list.unwrap_or_default()).all()?;
    trees
        .iter()
        .map(|tree| {
            let mut fields = der::Reader::new(der::only(tree.whole, der::SEQUENCE)?);
            let base = fields.read()?;
            GeneralName::new(base.tag, base.value).filter(|_| fields.is_empty()).map(Name::new)
        })
        .collect()
}

/// Whether a name is within a subtree, or `otherwise` where that can't be said; none where the two are of different kinds.
fn within(name: &Name<'_>, base: &Name<'_>, otherwise: bool) -> Option<bool> {
    Some(match (&name.name, &base.name) {
        (GeneralName::Dns(name), GeneralName::Dns(base)) => match may_stand_for(name, base) {
            true => otherwise,
            false => is_host_within(name, base, true).unwrap_or(otherwise),
        },
        (GeneralName::Email(name), GeneralName::Email(base)) => is_mailbox_within(name, base).unwrap_or(otherwise),
        (GeneralName::Uri(name), GeneralName::Uri(base)) => {
            host_of(name).and_then(|host| is_host_within(host, base, false)).unwrap_or(otherwise)
        }
        (GeneralName::Directory(_), GeneralName::Directory(_)) => match (&name.canonical, &base.canonical) {
            (Some(name), Some(base)) => name.is_within(base),
            _ => otherwise,
        },
        (GeneralName::Ip(name), GeneralName::Ip(base)) => match (name.len(), base.len()) {
            (4, 8) | (16, 32) => {
                let (address, mask) = base.split_at(name.len());
                name.iter().zip(address).zip(mask).all(|((name, address), mask)| name & mask == address & mask)
            }
            // IPv4 and IPv6 are different kinds.
            (4, 32) | (16, 8) => return None,
            _ => otherwise,
        },
        (GeneralName::Other { .. }, GeneralName::Other { .. })
        | (GeneralName::RegisteredId(_), GeneralName::RegisteredId(_))
        | (GeneralName::X400, GeneralName::X400)
        | (GeneralName::EdiParty, GeneralName::EdiParty) => otherwise,
        _ => return None,
    })
}

/// Whether a name with a wildcard may be one for the host that is the base: any wildcard counts for any label.
fn may_stand_for(name: &[u8], base: &[u8]) -> bool {
    let first_label = |host: &[u8]| host.iter().position(|octet| *octet == b'.').unwrap_or(host.len());
    let name = without_dot(name);
    let ((first, parent), (label, base_parent)) = (name.split_at(first_label(name)), base.split_at(first_label(base)));
    first.contains(&b'*') && !label.is_empty() && parent.eq_ignore_ascii_case(base_parent)
}

/// A host is within its own name; below a name that starts with a dot; and, where subdomains count, below every name. A dot at its
/// end does not count. None for a base with a dot at its end, which no constraint should have.
fn is_host_within(host: &[u8], base: &[u8], with_subdomains: bool) -> Option<bool> {
    if base.ends_with(b".") {
        return None;
    }
    let host = without_dot(host);
    let Some(start) = host.len().checked_sub(base.len()) else {
        return Some(false);
    };
    let (above, end) = host.split_at(start);
    if !end.eq_ignore_ascii_case(base) {
        return Some(false);
    }
    Some(match (above.last(), base.first()) {
        (None, Some(b'.')) => false,
        (None, _) => true,
        (Some(_), None) => with_subdomains,
        (Some(_), Some(b'.')) => true,
        (Some(last), _) => with_subdomains && *last == b'.',
    })
}

fn without_dot(host: &[u8]) -> &[u8] {
    host.strip_suffix(b".").unwrap_or(host)
}

/// RFC 5280: one mailbox, or all of a host, or all of the hosts of a domain.
fn is_mailbox_within(mailbox: &[u8], base: &[u8]) -> Option<bool> {
    let split = |text: &[u8]| text.iter().rposition(|octet| *octet == b'@');
    let at = split(mailbox)?;
    let (local, host) = (&mailbox[..at], &mailbox[at + 1..]);
    match split(base) {
        Some(base_at) => Some(base[..base_at] == *local && base[base_at + 1..].eq_ignore_ascii_case(host)),
        None => is_host_within(host, base, false),
    }
}

/// The host of a URI with an authority (RFC 3986 section 3.2.2).
fn host_of(uri: &[u8]) -> Option<&[u8]> {
    let start = uri.windows(3).position(|three| three == b"://")? + 3;
    let rest = &uri[start..];
    let authority = &rest[..rest.iter().position(|octet| b"/?#".contains(octet)).unwrap_or(rest.len())];
    let host = authority.iter().rposition(|octet| *octet == b'@').map_or(authority, |at| &authority[at + 1..]);
    let host = &host[..host.iter().position(|octet| *octet == b':').unwrap_or(host.len())];
    (!host.is_empty()).then_some(host)
}

/// What a hostile CA may cost: OpenSSL's limit is 2^20.
const COMPARISONS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_within_a_subtree_or_not() {
        use GeneralName::{Directory, Dns, Email, Ip, RegisteredId, Uri};
        #[rustfmt::skip]
        let rows: &[(&str, GeneralName<'_>, GeneralName<'_>, Option<bool>)] = &[
            ("the host itself", Dns(b"a.test"), Dns(b"a.test"), Some(true)),
            ("another case", Dns(b"A.Test"), Dns(b"a.test"), Some(true)),
            ("a host below", Dns(b"x.a.test"), Dns(b"a.test"), Some(true)),
            ("a host that only ends so", Dns(b"xa.test"), Dns(b"a.test"), Some(false)),
            ("a host above", Dns(b"test"), Dns(b"a.test"), Some(false)),
            ("a host below a dot", Dns(b"x.a.test"), Dns(b".a.test"), Some(true)),
            ("the domain of a dot", Dns(b"a.test"), Dns(b".a.test"), Some(false)),
            ("every host", Dns(b"a.test"), Dns(b""), Some(true)),
            ("a dot at the end", Dns(b"x.a.test."), Dns(b"a.test"), Some(true)),
            ("a dot at the end of the subtree", Dns(b"b.test"), Dns(b"a.test."), Some(true)),
            ("a label without a dot", Dns(b"a"), Dns(b"a.test"), Some(false)),
            ("a wildcard for the host", Dns(b"*.a.test"), Dns(b"x.a.test"), Some(true)),
            ("a wildcard for part of a label", Dns(b"x*.A.test."), Dns(b"xy.a.test"), Some(true)),
            ("a wildcard above the host", Dns(b"*.a.test"), Dns(b"y.x.a.test"), Some(false)),
            ("a wildcard beside the host", Dns(b"*.b.test"), Dns(b"x.a.test"), Some(false)),
            ("a wildcard below a dot", Dns(b"*.a.test"), Dns(b".a.test"), Some(true)),
            ("a directory name that is not readable", Directory(&[0x30, 2, 5, 0]), Directory(&[0x30, 0]), Some(true)),
            ("a mailbox", Email(b"me@a.test"), Email(b"me@A.test"), Some(true)),
            ("another mailbox", Email(b"you@a.test"), Email(b"me@a.test"), Some(false)),
            ("a mailbox of a host", Email(b"me@a.test"), Email(b"a.test"), Some(true)),
            ("a mailbox of a host below", Email(b"me@x.a.test"), Email(b"a.test"), Some(false)),
            ("a mailbox of a host below a dot", Email(b"me@x.a.test"), Email(b".a.test"), Some(true)),
            ("no mailbox", Email(b"a.test"), Email(b"a.test"), Some(true)),
            ("a URI of a host", Uri(b"https://me@a.test:443/b?c"), Uri(b"a.test"), Some(true)),
            ("a URI of another host", Uri(b"https://b.test/@a.test"), Uri(b"a.test"), Some(false)),
            ("a URI without a host", Uri(b"mailto:me@a.test"), Uri(b"a.test"), Some(true)),
            ("an address", Ip(&[10, 1, 2, 3]), Ip(&[10, 0, 0, 0, 255, 0, 0, 0]), Some(true)),
            ("an address of another net", Ip(&[11, 1, 2, 3]), Ip(&[10, 0, 0, 0, 255, 0, 0, 0]), Some(false)),
            ("IPv6 and IPv4", Ip(&[0; 16]), Ip(&[0; 8]), None),
            ("a net of no kind", Ip(&[0; 4]), Ip(&[0; 9]), Some(true)),
            ("what can't be compared", RegisteredId(b"a"), RegisteredId(b"b"), Some(true)),
            ("different kinds", Dns(b"a.test"), Email(b"a.test"), None),
        ];
        for (what, name, base, expected) in rows {
            assert_eq!(within(&Name::new(*name), &Name::new(*base), true), *expected, "{what}");
        }
        let wildcard = within(&Name::new(Dns(b"*.a.test")), &Name::new(Dns(b"x.a.test")), false);
        assert_eq!(wildcard, Some(false), "a wildcard for more than what is permitted");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_constraints_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), name in "[a-z.@:/]{0,12}") {
            let _ = subtrees(Some(&bytes));
            for base in ["", "a", ".a", "a@b"] {
                let (name, base) = (name.as_bytes(), base.as_bytes());
                let _ = is_mailbox_within(name, base);
                let _ = host_of(name);
                prop_assert!(is_host_within(name, base, false) <= is_host_within(name, base, true));
            }
        }
    }
}
