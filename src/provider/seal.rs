//! ChaCha20-Poly1305 with a key that serves once, so that the nonce is zero (RFC 8439 section 2.8): for what is no TLS record.

use guest_tls_kernels::{ChaCha20Poly1305, NONCE_LEN};
use rustls::Error;

/// Encrypts `text` in place and gives its tag. Each key must be used once only.
pub(crate) fn seal(key: &[u8; 32], aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
    ChaCha20Poly1305::new(key).seal(&[0; NONCE_LEN], aad, text)
}

/// Checks the tag at the end of `sealed`, decrypts what stands before it, and says how long that is.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &mut [u8]) -> Result<usize, Error> {
    let (text, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::DecryptError)?;
    let opened = ChaCha20Poly1305::new(key).open(&[0; NONCE_LEN], aad, text, tag);
    opened.map(|()| text.len()).map_err(|_| Error::DecryptError)
}

/// The length of a tag.
pub(crate) const TAG_LEN: usize = guest_tls_kernels::TAG_LEN;
