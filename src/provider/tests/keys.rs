//! Private keys and signatures: which keys we take and why we refuse others, that what we sign verifies, and that what
//! OpenSSL signed does.

use elliptic_curve::Curve;
use elliptic_curve::bigint::U256;
use rsa::pkcs8::SubjectPublicKeyInfoRef;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    SignatureVerificationAlgorithm,
};
use rustls::sign::CertifiedKey;
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use sha2::Sha256;

use super::fixture;
use crate::provider::p256::{Nonces, P256};
use crate::provider::sign::signing_key;
use crate::provider::{crypto_provider, verify};

/// Every encoding of every kind of key: we sign with all its schemes, in our order, and the peer would accept it.
#[test]
fn sign_and_verify() {
    use SignatureScheme::*;
    const RSA: &[SignatureScheme] =
        &[RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512];
    // 8192 bits cost half a second for each signature.
    const ONE_RSA: &[SignatureScheme] = &[RSA_PSS_SHA256];
    const P256: &[SignatureScheme] = &[ECDSA_NISTP256_SHA256];
    const P384: &[SignatureScheme] = &[ECDSA_NISTP384_SHA384];
    const P521: &[SignatureScheme] = &[ECDSA_NISTP521_SHA512];

    for (name, key, schemes) in [
        ("RSA 2048, PKCS#8", pkcs8(fixture!("rsa-2048.pkcs8.der")), RSA),
        ("RSA 2048, PKCS#1", pkcs1(fixture!("rsa-2048.pkcs1.der")), RSA),
        ("RSA 3072", pkcs8(fixture!("rsa-3072.pkcs8.der")), RSA),
        ("RSA 4096", pkcs8(fixture!("rsa-4096.pkcs8.der")), RSA),
        ("RSA 8192", pkcs8(fixture!("rsa-8192.pkcs8.der")), ONE_RSA),
        ("P-256, PKCS#8", pkcs8(fixture!("p256.pkcs8.der")), P256),
        ("P-256, SEC1", sec1(fixture!("p256.sec1.der")), P256),
        ("P-256, SEC1 without curve", sec1(fixture!("p256.bare.der")), P256),
        ("P-384, PKCS#8", pkcs8(fixture!("p384.pkcs8.der")), P384),
        ("P-384, SEC1", sec1(fixture!("p384.sec1.der")), P384),
        ("P-384, SEC1 without curve", sec1(fixture!("p384.bare.der")), P384),
        ("P-521, PKCS#8", pkcs8(fixture!("p521.pkcs8.der")), P521),
        ("P-521, SEC1", sec1(fixture!("p521.sec1.der")), P521),
        ("P-521, SEC1 without curve", sec1(fixture!("p521.bare.der")), P521),
        ("Ed25519", pkcs8(fixture!("ed25519.pkcs8.der")), &[ED25519]),
        // RFC 8410 section 10.3: version 2, with attributes and the public key.
        ("Ed25519 with public key", pkcs8(ED25519_V2), &[ED25519]),
    ] {
        let key = signing_key(&key).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            key.choose_scheme(&reversed(ALL_SCHEMES)).unwrap().scheme(),
            schemes[0],
            "{name}: our preference counts"
        );
        for scheme in schemes {
            let signer = key.choose_scheme(&[*scheme]).unwrap();
            assert_eq!(signer.scheme(), *scheme, "{name}");
            let signature = signer.sign(MESSAGE).unwrap();
            let algorithm = algorithm_of(*scheme);
            let public = public_key(&key.public_key().unwrap());
            assert_verifies(&format!("{name}, {scheme:?}"), algorithm, &public, &signature);
        }
        let (kind, own) = match schemes[0] {
            RSA_PSS_SHA256 => (SignatureAlgorithm::RSA, RSA),
            ED25519 => (SignatureAlgorithm::ED25519, schemes),
            _ => (SignatureAlgorithm::ECDSA, schemes),
        };
        assert_eq!(key.algorithm(), kind, "{name}");
        let others = ALL_SCHEMES.iter().filter(|scheme| !own.contains(scheme));
        let others: Vec<_> = others.copied().collect();
        assert!(key.choose_scheme(&others).is_none(), "{name}");
        assert!(key.choose_scheme(&[]).is_none(), "{name}");
    }
}

