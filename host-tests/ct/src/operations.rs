//! The operations on secrets, and their classes of inputs.
//!
//! Where a key is the secret, the first class is one key that is as special as can be, all zeros or a small number, so that whatever
//! depends on the weight, the length or the digits of a key shows; the second class is random keys. Where the secret is what is expected,
//! as a tag is, one class is wrong in the first byte and the other in the last.
//!
//! | operation | whose code it is |
//! |---|---|
//! | `…-seal`, `…-tag` | our kernels, as `src/provider/aead.rs` calls them |
//! | `x25519`, `x25519-share`, `p256-share`, `p256-ecdh`, `p256-sign` | our kernels |
//! | `…-signer`, `rsa-2048-…` | `src/provider/sign` as rustls calls it: our kernels for P-256 and RSA, RustCrypto's and dalek's crates for the rest |
//! | `ml-kem-768-decapsulate` | the crate `ml-kem`, as the kernels call it |
//! | `ticket-tag` | `src/engine/sessions/tickets.rs` |
//! | `finished-compare` | HMAC by `src/provider/hmac.rs`; the comparison is the crate `subtle`'s, called as rustls does it for Finished and for PSK binders |

use std::rc::Rc;

use guest_tls::engine::ct::Tickets;
use guest_tls::provider::{sign, suites};
use guest_tls_kernels::ml_kem_768::{self, DecapsulationKey};
use guest_tls_kernels::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305, NONCE_LEN, p256, x25519};
use rsa::PrivateKey as RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rustls::SignatureScheme;
use rustls::crypto::tls13::OkmBlock;
use rustls::sign::Signer;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use subtle::ConstantTimeEq as _;

use crate::batch::{Batch, Class, batch};
use crate::leaky;
use crate::random::Random;

/// An operation on a secret.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// What sets the two classes apart.
    pub(crate) classes: [&'static str; 2],
    /// Whether it leaks, which the measurement must find.
    pub(crate) leaks: bool,
    /// Prepares what all inputs share.
    pub(crate) batch: fn(&mut Random) -> Box<dyn Batch>,
}

/// All that is measured, and the twins that leak.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[Operation] = &[
    sound("chacha20-poly1305-seal", KEY_AND_TEXT, |_| seal!(ChaCha20Poly1305)),
    sound("aes-128-gcm-seal", KEY_AND_TEXT, |_| seal!(Aes128Gcm)),
    sound("aes-256-gcm-seal", KEY_AND_TEXT, |_| seal!(Aes256Gcm)),
    sound("chacha20-poly1305-tag", WRONG_BYTE, |_| tag!(ChaCha20Poly1305)),
    sound("aes-128-gcm-tag", WRONG_BYTE, |_| tag!(Aes128Gcm)),
    sound("aes-256-gcm-tag", WRONG_BYTE, |_| tag!(Aes256Gcm)),
    sound("x25519", KEY, |_| x25519_exchange()),
    sound("x25519-share", KEY, |_| x25519_share()),
    sound("p256-share", KEY, |_| p256_share()),
    sound("p256-ecdh", KEY, |_| p256_ecdh()),
    sound("p256-sign", ["one key, one nonce", "random keys and nonces"], |_| p256_sign()),
    sound("p256-signer", KEY, |_| ec_signer::<32>(&P256, SignatureScheme::ECDSA_NISTP256_SHA256)),
    sound("p384-signer", KEY, |_| ec_signer::<48>(&P384, SignatureScheme::ECDSA_NISTP384_SHA384)),
    sound("p521-signer", KEY, |_| ec_signer::<66>(&P521, SignatureScheme::ECDSA_NISTP521_SHA512)),
    sound("ed25519-signer", KEY, |_| ed25519_signer()),
    sound("rsa-2048-keys", ["one key", "several keys"], rsa_keys),
    sound("rsa-2048-pkcs1-sign", MESSAGE, |random| rsa_sign(random, SignatureScheme::RSA_PKCS1_SHA256)),
    sound("rsa-2048-pss-sign", MESSAGE, |random| rsa_sign(random, SignatureScheme::RSA_PSS_SHA256)),
    sound("ml-kem-768-decapsulate", ["valid ciphertext", "invalid ciphertext"], ml_kem_768_decapsulate),
    sound("ticket-tag", WRONG_BYTE, ticket_tag),
    sound("finished-compare", WRONG_BYTE, |random| finished(random, |expected, given| expected.ct_eq(given).into())),
    leak("leaky-finished-compare", WRONG_BYTE, |random| finished(random, leaky::equal)),
    leak("leaky-exponentiation", KEY, |_| leaky_exponentiation()),
];

const KEY_AND_TEXT: [&str; 2] = ["one key, one text", "random keys and texts"];
const KEY: [&str; 2] = ["one key", "random keys"];
const WRONG_BYTE: [&str; 2] = ["first byte wrong", "last byte wrong"];
const MESSAGE: [&str; 2] = ["one message", "random messages"];

