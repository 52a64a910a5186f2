//! Random cases of each kernel against another implementation: some in each run of the tests, and as many as one likes by
//! `cargo xtask differential`, which says how many in [`CASES`] and where to begin in [`SEED`].
//!
//! A case is made of nothing but its number, so that one that fails can be repeated by it. Numbers are drawn so that
//! lengths around the kernels' groups are likely, and so are bytes that are all ones or zeros.

use core::cell::Cell;
use std::time::{Duration, Instant};
use std::vec::Vec;
use std::{env, eprintln, format, panic, string::String, thread_local, vec};

use ::aes::cipher::{BlockCipherEncrypt, KeyInit as _, KeyIvInit, StreamCipher, StreamCipherSeek};
use ::chacha20::ChaCha8Rng;
use ::chacha20::rand_core::{Rng, SeedableRng};
use ::ghash::universal_hash::UniversalHash;
use chacha20poly1305::aead::AeadInOut;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul as _, NonZero, Odd, Resize as _};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::elliptic_curve::ops::Reduce as _;
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;

use crate::aes::Aes;
use crate::chacha20::ChaCha20;
use crate::ghash::Ghash;
use crate::p256::{PublicKey, SecretKey, SignError, SigningKey};
use crate::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305, poly1305, rsa};

/// A test for each kernel, which runs this many cases unless [`CASES`] says another number.
macro_rules! kernels {
    ($($kernel:ident: $cases:literal,)*) => {
        $(
            #[test]
            fn $kernel() {
                run(stringify!($kernel), $cases, cases::$kernel);
            }
        )*
    };
}

kernels! {
    chacha20_poly1305: 1000,
    aes_128_gcm: 1000,
    aes_256_gcm: 1000,
    chacha20: 1000,
    poly1305: 1000,
    aes_ctr: 1000,
    ghash: 1000,
    x25519: 200,
    p256_multiply: 100,
    p256_sign: 100,
    p256_verify: 100,
    rsa_public: 100,
    rsa_private: 100,
}

/// One case of each kernel.
mod cases {
    use super::*;

    macro_rules! aead {
        ($name:ident, $ours:ident, $others:ty) => {
            pub(super) fn $name(random: &mut Random) {
                let key = random.array();
                let (nonce, aad) = (random.array(), random.text(100));
                let mut ours = Placed::new(random);
                let plain = ours.text().to_vec();
                let mut expected = plain.clone();
                let other = <$others>::new(&key.into());
                let tag = other.encrypt_inout_detached(&nonce.into(), &aad, expected.as_mut_slice().into()).unwrap();
                assert_eq!($ours::new(&key).seal(&nonce, &aad, ours.text()), *tag, "tag");
                assert!(ours.text() == expected, "ciphertext");
                assert_eq!($ours::new(&key).open(&nonce, &aad, ours.text(), &tag.into()), Ok(()));
                assert!(ours.text() == plain, "decrypted");
                ours.check_rest();
            }
        };
    }

    aead!(chacha20_poly1305, ChaCha20Poly1305, chacha20poly1305::ChaCha20Poly1305);
    aead!(aes_128_gcm, Aes128Gcm, aes_gcm::Aes128Gcm);
    aead!(aes_256_gcm, Aes256Gcm, aes_gcm::Aes256Gcm);

    pub(super) fn chacha20(random: &mut Random) {
        let (key, nonce) = (random.array(), random.array());
        // The other stops where the counter would wrap.
        let counter = random.edgy_u32().min(u32::MAX - (LONGEST / 64) as u32 - 1);
        let mut ours = Placed::new(random);
        let mut expected = ours.text().to_vec();
        let mut other = ::chacha20::ChaCha20::new(&key.into(), &nonce.into());
        other.seek(64 * u64::from(counter));
        other.apply_keystream(&mut expected);
        ChaCha20::new(&key, &nonce).xor(counter, ours.text());
        assert!(ours.text() == expected, "from block {counter}");
        ours.check_rest();
    }

