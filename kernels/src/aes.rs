//! AES (FIPS 197) in counter mode, bit-sliced: eight blocks at once, and no table in memory.
//!
//! # Method
//! E. Käsper and P. Schwabe, "Faster and Timing-Attack Resistant AES-GCM" (2009): the eight bits of a byte stand in
//! eight vectors, so that SubBytes is a circuit of logic gates. The circuit is the one of J. Boyar and R. Peralta, "A
//! depth-16 circuit for the AES S-box" (2011). Its four negations are in the round keys: 0x63 in each byte is what the
//! circuit without them leaves out, and neither ShiftRows nor MixColumns moves it.
//!
//! # Layout
//! Vector *i* has the bits of worth 2^*i*. Byte 4*r* + *c* of it is row *r*, column *c* of AES' state (FIPS 197 section 3.4),
//! so that a step to the next row is a shuffle of 32-bit lanes; bit *j* of that byte belongs to block *j*.
//!
//! Counters need no transposition at the start: eight blocks whose first counter is a multiple of eight have all bits
//! in common, but for the lowest three, which are the same pattern each time.
//!
//! # Constant time
//! No branch and no address depends on key, nonce or text. There are no bounds: all is logic.

use crate::opaque;
use zeroize::Zeroize;

use crate::simd::{
    i8x16_eq, i8x16_swizzle, i32x4_shuffle, load, load_at, store, store_at, u8x16, u8x16_splat, u32x4_extract_lane,
    u32x4_splat, u64x2_shl, u64x2_shr, v128, v128_and, v128_xor, wipe, xor,
};

/// The key schedule of AES with `MIDDLE` rounds between the first key and the last round: 9 for AES-128, 13 for
/// AES-256. It is wiped when it is dropped.
pub(crate) struct Aes<const MIDDLE: usize> {
    first: Sliced,
    middle: [Sliced; MIDDLE],
    /// The last round's key is added to blocks, which are no longer sliced.
    last: [u8; 16],
}

/// A round key: byte *p* of vector *i* is 0xff if bit *i* of the key's byte at *p* is set.
type Sliced = [[u8; 16]; 8];

impl Aes<9> {
    pub(crate) fn new_128(key: &[u8; 16]) -> Self {
        Self::expand::<4>(key)
    }
}

impl Aes<13> {
    pub(crate) fn new_256(key: &[u8; 32]) -> Self {
        Self::expand::<8>(key)
    }
}

impl<const MIDDLE: usize> Aes<MIDDLE> {
    /// FIPS 197 section 5.2, for keys of `WORDS` words.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn expand<const WORDS: usize>(key: &[u8]) -> Self {
        let mut words = [0; MAX_ROUND_KEYS * 4];
        let words_needed = 4 * (MIDDLE + 2);
        for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut constant = 1;
        for at in WORDS..words_needed {
            let mut word = words[at - 1];
            if at % WORDS == 0 {
                word = sub_word(word.rotate_right(8)) ^ constant;
                // Times x modulo x^8 + x^4 + x^3 + x + 1: the constants are known, and no secrets.
                constant = (constant << 1) ^ ((constant >> 7) * 0x11b);
            } else if WORDS == 8 && at % WORDS == 4 {
                word = sub_word(word);
            }
            words[at] = words[at - WORDS] ^ word;
        }
        let mut keys = words.as_chunks::<4>().0.iter().map(|words| {
            let mut key = [0; 16];
            for (bytes, word) in key.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *bytes = word.to_le_bytes();
            }
            key
        });
        // The array has keys for more rounds than AES has.
        let mut next = || keys.next().expect("a key for each round");
        let first = sliced(load(&next()), 0);
        let middle = core::array::from_fn(|_| sliced(load(&next()), NEGATIONS));
        let mut last = [0; 16];
        store(&mut last, v128_xor(load(&next()), u8x16_splat(NEGATIONS)));
        words.zeroize();
        Self { first, middle, last }
    }

    /// The key stream of the counters behind a nonce of 12 bytes.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(crate) fn counters(&self, nonce: &[u8; 12]) -> Counters<'_, MIDDLE> {
        let mut block = [0; 16];
        block[..12].copy_from_slice(nonce);
        let mut start = sliced(load(&block), 0);
        for (bit, (start, key)) in start.iter_mut().zip(&self.first).enumerate() {
            // The last byte of the counters 0 to 7, block by block.
            start[15] = [0b1010_1010, 0b1100_1100, 0b1111_0000, 0, 0, 0, 0, 0][bit];
            let sum = v128_xor(load(start), load(key));
            store(start, sum);
        }
        Counters { aes: self, start }
    }
}

