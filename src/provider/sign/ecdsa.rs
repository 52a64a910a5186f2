//! ECDSA signatures on the NIST curves, each with its natural hash (RFC 8446 section 4.2.3), once for all curves.
//!
//! The nonce is that of RFC 6979 with fresh randomness mixed in (its section 3.6): neither a bad generator nor a fault
//! that strikes while the same message is signed twice gives the key away.

use core::error::Error as _;
use core::{fmt, iter};
use std::sync::Arc;

use ecdsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use elliptic_curve::array::typenum::Unsigned;
use elliptic_curve::sec1::{ModulusSize, ValidatePublicKey};
use elliptic_curve::{FieldBytesSize, SecretKey};
use p384::NistP384;
use p521::NistP521;
use rsa::pkcs8::{AssociatedOid, PrivateKeyInfoRef};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{AlgorithmIdentifier, SubjectPublicKeyInfoDer, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::{failed, refused};
use crate::certificate::der;
use crate::provider::p256::{self, P256};
use crate::provider::random::Rng;

/// The key of PKCS#8 with `id-ecPublicKey`, which names its curve (RFC 5480 section 2.1.1).
pub(super) fn from_pkcs8(info: PrivateKeyInfoRef<'_>) -> Result<Arc<dyn SigningKey>, Error> {
    let curve = info.algorithm.parameters_oid().map_err(|_| refused("its elliptic curve has no name"))?;
    let key = info.private_key.as_bytes();
    if curve == P256::OID {
        key_on::<P256>(key)
    } else if curve == NistP384::OID {
        key_on::<NistP384>(key)
    } else if curve == NistP521::OID {
        key_on::<NistP521>(key)
    } else {
        Err(refused(&format!("its curve {curve} is none of P-256, P-384 and P-521")))
    }
}

/// The key of an `ECPrivateKey` (RFC 5915 section 3).
///
/// It may leave its curve out. Then the length decides, hence the order: a scalar shorter than its curve is padded.
pub(super) fn from_sec1(der: &[u8]) -> Result<Arc<dyn SigningKey>, Error> {
    key_on::<P256>(der)
        .or_else(|_| key_on::<NistP384>(der))
        .or_else(|_| key_on::<NistP521>(der))
        .map_err(|_| refused("it is not a valid EC key on P-256, P-384 or P-521"))
}

/// An `ECPrivateKey` whose scalar has `length` octets. RFC 5915 section 3 wants as many as the order of the curve has; GnuTLS writes
/// a zero more where the first bit is set, and leaves out those in front, as in an INTEGER. None where it is longer.
fn of_length(der: &[u8], length: usize) -> Option<Zeroizing<Vec<u8>>> {
    let mut fields = der::Reader::new(der::only(der, der::SEQUENCE)?);
    let version = fields.read().filter(|version| version.tag == der::INTEGER)?;
    let written = fields.expect(der::OCTET_STRING)?;
    let mut rest = Vec::new();
    while !fields.is_empty() {
        rest.extend_from_slice(fields.read()?.whole);
    }
    // That a key has zeros in front, its file shows to whoever sees how long it is.
    let zeros = written.iter().take_while(|octet| **octet == 0).count();
    let scalar = &written[zeros.min(written.len().saturating_sub(1))..];
    let padding = length.checked_sub(scalar.len())?;
    let content = version.whole.len() + 2 + length + rest.len();
    let mut key = Zeroizing::new(Vec::with_capacity(content + 4));
    match u8::try_from(content).ok()? {
        short @ ..=0x7f => key.extend([der::SEQUENCE, short]),
        long => key.extend([der::SEQUENCE, 0x81, long]),
    }
    key.extend_from_slice(version.whole);
    key.extend([der::OCTET_STRING, u8::try_from(length).ok()?]);
    key.extend(iter::repeat_n(0, padding));
    key.extend_from_slice(scalar);
    key.extend_from_slice(&rest);
    Some(key)
}

/// A curve, and how it signs in TLS.
trait Curve: elliptic_curve::Curve {
    type Key: From<SecretKey<Self>> + RandomizedPrehashSigner<Self::Signature> + Send + Sync;
    /// DER, as TLS has it.
    type Signature: AsRef<[u8]>;
    type Hash: Digest;
    const SCHEME: SignatureScheme;
    const ALGORITHM: AlgorithmIdentifier;

    /// The public point, uncompressed.
    fn public_key(key: &Self::Key) -> Vec<u8>;

    /// Whether the signature that the key has made of this hash is right: a faulty one could give the key away.
    fn is_right(key: &Self::Key, hash: &[u8], signature: &Self::Signature) -> bool;
}

impl Curve for P256 {
    type Key = p256::SigningKey;
    type Signature = p256::DerSignature;
    type Hash = Sha256;
    const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    const ALGORITHM: AlgorithmIdentifier = alg_id::ECDSA_P256;

    fn public_key(key: &Self::Key) -> Vec<u8> {
        key.public_key().to_vec()
    }

    /// The kernel has checked it before it gave it.
    fn is_right(_: &Self::Key, _: &[u8], _: &Self::Signature) -> bool {
        true
    }
}

/// A curve that is RustCrypto's altogether.
macro_rules! curve {
    ($curve:ty, $crate_name:ident, $hash:ty, $scheme:ident, $algorithm:ident) => {
        impl Curve for $curve {
            type Key = $crate_name::ecdsa::SigningKey;
            type Signature = $crate_name::ecdsa::DerSignature;
            type Hash = $hash;
            const SCHEME: SignatureScheme = SignatureScheme::$scheme;
            const ALGORITHM: AlgorithmIdentifier = alg_id::$algorithm;

            fn public_key(key: &Self::Key) -> Vec<u8> {
                key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
            }

            fn is_right(key: &Self::Key, hash: &[u8], signature: &Self::Signature) -> bool {
                key.verifying_key().verify_prehash(hash, signature).is_ok()
            }
        }
    };
}

curve!(NistP384, p384, Sha384, ECDSA_NISTP384_SHA384, ECDSA_P384);
curve!(NistP521, p521, Sha512, ECDSA_NISTP521_SHA512, ECDSA_P521);

fn key_on<C>(sec1: &[u8]) -> Result<Arc<dyn SigningKey>, Error>
where
    C: Curve + AssociatedOid + ValidatePublicKey,
    FieldBytesSize<C>: ModulusSize,
{
    let sec1 = of_length(sec1, FieldBytesSize::<C>::USIZE);
    let secret = sec1.and_then(|sec1| SecretKey::<C>::from_sec1_der(&sec1).ok());
    let secret = secret.ok_or_else(|| refused("it is not a valid EC key of the curve it names"))?;
    let key = C::Key::from(secret);
    let spki = public_key_to_spki(&C::ALGORITHM, C::public_key(&key));
    Ok(Arc::new(EcdsaKey::<C> { key: Arc::new(key), spki }))
}

struct EcdsaKey<C: Curve> {
    key: Arc<C::Key>,
    spki: SubjectPublicKeyInfoDer<'static>,
}

impl<C: Curve> SigningKey for EcdsaKey<C> {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&C::SCHEME).then(|| Box::new(EcdsaSigner::<C>(self.key.clone())) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.spki.as_ref()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl<C: Curve> fmt::Debug for EcdsaKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaKey").field("scheme", &C::SCHEME).finish_non_exhaustive()
    }
}

