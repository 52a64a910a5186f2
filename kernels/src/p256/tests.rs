//! P-256 against the `p256` crate, and at the bounds of the arithmetic.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

extern crate std;

use std::vec::Vec;

use crypto_bigint::{NonZero, U256};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use proptest::prelude::*;

use super::comb::{self, Comb};
use super::entry::{Entry, LookUp, Select, Take as _};
use super::field::FieldElement;
use super::pair::Pair;
use super::point::{Affine, sum_vartime};
use super::scalar::Scalar;
use super::{PublicKey, SecretKey, SignError, SigningKey, table};
use crate::limbs::{self, BITS, LIMBS, Limbs};

/// The products of what the rule of magnitudes allows, with every limb as large as it may be.
#[test]
fn products_at_the_bounds() {
    for (m, n) in [(1, 1), (1, 13), (2, 6), (3, 4), (4, 3), (6, 2), (13, 1), (3, 3)] {
        for pattern in 0..16 {
            let (a, b) = (extreme(m, pattern), extreme(n, pattern >> 2));
            check_field(&a, &b);
            check_scalar(&a, &b);
        }
    }
    for pattern in 0..256 {
        let [a, b, c, d] =
            [(3, 0), (3, 2), (-1, 4), (5, 6)].map(|(magnitude, shift)| extreme(magnitude, pattern >> shift));
        let [other_c, other_d] = [(1, 0), (5, 3)].map(|(magnitude, pattern)| extreme(magnitude, pattern));
        check_pair([&a, &b], [&b, &a], [&c, &other_c], [&d, &other_d]);
        check_pair([&b, &b], [&b, &a], [&other_c, &c], [&d, &d]);
    }
    let mut largest = [3 << 28; LIMBS];
    largest[LIMBS - 1] = 3 << 25;
    check_square(&largest);
    check_square(&largest.map(|limb| -limb));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn products(a in limbs_of(3), b in limbs_of(4)) {
        check_field(&a, &b);
        check_scalar(&a, &b);
        check_square(&a);
    }

    #[test]
    fn pairs(a in limbs_of(3), b in limbs_of(3), c in limbs_of(1), d in limbs_of(5), e in limbs_of(1)) {
        check_pair([&a, &b], [&b, &a], [&c, &e], [&d, &d]);
        check_pair([&b, &b], [&a, &a], [&e, &e], [&a, &d]);
    }

    #[test]
    fn inverses(bytes in any::<[u8; 32]>()) {
        let scalar = Scalar::from_bytes_reduced(&bytes);
        prop_assert!(scalar.mul(&scalar.invert()).equals(&Scalar::ONE));
        if let Some(element) = FieldElement::from_bytes(&bytes) {
            prop_assert!(element.mul(&element.invert()).equals(&FieldElement::ONE));
            let square = element.square();
            for odd in [false, true] {
                let root = square.sqrt(odd).unwrap();
                prop_assert!(root.square().equals(&square));
                prop_assert_eq!(root.to_bytes()[31] & 1 == 1, odd);
            }
            // -1 is no square, since p is 3 modulo 4: of a number and its negative one has a root.
            prop_assert!(square.negate().sqrt(true).is_none());
        }
    }

    #[test]
    fn key_pairs_and_exchange(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        check_exchange(&a, &b);
    }

    #[test]
    fn signatures(key in any::<[u8; 32]>(), nonce in any::<[u8; 32]>(), hash in any::<[u8; 32]>(), bit in 0..512_usize) {
        check_signature(&key, &nonce, &hash, bit);
    }

    #[test]
    fn any_bytes_as_a_point(bytes in proptest::collection::vec(any::<u8>(), 0..70), tag in 0..8_u8) {
        let mut bytes = bytes;
        check_point(&bytes);
        for len in [33, 65] {
            bytes.resize(len, tag);
            bytes[0] = tag;
            check_point(&bytes);
        }
    }

    #[test]
    fn any_bytes_as_a_signature(key in any::<[u8; 32]>(), hash in any::<[u8; 32]>(), r in any::<[u8; 32]>(), s in any::<[u8; 32]>()) {
        let Some(key) = SecretKey::from_bytes(&key) else { return Ok(()) };
        prop_assert!(!key.public_key().verify(&hash, &r, &s));
    }
}