    pub(super) fn poly1305(random: &mut Random) {
        let (key, aad) = (random.array(), random.text(100));
        let mut text = Placed::new(random);
        let text = text.text();
        let lengths = [aad.len() as u64, text.len() as u64].map(u64::to_le_bytes);
        let message = [padded(&aad), padded(text), lengths.as_flattened().to_vec()].concat();
        let expected = ::poly1305::Poly1305::new(&key.into()).compute_unpadded(&message);
        assert_eq!(poly1305::tag(&key, &aad, text)[..], expected[..]);
    }

    pub(super) fn aes_ctr(random: &mut Random) {
        let (key, nonce) = (random.array(), random.array());
        // The counter has 32 bits, and does not wrap within a text.
        let batch = (random.edgy_u32() >> 3).min((u32::MAX >> 3) - (LONGEST / 128) as u32 - 1);
        let mut text = Placed::new(random);
        let expected = |encrypt: &dyn Fn(&mut [u8; 16])| -> Vec<u8> {
            let block = |(at, text): (usize, &[u8])| {
                let counter = (8 * batch + at as u32).to_be_bytes();
                let mut block = [&nonce[..], &counter].concat().try_into().unwrap();
                encrypt(&mut block);
                text.iter().zip(block).map(|(byte, key)| byte ^ key).collect::<Vec<_>>()
            };
            text.whole[text.start..][..text.len].chunks(16).enumerate().flat_map(block).collect()
        };
        let (key_128, key_256): (&[u8; 16], [u8; 32]) = (key.first_chunk().unwrap(), key);
        let (other_128, other_256) = (::aes::Aes128::new(key_128.into()), ::aes::Aes256::new(&key_256.into()));
        let expected_128 = expected(&|block| other_128.encrypt_block(block.into()));
        let expected_256 = expected(&|block| other_256.encrypt_block(block.into()));
        let plain = text.text().to_vec();
        Aes::new_128(key_128).counters(&nonce).xor(batch, text.text());
        assert!(text.text() == expected_128, "AES-128, batch {batch}");
        text.text().copy_from_slice(&plain);
        Aes::new_256(&key_256).counters(&nonce).xor(batch, text.text());
        assert!(text.text() == expected_256, "AES-256, batch {batch}");
        text.check_rest();
    }

    pub(super) fn ghash(random: &mut Random) {
        let (h, aad) = (random.array(), random.text(100));
        let mut text = Placed::new(random);
        let text = text.text();
        let lengths = [aad.len() as u64 * 8, text.len() as u64 * 8].map(u64::to_be_bytes);
        let mut other = ::ghash::GHash::new(&h.into());
        other.update_padded(&[padded(&aad), padded(text), lengths.as_flattened().to_vec()].concat());
        assert_eq!(Ghash::new(&h).hash(&aad, text)[..], other.finalize()[..]);
    }

    pub(super) fn x25519(random: &mut Random) {
        let (scalar, point) = (random.array(), random.array());
        let other = x25519_dalek::StaticSecret::from(scalar).diffie_hellman(&point.into());
        assert_eq!(*crate::x25519::x25519(&scalar, &point), *other.as_bytes());
    }

    /// A public key, another from its compressed form, and the exchange of the two.
    pub(super) fn p256_multiply(random: &mut Random) {
        let (number, peer) = (random.array(), SecretKey::from_bytes(&random.array()));
        let (ours, theirs) = (SecretKey::from_bytes(&number), p256::SecretKey::from_slice(&number));
        assert_eq!(ours.is_some(), theirs.is_ok(), "whether a number is a key");
        let (Some(ours), Ok(theirs), Some(peer)) = (ours, theirs, peer) else { return };
        let public = ours.public_key().to_uncompressed();
        assert_eq!(public[..], theirs.public_key().to_sec1_point(false).as_bytes()[..], "public key");
        let peer = peer.public_key();
        let same_peer = p256::PublicKey::from_sec1_bytes(&peer.to_uncompressed()).unwrap();
        let compressed = PublicKey::from_sec1(same_peer.to_sec1_point(true).as_bytes()).unwrap();
        assert_eq!(compressed.to_uncompressed(), peer.to_uncompressed(), "from its compressed form");
        let shared = theirs.diffie_hellman(&same_peer);
        assert_eq!(ours.diffie_hellman(&peer)[..], shared.raw_secret_bytes()[..], "shared secret");
    }

