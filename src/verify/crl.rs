//! Reads a certificate revocation list (RFC 5280 section 5).
//!
//! Owns the form of a list, of version 1 too: webpki reads version 2 alone, and wants extensions and
//! `nextUpdate` of every list. Relies on the reader of DER that certificates are read by. It never says
//! which list counts for a certificate: that is the business of [`super::revocation`].

use std::sync::OnceLock;

use rustls_pki_types::SignatureVerificationAlgorithm;

use super::distribution::PointName;
use super::signature::{BadSignature, Signed};
use crate::certificate::extensions::AUTHORITY_KEY_IDENTIFIER;
use crate::certificate::{Extension, Time, der, extensions_of};

/// A revocation list that was read as a whole: whatever it has is in its place, and of a known form.
#[derive(Debug)]
pub(crate) struct RevocationList {
    /// A `Name`, whole.
    pub(super) issuer: Vec<u8>,
    /// Section 5.1.2.4.
    pub(super) this_update: Time,
    /// Section 5.1.2.5. Without it, the list does not expire.
    pub(super) next_update: Option<Time>,
    /// Which key of the issuer signed it (section 5.2.1).
    pub(super) key_identifier: Option<Vec<u8>>,
    /// Section 5.2.3.
    pub(super) number: Option<Number>,
    /// The number of the list that this one completes: it is a delta list (section 5.2.4).
    pub(super) base: Option<Number>,
    /// Which certificates it is about.
    pub(super) scope: Scope,
    /// The first critical extension, of the list or of an entry, that is not known (sections 5.2 and 5.3).
    pub(super) unhandled: Option<String>,
    /// Sorted by serial number.
    entries: Vec<Entry>,
    tbs: Vec<u8>,
    signed_algorithm: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    /// The key that its signature was found good by: a list may have megabytes to hash, and serves many
    /// connections.
    pub(super) signer: OnceLock<Vec<u8>>,
}

/// A CRL number (section 5.2.3): its length in octets, and these; so that the order is that of numbers.
pub(super) type Number = (usize, Vec<u8>);

/// The issuing distribution point (section 5.2.5). Without one, a list is about all of its issuer's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// The content of the `DistributionPointName`, which is well-formed.
    pub(super) point: Option<Vec<u8>>,
    /// What kind of certificates it is about.
    pub(super) only: Only,
    /// Whether it is about some reasons of revocation alone.
    pub(super) has_some_reasons: bool,
    /// Whether it has certificates of other issuers too.
    pub(super) is_indirect: bool,
}

/// What kind of certificates a list is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Only {
    /// All of them.
    #[default]
    Any,
    /// Those of no CA.
    Users,
    /// Those of CAs.
    Authorities,
    /// Attribute certificates, none of which is used here.
    Attributes,
}

/// What a list says of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It was revoked, or is on hold.
    Revoked,
    /// It was on hold, and is no longer: only a delta list says so.
    Removed,
}

#[derive(Debug)]
struct Entry {
    serial: Box<[u8]>,
    status: Status,
}

