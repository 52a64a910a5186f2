//! The distribution points of certificates and of lists (RFC 5280 sections 4.2.1.13 and 5.2.5), and whether
//! one is the other.

use crate::certificate::extensions::CRL_DISTRIBUTION_POINTS;
use crate::certificate::general_names::GeneralName;
use crate::certificate::{X509, der, names};

/// The name of a distribution point.
#[derive(Debug)]
pub(super) enum PointName<'a> {
    /// `fullName`: general names, each of which is its name.
    Full(Vec<der::Element<'a>>),
    /// `nameRelativeToCRLIssuer`: the content of a relative name.
    Relative(&'a [u8]),
}

/// Where a certificate says that its revocation is told.
#[derive(Debug)]
pub(super) struct Point<'a> {
    name: Option<PointName<'a>>,
    /// `cRLIssuer`: who tells it, where that is not the certificate's issuer.
    issuers: Option<Vec<der::Element<'a>>>,
    /// `reasons`: whether it is about some reasons of revocation alone.
    has_some_reasons: bool,
}

impl<'a> PointName<'a> {
    /// Reads the content of a `DistributionPointName` with its tag; none where it is not one.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = der::Reader::new(bytes);
        let name = fields.read().filter(|_| fields.is_empty())?;
        match name.tag {
            der::CONTEXT_CONSTRUCTED => general_names(name.value).map(Self::Full),
            RELATIVE => der::Reader::new(name.value).all().map(|_| Self::Relative(name.value)),
            _ => None,
        }
    }

    /// Whether both name the same point of the same issuer. A relative name is only compared with a relative
    /// one.
    fn is(&self, other: &PointName<'_>) -> bool {
        match (self, other) {
            (Self::Full(one), PointName::Full(other)) => intersect(one, other),
            (Self::Relative(one), PointName::Relative(other)) => one == other,
            _ => false,
        }
    }
}

impl<'a> Point<'a> {
    /// The distribution points of a certificate; none of them where they can't be read.
    pub(super) fn all_of(x509: &X509<'a>) -> Vec<Self> {
        let read = |extension| der::Reader::new(der::only(extension, der::SEQUENCE)?).all();
        let points = x509.extension(CRL_DISTRIBUTION_POINTS).and_then(read).unwrap_or_default();
        points.iter().map(|point| Self::new(point.whole)).collect::<Option<_>>().unwrap_or_default()
    }

    fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = der::Reader::new(der::only(bytes, der::SEQUENCE)?);
        let name = match fields.optional(der::CONTEXT_CONSTRUCTED) {
            Some(name) => Some(PointName::new(name)?),
            None => None,
        };
        let has_some_reasons = fields.optional(der::CONTEXT + 1).is_some();
        let issuers = match fields.optional(der::CONTEXT_CONSTRUCTED + 2) {
            Some(issuers) => Some(general_names(issuers)?),
            None => None,
        };
        fields.is_empty().then_some(Self { name, issuers, has_some_reasons })
    }

    /// Whether a list by this issuer, with this name of a point, is what it points to (section 6.3.3 (b)), for all reasons.
    pub(super) fn is(&self, list_point: &PointName<'_>, list_issuer: &[u8]) -> bool {
        let is_list_issuer = |name: &der::Element<'_>| matches!(GeneralName::new(name.tag, name.value), Some(GeneralName::Directory(name)) if names::are_equal(name, list_issuer));
        // (d): of what is there, a list tells the reasons of its point alone. Those of several lists are not added up.
        if self.has_some_reasons {
            return false;
        }
        // (1): lists of another issuer than the certificate's are not used.
        if self.issuers.as_ref().is_some_and(|issuers| !issuers.iter().any(is_list_issuer)) {
            return false;
        }
        // (2) (i): where the point has no name, `cRLIssuer` stands for it.
        match (&self.name, &self.issuers, list_point) {
            (Some(name), _, _) => name.is(list_point),
            (None, Some(issuers), PointName::Full(names)) => intersect(issuers, names),
            (None, _, _) => false,
        }
    }
}

/// Whether a general name of one list stands in the other too.
fn intersect(one: &[der::Element<'_>], other: &[der::Element<'_>]) -> bool {
    one.iter().any(|name| other.iter().any(|other| is_same(name, other)))
}

