//! The AEADs that protect records, in the one shape that TLS 1.2 and TLS 1.3 share: keys of their own length, nonces
//! of 12 bytes, tags of 16 bytes behind the ciphertext, and all work done in place in the record's buffer.

use guest_tls_kernels::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305, WrongTag};
use rustls::crypto::cipher::{AeadKey, Iv, NONCE_LEN, Nonce, PrefixedPayload};
use rustls::{ConnectionTrafficSecrets, Error};

/// An AEAD that TLS knows: AES-GCM (RFC 5116) and ChaCha20-Poly1305 (RFC 8439).
pub(super) trait Aead: Sized + Send + Sync + 'static {
    /// The length of a key.
    const KEY_LEN: usize;

    /// How much of the nonce a TLS 1.2 record carries in the open: 8 bytes for AES-GCM (RFC 5288 section 3), nothing
    /// for ChaCha20-Poly1305 (RFC 7905 section 2). In TLS 1.3 it is always nothing.
    const EXPLICIT_NONCE_LEN: usize;

    /// Takes a key; nothing if it has another length.
    fn new(key: &[u8]) -> Option<Self>;

    /// Encrypts in place and gives the tag.
    fn seal(&self, nonce: &Nonce, aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN];

    /// Checks the tag, and then decrypts in place.
    fn open(&self, nonce: &Nonce, aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), WrongTag>;

    /// Key and nonce for whoever encrypts in our place (kernel TLS).
    fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets;
}

macro_rules! aead {
    ($name:ident, $explicit_nonce_len:literal, $secrets:ident) => {
        impl Aead for $name {
            const KEY_LEN: usize = $name::KEY_LEN;
            const EXPLICIT_NONCE_LEN: usize = $explicit_nonce_len;

            fn new(key: &[u8]) -> Option<Self> {
                key.try_into().ok().map($name::new)
            }

            fn seal(&self, nonce: &Nonce, aad: &[u8], text: &mut [u8]) -> [u8; TAG_LEN] {
                $name::seal(self, &nonce.0, aad, text)
            }

            fn open(&self, nonce: &Nonce, aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), WrongTag> {
                $name::open(self, &nonce.0, aad, text, tag)
            }

            fn secrets(key: AeadKey, iv: Iv) -> ConnectionTrafficSecrets {
                ConnectionTrafficSecrets::$secrets { key, iv }
            }
        }
    };
}

aead!(Aes128Gcm, 8, Aes128Gcm);
aead!(Aes256Gcm, 8, Aes256Gcm);
aead!(ChaCha20Poly1305, 0, Chacha20Poly1305);

/// One direction's key. The kernels wipe it when it is dropped.
pub(super) struct RecordKey<A>(A);

impl<A: Aead> RecordKey<A> {
    /// Takes the key that rustls derived; its length is the one the suite asked for.
    pub(super) fn new(key: &[u8]) -> Self {
        // `Tls13Aead::key_len` and `Tls12Aead::key_block_shape` give rustls this very length.
        Self(A::new(key).expect("rustls derives keys of the suite's length"))
    }

    /// Encrypts what stands in `record` from `start` on, and appends the tag.
    pub(super) fn seal(&self, nonce: &Nonce, aad: &[u8], record: &mut PrefixedPayload, start: usize) {
        let tag = self.0.seal(nonce, aad, &mut record.as_mut()[start..]);
        record.extend_from_slice(&tag);
    }

    /// Checks the tag at the end of `record` and decrypts what stands before it, and says how long that is.
    ///
    /// A record that is too short or whose tag is wrong gives [`Error::DecryptError`] (`bad_record_mac`, RFC 8446
    /// section 5.2) and keeps its ciphertext. The tag is compared in constant time.
    pub(super) fn open(&self, nonce: &Nonce, aad: &[u8], record: &mut [u8]) -> Result<usize, Error> {
        let (text, tag) = record.split_last_chunk_mut::<TAG_LEN>().ok_or(Error::DecryptError)?;
        self.0.open(nonce, aad, text, tag).map_err(|WrongTag| Error::DecryptError)?;
        Ok(text.len())
    }
}

/// The length of the tag behind each ciphertext.
pub(super) const TAG_LEN: usize = guest_tls_kernels::TAG_LEN;

const _: () = assert!(NONCE_LEN == guest_tls_kernels::NONCE_LEN);
