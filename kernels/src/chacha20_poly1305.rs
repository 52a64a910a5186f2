//! ChaCha20-Poly1305 (RFC 8439 section 2.8) on a whole text in place.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::chacha20::{BLOCK_LEN, ChaCha20, GROUP_LEN};
use crate::simd::{wipe, xor};
use crate::{NONCE_LEN, TAG_LEN, WrongTag, poly1305};

/// A key of ChaCha20-Poly1305. It is wiped when it is dropped.
pub struct ChaCha20Poly1305 {
    key: [u8; 32],
}

impl ChaCha20Poly1305 {
    /// The length of a key.
    pub const KEY_LEN: usize = 32;

    /// Takes a key.
    pub fn new(key: &[u8; Self::KEY_LEN]) -> Self {
        Self { key: *key }
    }

    /// Encrypts `text` in place and gives the tag of `aad` and the ciphertext. No nonce may be used twice with a key.
    ///
    /// # Panics
    /// If `text` is longer than RFC 8439 allows, which is 256 GiB less 64 bytes.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        Stream::with(&self.key, nonce, |stream| {
            stream.xor(text);
            stream.tag(aad, text)
        })
    }

    /// Checks the tag of `aad` and the ciphertext `text`, in constant time, and if it is right decrypts `text` in place.
    ///
    /// If it is wrong `text` stays as it is.
    ///
    /// # Panics
    /// If `text` is longer than RFC 8439 allows, which is 256 GiB less 64 bytes.
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), WrongTag> {
        Stream::with(&self.key, nonce, |stream| {
            if !bool::from(stream.tag(aad, text).ct_eq(tag)) {
                return Err(WrongTag);
            }
            stream.xor(text);
            Ok(())
        })
    }
}

impl Drop for ChaCha20Poly1305 {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// The key stream of one text, with its first blocks at hand: the very first is the key of the tag.
struct Stream {
    cipher: ChaCha20,
    first: [u8; GROUP_LEN],
}

impl Stream {
    /// Hands the stream to `work`, where it stands: to move it would leave copies of its keys.
    fn with<T>(key: &[u8; 32], nonce: &[u8; NONCE_LEN], work: impl FnOnce(&Self) -> T) -> T {
        let mut stream = Self { cipher: ChaCha20::new(key, nonce), first: [0; GROUP_LEN] };
        stream.cipher.xor_first(&mut stream.first);
        work(&stream)
    }

    fn tag(&self, aad: &[u8], text: &[u8]) -> [u8; TAG_LEN] {
        // The array has more than 32 bytes.
        let key = self.first.first_chunk().expect("a block has 64 bytes");
        poly1305::tag(key, aad, text)
    }

    fn xor(&self, text: &mut [u8]) {
        assert!(
            text.len() as u64 <= MAX_LEN,
            "a text for ChaCha20-Poly1305 has {} bytes, at most {MAX_LEN} are allowed",
            text.len()
        );
        let first = &self.first[BLOCK_LEN..];
        let (at_hand, rest) = text.split_at_mut(text.len().min(first.len()));
        xor(at_hand, first);
        self.cipher.xor(4, rest);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        wipe(&mut self.first);
    }
}

/// The longest text: the counter has 32 bits, and block 0 is for the tag's key (RFC 8439 section 2.8).
const MAX_LEN: u64 = ((1 << 32) - 1) * 64;