fn is_same(one: &der::Element<'_>, other: &der::Element<'_>) -> bool {
    let directory =
        |name: &der::Element<'_>| matches!(GeneralName::new(name.tag, name.value), Some(GeneralName::Directory(_)));
    one.whole == other.whole || (directory(one) && directory(other) && names::are_equal(one.value, other.value))
}

fn general_names(bytes: &[u8]) -> Option<Vec<der::Element<'_>>> {
    let names = der::Reader::new(bytes).all()?;
    names.iter().all(|name| GeneralName::new(name.tag, name.value).is_some()).then_some(names)
}

/// `[1]`, constructed.
const RELATIVE: u8 = der::CONTEXT_CONSTRUCTED + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_point_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let name = PointName::new(&bytes);
            let content = [&[der::SEQUENCE, bytes.len() as u8], &*bytes].concat();
            if let (Some(name), Some(point)) = (name, Point::new(&content)) {
                let _ = point.is(&name, &bytes);
            }
        }
    }

    #[test]
    fn a_list_is_at_a_certificates_point_or_not() {
        // `a.test/1` and `a.test/2` as URIs in a full name.
        const ONE: &[u8] = b"\xa0\x0a\x86\x08a.test/1";
        const BOTH: &[u8] = b"\xa0\x14\x86\x08a.test/2\x86\x08a.test/1";
        const TWO: &[u8] = b"\xa0\x0a\x86\x08a.test/2";
        // CN=a relative to the issuer, and CN=b.
        const RELATIVE_A: &[u8] = b"\xa1\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a";
        const RELATIVE_B: &[u8] = b"\xa1\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01b";
        // The names CN=a, CN=A as another type of string, and CN=b, as general names.
        const NAME_A: &[u8] = b"\xa4\x0e\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01a";
        const NAME_BIG_A: &[u8] = b"\xa4\x0e\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x13\x01A";
        const NAME_B: &[u8] = b"\xa4\x0e\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01b";
        let issuer = &NAME_A[2..];
        let wrap = |tag: u8, content: &[u8]| match content.len() {
            0 => Vec::new(),
            length => [&[tag, length as u8], content].concat(),
        };
        let full = |names: &[u8]| wrap(der::CONTEXT_CONSTRUCTED, names);
        // As `keyCompromise` alone, and as `unused`, which is no reason.
        const REASONS: [&[u8]; 2] = [b"\x81\x02\x06\x40", b"\x81\x02\x07\x80"];
        // What it is, the certificate's point and its issuers, the list's point, and whether it is the same.
        type PointRow<'a> = (&'static str, &'a [u8], &'a [u8], &'a [u8], bool);
        #[rustfmt::skip]
        let rows: &[PointRow<'_>] = &[
            ("the same URI", ONE, b"", ONE, true),
            ("one of two URIs", ONE, b"", BOTH, true),
            ("another URI", ONE, b"", TWO, false),
            ("the same relative name", RELATIVE_A, b"", RELATIVE_A, true),
            ("another relative name", RELATIVE_A, b"", RELATIVE_B, false),
            ("a relative and a full name", RELATIVE_A, b"", ONE, false),
            ("the same directory name, written in another way", &full(NAME_A), b"", &full(NAME_BIG_A), true),
            ("another directory name", &full(NAME_A), b"", &full(NAME_B), false),
            ("the same URI, told by the list's issuer", ONE, NAME_BIG_A, ONE, true),
            ("the same URI, told by somebody else", ONE, NAME_B, ONE, false),
            ("no name, and the list's issuer as its name", b"", NAME_A, &full(NAME_A), true),
            ("no name, and another name of the list", b"", NAME_A, ONE, false),
            ("nothing at all", b"", b"", ONE, false),
        ];
        for (what, name, issuers, list_point, expected) in rows {
            let list_point = PointName::new(list_point).unwrap_or_else(|| panic!("{what}: no name"));
            for reasons in [&[][..]].into_iter().chain(REASONS) {
                let (name, issuers) =
                    (wrap(der::CONTEXT_CONSTRUCTED, name), wrap(der::CONTEXT_CONSTRUCTED + 2, issuers));
                let content = [&name, reasons, &issuers].concat();
                let point = [&[der::SEQUENCE, content.len() as u8], &*content].concat();
                let point = Point::new(&point).unwrap_or_else(|| panic!("{what}: no point"));
                let expected = *expected && reasons.is_empty();
                assert_eq!(point.is(&list_point, issuer), expected, "{what}, reasons: {reasons:?}");
            }
        }
    }
}
