//! RSA signatures (RFC 8017 section 8), PSS first.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use guest_tls_kernels::rsa::{Blinding, Parts, PrivateKey};
use rsa::PrivateKey as CheckedKey;
use rsa::pkcs1::{EncodeRsaPublicKey, RsaPrivateKeyRef};
use rsa::pkcs8::AssociatedOid;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{SubjectPublicKeyInfoDer, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

use zeroize::Zeroizing;

use super::{failed, refused};
use crate::provider::verify::{self, RSA_BITS};
use crate::provider::{padding, random};

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
    let key = CheckedKey::try_from(parts).map_err(|_| {
        refused("the numbers of the RSA key do not belong together, or its public exponent is out of range")
    })?;
    let public = key.as_public_key().to_pkcs1_der().map_err(|_| refused("its public half cannot be encoded"))?;
    let key = private_key(&key)
        .ok_or_else(|| refused("it has other than two primes, or the lengths of its primes are too different"))?;
    Ok(Arc::new(RsaKey {
        spki: public_key_to_spki(&alg_id::RSA_ENCRYPTION, public.as_bytes()),
        key: Arc::new(Key { key, blinding: Mutex::new(None) }),
    }))
}

/// The kernel's form of a key that the crate has checked. What is calculated with is what the crate made of the primes, not
/// what a file says.
fn private_key(key: &CheckedKey) -> Option<PrivateKey> {
    let [p, q] = key.primes() else { return None };
    let bytes = |number: &rsa::BoxedUint| Zeroizing::new(number.to_be_bytes());
    let q_inverse = Zeroizing::new(key.crt_coefficient()?);
    PrivateKey::new(&Parts {
        modulus: &bytes(key.n().as_ref()),
        exponent: verify::exponent(&bytes(key.e()))?,
        p: &bytes(p.as_ref()),
        q: &bytes(q.as_ref()),
        d_p: &bytes(key.dp()?),
        d_q: &bytes(key.dq()?),
        q_inverse: &bytes(&q_inverse),
    })
}

/// A key, and the blinding of its next signature.
struct Key {
    key: PrivateKey,
    blinding: Mutex<Option<Fresh>>,
}

/// A blinding, and how often it may be used.
struct Fresh {
    blinding: Blinding,
    uses: u32,
}

impl Key {
    /// RSASP1 (RFC 8017 section 5.2.1), blinded and verified.
    fn sign(&self, encoded: &[u8]) -> Result<Vec<u8>, Error> {
        // Nothing panics with the lock held; and a blinding left behind by a panic would be a good one.
        let mut blinding = self.blinding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = match blinding.take().filter(|fresh| fresh.uses > 0) {
            Some(fresh) => fresh,
            None => self.fresh()?,
        };
        fresh.uses -= 1;
        let signature = self.key.apply(encoded, &mut fresh.blinding).map_err(|error| failed(&error.to_string()));
        *blinding = Some(fresh);
        signature
    }

    fn fresh(&self) -> Result<Fresh, Error> {
        let mut bytes = Zeroizing::new(vec![0; self.key.public_key().len() + 8]);
        random::fill(&mut bytes)?;
        let blinding = self.key.blinding(&bytes).ok_or_else(|| failed("the host's randomness is none"))?;
        Ok(Fresh { blinding, uses: USES_OF_A_BLINDING })
    }
}

struct RsaKey {
    key: Arc<Key>,
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
    key: Arc<Key>,
    scheme: &'static Scheme,
}

impl Signer for RsaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let encoded = (self.scheme.encode)(message, self.key.key.public_key().bits())?;
        self.key.sign(&encoded)
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
    /// What is signed of a message, by a modulus of so many bits.
    encode: fn(message: &[u8], bits: usize) -> Result<Vec<u8>, Error>,
}

impl Scheme {
    const fn pss<D: Digest>(name: SignatureScheme) -> Self {
        // The salt is as long as the hash (RFC 8446 section 4.2.3).
        let encode = |message: &[u8], bits| {
            let mut salt = vec![0; <D as Digest>::output_size()];
            random::fill(&mut salt)?;
            padding::pss::<D>(&D::digest(message), &salt, bits).ok_or_else(too_short)
        };
        Self { name, encode }
    }

    const fn pkcs1<D: Digest + AssociatedOid>(name: SignatureScheme) -> Self {
        Self { name, encode: |message, bits| padding::pkcs1::<D>(&D::digest(message), bits).ok_or_else(too_short) }
    }
}

fn too_short() -> Error {
    failed("the modulus is too short for the hash")
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

/// A blinding is squared after each use, and drawn anew after so many.
const USES_OF_A_BLINDING: u32 = 64;
