//! BER (X.690 section 8) made DER, as far as PKCS#12 files need it: NSS, and others with it, write lengths that are not known
//! beforehand, and octet strings in pieces.
//!
//! What changes is how elements are put down: lengths become definite and as short as can be, and a constructed OCTET STRING
//! becomes primitive. What a primitive element holds stays as it is, and so does the order of a SET OF. A file in DER comes out as
//! it went in.
//!
//! An OCTET STRING with an implicit tag does not say that it is one. Where one is constructed, whoever knows the type joins its
//! pieces by [`joined`].

use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Tagged};
use zeroize::Zeroizing;

/// The bytes are no BER, or nest more deeply than [`DEPTH`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotBer;

/// One element in BER, with nothing behind it, as DER.
///
/// What comes out is at most one and a half times as long as what came in. It may hold keys, so it is wiped in the end.
pub(super) fn to_der(ber: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotBer> {
    // With room for all, so that it never moves and leaves a copy of a key behind.
    let mut der = Zeroizing::new(Vec::with_capacity(ber.len() + ber.len() / 2));
    match element(ber, DEPTH, &mut der)? {
        [] => Ok(der),
        _ => Err(NotBer),
    }
}

/// The content of an OCTET STRING with an implicit tag in what [`to_der`] made: as it is where it is primitive, else its pieces
/// joined.
pub(super) fn joined(content: AnyRef<'_>) -> Option<Vec<u8>> {
    if !content.tag().is_constructed() {
        return Some(content.value().to_vec());
    }
    let mut rest = content.value();
    let mut whole = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (piece, behind) = <&OctetStringRef>::from_der_partial(rest).ok()?;
        whole.extend_from_slice(piece.as_bytes());
        rest = behind;
    }
    Some(whole)
}

/// Puts the first element of `ber` into `der`, and returns what is behind it.
fn element<'a>(ber: &'a [u8], depth: usize, der: &mut Vec<u8>) -> Result<&'a [u8], NotBer> {
    let (&tag, rest) = ber.split_first().ok_or(NotBer)?;
    // No type of PKCS#12 has a tag number of more than one octet.
    if tag & TAG_NUMBER == TAG_NUMBER || tag == 0 {
        return Err(NotBer);
    }
    let is_constructed = tag & CONSTRUCTED != 0;
    let (length, rest) = length(rest)?;
    let (content, behind) = match length {
        Some(length) => rest.split_at_checked(length).map(|(content, behind)| (content, Some(behind))).ok_or(NotBer)?,
        // X.690 section 8.1.3.2 (a).
        None if !is_constructed => return Err(NotBer),
        None => (rest, None),
    };
    if !is_constructed {
        header(tag, content.len(), der)?;
        der.extend_from_slice(content);
        return behind.ok_or(NotBer);
    }

    let depth = depth.checked_sub(1).ok_or(NotBer)?;
    let start = der.len();
    let is_octets = tag == OCTET_STRING | CONSTRUCTED;
    let mut left = content;
    let behind = loop {
        match (left, behind) {
            ([], Some(behind)) => break behind,
            // The end of contents (X.690 section 8.1.5).
            ([0, 0, left @ ..], None) => break left,
            _ => {}
        }
        let piece = der.len();
        left = element(left, depth, der)?;
        if is_octets {
            // A piece is an OCTET STRING, and primitive by now; its content alone is wanted (X.690 section 8.7.3).
            let (content, _) = <&OctetStringRef>::from_der_partial(&der[piece..]).map_err(|_| NotBer)?;
            let header = der.len() - piece - content.as_bytes().len();
            der.drain(piece..piece + header);
        }
    };
    let tag = if is_octets { OCTET_STRING } else { tag };
    let length = der.len() - start;
    header(tag, length, der)?;
    // The header goes to the front.
    let header = der.len() - start - length;
    der[start..].rotate_right(header);
    Ok(behind)
}

/// The length at the start of these bytes, or none where it is indefinite, and what is behind it.
fn length(bytes: &[u8]) -> Result<(Option<usize>, &[u8]), NotBer> {
    let (&first, rest) = bytes.split_first().ok_or(NotBer)?;
    match first {
        0..=0x7f => Ok((Some(usize::from(first)), rest)),
        0x80 => Ok((None, rest)),
        0x81..=0x88 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(NotBer)?;
            let add = |sum: usize, octet: &u8| sum.checked_mul(256)?.checked_add(usize::from(*octet));
            Ok((Some(octets.iter().try_fold(0, add).ok_or(NotBer)?), rest))
        }
        _ => Err(NotBer),
    }
}

fn header(tag: u8, length: usize, der: &mut Vec<u8>) -> Result<(), NotBer> {
    der.push(tag);
    match length {
        0..=0x7f => der.push(length.to_le_bytes()[0]),
        _ => {
            let octets = length.to_be_bytes();
            let zeros = octets.iter().take_while(|octet| **octet == 0).count();
            der.push(0x80 | (octets.len() - zeros).to_le_bytes()[0]);
            der.extend_from_slice(&octets[zeros..]);
        }
    }
    // Whoever gives more than this gives no file.
    (length <= MAX_LENGTH).then_some(()).ok_or(NotBer)
}

