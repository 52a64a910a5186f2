//! The RustCrypto and dalek crates as they come, and for whole TLS the provider that RustCrypto has made of its own.

use std::hint::black_box;

use aes_gcm::aead::{AeadInOut, KeyInit};
use bench_figures::{AAD, Aead, Figures, MESSAGE, NONCE, fixtures, names};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use p256::ecdsa::signature::{RandomizedSigner, Signer, Verifier};
use p256::pkcs8::DecodePrivateKey;
use sha2::Digest;

/// All figures.
pub fn figures() -> Figures {
    let mut figures = Figures::default();
    figures.aead::<Key<chacha20poly1305::ChaCha20Poly1305>>(names::CHACHA20_POLY1305);
    figures.aead::<Key<aes_gcm::Aes128Gcm>>(names::AES_128_GCM);
    figures.aead::<Key<aes_gcm::Aes256Gcm>>(names::AES_256_GCM);
    figures.bytes(names::SHA_256, TEXT.len(), || sha2::Sha256::digest(black_box(TEXT)));
    figures.bytes(names::SHA_384, TEXT.len(), || sha2::Sha384::digest(black_box(TEXT)));
    exchanges(&mut figures);
    signatures(&mut figures);
    figures.tls(&rustls_rustcrypto::provider());
    figures
}

fn exchanges(figures: &mut Figures) {
    use x25519_dalek::{EphemeralSecret, PublicKey, StaticSecret};

    let point = PublicKey::from(&StaticSecret::from([1; 32]));
    let secret = StaticSecret::from([2; 32]);
    figures.operation(names::X25519, move || secret.diffie_hellman(black_box(&point)));
    figures.operation(names::X25519_EXCHANGE, || {
        let [client, server] = [0; 2].map(|_| EphemeralSecret::random_from_rng(&mut rng()));
        let [client_share, server_share] = [&client, &server].map(PublicKey::from);
        let (client, server) = (client.diffie_hellman(&server_share), server.diffie_hellman(&client_share));
        assert_eq!(client.as_bytes(), server.as_bytes());
    });

    let [ours, peer] = [1, 2].map(|byte| p256::SecretKey::from_slice(&[byte; 32]).expect("it is below the order"));
    let peer = peer.public_key();
    figures.operation(names::P256_ECDH, move || {
        p256::ecdh::diffie_hellman(ours.to_nonzero_scalar(), black_box(&peer).as_affine())
    });
}

fn signatures(figures: &mut Figures) {
    let key = p256::ecdsa::SigningKey::from_pkcs8_der(fixtures::P256_KEY).expect("the key is in order");
    let public = *key.verifying_key();
    let signature: p256::ecdsa::Signature = key.sign(MESSAGE);
    figures.operation(names::P256_SIGN, move || -> p256::ecdsa::Signature { key.sign(black_box(MESSAGE)) });
    figures.operation(names::P256_VERIFY, move || public.verify(black_box(MESSAGE), &signature).expect(RIGHT));

    let key = p384::ecdsa::SigningKey::from_pkcs8_der(fixtures::P384_KEY).expect("the key is in order");
    let public = *key.verifying_key();
    let signature: p384::ecdsa::Signature = key.sign(MESSAGE);
    figures.operation(names::P384_SIGN, move || -> p384::ecdsa::Signature { key.sign(black_box(MESSAGE)) });
    figures.operation(names::P384_VERIFY, move || public.verify(black_box(MESSAGE), &signature).expect(RIGHT));

    let key = ed25519_dalek::SigningKey::from_pkcs8_der(fixtures::ED25519_KEY).expect("the key is in order");
    let public = key.verifying_key();
    let signature = key.sign(MESSAGE);
    figures.operation(names::ED25519_SIGN, move || key.sign(black_box(MESSAGE)));
    figures.operation(names::ED25519_VERIFY, move || public.verify(black_box(MESSAGE), &signature).expect(RIGHT));

    let key = rsa::PrivateKey::from_pkcs8_der(fixtures::RSA_KEY).expect("the key is in order");
    let key = rsa::pss::SigningKey::<sha2::Sha256>::new(key);
    let public = rsa::signature::Keypair::verifying_key(&key);
    let signature = key.sign_with_rng(&mut rng(), MESSAGE);
    figures.operation(names::RSA_SIGN, move || key.sign_with_rng(&mut rng(), black_box(MESSAGE)));
    figures.operation(names::RSA_VERIFY, move || public.verify(black_box(MESSAGE), &signature).expect(RIGHT));
}

/// An AEAD with its key.
struct Key<A>(A);

impl<A: AeadInOut + KeyInit + 'static> Aead for Key<A> {
    fn new() -> Self {
        Self(A::new_from_slice(&[1; 32][..A::key_size()]).expect("the key is as long as it should be"))
    }

    fn seal(&self, text: &mut [u8]) -> [u8; 16] {
        let nonce = NONCE.as_slice().try_into().expect("a nonce has 12 bytes");
        let tag = self.0.encrypt_inout_detached(nonce, &AAD, text.into()).expect("it is short");
        tag.as_slice().try_into().expect("a tag has 16 bytes")
    }

    fn open(&self, text: &mut [u8], tag: &[u8; 16]) {
        let nonce = NONCE.as_slice().try_into().expect("a nonce has 12 bytes");
        let tag = tag.as_slice().try_into().expect("a tag has 16 bytes");
        self.0.decrypt_inout_detached(nonce, &AAD, text.into(), tag).expect("it was sealed with this key");
    }
}

/// The host's randomness.
fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

const TEXT: &[u8] = &[7; 16 << 10];
const RIGHT: &str = "the signature is right";

bench_figures::guest!(crate::figures);
