//! AES against its definition, against RustCrypto's, and the counters at their carries.

use std::vec::Vec;

use ::aes::cipher::{BlockCipherEncrypt, KeyInit};

use super::{array, at_every_length_and_alignment};
use crate::aes::{Aes, sub_word};

/// FIPS 197 section 5.1.1: the inverse in GF(2^8), and an affine map.
#[test]
fn s_box() {
    let times = |a: u32, b: u32| {
        let product = (0..8).filter(|bit| b >> bit & 1 == 1).fold(0, |sum, bit| sum ^ a << bit);
        (8..15).rev().fold(product, |rest, bit| if rest >> bit & 1 == 1 { rest ^ 0x11b << (bit - 8) } else { rest })
    };
    for byte in 0..256 {
        let inverse = (0..256).find(|other| times(byte, *other) == 1).unwrap_or(0) as u8;
        let affine = (0..5).fold(0x63, |sum, turn| sum ^ inverse.rotate_left(turn));
        assert_eq!(sub_word(byte * 0x0101_0101), u32::from(affine) * 0x0101_0101, "of {byte:#04x}");
    }
}

/// Batches before and behind each carry of the counter, and the last of all.
#[test]
fn counters() {
    let batches = [0, 1, 31, 32, 33, (1 << 13) - 1, 1 << 13, (1 << 21) - 1, 1 << 21, (1 << 28) - 1, (1 << 29) - 1];
    for seed in 0..20 {
        let (key, nonce) = (array::<32>(seed), array::<12>(seed + 100));
        let (aes_128, aes_256) = (Aes::new_128(key.first_chunk().unwrap()), Aes::new_256(&key));
        let (other_128, other_256) =
            (::aes::Aes128::new_from_slice(&key[..16]).unwrap(), ::aes::Aes256::new_from_slice(&key).unwrap());
        for batch in batches {
            let blocks = (0..8).map(|at| [&nonce[..], &(8 * batch + at as u32).to_be_bytes()].concat());
            let expected = |encrypt: &dyn Fn(&mut [u8; 16])| -> Vec<u8> {
                let encrypted = blocks.clone().map(|block| {
                    let mut block = block.try_into().unwrap();
                    encrypt(&mut block);
                    block
                });
                encrypted.flatten().collect()
            };
            let expected_128 = expected(&|block| other_128.encrypt_block(block.into()));
            let expected_256 = expected(&|block| other_256.encrypt_block(block.into()));
            assert_eq!(aes_128.counters(&nonce).batch(batch)[..], expected_128, "AES-128, batch {batch}");
            assert_eq!(aes_256.counters(&nonce).batch(batch)[..], expected_256, "AES-256, batch {batch}");
        }
    }
}

/// The key stream over texts that are no whole batches.
#[test]
fn texts_of_every_length_and_alignment() {
    let (key, nonce) = (array::<32>(1), array(2));
    let other = ::aes::Aes256::new_from_slice(&key).unwrap();
    let blocks = (24_u32..).map(|counter| {
        let mut block = [&nonce[..], &counter.to_be_bytes()].concat().try_into().unwrap();
        other.encrypt_block((&mut block as &mut [u8; 16]).into());
        block
    });
    let key_stream: Vec<u8> = blocks.take(64).flatten().collect();
    let aes = Aes::new_256(&key);
    at_every_length_and_alignment(|text| {
        let expected: Vec<u8> = text.iter().zip(&key_stream).map(|(byte, key)| byte ^ key).collect();
        aes.counters(&nonce).xor(3, text);
        assert!(text == expected, "{} bytes", text.len());
    });
}
