//! General names (RFC 5280 section 4.2.1.6), and Node's way to write them.
//!
//! Node writes many names as one string with `, ` between. A name that has a comma, a quote, a control character or the like is
//! written as a JSON string, so that nobody can put a name into another one (CVE-2021-44532).

use super::der::{self, Reader};
use super::{names, text};

/// The methods of an authority information access extension, in its order, with the locations of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoAccess {
    /// For example `OCSP - URI` or `CA Issuers - URI`.
    pub method: String,
    /// The locations, for example `http://ocsp.test`.
    pub values: Vec<String>,
}

/// A general name that a certificate has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GeneralName<'a> {
    Other {
        kind: &'a [u8],
        tag: u8,
        value: &'a [u8],
    },
    Email(&'a [u8]),
    Dns(&'a [u8]),
    X400,
    /// A `Name`, whole.
    Directory(&'a [u8]),
    EdiParty,
    Uri(&'a [u8]),
    Ip(&'a [u8]),
    RegisteredId(&'a [u8]),
}

/// The general names in the content of an extension that has a sequence of them; none where it is not one.
pub(crate) fn general_names(extension: &[u8]) -> Option<Vec<GeneralName<'_>>> {
    let list = Reader::new(der::only(extension, der::SEQUENCE)?).all()?;
    list.iter().map(|element| GeneralName::new(element.tag, element.value)).collect()
}

impl<'a> GeneralName<'a> {
    /// A name by its tag and content.
    pub(crate) fn new(tag: u8, value: &'a [u8]) -> Option<Self> {
        Some(match tag {
            OTHER_NAME => {
                let mut fields = Reader::new(value);
                let kind = fields.expect(der::OBJECT_IDENTIFIER)?;
                let mut inner = Reader::new(fields.expect(der::CONTEXT_CONSTRUCTED)?);
                let element = inner.read().filter(|_| inner.is_empty() && fields.is_empty())?;
                Self::Other { kind, tag: element.tag, value: element.value }
            }
            RFC822_NAME => Self::Email(value),
            DNS_NAME => Self::Dns(value),
            X400_ADDRESS => Self::X400,
            DIRECTORY_NAME => {
                let name = der::only(value, der::SEQUENCE)?;
                Reader::new(name).all()?;
                Self::Directory(value)
            }
            EDI_PARTY_NAME => Self::EdiParty,
            URI => Self::Uri(value),
            IP_ADDRESS => Self::Ip(value),
            REGISTERED_ID => Self::RegisteredId(value),
            _ => return None,
        })
    }
}

/// Returns Node's `subjectaltname` for the content of the extension.
///
/// Where the extension is empty or cannot be read it is an empty DNS name, as in Node 24.22: a name check then does not fall back
/// to the common name (RFC 6125 section 6.4.4).
pub(super) fn subject_alt_name(extension: &[u8]) -> String {
    match general_names(extension) {
        Some(names) if !names.is_empty() => {
            names.iter().map(|name| Written::new(*name).quoted()).collect::<Vec<_>>().join(", ")
        }
        _ => "DNS:".to_string(),
    }
}

/// Node's `infoAccess`, from the content of the extension; none where it can't be read.
pub(super) fn info_access(extension: &[u8]) -> Option<Vec<InfoAccess>> {
    let mut all: Vec<InfoAccess> = Vec::new();
    for description in Reader::new(der::only(extension, der::SEQUENCE)?).all()? {
        let mut fields = Reader::new(der::only(description.whole, der::SEQUENCE)?);
        let method = der::dotted(fields.expect(der::OBJECT_IDENTIFIER)?)?;
        let location = fields.read()?;
        let written = Written::new(GeneralName::new(location.tag, location.value)?);
        let known = METHODS.iter().find(|(known, _)| *known == method).map_or(&*method, |(_, name)| name);
        let (method, value) = (format!("{known} - {}", written.label), written.text());
        match all.iter_mut().find(|one| one.method == method) {
            Some(one) => one.values.push(value),
            None => all.push(InfoAccess { method, values: vec![value] }),
        }
    }
    Some(all)
}

/// An IP address as Node writes it: IPv6 in eight groups, none left out.
pub(crate) fn ip_address(octets: &[u8]) -> String {
    match octets.len() {
        4 => octets.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        16 => {
            let groups =
                octets.chunks_exact(2).map(|pair| format!("{:X}", u16::from(pair[0]) << 8 | u16::from(pair[1])));
            groups.collect::<Vec<_>>().join(":")
        }
        length => format!("<invalid length={length}>"),
    }
}

/// A name in the parts that Node's writing of it has.
struct Written<'a> {
    label: &'static str,
    prefix: &'static str,
    value: Value<'a>,
}

enum Value<'a> {
    /// Octets that stand for Latin-1.
    Latin1(&'a [u8]),
    /// Octets that should be UTF-8.
    Utf8(std::borrow::Cow<'a, [u8]>),
    /// What needs no quotes.
    Plain(String),
}

impl<'a> Written<'a> {
    fn new(name: GeneralName<'a>) -> Self {
        let written = |label, value| Self { label, prefix: "", value };
        match name {
            GeneralName::Email(value) => written("email", Value::Latin1(value)),
            GeneralName::Dns(value) => written("DNS", Value::Latin1(value)),
            GeneralName::Uri(value) => written("URI", Value::Latin1(value)),
            GeneralName::Ip(octets) => written("IP Address", Value::Plain(ip_address(octets))),
            GeneralName::Directory(name) => written("DirName", Value::Utf8(names::one_line(name).into_bytes().into())),
            GeneralName::RegisteredId(oid) => {
                written("Registered ID", Value::Plain(der::dotted(oid).unwrap_or_default()))
            }
            GeneralName::X400 => written("X400Name", Value::Plain(UNSUPPORTED.into())),
            GeneralName::EdiParty => written("EdiPartyName", Value::Plain(UNSUPPORTED.into())),
            GeneralName::Other { kind, tag, value } => {
                let kind = der::dotted(kind).unwrap_or_default();
                match (OTHER_NAMES.iter().find(|(oid, _, needed)| *oid == kind && *needed == tag), tag) {
                    (Some((_, prefix, _)), der::UTF8_STRING) => {
                        Self { label: "othername", prefix, value: Value::Utf8(value.into()) }
                    }
                    (Some((_, prefix, _)), _) => Self { label: "othername", prefix, value: Value::Latin1(value) },
                    (None, _) => written("othername", Value::Plain(UNSUPPORTED.into())),
                }
            }
        }
    }

    /// The value without quotes.
    fn text(&self) -> String {
        let value = match &self.value {
            Value::Latin1(octets) => text::latin1(octets),
            Value::Utf8(octets) => String::from_utf8_lossy(octets).into_owned(),
            Value::Plain(text) => text.clone(),
        };
        format!("{}{value}", self.prefix)
    }

    /// Label and value, the value as a JSON string where it could be taken for something else.
    fn quoted(&self) -> String {
        let is_safe = match &self.value {
            Value::Latin1(octets) => octets.iter().all(|octet| matches!(octet, b' '..=b'~') && !is_quoting(*octet)),
            Value::Utf8(octets) => octets.iter().all(|octet| !octet.is_ascii_control() && !is_quoting(*octet)),
            Value::Plain(_) => true,
        };
        let text = self.text();
        if is_safe {
            return format!("{}:{text}", self.label);
        }
        let keeps_unicode = matches!(self.value, Value::Utf8(_));
        let mut json = String::new();
        for c in text.chars() {
            match c {
                '\\' | '"' => json.extend(['\\', c]),
                ',' => json += "\\u002c",
                ' '..='~' => json.push(c),
                c if !c.is_ascii() && keeps_unicode => json.push(c),
                c => json += &format!("\\u{:04x}", u32::from(c)),
            }
        }
        format!("{}:\"{json}\"", self.label)
    }
}

/// Characters that could make a name look like several, or like a quoted one.
fn is_quoting(octet: u8) -> bool {
    matches!(octet, b'"' | b'\\' | b',' | b'\'')
}

const OTHER_NAME: u8 = der::CONTEXT_CONSTRUCTED;
const RFC822_NAME: u8 = der::CONTEXT + 1;
const DNS_NAME: u8 = der::CONTEXT + 2;
const X400_ADDRESS: u8 = der::CONTEXT_CONSTRUCTED + 3;
const DIRECTORY_NAME: u8 = der::CONTEXT_CONSTRUCTED + 4;
const EDI_PARTY_NAME: u8 = der::CONTEXT_CONSTRUCTED + 5;
const URI: u8 = der::CONTEXT + 6;
const IP_ADDRESS: u8 = der::CONTEXT + 7;
const REGISTERED_ID: u8 = der::CONTEXT + 8;
const UNSUPPORTED: &str = "<unsupported>";

/// The other names that Node writes out: identifier, prefix, and the type that the value must have.
const OTHER_NAMES: &[(&str, &str, u8)] = &[
    ("1.3.6.1.5.5.7.8.9", "SmtpUTF8Mailbox:", der::UTF8_STRING),
    ("1.3.6.1.5.5.7.8.5", "XmppAddr:", der::UTF8_STRING),
    ("1.3.6.1.5.5.7.8.7", "SRVName:", der::IA5_STRING),
    ("1.3.6.1.4.1.311.20.2.3", "UPN:", der::UTF8_STRING),
    ("1.3.6.1.5.5.7.8.8", "NAIRealm:", der::UTF8_STRING),
];

/// OpenSSL's names of the access methods (RFC 5280 section 4.2.2).
const METHODS: &[(&str, &str)] = &[
    ("1.3.6.1.5.5.7.48.1", "OCSP"),
    ("1.3.6.1.5.5.7.48.2", "CA Issuers"),
    ("1.3.6.1.5.5.7.48.3", "AD Time Stamping"),
    ("1.3.6.1.5.5.7.48.4", "ad dvcs"),
    ("1.3.6.1.5.5.7.48.5", "CA Repository"),
    ("1.3.6.1.5.5.7.48.10", "RPKI Manifest"),
    ("1.3.6.1.5.5.7.48.11", "Signed Object"),
    ("1.3.6.1.5.5.7.48.13", "RPKI Notify"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extension(names: &[(u8, &[u8])]) -> Vec<u8> {
        let list: Vec<u8> =
            names.iter().flat_map(|(tag, value)| [&[*tag, value.len() as u8], *value].concat()).collect();
        [vec![der::SEQUENCE, list.len() as u8], list].concat()
    }

    #[test]
    fn subject_alternative_names_are_written_as_node_does() {
        type Row = (&'static str, &'static [(u8, &'static [u8])], &'static str);
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("two", &[(DNS_NAME, b"a.test"), (DNS_NAME, b"*.b.test")], "DNS:a.test, DNS:*.b.test"),
            ("a comma", &[(DNS_NAME, b"a.test, DNS:b.test")], "DNS:\"a.test\\u002c DNS:b.test\""),
            ("a quote", &[(URI, b"a\"b\\c")], "URI:\"a\\\"b\\\\c\""),
            ("a single quote", &[(DNS_NAME, b"'a'")], "DNS:\"'a'\""),
            ("a NUL and a Latin letter", &[(RFC822_NAME, b"a\0\xfc")], "email:\"a\\u0000\\u00fc\""),
            ("IPv4", &[(IP_ADDRESS, &[127, 0, 0, 1])], "IP Address:127.0.0.1"),
            ("IPv6", &[(IP_ADDRESS, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])], "IP Address:2001:DB8:0:0:0:0:0:1"),
            ("an address of 5 octets", &[(IP_ADDRESS, &[1, 2, 3, 4, 5])], "IP Address:<invalid length=5>"),
            ("a registered identifier", &[(REGISTERED_ID, &[0x55, 4, 3])], "Registered ID:2.5.4.3"),
            ("no names", &[], "DNS:"),
            ("a name of no kind", &[(der::CONTEXT + 9, b"a")], "DNS:"),
        ];
        for (what, names, expected) in rows {
            assert_eq!(subject_alt_name(&extension(names)), *expected, "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_name_can_look_like_two(name in proptest::collection::vec(any::<u8>(), 0..100)) {
            let written = subject_alt_name(&extension(&[(DNS_NAME, &name)]));
            prop_assert!(written.starts_with("DNS:") && !written.contains(", "));
        }

        #[test]
        fn any_bytes_are_names_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = subject_alt_name(&bytes);
            let _ = info_access(&bytes);
        }
    }
}
