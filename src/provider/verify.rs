//! The signatures of others: those in certificates and those in the handshake (RFC 8446 sections 4.2.3 and 4.4.3).
//!
//! RSA keys have 2048 to 8192 bits and a public exponent below 2^33; others are refused, whoever signed them.
//! PSS has a salt as long as its hash. A point may be compressed in a certificate (RFC 5480 section 2.2), and an ECDSA
//! signature is strict DER. Ed25519 takes no keys of small order.

use core::ops::RangeInclusive;

use ecdsa::signature::hazmat::PrehashVerifier;
use elliptic_curve::sec1::Tag;
use guest_tls_kernels::rsa::PublicKey as RsaKey;
use rsa::pkcs1::RsaPublicKeyRef;
use rsa::pkcs8::AssociatedOid;
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{p256, padding};

/// Every algorithm for certificates, and for each TLS scheme those that may stand behind it.
///
/// In TLS 1.3 only the first of a scheme counts; in TLS 1.2 a scheme names a hash and not a curve (RFC 8422 section
/// 5.10), hence the further ones. The order is the one in which a client offers the schemes.
pub static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        ECDSA_P256_SHA256,
        ECDSA_P256_SHA384,
        ECDSA_P256_SHA512,
        ECDSA_P384_SHA256,
        ECDSA_P384_SHA384,
        ECDSA_P384_SHA512,
        ECDSA_P521_SHA256,
        ECDSA_P521_SHA384,
        ECDSA_P521_SHA512,
        ED25519,
        RSA_PSS_SHA256,
        RSA_PSS_SHA384,
        RSA_PSS_SHA512,
        RSA_PKCS1_SHA256,
        RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512,
        RSA_PKCS1_SHA256_ABSENT_PARAMS,
        RSA_PKCS1_SHA384_ABSENT_PARAMS,
        RSA_PKCS1_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[ECDSA_P256_SHA256, ECDSA_P384_SHA256, ECDSA_P521_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[ECDSA_P384_SHA384, ECDSA_P256_SHA384, ECDSA_P521_SHA384]),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[ECDSA_P521_SHA512, ECDSA_P384_SHA512, ECDSA_P256_SHA512]),
        (SignatureScheme::ED25519, &[ED25519]),
        (SignatureScheme::RSA_PSS_SHA256, &[RSA_PSS_SHA256]),
        (SignatureScheme::RSA_PSS_SHA384, &[RSA_PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA512, &[RSA_PSS_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[RSA_PKCS1_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[RSA_PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[RSA_PKCS1_SHA512]),
    ],
};

/// ECDSA on P-256 with SHA-256 (RFC 5758 section 3.2).
pub static ECDSA_P256_SHA256: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P256,
    signature: alg_id::ECDSA_SHA256,
    verify: ecdsa::<p256::VerifyingKey, p256::DerSignature, Sha256>,
};

/// ECDSA on P-256 with SHA-384, which is cut to 256 bits (RFC 5758 section 3.2).
pub static ECDSA_P256_SHA384: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P256,
    signature: alg_id::ECDSA_SHA384,
    verify: ecdsa::<p256::VerifyingKey, p256::DerSignature, Sha384>,
};

/// ECDSA on P-256 with SHA-512, which is cut to 256 bits (RFC 5758 section 3.2).
pub static ECDSA_P256_SHA512: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P256,
    signature: alg_id::ECDSA_SHA512,
    verify: ecdsa::<p256::VerifyingKey, p256::DerSignature, Sha512>,
};

/// ECDSA on P-384 with SHA-256 (RFC 5758 section 3.2).
pub static ECDSA_P384_SHA256: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P384,
    signature: alg_id::ECDSA_SHA256,
    verify: ecdsa::<p384::ecdsa::VerifyingKey, p384::ecdsa::DerSignature, Sha256>,
};

/// ECDSA on P-384 with SHA-384 (RFC 5758 section 3.2).
pub static ECDSA_P384_SHA384: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P384,
    signature: alg_id::ECDSA_SHA384,
    verify: ecdsa::<p384::ecdsa::VerifyingKey, p384::ecdsa::DerSignature, Sha384>,
};

/// ECDSA on P-384 with SHA-512, which is cut to 384 bits (RFC 5758 section 3.2).
pub static ECDSA_P384_SHA512: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P384,
    signature: alg_id::ECDSA_SHA512,
    verify: ecdsa::<p384::ecdsa::VerifyingKey, p384::ecdsa::DerSignature, Sha512>,
};

/// ECDSA on P-521 with SHA-256 (RFC 5758 section 3.2).
pub static ECDSA_P521_SHA256: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA256,
    verify: ecdsa::<p521::ecdsa::VerifyingKey, p521::ecdsa::DerSignature, Sha256>,
};

/// ECDSA on P-521 with SHA-384 (RFC 5758 section 3.2).
pub static ECDSA_P521_SHA384: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA384,
    verify: ecdsa::<p521::ecdsa::VerifyingKey, p521::ecdsa::DerSignature, Sha384>,
};

/// ECDSA on P-521 with SHA-512 (RFC 5758 section 3.2).
pub static ECDSA_P521_SHA512: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA512,
    verify: ecdsa::<p521::ecdsa::VerifyingKey, p521::ecdsa::DerSignature, Sha512>,
};

