//! RSA signatures (RFC 8017 section 8), PSS first.

use core::fmt;
use std::sync::Arc;

use rsa::pkcs1::{EncodeRsaPublicKey, RsaPrivateKeyRef};
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::AssociatedOid;
use rsa::pss::Pss;
use rsa::sha2::digest::FixedOutputReset;
use rsa::traits::SignatureScheme as Padding;
use rsa::{RsaPrivateKey, RsaPublicKey};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{SubjectPublicKeyInfoDer, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{failed, refused};
use crate::provider::random::Rng;
use crate::provider::verify::RSA_BITS;

/// The key of a `RSAPrivateKey` (RFC 8017 appendix A.1.2), which PKCS#8 has inside as well.
pub(super) fn from_pkcs1(der: &[u8]) -> Result<Arc<dyn SigningKey>, Error> {
    let parts = RsaPrivateKeyRef::try_from(der).map_err(|_| refused("it is not a valid RSA key"))?;
    let bits = bit_len(parts.modulus.as_bytes());
    if !RSA_BITS.contains(&bits) {
        return Err(refused(&format!(
            "its RSA modulus has {bits} bits; {} to {} are allowed",
            RSA_BITS.start(),
            RSA_BITS.end(),
        )));
    }
    let key = RsaPrivateKey::try_from(parts).map_err(|_| {
        refused("the numbers of the RSA key do not belong together, or its public exponent is out of range")
    })?;
    let public = key.as_public_key().to_pkcs1_der().map_err(|_| refused("its public half cannot be encoded"))?;
    Ok(Arc::new(RsaKey { spki: public_key_to_spki(&alg_id::RSA_ENCRYPTION, public.as_bytes()), key: Arc::new(key) }))
}

struct RsaKey {
    key: Arc<RsaPrivateKey>,
    spki: SubjectPublicKeyInfoDer<'static>,
}

impl SigningKey for RsaKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = SCHEMES.iter().find(|ours| offered.contains(&ours.name))?;
        Some(Box::new(RsaSigner { key: self.key.clone(), scheme }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.spki.as_ref()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").finish_non_exhaustive()
    }
}

struct RsaSigner {
    key: Arc<RsaPrivateKey>,
    scheme: &'static Scheme,
}

impl Signer for RsaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // A fault in one half of the CRT gives both primes away (RFC 8017 section 5.1.2 note, "Bellcore attack"). The
        // crate checks against that, and we check what we send: with a small public exponent it costs little.
        let signature = (self.scheme.sign)(&self.key, message).map_err(|e| failed(&e.to_string()))?;
        (self.scheme.verify)(self.key.as_public_key(), message, &signature)
            .map_err(|_| failed("the RSA signature came out wrong"))?;
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme.name
    }
}

impl fmt::Debug for RsaSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaSigner").field("scheme", &self.scheme.name).finish_non_exhaustive()
    }
}

/// One way to sign with an RSA key.
struct Scheme {
    name: SignatureScheme,
    sign: fn(&RsaPrivateKey, message: &[u8]) -> rsa::Result<Vec<u8>>,
    verify: fn(&RsaPublicKey, message: &[u8], signature: &[u8]) -> rsa::Result<()>,
}

impl Scheme {
    const fn pss<D: Digest + FixedOutputReset>(name: SignatureScheme) -> Self {
        // The salt is as long as the hash (RFC 8446 section 4.2.3).
        Self {
            name,
            sign: |key, message| sign(key, Pss::<D>::new(), &D::digest(message)),
            verify: |key, message, signature| key.verify(Pss::<D>::new(), &D::digest(message), signature),
        }
    }

    const fn pkcs1<D: Digest + AssociatedOid>(name: SignatureScheme) -> Self {
        Self {
            name,
            sign: |key, message| sign(key, Pkcs1v15Sign::new::<D>(), &D::digest(message)),
            verify: |key, message, signature| key.verify(Pkcs1v15Sign::new::<D>(), &D::digest(message), signature),
        }
    }
}

/// Signs with base blinding, for which the randomness is: time then says nothing about the key.
fn sign(key: &RsaPrivateKey, padding: impl Padding, hash: &[u8]) -> rsa::Result<Vec<u8>> {
    padding.sign(Some(&mut Rng), key, hash)
}

/// How many bits a number has that begins with a non-zero byte.
fn bit_len(number: &[u8]) -> usize {
    match number.first() {
        Some(first) => number.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

/// What an RSA key can do, in our order of preference. TLS 1.3 takes PSS only (RFC 8446 section 4.4.3).
static SCHEMES: [Scheme; 6] = [
    Scheme::pss::<Sha256>(SignatureScheme::RSA_PSS_SHA256),
    Scheme::pss::<Sha384>(SignatureScheme::RSA_PSS_SHA384),
    Scheme::pss::<Sha512>(SignatureScheme::RSA_PSS_SHA512),
    Scheme::pkcs1::<Sha256>(SignatureScheme::RSA_PKCS1_SHA256),
    Scheme::pkcs1::<Sha384>(SignatureScheme::RSA_PKCS1_SHA384),
    Scheme::pkcs1::<Sha512>(SignatureScheme::RSA_PKCS1_SHA512),
];