/// How deeply elements may nest; those of a PKCS#12 file nest ten deep.
const DEPTH: usize = 32;
/// The longest content, in bytes: far above the limit of files.
const MAX_LENGTH: usize = 1 << 28;
const CONSTRUCTED: u8 = 0x20;
const TAG_NUMBER: u8 = 0x1f;
const OCTET_STRING: u8 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ber_becomes_der_or_is_none() {
        let deep = |depth: usize| [vec![[0x30, 0x80]; depth].concat(), vec![[0, 0]; depth].concat()].concat();
        type Row = (&'static str, Vec<u8>, Option<&'static [u8]>);
        #[rustfmt::skip]
        let rows: [Row; 18] = [
            ("DER", vec![0x30, 5, 4, 1, 7, 5, 0], Some(&[0x30, 5, 4, 1, 7, 5, 0])),
            ("a length without an end", vec![0x30, 0x80, 4, 1, 7, 0, 0], Some(&[0x30, 3, 4, 1, 7])),
            ("nothing in it", vec![0x30, 0x80, 0, 0], Some(&[0x30, 0])),
            ("a length that could be shorter", vec![4, 0x82, 0, 1, 7], Some(&[4, 1, 7])),
            ("octets in two pieces", vec![0x24, 0x80, 4, 1, 7, 4, 2, 8, 9, 0, 0], Some(&[4, 3, 7, 8, 9])),
            ("octets in pieces, with a length", vec![0x24, 6, 4, 1, 7, 4, 1, 8], Some(&[4, 2, 7, 8])),
            ("octets in pieces of pieces", vec![0x24, 0x80, 0x24, 0x80, 4, 1, 7, 0, 0, 4, 1, 8, 0, 0], Some(&[4, 2, 7, 8])),
            ("no octets in no pieces", vec![0x24, 0x80, 0, 0], Some(&[4, 0])),
            ("pieces under another tag", vec![0xa0, 0x80, 4, 1, 7, 0, 0], Some(&[0xa0, 3, 4, 1, 7])),
            ("pieces that are no octets", vec![0x24, 0x80, 2, 1, 7, 0, 0], None),
            ("no end", vec![0x30, 0x80, 4, 1, 7], None),
            ("half an end", vec![0x30, 0x80, 4, 1, 7, 0], None),
            ("an end that was not asked for", vec![0x30, 2, 0, 0], None),
            ("more behind it", vec![0x30, 0x80, 0, 0, 0], None),
            ("a primitive without a length", vec![4, 0x80, 0, 0], None),
            ("more length than bytes", vec![4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255], None),
            ("a tag of two octets", vec![0x1f, 0x81, 1, 0], None),
            ("nothing", vec![], None),
        ];
        for (what, ber, expected) in rows {
            assert_eq!(to_der(&ber).ok().as_deref().map(|der| &der[..]), expected, "{what}");
        }
        assert!(to_der(&deep(DEPTH)).is_ok());
        assert_eq!(to_der(&deep(DEPTH + 1)), Err(NotBer));
        assert_eq!(to_der(&deep(100_000)), Err(NotBer));
    }

    /// An element in DER, and the same one in a BER that the numbers choose.
    fn written(shape: &Shape, choices: &mut impl Iterator<Item = u8>) -> (Vec<u8>, Vec<u8>) {
        let choice = choices.next().unwrap_or_default();
        let wrap = |tag: u8, content: &[u8], is_indefinite: bool| match is_indefinite {
            true => [&[tag, 0x80], content, &[0, 0]].concat(),
            false => [&[tag, 0x83][..], &u32::to_be_bytes(content.len() as u32)[1..], content].concat(),
        };
        let canonical = |tag: u8, content: &[u8]| {
            let mut der = Vec::new();
            header(tag, content.len(), &mut der).expect("it is short");
            [der, content.to_vec()].concat()
        };
        match shape {
            Shape::Octets(octets) => {
                let ber = match choice % 3 {
                    0 => wrap(OCTET_STRING, octets, false),
                    _ => {
                        let (a, b) = octets.split_at(octets.len() / 2);
                        let pieces = [wrap(OCTET_STRING, a, false), wrap(OCTET_STRING, b, false)].concat();
                        wrap(OCTET_STRING | CONSTRUCTED, &pieces, choice % 3 == 1)
                    }
                };
                (canonical(OCTET_STRING, octets), ber)
            }
            Shape::List(list) => {
                let (der, ber): (Vec<_>, Vec<_>) = list.iter().map(|shape| written(shape, choices)).unzip();
                (canonical(0x30, &der.concat()), wrap(0x30, &ber.concat(), choice.is_multiple_of(2)))
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Shape {
        Octets(Vec<u8>),
        List(Vec<Shape>),
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let octets = proptest::collection::vec(any::<u8>(), 0..300).prop_map(Shape::Octets);
        octets.prop_recursive(6, 24, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Shape::List))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_way_to_write_it_comes_out_as_the_same_der(
            shape in shape(),
            choices in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (der, ber) = written(&shape, &mut choices.into_iter());
            prop_assert_eq!(&**to_der(&ber).expect("it is BER"), &der[..]);
            prop_assert_eq!(&**to_der(&der).expect("it is DER"), &der[..]);
        }

        #[test]
        fn any_bytes_become_der_that_stays_as_it_is(
            bytes in proptest::collection::vec(prop_oneof![Just(0x30_u8), Just(0x80), Just(0), Just(0x24), Just(4), any::<u8>()], 0..60),
        ) {
            if let Ok(der) = to_der(&bytes) {
                prop_assert!(der.len() <= bytes.len() + bytes.len() / 2);
                prop_assert_eq!(&*to_der(&der).expect("it is DER"), &*der);
            }
        }
    }
}