struct EcdsaSigner<C: Curve>(Arc<C::Key>);

impl<C: Curve> Signer for EcdsaSigner<C> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let hash = C::Hash::digest(message);
        let signature = self.0.sign_prehash_with_rng(&mut Rng, &hash).map_err(|error| match error.source() {
            Some(reason) => failed(&reason.to_string()),
            None => failed("the host gave no randomness"),
        })?;
        if !C::is_right(&self.0, &hash, &signature) {
            return Err(failed("the ECDSA signature came out wrong"));
        }
        Ok(signature.as_ref().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        C::SCHEME
    }
}

impl<C: Curve> fmt::Debug for EcdsaSigner<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaSigner").field("scheme", &C::SCHEME).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with it does not matter: another key's, or another hash's.
    #[test]
    fn wrong_signatures_do_not_leave() {
        fn check<C: Curve>(len: usize) {
            let key = |last| {
                let mut bytes = vec![0; len];
                bytes[len - 1] = last;
                C::Key::from(SecretKey::<C>::from_slice(&bytes).expect("it is below the order"))
            };
            let hash = C::Hash::digest(b"message");
            let signature = key(3).sign_prehash_with_rng(&mut Rng, &hash).expect("there is randomness");
            assert!(C::is_right(&key(3), &hash, &signature), "{:?}", C::SCHEME);
            assert!(!C::is_right(&key(4), &hash, &signature), "{:?}: another key", C::SCHEME);
            assert!(!C::is_right(&key(3), &C::Hash::digest(b"other"), &signature), "{:?}: another hash", C::SCHEME);
        }
        check::<NistP384>(48);
        check::<NistP521>(66);
    }
}
