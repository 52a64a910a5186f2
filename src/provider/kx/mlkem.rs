//! ML-KEM-768 (FIPS 203), the post-quantum half of the hybrid. It is no group of its own here.

use guest_tls_kernels::ml_kem_768::{self, DecapsulationKey};
use rustls::Error;
use zeroize::Zeroizing;

use super::INVALID_KEY_SHARE;
use crate::provider::random;

/// The length of an encapsulation key, which is what a client sends.
pub(in crate::provider) const ENCAPSULATION_KEY_LEN: usize = ml_kem_768::ENCAPSULATION_KEY_LEN;

/// The length of a ciphertext, which is what a server answers.
pub(in crate::provider) const CIPHERTEXT_LEN: usize = ml_kem_768::CIPHERTEXT_LEN;

/// The length of the shared secret.
pub(in crate::provider) const SECRET_LEN: usize = ml_kem_768::SECRET_LEN;

/// A shared secret.
pub(in crate::provider) type Secret = Zeroizing<[u8; SECRET_LEN]>;

/// The client's keys. They are wiped when they are dropped.
pub(in crate::provider) struct KeyPair(DecapsulationKey);

impl KeyPair {
    /// A fresh pair: `ML-KEM.KeyGen` (FIPS 203 section 7.1).
    pub(in crate::provider) fn generate() -> Result<Self, Error> {
        Ok(Self::from_seed(&*random::secret()?))
    }

    /// The pair of the seeds d and z.
    pub(in crate::provider) fn from_seed(seed: &[u8; 64]) -> Self {
        Self(DecapsulationKey::from_seed(seed))
    }

    /// What the client sends.
    pub(in crate::provider) fn encapsulation_key(&self) -> [u8; ENCAPSULATION_KEY_LEN] {
        self.0.encapsulation_key()
    }

    /// The secret that the server put into `ciphertext`: `ML-KEM.Decaps` (FIPS 203 section 7.3).
    ///
    /// Only a wrong length is an error. Any other ciphertext gives a secret, and if the server did not make it with
    /// our key, one that nobody knows ("implicit rejection"): the handshake then fails at `Finished`.
    pub(in crate::provider) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret, Error> {
        let ciphertext = ciphertext.try_into().map_err(|_| INVALID_KEY_SHARE)?;
        Ok(self.0.decapsulate(ciphertext))
    }
}

/// The server's part: the ciphertext for the owner of `encapsulation_key`, and the secret in it.
///
/// This is `ML-KEM.Encaps` (FIPS 203 section 7.2) with the checks that it asks for: the key must have the right length
/// and all its numbers must be below q.
pub(in crate::provider) fn encapsulate(encapsulation_key: &[u8]) -> Result<([u8; CIPHERTEXT_LEN], Secret), Error> {
    encapsulate_with(encapsulation_key, &*random::secret()?)
}

/// [`encapsulate`] with the randomness m.
pub(in crate::provider) fn encapsulate_with(
    encapsulation_key: &[u8],
    m: &[u8; 32],
) -> Result<([u8; CIPHERTEXT_LEN], Secret), Error> {
    let key = encapsulation_key.try_into().map_err(|_| INVALID_KEY_SHARE)?;
    ml_kem_768::encapsulate(key, m).ok_or(INVALID_KEY_SHARE)
}