impl<const MIDDLE: usize> Drop for Aes<MIDDLE> {
    fn drop(&mut self) {
        for key in [&mut self.first].into_iter().chain(&mut self.middle) {
            wipe(key.as_flattened_mut());
        }
        wipe(&mut self.last);
    }
}

/// The key stream of one nonce.
pub(crate) struct Counters<'a, const MIDDLE: usize> {
    aes: &'a Aes<MIDDLE>,
    /// The counters 0 to 7 behind the nonce, plus the first round key.
    start: Sliced,
}

impl<const MIDDLE: usize> Counters<'_, MIDDLE> {
    /// The key stream of the counters `8 * batch` to `8 * batch + 7`.
    pub(crate) fn batch(&self, batch: u32) -> [u8; BATCH_LEN] {
        let mut blocks = [0; BATCH_LEN];
        self.xor_batch(batch, &mut blocks);
        blocks
    }

    /// XORs `text` with the key stream from the counter `8 * batch` on.
    pub(crate) fn xor(&self, mut batch: u32, text: &mut [u8]) {
        let (batches, rest) = text.as_chunks_mut::<BATCH_LEN>();
        for text in batches {
            self.xor_batch(batch, text);
            batch += 1;
        }
        if !rest.is_empty() {
            let mut key_stream = self.batch(batch);
            xor(rest, &key_stream);
            wipe(&mut key_stream);
        }
    }

    #[inline(never)]
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn xor_batch(&self, batch: u32, text: &mut [u8; BATCH_LEN]) {
        let mut state = self.counters(8 * batch);
        let shift_rows = opaque(SHIFT_ROWS);
        for key in &self.aes.middle {
            state = middle_round(&state, key, shift_rows);
        }
        let blocks = transposed(sub_bytes(&state));
        let (order, key) = (opaque(LAST_SHIFT_ROWS), load(&self.aes.last));
        xor_block::<0>(text, blocks[0], order, key);
        xor_block::<1>(text, blocks[1], order, key);
        xor_block::<2>(text, blocks[2], order, key);
        xor_block::<3>(text, blocks[3], order, key);
        xor_block::<4>(text, blocks[4], order, key);
        xor_block::<5>(text, blocks[5], order, key);
        xor_block::<6>(text, blocks[6], order, key);
        xor_block::<7>(text, blocks[7], order, key);
    }

    /// The sliced state behind the first round key.
    #[inline(always)]
    fn counters(&self, first: u32) -> [v128; 8] {
        // The four bytes of the counter go to column 3, the highest first.
        let bytes = i8x16_swizzle(u32x4_splat(first), opaque(COUNTER_BYTES));
        let start = |bit: usize| load(&self.start[bit]);
        [
            v128_xor(start(0), plane::<0x01>(bytes)),
            v128_xor(start(1), plane::<0x02>(bytes)),
            v128_xor(start(2), plane::<0x04>(bytes)),
            v128_xor(start(3), plane::<0x08>(bytes)),
            v128_xor(start(4), plane::<0x10>(bytes)),
            v128_xor(start(5), plane::<0x20>(bytes)),
            v128_xor(start(6), plane::<0x40>(bytes)),
            v128_xor(start(7), plane::<0x80>(bytes)),
        ]
    }
}