impl RevocationList {
    /// Reads a list in DER.
    ///
    /// # Errors
    ///
    /// What is wrong with it, as the end of a sentence of which the list is the subject.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, &'static str> {
        const NO_LIST: &str = "is not a certificate revocation list in DER (RFC 5280 section 5.1)";
        let mut outer = der::Reader::new(der::only(bytes, der::SEQUENCE).ok_or(NO_LIST)?);
        let tbs = outer.read().filter(|element| element.tag == der::SEQUENCE).ok_or(NO_LIST)?;
        let signature_algorithm = outer.expect(der::SEQUENCE).ok_or(NO_LIST)?;
        let signature = outer.expect(der::BIT_STRING).and_then(|bits| bits.strip_prefix(&[0])).ok_or(NO_LIST)?;
        let mut fields = der::Reader::new(tbs.value);
        match fields.optional(der::INTEGER) {
            // Version 1 is the default, which DER leaves out; some write it.
            None | Some([0 | 1]) => {}
            Some(_) => return Err("is of a version that is neither 1 nor 2 (RFC 5280 section 5.1.2.1)"),
        }
        let signed_algorithm = fields.expect(der::SEQUENCE).ok_or(NO_LIST)?;
        let issuer = fields.read().filter(|element| element.tag == der::SEQUENCE).ok_or(NO_LIST)?;
        let this_update = fields.read().as_ref().and_then(Time::new);
        let this_update = this_update.ok_or("has no readable thisUpdate (RFC 5280 section 5.1.2.4)")?;
        let mut ahead = fields;
        let next_update = match ahead.read().filter(|element| TIMES.contains(&element.tag)) {
            Some(element) => {
                fields = ahead;
                Some(Time::new(&element).ok_or("has no readable nextUpdate (RFC 5280 section 5.1.2.5)")?)
            }
            None => None,
        };
        let mut unhandled = None;
        let entries = entries(fields.optional(der::SEQUENCE).unwrap_or_default(), &mut unhandled)
            .ok_or("has an entry that is not readable (RFC 5280 section 5.1.2.6)")?;
        let extensions = fields.optional(der::CONTEXT_CONSTRUCTED);
        if !fields.is_empty() || !outer.is_empty() {
            return Err(NO_LIST);
        }
        let mut list = Self {
            issuer: issuer.whole.to_vec(),
            this_update,
            next_update,
            key_identifier: None,
            number: None,
            base: None,
            scope: Scope::default(),
            unhandled,
            entries,
            tbs: tbs.whole.to_vec(),
            signed_algorithm: signed_algorithm.to_vec(),
            signature_algorithm: signature_algorithm.to_vec(),
            signature: signature.to_vec(),
            signer: OnceLock::new(),
        };
        if let Some(extensions) = extensions {
            list.read_extensions(extensions)?;
        }
        Ok(list)
    }

    /// What it says of the certificate with this serial number, which is the content of an INTEGER.
    pub(super) fn status(&self, serial: &[u8]) -> Option<Status> {
        let serial = shortest(serial);
        let start = self.entries.partition_point(|entry| *entry.serial < *serial);
        let same = self.entries[start..].iter().take_while(|entry| *entry.serial == *serial);
        // Who is in it twice is revoked, unless both entries say otherwise.
        let mut status = None;
        for entry in same {
            if status != Some(Status::Revoked) {
                status = Some(entry.status);
            }
        }
        status
    }

    /// Checks that this key signed it. Of a key that is remembered, that is known.
    pub(super) fn verify(
        &self,
        spki: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), BadSignature> {
        if self.signer.get().is_some_and(|signer| signer == spki) {
            return Ok(());
        }
        let signed = Signed {
            tbs: &self.tbs,
            signed_algorithm: &self.signed_algorithm,
            signature_algorithm: &self.signature_algorithm,
            signature: &self.signature,
        };
        signed.verify(spki, algorithms)
    }

    /// Remembers a key that signed it, which has to stand on a path that is verified: where a peer could choose how it is
    /// written, the list would be hashed anew for each connection after that.
    pub(super) fn remember(&self, spki: &[u8]) {
        // Where another key of the issuer was here first, it stays.
        let _ = self.signer.set(spki.to_vec());
    }

    fn read_extensions(&mut self, extensions: &[u8]) -> Result<(), &'static str> {
        let (extensions, is_readable) = extensions_of(extensions);
        if !is_readable {
            return Err("has an extension that is not readable (RFC 5280 section 5.2)");
        }
        let is_twice = |oid: &&[u8]| extensions.iter().filter(|extension| extension.oid == *oid).count() > 1;
        if KNOWN.iter().any(is_twice) {
            return Err("has an extension twice (RFC 5280 section 4.2)");
        }
        for Extension { oid, is_critical, value } in extensions {
            match oid {
                AUTHORITY_KEY_IDENTIFIER => {
                    let identifier = der::only(value, der::SEQUENCE);
                    let identifier =
                        identifier.ok_or("has no readable authority key identifier (RFC 5280 section 5.2.1)")?;
                    self.key_identifier = der::Reader::new(identifier).optional(der::CONTEXT).map(<[u8]>::to_vec);
                }
                CRL_NUMBER => {
                    self.number = Some(number(value).ok_or("has no readable CRL number (RFC 5280 section 5.2.3)")?);
                }
                DELTA_CRL_INDICATOR => {
                    let base = number(value).ok_or("has no readable delta CRL indicator (RFC 5280 section 5.2.4)")?;
                    self.base = Some(base);
                }
                ISSUING_DISTRIBUTION_POINT => {
                    self.scope = Scope::new(value)
                        .ok_or("has no readable issuing distribution point (RFC 5280 section 5.2.5)")?;
                }
                _ => note_unhandled(&mut self.unhandled, oid, is_critical),
            }
        }
        Ok(())
    }
}