#[test]
fn refused_keys() {
    let mut broken = fixture!("rsa-2048.pkcs8.der").to_vec();
    // Somewhere within the first prime.
    let last = broken.len() - 700;
    broken[last] ^= 1;
    for (key, error) in [
        (pkcs8(fixture!("rsa-1024.pkcs8.der")), "its RSA modulus has 1024 bits; 2048 to 8192 are allowed"),
        (pkcs8(fixture!("rsa-8200.pkcs8.der")), "its RSA modulus has 8200 bits; 2048 to 8192 are allowed"),
        (pkcs8(&broken), "the numbers of the RSA key do not belong together, or its public exponent is out of range"),
        (
            pkcs8(fixture!("rsa-pss.pkcs8.der")),
            "it is an RSA key for PSS only (id-RSASSA-PSS); an ordinary RSA key also signs with PSS",
        ),
        (pkcs8(fixture!("k256.pkcs8.der")), "its curve 1.3.132.0.10 is none of P-256, P-384 and P-521"),
        (sec1(fixture!("k256.sec1.der")), "it is not a valid EC key on P-256, P-384 or P-521"),
        (
            // Its public key is no point of P-256, or not the one of this secret.
            sec1(fixture!("k256.bare.der")),
            "it is not a valid EC key on P-256, P-384 or P-521",
        ),
        (pkcs8(fixture!("ed448.pkcs8.der")), "its algorithm 1.3.101.113 is none of RSA, ECDSA and Ed25519"),
        (pkcs8(b"nonsense"), "it is not valid PKCS#8"),
        (pkcs8(fixture!("p256.sec1.der")), "it is not valid PKCS#8"),
        (pkcs1(fixture!("p256.sec1.der")), "it is not a valid RSA key"),
        (sec1(fixture!("rsa-2048.pkcs1.der")), "it is not a valid EC key on P-256, P-384 or P-521"),
    ] {
        let refused = signing_key(&key).unwrap_err();
        let expected = format!("the private key cannot be used: {error}");
        assert_eq!(refused, Error::General(expected));
    }
}

/// A key belongs to the certificate made with it, and to no other.
#[test]
fn keys_match_their_certificates() {
    let pairs = [
        (fixture!("rsa-2048.pkcs8.der"), fixture!("rsa-2048.cert.der")),
        (fixture!("p256.pkcs8.der"), fixture!("p256.cert.der")),
        (fixture!("p384.pkcs8.der"), fixture!("p384.cert.der")),
        (fixture!("p521.pkcs8.der"), fixture!("p521.cert.der")),
        (fixture!("ed25519.pkcs8.der"), fixture!("ed25519.cert.der")),
    ];
    for (i, (key, _)) in pairs.iter().enumerate() {
        for (j, (_, certificate)) in pairs.iter().enumerate() {
            let loaded = crypto_provider().key_provider.load_private_key(pkcs8(key).clone_key()).unwrap();
            let pair = CertifiedKey::new(vec![CertificateDer::from(*certificate)], loaded);
            assert_eq!(pair.keys_match().is_ok(), i == j, "key {i}, certificate {j}");
        }
    }
}

