//! Our own signatures: private keys as PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2) and SEC1 (RFC 5915).
//!
//! RSA keys have 2048 to 8192 bits; the curves are P-256, P-384, P-521 and Ed25519. Keys are wiped when they are
//! dropped. No signature leaves before it was verified where a fault in the computation would give the key away.

mod ecdsa;
mod ed25519;
mod rsa;

use std::sync::Arc;

use ::rsa::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rustls::Error;
use rustls::crypto::KeyProvider;
use rustls::sign::SigningKey;
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

/// The private key in `der`, ready to sign.
///
/// # Errors
/// [`Error::General`] with a sentence that says what is wrong with the key: its encoding, its kind, or its size.
pub fn signing_key(der: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, Error> {
    match der {
        PrivateKeyDer::Pkcs8(der) => from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => rsa::from_pkcs1(der.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(der) => ecdsa::from_sec1(der.secret_sec1_der()),
        _ => Err(refused("its format is neither PKCS#8, PKCS#1 nor SEC1")),
    }
}

/// [`signing_key`] as rustls wants it.
#[derive(Debug)]
pub(super) struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, der: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        signing_key(&Zeroizing::new(der))
    }
}

/// PKCS#8 says itself what kind of key it holds.
fn from_pkcs8(der: &[u8]) -> Result<Arc<dyn SigningKey>, Error> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| refused("it is not valid PKCS#8"))?;
    match info.algorithm.oid {
        RSA_ENCRYPTION => rsa::from_pkcs1(info.private_key.as_bytes()),
        EC_PUBLIC_KEY => ecdsa::from_pkcs8(info),
        ED25519 => ed25519::from_pkcs8(info),
        ID_RSASSA_PSS => {
            Err(refused("it is an RSA key for PSS only (id-RSASSA-PSS); an ordinary RSA key also signs with PSS"))
        }
        other => Err(refused(&format!("its algorithm {other} is none of RSA, ECDSA and Ed25519"))),
    }
}

/// A key that we cannot use.
fn refused(why: &str) -> Error {
    Error::General(format!("the private key cannot be used: {why}"))
}

/// A signature that did not come about.
fn failed(why: &str) -> Error {
    Error::General(format!("signing failed: {why}"))
}

/// `rsaEncryption` (RFC 8017 appendix A.1).
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-RSASSA-PSS` (RFC 8017 appendix A.2.3).
const ID_RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// `id-ecPublicKey` (RFC 5480 section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `id-Ed25519` (RFC 8410 section 3).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