impl Scope {
    fn new(extension: &[u8]) -> Option<Self> {
        let mut fields = der::Reader::new(der::only(extension, der::SEQUENCE)?);
        let point = fields.optional(der::CONTEXT_CONSTRUCTED);
        if let Some(point) = point {
            PointName::new(point)?;
        }
        let users = flag(fields.optional(der::CONTEXT + 1))?;
        let authorities = flag(fields.optional(der::CONTEXT + 2))?;
        let has_some_reasons = fields.optional(der::CONTEXT + 3).is_some();
        let is_indirect = flag(fields.optional(der::CONTEXT + 4))?;
        let attributes = flag(fields.optional(der::CONTEXT + 5))?;
        let only = match (users, authorities, attributes) {
            (false, false, false) => Only::Any,
            (true, false, false) => Only::Users,
            (false, true, false) => Only::Authorities,
            (false, false, true) => Only::Attributes,
            // "At most one" of them.
            _ => return None,
        };
        let point = point.map(<[u8]>::to_vec);
        fields.is_empty().then_some(Self { point, only, has_some_reasons, is_indirect })
    }
}

/// The entries of a list, by serial number.
fn entries(list: &[u8], unhandled: &mut Option<String>) -> Option<Vec<Entry>> {
    let mut list = der::Reader::new(list);
    let mut entries = Vec::new();
    while !list.is_empty() {
        let mut fields = der::Reader::new(list.expect(der::SEQUENCE)?);
        let serial = fields.expect(der::INTEGER).filter(|serial| !serial.is_empty())?;
        let _revocation_date = Time::new(&fields.read()?)?;
        let mut status = Status::Revoked;
        if !fields.is_empty() {
            let (extensions, is_readable) = extensions_of(fields.read()?.whole);
            if !is_readable || !fields.is_empty() {
                return None;
            }
            for Extension { oid, is_critical, value } in extensions {
                match oid {
                    REASON_CODE if der::only(value, ENUMERATED)? == [REMOVE_FROM_CRL] => status = Status::Removed,
                    REASON_CODE | INVALIDITY_DATE => {}
                    _ => note_unhandled(unhandled, oid, is_critical),
                }
            }
        }
        entries.push(Entry { serial: shortest(serial).into(), status });
    }
    entries.sort_by(|one, other| one.serial.cmp(&other.serial));
    Some(entries)
}

fn note_unhandled(unhandled: &mut Option<String>, oid: &[u8], is_critical: bool) {
    if is_critical && unhandled.is_none() {
        *unhandled = Some(der::dotted(oid).unwrap_or_else(|| "of no readable identifier".into()));
    }
}

fn number(extension: &[u8]) -> Option<Number> {
    match shortest(der::only(extension, der::INTEGER)?) {
        [first, ..] if *first >= 0x80 => None,
        [0, rest @ ..] => Some((rest.len(), rest.to_vec())),
        octets => Some((octets.len(), octets.to_vec())),
    }
}

/// The content of an INTEGER without octets that say nothing, which some encoders write (X.690 section
/// 8.3.2).
fn shortest(mut integer: &[u8]) -> &[u8] {
    while let [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] = integer {
        integer = &integer[1..];
    }
    integer
}

/// A BOOLEAN with another tag, which is false where it is left out.
fn flag(value: Option<&[u8]>) -> Option<bool> {
    match value {
        None => Some(false),
        Some([octet]) => Some(*octet != 0),
        Some(_) => None,
    }
}