const fn sound(name: &'static str, classes: [&'static str; 2], batch: fn(&mut Random) -> Box<dyn Batch>) -> Operation {
    Operation { name, classes, leaks: false, batch }
}

const fn leak(name: &'static str, classes: [&'static str; 2], batch: fn(&mut Random) -> Box<dyn Batch>) -> Operation {
    Operation { name, classes, leaks: true, batch }
}

/// Takes a key, and seals a text.
macro_rules! seal {
    ($aead:ident) => {
        batch(
            |random, class| (random.or_fixed(class, [0; $aead::KEY_LEN]), random.or_fixed(class, [0; TEXT_LEN])),
            |(key, text)| {
                std::hint::black_box($aead::new(key).seal(&[0; NONCE_LEN], &[], text));
                true
            },
        )
    };
}

/// Opens a text whose tag is wrong in one byte.
macro_rules! tag {
    ($aead:ident) => {
        batch(
            |random, class| {
                let (key, mut text) = (random.bytes(), random.bytes::<TEXT_LEN>());
                let mut tag = $aead::new(&key).seal(&[0; NONCE_LEN], &[], &mut text);
                make_wrong(random, class, &mut tag);
                (key, text, tag)
            },
            |(key, text, tag)| $aead::new(key).open(&[0; NONCE_LEN], &[], text, tag).is_err(),
        )
    };
}

use {seal, tag};

fn x25519_exchange() -> Box<dyn Batch> {
    batch(
        |random, class| (random.or_fixed(class, [0; 32]), random.bytes()),
        |(scalar, point)| {
            std::hint::black_box(x25519::x25519(scalar, point));
            true
        },
    )
}

fn x25519_share() -> Box<dyn Batch> {
    batch(
        |random, class| random.or_fixed(class, [0; 32]),
        |scalar| std::hint::black_box(x25519::public_key(scalar)) != [0; 32],
    )
}

fn p256_share() -> Box<dyn Batch> {
    batch(p256_number, |secret| {
        let secret = p256::SecretKey::from_bytes(secret);
        secret.is_some_and(|secret| std::hint::black_box(secret.public_key()).to_uncompressed() != [0; 65])
    })
}

fn p256_ecdh() -> Box<dyn Batch> {
    batch(
        |random, class| {
            let peer = p256::SecretKey::from_bytes(&p256_number(random, Class::Second)).expect("it is below n");
            (p256_number(random, class), peer.public_key())
        },
        |(secret, peer)| {
            let secret = p256::SecretKey::from_bytes(secret);
            secret.is_some_and(|secret| *std::hint::black_box(secret.diffie_hellman(peer)) != [0; 32])
        },
    )
}

fn p256_sign() -> Box<dyn Batch> {
    batch(
        |random, class| {
            let secret = p256::SecretKey::from_bytes(&p256_number(random, class)).expect("it is below n");
            (p256::SigningKey::new(secret), p256_number(random, class), random.bytes())
        },
        |(key, nonce, hash)| std::hint::black_box(key.sign(hash, nonce)).is_ok(),
    )
}

/// 3, or a random number that is below n, since its highest byte is not 255.
fn p256_number(random: &mut Random, class: Class) -> [u8; 32] {
    let mut number = random.or_fixed(class, small());
    number[0] &= 0x7f;
    number
}

/// 3, with its highest byte first.
fn small<const N: usize>() -> [u8; N] {
    let mut number = [0; N];
    number[N - 1] = 3;
    number
}

/// ECDSA as rustls calls it, with a hedged nonce of RFC 6979. Numbers of a key have `N` bytes.
fn ec_signer<const N: usize>(curve: &'static [u8], scheme: SignatureScheme) -> Box<dyn Batch> {
    batch(
        move |random, class| {
            let mut number = random.or_fixed(class, small::<N>());
            // Below the order of P-521 too, whose highest byte is 1.
            number[0] &= if N == 66 { 0 } else { 0x7f };
            // RFC 5915: the version, the number and the curve.
            let content = [&[2, 1, 1, 4, N as u8], &number[..], &[0xa0, curve.len() as u8], curve].concat();
            let der = [&[0x30, content.len() as u8], &content[..]].concat();
            (signer(PrivateSec1KeyDer::from(der).into(), scheme), random.bytes())
        },
        sign,
    )
}

fn ed25519_signer() -> Box<dyn Batch> {
    batch(
        |random, class| {
            // RFC 8410 section 7.
            let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
            let der = [&head, &random.or_fixed::<32>(class, [0; 32])[..]].concat();
            (signer(PrivatePkcs8KeyDer::from(der).into(), SignatureScheme::ED25519), random.bytes())
        },
        sign,
    )
}

