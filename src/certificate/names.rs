//! Distinguished names (RFC 5280 section 4.1.2.4).

use super::der::{self, Element, Reader};
use super::text;

/// One attribute of a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAttribute {
    /// OpenSSL's short name, or the object identifier in dotted form.
    pub name: String,
    /// Its value as text; empty where the value is no string.
    pub value: String,
}

/// All attributes of a `Name`, in its order; those of a relative name with several stand one after the other.
/// From the first that is not well-formed on, there are none.
pub(crate) fn attributes(name: &[u8]) -> Vec<NameAttribute> {
    attributes_with_set(name)
        .map(|(_, oid, value)| NameAttribute {
            name: short_name(&oid).map_or_else(|| oid.clone(), str::to_owned),
            value: text::text(value.tag, value.value).unwrap_or_default(),
        })
        .collect()
}

/// Whether a `Name` has no attribute at all.
pub(crate) fn is_empty(name: &[u8]) -> bool {
    der::only(name, der::SEQUENCE).is_none_or(<[u8]>::is_empty)
}

/// Whether two names are the same (RFC 5280 section 7.1): whatever type a string has, whatever its case in ASCII, and
/// however many spaces stand between its words.
pub(crate) fn are_equal(one: &[u8], other: &[u8]) -> bool {
    one == other || Canonical::new(one).is_some_and(|one| Canonical::new(other) == Some(one))
}

/// A name on one line (RFC 2253): the last first, `,` between relative names and `+` within. Attributes without a short name
/// are dumped as DER.
pub(crate) fn one_line(name: &[u8]) -> String {
    let mut attributes: Vec<_> = attributes_with_set(name).collect();
    attributes.reverse();
    let mut line = String::new();
    let mut previous = None;
    for (set, oid, value) in attributes {
        match previous {
            None => {}
            Some(previous) if previous == set => line.push('+'),
            Some(_) => line.push(','),
        }
        previous = Some(set);
        let (known, string) = (short_name(&oid), text::text(value.tag, value.value));
        line += known.unwrap_or(&oid);
        line.push('=');
        match (known, string) {
            (Some(_), Some(string)) => line += &escaped(&string),
            _ => line += &format!("#{}", text::hex(value.whole, "")),
        }
    }
    line
}

/// RFC 2253 section 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut line = String::new();
    for (place, c) in value.chars().enumerate() {
        let is_special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (c == ' ' && (place == 0 || place == last))
            || (c == '#' && place == 0);
        if is_special {
            line.push('\\');
        }
        line.push(c);
    }
    line
}

/// The number of the relative name, the dotted identifier, and the value of each attribute.
fn attributes_with_set(name: &[u8]) -> impl Iterator<Item = (usize, String, Element<'_>)> {
    let mut sets = Reader::new(der::only(name, der::SEQUENCE).unwrap_or_default());
    let mut set = Reader::new(&[]);
    let mut number = 0;
    std::iter::from_fn(move || {
        while set.is_empty() {
            set = Reader::new(sets.expect(der::SET)?);
            number += 1;
        }
        let mut fields = Reader::new(set.expect(der::SEQUENCE)?);
        Some((number - 1, der::dotted(fields.expect(der::OBJECT_IDENTIFIER)?)?, fields.read()?))
    })
}

/// The number of the relative name, the identifier, and the value: its words, or its DER where it is no string.
type CanonicalAttribute<'a> = (usize, String, Result<String, &'a [u8]>);

/// What two equal names have in common. Whoever compares one name with many makes it once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Canonical<'a>(Vec<CanonicalAttribute<'a>>);

impl<'a> Canonical<'a> {
    /// None where a part can't be read or there are too many: such a name is equal to none but an exact copy.
    pub(crate) fn new(name: &'a [u8]) -> Option<Self> {
        let mut canonical = Vec::new();
        for (number, set) in Reader::new(der::only(name, der::SEQUENCE)?).all()?.iter().enumerate() {
            if set.tag != der::SET {
                return None;
            }
            let first = canonical.len();
            for attribute in Reader::new(set.value).all()? {
                if canonical.len() == ATTRIBUTES {
                    return None;
                }
                let mut fields = Reader::new(attribute.value);
                let (oid, value) = (der::dotted(fields.expect(der::OBJECT_IDENTIFIER)?)?, fields.read()?);
                let words = text::text(value.tag, value.value)
                    .map(|text| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase());
                canonical.push((number, oid, words.ok_or(value.whole)));
            }
            canonical[first..].sort();
        }
        Some(Self(canonical))
    }

