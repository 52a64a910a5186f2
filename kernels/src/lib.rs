//! The hot loops of guest-tls' cryptography: the work that is done for every byte of a record or every bit of a key.
//!
//! A crate of its own for two reasons: cargo can give one crate its own `opt-level`, and the component around it is
//! built for few bytes; and `unsafe` may stand here and nowhere else.
//!
//! All that touches a secret runs in constant time: no branch and no address depends on one.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod aes;
mod aes_gcm;
mod chacha20;
mod chacha20_poly1305;
mod ghash;
mod inverse;
mod limbs;
mod message;
pub mod ml_kem_768;
pub mod p256;
mod poly1305;
pub mod rsa;
mod simd;
#[cfg(test)]
mod tests;
pub mod x25519;

use core::fmt;

pub use aes_gcm::{Aes128Gcm, Aes256Gcm};
pub use chacha20_poly1305::ChaCha20Poly1305;

/// A tag is not the one of what it came with: key, nonce, additional data, ciphertext or the tag itself is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongTag;

impl fmt::Display for WrongTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the authentication tag is wrong: the ciphertext was changed, or another key, nonce or additional data was used")
    }
}

impl core::error::Error for WrongTag {}

/// The same value, but the compiler knows nothing of it.
///
/// For masks made of a sign or of one bit of a secret: of what is done under one that it knows, LLVM makes a branch. And for the masks
/// of swizzles: of one that it knows, LLVM makes a shuffle of two vectors, the second of which is undefined, and for that Cranelift
/// emits three instructions where one was meant.
#[inline(always)]
pub(crate) const fn opaque<T: Copy>(value: T) -> T {
    core::hint::black_box(value)
}

/// The length of a nonce of each AEAD.
pub const NONCE_LEN: usize = 12;

/// The length of a tag of each AEAD.
pub const TAG_LEN: usize = 16;