/// What OpenSSL signed, with every algorithm that we know.
#[test]
fn signatures_of_openssl() {
    let keys = [
        ("p256", fixture!("p256.pkcs8.der")),
        ("p384", fixture!("p384.pkcs8.der")),
        ("p521", fixture!("p521.pkcs8.der")),
        ("ed25519", fixture!("ed25519.pkcs8.der")),
        ("rsa-2048", fixture!("rsa-2048.pkcs8.der")),
        ("rsa-8192", fixture!("rsa-8192.pkcs8.der")),
    ];
    for (key, algorithm, signature) in [
        ("p256", verify::ECDSA_P256_SHA256, fixture!("p256-sha256.sig")),
        ("p256", verify::ECDSA_P256_SHA384, fixture!("p256-sha384.sig")),
        ("p256", verify::ECDSA_P256_SHA512, fixture!("p256-sha512.sig")),
        ("p384", verify::ECDSA_P384_SHA256, fixture!("p384-sha256.sig")),
        ("p384", verify::ECDSA_P384_SHA384, fixture!("p384-sha384.sig")),
        ("p384", verify::ECDSA_P384_SHA512, fixture!("p384-sha512.sig")),
        ("p521", verify::ECDSA_P521_SHA256, fixture!("p521-sha256.sig")),
        ("p521", verify::ECDSA_P521_SHA384, fixture!("p521-sha384.sig")),
        ("p521", verify::ECDSA_P521_SHA512, fixture!("p521-sha512.sig")),
        ("ed25519", verify::ED25519, fixture!("ed25519.sig")),
        ("rsa-2048", verify::RSA_PSS_SHA256, fixture!("rsa-2048-pss-sha256.sig")),
        ("rsa-2048", verify::RSA_PSS_SHA384, fixture!("rsa-2048-pss-sha384.sig")),
        ("rsa-2048", verify::RSA_PSS_SHA512, fixture!("rsa-2048-pss-sha512.sig")),
        ("rsa-2048", verify::RSA_PKCS1_SHA256, fixture!("rsa-2048-pkcs1-sha256.sig")),
        ("rsa-2048", verify::RSA_PKCS1_SHA384, fixture!("rsa-2048-pkcs1-sha384.sig")),
        ("rsa-2048", verify::RSA_PKCS1_SHA512, fixture!("rsa-2048-pkcs1-sha512.sig")),
        ("rsa-2048", verify::RSA_PKCS1_SHA256_ABSENT_PARAMS, fixture!("rsa-2048-pkcs1-sha256.sig")),
        ("rsa-2048", verify::RSA_PKCS1_SHA384_ABSENT_PARAMS, fixture!("rsa-2048-pkcs1-sha384.sig")),
        ("rsa-2048", verify::RSA_PKCS1_SHA512_ABSENT_PARAMS, fixture!("rsa-2048-pkcs1-sha512.sig")),
        ("rsa-8192", verify::RSA_PKCS1_SHA256, fixture!("rsa-8192-pkcs1-sha256.sig")),
    ] {
        let (_, private) = keys.iter().find(|(name, _)| *name == key).unwrap();
        let private = signing_key(&pkcs8(private)).unwrap();
        let public = public_key(&private.public_key().unwrap());
        assert_verifies(&format!("{key}, {algorithm:?}"), algorithm, &public, signature);
    }
}

/// Good signatures by RSA keys that are too small or too large for us.
#[test]
fn refused_rsa_sizes() {
    for (private, signature) in [
        (fixture!("rsa-1024.pkcs8.der"), fixture!("rsa-1024-pkcs1-sha256.sig")),
        (fixture!("rsa-8200.pkcs8.der"), fixture!("rsa-8200-pkcs1-sha256.sig")),
    ] {
        let info = rsa::pkcs8::PrivateKeyInfoRef::try_from(private).unwrap();
        let parts = rsa::pkcs1::RsaPrivateKeyRef::try_from(info.private_key.as_bytes()).unwrap();
        let public = rsa::pkcs8::der::Encode::to_der(&parts.public_key()).unwrap();
        let verified = verify::RSA_PKCS1_SHA256.verify_signature(&public, MESSAGE, signature);
        assert!(verified.is_err(), "{} bytes", parts.modulus.as_bytes().len());
    }
}

