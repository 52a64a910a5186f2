//! X25519 against x25519-dalek, and at the bounds of the arithmetic.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

extern crate std;

use crypto_bigint::{NonZero, U256};
use proptest::prelude::*;
use x25519_dalek::{PublicKey, StaticSecret};

use super::base::Entry;
use super::field::{LIMBS, Pair, from_bytes, to_bytes};
use super::inverse;
use super::table::BASE;
use super::{public_key, x25519};
use crate::simd::u32x4_splat;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn exchanges(scalar in any::<[u8; 32]>(), point in any::<[u8; 32]>()) {
        check_exchange(&scalar, &point);
        check_exchange(&scalar, &first_byte([0; 32], 9));
        check_public_key(&scalar);
    }

    #[test]
    fn products(a in limbs_of(3), b in limbs_of(3), c in limbs_of(2), d in limbs_of(1)) {
        check_product([&a, &c], [&b, &d]);
        check_square(&a, &c);
    }

    #[test]
    fn sums_and_exchanges(a in limbs_of(1), b in limbs_of(1), c in limbs_of(1), d in limbs_of(1), mask in any::<bool>()) {
        let (pair, other) = (Pair::new(&a, &b), Pair::new(&c, &d));
        let zip = |f: fn(i32, i32) -> i32, a: &[i32; LIMBS], b: &[i32; LIMBS]| core::array::from_fn(|i| f(a[i], b[i]));
        prop_assert_eq!(numbers(&pair), [a, b]);
        prop_assert_eq!(numbers(&pair.swapped()), [b, a]);
        prop_assert_eq!(numbers(&pair.blended(&other)), [a, d]);
        prop_assert_eq!(numbers(&pair.add(&other)), [zip(|x, y| x + y, &a, &c), zip(|x, y| x + y, &b, &d)]);
        prop_assert_eq!(numbers(&pair.sub(&other)), [zip(|x, y| x - y, &a, &c), zip(|x, y| x - y, &b, &d)]);
        let selected = pair.select(&other, u32x4_splat(if mask { u32::MAX } else { 0 }));
        prop_assert_eq!(numbers(&selected), if mask { [c, d] } else { [a, b] });
    }

    #[test]
    fn inverses(bytes in any::<[u8; 32]>()) {
        check_inverse(&bytes);
    }
}

/// Numbers at the edges, and those with few bits, which take other ways through the division steps.
#[test]
fn inverses_at_the_edges() {
    for first in 0..=0xff {
        for (rest, last) in [(0, 0), (0xff, 0x7f), (0xff, 0xff)] {
            let mut bytes = first_byte([rest; 32], first);
            bytes[31] = last;
            check_inverse(&bytes);
        }
    }
    for bit in 0..256 {
        let mut bytes = [0; 32];
        bytes[bit / 8] = 1 << (bit % 8);
        check_inverse(&bytes);
        check_inverse(&bytes.map(|byte| !byte));
    }
}

/// Limbs as large as the rule of magnitudes allows, in all signs.
#[test]
fn products_at_the_bounds() {
    for (m, n) in [(1, 1), (1, 3), (2, 3), (3, 3)] {
        for pattern in 0..16_u32 {
            let extreme = |magnitude: i32, pattern: u32| -> [i32; LIMBS] {
                core::array::from_fn(|i| {
                    let sign = if pattern >> (i % 2) & 1 == 1 { -1 } else { 1 };
                    sign * magnitude * bound(i)
                })
            };
            let (a, b) = (extreme(m, pattern), extreme(n, pattern >> 2));
            check_product([&a, &b], [&b, &a]);
        }
    }
    let largest = core::array::from_fn(|i| 3 * bound(i));
    check_square(&largest, &largest.map(|limb| -limb));
    // Columns as far from zero as they can be.
    for negative in [0_u32, 0x1ff] {
        check_product([&largest, &largest], [&signs(&largest, negative), &signs(&largest, negative ^ 0x1ff)]);
    }
    // Differences of limbs as large as they can be.
    check_square(&signs(&largest, 0x155), &signs(&largest, 0x0f));
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
    for byte in 0..=0xff {
        check_exchange(&[byte; 32], &[9; 32]);
        check_public_key(&[byte; 32]);
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
            Pair::new(&[0; LIMBS], &[0; LIMBS]).sub(&Pair::new(&from_bytes(&bytes), &[1 << 28; LIMBS])).left();
        let negative = U256::from_le_slice(&to_bytes(&minus));
        assert_eq!(negative.add_mod(&value(&from_bytes(&bytes)), &p()), U256::ZERO);
    }
    for limbs in [[1 << 29; LIMBS], [-1 << 29; LIMBS], [1 << 28; LIMBS], [-1 << 28; LIMBS], [0; LIMBS]] {
        assert_eq!(U256::from_le_slice(&to_bytes(&limbs)), value(&limbs));
    }
}