/// Ed25519 (RFC 8032, RFC 8410).
pub static ED25519: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::ED25519, signature: alg_id::ED25519, verify: ed25519 };

/// RSASSA-PSS with SHA-256, the key being an ordinary RSA key (RFC 4055 section 3.1).
pub static RSA_PSS_SHA256: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PSS_SHA256, verify: rsa_pss::<Sha256> };

/// RSASSA-PSS with SHA-384, the key being an ordinary RSA key (RFC 4055 section 3.1).
pub static RSA_PSS_SHA384: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PSS_SHA384, verify: rsa_pss::<Sha384> };

/// RSASSA-PSS with SHA-512, the key being an ordinary RSA key (RFC 4055 section 3.1).
pub static RSA_PSS_SHA512: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PSS_SHA512, verify: rsa_pss::<Sha512> };

/// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 4055 section 5).
pub static RSA_PKCS1_SHA256: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA256, verify: rsa_pkcs1::<Sha256> };

/// RSASSA-PKCS1-v1_5 with SHA-384 (RFC 4055 section 5).
pub static RSA_PKCS1_SHA384: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA384, verify: rsa_pkcs1::<Sha384> };

/// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 4055 section 5).
pub static RSA_PKCS1_SHA512: &dyn SignatureVerificationAlgorithm =
    &Algorithm { key: alg_id::RSA_ENCRYPTION, signature: alg_id::RSA_PKCS1_SHA512, verify: rsa_pkcs1::<Sha512> };

/// [`RSA_PKCS1_SHA256`] without the NULL that should follow its name, which must be accepted (RFC 4055 section 5).
pub static RSA_PKCS1_SHA256_ABSENT_PARAMS: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::RSA_ENCRYPTION,
    signature: AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]),
    verify: rsa_pkcs1::<Sha256>,
};

/// [`RSA_PKCS1_SHA384`] without the NULL that should follow its name, which must be accepted (RFC 4055 section 5).
pub static RSA_PKCS1_SHA384_ABSENT_PARAMS: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::RSA_ENCRYPTION,
    signature: AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c]),
    verify: rsa_pkcs1::<Sha384>,
};

/// [`RSA_PKCS1_SHA512`] without the NULL that should follow its name, which must be accepted (RFC 4055 section 5).
pub static RSA_PKCS1_SHA512_ABSENT_PARAMS: &dyn SignatureVerificationAlgorithm = &Algorithm {
    key: alg_id::RSA_ENCRYPTION,
    signature: AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]),
    verify: rsa_pkcs1::<Sha512>,
};

/// The sizes of RSA moduli that we take, in bits; for our own keys as well.
pub(super) const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// One algorithm: the two names that a certificate must carry, and what checks a signature.
#[derive(Debug)]
struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Check,
}

/// Says `Some` when the signature, which is the last argument, is the one of this key for this message.
type Check = fn(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>;

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.verify)(public_key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// ECDSA with the key `K`, its DER signature `S` and the hash `D`.
fn ecdsa<K, S, D>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()>
where
    K: for<'a> TryFrom<&'a [u8]> + PrehashVerifier<S>,
    S: for<'a> TryFrom<&'a [u8]>,
    D: Digest,
{
    // RFC 5480 section 2.2: uncompressed or compressed, "MUST be rejected if any other value".
    match Tag::try_from(*key.first()?).ok()? {
        Tag::Uncompressed | Tag::CompressedEvenY | Tag::CompressedOddY => {}
        _ => return None,
    }
    let key = K::try_from(key).ok()?;
    let signature = S::try_from(signature).ok()?;
    key.verify_prehash(&D::digest(message), &signature).ok()
}

/// Ed25519 with the checks against keys and signatures of small order that RFC 8032 leaves open.
fn ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::try_from(key).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}

/// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2).
fn rsa_pkcs1<D: Digest + AssociatedOid>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = rsa_key(key)?;
    let encoded = key.apply(signature)?;
    (encoded == padding::pkcs1::<D>(&D::digest(message), key.bits())?).then_some(())
}

/// RSASSA-PSS (RFC 8017 section 8.1.2) with a salt as long as the hash (RFC 8446 section 4.2.3).
fn rsa_pss<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = rsa_key(key)?;
    let encoded = key.apply(signature)?;
    padding::is_pss::<D>(&D::digest(message), encoded, key.bits()).then_some(())
}

/// The key of a `RSAPublicKey` (RFC 8017 appendix A.1.1).
fn rsa_key(key: &[u8]) -> Option<RsaKey> {
    let key = RsaPublicKeyRef::try_from(key).ok()?;
    let modulus = key.modulus.as_bytes();
    // Before any arithmetic: the key is the peer's, and the work grows with the cube of its length.
    if modulus.len() > RSA_BITS.end() / 8 {
        return None;
    }
    let exponent = exponent(key.public_exponent.as_bytes())?;
    RsaKey::new(modulus, exponent).filter(|key| RSA_BITS.contains(&key.bits()))
}

/// A public exponent, the highest byte first, that is below 2^33.
pub(super) fn exponent(bytes: &[u8]) -> Option<u64> {
    let number = bytes.iter().try_fold(0_u64, |number, byte| Some(number.checked_mul(256)? + u64::from(*byte)))?;
    (number < 1 << 33).then_some(number)
}