    /// Whether it is the other one or below it (RFC 5280 section 4.2.1.10): its first relative names are the other's.
    pub(crate) fn is_within(&self, above: &Self) -> bool {
        let depth = above.0.last().map_or(0, |attribute| attribute.0 + 1);
        self.0.iter().take_while(|attribute| attribute.0 < depth).eq(&above.0)
    }
}

/// The attributes of a name that is compared: more than any CA's has, and few enough to read for each certificate of a message.
const ATTRIBUTES: usize = 100;

fn short_name(oid: &str) -> Option<&'static str> {
    SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// OpenSSL's short names of the attributes of X.520, RFC 4519, RFC 4524, RFC 2985, the CA/Browser Forum, and Russia's.
#[rustfmt::skip]
const SHORT_NAMES: &[(&str, &str)] = &[
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.2", "textEncodedORAddress"),
    ("0.9.2342.19200300.100.1.3", "mail"),
    ("0.9.2342.19200300.100.1.4", "info"),
    ("0.9.2342.19200300.100.1.5", "favouriteDrink"),
    ("0.9.2342.19200300.100.1.6", "roomNumber"),
    ("0.9.2342.19200300.100.1.7", "photo"),
    ("0.9.2342.19200300.100.1.8", "userClass"),
    ("0.9.2342.19200300.100.1.9", "host"),
    ("0.9.2342.19200300.100.1.10", "manager"),
    ("0.9.2342.19200300.100.1.11", "documentIdentifier"),
    ("0.9.2342.19200300.100.1.12", "documentTitle"),
    ("0.9.2342.19200300.100.1.13", "documentVersion"),
    ("0.9.2342.19200300.100.1.14", "documentAuthor"),
    ("0.9.2342.19200300.100.1.15", "documentLocation"),
    ("0.9.2342.19200300.100.1.20", "homeTelephoneNumber"),
    ("0.9.2342.19200300.100.1.21", "secretary"),
    ("0.9.2342.19200300.100.1.22", "otherMailbox"),
    ("0.9.2342.19200300.100.1.23", "lastModifiedTime"),
    ("0.9.2342.19200300.100.1.24", "lastModifiedBy"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.26", "aRecord"),
    ("0.9.2342.19200300.100.1.27", "pilotAttributeType27"),
    ("0.9.2342.19200300.100.1.28", "mXRecord"),
    ("0.9.2342.19200300.100.1.29", "nSRecord"),
    ("0.9.2342.19200300.100.1.30", "sOARecord"),
    ("0.9.2342.19200300.100.1.31", "cNAMERecord"),
    ("0.9.2342.19200300.100.1.37", "associatedDomain"),
    ("0.9.2342.19200300.100.1.38", "associatedName"),
    ("0.9.2342.19200300.100.1.39", "homePostalAddress"),
    ("0.9.2342.19200300.100.1.40", "personalTitle"),
    ("0.9.2342.19200300.100.1.41", "mobileTelephoneNumber"),
    ("0.9.2342.19200300.100.1.42", "pagerTelephoneNumber"),
    ("0.9.2342.19200300.100.1.43", "friendlyCountryName"),
    ("0.9.2342.19200300.100.1.44", "uid"),
    ("0.9.2342.19200300.100.1.45", "organizationalStatus"),
    ("0.9.2342.19200300.100.1.46", "janetMailbox"),
    ("0.9.2342.19200300.100.1.47", "mailPreferenceOption"),
    ("0.9.2342.19200300.100.1.48", "buildingName"),
    ("0.9.2342.19200300.100.1.49", "dSAQuality"),
    ("0.9.2342.19200300.100.1.50", "singleLevelQuality"),
    ("0.9.2342.19200300.100.1.51", "subtreeMinimumQuality"),
    ("0.9.2342.19200300.100.1.52", "subtreeMaximumQuality"),
    ("0.9.2342.19200300.100.1.53", "personalSignature"),
    ("0.9.2342.19200300.100.1.54", "dITRedirect"),
    ("0.9.2342.19200300.100.1.55", "audio"),
    ("0.9.2342.19200300.100.1.56", "documentPublisher"),
    ("1.2.643.3.131.1.1", "INN"),
    ("1.2.643.100.1", "OGRN"),
    ("1.2.643.100.3", "SNILS"),
    ("1.2.643.100.5", "OGRNIP"),
    ("1.2.643.100.111", "subjectSignTool"),
    ("1.2.643.100.112", "issuerSignTool"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.2.840.113549.1.9.2", "unstructuredName"),
    ("1.2.840.113549.1.9.3", "contentType"),
    ("1.2.840.113549.1.9.4", "messageDigest"),
    ("1.2.840.113549.1.9.5", "signingTime"),
    ("1.2.840.113549.1.9.6", "countersignature"),
    ("1.2.840.113549.1.9.7", "challengePassword"),
    ("1.2.840.113549.1.9.8", "unstructuredAddress"),
    ("1.2.840.113549.1.9.9", "extendedCertificateAttributes"),
    ("1.2.840.113549.1.9.14", "extReq"),
    ("1.2.840.113549.1.9.15", "SMIME-CAPS"),
    ("1.2.840.113549.1.9.16", "SMIME"),
    ("1.2.840.113549.1.9.20", "friendlyName"),
    ("1.2.840.113549.1.9.21", "localKeyID"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.14", "searchGuide"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.16", "postalAddress"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.18", "postOfficeBox"),
    ("2.5.4.19", "physicalDeliveryOfficeName"),
    ("2.5.4.20", "telephoneNumber"),
    ("2.5.4.21", "telexNumber"),
    ("2.5.4.22", "teletexTerminalIdentifier"),
    ("2.5.4.23", "facsimileTelephoneNumber"),
    ("2.5.4.24", "x121Address"),
    ("2.5.4.25", "internationaliSDNNumber"),
    ("2.5.4.26", "registeredAddress"),
    ("2.5.4.27", "destinationIndicator"),
    ("2.5.4.28", "preferredDeliveryMethod"),
    ("2.5.4.29", "presentationAddress"),
    ("2.5.4.30", "supportedApplicationContext"),
    ("2.5.4.31", "member"),
    ("2.5.4.32", "owner"),
    ("2.5.4.33", "roleOccupant"),
    ("2.5.4.34", "seeAlso"),
    ("2.5.4.35", "userPassword"),
    ("2.5.4.36", "userCertificate"),
    ("2.5.4.37", "cACertificate"),
    ("2.5.4.38", "authorityRevocationList"),
    ("2.5.4.39", "certificateRevocationList"),
    ("2.5.4.40", "crossCertificatePair"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.45", "x500UniqueIdentifier"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.47", "enhancedSearchGuide"),
    ("2.5.4.48", "protocolInformation"),
    ("2.5.4.49", "distinguishedName"),
    ("2.5.4.50", "uniqueMember"),
    ("2.5.4.51", "houseIdentifier"),
    ("2.5.4.52", "supportedAlgorithms"),
    ("2.5.4.53", "deltaRevocationList"),
    ("2.5.4.54", "dmdName"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.72", "role"),
    ("2.5.4.97", "organizationIdentifier"),
    ("2.5.4.98", "c3"),
    ("2.5.4.99", "n3"),
    ("2.5.4.100", "dnsName"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A name with one attribute in each relative name.
    fn name(attributes: &[(&[u8], u8, &str)]) -> Vec<u8> {
        let element = |tag: u8, value: Vec<u8>| [vec![tag, value.len() as u8], value].concat();
        let sets = attributes.iter().map(|(oid, tag, value)| {
            let fields = [element(der::OBJECT_IDENTIFIER, oid.to_vec()), element(*tag, value.as_bytes().to_vec())];
            element(der::SET, element(der::SEQUENCE, fields.concat()))
        });
        element(der::SEQUENCE, sets.collect::<Vec<_>>().concat())
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];
    const UNKNOWN: &[u8] = &[0x88, 0x37, 1];
    const UTF8: u8 = der::UTF8_STRING;
    const PRINTABLE: u8 = 0x13;

    #[test]
    fn names_are_equal_by_what_they_say() {
        type Attributes = &'static [(&'static [u8], u8, &'static str)];
        #[rustfmt::skip]
        let rows: &[(&str, Attributes, Attributes, bool)] = &[
            ("the same", &[(CN, UTF8, "a")], &[(CN, UTF8, "a")], true),
            ("another type of string", &[(CN, UTF8, "a")], &[(CN, PRINTABLE, "a")], true),
            ("another case", &[(CN, UTF8, "Test CA")], &[(CN, UTF8, "test ca")], true),
            ("more spaces", &[(CN, UTF8, " Test  CA ")], &[(CN, UTF8, "Test CA")], true),
            ("another value", &[(CN, UTF8, "a")], &[(CN, UTF8, "b")], false),
            ("another attribute", &[(CN, UTF8, "a")], &[(O, UTF8, "a")], false),
            ("one more", &[(CN, UTF8, "a"), (O, UTF8, "b")], &[(CN, UTF8, "a")], false),
            ("another order", &[(CN, UTF8, "a"), (O, UTF8, "b")], &[(O, UTF8, "b"), (CN, UTF8, "a")], false),
        ];
        for (what, one, other, expected) in rows {
            assert_eq!(are_equal(&name(one), &name(other)), *expected, "{what}");
        }
    }

    #[test]
    fn a_name_is_within_one_above_it() {
        type Attributes = &'static [(&'static [u8], u8, &'static str)];
        let rows: &[(&str, Attributes, Attributes, bool)] = &[
            ("below it", &[(O, UTF8, "b"), (CN, UTF8, "a")], &[(O, PRINTABLE, "B")], true),
            ("in another order", &[(CN, UTF8, "a"), (O, UTF8, "b")], &[(O, UTF8, "b")], false),
            ("above it", &[(O, UTF8, "b")], &[(O, UTF8, "b"), (CN, UTF8, "a")], false),
            ("below the empty name", &[(CN, UTF8, "a")], &[], true),
        ];
        for (what, one, above, expected) in rows {
            let (one, above) = (name(one), name(above));
            let is_within = Canonical::new(&one).zip(Canonical::new(&above)).map(|(one, above)| one.is_within(&above));
            assert_eq!(is_within, Some(*expected), "{what}");
        }
    }

    #[test]
    fn a_name_with_too_many_attributes_is_not_compared() {
        let long = |tag, count: usize| {
            let attribute = [der::SET, 10, der::SEQUENCE, 8, der::OBJECT_IDENTIFIER, 3, 0x55, 4, 3, tag, 1, b'a'];
            let length = u16::try_from(count * attribute.len()).expect("a short name").to_be_bytes();
            [&[der::SEQUENCE, 0x82], &length[..], &attribute.repeat(count)].concat()
        };
        let (utf8, printable) = (|count| long(UTF8, count), |count| long(PRINTABLE, count));
        assert!(are_equal(&utf8(ATTRIBUTES), &printable(ATTRIBUTES)));
        assert!(!are_equal(&utf8(ATTRIBUTES + 1), &printable(ATTRIBUTES + 1)));
        assert!(are_equal(&utf8(ATTRIBUTES + 1), &utf8(ATTRIBUTES + 1)), "an exact copy");
        assert_eq!(Canonical::new(&utf8(ATTRIBUTES + 1)), None);
    }

    #[test]
    fn a_name_stands_on_one_line() {
        #[rustfmt::skip]
        let rows = [
            (name(&[(O, UTF8, "b"), (CN, UTF8, "a")]), "CN=a,O=b"),
            (name(&[(O, UTF8, "a,b+c\"d\\e<f>g;h")]), "O=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h"),
            (name(&[(O, UTF8, "#x # ")]), "O=\\#x #\\ "),
            (name(&[(UNKNOWN, UTF8, "x")]), "2.999.1=#0C0178"),
            (name(&[]), ""),
        ];
        for (name, expected) in rows {
            assert_eq!(one_line(&name), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_name(place in 0usize..60, byte: u8) {
            let mut bytes = name(&[(O, UTF8, "Organisation"), (CN, PRINTABLE, "Common Name"), (UNKNOWN, UTF8, "x")]);
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
            prop_assert!(attributes(&bytes).len() <= 3 + bytes.len() / 5);
            prop_assert!(are_equal(&bytes, &bytes));
            let _ = one_line(&bytes);
        }
    }
}