/// Scalars around zero, the order and the powers of two; and those whose last additions are of equal or opposite points.
#[test]
fn scalars_at_the_edges() {
    let order = U256::from_be_hex(N);
    let mut scalars = Vec::new();
    for i in 0_u32..100 {
        scalars.extend([U256::from(i), order.wrapping_sub(&U256::from(i)), order.wrapping_add(&U256::from(i))]);
    }
    for i in 0..256 {
        let power = U256::ONE.shl_vartime(i);
        scalars.extend([power, power.wrapping_sub(&U256::ONE), order.wrapping_sub(&power)]);
    }
    let two = U256::from(2_u8).to_be_bytes().into();
    for scalar in scalars {
        check_exchange(&scalar.to_be_bytes().into(), &two);
    }
}

/// Inverses of zero, of what is near it, and of powers of two.
#[test]
fn inverses_at_the_edges() {
    assert!(FieldElement::ZERO.invert().is_zero() && Scalar::ZERO.invert().is_zero());
    let (mut element, mut scalar) = (FieldElement::ONE, Scalar::ONE);
    for _ in 0..600 {
        for element in [element, element.negate(), element.sub(&FieldElement::ONE), element.add(&FieldElement::ONE)] {
            assert!(element.is_zero() || element.mul(&element.invert()).equals(&FieldElement::ONE), "{element:?}");
        }
        for scalar in [scalar, Scalar::ZERO.sub(&scalar), scalar.sub(&Scalar::ONE), scalar.add(&Scalar::ONE)] {
            assert!(scalar.is_zero() || scalar.mul(&scalar.invert()).equals(&Scalar::ONE), "{scalar:?}");
        }
        element = element.double().mul(&FieldElement::ONE);
        scalar = scalar.add(&scalar).mul(&Scalar::ONE);
    }
}

/// Every digit selects what is looked up for it, and the upper half of the digits the entries themselves.
#[test]
fn selections() {
    let block = &table::BASE[1];
    for digit in 0..128 {
        let [selected, looked_up] = [Select::take(block, digit), LookUp::take(block, digit)].map(|selected| {
            let point = selected.to_affine();
            (*point.x.raw(), *point.y.raw())
        });
        assert_eq!(selected, looked_up, "{digit}");
        let index = if digit < 64 { 63 - digit } else { digit - 64 };
        let (x, y) = selected;
        let stored = Entry::new(&Affine { x: FieldElement::from_raw(x), y: FieldElement::from_raw(y) });
        assert_eq!(stored == block[index as usize], digit >= 64, "{digit}");
        assert_eq!(stored.0[..8], block[index as usize].0[..8], "{digit}");
    }
}

/// Every way to multiply gives the same, also where its additions are exceptional, and zero gives infinity.
#[test]
fn all_multiplications_agree() {
    let base = SecretKey::from_bytes(&[7; 32]).unwrap().public_key().0;
    let table = comb::table(&base);
    let comb = Comb::new(&base, &table);
    let all = |scalar: &Scalar| {
        [base.mul(scalar), base.mul_vartime(scalar), comb.mul(scalar), comb.mul_vartime(scalar)]
            .map(|point| point.map(|point| PublicKey(point.to_affine()).to_uncompressed()))
    };
    assert_eq!(all(&Scalar::ZERO), [None; 4]);
    let mut sum = None;
    let step = base.mul(&Scalar::ONE).unwrap();
    let mut scalar = Scalar::ZERO;
    for i in 0..200 {
        let expected = sum.map(|point: super::point::Point| PublicKey(point.to_affine()).to_uncompressed());
        assert_eq!(all(&scalar), [expected; 4], "{i}");
        let negative = Scalar::from_bytes_reduced(&Scalar::ZERO.sub(&scalar).to_bytes());
        let negated = expected.map(|mut bytes| {
            let y = FieldElement::from_bytes(bytes[33..].try_into().unwrap()).unwrap().negate();
            bytes[33..].copy_from_slice(&y.to_bytes());
            bytes
        });
        assert_eq!(all(&negative), [negated; 4], "-{i}");
        sum = match sum {
            Some(sum) => sum_vartime(Some(sum), Some(step)),
            None => Some(step),
        };
        scalar = Scalar::from_bytes_reduced(&scalar.add(&Scalar::ONE).to_bytes());
    }
}