/// One key against several. Each class has as many key objects, so that they lie in the caches alike.
fn rsa_keys(random: &mut Random) -> Box<dyn Batch> {
    let signer = |der: &[u8]| signer(PrivatePkcs1KeyDer::from(der.to_vec()).into(), SignatureScheme::RSA_PSS_SHA256);
    let one = rsa_key(random);
    let several: Vec<_> = (0..RSA_KEYS).map(|_| rsa_key(random)).collect();
    let signers: Vec<[Rc<dyn Signer>; 2]> =
        several.iter().map(|other| [Rc::from(signer(&one)), Rc::from(signer(other))]).collect();
    batch(
        move |random, class| {
            let [one, other] = &signers[random.next() as usize % RSA_KEYS];
            (if class == Class::First { one.clone() } else { other.clone() }, random.bytes::<32>())
        },
        |(signer, message)| std::hint::black_box(signer.sign(message)).is_ok(),
    )
}

/// The encodings of what is signed, and the private operation on it.
fn rsa_sign(random: &mut Random, scheme: SignatureScheme) -> Box<dyn Batch> {
    let signer = signer(PrivatePkcs1KeyDer::from(rsa_key(random)).into(), scheme);
    batch(
        |random, class| random.or_fixed::<32>(class, [0; 32]),
        move |message| std::hint::black_box(signer.sign(message)).is_ok(),
    )
}

/// A key of 2048 bits as PKCS#1.
fn rsa_key(random: &mut Random) -> Vec<u8> {
    let key = RsaPrivateKey::new(&mut random.0, 2048).expect("2048 bits make a key");
    key.to_pkcs1_der().expect("the crate encodes what it made").as_bytes().to_vec()
}

fn signer(der: PrivateKeyDer<'static>, scheme: SignatureScheme) -> Box<dyn Signer> {
    let key = sign::signing_key(&der).expect("the key is good");
    key.choose_scheme(&[scheme]).expect("the key is of that scheme")
}

fn sign((signer, message): &mut (Box<dyn Signer>, [u8; 32])) -> bool {
    std::hint::black_box(signer.sign(message)).is_ok()
}

/// A ciphertext that is invalid gives another secret, and no error (FIPS 203 section 6.3).
fn ml_kem_768_decapsulate(random: &mut Random) -> Box<dyn Batch> {
    let key = DecapsulationKey::from_seed(&random.bytes());
    let encapsulation_key = key.encapsulation_key();
    batch(
        move |random, class| {
            let sealed = ml_kem_768::encapsulate(&encapsulation_key, &random.bytes());
            let (mut ciphertext, _) = sealed.expect("the key is in order");
            let (at, change) = (random.next() as usize % ciphertext.len(), random.change());
            ciphertext[at] ^= if class == Class::Second { change } else { 0 };
            ciphertext
        },
        move |ciphertext| *std::hint::black_box(key.decapsulate(ciphertext)) != [0; ml_kem_768::SECRET_LEN],
    )
}

fn ticket_tag(random: &mut Random) -> Box<dyn Batch> {
    let keys = random.bytes();
    let mut tickets = Tickets::new(&keys);
    batch(
        move |random, class| {
            let mut ticket = Tickets::new(&keys).seal(&random.bytes::<100>()).expect("there is randomness");
            let tag = ticket.len() - guest_tls_kernels::TAG_LEN;
            make_wrong(random, class, &mut ticket[tag..]);
            ticket
        },
        move |ticket| tickets.open(ticket).is_none(),
    )
}

/// The check of a Finished message of TLS 1.3 (RFC 8446 section 4.4.4): the HMAC of the transcript's hash, compared with what came.
fn finished(random: &mut Random, equal: fn(&[u8], &[u8]) -> bool) -> Box<dyn Batch> {
    let suite = suites::TLS13_CHACHA20_POLY1305_SHA256.tls13().expect("it is a suite of TLS 1.3");
    let key = OkmBlock::new(&random.bytes::<32>());
    let verify_data = move |hash: &[u8; 32]| suite.hkdf_provider.hmac_sign(&key, hash);
    let verify_data_too = verify_data.clone();
    batch(
        move |random, class| {
            let hash = random.bytes();
            let mut given = [0; 32];
            given.copy_from_slice(verify_data(&hash).as_ref());
            make_wrong(random, class, &mut given);
            (hash, given)
        },
        move |(hash, given)| !equal(verify_data_too(hash).as_ref(), given),
    )
}

/// The twin of what an exchange of keys does with a secret.
fn leaky_exponentiation() -> Box<dyn Batch> {
    batch(
        |random, class| random.or_fixed(class, small::<32>()),
        |secret| {
            std::hint::black_box(leaky::power(3, secret));
            true
        },
    )
}

/// Changes the first byte for the first class, and the last byte for the second.
fn make_wrong(random: &mut Random, class: Class, bytes: &mut [u8]) {
    let at = if class == Class::First { 0 } else { bytes.len() - 1 };
    bytes[at] ^= random.change();
}

/// Some groups of blocks of each AEAD, and a part of one.
const TEXT_LEN: usize = 500;

/// How many keys stand against the one.
const RSA_KEYS: usize = 8;

/// The names of the curves (RFC 5480 section 2.1.1.1).
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: [u8; 7] = [6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: [u8; 7] = [6, 5, 0x2b, 0x81, 4, 0, 0x23];
