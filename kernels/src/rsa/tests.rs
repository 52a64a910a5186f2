//! RSA against crypto-bigint, at the bounds of the arithmetic, and with faults.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

extern crate std;

use std::vec;
use std::vec::Vec;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd, Resize as _};
use proptest::prelude::*;

use super::{Parts, PrivateKey, PrivateKeyError, PublicKey};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Any odd modulus of any length, any number below it.
    #[test]
    fn public_operations(modulus in proptest::collection::vec(any::<u8>(), 1..300), input in any::<u64>(), exponent in 1..1000_u64) {
        check_public(modulus, input, 2 * exponent + 1);
    }

    #[test]
    fn any_bytes_as_a_key(modulus in proptest::collection::vec(any::<u8>(), 0..40), exponent in any::<u64>(), input in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Some(key) = PublicKey::new(&modulus, exponent) {
            let result = key.apply(&input);
            prop_assert!(result.is_none_or(|bytes| bytes.len() == key.len() && input.len() == key.len()));
        }
        let parts = Parts { modulus: &modulus, exponent, p: &input, q: &modulus, d_p: &input, d_q: &modulus, q_inverse: &input };
        if let Some(key) = PrivateKey::new(&parts) {
            let blinding = key.blinding(&[7; 60]);
            prop_assert!(blinding.is_none() || key.public_key().len() <= 40);
        }
    }
}

/// Moduli all of ones, or nearly a power of two, at every length of interest: the columns are as full as they can be.
#[test]
fn moduli_at_the_bounds() {
    for len in [1, 2, 3, 7, 13, 14, 15, 127, 128, 129, 255, 256, 257, 384, 512, 1024] {
        for (first, rest, last) in [(0xff, 0xff, 0xff), (0x80, 0, 1), (1, 0, 1), (0xff, 0, 0xff), (0x7f, 0xff, 0xff)] {
            let mut modulus = vec![rest; len];
            modulus[0] = first;
            modulus[len - 1] = last | 1;
            for input in [0, 1, 2, u64::MAX] {
                check_public(modulus.clone(), input, 65537);
            }
        }
    }
}

/// What is no key.
#[test]
fn keys_that_are_refused() {
    for (modulus, exponent) in [
        (&[][..], 3),
        (&[0], 3),
        (&[1], 3),
        (&[0, 1], 3),
        (&[0x80, 0], 3),
        (&[0x80, 1], 0),
        (&[0x80, 1], 1),
        (&[0x80, 1], 4),
    ] {
        assert!(PublicKey::new(modulus, exponent).is_none(), "{modulus:?} {exponent}");
    }
}

/// The private operation undoes the public one, whatever the blinding, and both take numbers below the modulus only.
#[test]
fn a_small_key() {
    let (modulus, parts) = small_key();
    let key = PrivateKey::new(&parts).unwrap();
    let mut blinding = key.blinding(&[3; 16]).unwrap();
    for input in (0..modulus).step_by(997).chain([0, 1, modulus - 1]) {
        let input = input.to_be_bytes();
        let input = &input[8 - key.public_key().len()..];
        let power = key.apply(input, &mut blinding).unwrap();
        assert_eq!(key.public_key().apply(&power).unwrap(), input);
    }
    for input in [modulus, modulus + 1, (1 << 24) - 1] {
        let input = &input.to_be_bytes()[5..];
        assert_eq!(key.apply(input, &mut blinding), Err(PrivateKeyError::Input));
        assert_eq!(key.public_key().apply(input), None);
    }
    assert_eq!(key.apply(&[0; 4], &mut blinding), Err(PrivateKeyError::Input));
    // Zero, and a multiple of a prime, have no inverse.
    assert!(key.blinding(&[0; 8]).is_none());
    assert!(key.blinding(&2027_u64.to_be_bytes()).is_none());
}

/// A part that is wrong, as after a fault in memory, gives no result.
#[test]
fn faults_are_found() {
    let (_, parts) = small_key();
    let blinding = |key: &PrivateKey| key.blinding(&[3; 16]);
    let good = PrivateKey::new(&parts).unwrap();
    for damaged in [Parts { d_p: &[5], ..parts }, Parts { d_q: &[5], ..parts }, Parts { q_inverse: &[5], ..parts }] {
        let key = PrivateKey::new(&damaged).unwrap();
        let mut blinding = blinding(&good).unwrap();
        assert_eq!(key.apply(&[0, 1, 5], &mut blinding), Err(PrivateKeyError::Fault));
    }
}

/// The primes 2027 and 2039, 2^e for e = 3.
fn small_key() -> (u64, Parts<'static>) {
    const P: u64 = 2027;
    const Q: u64 = 2039;
    const MODULUS: [u8; 8] = (P * Q).to_be_bytes();
    // 3 * 1351 is 2 * 2026 + 1, and 3 * 1359 is 2 * 2038 + 1; 1 / 2039 is 1 / 12 modulo 2027.
    const D_P: [u8; 8] = 1351_u64.to_be_bytes();
    const D_Q: [u8; 8] = 1359_u64.to_be_bytes();
    const Q_INVERSE: [u8; 8] = 169_u64.to_be_bytes();
    const PRIMES: [[u8; 8]; 2] = [P.to_be_bytes(), Q.to_be_bytes()];
    const { assert!(12 * 169 % P == 1) };
    let parts = Parts {
        modulus: &MODULUS,
        exponent: 3,
        p: &PRIMES[0],
        q: &PRIMES[1],
        d_p: &D_P,
        d_q: &D_Q,
        q_inverse: &Q_INVERSE,
    };
    (P * Q, parts)
}

fn check_public(mut modulus: Vec<u8>, input: u64, exponent: u64) {
    let last = modulus.len() - 1;
    modulus[last] |= 1;
    let Some(key) = PublicKey::new(&modulus, exponent) else { return };
    let number = BoxedUint::from_be_slice_vartime(&modulus);
    // A number as long as the modulus that depends on the input.
    let wide = BoxedUint::from_be_slice_vartime(&[&input.to_be_bytes()[..], &modulus].concat());
    let wide = wide.rem_vartime(&crypto_bigint::NonZero::new(number.clone()).unwrap());
    let bytes = |number: &BoxedUint| {
        let all = number.to_be_bytes();
        let mut bytes = vec![0; key.len()];
        for (byte, of_all) in bytes.iter_mut().rev().zip(all.iter().rev()) {
            *byte = *of_all;
        }
        bytes
    };
    let params = BoxedMontyParams::new(Odd::new(number.clone()).unwrap());
    let form = BoxedMontyForm::new(wide.clone().resize(number.bits_precision()), &params);
    let expected = form.pow(&BoxedUint::from(exponent)).retrieve();
    assert_eq!(key.apply(&bytes(&wide)).unwrap(), bytes(&expected), "{modulus:?} {input} {exponent}");
    // The modulus itself is not below.
    assert_eq!(key.apply(&bytes(&number)), None);
}
