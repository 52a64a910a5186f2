//! The ChaCha20 block function (RFC 8439 section 2.3), four blocks side by side.
//!
//! # Layout
//! A vector holds the same word of the state of four blocks with consecutive counters, lane *i* that of block *i*: so
//! sixteen vectors are four blocks, and a quarter round is twelve operations of vectors, without a shuffle between
//! columns and diagonals. At the end 4 × 4 transpositions of words give the blocks' bytes in a row. Long inputs go
//! through two such groups in one loop, so that one has something to do while the other waits for its rotations.
//!
//! # Bounds
//! All is addition modulo 2^32, XOR and rotation, and no step can overflow. The counter wraps to zero after 2^32
//! blocks (256 GiB), which is more than the AEAD lets through.
//!
//! # Constant time
//! No branch and no address depends on key, nonce or text; the length is public.

use crate::opaque;
use zeroize::Zeroize;

use crate::simd::{
    i8x16_swizzle, i32x4_shuffle, load_at, store_at, u8x16, u32x4, u32x4_add, u32x4_shl, u32x4_shr, u32x4_splat, v128,
    v128_or, v128_xor, wipe, xor,
};

/// A key and a nonce: the stream that they stand for.
pub(crate) struct ChaCha20 {
    /// The words of the first block's state (RFC 8439 section 2.3): constants, key, a counter of zero, nonce.
    state: [u32; 16],
}

impl ChaCha20 {
    pub(crate) fn new(key: &[u8; 32], nonce: &[u8; 12]) -> Self {
        let mut state = [0; 16];
        state[..4].copy_from_slice(&CONSTANTS);
        for (word, bytes) in state[4..12].iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        for (word, bytes) in state[13..].iter_mut().zip(nonce.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self { state }
    }

    /// XORs four blocks of text with the blocks 0 to 3 of the key stream.
    pub(crate) fn xor_first(&self, text: &mut [u8; GROUP_LEN]) {
        self.xor_group(0, text);
    }

    /// XORs `text` with the key stream from block `counter` on.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(crate) fn xor(&self, mut counter: u32, text: &mut [u8]) {
        let (pairs, rest) = text.as_chunks_mut::<{ 2 * GROUP_LEN }>();
        for pair in pairs {
            self.xor_pair(counter, pair);
            counter = counter.wrapping_add(8);
        }
        // One pair takes less time than two groups, even if a part of it is of no use.
        if rest.len() > GROUP_LEN {
            let mut key_stream = [0; 2 * GROUP_LEN];
            self.xor_pair(counter, &mut key_stream);
            xor(rest, &key_stream);
            wipe(&mut key_stream);
        } else if !rest.is_empty() {
            let mut key_stream = [0; GROUP_LEN];
            self.xor_group(counter, &mut key_stream);
            xor(rest, &key_stream);
            wipe(&mut key_stream);
        }
    }

    #[inline(never)]
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn xor_group(&self, counter: u32, text: &mut [u8; GROUP_LEN]) {
        let rotations = Rotations::new();
        let start = self.group(counter);
        let mut group = start;
        for _ in 0..DOUBLE_ROUNDS {
            double_round(&mut group, &rotations);
        }
        xor_blocks(&group, &start, text);
    }

    #[inline(never)]
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn xor_pair(&self, counter: u32, text: &mut [u8; 2 * GROUP_LEN]) {
        let rotations = Rotations::new();
        let mut first = self.group(counter);
        let mut second = self.group(counter.wrapping_add(4));
        for _ in 0..DOUBLE_ROUNDS {
            double_round(&mut first, &rotations);
            double_round(&mut second, &rotations);
        }
        let (groups, _) = text.as_chunks_mut::<GROUP_LEN>();
        xor_blocks(&first, &self.group(counter), &mut groups[0]);
        xor_blocks(&second, &self.group(counter.wrapping_add(4)), &mut groups[1]);
    }

    /// The states of four blocks before the rounds.
    #[inline(always)]
    fn group(&self, counter: u32) -> [v128; 16] {
        let word = |at: usize| u32x4_splat(self.state[at]);
        [
            word(0),
            word(1),
            word(2),
            word(3),
            word(4),
            word(5),
            word(6),
            word(7),
            word(8),
            word(9),
            word(10),
            word(11),
            u32x4_add(u32x4_splat(counter), u32x4(0, 1, 2, 3)),
            word(13),
            word(14),
            word(15),
        ]
    }
}

impl Drop for ChaCha20 {
    fn drop(&mut self) {
        self.state.zeroize();
    }
}