/// Encodings of a public point that X9.62 knows and RFC 5480 does not.
#[test]
fn encodings_of_points() {
    let private = signing_key(&pkcs8(fixture!("p256.pkcs8.der"))).unwrap();
    let uncompressed = public_key(&private.public_key().unwrap());
    let parity = uncompressed[64] & 1;
    let x = &uncompressed[1..33];
    let with_tag = |tag: u8, rest: &[u8]| [&[tag], rest].concat();
    for (name, key, expected) in [
        ("uncompressed", uncompressed.clone(), true),
        ("compressed", with_tag(2 + parity, x), true),
        ("compressed, other y", with_tag(3 - parity, x), false),
        ("hybrid", with_tag(6 + parity, &uncompressed[1..]), false),
        ("compact", with_tag(5, x), false),
        ("identity", vec![0], false),
        ("empty", vec![], false),
        ("too short", uncompressed[..64].to_vec(), false),
        ("too long", with_tag(4, &[&uncompressed[1..], &[0]].concat()), false),
    ] {
        let verified = verify::ECDSA_P256_SHA256.verify_signature(&key, MESSAGE, fixture!("p256-sha256.sig")).is_ok();
        assert_eq!(verified, expected, "{name}");
    }
}

/// ECDSA and PSS mix randomness in; PKCS#1 and Ed25519 have none.
#[test]
fn randomness_of_signatures() {
    use SignatureScheme::*;
    for (key, scheme, random) in [
        (fixture!("p256.pkcs8.der"), ECDSA_NISTP256_SHA256, true),
        (fixture!("p384.pkcs8.der"), ECDSA_NISTP384_SHA384, true),
        (fixture!("p521.pkcs8.der"), ECDSA_NISTP521_SHA512, true),
        (fixture!("ed25519.pkcs8.der"), ED25519, false),
        (fixture!("rsa-2048.pkcs8.der"), RSA_PSS_SHA256, true),
        (fixture!("rsa-2048.pkcs8.der"), RSA_PKCS1_SHA256, false),
    ] {
        let signer = signing_key(&pkcs8(key)).unwrap().choose_scheme(&[scheme]).unwrap();
        let (first, second) = (signer.sign(MESSAGE).unwrap(), signer.sign(MESSAGE).unwrap());
        assert_eq!(first != second, random, "{scheme:?}");
    }
}

/// Nothing of a key shows when it is printed.
#[test]
fn debug_hides_keys() {
    for (key, scheme, expected) in [
        (
            fixture!("rsa-2048.pkcs8.der"),
            SignatureScheme::RSA_PSS_SHA256,
            "RsaKey { .. } RsaSigner { scheme: RSA_PSS_SHA256, .. }",
        ),
        (
            fixture!("p256.pkcs8.der"),
            SignatureScheme::ECDSA_NISTP256_SHA256,
            "EcdsaKey { scheme: ECDSA_NISTP256_SHA256, .. } EcdsaSigner { scheme: ECDSA_NISTP256_SHA256, .. }",
        ),
        (fixture!("ed25519.pkcs8.der"), SignatureScheme::ED25519, "Ed25519Key { .. } Ed25519Signer { .. }"),
    ] {
        let key = signing_key(&pkcs8(key)).unwrap();
        let signer = key.choose_scheme(&[scheme]).unwrap();
        assert_eq!(format!("{key:?} {signer:?}"), expected);
    }
}

/// P-256's nonces are those of the `rfc6979` crate: the first, and those after it.
#[test]
fn nonces_of_p256() {
    let order = P256::ORDER.get();
    let near = [order, order.wrapping_sub(&U256::ONE), order.wrapping_add(&U256::ONE)];
    let near = near.map(|number| <[u8; 32]>::from(number.to_be_bytes()));
    let numbers = [[[0; 32], [1; 32], [0xff; 32]], near].concat();
    for (secret, hash) in numbers.iter().flat_map(|secret| numbers.iter().map(move |hash| (secret, hash))) {
        for fresh in [[0; 32], [5; 32]] {
            let mut theirs = rfc6979::KGenerator::<Sha256, U256>::new(secret, hash, &fresh, &order);
            let mut ours = Nonces::new(secret, hash, &fresh);
            for _ in 0..3 {
                let mut nonce = [0; 32];
                theirs.fill_next_k(&mut nonce);
                assert_eq!(*ours.nonce, nonce, "{secret:?} {hash:?}");
                ours.advance();
            }
        }
    }
}