    /// A signature, by the definition in the other's arithmetic (FIPS 186-5 section 6.4.1).
    pub(super) fn p256_sign(random: &mut Random) {
        let (key, nonce, hash) = (random.array(), random.array(), random.array());
        let Some(ours) = SecretKey::from_bytes(&key) else { return };
        let signature = SigningKey::new(ours).sign(&hash, &nonce);
        let number = |bytes: [u8; 32]| p256::SecretKey::from_slice(&bytes).map(|number| *number.to_nonzero_scalar());
        let (Ok(d), Ok(k)) = (number(key), number(nonce)) else {
            return assert_eq!(signature, Err(SignError::Nonce));
        };
        let x = (p256::ProjectivePoint::GENERATOR * k).to_affine().x();
        let r = p256::Scalar::reduce(&x);
        let s = k.invert().unwrap() * (p256::Scalar::reduce(&p256::FieldBytes::from(hash)) + r * d);
        assert_eq!(signature, Ok([r.to_bytes().into(), s.to_bytes().into()]));
    }

    /// A signature, as often as not with a bit changed of it, of the hash, or of the key.
    pub(super) fn p256_verify(random: &mut Random) {
        let (key, nonce, mut hash) = (random.array(), random.array(), random.array());
        let Some(key) = SecretKey::from_bytes(&key) else { return };
        let key = SigningKey::new(key);
        let Ok(mut signature) = key.sign(&hash, &nonce) else { return };
        let mut public = key.public_key().to_uncompressed();
        let (at, bit) = (random.below(64), 1 << random.below(8));
        match random.below(8) {
            0 => signature[at / 32][at % 32] ^= bit,
            1 => hash[at % 32] ^= bit,
            // Hardly ever a point of the curve.
            2 => public[1 + at] ^= bit,
            // The other point with this x.
            3 => {
                public =
                    PublicKey::from_sec1(&[&[2 | !public[64] & 1], &public[1..33]].concat()).unwrap().to_uncompressed()
            }
            _ => {}
        }
        let [r, s] = signature;
        let theirs = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public).ok().map(|key| {
            p256::ecdsa::Signature::from_scalars(r, s)
                .is_ok_and(|signature| key.verify_prehash(&hash, &signature).is_ok())
        });
        let ours = PublicKey::from_sec1(&public).map(|key| key.verify(&hash, &r, &s));
        assert_eq!(ours, theirs);
    }

    pub(super) fn rsa_public(random: &mut Random) {
        // Long ones are slow on the other side; most are short.
        let longest = if random.below(50) == 0 { 512 } else { 64 };
        let mut modulus = random.text(longest);
        let Some(last) = modulus.last_mut() else { return };
        *last |= 1;
        let exponent = [3, 17, 65537, random.next() >> random.below(62) | 3][random.below(4)];
        let Some(key) = rsa::PublicKey::new(&modulus, exponent) else { return };
        let number = Odd::new(BoxedUint::from_be_slice_vartime(&modulus)).unwrap();
        let input = random.number_below(&number);
        let expected = power(&input, exponent, &number);
        assert_eq!(key.apply(&bytes(&input, key.len())), Some(bytes(&expected, key.len())), "{modulus:x?} {exponent}");
    }

    /// The public operation of the other implementation undoes the private one.
    pub(super) fn rsa_private(random: &mut Random) {
        let lengths = [64, 96, 128, 192, 256, 320, 512, 512];
        // Whose operations take milliseconds.
        let bits = if random.below(500) == 0 { 2048 } else { lengths[random.below(lengths.len())] };
        let index = random.below(4) as u64;
        RSA_KEYS.with_borrow_mut(|keys| {
            let key = keys.entry((bits, index)).or_insert_with(|| RsaKey::new(bits, index));
            let len = key.ours.public_key().len();
            let Some(mut blinding) = key.ours.blinding(&random.text_of(len + 8)) else { return };
            for _ in 0..2 {
                let input = random.number_below(&key.modulus);
                let output = key.ours.apply(&bytes(&input, len), &mut blinding).unwrap();
                let output = BoxedUint::from_be_slice_vartime(&output);
                assert_eq!(
                    power(&output, 65537, &key.modulus),
                    input.resize(key.modulus.bits_precision()),
                    "{bits} bits"
                );
            }
        });
    }
}

