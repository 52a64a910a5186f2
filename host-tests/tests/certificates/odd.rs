//! Certificates that `openssl` does not make, put together by hand. Their signatures are nobody's: who only reads does not ask.

use std::process::{Command, Stdio};

/// What a certificate is to say. The rest is usual.
pub(crate) struct Odd {
    /// A `Name`.
    pub(crate) subject: Vec<u8>,
    /// The content of the INTEGER.
    pub(crate) serial: Vec<u8>,
    /// Two `Time`s.
    pub(crate) validity: Vec<u8>,
    /// A `SubjectPublicKeyInfo`.
    pub(crate) spki: Vec<u8>,
    /// Each an `Extension`.
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Default for Odd {
    fn default() -> Odd {
        Odd {
            subject: name(&[&[attribute(CN, UTF8, b"odd.test")]]),
            serial: vec![1],
            validity: [time(UTC, "240101000000Z"), time(UTC, "350101000000Z")].concat(),
            spki: spki(&["ED25519"]),
            extensions: Vec::new(),
        }
    }
}

impl Odd {
    /// With these subject alternative names, each an element.
    pub(crate) fn named(names: &[Vec<u8>]) -> Odd {
        Odd { extensions: vec![extension(SUBJECT_ALT_NAME, &element(SEQUENCE, &names.concat()))], ..Odd::default() }
    }

    /// In DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        let algorithm = element(SEQUENCE, &element(OID, &[0x2b, 0x65, 0x70]));
        let issuer = name(&[&[attribute(CN, UTF8, b"Odd CA")]]);
        let mut tbs = [
            element(0xa0, &element(INTEGER, &[2])),
            element(INTEGER, &self.serial),
            algorithm.clone(),
            issuer,
            element(SEQUENCE, &self.validity),
            self.subject.clone(),
            self.spki.clone(),
        ]
        .concat();
        if !self.extensions.is_empty() {
            tbs.extend(element(0xa3, &element(SEQUENCE, &self.extensions.concat())));
        }
        let signature = element(0x03, &[0; 65]);
        element(SEQUENCE, &[element(SEQUENCE, &tbs), algorithm, signature].concat())
    }
}

/// A tag, a length, and the content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = vec![tag];
    match content.len() {
        short @ 0..=0x7f => element.push(short as u8),
        long @ 0x80..=0xff => element.extend([0x81, long as u8]),
        longer => element.extend([0x82, (longer >> 8) as u8, longer as u8]),
    }
    element.extend(content);
    element
}

/// An `AttributeTypeAndValue`.
pub(crate) fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[element(OID, oid), element(tag, value)].concat())
}

/// A `Name` of these relative names, each of several attributes.
pub(crate) fn name(relative: &[&[Vec<u8>]]) -> Vec<u8> {
    let sets: Vec<_> = relative.iter().map(|attributes| element(SET, &attributes.concat())).collect();
    element(SEQUENCE, &sets.concat())
}

/// A `Time`.
pub(crate) fn time(tag: u8, text: &str) -> Vec<u8> {
    element(tag, text.as_bytes())
}

/// An `Extension` that is not critical.
pub(crate) fn extension(oid: &[u8], content: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[element(OID, oid), element(0x04, content)].concat())
}

/// A new public key, made by `openssl genpkey -algorithm` with these arguments.
pub(crate) fn spki(arguments: &[&str]) -> Vec<u8> {
    let key = openssl(&[&["genpkey", "-algorithm"], arguments].concat(), &[]);
    openssl(&["pkey", "-pubout", "-outform", "DER"], &key)
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("the openssl command does not start: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).unwrap_or_else(|error| panic!("openssl {}: {error}", arguments.join(" ")));
    }
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("openssl {}: {error}", arguments.join(" ")));
    assert!(output.status.success(), "openssl {}", arguments.join(" "));
    output.stdout
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const OID: u8 = 0x06;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const PRINTABLE: u8 = 0x13;
pub(crate) const T61: u8 = 0x14;
pub(crate) const IA5: u8 = 0x16;
pub(crate) const UTC: u8 = 0x17;
pub(crate) const GENERALIZED: u8 = 0x18;
pub(crate) const UNIVERSAL: u8 = 0x1c;
pub(crate) const BMP: u8 = 0x1e;
pub(crate) const CN: &[u8] = &[0x55, 4, 3];
pub(crate) const O: &[u8] = &[0x55, 4, 10];
pub(crate) const OU: &[u8] = &[0x55, 4, 11];
/// 2.999.1, which is for examples.
pub(crate) const UNKNOWN: &[u8] = &[0x88, 0x37, 1];
pub(crate) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
pub(crate) const INFO_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