impl<const MIDDLE: usize> Drop for Counters<'_, MIDDLE> {
    fn drop(&mut self) {
        wipe(self.start.as_flattened_mut());
    }
}

/// SubBytes, ShiftRows, MixColumns and AddRoundKey.
#[inline(always)]
fn middle_round(state: &[v128; 8], key: &Sliced, shift_rows: v128) -> [v128; 8] {
    let s = sub_bytes(state);
    let (a, b) = (shifted(s[0], shift_rows), shifted(s[1], shift_rows));
    let (c, d) = (shifted(s[2], shift_rows), shifted(s[3], shift_rows));
    let (e, f) = (shifted(s[4], shift_rows), shifted(s[5], shift_rows));
    let (g, h) = (shifted(s[6], shift_rows), shifted(s[7], shift_rows));
    // Each byte becomes 2 (a + b) + b + c + d for the bytes a, b, c, d of its column from itself on downwards. Doubling
    // moves each bit up, and the highest one into the bits of 0x1b.
    [
        mixed(h.sum, a, &key[0]),
        mixed(v128_xor(a.sum, h.sum), b, &key[1]),
        mixed(b.sum, c, &key[2]),
        mixed(v128_xor(c.sum, h.sum), d, &key[3]),
        mixed(v128_xor(d.sum, h.sum), e, &key[4]),
        mixed(e.sum, f, &key[5]),
        mixed(f.sum, g, &key[6]),
        mixed(g.sum, h, &key[7]),
    ]
}

/// One bit of all bytes behind ShiftRows.
#[derive(Clone, Copy)]
struct Shifted {
    /// Of the next row.
    next: v128,
    /// Of the same row and the next one, added.
    sum: v128,
}

#[inline(always)]
fn shifted(bit: v128, shift_rows: v128) -> Shifted {
    let this = i8x16_swizzle(bit, shift_rows);
    let next = i32x4_shuffle::<1, 2, 3, 0>(this, this);
    Shifted { next, sum: v128_xor(this, next) }
}

#[inline(always)]
fn mixed(doubled: v128, bit: Shifted, key: &[u8; 16]) -> v128 {
    let rows_below = i32x4_shuffle::<2, 3, 0, 1>(bit.sum, bit.sum);
    v128_xor(v128_xor(doubled, v128_xor(bit.next, load(key))), rows_below)
}

