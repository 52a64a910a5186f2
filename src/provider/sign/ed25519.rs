//! Ed25519 signatures (RFC 8032, RFC 8446 section 4.2.3).

use core::fmt;
use std::sync::Arc;

use ed25519_dalek::Signer as _;
use rsa::pkcs8::PrivateKeyInfoRef;
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{SubjectPublicKeyInfoDer, alg_id};

use super::{failed, refused};

/// The key of PKCS#8 with `id-Ed25519` (RFC 8410 section 7).
pub(super) fn from_pkcs8(info: PrivateKeyInfoRef<'_>) -> Result<Arc<dyn SigningKey>, Error> {
    let key = ed25519_dalek::SigningKey::try_from(info).map_err(|_| refused("it is not a valid Ed25519 key"))?;
    Ok(Arc::new(Ed25519Key { spki: public_key_to_spki(&alg_id::ED25519, key.verifying_key()), key: Arc::new(key) }))
}

struct Ed25519Key {
    key: Arc<ed25519_dalek::SigningKey>,
    spki: SubjectPublicKeyInfoDer<'static>,
}

impl SigningKey for Ed25519Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ED25519)
            .then(|| Box::new(Ed25519Signer(self.key.clone())) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.spki.as_ref()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Key").finish_non_exhaustive()
    }
}

struct Ed25519Signer(Arc<ed25519_dalek::SigningKey>);

impl Signer for Ed25519Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // Ed25519 has no randomness: a right and a faulty signature of the same message give the key away. So a faulty
        // one must not leave.
        let signature = self.0.sign(message);
        self.0
            .verifying_key()
            .verify_strict(message, &signature)
            .map_err(|_| failed("the Ed25519 signature came out wrong"))?;
        Ok(signature.to_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl fmt::Debug for Ed25519Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Signer").finish_non_exhaustive()
    }
}
