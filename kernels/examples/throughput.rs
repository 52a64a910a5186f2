//! Prints how many megabytes a second the AEADs seal and open, beside RustCrypto's, and how many operations with keys are
//! done in a second.
//!
//! Natively the kernels are their portable twins; what counts is `--target wasm32-wasip2`, in an engine:
//! `cargo run --release --package guest-tls-kernels --example throughput`. Of many short runs the quickest counts, since
//! what else the machine does can only add time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use guest_tls_kernels::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305, p256, rsa, x25519};

macro_rules! row {
    ($name:literal, $len:ident, $ours:ty, $others:ty) => {{
        let mut text = vec![0; $len];
        let ours = <$ours>::new(&[1; <$ours>::KEY_LEN]);
        let seal = quickest(|| {
            black_box(ours.seal(&NONCE, AAD, black_box(&mut text)));
        });
        // What was opened is not what has this tag any more: it is sealed again in between.
        let both = quickest(|| {
            let tag = ours.seal(&NONCE, AAD, &mut text);
            ours.open(&NONCE, AAD, black_box(&mut text), &tag).expect("it was sealed with this key");
        });
        let others = <$others>::new(&[1; <$ours>::KEY_LEN].into());
        let other = quickest(|| {
            let text = black_box(text.as_mut_slice());
            black_box(others.encrypt_inout_detached(&NONCE.into(), AAD, text.into()).expect("it is short"));
        });
        let rate = |time: Duration| $len as f64 / time.as_secs_f64() / 1e6;
        let (open, ratio) = (both.saturating_sub(seal), other.as_secs_f64() / seal.as_secs_f64());
        println!(
            "{:<18} {:>6} {:>8.0} {:>8.0} {:>12.0} {ratio:>7.2}",
            $name,
            $len,
            rate(seal),
            rate(open),
            rate(other)
        );
    }};
}

macro_rules! operations {
    ($name:literal, $operation:expr) => {{
        let time = quickest(|| {
            let _kept = black_box($operation);
        });
        println!("{:<18} {:>8.0}", $name, 1.0 / time.as_secs_f64());
    }};
}

fn main() {
    println!("MB/s                bytes     seal     open   RustCrypto   ratio");
    for len in [64, 256, 1024, 4096, 16384] {
        row!("ChaCha20-Poly1305", len, ChaCha20Poly1305, chacha20poly1305::ChaCha20Poly1305);
        row!("AES-128-GCM", len, Aes128Gcm, aes_gcm::Aes128Gcm);
        row!("AES-256-GCM", len, Aes256Gcm, aes_gcm::Aes256Gcm);
    }
    println!("\noperations/s");
    operations!("X25519 secret", x25519::x25519(black_box(&[1; 32]), &[9; 32]));
    operations!("X25519 public key", x25519::public_key(black_box(&[1; 32])));
    let [secret, peer] = [[1; 32], [2; 32]].map(|bytes| p256::SecretKey::from_bytes(&bytes).expect("it is below n"));
    let peer = peer.public_key();
    operations!("P-256 secret", secret.diffie_hellman(black_box(&peer)));
    let key = p256::SigningKey::new(secret);
    let [r, s] = key.sign(&[3; 32], &[4; 32]).expect("the nonce is below n");
    operations!("P-256 sign", key.sign(black_box(&[3; 32]), &[4; 32]));
    operations!("P-256 verify", key.public_key().verify(black_box(&[3; 32]), &r, &s));
    // Any odd number does: the work is the same.
    let modulus = rsa::PublicKey::new(&[0xff; 256], 65_537).expect("it is odd");
    operations!("RSA-2048 verify", modulus.apply(black_box(&[5; 256])));
}

/// The time of one call in the quickest of many runs.
fn quickest(mut work: impl FnMut()) -> Duration {
    let mut calls = 1;
    let mut run = |calls: u32| {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        start.elapsed()
    };
    while run(calls) < LONG_ENOUGH {
        calls *= 2;
    }
    (0..RUNS).map(|_| run(calls) / calls).min().unwrap_or_default()
}

const NONCE: [u8; 12] = [2; 12];

/// As long as that of a TLS 1.3 record.
const AAD: &[u8] = &[3; 5];

/// Many times the clock's resolution.
const LONG_ENOUGH: Duration = Duration::from_micros(300);

const RUNS: u32 = 200;