/// The table made from its definition, with affine points and the addition of Edwards' form (RFC 8032 section 5.1.4).
#[test]
fn table_is_what_it_stands_for() {
    let d = quotient(&U256::from(121_665_u32).neg_mod(&p()), &U256::from(121_666_u32));
    let base_y = quotient(&U256::from(4_u8), &U256::from(5_u8));
    // RFC 8032 section 5.1
    let base_x = U256::from_be_hex("216936d3cd6e53fec0a4e231fdd6dc5c692cc7609525a7b2c9562d608f25d51a");
    let add = |(x1, y1): (U256, U256), (x2, y2): (U256, U256)| {
        let times = |a: &U256, b: &U256| a.mul_mod(b, &p());
        let product = times(&d, &times(&times(&x1, &x2), &times(&y1, &y2)));
        let x = times(&x1, &y2).add_mod(&times(&x2, &y1), &p());
        let y = times(&y1, &y2).add_mod(&times(&x1, &x2), &p());
        let one = U256::ONE;
        (quotient(&x, &one.add_mod(&product, &p())), quotient(&y, &one.sub_mod(&product, &p())))
    };
    let mut powers = std::vec![(base_x, base_y)];
    for _ in 1..256 {
        let last = powers[powers.len() - 1];
        powers.push(add(last, last));
    }
    for (m, block) in BASE.iter().enumerate() {
        for (e, entry) in block.iter().enumerate() {
            let (x, y) = (0..3).fold(powers[16 * m + 12], |sum, j| {
                let (x, y) = powers[16 * m + 4 * j];
                add(sum, if e >> j & 1 == 1 { (x, y) } else { (x.neg_mod(&p()), y) })
            });
            let limbs = |number: U256| from_bytes(&number.to_le_bytes().into());
            let two_d = d.add_mod(&d, &p());
            let product = two_d.mul_mod(&x, &p()).mul_mod(&y, &p());
            let (sum, difference) = (y.add_mod(&x, &p()), y.sub_mod(&x, &p()));
            let expected = Entry { sum: limbs(sum), difference: limbs(difference), product: limbs(product) };
            assert_eq!(*entry, expected, "block {m}, entry {e}");
        }
    }
}

fn quotient(a: &U256, b: &U256) -> U256 {
    let inverse = U256::from_le_slice(&inverse(&b.to_le_bytes().into()));
    a.mul_mod(&inverse, &p())
}

fn check_public_key(scalar: &[u8; 32]) {
    let expected = PublicKey::from(&StaticSecret::from(*scalar));
    assert_eq!(public_key(scalar), *expected.as_bytes(), "{scalar:?}");
}

fn check_exchange(scalar: &[u8; 32], point: &[u8; 32]) {
    let shared = StaticSecret::from(*scalar).diffie_hellman(&PublicKey::from(*point));
    assert_eq!(*x25519(scalar, point), *shared.as_bytes(), "{scalar:?} {point:?}");
}

fn check_product(a: [&[i32; LIMBS]; 2], b: [&[i32; LIMBS]; 2]) {
    let product = Pair::new(a[0], a[1]).mul(&Pair::new(b[0], b[1]));
    let product = numbers(&product);
    for i in 0..2 {
        check_result(&product[i], value(a[i]).mul_mod(&value(b[i]), &p()));
    }
}

fn check_square(a: &[i32; LIMBS], b: &[i32; LIMBS]) {
    let squares = numbers(&Pair::new(a, b).square());
    for (square, root) in squares.iter().zip([a, b]) {
        check_result(square, value(root).mul_mod(&value(root), &p()));
    }
}

fn check_result(result: &[i32; LIMBS], expected: U256) {
    assert!(result.iter().enumerate().all(|(i, limb)| limb.abs() <= bound(i)), "{result:?}");
    assert_eq!(value(result), expected, "{result:?}");
}

fn check_inverse(bytes: &[u8; 32]) {
    let value = U256::from_le_slice(bytes).rem(&p());
    let inverse = U256::from_le_slice(&inverse(&value.to_le_bytes().into()));
    assert!(inverse < *p());
    let product = U256::from(u8::from(value != U256::ZERO));
    assert_eq!(value.mul_mod(&inverse, &p()), product, "{bytes:?}");
    assert_eq!(value == U256::ZERO, inverse == U256::ZERO);
}

/// Both numbers.
fn numbers(pair: &Pair) -> [[i32; LIMBS]; 2] {
    [pair.left(), pair.swapped().left()]
}

/// The limbs whose bits are set in `negative` negated.
fn signs(limbs: &[i32; LIMBS], negative: u32) -> [i32; LIMBS] {
    core::array::from_fn(|i| if negative >> i & 1 == 1 { -limbs[i] } else { limbs[i] })
}

/// How large a limb of magnitude 1 is.
fn bound(i: usize) -> i32 {
    (1 << 28) + if i == 1 { 1 << 15 } else { 0 }
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
    let fraction = prop_oneof![4 => -1.0..=1.0, 1 => Just(1.0), 1 => Just(-1.0), 1 => Just(0.0)];
    proptest::array::uniform9(fraction)
        .prop_map(move |fractions| core::array::from_fn(|i| (fractions[i] * f64::from(magnitude * bound(i))) as i32))
}

fn first_byte(mut bytes: [u8; 32], first: u8) -> [u8; 32] {
    bytes[0] = first;
    bytes
}

/// How many cases of each property.
const CASES: u32 = 300;