/// Sums of a point with itself, with its negative, and with others.
#[test]
fn additions_with_all_cases() {
    let point = |scalar: i8| {
        let mut bytes = [0; 32];
        bytes[31] = scalar.unsigned_abs();
        let scalar = Scalar::from_bytes(&bytes).map(|number| match bytes[31] as i8 == scalar {
            true => number,
            false => Scalar::ZERO.sub(&number),
        });
        scalar.and_then(|scalar| Affine::GENERATOR.mul(&scalar))
    };
    let bytes = |point: Option<super::point::Point>| point.map(|point| PublicKey(point.to_affine()).to_uncompressed());
    for a in -3..=3 {
        for b in -3..=3 {
            assert_eq!(bytes(sum_vartime(point(a), point(b))), bytes(point(a + b)), "{a} + {b}");
        }
    }
}

/// The base point's table is what its method makes.
#[test]
fn the_table() {
    assert!(comb::table(&Affine::GENERATOR) == table::BASE);
    assert!(Affine::new(Affine::GENERATOR.x, Affine::GENERATOR.y).is_some());
}

/// The bounds of values that the head of `point.rs` gives hold after any sequence of operations: each formula is followed
/// with what its numbers may be at most, as multiples of p.
#[test]
fn values_stay_small() {
    let product = |m: f64, n: f64| m * n / 32.0 + 0.5;
    let square = |m| product(m, m);
    // What doubling and the two additions make of bounds, and the largest factor in them.
    let double = |[x, y, z]: [f64; 3]| {
        let (delta, gamma) = (square(z), square(y));
        let (four_beta, alpha) = (product(4.0 * gamma, x), 3.0 * square(x + delta));
        let x3 = square(alpha) + 2.0 * four_beta;
        let y3 = product(alpha, four_beta + x3) + 2.0 * square(2.0 * gamma);
        ([x3, y3, 2.0 * product(y, z)], alpha.max(four_beta + x3).max(4.0 * gamma).max(x + delta))
    };
    let add_of = |u: f64, s: f64, h: f64, r: f64, z: f64| {
        let hh = square(h);
        let (hhh, v) = (product(hh, h), product(hh, u));
        let x = square(r) + hhh + 2.0 * v;
        ([x, product(v + x, r) + product(hhh, s), product(h, z)], h.max(r).max(v + x))
    };
    let add_affine = |[x, y, z]: [f64; 3]| {
        let zz = square(z);
        add_of(x, y, product(1.0, zz) + x, product(product(z, 1.0), zz) + y, z)
    };
    let add = |[x, y, z]: [f64; 3]| {
        let (u, s) = (product(x, square(z)), product(y, product(square(z), z)));
        add_of(u, s, 2.0 * u, 2.0 * s, square(z))
    };
    let mut bounds = [1.0_f64; 3];
    for _ in 0..100 {
        for (result, factor) in [double(bounds), add_affine(bounds), add(bounds)] {
            assert!(factor < 3.0, "{factor}");
            bounds = core::array::from_fn(|i| bounds[i].max(result[i]));
        }
    }
    assert!(bounds.iter().zip([2.4, 1.8, 1.2]).all(|(bound, limit)| *bound < limit), "{bounds:?}");
}