/// The signature counts for this message, this key and this algorithm, and for nothing that differs by a bit.
fn assert_verifies(name: &str, algorithm: &dyn SignatureVerificationAlgorithm, public: &[u8], signature: &[u8]) {
    let verified = |key: &[u8], message: &[u8], sig: &[u8]| algorithm.verify_signature(key, message, sig).is_ok();
    assert!(verified(public, MESSAGE, signature), "{name}");
    assert!(!verified(public, b"guest-tlt", signature), "{name}: other message");
    for at in [0, 3, signature.len() / 2, signature.len() - 1] {
        let mut tampered = signature.to_vec();
        tampered[at] ^= 1;
        assert!(!verified(public, MESSAGE, &tampered), "{name}: signature byte {at}");
    }
    assert!(!verified(public, MESSAGE, &signature[1..]), "{name}: shorter");
    assert!(!verified(public, MESSAGE, &[signature, &[0]].concat()), "{name}: longer");
    assert!(!verified(public, MESSAGE, &[]), "{name}: no signature");
    assert!(!verified(&public[1..], MESSAGE, signature), "{name}: shorter key");
    assert!(!verified(&[], MESSAGE, signature), "{name}: no key");
}

/// The algorithm that TLS 1.3 uses for a scheme.
fn algorithm_of(scheme: SignatureScheme) -> &'static dyn SignatureVerificationAlgorithm {
    let mapping = crypto_provider().signature_verification_algorithms.mapping;
    mapping.iter().find(|(name, _)| *name == scheme).unwrap().1[0]
}

/// The key within a `SubjectPublicKeyInfo`.
fn public_key(spki: &[u8]) -> Vec<u8> {
    let spki = SubjectPublicKeyInfoRef::try_from(spki).unwrap();
    spki.subject_public_key.as_bytes().unwrap().to_vec()
}

fn reversed(schemes: &[SignatureScheme]) -> Vec<SignatureScheme> {
    schemes.iter().rev().copied().collect()
}

fn pkcs8(der: &[u8]) -> PrivateKeyDer<'_> {
    PrivatePkcs8KeyDer::from(der).into()
}

fn pkcs1(der: &[u8]) -> PrivateKeyDer<'_> {
    PrivatePkcs1KeyDer::from(der).into()
}

fn sec1(der: &[u8]) -> PrivateKeyDer<'_> {
    PrivateSec1KeyDer::from(der).into()
}

/// What the fixtures sign.
const MESSAGE: &[u8] = b"guest-tls";

const ALL_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The key of RFC 8410 section 10.3.
const ED25519_V2: &[u8] = b"\x30\x72\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20\
    \xd4\xee\x72\xdb\xf9\x13\x58\x4a\xd5\xb6\xd8\xf1\xf7\x69\xf8\xad\
    \x3a\xfe\x7c\x28\xcb\xf1\xd4\xfb\xe0\x97\xa8\x8f\x44\x75\x58\x42\
    \xa0\x1f\x30\x1d\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x09\x09\x14\x31\x0f\
    \x0c\x0d\x43\x75\x72\x64\x6c\x65\x20\x43\x68\x61\x69\x72\x73\
    \x81\x21\x00\x19\xbf\x44\x09\x69\x84\xcd\xfe\x85\x41\xba\xc1\x67\xdc\x3b\x96\
    \xc8\x50\x86\xaa\x30\xb6\xb6\xcb\x0c\x5c\x38\xad\x70\x31\x66\xe1";
