//! X25519 against x25519-dalek, and at the bounds of the arithmetic.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

extern crate std;

use crypto_bigint::{NonZero, U256};
use proptest::prelude::*;
use x25519_dalek::{PublicKey, StaticSecret};

use super::field::{LIMBS, Pair, from_bytes, to_bytes};
use super::x25519;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn exchanges(scalar in any::<[u8; 32]>(), point in any::<[u8; 32]>()) {
        check_exchange(&scalar, &point);
        check_exchange(&scalar, &first_byte([0; 32], 9));
    }

    #[test]
    fn products(a in limbs_of(3), b in limbs_of(4), c in limbs_of(2), d in limbs_of(6)) {
        check_product([&a, &c], [&b, &d]);
        check_square(&a, &c);
    }

    #[test]
    fn inverses(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        let pair = Pair::new(&from_bytes(&a), &from_bytes(&b));
        for (bytes, lane) in [a, b].iter().zip(pair.mul(&pair.invert()).lanes()) {
            let one = u8::from(value(&from_bytes(bytes)) != U256::ZERO);
            prop_assert_eq!(to_bytes(&lane), first_byte([0; 32], one));
        }
    }
}

/// Limbs as large as the rule of magnitudes allows, in all signs.
#[test]
fn products_at_the_bounds() {
    for (m, n) in [(1, 1), (1, 12), (2, 6), (3, 4), (4, 3), (7, 1)] {
        for pattern in 0..16_u32 {
            let extreme = |magnitude: i32, pattern: u32| -> [i32; LIMBS] {
                core::array::from_fn(|i| {
                    let sign = if pattern >> (i % 2) & 1 == 1 { -1 } else { 1 };
                    // 7 * 2^28 is the largest that fits into the 32 bits of a limb.
                    sign * (magnitude.min(7) << 28)
                })
            };
            let (a, b) = (extreme(m, pattern), extreme(n, pattern >> 2));
            check_product([&a, &b], [&b, &a]);
        }
    }
    let largest = [3 << 28; LIMBS];
    check_square(&largest, &largest.map(|limb| -limb));
}

/// Points of small order, and those that are p or above and so stand for another number.
#[test]
fn points_at_the_edges() {
    let mut top = [0xff; 32];
    for highest in [0x7f, 0xff] {
        top[31] = highest;
        for first in 0xda..=0xff {
            check_exchange(&[7; 32], &first_byte(top, first));
        }
        for first in 0..20 {
            let mut point = first_byte([0; 32], first);
            point[31] |= highest & 0x80;
            check_exchange(&[7; 32], &point);
        }
    }
    for scalar in [[0; 32], [0xff; 32], [0x55; 32], [0xaa; 32]] {
        check_exchange(&scalar, &[9; 32]);
    }
    for zero in [[0; 32], first_byte([0; 32], 1), first_byte([0xff; 32], 0xec), first_byte([0xff; 32], 0xed)] {
        assert_eq!(*x25519(&[7; 32], &zero), [0; 32]);
    }
}

/// Numbers around p are written below p.
#[test]
fn numbers_are_written_below_p() {
    for first in 0xe0..=0xff_u8 {
        let mut bytes = first_byte([0xff; 32], first);
        bytes[31] = 0x7f;
        let expected = if first < 0xed { bytes } else { first_byte([0; 32], first - 0xed) };
        assert_eq!(to_bytes(&from_bytes(&bytes)), expected);
        // The number below zero that is the same, and limbs at their bounds.
        let minus: [i32; LIMBS] =
            Pair::new(&[0; LIMBS], &[0; LIMBS]).sub(&Pair::new(&from_bytes(&bytes), &[1 << 28; LIMBS])).lanes()[0];
        let negative = U256::from_le_slice(&to_bytes(&minus));
        assert_eq!(negative.add_mod(&value(&from_bytes(&bytes)), &p()), U256::ZERO);
    }
    for limbs in [[1 << 28; LIMBS], [-1 << 28; LIMBS], [0; LIMBS]] {
        assert_eq!(U256::from_le_slice(&to_bytes(&limbs)), value(&limbs));
    }
}

fn check_exchange(scalar: &[u8; 32], point: &[u8; 32]) {
    let shared = StaticSecret::from(*scalar).diffie_hellman(&PublicKey::from(*point));
    assert_eq!(*x25519(scalar, point), *shared.as_bytes(), "{scalar:?} {point:?}");
}

fn check_product(a: [&[i32; LIMBS]; 2], b: [&[i32; LIMBS]; 2]) {
    let product = Pair::new(a[0], a[1]).mul(&Pair::new(b[0], b[1])).lanes();
    for i in 0..2 {
        check_result(&product[i], value(a[i]).mul_mod(&value(b[i]), &p()));
    }
}

fn check_square(a: &[i32; LIMBS], b: &[i32; LIMBS]) {
    let squares = Pair::new(a, b).square().lanes();
    for (square, root) in squares.iter().zip([a, b]) {
        check_result(square, value(root).mul_mod(&value(root), &p()));
    }
}

fn check_result(result: &[i32; LIMBS], expected: U256) {
    let bound = |i| (1 << 28) + if i == 1 { 1 << 17 } else { 0 };
    assert!(result.iter().enumerate().all(|(i, limb)| limb.abs() <= bound(i)), "{result:?}");
    assert_eq!(value(result), expected, "{result:?}");
}

/// The number modulo p.
fn value(limbs: &[i32; LIMBS]) -> U256 {
    limbs.iter().rev().fold(U256::ZERO, |value, limb| {
        let size = U256::from(limb.unsigned_abs());
        let limb = if *limb < 0 { size.neg_mod(&p()) } else { size };
        value.mul_mod(&U256::from(1_u32 << 29), &p()).add_mod(&limb, &p())
    })
}

fn p() -> NonZero<U256> {
    NonZero::new(U256::MAX.shr_vartime(1).wrapping_sub(&U256::from(18_u8))).unwrap()
}

fn limbs_of(magnitude: i32) -> impl Strategy<Value = [i32; LIMBS]> {
    let bound = magnitude << 28;
    proptest::array::uniform9(prop_oneof![4 => -bound..=bound, 1 => Just(bound), 1 => Just(-bound), 1 => Just(0)])
}

fn first_byte(mut bytes: [u8; 32], first: u8) -> [u8; 32] {
    bytes[0] = first;
    bytes
}

/// How many cases of each property.
const CASES: u32 = 300;
