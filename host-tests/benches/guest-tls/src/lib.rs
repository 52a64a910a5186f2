//! This project's provider and kernels.

use std::hint::black_box;

use bench_figures::{AAD, Aead, Figures, NONCE, names};
use guest_tls_kernels::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305, p256, x25519};

/// All figures.
pub fn figures() -> Figures {
    let mut figures = Figures::default();
    figures.aead::<ChaCha20Poly1305Key>(names::CHACHA20_POLY1305);
    figures.aead::<Aes128GcmKey>(names::AES_128_GCM);
    figures.aead::<Aes256GcmKey>(names::AES_256_GCM);
    let point = *x25519::x25519(&[1; 32], &[9; 32]);
    figures.operation(names::X25519, move || x25519::x25519(black_box(&[2; 32]), &point));
    let [ours, peer] = [1, 2].map(|byte| p256::SecretKey::from_bytes(&[byte; 32]).expect("it is below the order"));
    let peer = peer.public_key();
    figures.operation(names::P256_ECDH, move || ours.diffie_hellman(black_box(&peer)));
    let provider = guest_tls::provider::crypto_provider();
    figures.provider(&provider);
    figures.tls(&provider);
    figures
}

macro_rules! aead {
    ($name:ident, $aead:ident) => {
        struct $name($aead);

        impl Aead for $name {
            fn new() -> Self {
                Self($aead::new(&[1; $aead::KEY_LEN]))
            }

            fn seal(&self, text: &mut [u8]) -> [u8; 16] {
                self.0.seal(&NONCE, &AAD, text)
            }

            fn open(&self, text: &mut [u8], tag: &[u8; 16]) {
                self.0.open(&NONCE, &AAD, text, tag).expect("it was sealed with this key");
            }
        }
    };
}

aead!(ChaCha20Poly1305Key, ChaCha20Poly1305);
aead!(Aes128GcmKey, Aes128Gcm);
aead!(Aes256GcmKey, Aes256Gcm);

bench_figures::guest!(crate::figures);
