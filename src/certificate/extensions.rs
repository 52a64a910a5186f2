//! What a certificate's extensions allow it to be used for (RFC 5280 section 4.2.1).

use super::der::{self, Reader};
use super::general_names::general_names;
use super::x509::X509;

/// The extensions that decide over a certificate's use, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Basic constraints, where there are any.
    pub(crate) basic_constraints: Option<BasicConstraints>,
    /// Key usage: the bits in their order, the first being the highest of the first octet.
    pub(crate) key_usage: Option<u16>,
    /// Extended key usage: the purposes in dotted form.
    pub(crate) extended_key_usage: Option<Vec<String>>,
}

/// RFC 5280 section 4.2.1.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    /// Whether it may issue certificates.
    pub(crate) is_ca: bool,
    /// How many more CAs may be below it.
    pub(crate) path_length: Option<u64>,
}

impl Usage {
    /// Reads them; none where one of them, or another one that a path is checked by, can't be read or is there twice.
    pub(crate) fn new(x509: &X509<'_>) -> Option<Self> {
        let is_twice = |oid| x509.extensions.iter().filter(|extension| extension.oid == oid).count() > 1;
        if !x509.has_readable_extensions || KNOWN.iter().any(|oid| is_twice(*oid)) {
            return None;
        }
        if let Some(names) = x509.extension(SUBJECT_ALT_NAME) {
            general_names(names)?;
        }
        Some(Self {
            basic_constraints: optional(x509.extension(BASIC_CONSTRAINTS), basic_constraints)?,
            key_usage: optional(x509.extension(KEY_USAGE), key_usage)?,
            extended_key_usage: optional(x509.extension(EXTENDED_KEY_USAGE), extended_key_usage)?,
        })
    }

    /// Whether basic constraints make it a CA, and no key usage forbids it to sign certificates.
    pub(crate) fn is_ca(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.is_ca) && self.allows(KEY_CERT_SIGN)
    }

    /// Whether the key usage has one of these bits, or there is none.
    pub(crate) fn allows(&self, bits: u16) -> bool {
        self.key_usage.is_none_or(|usage| usage & bits != 0)
    }
}

/// The purposes of an extended key usage in dotted form; none where it can't be read.
pub(super) fn extended_key_usage(extension: &[u8]) -> Option<Vec<String>> {
    let purposes = Reader::new(der::only(extension, der::SEQUENCE)?).all()?;
    purposes.iter().map(|purpose| der::dotted(der::only(purpose.whole, der::OBJECT_IDENTIFIER)?)).collect()
}

/// Authority information access (RFC 5280 section 4.2.2.1).
pub(super) const AUTHORITY_INFO_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
/// Section 4.2.1.1.
pub(crate) const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
/// Section 4.2.1.2.
pub(crate) const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e];
/// Section 4.2.1.3.
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// Section 4.2.1.6.
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// Section 4.2.1.9.
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// Section 4.2.1.10.
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
/// Section 4.2.1.13.
pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 0x1f];
/// Section 4.2.1.12.
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// Section 4.2.1.4.
pub(crate) const CERTIFICATE_POLICIES: &[u8] = &[0x55, 0x1d, 0x20];

/// A bit of the key usage.
pub(crate) const DIGITAL_SIGNATURE: u16 = 0x8000;
/// Likewise.
pub(crate) const KEY_AGREEMENT: u16 = 0x0800;
/// Likewise.
pub(crate) const KEY_ENCIPHERMENT: u16 = 0x2000;
/// Likewise.
pub(crate) const KEY_CERT_SIGN: u16 = 0x0400;
/// Likewise.
pub(crate) const CRL_SIGN: u16 = 0x0200;

fn optional<T>(extension: Option<&[u8]>, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<Option<T>> {
    match extension {
        Some(extension) => read(extension).map(Some),
        None => Some(None),
    }
}

fn basic_constraints(extension: &[u8]) -> Option<BasicConstraints> {
    let mut fields = Reader::new(der::only(extension, der::SEQUENCE)?);
    let is_ca = match fields.optional(der::BOOLEAN) {
        Some([value]) => *value != 0,
        Some(_) => return None,
        None => false,
    };
    let path_length = optional(fields.optional(der::INTEGER), |number| match number {
        [first, ..] if *first < 0x80 && number.len() <= 8 => {
            Some(number.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
        }
        _ => None,
    })?;
    fields.is_empty().then_some(BasicConstraints { is_ca, path_length })
}

fn key_usage(extension: &[u8]) -> Option<u16> {
    let bits = match der::only(extension, der::BIT_STRING)? {
        [0..=7, first] => u16::from(*first) << 8,
        [0..=7, first, second, ..] => u16::from(*first) << 8 | u16::from(*second),
        _ => return None,
    };
    // "At least one of the bits MUST be set."
    (bits != 0).then_some(bits)
}

/// The extensions that may be there once.
const KNOWN: [&[u8]; 7] = [
    AUTHORITY_KEY_IDENTIFIER,
    SUBJECT_KEY_IDENTIFIER,
    KEY_USAGE,
    SUBJECT_ALT_NAME,
    BASIC_CONSTRAINTS,
    NAME_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
];