/// A key of the other implementation's primes.
struct RsaKey {
    ours: rsa::PrivateKey,
    modulus: Odd<BoxedUint>,
}

impl RsaKey {
    /// One of the keys of this length.
    fn new(bits: u32, index: u64) -> Self {
        let mut random = Random::new(index << 32 | u64::from(bits));
        let exponent = BoxedUint::from(65537_u64);
        loop {
            let [p, q] =
                [(); 2].map(|()| crypto_primes::random_prime(&mut random.0, crypto_primes::Flavor::Any, bits / 2));
            let (p, q): (BoxedUint, BoxedUint) = (p, q);
            let less_one = |prime: &BoxedUint| prime.wrapping_sub(BoxedUint::one_with_precision(bits / 2));
            let inverse = |number: &BoxedUint, modulus: BoxedUint| -> Option<BoxedUint> {
                let modulus = NonZero::new(modulus).into_option()?;
                number.clone().resize(modulus.bits_precision()).invert_mod(&modulus).into_option()
            };
            let modulus = p.concatenating_mul(&q);
            let numbers = (inverse(&exponent, less_one(&p)), inverse(&exponent, less_one(&q)), inverse(&q, p.clone()));
            // Equal primes, and one less than which 65537 divides.
            let (Some(d_p), Some(d_q), Some(q_inverse)) = numbers else { continue };
            let [n, p, q, d_p, d_q, q_inverse] =
                [&modulus, &p, &q, &d_p, &d_q, &q_inverse].map(|number| number.to_be_bytes().to_vec());
            let parts =
                rsa::Parts { modulus: &n, exponent: 65537, p: &p, q: &q, d_p: &d_p, d_q: &d_q, q_inverse: &q_inverse };
            return Self { ours: rsa::PrivateKey::new(&parts).unwrap(), modulus: Odd::new(modulus).unwrap() };
        }
    }
}

thread_local! {
    /// By length and number.
    static RSA_KEYS: core::cell::RefCell<std::collections::HashMap<(u32, u64), RsaKey>> = Default::default();
}

/// `base^exponent` modulo an odd number, by crypto-bigint.
fn power(base: &BoxedUint, exponent: u64, modulus: &Odd<BoxedUint>) -> BoxedUint {
    let params = BoxedMontyParams::new(modulus.clone());
    let base = BoxedMontyForm::new(base.clone().resize(modulus.bits_precision()), &params);
    base.pow(&BoxedUint::from(exponent)).retrieve()
}

/// The number in `len` bytes.
fn bytes(number: &BoxedUint, len: usize) -> Vec<u8> {
    let all = number.to_be_bytes();
    let mut bytes = vec![0; len];
    bytes.iter_mut().rev().zip(all.iter().rev()).for_each(|(byte, of_all)| *byte = *of_all);
    bytes
}

/// With zeros to whole blocks behind it.
fn padded(text: &[u8]) -> Vec<u8> {
    let mut padded = text.to_vec();
    padded.resize(text.len().next_multiple_of(16), 0);
    padded
}

/// Text at some distance from a multiple of 16, with zeros on both sides.
struct Placed {
    whole: Vec<u8>,
    start: usize,
    len: usize,
}

