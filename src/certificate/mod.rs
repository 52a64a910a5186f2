//! A certificate as people and programs read it (row K7).

use sha2::{Digest, Sha256};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::{DateTime, Decode, Tag, Tagged};
use x509_cert::name::Name;

/// What a certificate says of itself. The parts that can't be read are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for, in the order of the certificate.
    pub subject: Vec<NameAttribute>,
    /// Who issued it, in the order of the certificate.
    pub issuer: Vec<NameAttribute>,
    /// Start of validity as OpenSSL prints it.
    pub valid_from: String,
    /// End of validity, likewise.
    pub valid_to: String,
    /// The serial number in upper-case hexadecimal.
    pub serial_number: String,
    /// SHA-256 of the DER, upper-case hexadecimal with colons.
    pub fingerprint256: String,
    /// The certificate in DER.
    pub raw: Vec<u8>,
}

/// One attribute of a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAttribute {
    /// OpenSSL's short name, or the object identifier in dotted form.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

impl Certificate {
    /// Reads a certificate in DER.
    pub fn new(der: &[u8]) -> Self {
        let unread = Self { fingerprint256: hex(&Sha256::digest(der), ":"), raw: der.to_vec(), ..Self::default() };
        let Ok(x509) = CertificateInner::<Raw>::from_der(der) else {
            return unread;
        };
        let tbs = x509.tbs_certificate();
        Self {
            subject: attributes(tbs.subject()),
            issuer: attributes(tbs.issuer()),
            valid_from: date(&tbs.validity().not_before.to_date_time()),
            valid_to: date(&tbs.validity().not_after.to_date_time()),
            serial_number: serial(tbs.serial_number().as_bytes()),
            ..unread
        }
    }
}

fn attributes(name: &Name) -> Vec<NameAttribute> {
    name.iter()
        .map(|attribute| NameAttribute { name: short_name(&attribute.oid), value: text(&attribute.value) })
        .collect()
}

fn short_name(oid: &ObjectIdentifier) -> String {
    SHORT_NAMES.iter().find(|(known, _)| known == oid).map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned())
}

/// A string of any of X.509's types (RFC 5280 section 4.1.2.4).
fn text(value: &Any) -> String {
    let bytes = value.value();
    match value.tag() {
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        // T.61 as everyone reads it: Latin-1.
        Tag::TeletexString => bytes.iter().copied().map(char::from).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// `Nov 23 08:22:00 2026 GMT`
fn date(date: &DateTime) -> String {
    let month = MONTHS.get(usize::from(date.month()).wrapping_sub(1)).unwrap_or(&"???");
    format!(
        "{month} {:2} {:02}:{:02}:{:02} {} GMT",
        date.day(),
        date.hour(),
        date.minutes(),
        date.seconds(),
        date.year()
    )
}

/// As OpenSSL prints an integer: without the octet that only says that it is positive.
fn serial(bytes: &[u8]) -> String {
    match bytes {
        [0, rest @ ..] if !rest.is_empty() => hex(rest, ""),
        _ => hex(bytes, ""),
    }
}

fn hex(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(separator)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// OpenSSL's short names of the attributes that certificates have (RFC 4519, RFC 2985, and the CA/Browser Forum's).
const SHORT_NAMES: &[(ObjectIdentifier, &str)] = &[
    (ObjectIdentifier::new_unwrap("2.5.4.3"), "CN"),
    (ObjectIdentifier::new_unwrap("2.5.4.4"), "SN"),
    (ObjectIdentifier::new_unwrap("2.5.4.5"), "serialNumber"),
    (ObjectIdentifier::new_unwrap("2.5.4.6"), "C"),
    (ObjectIdentifier::new_unwrap("2.5.4.7"), "L"),
    (ObjectIdentifier::new_unwrap("2.5.4.8"), "ST"),
    (ObjectIdentifier::new_unwrap("2.5.4.9"), "street"),
    (ObjectIdentifier::new_unwrap("2.5.4.10"), "O"),
    (ObjectIdentifier::new_unwrap("2.5.4.11"), "OU"),
    (ObjectIdentifier::new_unwrap("2.5.4.12"), "title"),
    (ObjectIdentifier::new_unwrap("2.5.4.15"), "businessCategory"),
    (ObjectIdentifier::new_unwrap("2.5.4.17"), "postalCode"),
    (ObjectIdentifier::new_unwrap("2.5.4.42"), "GN"),
    (ObjectIdentifier::new_unwrap("2.5.4.97"), "organizationIdentifier"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1"), "UID"),
    (ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25"), "DC"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1"), "emailAddress"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.60.2.1.1"), "jurisdictionL"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.60.2.1.2"), "jurisdictionST"),
    (ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.60.2.1.3"), "jurisdictionC"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    const PEM: &[u8] = include_bytes!("../engine/tests/fixtures/server.pem");

    fn der() -> Vec<u8> {
        CertificateDer::from_pem_slice(PEM).expect("the fixture is PEM").to_vec()
    }

    #[test]
    fn a_certificate_reads_as_openssl_prints_it() {
        let attribute = |value: &str| vec![NameAttribute { name: "CN".into(), value: value.into() }];
        let expected = Certificate {
            subject: attribute("server"),
            issuer: attribute("Test CA"),
            valid_from: "Nov 23 09:11:33 2026 GMT".into(),
            valid_to: "Oct 30 09:11:33 2126 GMT".into(),
            serial_number: "463A14D5B285701978E9A59591A04C1C26399142".into(),
            fingerprint256:
                "8F:D3:84:10:DD:83:CB:B2:02:D8:34:FC:15:80:F1:25:FB:03:06:7C:E6:E7:96:53:61:41:A3:F0:6F:70:30:F9".into(),
            raw: der(),
        };
        assert_eq!(Certificate::new(&der()), expected);
    }

    #[test]
    fn strings_of_every_type_are_text() {
        for (tag, bytes, expected) in [
            (Tag::Utf8String, &b"Gr\xc3\xbc\xc3\x9fe"[..], "Grüße"),
            (Tag::PrintableString, b"plain", "plain"),
            (Tag::TeletexString, b"Gr\xfc\xdfe", "Grüße"),
            (Tag::BmpString, b"\x00G\x00r\x00\xfc\x00\xdf\x00e", "Grüße"),
            (Tag::BmpString, b"\xd8\x00", "\u{fffd}"),
            (Tag::Ia5String, b"\xff", "\u{fffd}"),
        ] {
            let value = Any::new(tag, bytes).expect("short");
            assert_eq!(text(&value), expected, "{tag} {bytes:?}");
        }
    }

    #[test]
    fn a_serial_number_has_no_octet_for_its_sign() {
        for (bytes, expected) in [(&[0, 0x80][..], "80"), (&[0], "00"), (&[0x7f, 1], "7F01"), (&[0xff], "FF")] {
            assert_eq!(serial(bytes), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_make_a_certificate(place in 0usize..600, byte: u8, cut in 0usize..600) {
            let mut bytes = der();
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
            bytes.truncate(cut.max(place));
            prop_assert_eq!(Certificate::new(&bytes).raw, bytes);
        }
    }
}
