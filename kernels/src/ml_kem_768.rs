//! ML-KEM-768 (FIPS 203): the crate `ml-kem`, which is generic, so that it is compiled where it is used. Here that is for
//! speed.

use ml_kem::ml_kem_768 as inner;
use ml_kem::{Decapsulate as _, KeyExport as _, TryKeyInit as _};
use zeroize::Zeroizing;

/// The length of an encapsulation key.
pub const ENCAPSULATION_KEY_LEN: usize = 1184;

/// The length of a ciphertext.
pub const CIPHERTEXT_LEN: usize = 1088;

/// The length of a shared secret.
pub const SECRET_LEN: usize = 32;

/// A private key. It is wiped when it is dropped.
pub struct DecapsulationKey(inner::DecapsulationKey);

impl DecapsulationKey {
    /// The key of the seeds d and z: `ML-KEM.KeyGen_internal` (section 6.1).
    pub fn from_seed(seed: &[u8; 64]) -> Self {
        Self(inner::DecapsulationKey::from_seed((*seed).into()))
    }

    /// Its public key.
    pub fn encapsulation_key(&self) -> [u8; ENCAPSULATION_KEY_LEN] {
        self.0.encapsulation_key().to_bytes().into()
    }

    /// The secret in a ciphertext: `ML-KEM.Decaps` (section 7.3). One that was not made for this key gives a secret that
    /// nobody knows ("implicit rejection"), in the same time.
    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Zeroizing<[u8; SECRET_LEN]> {
        Zeroizing::new(self.0.decapsulate(&(*ciphertext).into()).into())
    }
}

/// A ciphertext for the owner of a public key, and the secret in it: `ML-KEM.Encaps` (section 7.2) with the randomness m.
/// Nothing if the key is not one: a number in it is not below q.
pub fn encapsulate(
    key: &[u8; ENCAPSULATION_KEY_LEN],
    m: &[u8; 32],
) -> Option<([u8; CIPHERTEXT_LEN], Zeroizing<[u8; SECRET_LEN]>)> {
    let key = inner::EncapsulationKey::new_from_slice(key).ok()?;
    let (ciphertext, secret) = key.encapsulate_deterministic(&(*m).into());
    Some((ciphertext.into(), Zeroizing::new(secret.into())))
}
