//! HMAC (RFC 2104) with SHA-256 and SHA-384, and what is built of it: HKDF (RFC 5869), which is the key schedule of
//! TLS 1.3 (RFC 8446 section 7.1), and the PRF of TLS 1.2 (RFC 5246 section 5).

use core::marker::PhantomData;

use hmac::{EagerHash, KeyInit, Mac};
use rustls::crypto::hmac::{Hmac, Key, Tag};
use rustls::crypto::tls12::{Prf, PrfUsingHmac};
use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};
#[cfg(feature = "aes-gcm")]
use sha2::Sha384;
use sha2::{Digest, Sha256};

/// HMAC-SHA256.
pub(super) static HMAC_SHA256: &dyn Hmac = &HmacOf::<Sha256>::NEW;

/// HMAC-SHA384.
#[cfg(feature = "aes-gcm")]
pub(super) static HMAC_SHA384: &dyn Hmac = &HmacOf::<Sha384>::NEW;

/// HKDF-SHA256.
pub(super) static HKDF_SHA256: &dyn Hkdf = &HkdfUsingHmac(HMAC_SHA256);

/// HKDF-SHA384.
#[cfg(feature = "aes-gcm")]
pub(super) static HKDF_SHA384: &dyn Hkdf = &HkdfUsingHmac(HMAC_SHA384);

/// The PRF of TLS 1.2 with SHA-256.
pub(super) static PRF_SHA256: &dyn Prf = &PrfUsingHmac(HMAC_SHA256);

/// The PRF of TLS 1.2 with SHA-384 (RFC 5289 section 3).
#[cfg(feature = "aes-gcm")]
pub(super) static PRF_SHA384: &dyn Prf = &PrfUsingHmac(HMAC_SHA384);

/// The HMAC of one hash function.
struct HmacOf<D>(PhantomData<fn() -> D>);

impl<D> HmacOf<D> {
    const NEW: Self = Self(PhantomData);
}

impl<D> Hmac for HmacOf<D>
where
    D: EagerHash + Digest + 'static,
    hmac::Hmac<D>: Mac + KeyInit + Clone + Send + Sync,
{
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        // RFC 2104 section 2 takes keys of any length: longer ones are hashed first, shorter ones padded.
        let mac = <hmac::Hmac<D> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        Box::new(Keyed(mac))
    }

    fn hash_output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

/// An HMAC with its key already absorbed; the state is wiped when it is dropped.
struct Keyed<M>(M);

impl<M: Mac + Clone + Send + Sync> Key for Keyed<M> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        M::output_size()
    }
}
