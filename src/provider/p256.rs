//! P-256 on our own arithmetic, in the words of the RustCrypto crates: the curve's name and order, with which those
//! crates read keys and signatures, and the two kinds of key, which calculate with [`guest_tls_kernels::p256`].

use ecdsa::EcdsaCurve;
use ecdsa::signature::Error;
use ecdsa::signature::hazmat::{PrehashVerifier, RandomizedPrehashSigner};
use elliptic_curve::bigint::{Odd, U256};
use elliptic_curve::consts::U32;
use elliptic_curve::rand_core::TryCryptoRng;
use elliptic_curve::sec1::{Sec1Point, ValidatePublicKey};
use elliptic_curve::{Curve, PrimeCurve, SecretKey};
use guest_tls_kernels::p256 as kernel;
use hmac::{Hmac, KeyInit, Mac};
use rsa::pkcs8::{AssociatedOid, ObjectIdentifier};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The curve `secp256r1`, also `prime256v1` (SP 800-186 section 3.2.1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct P256;

/// A signature as TLS has it.
pub(super) type DerSignature = ecdsa::der::Signature<P256>;

impl Curve for P256 {
    type FieldBytesSize = U32;
    type Uint = U256;

    const ORDER: Odd<U256> =
        Odd::<U256>::from_be_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
}

impl PrimeCurve for P256 {}

impl EcdsaCurve for P256 {
    const NORMALIZE_S: bool = false;
}

impl AssociatedOid for P256 {
    const OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
}

/// A file that holds the public key as well must hold the one of its secret.
impl ValidatePublicKey for P256 {
    fn validate_public_key(secret: &SecretKey<Self>, public: &Sec1Point<Self>) -> elliptic_curve::Result<()> {
        let public = kernel::PublicKey::from_sec1(public.as_bytes()).ok_or(elliptic_curve::Error)?;
        match public.to_uncompressed() == kernel_key(secret).public_key().to_uncompressed() {
            true => Ok(()),
            false => Err(elliptic_curve::Error),
        }
    }
}

/// A secret key that signs.
pub(super) struct SigningKey(kernel::SigningKey);

impl SigningKey {
    /// The public point in 65 bytes.
    pub(super) fn public_key(&self) -> [u8; 65] {
        self.0.public_key().to_uncompressed()
    }
}

impl From<SecretKey<P256>> for SigningKey {
    fn from(secret: SecretKey<P256>) -> Self {
        Self(kernel::SigningKey::new(kernel_key(&secret)))
    }
}

impl RandomizedPrehashSigner<DerSignature> for SigningKey {
    /// Signs a hash of 32 bytes.
    fn sign_prehash_with_rng<R>(&self, rng: &mut R, hash: &[u8]) -> Result<DerSignature, Error>
    where
        R: TryCryptoRng + ?Sized,
    {
        let hash: &[u8; 32] = hash.try_into().map_err(|_| Error::new())?;
        let mut fresh = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(fresh.as_mut_slice()).map_err(|_| Error::new())?;
        let mut nonces = Nonces::new(&self.0.secret_key().to_bytes(), hash, &fresh);
        loop {
            match self.0.sign(hash, &nonces.nonce) {
                Ok([r, s]) => return Ok(ecdsa::Signature::from_scalars(r, s)?.to_der()),
                Err(kernel::SignError::Nonce) => nonces.advance(),
                Err(fault @ kernel::SignError::Fault) => return Err(Error::from_source(fault)),
            }
        }
    }
}

/// The nonces for a secret and a hash (RFC 6979 section 3.2), with fresh randomness mixed in (its section 3.6).
///
/// The `rfc6979` crate makes the same ones. This one sets up each key of HMAC once for all that is made with it, and
/// looks no further than to the first nonce before another is needed: 20 blocks of SHA-256 instead of 32.
pub(super) struct Nonces {
    /// K, ready for use.
    key: Hmac<Sha256>,
    /// V: the first candidate, and after [`Nonces::advance`] the next. The kernel refuses what is not from 1 to n - 1.
    pub(super) nonce: Zeroizing<[u8; 32]>,
}

impl Nonces {
    pub(super) fn new(secret: &[u8; 32], hash: &[u8; 32], fresh: &[u8; 32]) -> Self {
        // Modulo n, which is above 2^255.
        let hash = U256::from_be_slice(hash);
        let reduced = if hash < P256::ORDER.get() { hash } else { hash.wrapping_sub(&P256::ORDER.get()) };
        let hash = reduced.to_be_bytes().into();
        let mut nonces = Self { key: hmac_sha256(&[0; 32]), nonce: Zeroizing::new([1; 32]) };
        nonces.update(0, &[secret, &hash, fresh]);
        nonces.update(1, &[secret, &hash, fresh]);
        nonces.step();
        nonces
    }

    /// Takes the next candidate.
    pub(super) fn advance(&mut self) {
        self.update(0, &[]);
        self.step();
    }

    /// K = HMAC(K, V || separator || inputs), and V = HMAC(K, V).
    fn update(&mut self, separator: u8, inputs: &[&[u8; 32]]) {
        let mut mac = self.key.clone();
        mac.update(self.nonce.as_slice());
        mac.update(&[separator]);
        inputs.iter().for_each(|input| mac.update(*input));
        let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
        self.key = hmac_sha256(&key);
        self.step();
    }

    /// V = HMAC(K, V).
    fn step(&mut self) {
        let mut mac = self.key.clone();
        mac.update(self.nonce.as_slice());
        *self.nonce = mac.finalize().into_bytes().into();
    }
}

fn hmac_sha256(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// A public key that verifies.
pub(super) struct VerifyingKey(kernel::PublicKey);

impl TryFrom<&[u8]> for VerifyingKey {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        kernel::PublicKey::from_sec1(bytes).map(Self).ok_or_else(Error::new)
    }
}

impl PrehashVerifier<DerSignature> for VerifyingKey {
    fn verify_prehash(&self, hash: &[u8], signature: &DerSignature) -> Result<(), Error> {
        let hash = hash.first_chunk::<32>().ok_or_else(Error::new)?;
        let (r, s) = ecdsa::Signature::<P256>::try_from(signature.clone())?.split_bytes();
        match self.0.verify(hash, &r.into(), &s.into()) {
            true => Ok(()),
            false => Err(Error::new()),
        }
    }
}

/// The kernel's form of a secret.
pub(super) fn kernel_key(secret: &SecretKey<P256>) -> kernel::SecretKey {
    let bytes = Zeroizing::new(<[u8; 32]>::from(secret.to_bytes()));
    kernel::SecretKey::from_bytes(&bytes).expect("the crate's key is from 1 to n - 1 as well")
}
