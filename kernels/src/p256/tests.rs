//! P-256 against the `p256` crate, and at the bounds of the arithmetic.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

extern crate std;

use std::vec::Vec;

use crypto_bigint::{NonZero, U256};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use proptest::prelude::*;

use super::field::FieldElement;
use super::limbs::{self, BITS, LIMBS, Limbs};
use super::point::{Affine, Comb, comb_blocks};
use super::scalar::Scalar;
use super::{PublicKey, SecretKey, SignError, SigningKey, table};

/// The products of what the rule of magnitudes allows, with every limb as large as it may be.
#[test]
fn products_at_the_bounds() {
    for (m, n) in [(1, 1), (1, 13), (2, 6), (3, 4), (4, 3), (6, 2), (13, 1), (3, 3)] {
        for pattern in 0..16 {
            let extreme = |magnitude: i64, pattern: u32| -> Limbs {
                core::array::from_fn(|i| {
                    let sign = if pattern >> (i % 2) & 1 == 1 { -1 } else { 1 };
                    // The last limb is as large as twice the magnitude times p makes it.
                    sign * (magnitude << if i == LIMBS - 1 { 25 } else { 28 })
                })
            };
            let (a, b) = (extreme(m, pattern), extreme(n, pattern >> 2));
            check_field(&a, &b);
            check_scalar(&a, &b);
        }
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

/// Every way to multiply gives the same, also where its additions are exceptional, and zero gives infinity.
#[test]
fn all_multiplications_agree() {
    let base = SecretKey::from_bytes(&[7; 32]).unwrap().public_key().0;
    let blocks = comb_blocks::<4>(&base);
    let comb = Comb::new(&base, &blocks);
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
            Some(sum) => sum.add_vartime(&step),
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
            assert_eq!(bytes(super::sum(point(a), point(b))), bytes(point(a + b)), "{a} + {b}");
        }
    }
}

/// The base point's table is what its method makes.
#[test]
fn the_table() {
    assert!(comb_blocks::<13>(&Affine::GENERATOR) == table::BASE);
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
    let key = super::point::Point::from(point).add_vartime(&minus_base).unwrap();
    let r: [u8; 32] = U256::from(r).to_be_bytes().into();
    assert!(PublicKey(key.to_affine()).verify(&r, &r, &r));
    assert!(!PublicKey(key.to_affine()).verify(&r, &order.to_be_bytes().into(), &r));
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