/// The same for the coordinates of `comb.rs`.
#[test]
fn values_of_sums_stay_small() {
    let product = |m: f64, n: f64| m * n / 32.0 + 0.5;
    let product_less = |m: f64, n: f64, k: f64, l: f64| (m * n + k * l) / 32.0 + 0.5;
    let double = |[x, y, zz, zzz]: [f64; 4]| {
        let v = product(2.0 * y, 2.0 * y);
        let (w, s, m) = (product(2.0 * y, v), product(x, v), 3.0 * product(x + zz, x + zz));
        let x3 = product(m, m) + 2.0 * s;
        ([x3, product_less(m, s + x3, w, y), product(v, zz), product(w, zzz)], m.max(s + x3))
    };
    let add = |[x, y, zz, zzz]: [f64; 4]| {
        let (p, r) = (product(1.0, zz) + x, product(1.0, zzz) + y);
        let pp = product(p, p);
        let (ppp, q) = (product(p, pp), product(x, pp));
        let x3 = product(r, r) + ppp + 2.0 * q;
        ([x3, product_less(r, q + x3, y, ppp), product(zz, pp), product(zzz, ppp)], p.max(r).max(q + x3))
    };
    let mut bounds = [1.0_f64; 4];
    for _ in 0..100 {
        for (result, factor) in [double(bounds), add(bounds)] {
            assert!(factor < 3.0, "{factor}");
            bounds = core::array::from_fn(|i| bounds[i].max(result[i]));
        }
    }
    assert!(bounds.iter().zip([2.4, 1.0, 1.0, 1.0]).all(|(bound, limit)| *bound <= limit), "{bounds:?}");
}

/// A nonce that makes no signature is told apart from a fault, and a key that was damaged in memory gives no signature.
#[test]
fn what_cannot_be_signed() {
    let key = SigningKey::new(SecretKey::from_bytes(&[1; 32]).unwrap());
    let order = U256::from_be_hex(N).to_be_bytes().into();
    for nonce in [[0; 32], order, [0xff; 32]] {
        assert_eq!(key.sign(&[2; 32], &nonce), Err(SignError::Nonce));
    }
    assert!(key.sign(&[2; 32], &[3; 32]).is_ok());

    let mut damaged = SigningKey::new(SecretKey::from_bytes(&[1; 32]).unwrap());
    damaged.secret.0 = damaged.secret.0.add(&Scalar::ONE);
    assert_eq!(damaged.sign(&[2; 32], &[3; 32]), Err(SignError::Fault));

    let mut damaged = SigningKey::new(SecretKey::from_bytes(&[1; 32]).unwrap());
    for entry in damaged.table.as_flattened_mut() {
        entry.0[0] ^= 1;
    }
    assert_eq!(damaged.sign(&[2; 32], &[3; 32]), Err(SignError::Fault));
}

/// r is compared modulo n: an x from n up to p is r + n (with a hash and a key made for it).
#[test]
fn an_x_above_the_order() {
    // x = n + r for the smallest r that is on the curve; u1 = u2 = 1 gives Q = R - G, with s = r and the hash r as well.
    let order = U256::from_be_hex(N);
    let (r, point) = (1_u32..)
        .find_map(|r| {
            let x = FieldElement::from_bytes(&order.wrapping_add(&U256::from(r)).to_be_bytes().into()).unwrap();
            Some((r, Affine::decompress(x, false)?))
        })
        .unwrap();
    let minus_base = Affine::GENERATOR.mul(&Scalar::ZERO.sub(&Scalar::ONE)).unwrap();
    let key = sum_vartime(Some(point.into()), Some(minus_base)).unwrap();
    let r: [u8; 32] = U256::from(r).to_be_bytes().into();
    assert!(PublicKey(key.to_affine()).verify(&r, &r, &r));
    assert!(!PublicKey(key.to_affine()).verify(&r, &order.to_be_bytes().into(), &r));
}