const TIMES: [u8; 2] = [der::UTC_TIME, der::GENERALIZED_TIME];
const ENUMERATED: u8 = 0x0a;
/// Section 5.2.3.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
/// Section 5.2.4.
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];
/// Section 5.2.5.
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
/// Section 5.3.1.
const REASON_CODE: &[u8] = &[0x55, 0x1d, 0x15];
const REMOVE_FROM_CRL: u8 = 8;
/// Section 5.3.2.
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 0x18];
/// The extensions of a list that are looked at.
const KNOWN: [&[u8]; 4] = [AUTHORITY_KEY_IDENTIFIER, CRL_NUMBER, DELTA_CRL_INDICATOR, ISSUING_DISTRIBUTION_POINT];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
    use webpki::{CertRevocationList, OwnedCertRevocationList};

    use super::*;
    use crate::certificate::X509;

    fn revoking() -> Vec<u8> {
        let pem = include_bytes!("fixtures/middle-revoked.crl.pem");
        CertificateRevocationListDer::from_pem_slice(pem).expect("the fixture is PEM").to_vec()
    }

    fn certificate(pem: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem).expect("the fixture is PEM")
    }

    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).expect("a short element");
        let header = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [header, content].concat()
    }

    const DATE: &[u8] = b"\x17\x0d240101000000Z";

    /// A list with this version, these entries and these extensions, each of which may be left out.
    fn list(version: &[u8], entries: &[u8], extensions: &[u8]) -> Vec<u8> {
        let algorithm = element(der::SEQUENCE, &[&[6, 1, 0x2a]]);
        let name = element(der::SEQUENCE, &[]);
        let tbs = element(der::SEQUENCE, &[version, &algorithm, &name, DATE, entries, extensions]);
        element(der::SEQUENCE, &[&tbs, &algorithm, &[3, 2, 0, 0]])
    }

    fn extensions(all: &[(&[u8], &[u8])]) -> Vec<u8> {
        let each = all.iter().map(|(oid, value)| {
            element(der::SEQUENCE, &[&element(der::OBJECT_IDENTIFIER, &[oid]), &element(der::OCTET_STRING, &[value])])
        });
        element(der::SEQUENCE, &[&each.collect::<Vec<_>>().concat()])
    }

    #[test]
    fn a_list_is_read_or_what_is_wrong_with_it_is_told() {
        let with = |all: &[(&[u8], &[u8])]| list(V2, &[], &element(der::CONTEXT_CONSTRUCTED, &[&extensions(all)]));
        let entry = |parts: &[&[u8]]| list(V2, &element(der::SEQUENCE, &[&element(der::SEQUENCE, parts)]), &[]);
        const V2: &[u8] = &[2, 1, 1];
        let point = |parts: &[&[u8]]| with(&[(ISSUING_DISTRIBUTION_POINT, &element(der::SEQUENCE, parts))]);
        #[rustfmt::skip]
        let rows: &[(&str, Vec<u8>, Option<&str>)] = &[
            ("version 1, left out", list(&[], &[], &[]), None),
            ("version 1, written", list(&[2, 1, 0], &[], &[]), None),
            ("version 2", list(V2, &[], &[]), None),
            ("version 3", list(&[2, 1, 2], &[], &[]), Some("neither 1 nor 2")),
            ("entries that are none", list(V2, &[0x30, 2, 5, 0], &[]), Some("entry")),
            ("an entry without a date", entry(&[&[2, 1, 7]]), Some("entry")),
            ("an entry", entry(&[&[2, 1, 7], DATE]), None),
            ("an entry with an empty list of extensions", entry(&[&[2, 1, 7], DATE, &[0x30, 0]]), None),
            ("an entry with something behind it", entry(&[&[2, 1, 7], DATE, &[0x30, 0], &[5, 0]]), Some("entry")),
            ("an entry with a reason that is none", entry(&[&[2, 1, 7], DATE, &extensions(&[(REASON_CODE, &[5, 0])])]), Some("entry")),
            ("a number", with(&[(CRL_NUMBER, &[2, 1, 7])]), None),
            ("a number below zero", with(&[(CRL_NUMBER, &[2, 1, 0xff])]), Some("CRL number")),
            ("a number twice", with(&[(CRL_NUMBER, &[2, 1, 7]), (CRL_NUMBER, &[2, 1, 8])]), Some("twice")),
            ("a delta indicator that is no number", with(&[(DELTA_CRL_INDICATOR, &[5, 0])]), Some("delta CRL indicator")),
            ("a distribution point", point(&[&[0xa0, 4, 0xa0, 2, 0x86, 0]]), None),
            ("a distribution point of no form", point(&[&[0xa0, 2, 0xa2, 0]]), Some("issuing distribution point")),
            ("a list for users alone and for CAs alone", point(&[&[0x81, 1, 0xff, 0x82, 1, 0xff]]), Some("issuing distribution point")),
            ("extensions that are none", list(V2, &[], &[0xa0, 2, 5, 0]), Some("extension that is not readable")),
            ("something behind the extensions", list(V2, &[], &[0xa0, 2, 0x30, 0, 5, 0]), Some("not a certificate revocation list")),
            ("something behind the list", [list(V2, &[], &[]), vec![0]].concat(), Some("not a certificate revocation list")),
            ("no bytes", vec![], Some("not a certificate revocation list")),
        ];
        for (what, bytes, expected) in rows {
            let found = RevocationList::new(bytes).err();
            assert_eq!(found.is_some(), expected.is_some(), "{what}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{what}: {found:?}");
        }
    }

    #[test]
    fn numbers_are_compared_by_their_value() {
        let read = |octets: &[u8]| number(&element(der::INTEGER, &[octets]));
        #[rustfmt::skip]
        let rows: [(&[u8], &[u8]); 4] = [(&[0], &[1]), (&[0x7f], &[0, 0x80]), (&[0, 0xff], &[1, 0]), (&[1, 0xff], &[2, 0])];
        for (less, more) in rows {
            assert!(read(less) < read(more), "{less:?} {more:?}");
        }
        assert_eq!(read(&[0, 0, 7]), read(&[7]), "octets that say nothing");
    }

    #[test]
    fn whatever_bit_is_changed_webpki_and_this_find_the_same_in_a_list() {
        let leaf = certificate(include_bytes!("fixtures/leaf.pem"));
        let serial = X509::new(&leaf).expect("a certificate").serial;
        let list = revoking();
        assert_eq!(RevocationList::new(&list).expect("a list").status(serial), Some(Status::Revoked));
        for bit in 0..list.len() * 8 {
            let mut changed = list.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let theirs = OwnedCertRevocationList::from_der(&changed).map(CertRevocationList::from);
            match (RevocationList::new(&changed), theirs) {
                (Ok(ours), Ok(theirs)) => {
                    let found = theirs.find_serial(serial).expect("an owned list is read");
                    assert_eq!(ours.status(serial).is_some(), found.is_some(), "bit {bit}");
                    assert_eq!(der::only(&ours.issuer, der::SEQUENCE), Some(theirs.issuer()), "bit {bit}");
                }
                // webpki looks into neither of these when it reads a list.
                (Err(cause), Ok(_)) => assert!(
                    cause.contains("authority key identifier") || cause.contains("issuing distribution point"),
                    "bit {bit}: only webpki reads it: it {cause}"
                ),
                (_, Err(_)) => {}
            }
        }
    }

    #[test]
    fn a_key_with_something_behind_it_has_signed_nothing() {
        let issuer = certificate(include_bytes!("fixtures/middle.pem"));
        let spki = X509::new(&issuer).expect("a certificate").spki;
        let content = der::only(spki, der::SEQUENCE).expect("a key");
        let provider = crate::provider::crypto_provider();
        let algorithms = provider.signature_verification_algorithms.all;
        let list = RevocationList::new(&revoking()).expect("a list");
        for (behind, expected) in [(&[][..], Ok(())), (&[5, 0], Err(BadSignature::UnreadableKey))] {
            assert_eq!(list.verify(&element(der::SEQUENCE, &[content, behind]), algorithms), expected, "{behind:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn a_changed_list_is_not_the_issuers(place in 0_usize..400, bit in 0_u8..8) {
            let issuer = certificate(include_bytes!("fixtures/middle.pem"));
            let spki = X509::new(&issuer).expect("a certificate").spki;
            let provider = crate::provider::crypto_provider();
            let algorithms = provider.signature_verification_algorithms.all;
            let mut list = revoking();
            prop_assert!(RevocationList::new(&list).expect("a list").verify(spki, algorithms).is_ok());
            if let Some(octet) = list.get_mut(place) {
                *octet ^= 1 << bit;
                prop_assert!(RevocationList::new(&list).map_or(true, |list| list.verify(spki, algorithms).is_err()));
            }
        }

        #[test]
        fn any_entries_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = RevocationList::new(&list(&[2, 1, 1], &element(der::SEQUENCE, &[&bytes]), &[]));
            let _ = RevocationList::new(&list(&[2, 1, 1], &[], &element(der::CONTEXT_CONSTRUCTED, &[&bytes])));
            let _ = Scope::new(&bytes);
        }
    }
}
