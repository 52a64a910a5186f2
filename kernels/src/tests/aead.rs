//! The AEADs against those of RustCrypto: all lengths, all alignments, and everything that must be refused.

use std::vec::Vec;
use std::{format, vec};

use chacha20poly1305::aead::{AeadInOut, KeyInit};

use super::{array, bytes};
use crate::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305, WrongTag};

/// An AEAD of this crate, and the same of RustCrypto.
struct Pair {
    name: &'static str,
    seal: Seal,
    open: Open,
    other: Seal,
}

type Seal = fn(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], text: &mut [u8]) -> [u8; 16];
type Open = fn(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], text: &mut [u8], tag: &[u8; 16]) -> Result<(), WrongTag>;

macro_rules! pair {
    ($name:literal, $ours:ident, $others:ty) => {
        Pair {
            name: $name,
            seal: |key, nonce, aad, text| $ours::new(key.first_chunk().unwrap()).seal(nonce, aad, text),
            open: |key, nonce, aad, text, tag| $ours::new(key.first_chunk().unwrap()).open(nonce, aad, text, tag),
            other: |key, nonce, aad, text| {
                let aead = <$others>::new_from_slice(&key[..$ours::KEY_LEN]).unwrap();
                aead.encrypt_inout_detached(&(*nonce).into(), aad, text.into()).unwrap().into()
            },
        }
    };
}

const PAIRS: [Pair; 3] = [
    pair!("ChaCha20-Poly1305", ChaCha20Poly1305, chacha20poly1305::ChaCha20Poly1305),
    pair!("AES-128-GCM", Aes128Gcm, aes_gcm::Aes128Gcm),
    pair!("AES-256-GCM", Aes256Gcm, aes_gcm::Aes256Gcm),
];

impl Pair {
    /// Seals and opens a text that starts `offset` bytes behind a multiple of 16, and compares both with `expected`.
    fn check(&self, case: &Case, offset: usize, expected: &(Vec<u8>, [u8; 16])) {
        let what = format!("{}, {case:?}, offset {offset}", self.name);
        let Case { key, nonce, aad, text } = case;
        let mut buffer = vec![0; 32 + text.len()];
        let start = buffer.as_ptr().align_offset(16) + offset;
        let (before, rest) = buffer.split_at_mut(start);
        let (here, after) = rest.split_at_mut(text.len());
        here.copy_from_slice(text);
        let tag = (self.seal)(key, nonce, aad, here);
        assert!(here == expected.0 && tag == expected.1, "sealed: {what}");
        assert_eq!((self.open)(key, nonce, aad, here, &tag), Ok(()), "{what}");
        assert!(here == text, "opened: {what}");
        assert!(before.iter().chain(&*after).all(|byte| *byte == 0), "bytes beside the text: {what}");
    }

    fn other(&self, case: &Case) -> (Vec<u8>, [u8; 16]) {
        let mut sealed = case.text.clone();
        let tag = (self.other)(&case.key, &case.nonce, &case.aad, &mut sealed);
        (sealed, tag)
    }
}

struct Case {
    key: [u8; 32],
    nonce: [u8; 12],
    aad: Vec<u8>,
    text: Vec<u8>,
}

impl Case {
    fn new(aad: usize, text: usize) -> Self {
        let seed = text as u64 * 1_000_003 + aad as u64;
        Self { key: array(seed), nonce: array(!seed), aad: bytes(seed ^ 1, aad), text: bytes(seed ^ 2, text) }
    }
}

impl core::fmt::Debug for Case {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes of additional data, {} bytes of text", self.aad.len(), self.text.len())
    }
}

#[test]
fn every_length_and_alignment() {
    for pair in PAIRS {
        for len in 0..=1024 {
            let case = Case::new(5, len);
            let expected = pair.other(&case);
            for offset in 0..16 {
                pair.check(&case, offset, &expected);
            }
        }
    }
}

/// Around the limits of each kernel's groups, and of records.
#[test]
fn long_texts() {
    for pair in PAIRS {
        for len in [2048, 4096, 16384, 16640, 1 << 17] {
            for len in len - 3..=len + 3 {
                let case = Case::new(13, len);
                pair.check(&case, len % 16, &pair.other(&case));
            }
        }
    }
}

#[test]
fn additional_data_of_every_length() {
    for pair in PAIRS {
        for aad in 0..=530 {
            for text in [0, 1, 16, 100, 300] {
                let case = Case::new(aad, text);
                pair.check(&case, 0, &pair.other(&case));
            }
        }
    }
}

/// Each bit of each input counts, and a text whose tag is wrong stays as it is.
#[test]
fn changes_are_refused() {
    for pair in PAIRS {
        for len in [0, 1, 16, 77, 300] {
            let Case { key, nonce, aad, text: mut sealed } = Case::new(13, len);
            let tag = (pair.seal)(&key, &nonce, &aad, &mut sealed);
            let refused = |what: &str, nonce: &[u8; 12], aad: &[u8], sealed: &[u8], tag: &[u8; 16]| {
                let mut text = sealed.to_vec();
                let result = (pair.open)(&key, nonce, aad, &mut text, tag);
                assert_eq!(result, Err(WrongTag), "{}, {len} bytes, {what}", pair.name);
                assert!(text == sealed, "{}, {len} bytes, {what}: decrypted nevertheless", pair.name);
            };
            for bit in 0..8 * 16 {
                refused(&format!("bit {bit} of the tag"), &nonce, &aad, &sealed, &flipped(tag, bit));
            }
            for bit in 0..8 * 12 {
                refused(&format!("bit {bit} of the nonce"), &flipped(nonce, bit), &aad, &sealed, &tag);
            }
            for bit in 0..8 * aad.len() {
                refused(&format!("bit {bit} of the data"), &nonce, &flipped(aad.clone(), bit), &sealed, &tag);
            }
            for bit in 0..8 * len {
                refused(&format!("bit {bit} of the text"), &nonce, &aad, &flipped(sealed.clone(), bit), &tag);
            }
            refused("a zero behind the data", &nonce, &[&aad[..], &[0]].concat(), &sealed, &tag);
            refused("a zero behind the text", &nonce, &aad, &[&sealed[..], &[0]].concat(), &tag);
        }
    }
}

fn flipped<T: AsMut<[u8]>>(mut bytes: T, bit: usize) -> T {
    bytes.as_mut()[bit / 8] ^= 1 << (bit % 8);
    bytes
}