/// The S-box of all bytes, without its negations. The names are those of the paper; *u*₀ is the highest bit.
#[inline(always)]
fn sub_bytes(state: &[v128; 8]) -> [v128; 8] {
    let [u7, u6, u5, u4, u3, u2, u1, u0] = *state;
    let xor = |a, b| v128_xor(a, b);
    let and = |a, b| v128_and(a, b);
    // The linear part that shares the inputs.
    let y14 = xor(u3, u5);
    let y13 = xor(u0, u6);
    let y9 = xor(u0, u3);
    let y8 = xor(u0, u5);
    let t0 = xor(u1, u2);
    let y1 = xor(t0, u7);
    let y4 = xor(y1, u3);
    let y12 = xor(y13, y14);
    let y2 = xor(y1, u0);
    let y5 = xor(y1, u6);
    let y3 = xor(y5, y8);
    let t1 = xor(u4, y12);
    let y15 = xor(t1, u5);
    let y20 = xor(t1, u1);
    let y6 = xor(y15, u7);
    let y10 = xor(y15, t0);
    let y11 = xor(y20, y9);
    let y7 = xor(u7, y11);
    let y17 = xor(y10, y11);
    let y19 = xor(y10, y8);
    let y16 = xor(t0, y11);
    let y21 = xor(y13, y16);
    let y18 = xor(u0, y16);
    // The inversion in GF(2^8), by GF(2^4).
    let t2 = and(y12, y15);
    let t3 = and(y3, y6);
    let t4 = xor(t3, t2);
    let t5 = and(y4, u7);
    let t6 = xor(t5, t2);
    let t7 = and(y13, y16);
    let t8 = and(y5, y1);
    let t9 = xor(t8, t7);
    let t10 = and(y2, y7);
    let t11 = xor(t10, t7);
    let t12 = and(y9, y11);
    let t13 = and(y14, y17);
    let t14 = xor(t13, t12);
    let t15 = and(y8, y10);
    let t16 = xor(t15, t12);
    let t17 = xor(t4, t14);
    let t18 = xor(t6, t16);
    let t19 = xor(t9, t14);
    let t20 = xor(t11, t16);
    let t21 = xor(t17, y20);
    let t22 = xor(t18, y19);
    let t23 = xor(t19, y21);
    let t24 = xor(t20, y18);
    let t25 = xor(t21, t22);
    let t26 = and(t21, t23);
    let t27 = xor(t24, t26);
    let t28 = and(t25, t27);
    let t29 = xor(t28, t22);
    let t30 = xor(t23, t24);
    let t31 = xor(t22, t26);
    let t32 = and(t31, t30);
    let t33 = xor(t32, t24);
    let t34 = xor(t23, t33);
    let t35 = xor(t27, t33);
    let t36 = and(t24, t35);
    let t37 = xor(t36, t34);
    let t38 = xor(t27, t36);
    let t39 = and(t29, t38);
    let t40 = xor(t25, t39);
    let t41 = xor(t40, t37);
    let t42 = xor(t29, t33);
    let t43 = xor(t29, t40);
    let t44 = xor(t33, t37);
    let t45 = xor(t42, t41);
    let z0 = and(t44, y15);
    let z1 = and(t37, y6);
    let z2 = and(t33, u7);
    let z3 = and(t43, y16);
    let z4 = and(t40, y1);
    let z5 = and(t29, y7);
    let z6 = and(t42, y11);
    let z7 = and(t45, y17);
    let z8 = and(t41, y10);
    let z9 = and(t44, y12);
    let z10 = and(t37, y3);
    let z11 = and(t33, y4);
    let z12 = and(t43, y13);
    let z13 = and(t40, y5);
    let z14 = and(t29, y2);
    let z15 = and(t42, y9);
    let z16 = and(t45, y14);
    let z17 = and(t41, y8);
    // The linear part that shares the outputs.
    let t46 = xor(z15, z16);
    let t47 = xor(z10, z11);
    let t48 = xor(z5, z13);
    let t49 = xor(z9, z10);
    let t50 = xor(z2, z12);
    let t51 = xor(z2, z5);
    let t52 = xor(z7, z8);
    let t53 = xor(z0, z3);
    let t54 = xor(z6, z7);
    let t55 = xor(z16, z17);
    let t56 = xor(z12, t48);
    let t57 = xor(t50, t53);
    let t58 = xor(z4, t46);
    let t59 = xor(z3, t54);
    let t60 = xor(t46, t57);
    let t61 = xor(z14, t57);
    let t62 = xor(t52, t58);
    let t63 = xor(t49, t58);
    let t64 = xor(z4, t59);
    let t65 = xor(t61, t62);
    let t66 = xor(z1, t63);
    let s0 = xor(t59, t63);
    let s6 = xor(t56, t62);
    let s7 = xor(t48, t60);
    let t67 = xor(t64, t65);
    let s3 = xor(t53, t66);
    let s4 = xor(t51, t66);
    let s5 = xor(t47, t65);
    let s1 = xor(t64, s3);
    let s2 = xor(t55, t67);
    [s7, s6, s5, s4, s3, s2, s1, s0]
}

/// SubWord (FIPS 197 section 5.2).
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub(crate) fn sub_word(word: u32) -> u32 {
    let planes = sub_bytes(&planes(u32x4_splat(word)));
    let mut bytes = u8x16_splat(NEGATIONS);
    for (bit, plane) in planes.into_iter().enumerate() {
        bytes = v128_xor(bytes, v128_and(plane, u8x16_splat(1 << bit)));
    }
    u32x4_extract_lane::<0>(bytes)
}