/// A number whose limbs are all as large as the magnitude allows, with signs by turns.
fn extreme(magnitude: i64, pattern: u32) -> Limbs {
    core::array::from_fn(|i| {
        let sign = if pattern >> (i % 2) & 1 == 1 { -1 } else { 1 };
        // The last limb is as large as twice the magnitude times p makes it.
        sign * (magnitude << if i == LIMBS - 1 { 25 } else { 28 })
    })
}

/// All that pairs can do, against the same on single numbers. The magnitudes of a, b, c and d are at most 3, 3, 1 and 5.
fn check_pair(a: [&Limbs; 2], b: [&Limbs; 2], c: [&Limbs; 2], d: [&Limbs; 2]) {
    let [of_a, of_b, of_c, of_d] = [a, b, c, d].map(Pair::from_raw);
    let products =
        [of_a.mul(&of_b), of_c.mul(&of_d), of_a.mul_sub(&of_b, &of_c, &of_d), of_a.square(), of_a.square_add(&of_d)];
    let products = products.map(|pair| pair.lanes());
    let sums = [of_c.add(&of_c), of_c.sub(&of_d)].map(|pair| pair.lanes());
    for lane in 0..2 {
        let [a, b, c, d] = [a, b, c, d].map(|pair| FieldElement::from_raw(*pair[lane]));
        let (ab, cd) = (a.mul(&b), c.mul(&d));
        let expected = [ab, cd, ab.sub(&cd), a.square(), a.square().add(&d)];
        for (product, expected) in products.iter().zip(expected) {
            assert_eq!(limbs::magnitude(product[lane].raw()), 1, "{product:?}");
            assert!(product[lane].equals(&expected), "{product:?}");
        }
        assert_eq!(sums.map(|sum| *sum[lane].raw()), [c.double(), c.sub(&d)].map(|sum| *sum.raw()));
    }
}

fn check_field(a: &Limbs, b: &Limbs) {
    let (a, b) = (FieldElement::from_raw(*a), FieldElement::from_raw(*b));
    let product = a.mul(&b);
    assert!(limbs::magnitude(product.raw()) == 1, "{product:?}");
    check_montgomery(P, a.raw(), b.raw(), product.raw());
}

fn check_square(a: &Limbs) {
    let a = FieldElement::from_raw(*a);
    let square = a.square();
    assert!(limbs::magnitude(square.raw()) == 1, "{square:?}");
    check_montgomery(P, a.raw(), a.raw(), square.raw());
}

fn check_scalar(a: &Limbs, b: &Limbs) {
    let product = Scalar::from_raw(*a).mul(&Scalar::from_raw(*b));
    check_montgomery(N, a, b, &product.raw());
    // And out of Montgomery's form.
    let expected = modulo(N, &product.raw());
    let back = mul(N, &U256::from_be_slice(&product.to_bytes()), &power(N, 261));
    assert_eq!(back, expected);
}

/// `product * 2^261` is `a * b`.
fn check_montgomery(modulus: &str, a: &Limbs, b: &Limbs, product: &Limbs) {
    let expected = mul(modulus, &modulo(modulus, a), &modulo(modulus, b));
    assert_eq!(mul(modulus, &modulo(modulus, product), &power(modulus, 261)), expected, "{a:?} {b:?}");
}

fn modulo(modulus: &str, limbs: &Limbs) -> U256 {
    let non_zero = NonZero::new(U256::from_be_hex(modulus)).unwrap();
    limbs.iter().rev().fold(U256::ZERO, |value, limb| {
        let shifted = mul(modulus, &value, &U256::from(1_u64 << BITS));
        let limb_size = U256::from(limb.unsigned_abs());
        let limb = if *limb < 0 { limb_size.neg_mod(&non_zero) } else { limb_size };
        shifted.add_mod(&limb, &non_zero)
    })
}

fn power(modulus: &str, exponent: u32) -> U256 {
    (0..exponent).fold(U256::ONE, |value, _| mul(modulus, &value, &U256::from(2_u8)))
}

