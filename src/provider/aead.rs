//! The AEADs that protect records, in the one shape that TLS 1.2 and TLS 1.3 share: keys of their own length, nonces
//! of 12 bytes, tags of 16 bytes behind the ciphertext, and all work done in place in the record's buffer.

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::cipher::{AeadKey, Iv, NONCE_LEN, Nonce, PrefixedPayload};
use rustls::{ConnectionTrafficSecrets, Error};

/// An AEAD that TLS knows: AES-GCM (RFC 5116) and ChaCha20-Poly1305 (RFC 8439).
pub(super) trait Aead: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static {
    /// How much of the nonce a TLS 1.2 record carries in the open: 8 bytes for AES-GCM (RFC 5288 section 3), nothing
    /// for ChaCha20-Poly1305 (RFC 7905 section 2). In TLS 1.3 it is always nothing.
    const EXPLICIT_NONCE_LEN: usize;

    /// Key and nonce for whoever encrypts in our place (kernel TLS).
    fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets;
}

impl Aead for Aes128Gcm {
    const EXPLICIT_NONCE_LEN: usize = 8;

    fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    }
}

impl Aead for Aes256Gcm {
    const EXPLICIT_NONCE_LEN: usize = 8;

    fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
        ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    }
}

impl Aead for ChaCha20Poly1305 {
    const EXPLICIT_NONCE_LEN: usize = 0;

    fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }
    }
}

/// One direction's key. The crates wipe it when it is dropped.
pub(super) struct RecordKey<A>(A);

impl<A: Aead> RecordKey<A> {
    /// Takes the key that rustls derived; its length is the one the suite asked for.
    pub(super) fn new(key: &[u8]) -> Self {
        // `Tls13Aead::key_len` and `Tls12Aead::key_block_shape` give rustls this very length.
        Self(A::new_from_slice(key).expect("rustls derives keys of the suite's length"))
    }

    /// Encrypts what stands in `record` from `start` on, and appends the tag.
    pub(super) fn seal(
        &self,
        nonce: &Nonce,
        aad: &[u8],
        record: &mut PrefixedPayload,
        start: usize,
    ) -> Result<(), Error> {
        let text = &mut record.as_mut()[start..];
        let tag = self.0.encrypt_inout_detached(&nonce.0.into(), aad, text.into()).map_err(|_| Error::EncryptError)?;
        record.extend_from_slice(&tag);
        Ok(())
    }

    /// Checks the tag at the end of `record` and decrypts what stands before it, and says how long that is.
    ///
    /// A record that is too short or whose tag is wrong gives [`Error::DecryptError`] (`bad_record_mac`, RFC 8446
    /// section 5.2) and keeps its ciphertext. The tag is compared in constant time.
    pub(super) fn open(&self, nonce: &Nonce, aad: &[u8], record: &mut [u8]) -> Result<usize, Error> {
        let (text, tag) = record.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::DecryptError)?;
        self.0
            .decrypt_inout_detached(&nonce.0.into(), aad, (&mut *text).into(), &(*tag).into())
            .map_err(|_| Error::DecryptError)?;
        Ok(text.len())
    }
}

/// The length of a key of `A`.
pub(super) fn key_len<A: Aead>() -> usize {
    A::key_size()
}

/// The length of the tag behind each ciphertext.
pub(super) const TAG_LEN: usize = 16;

const _: () = assert!(NONCE_LEN == 12, "U12 above is the length of rustls' nonces");