impl Placed {
    fn new(random: &mut Random) -> Self {
        let text = random.text(LONGEST);
        let mut whole = vec![0; 32 + text.len()];
        let start = whole.as_ptr().align_offset(16) + random.below(16);
        whole[start..][..text.len()].copy_from_slice(&text);
        Self { whole, start, len: text.len() }
    }

    fn text(&mut self) -> &mut [u8] {
        &mut self.whole[self.start..][..self.len]
    }

    /// Nothing beside the text was written.
    fn check_rest(&mut self) {
        self.text().fill(0);
        assert!(self.whole.iter().all(|byte| *byte == 0), "bytes beside the text");
    }
}

/// What a case is made of.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Now and then close to one of its ends, or to the middle.
    fn edgy_u32(&mut self) -> u32 {
        let near = [0, 1 << 31, u32::MAX][self.below(3)];
        if self.next() & 1 == 1 {
            self.next() as u32
        } else {
            u32::wrapping_add(near, self.below(64) as u32).wrapping_sub(32)
        }
    }

    /// Random bytes, and now and then stretches of ones or zeros.
    fn text_of(&mut self, len: usize) -> Vec<u8> {
        let mut text: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        text.truncate(len);
        while len > 0 && self.below(4) == 0 {
            let [one, other] = [(); 2].map(|()| self.below(len + 1));
            text[one.min(other)..one.max(other)].fill([0, 0xff][self.below(2)]);
        }
        text
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.text_of(N).try_into().unwrap()
    }

    /// Up to `longest` bytes, most often few.
    fn text(&mut self, longest: usize) -> Vec<u8> {
        let bound = [longest.min(64), longest.min(300), longest][[0, 0, 0, 1, 1, 1, 1, 2][self.below(8)]];
        let len = self.below(bound + 1);
        self.text_of(len)
    }

    fn number_below(&mut self, bound: &Odd<BoxedUint>) -> BoxedUint {
        let number = BoxedUint::from_be_slice_vartime(&self.text_of(bound.bits_precision() as usize / 8 + 8));
        number.rem_vartime(bound.as_nz_ref())
    }
}

/// Runs the cases of a kernel.
fn run(kernel: &str, few: u64, case: fn(&mut Random)) {
    let asked = number(CASES);
    let (cases, seed) = (asked.unwrap_or(few), number(SEED).unwrap_or(0));
    say_seed_of_failures();
    let started = Instant::now();
    let mut said = started;
    for at in 0..cases {
        let seed = seed.wrapping_add(at);
        RUNNING.set(Some(seed));
        // Seeds that follow each other make streams that have nothing in common.
        case(&mut Random::new(seed));
        if asked.is_some() && said.elapsed() >= PROGRESS {
            said = Instant::now();
            eprintln!("{}", progress(kernel, at + 1, cases, started.elapsed()));
        }
    }
    RUNNING.set(None);
    if asked.is_some() {
        eprintln!("{}, all good", progress(kernel, cases, cases, started.elapsed()));
    }
}

fn progress(kernel: &str, done: u64, cases: u64, time: Duration) -> String {
    let rate = done as f64 / time.as_secs_f64();
    format!("{kernel}: {done} of {cases} cases, {rate:.0} a second")
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
}

/// Whatever fails, also an assertion in a kernel, says by which seed it is repeated.
fn say_seed_of_failures() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(std::boxed::Box::new(move |panic| {
            usual(panic);
            if let Some(seed) = RUNNING.get() {
                eprintln!("the case is repeated by --seed {seed} --cases 1");
            }
        }));
    });
}

thread_local! {
    /// The seed of the case that runs.
    static RUNNING: Cell<Option<u64>> = const { Cell::new(None) };
}

/// How many cases of each kernel.
const CASES: &str = "GUEST_TLS_CASES";

/// The seed of the first case; that of each other one is one more.
const SEED: &str = "GUEST_TLS_SEED";

/// How often a long run says where it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// The longest text, in bytes.
const LONGEST: usize = 4200;
