//! The cryptography of TLS as a [`CryptoProvider`] of rustls, out of the RustCrypto and dalek crates and, where those are
//! slow in WebAssembly, our own kernels ([`guest_tls_kernels`]): all of it runs in the guest, in constant time where
//! secrets are concerned, and without a line of C.
//!
//! One file per trait of rustls:
//!
//! | file | what it is |
//! |---|---|
//! | [`suites`] | the cipher suites, which are put together from the rest |
//! | `tls13`, `tls12`, `aead` | record protection |
//! | `hash`, `hmac` | transcript hash, key schedule, PRF |
//! | [`kx`] | key exchange |
//! | [`sign`] | our signatures: private keys |
//! | [`verify`] | the peer's signatures: certificates and handshake |
//! | `p256`, `padding` | between the kernels and the two above: P-256 for the crates that read keys, encodings of RSA |
//! | [`random`] | the one source of randomness |
//! | `seal` | tickets: an AEAD by a key that serves once |
//! | `observer` | what the engine sees of protected handshake messages |
//!
//! Everything is handed to rustls as `dyn`, so that a program which names its suites and groups itself does not carry
//! the others.

pub mod kx;
pub mod random;
pub mod sign;
pub mod suites;
pub mod verify;

mod aead;
mod hash;
mod hmac;
pub(crate) mod observer;
mod p256;
mod padding;
pub(crate) mod seal;
#[cfg(test)]
mod tests;
mod tls12;
mod tls13;

use rustls::crypto::CryptoProvider;

/// The provider with all that it has, in our order of preference.
///
/// ChaCha20-Poly1305 stands before AES-GCM, because wasm has no AES instruction, and X25519MLKEM768 before the
/// classical groups. Whoever wants less or another order changes `cipher_suites` and `kx_groups` of the result.
pub fn crypto_provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: suites::ALL.to_vec(),
        kx_groups: kx::ALL.to_vec(),
        signature_verification_algorithms: verify::ALGORITHMS,
        secure_random: &random::Random,
        key_provider: &sign::Keys,
    }
}
