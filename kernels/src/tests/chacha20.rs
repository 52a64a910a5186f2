//! ChaCha20 against its definition, word by word, also where the counter's lanes carry and wrap.

use std::vec;

use super::{array, at_every_length_and_alignment, bytes};
use crate::chacha20::ChaCha20;

#[test]
fn blocks_at_every_kind_of_counter() {
    for counter in [0, 1, 4, 0x7fff_fffe, 0x8000_0000, u32::MAX - 8, u32::MAX - 3, u32::MAX - 1, u32::MAX] {
        for len in [1, 63, 64, 255, 256, 257, 512, 700, 1024, 1100] {
            check(&array(u64::from(counter)), &array(len as u64), counter, &mut bytes(7, len));
        }
    }
}

#[test]
fn texts_of_every_length_and_alignment() {
    at_every_length_and_alignment(|text| check(&array(1), &array(2), 3, text));
}

/// RFC 8439 section 2.3.2.
#[test]
fn block_of_the_rfc() {
    let key = core::array::from_fn(|at| at as u8);
    let nonce = [0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0];
    let mut block = vec![0; 64];
    ChaCha20::new(&key, &nonce).xor(1, &mut block);
    assert_eq!(block[..8], [0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15]);
    assert_eq!(block, block_function(&key, &nonce, 1));
}

fn check(key: &[u8; 32], nonce: &[u8; 12], counter: u32, text: &mut [u8]) {
    let mut expected = text.to_vec();
    for (at, block) in expected.chunks_mut(64).enumerate() {
        let key_stream = block_function(key, nonce, counter.wrapping_add(at as u32));
        block.iter_mut().zip(key_stream).for_each(|(byte, key_stream)| *byte ^= key_stream);
    }
    ChaCha20::new(key, nonce).xor(counter, text);
    assert!(text == expected, "{} bytes from counter {counter}", text.len());
}

/// RFC 8439 section 2.3, as it stands there.
fn block_function(key: &[u8; 32], nonce: &[u8; 12], counter: u32) -> [u8; 64] {
    let input = [&b"expand 32-byte k"[..], key, &counter.to_le_bytes(), nonce].concat();
    let start: [u32; 16] = core::array::from_fn(|at| u32::from_le_bytes(input[4 * at..][..4].try_into().unwrap()));
    let mut state = start;
    let mut quarter_round = |a: usize, b: usize, c: usize, d: usize| {
        for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
            state[x] = state[x].wrapping_add(state[y]);
            state[z] = (state[z] ^ state[x]).rotate_left(turn);
        }
    };
    for _ in 0..10 {
        (0..4).for_each(|at| quarter_round(at, 4 + at, 8 + at, 12 + at));
        (0..4).for_each(|at| quarter_round(at, 4 + (at + 1) % 4, 8 + (at + 2) % 4, 12 + (at + 3) % 4));
    }
    let mut block = [0; 64];
    for (at, word) in block.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *word = state[at].wrapping_add(start[at]).to_le_bytes();
    }
    block
}