/// A column round and a diagonal round (RFC 8439 section 2.3).
#[inline(always)]
fn double_round(s: &mut [v128; 16], rotations: &Rotations) {
    quarter_round::<0, 4, 8, 12>(s, rotations);
    quarter_round::<1, 5, 9, 13>(s, rotations);
    quarter_round::<2, 6, 10, 14>(s, rotations);
    quarter_round::<3, 7, 11, 15>(s, rotations);
    quarter_round::<0, 5, 10, 15>(s, rotations);
    quarter_round::<1, 6, 11, 12>(s, rotations);
    quarter_round::<2, 7, 8, 13>(s, rotations);
    quarter_round::<3, 4, 9, 14>(s, rotations);
}

/// RFC 8439 section 2.1.
#[inline(always)]
fn quarter_round<const A: usize, const B: usize, const C: usize, const D: usize>(
    s: &mut [v128; 16],
    rotations: &Rotations,
) {
    s[A] = u32x4_add(s[A], s[B]);
    s[D] = rotations.left_16(v128_xor(s[D], s[A]));
    s[C] = u32x4_add(s[C], s[D]);
    s[B] = left::<12, 20>(v128_xor(s[B], s[C]));
    s[A] = u32x4_add(s[A], s[B]);
    s[D] = rotations.left_8(v128_xor(s[D], s[A]));
    s[C] = u32x4_add(s[C], s[D]);
    s[B] = left::<7, 25>(v128_xor(s[B], s[C]));
}

/// Adds the states before the rounds to those behind them, and XORs the text with the four blocks that this gives.
#[inline(always)]
fn xor_blocks(group: &[v128; 16], start: &[v128; 16], text: &mut [u8; GROUP_LEN]) {
    xor_quarters::<0>(group, start, text);
    xor_quarters::<4>(group, start, text);
    xor_quarters::<8>(group, start, text);
    xor_quarters::<12>(group, start, text);
}

/// The same for the words `AT` to `AT + 3` of each block.
#[inline(always)]
fn xor_quarters<const AT: usize>(group: &[v128; 16], start: &[v128; 16], text: &mut [u8; GROUP_LEN]) {
    let [a, b, c, d] = transposed([
        u32x4_add(group[AT], start[AT]),
        u32x4_add(group[AT + 1], start[AT + 1]),
        u32x4_add(group[AT + 2], start[AT + 2]),
        u32x4_add(group[AT + 3], start[AT + 3]),
    ]);
    xor_at(text, 4 * AT, a);
    xor_at(text, 4 * AT + BLOCK_LEN, b);
    xor_at(text, 4 * AT + 2 * BLOCK_LEN, c);
    xor_at(text, 4 * AT + 3 * BLOCK_LEN, d);
}

#[inline(always)]
fn xor_at(text: &mut [u8; GROUP_LEN], at: usize, key_stream: v128) {
    let here = load_at(text, at);
    store_at(text, at, v128_xor(here, key_stream));
}

/// Lane *i* of vector *j* becomes lane *j* of vector *i*.
#[inline(always)]
pub(crate) fn transposed([a, b, c, d]: [v128; 4]) -> [v128; 4] {
    let (ab_low, ab_high) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b));
    let (cd_low, cd_high) = (i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
    [
        i32x4_shuffle::<0, 1, 4, 5>(ab_low, cd_low),
        i32x4_shuffle::<2, 3, 6, 7>(ab_low, cd_low),
        i32x4_shuffle::<0, 1, 4, 5>(ab_high, cd_high),
        i32x4_shuffle::<2, 3, 6, 7>(ab_high, cd_high),
    ]
}

/// The rotations by whole bytes: one swizzle each, which is less than two shifts.
struct Rotations {
    left_8: v128,
    left_16: v128,
}

impl Rotations {
    #[inline(always)]
    fn new() -> Self {
        Self {
            left_8: opaque(u8x16(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14)),
            left_16: opaque(u8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)),
        }
    }

    #[inline(always)]
    fn left_8(&self, a: v128) -> v128 {
        i8x16_swizzle(a, self.left_8)
    }

    #[inline(always)]
    fn left_16(&self, a: v128) -> v128 {
        i8x16_swizzle(a, self.left_16)
    }
}

#[inline(always)]
fn left<const LEFT: u32, const RIGHT: u32>(a: v128) -> v128 {
    const { assert!(LEFT + RIGHT == 32) };
    v128_or(u32x4_shl(a, LEFT), u32x4_shr(a, RIGHT))
}

/// The length of a block.
pub(crate) const BLOCK_LEN: usize = 64;

/// The length of the four blocks that stand side by side.
pub(crate) const GROUP_LEN: usize = 4 * BLOCK_LEN;

const DOUBLE_ROUNDS: usize = 10;

/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
