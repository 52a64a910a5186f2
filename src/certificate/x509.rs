//! The fields of a certificate where they lie in its DER (RFC 5280 section 4.1), not yet read any further.

use super::der::{self, Element, Reader};

/// A certificate. Every field borrows from the DER.
#[derive(Clone, Debug)]
pub(crate) struct X509<'a> {
    /// What is signed.
    pub(crate) tbs: &'a [u8],
    /// 1 to 3; what other numbers stand in it is not known here.
    pub(crate) version: u8,
    /// The content of the INTEGER.
    pub(crate) serial: &'a [u8],
    /// A `Name`, whole.
    pub(crate) issuer: &'a [u8],
    /// A `Time`.
    pub(crate) not_before: Element<'a>,
    /// A `Time`.
    pub(crate) not_after: Element<'a>,
    /// A `Name`, whole.
    pub(crate) subject: &'a [u8],
    /// The `SubjectPublicKeyInfo`, whole.
    pub(crate) spki: &'a [u8],
    /// All extensions up to the first that is not well-formed.
    pub(crate) extensions: Vec<Extension<'a>>,
    /// Whether these are all of them.
    pub(crate) has_readable_extensions: bool,
    /// The content of the `AlgorithmIdentifier` that is signed.
    pub(crate) signed_algorithm: &'a [u8],
    /// The content of the `AlgorithmIdentifier` beside the signature.
    pub(crate) signature_algorithm: &'a [u8],
    /// The signature, without the octet that counts unused bits.
    pub(crate) signature: &'a [u8],
}

/// One extension (RFC 5280 section 4.1.2.9).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension<'a> {
    /// The content of its OBJECT IDENTIFIER.
    pub(crate) oid: &'a [u8],
    /// Whether who does not know it must not accept the certificate.
    pub(crate) is_critical: bool,
    /// The content of the OCTET STRING.
    pub(crate) value: &'a [u8],
}

impl<'a> X509<'a> {
    /// The fields of a certificate; none where it is not one. Extensions are looked at by whoever needs them.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut certificate = Reader::new(der::only(bytes, der::SEQUENCE)?);
        let tbs = certificate.read().filter(|element| element.tag == der::SEQUENCE)?;
        let signature_algorithm = certificate.expect(der::SEQUENCE)?;
        let signature = certificate.expect(der::BIT_STRING)?.strip_prefix(NO_UNUSED_BITS)?;
        let mut fields = Reader::new(tbs.value);
        let version = match fields.optional(der::CONTEXT_CONSTRUCTED) {
            Some(version) => match der::only(version, der::INTEGER)? {
                [number @ 0..=2] => number + 1,
                _ => return None,
            },
            None => 1,
        };
        let serial = fields.expect(der::INTEGER).filter(|serial| !serial.is_empty())?;
        let signed_algorithm = fields.expect(der::SEQUENCE)?;
        let issuer = fields.read().filter(|element| element.tag == der::SEQUENCE)?;
        let mut validity = Reader::new(fields.expect(der::SEQUENCE)?);
        let (not_before, not_after) = (validity.read()?, validity.read()?);
        let subject = fields.read().filter(|element| element.tag == der::SEQUENCE)?;
        let spki = fields.read().filter(|element| element.tag == der::SEQUENCE)?;
        let _issuer_unique_id = fields.optional(der::CONTEXT + 1);
        let _subject_unique_id = fields.optional(der::CONTEXT + 2);
        let (extensions, has_readable_extensions) = match fields.optional(der::CONTEXT_CONSTRUCTED + 3) {
            Some(extensions) => extensions_of(extensions),
            None => (Vec::new(), fields.is_empty()),
        };
        Some(Self {
            tbs: tbs.whole,
            version,
            serial,
            issuer: issuer.whole,
            not_before,
            not_after,
            subject: subject.whole,
            spki: spki.whole,
            extensions,
            has_readable_extensions,
            signed_algorithm,
            signature_algorithm,
            signature,
        })
    }

    /// The content of the first extension with this identifier.
    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        self.extensions.iter().find(|extension| extension.oid == oid).map(|extension| extension.value)
    }

    /// Whether the names of subject and issuer are the same.
    pub(crate) fn is_self_issued(&self) -> bool {
        super::names::are_equal(self.subject, self.issuer)
    }
}

/// The extensions of a certificate, of a revocation list or of its entry, up to the first that is not
/// well-formed, and whether these are all.
pub(crate) fn extensions_of(bytes: &[u8]) -> (Vec<Extension<'_>>, bool) {
    let mut extensions = Vec::new();
    let Some(list) = der::only(bytes, der::SEQUENCE) else {
        return (extensions, false);
    };
    let mut list = Reader::new(list);
    while !list.is_empty() {
        match list.expect(der::SEQUENCE).and_then(extension_of) {
            Some(extension) => extensions.push(extension),
            None => return (extensions, false),
        }
    }
    (extensions, true)
}

fn extension_of(bytes: &[u8]) -> Option<Extension<'_>> {
    let mut fields = Reader::new(bytes);
    let oid = fields.expect(der::OBJECT_IDENTIFIER)?;
    let is_critical = fields.optional(der::BOOLEAN).is_some_and(|value| value != [0]);
    let value = fields.expect(der::OCTET_STRING)?;
    fields.is_empty().then_some(Extension { oid, is_critical, value })
}

/// How the BIT STRING of a signature starts, which is of whole octets.
const NO_UNUSED_BITS: &[u8] = &[0];
