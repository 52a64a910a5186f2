//! Poly1305 against RustCrypto's, with inputs that drive its limbs to their extremes.

use std::format;
use std::vec::Vec;

use ::poly1305::Poly1305;
use ::poly1305::universal_hash::KeyInit;

use super::bytes;
use crate::poly1305::{Multiplier, Number, Wide, tag};
use crate::simd::{u32x4_extract_lane, u32x4_splat, u64x2_extract_lane};

/// Keys and texts of ones, zeros, single bits and limbs, in all lengths around the groups.
#[test]
fn extremes() {
    let clamped = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
    let limbs = [0, 26, 52, 78, 104].map(|at| 0x03ff_ffff_u128 << at);
    for r in [0u128, 1, 2, 4, clamped, u128::MAX, 1 << 123].into_iter().chain(limbs) {
        for s in [0, 1, u128::MAX, 1 << 127] {
            for blocks in (0..=40).chain([63, 64, 65, 128]) {
                for block in [0, 1, u128::MAX, u128::MAX - 1, 1 << 127].into_iter().chain(limbs) {
                    check(r, s, &[], &block.to_le_bytes().repeat(blocks));
                }
            }
        }
    }
}

/// With r = 1 the polynomial is the sum of the blocks: around the prime 2^130 - 5, and around 2^130.
#[test]
fn sums_around_the_prime() {
    for over in -20..=20 {
        // Three blocks, of which the last one holds the lengths: 3 × 2^128 + first + second + lengths.
        let lengths = 32u128 << 64;
        for second in [0, 1, u128::MAX / 3, u128::MAX - lengths - 40] {
            let first = (u128::MAX - 4).wrapping_sub(lengths).wrapping_sub(second).wrapping_add_signed(over);
            check(1, 0, &[], &[first.to_le_bytes(), second.to_le_bytes()].concat());
            check(1, u128::MAX, &[], &[first.to_le_bytes(), second.to_le_bytes()].concat());
        }
    }
}

/// The bounds in the kernel's header: four products of the largest limbs fit their columns, and what is carried is
/// small again.
#[test]
fn bounds_of_products() {
    let (largest_sum, largest_factor) = ((1u32 << 27) + (1 << 10), (1u32 << 26) + (1 << 10));
    let (sum, factor) = ([u32x4_splat(largest_sum); 5], Number([largest_factor; 5]));
    let factor = Multiplier::new([&factor; 4]);
    let wide = Wide::product(&sum, &factor).plus_product(&sum, &factor);
    for (at, column) in wide.columns().into_iter().enumerate() {
        let terms = (at + 1) as u128 + 5 * (4 - at) as u128;
        let expected = 4 * terms * u128::from(largest_sum) * u128::from(largest_factor);
        assert!(expected < 1 << 60, "column {at}");
        assert_eq!(u128::from(u64x2_extract_lane::<0>(column)), expected, "column {at}");
        assert_eq!(u128::from(u64x2_extract_lane::<1>(column)), expected, "column {at}");
    }
    for (at, limb) in wide.carried().into_iter().enumerate() {
        let bound = if at == 1 || at == 4 { largest_factor } else { 1 << 26 };
        assert_eq!(u32x4_extract_lane::<0>(limb) | u32x4_extract_lane::<1>(limb), 0, "limb {at}");
        assert!(u32x4_extract_lane::<2>(limb) < bound, "limb {at}");
        assert!(u32x4_extract_lane::<3>(limb) < bound, "limb {at}");
    }
}

#[test]
fn additional_data_and_text_of_every_length() {
    for aad in 0..=70 {
        for text in 0..=270 {
            check(u128::MAX, u128::MAX, &bytes(1, aad), &bytes(2, text));
        }
    }
}

#[test]
fn texts_of_every_length_and_alignment() {
    super::at_every_length_and_alignment(|text| check(u128::MAX, u128::MAX, &[], text));
}

fn check(r: u128, s: u128, aad: &[u8], text: &[u8]) {
    let key: [u8; 32] = [r.to_le_bytes(), s.to_le_bytes()].concat().try_into().unwrap();
    let mut message = Vec::new();
    for part in [aad, text] {
        message.extend_from_slice(part);
        message.resize(message.len().next_multiple_of(16), 0);
    }
    message.extend_from_slice(&(aad.len() as u64).to_le_bytes());
    message.extend_from_slice(&(text.len() as u64).to_le_bytes());
    let expected = Poly1305::new(&key.into()).compute_unpadded(&message);
    let what = || format!("r {r:#x}, s {s:#x}, {} bytes, {} bytes from {:?}", aad.len(), text.len(), text.first());
    assert_eq!(tag(&key, aad, text)[..], expected[..], "{}", what());
}
