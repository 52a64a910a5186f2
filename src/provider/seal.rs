//! ChaCha20-Poly1305 with a key that serves once, so that the nonce is zero (RFC 8439 section 2.8): for what is no TLS record.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use rustls::Error;

/// Encrypts `text` in place and gives its tag. Each key must be used once only.
pub(crate) fn seal(key: &[u8; 32], aad: &[u8], text: &mut [u8]) -> Result<[u8; TAG_LEN], Error> {
    ChaCha20Poly1305::new(key.into())
        .encrypt_inout_detached(&Nonce::default(), aad, text.into())
        .map(Into::into)
        .map_err(|_| Error::EncryptError)
}

/// Checks the tag at the end of `sealed`, decrypts what stands before it, and says how long that is.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &mut [u8]) -> Result<usize, Error> {
    let (text, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::DecryptError)?;
    ChaCha20Poly1305::new(key.into())
        .decrypt_inout_detached(&Nonce::default(), aad, (&mut *text).into(), &(*tag).into())
        .map_err(|_| Error::DecryptError)?;
    Ok(text.len())
}

/// The length of a tag.
pub(crate) const TAG_LEN: usize = 16;
