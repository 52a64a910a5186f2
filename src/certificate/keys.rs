//! The public key of a certificate, in Node's fields (row K7).

use super::der::{self, Reader};
use super::text;

/// What Node tells of a key. Of one that is neither RSA nor on a named curve it tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyInfo {
    pub(super) modulus: Option<String>,
    pub(super) bits: Option<u32>,
    pub(super) exponent: Option<String>,
    pub(super) pubkey: Option<Vec<u8>>,
    pub(super) asn1_curve: Option<String>,
    pub(super) nist_curve: Option<String>,
}

impl KeyInfo {
    /// Of a `SubjectPublicKeyInfo`.
    pub(super) fn new(spki: &[u8]) -> Self {
        read(spki).unwrap_or_default()
    }
}

fn read(spki: &[u8]) -> Option<KeyInfo> {
    let mut fields = Reader::new(der::only(spki, der::SEQUENCE)?);
    let mut algorithm = Reader::new(fields.expect(der::SEQUENCE)?);
    let (_unused_bits, key) = fields.expect(der::BIT_STRING)?.split_first()?;
    match der::dotted(algorithm.expect(der::OBJECT_IDENTIFIER)?)?.as_str() {
        RSA => rsa(RSA_ENCRYPTION, key),
        RSA_PSS => rsa(RSA_ENCRYPTION_OF_PSS, key),
        EC => elliptic_curve(algorithm.expect(der::OBJECT_IDENTIFIER)?, key),
        _ => None,
    }
}

fn rsa(algorithm: &[u8], key: &[u8]) -> Option<KeyInfo> {
    let mut numbers = Reader::new(der::only(key, der::SEQUENCE)?);
    let (modulus, exponent) = (numbers.expect(der::INTEGER)?, numbers.expect(der::INTEGER)?);
    let modulus = without_zeros(modulus);
    let first_bits = modulus.first().map_or(0, |first| u8::BITS - first.leading_zeros());
    let rest_bits = modulus.len().saturating_sub(1).checked_mul(8)?;
    Some(KeyInfo {
        modulus: Some(digits(modulus)),
        bits: Some(first_bits + u32::try_from(rest_bits).ok()?),
        exponent: Some(format!("0x{}", exponent_digits(without_zeros(exponent)))),
        pubkey: Some(rsa_spki(algorithm, key)),
        ..KeyInfo::default()
    })
}

fn elliptic_curve(curve: &[u8], point: &[u8]) -> Option<KeyInfo> {
    let curve = der::dotted(curve)?;
    let (_, asn1_curve, nist_curve, bits) = CURVES.iter().find(|row| row.0 == curve)?;
    Some(KeyInfo {
        bits: Some(*bits),
        pubkey: Some(point.to_vec()),
        asn1_curve: Some((*asn1_curve).to_owned()),
        nist_curve: nist_curve.map(str::to_owned),
        ..KeyInfo::default()
    })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|octet| *octet != 0).unwrap_or(number.len());
    &number[first..]
}

/// Hexadecimal without leading zeros.
fn digits(number: &[u8]) -> String {
    let digits = text::hex(number, "");
    match digits.trim_start_matches('0') {
        "" => "0".into(),
        digits => digits.into(),
    }
}

/// OpenSSL has 64 bits for an exponent, all of them set where they are too few.
fn exponent_digits(number: &[u8]) -> String {
    match number.len() {
        0..=8 => digits(number),
        _ => format!("{:X}", u64::MAX),
    }
}

/// A `SubjectPublicKeyInfo` of `rsaEncryption` (RFC 3279 section 2.3.1).
fn rsa_spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = element(der::BIT_STRING, &[&[0], key].concat());
    element(der::SEQUENCE, &[algorithm, &bits].concat())
}

fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let length = without_zeros(&length);
    let head = match value.len() {
        short @ 0..=0x7f => vec![tag, short as u8],
        _ => [&[tag, 0x80 | length.len() as u8], length].concat(),
    };
    [&head, value].concat()
}

const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_PSS: &str = "1.2.840.113549.1.1.10";
const EC: &str = "1.2.840.10045.2.1";
/// The `AlgorithmIdentifier` of an RSA key.
const RSA_ENCRYPTION: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// What OpenSSL makes of the one of a key that is for PSS only: no word of that, nor the NULL.
const RSA_ENCRYPTION_OF_PSS: &[u8] = &[0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Identifier, OpenSSL's name, NIST's name, and the bits of the order, of the curves over prime fields in use.
const CURVES: &[(&str, &str, Option<&str>, u32)] = &[
    ("1.2.840.10045.3.1.1", "prime192v1", Some("P-192"), 192),
    ("1.3.132.0.33", "secp224r1", Some("P-224"), 224),
    ("1.2.840.10045.3.1.7", "prime256v1", Some("P-256"), 256),
    ("1.3.132.0.34", "secp384r1", Some("P-384"), 384),
    ("1.3.132.0.35", "secp521r1", Some("P-521"), 521),
    ("1.3.132.0.10", "secp256k1", None, 256),
    ("1.3.36.3.3.2.8.1.1.5", "brainpoolP224r1", None, 224),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", None, 256),
    ("1.3.36.3.3.2.8.1.1.9", "brainpoolP320r1", None, 320),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", None, 384),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", None, 512),
    ("1.2.156.10197.1.301", "SM2", None, 256),
];
