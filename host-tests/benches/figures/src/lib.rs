//! What is measured of each implementation of TLS' cryptography.
//!
//! An implementation is a crate beside this one. It makes its [`Figures`] from closures, by the names that are the same for all, and
//! exports them by [`guest!`]: the host has the clock, so the same component is measured in every engine.

#[cfg(target_os = "wasi")]
pub mod guest;
mod provider;
mod tls;

use std::hint::black_box;

/// Makes a component of the function that gives an implementation's [`Figures`].
#[macro_export]
macro_rules! guest {
    ($figures:path) => {
        #[cfg(target_os = "wasi")]
        #[allow(unsafe_code, reason = "the exports that wit-bindgen writes")]
        mod guest {
            use $crate::guest::{self, bindings};

            struct Component;

            impl bindings::Guest for Component {
                fn all() -> Vec<bindings::Figure> {
                    guest::all($figures)
                }

                fn run(index: u32, iterations: u64) {
                    guest::run(index, iterations);
                }
            }

            bindings::export!(Component with_types_in bindings);
        }
    };
}

/// One thing that can be measured.
pub struct Figure {
    /// What is done, the same words for each implementation.
    pub name: String,
    /// `MB/s` (10^6 bytes), or `/s`: operations.
    pub unit: &'static str,
    /// How many of the unit one iteration is.
    pub amount: f64,
    work: Box<dyn FnMut()>,
}

impl Figure {
    /// Does it so many times.
    pub fn run(&mut self, iterations: u64) {
        (0..iterations).for_each(|_| (self.work)());
    }
}

/// All that is measured of an implementation.
#[derive(Default)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    /// Something that is done or not; counted.
    pub fn operation<T>(&mut self, name: impl Into<String>, mut work: impl FnMut() -> T + 'static) {
        let work = Box::new(move || drop(black_box(work())));
        self.0.push(Figure { name: name.into(), unit: "/s", amount: 1.0, work });
    }

    /// Something that is done to so many bytes.
    pub fn bytes<T>(&mut self, name: impl Into<String>, len: usize, mut work: impl FnMut() -> T + 'static) {
        let work = Box::new(move || drop(black_box(work())));
        self.0.push(Figure { name: name.into(), unit: "MB/s", amount: len as f64 / 1e6, work });
    }

    /// An AEAD, in place, on records of usual lengths.
    ///
    /// To be opened, a record has to be there: each opening begins with a copy of it, and is slower by that much.
    pub fn aead<A: Aead>(&mut self, name: &str) {
        for (size, len) in [("1 KiB", 1 << 10), ("16 KiB", 16 << 10)] {
            let aead = A::new();
            let mut text = vec![7; len];
            self.bytes(format!("{name} seal {size}"), len, move || aead.seal(black_box(&mut text)));

            let aead = A::new();
            let mut sealed = vec![7; len];
            let tag = aead.seal(&mut sealed);
            let mut text = sealed.clone();
            self.bytes(format!("{name} open {size}"), len, move || {
                text.copy_from_slice(&sealed);
                aead.open(black_box(&mut text), &tag);
            });
        }
    }
}

/// An AEAD with a key, a nonce and additional data of 13 bytes ([`AAD`]), which are always the same here.
pub trait Aead: 'static {
    /// With the key of ones.
    fn new() -> Self;
    /// Encrypts, and gives the tag.
    fn seal(&self, text: &mut [u8]) -> [u8; 16];
    /// Checks the tag and decrypts, or panics.
    fn open(&self, text: &mut [u8], tag: &[u8; 16]);
}

/// The nonce.
pub const NONCE: [u8; 12] = [3; 12];

/// As long as TLS 1.2's.
pub const AAD: [u8; 13] = [4; 13];

/// What is signed.
pub const MESSAGE: &[u8] = &[5; 130];

/// The names of what is measured of primitives.
pub mod names {
    #![allow(missing_docs)]
    pub const CHACHA20_POLY1305: &str = "ChaCha20-Poly1305";
    pub const AES_128_GCM: &str = "AES-128-GCM";
    pub const AES_256_GCM: &str = "AES-256-GCM";
    pub const SHA_256: &str = "SHA-256 16 KiB";
    pub const SHA_384: &str = "SHA-384 16 KiB";
    pub const X25519: &str = "X25519 shared secret";
    pub const X25519_EXCHANGE: &str = "X25519 exchange, both ends";
    pub const P256_ECDH: &str = "P-256 shared secret";
    pub const P256_EXCHANGE: &str = "P-256 exchange, both ends";
    pub const HYBRID_EXCHANGE: &str = "X25519MLKEM768 exchange, both ends";
    pub const P256_SIGN: &str = "P-256 sign";
    pub const P256_VERIFY: &str = "P-256 verify";
    pub const P384_SIGN: &str = "P-384 sign";
    pub const P384_VERIFY: &str = "P-384 verify";
    pub const ED25519_SIGN: &str = "Ed25519 sign";
    pub const ED25519_VERIFY: &str = "Ed25519 verify";
    pub const RSA_SIGN: &str = "RSA-2048 sign";
    pub const RSA_VERIFY: &str = "RSA-2048 verify";
}

/// Keys and certificates, which are the provider's tests'.
pub mod fixtures {
    #![allow(missing_docs)]
    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../../src/provider/tests/fixtures/", $name))
        };
    }
    pub const P256_KEY: &[u8] = fixture!("p256.pkcs8.der");
    pub const P256_CERTIFICATE: &[u8] = fixture!("p256.cert.der");
    pub const P384_KEY: &[u8] = fixture!("p384.pkcs8.der");
    pub const ED25519_KEY: &[u8] = fixture!("ed25519.pkcs8.der");
    pub const RSA_KEY: &[u8] = fixture!("rsa-2048.pkcs8.der");
    pub const RSA_CERTIFICATE: &[u8] = fixture!("rsa-2048.cert.der");
}
