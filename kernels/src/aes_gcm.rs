//! AES-GCM (NIST SP 800-38D) with nonces of 96 bits on a whole text in place.

use subtle::ConstantTimeEq;

use crate::aes::{Aes, BATCH_LEN, Counters};
use crate::ghash::Ghash;
use crate::simd::{wipe, xor};
use crate::{NONCE_LEN, TAG_LEN, WrongTag};

/// A key of AES-128-GCM. It is wiped when it is dropped.
pub struct Aes128Gcm(AesGcm<9>);

/// A key of AES-256-GCM. It is wiped when it is dropped.
pub struct Aes256Gcm(AesGcm<13>);

macro_rules! aead {
    ($name:ident, $len:literal, $new:path) => {
        impl $name {
            /// The length of a key.
            pub const KEY_LEN: usize = $len;

            /// Takes a key.
            pub fn new(key: &[u8; Self::KEY_LEN]) -> Self {
                Self(AesGcm::new($new(key)))
            }

            /// Encrypts `text` in place and gives the tag of `aad` and the ciphertext. No nonce may be used twice with a
            /// key.
            ///
            /// # Panics
            /// If `text` is longer than SP 800-38D section 5.2.1.1 allows, which is 64 GiB less 32 bytes.
            pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
                self.0.seal(nonce, aad, text)
            }

            /// Checks the tag of `aad` and the ciphertext `text`, in constant time, and if it is right decrypts `text` in
            /// place. If it is wrong `text` stays as it is.
            ///
            /// # Panics
            /// If `text` is longer than SP 800-38D section 5.2.1.1 allows, which is 64 GiB less 32 bytes.
            pub fn open(
                &self,
                nonce: &[u8; NONCE_LEN],
                aad: &[u8],
                text: &mut [u8],
                tag: &[u8; TAG_LEN],
            ) -> Result<(), WrongTag> {
                self.0.open(nonce, aad, text, tag)
            }
        }
    };
}

aead!(Aes128Gcm, 16, Aes::new_128);
aead!(Aes256Gcm, 32, Aes::new_256);

struct AesGcm<const MIDDLE: usize> {
    aes: Aes<MIDDLE>,
    ghash: Ghash,
}

impl<const MIDDLE: usize> AesGcm<MIDDLE> {
    fn new(aes: Aes<MIDDLE>) -> Self {
        // The hash's key is the block of zeros, encrypted: counter 0 behind a nonce of zeros.
        let mut batch = aes.counters(&[0; NONCE_LEN]).batch(0);
        let ghash = Ghash::new(block(&batch, 0));
        wipe(&mut batch);
        Self { aes, ghash }
    }

    fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
        let stream = Stream::new(&self.aes, nonce);
        stream.xor(text);
        stream.tag(&self.ghash, aad, text)
    }

    fn open(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), WrongTag> {
        let stream = Stream::new(&self.aes, nonce);
        if !bool::from(stream.tag(&self.ghash, aad, text).ct_eq(tag)) {
            return Err(WrongTag);
        }
        stream.xor(text);
        Ok(())
    }
}

/// The key stream of one text, with its first batch at hand: counter 0 is of no use, counter 1 hides the tag, and the
/// text starts with counter 2 (SP 800-38D section 7.1).
struct Stream<'a, const MIDDLE: usize> {
    counters: Counters<'a, MIDDLE>,
    first: [u8; BATCH_LEN],
}

impl<'a, const MIDDLE: usize> Stream<'a, MIDDLE> {
    fn new(aes: &'a Aes<MIDDLE>, nonce: &[u8; NONCE_LEN]) -> Self {
        let counters = aes.counters(nonce);
        let first = counters.batch(0);
        Self { counters, first }
    }

    fn tag(&self, ghash: &Ghash, aad: &[u8], text: &[u8]) -> [u8; TAG_LEN] {
        let mut tag = ghash.hash(aad, text);
        xor(&mut tag, block(&self.first, 1));
        tag
    }

    fn xor(&self, text: &mut [u8]) {
        let len = text.len() as u64;
        assert!(len <= MAX_LEN, "a text for AES-GCM has {len} bytes, at most {MAX_LEN} are allowed");
        let first = &self.first[2 * 16..];
        let (at_hand, rest) = text.split_at_mut(text.len().min(first.len()));
        xor(at_hand, first);
        self.counters.xor(1, rest);
    }
}

impl<const MIDDLE: usize> Drop for Stream<'_, MIDDLE> {
    fn drop(&mut self) {
        wipe(&mut self.first);
    }
}

fn block(batch: &[u8; BATCH_LEN], at: usize) -> &[u8; 16] {
    &batch.as_chunks().0[at]
}

/// The longest text: the counter has 32 bits, and 0 and 1 are not for the text.
const MAX_LEN: u64 = ((1 << 32) - 2) * 16;
