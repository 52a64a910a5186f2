//! ring: C (and natively assembly) of BoringSSL's.

use bench_figures::{AAD, Aead, Figures, NONCE, names};
use ring::aead;

/// All figures.
pub fn figures() -> Figures {
    let mut figures = Figures::default();
    figures.aead::<ChaCha20Poly1305>(names::CHACHA20_POLY1305);
    figures.aead::<Aes128Gcm>(names::AES_128_GCM);
    figures.aead::<Aes256Gcm>(names::AES_256_GCM);
    let provider = rustls::crypto::ring::default_provider();
    figures.provider(&provider);
    figures.tls(&provider);
    figures
}

macro_rules! aead {
    ($name:ident, $algorithm:ident) => {
        struct $name(aead::LessSafeKey);

        impl Aead for $name {
            fn new() -> Self {
                let key = [1; 32];
                let key = aead::UnboundKey::new(&aead::$algorithm, &key[..aead::$algorithm.key_len()]);
                Self(aead::LessSafeKey::new(key.expect("the key is as long as it should be")))
            }

            fn seal(&self, text: &mut [u8]) -> [u8; 16] {
                let nonce = aead::Nonce::assume_unique_for_key(NONCE);
                let tag = self.0.seal_in_place_separate_tag(nonce, aead::Aad::from(AAD), text);
                tag.expect("it is short").as_ref().try_into().expect("a tag has 16 bytes")
            }

            fn open(&self, text: &mut [u8], tag: &[u8; 16]) {
                let nonce = aead::Nonce::assume_unique_for_key(NONCE);
                let opened = self.0.open_in_place_separate_tag(nonce, aead::Aad::from(AAD), (*tag).into(), text, 0..);
                opened.expect("it was sealed with this key");
            }
        }
    };
}

aead!(ChaCha20Poly1305, CHACHA20_POLY1305);
aead!(Aes128Gcm, AES_128_GCM);
aead!(Aes256Gcm, AES_256_GCM);

bench_figures::guest!(crate::figures);