/// A block, or a key less `negations`, as it is added to eight blocks in slices.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn sliced(block: v128, negations: u8) -> Sliced {
    let rows = i8x16_swizzle(v128_xor(block, u8x16_splat(negations)), TRANSPOSED);
    let mut sliced = Sliced::default();
    for (bytes, plane) in sliced.iter_mut().zip(planes(rows)) {
        store(bytes, plane);
    }
    sliced
}

/// For each bit of the bytes, the lowest first: 0xff where it is set.
#[inline(always)]
fn planes(bytes: v128) -> [v128; 8] {
    [
        plane::<0x01>(bytes),
        plane::<0x02>(bytes),
        plane::<0x04>(bytes),
        plane::<0x08>(bytes),
        plane::<0x10>(bytes),
        plane::<0x20>(bytes),
        plane::<0x40>(bytes),
        plane::<0x80>(bytes),
    ]
}

#[inline(always)]
fn plane<const BIT: u8>(bytes: v128) -> v128 {
    i8x16_eq(v128_and(bytes, u8x16_splat(BIT)), u8x16_splat(BIT))
}

/// Eight blocks out of slices: bit *j* of vector *i* becomes bit *i* of vector *j*, in each byte.
#[inline(always)]
fn transposed([mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]: [v128; 8]) -> [v128; 8] {
    (a, b) = swapped::<1, 0x55>(a, b);
    (c, d) = swapped::<1, 0x55>(c, d);
    (e, f) = swapped::<1, 0x55>(e, f);
    (g, h) = swapped::<1, 0x55>(g, h);
    (a, c) = swapped::<2, 0x33>(a, c);
    (b, d) = swapped::<2, 0x33>(b, d);
    (e, g) = swapped::<2, 0x33>(e, g);
    (f, h) = swapped::<2, 0x33>(f, h);
    (a, e) = swapped::<4, 0x0f>(a, e);
    (b, f) = swapped::<4, 0x0f>(b, f);
    (c, g) = swapped::<4, 0x0f>(c, g);
    (d, h) = swapped::<4, 0x0f>(d, h);
    [a, b, c, d, e, f, g, h]
}

/// Swaps the bits `MASK << BITS` of `a` with the bits `MASK` of `b`.
#[inline(always)]
fn swapped<const BITS: u32, const MASK: u8>(a: v128, b: v128) -> (v128, v128) {
    let differ = v128_and(v128_xor(u64x2_shr(a, BITS), b), u8x16_splat(MASK));
    (v128_xor(a, u64x2_shl(differ, BITS)), v128_xor(b, differ))
}

/// The last round's ShiftRows and AddRoundKey of block `AT`, and its addition to the text.
#[inline(always)]
fn xor_block<const AT: usize>(text: &mut [u8; BATCH_LEN], block: v128, order: v128, key: v128) {
    let here = load_at(text, 16 * AT);
    store_at(text, 16 * AT, v128_xor(v128_xor(here, key), i8x16_swizzle(block, order)));
}

/// The length of the key stream of eight blocks.
pub(crate) const BATCH_LEN: usize = 8 * 16;

/// AES-256: a key before the first round, and one for each of 14 rounds.
const MAX_ROUND_KEYS: usize = 15;

/// What the negations at the end of the S-box are worth.
const NEGATIONS: u8 = 0x63;

/// From blocks, which are columns in a row, to rows in a row; and back.
const TRANSPOSED: v128 = u8x16(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);

/// Row *r* moves to the left by *r* columns.
const SHIFT_ROWS: v128 = u8x16(0, 1, 2, 3, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14);

/// `SHIFT_ROWS`, then `TRANSPOSED`.
const LAST_SHIFT_ROWS: v128 = u8x16(0, 5, 10, 15, 1, 6, 11, 12, 2, 7, 8, 13, 3, 4, 9, 14);

/// The bytes of a little-endian word, the highest first, in column 3; nothing in the others.
const COUNTER_BYTES: v128 = u8x16(99, 99, 99, 3, 99, 99, 99, 2, 99, 99, 99, 1, 99, 99, 99, 0);
