//! Tests of the kernels against other implementations and at the extremes of their bounds.
//!
//! Natively they run the twin, and with `--target wasm32-wasip2` the vectors of WebAssembly.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod aead;
mod aes;
mod chacha20;
mod differential;
mod ghash;
mod poly1305;

use std::vec;
use std::vec::Vec;

use ::chacha20::ChaCha8Rng;
use ::chacha20::rand_core::{Rng, SeedableRng};

/// Bytes that look random, the same in each run.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

fn array<const N: usize>(seed: u64) -> [u8; N] {
    bytes(seed, N).try_into().unwrap()
}

/// Gives `check` a text of every length up to 1024, each at every distance from a multiple of 16; nothing beside it may
/// be written.
fn at_every_length_and_alignment(check: impl Fn(&mut [u8])) {
    for len in 0..=1024 {
        let text = bytes(len as u64, len);
        let mut buffer = vec![0; 32 + len];
        let aligned = buffer.as_ptr().align_offset(16);
        for offset in 0..16 {
            let (before, rest) = buffer.split_at_mut(aligned + offset);
            let (here, after) = rest.split_at_mut(len);
            here.copy_from_slice(&text);
            check(here);
            here.fill(0);
            assert!(before.iter().chain(&*after).all(|byte| *byte == 0), "bytes beside {len} bytes, offset {offset}");
        }
    }
}