fn mul(modulus: &str, a: &U256, b: &U256) -> U256 {
    a.mul_mod(b, &NonZero::new(U256::from_be_hex(modulus)).unwrap())
}

fn check_exchange(a: &[u8; 32], b: &[u8; 32]) {
    let theirs = (p256::SecretKey::from_slice(a), p256::SecretKey::from_slice(b));
    let (ours_a, ours_b) = (SecretKey::from_bytes(a), SecretKey::from_bytes(b));
    assert_eq!(ours_a.is_some(), theirs.0.is_ok(), "{a:?}");
    let ((Some(ours_a), Some(ours_b)), (Ok(theirs_a), Ok(theirs_b))) = ((ours_a, ours_b), theirs) else { return };
    assert_eq!(*ours_a.to_bytes(), *a);
    let public = ours_a.public_key().to_uncompressed();
    assert_eq!(public[..], theirs_a.public_key().to_sec1_point(false).as_bytes()[..], "{a:?}");
    let shared = theirs_b.diffie_hellman(&theirs_a.public_key());
    let peer = PublicKey::from_sec1(&public).unwrap();
    assert_eq!(ours_b.diffie_hellman(&peer)[..], shared.raw_secret_bytes()[..], "{a:?} {b:?}");
    assert_eq!(ours_a.diffie_hellman(&ours_b.public_key())[..], shared.raw_secret_bytes()[..], "{a:?} {b:?}");
}

fn check_signature(key: &[u8; 32], nonce: &[u8; 32], hash: &[u8; 32], bit: usize) {
    let (Some(secret), Ok(theirs)) = (SecretKey::from_bytes(key), p256::SecretKey::from_slice(key)) else { return };
    let key = SigningKey::new(secret);
    let [r, s] = match key.sign(hash, nonce) {
        Ok(signature) => signature,
        Err(error) => return assert_eq!((error, Scalar::from_bytes(nonce).is_none()), (SignError::Nonce, true)),
    };
    let theirs = p256::ecdsa::VerifyingKey::from(theirs.public_key());
    let signature = p256::ecdsa::Signature::from_scalars(r, s).unwrap();
    theirs.verify_prehash(hash, &signature).unwrap();
    assert!(key.public_key().verify(hash, &r, &s));

    let mut both = [r, s];
    both[bit / 256][bit % 256 / 8] ^= 1 << (bit % 8);
    assert!(!key.public_key().verify(hash, &both[0], &both[1]));
    let mut other = *hash;
    other[bit % 256 / 8] ^= 1 << (bit % 8);
    assert!(!key.public_key().verify(&other, &r, &s));
}

fn check_point(bytes: &[u8]) {
    let ours = PublicKey::from_sec1(bytes).map(|key| key.to_uncompressed());
    // Two of SEC 1's forms that the crate takes and RFC 5480 has not: hybrid and compact.
    let ours_too = !matches!(bytes.first(), Some(5..=7));
    let theirs = p256::PublicKey::from_sec1_bytes(bytes).ok().filter(|_| ours_too);
    let theirs = theirs.map(|key| key.to_sec1_point(false));
    assert_eq!(ours.as_ref().map(|key| &key[..]), theirs.as_ref().map(|key| key.as_bytes()));
}

/// Any number whose limbs have this magnitude, and whose value is twice that times p at most.
fn limbs_of(magnitude: i64) -> impl Strategy<Value = Limbs> {
    let limb = |bound: i64| prop_oneof![4 => -bound..=bound, 1 => Just(bound), 1 => Just(-bound), 1 => Just(0)];
    (proptest::array::uniform8(limb(magnitude << 28)), limb(magnitude << 25)).prop_map(|(low, last)| {
        let mut limbs = [last; LIMBS];
        limbs[..LIMBS - 1].copy_from_slice(&low);
        limbs
    })
}

/// How many cases of each property.
const CASES: u32 = 300;

const P: &str = "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF";
const N: &str = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
