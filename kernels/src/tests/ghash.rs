//! GHASH against RustCrypto's and against its definition, with inputs at the extremes.

use std::vec;
use std::vec::Vec;

use ::ghash::GHash;
use ::ghash::universal_hash::UniversalHash;
use proptest::prelude::*;

use super::bytes;
use crate::ghash::{Factor, Ghash, Products, multiply_low};

/// Keys and texts of ones, zeros and single bits, in all lengths around the groups.
#[test]
fn extremes() {
    for h in [0, 1, 1 << 127, 1 << 63, 1 << 64, u128::MAX, u128::MAX >> 1, u128::MAX << 1] {
        for blocks in (0..=50).chain([255, 256, 257]) {
            for block in [0, 1, 1 << 127, u128::MAX, 0xf0f0 << 60] {
                check(h, &[], &block.to_be_bytes().repeat(blocks));
            }
        }
    }
}

#[test]
fn additional_data_and_text_of_every_length() {
    let h = u128::from_be_bytes(super::array(3));
    for aad in (0..=40).chain(200..=300) {
        for text in (0..=20).chain(200..=300) {
            check(h, &bytes(1, aad), &bytes(2, text));
        }
    }
}

/// The lower half of a product where all columns are full, and where one bit is set.
#[test]
fn lower_halves_of_products() {
    let numbers = [0, 1, u64::MAX, 1 << 63, 0x1111_1111_1111_1111, 0x8888_8888_8888_8888, 0x7fff_ffff_ffff_ffff];
    for a in numbers {
        for b in numbers.into_iter().chain((0..64).map(|bit| 1 << bit)) {
            let expected = (0..64).filter(|bit| b >> bit & 1 == 1).fold(0, |sum, bit| sum ^ a << bit);
            assert_eq!(multiply_low(a, b), expected, "{a:#x} times {b:#x}");
        }
    }
}

#[test]
fn texts_of_every_length_and_alignment() {
    let h = u128::from_be_bytes(super::array(4));
    super::at_every_length_and_alignment(|text| check(h, &[], text));
}

proptest! {
    #[test]
    fn any_product(a: u128, b: u128) {
        let mut products = Products::default();
        products.add(a, &Factor::new(b));
        prop_assert_eq!(products.reduced(), product(a, b));
    }
}

/// SP 800-38D section 6.3, algorithm 1.
fn product(a: u128, b: u128) -> u128 {
    let mut shifted = b;
    let mut sum = 0;
    for bit in (0..128).rev() {
        if a >> bit & 1 == 1 {
            sum ^= shifted;
        }
        shifted = if shifted & 1 == 1 { shifted >> 1 ^ 0xe1 << 120 } else { shifted >> 1 };
    }
    sum
}

fn check(h: u128, aad: &[u8], text: &[u8]) {
    let h = h.to_be_bytes();
    let mut other = GHash::new(&h.into());
    other.update_padded(aad);
    other.update_padded(text);
    let lengths: Vec<u8> = [aad, text].into_iter().flat_map(|part| (part.len() as u64 * 8).to_be_bytes()).collect();
    other.update_padded(&lengths);
    let what = vec![aad.len(), text.len()];
    assert_eq!(Ghash::new(&h).hash(aad, text)[..], other.finalize()[..], "h {h:x?}, lengths {what:?}");
}
