//! DER (X.690), as far as certificates need it: one element after the other, without copies, without recursion.
//!
//! The crate `der` knows no UniversalString and `x509-cert` no year before 1970; certificates have both.

/// One element: what its tag says, its content, and all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// The identifier octet.
    pub(crate) tag: u8,
    /// The content octets.
    pub(crate) value: &'a [u8],
    /// Identifier, length and content.
    pub(crate) whole: &'a [u8],
}

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element; none at the end, and where the bytes are no DER.
    pub(crate) fn read(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        // No field of a certificate has a tag number of more than one octet.
        if tag & TAG_NUMBER == TAG_NUMBER {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length =
                    octets.iter().try_fold(0_usize, |sum, octet| Some(sum.checked_mul(256)? + usize::from(*octet)))?;
                let is_shortest = octets.first() != Some(&0) && length > 0x7f;
                (is_shortest.then_some(length)?, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag, value, whole })
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.read().filter(|element| element.tag == tag).map(|element| element.value)
    }

    /// The content of the next element where it has this tag; else it stays.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let value = ahead.expect(tag)?;
        *self = ahead;
        Some(value)
    }

    /// All elements; none where the bytes are not DER to their end.
    pub(crate) fn all(mut self) -> Option<Vec<Element<'a>>> {
        let mut elements = Vec::new();
        while !self.is_empty() {
            elements.push(self.read()?);
        }
        Some(elements)
    }
}

/// The content of bytes that are one element with this tag and nothing else.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    reader.expect(tag).filter(|_| reader.is_empty())
}

/// An object identifier in dotted form; none where it is not one, or has an arc of more than 127 bits.
pub(crate) fn dotted(oid: &[u8]) -> Option<String> {
    if oid.last()? & 0x80 != 0 {
        return None;
    }
    let mut text = String::new();
    let mut arc = 0_u128;
    for octet in oid {
        arc = arc.checked_mul(128)? | u128::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        match text.is_empty() {
            // The first two arcs are one number (X.690 section 8.19.4).
            true => {
                let root = (arc / 40).min(2);
                text = format!("{root}.{}", arc - root * 40);
            }
            false => text += &format!(".{arc}"),
        }
        arc = 0;
    }
    Some(text)
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]` and so on, primitive.
pub(crate) const CONTEXT: u8 = 0x80;
/// `[0]` and so on, constructed.
pub(crate) const CONTEXT_CONSTRUCTED: u8 = 0xa0;
const TAG_NUMBER: u8 = 0x1f;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_der_or_nothing() {
        #[rustfmt::skip]
        let rows: &[(&str, &[u8], Option<usize>)] = &[
            ("a short length", &[4, 2, 1, 1], Some(2)),
            ("nothing in it", &[4, 0], Some(0)),
            ("a length that could be shorter", &[4, 0x81, 2, 1, 1], None),
            ("a length with a zero in front", &[4, 0x82, 0, 1, 1], None),
            ("a length without an end", &[0x30, 0x80, 0, 0], None),
            ("a length of more than memory", &[4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255], None),
            ("more length than bytes", &[4, 3, 1, 1], None),
            ("a tag of two octets", &[0x1f, 0x81, 1, 0], None),
            ("nothing", &[], None),
        ];
        for (what, bytes, expected) in rows {
            assert_eq!(Reader::new(bytes).read().map(|element| element.value.len()), *expected, "{what}");
        }
    }

    #[test]
    fn object_identifiers_are_dotted() {
        #[rustfmt::skip]
        let rows: &[(&[u8], Option<&str>)] = &[
            (&[0x55, 4, 3], Some("2.5.4.3")),
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], Some("1.2.840.113549.1.1.1")),
            (&[0x27], Some("0.39")),
            (&[0x88, 0x37], Some("2.999")),
            (&[0x88], None),
            (&[], None),
            (&[0xff; 30], None),
        ];
        for (bytes, expected) in rows {
            assert_eq!(dotted(bytes).as_deref(), *expected, "{bytes:02x?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut reader = Reader::new(&bytes);
            let mut read = 0;
            while let Some(element) = reader.read() {
                read += element.whole.len();
                prop_assert!(element.whole.ends_with(element.value));
            }
            prop_assert!(read <= bytes.len());
            prop_assert_eq!(Reader::new(&bytes).all().is_some(), read == bytes.len());
            let _ = dotted(&bytes);
        }
    }
}
