//! Vectors of 128 bits: WebAssembly's own where there are any, and elsewhere a twin in plain Rust with the same names.
//!
//! So a kernel is written once, and what native builds and tests run is the same algorithm, step by step. Names are
//! those of `core::arch::wasm32`, and so are the meanings: lanes stand in little-endian order, sums wrap, and a swizzle
//! gives zero for an index above 15. As in wasm, no function of the twin has a branch or an address that depends on a
//! lane's value.
//!
//! # Who enables the instructions
//! No compiler flag has to. A function that works on vectors has `#[cfg_attr(simd128, target_feature(enable = "simd128"))]`,
//! or is `#[inline(always)]`, which excludes the former, and becomes a part of one that has it. `build.rs` sets the cfg.
//!
//! A closure has the instructions of the function that it stands in: none, if that is `#[inline(always)]`. Nor has a
//! function of `core` that calls it. Where such a one is not inlined, each operation on vectors in it is a call, and
//! takes as long as the twin. `host-tests/tests/libraries.rs` looks for these calls.

use zeroize::Zeroize;

#[cfg(not(simd128))]
pub(crate) use portable::*;
#[cfg(simd128)]
pub(crate) use wasm::*;

/// The vector in these bytes.
#[inline(always)]
pub(crate) fn load_at(bytes: &[u8], at: usize) -> v128 {
    // The slice has the length of the array.
    load(bytes[at..at + 16].try_into().expect("16 bytes"))
}

/// The bytes, of which there are less than 16, and zeros behind them.
///
/// Without a copy: one of a length that is not known is a call to the host in wasm.
#[inline(always)]
pub(crate) fn load_part(bytes: &[u8]) -> v128 {
    let words = [0, 8].map(|at| bytes.iter().skip(at).take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    u64x2(words[0], words[1])
}

/// Puts the vector into these bytes.
#[inline(always)]
pub(crate) fn store_at(bytes: &mut [u8], at: usize, vector: v128) {
    // The slice has the length of the array.
    store((&mut bytes[at..at + 16]).try_into().expect("16 bytes"), vector);
}

/// XORs `text` with as much of `key_stream`, which is at least as long.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub(crate) fn xor(text: &mut [u8], key_stream: &[u8]) {
    let (vectors, rest) = text.as_chunks_mut::<16>();
    let (key_vectors, key_rest) = key_stream[..16 * vectors.len() + rest.len()].as_chunks::<16>();
    for (vector, key_vector) in vectors.iter_mut().zip(key_vectors) {
        store(vector, v128_xor(load(vector), load(key_vector)));
    }
    for (byte, key_byte) in rest.iter_mut().zip(key_rest) {
        *byte ^= key_byte;
    }
}

/// Overwrites a secret with zeros, by vectors: a volatile store for each byte would take longer than a block of a cipher.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub(crate) fn wipe(secret: &mut [u8]) {
    let (vectors, rest) = secret.as_chunks_mut::<16>();
    for vector in vectors {
        // SAFETY: the pointer is made from a reference to as many bytes, and `Unaligned` has the alignment of a byte.
        unsafe { core::ptr::from_mut(vector).cast::<Unaligned>().write_volatile(Unaligned(u8x16_splat(0))) };
    }
    rest.zeroize();
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

#[repr(C, packed)]
struct Unaligned(v128);

#[cfg(simd128)]
mod wasm {
    pub(crate) use core::arch::wasm32::{
        i8x16_eq, i8x16_shuffle, i8x16_swizzle, i32x4_shuffle, i64x2_extend_high_i32x4, i64x2_extend_low_i32x4,
        i64x2_extmul_high_i32x4, i64x2_extmul_low_i32x4, u8x16, u8x16_shl, u8x16_shr, u8x16_splat, u32x4, u32x4_add,
        u32x4_extract_lane, u32x4_shl, u32x4_shr, u32x4_splat, u32x4_sub, u64x2, u64x2_add, u64x2_extmul_high_u32x4,
        u64x2_extmul_low_u32x4, u64x2_extract_lane, u64x2_shl, u64x2_shr, u64x2_splat, u64x2_sub, v128, v128_and,
        v128_or, v128_xor,
    };
    use core::arch::wasm32::{v128_load, v128_store};

    #[inline(always)]
    pub(crate) fn load(bytes: &[u8; 16]) -> v128 {
        // SAFETY: the reference is good for 16 bytes, and wasm's loads need no alignment.
        unsafe { v128_load(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    pub(crate) fn load_words(words: &[i32; 4]) -> v128 {
        // SAFETY: the reference is good for 16 bytes, and wasm's loads need no alignment.
        unsafe { v128_load(words.as_ptr().cast()) }
    }

    #[inline(always)]
    pub(crate) fn store(bytes: &mut [u8; 16], vector: v128) {
        // SAFETY: the reference is good for 16 bytes, and wasm's stores need no alignment.
        unsafe { v128_store(bytes.as_mut_ptr().cast(), vector) }
    }
}

#[cfg(not(simd128))]
mod portable {
    #[derive(Clone, Copy)]
    #[expect(non_camel_case_types, reason = "the name in core::arch::wasm32")]
    pub(crate) struct v128([u32; 4]);

    #[inline(always)]
    pub(crate) fn load(bytes: &[u8; 16]) -> v128 {
        let (words, _) = bytes.as_chunks::<4>();
        v128(core::array::from_fn(|lane| u32::from_le_bytes(words[lane])))
    }

    #[inline(always)]
    pub(crate) fn load_words(words: &[i32; 4]) -> v128 {
        v128(words.map(|word| word as u32))
    }

    #[inline(always)]
    pub(crate) fn store(bytes: &mut [u8; 16], vector: v128) {
        let (words, _) = bytes.as_chunks_mut::<4>();
        for (word, lane) in words.iter_mut().zip(vector.0) {
            *word = lane.to_le_bytes();
        }
    }

    #[rustfmt::skip]
    #[expect(clippy::too_many_arguments, reason = "the arguments in core::arch::wasm32")]
    #[inline(always)]
    pub(crate) const fn u8x16(
        a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8,
    ) -> v128 {
        v128([
            u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]),
            u32::from_le_bytes([i, j, k, l]), u32::from_le_bytes([m, n, o, p]),
        ])
    }

    #[inline(always)]
    pub(crate) const fn u32x4(a: u32, b: u32, c: u32, d: u32) -> v128 {
        v128([a, b, c, d])
    }

    #[inline(always)]
    pub(crate) const fn u64x2(a: u64, b: u64) -> v128 {
        v128([a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32])
    }

    #[inline(always)]
    pub(crate) const fn u8x16_splat(byte: u8) -> v128 {
        v128([u32::from_le_bytes([byte; 4]); 4])
    }

    #[inline(always)]
    pub(crate) const fn u32x4_splat(word: u32) -> v128 {
        v128([word; 4])
    }

    #[inline(always)]
    pub(crate) const fn u64x2_splat(word: u64) -> v128 {
        u64x2(word, word)
    }

    #[inline(always)]
    pub(crate) fn u32x4_extract_lane<const LANE: usize>(a: v128) -> u32 {
        a.0[LANE]
    }

    #[inline(always)]
    pub(crate) fn u64x2_extract_lane<const LANE: usize>(a: v128) -> u64 {
        as_u64(a)[LANE]
    }

    #[inline(always)]
    pub(crate) fn v128_and(a: v128, b: v128) -> v128 {
        v128(core::array::from_fn(|lane| a.0[lane] & b.0[lane]))
    }

    #[inline(always)]
    pub(crate) fn v128_or(a: v128, b: v128) -> v128 {
        v128(core::array::from_fn(|lane| a.0[lane] | b.0[lane]))
    }

    #[inline(always)]
    pub(crate) fn v128_xor(a: v128, b: v128) -> v128 {
        v128(core::array::from_fn(|lane| a.0[lane] ^ b.0[lane]))
    }

    #[inline(always)]
    pub(crate) fn u32x4_add(a: v128, b: v128) -> v128 {
        v128(core::array::from_fn(|lane| a.0[lane].wrapping_add(b.0[lane])))
    }

    #[inline(always)]
    pub(crate) fn u32x4_sub(a: v128, b: v128) -> v128 {
        v128(core::array::from_fn(|lane| a.0[lane].wrapping_sub(b.0[lane])))
    }

    #[inline(always)]
    pub(crate) fn u32x4_shl(a: v128, amount: u32) -> v128 {
        v128(a.0.map(|lane| lane << amount))
    }

    #[inline(always)]
    pub(crate) fn u32x4_shr(a: v128, amount: u32) -> v128 {
        v128(a.0.map(|lane| lane >> amount))
    }

    #[inline(always)]
    pub(crate) fn u64x2_add(a: v128, b: v128) -> v128 {
        let ([a0, a1], [b0, b1]) = (as_u64(a), as_u64(b));
        u64x2(a0.wrapping_add(b0), a1.wrapping_add(b1))
    }

    #[inline(always)]
    pub(crate) fn u64x2_sub(a: v128, b: v128) -> v128 {
        let ([a0, a1], [b0, b1]) = (as_u64(a), as_u64(b));
        u64x2(a0.wrapping_sub(b0), a1.wrapping_sub(b1))
    }

    #[inline(always)]
    pub(crate) fn u64x2_shl(a: v128, amount: u32) -> v128 {
        let [a0, a1] = as_u64(a);
        u64x2(a0 << amount, a1 << amount)
    }

    #[inline(always)]
    pub(crate) fn u64x2_shr(a: v128, amount: u32) -> v128 {
        let [a0, a1] = as_u64(a);
        u64x2(a0 >> amount, a1 >> amount)
    }

    #[inline(always)]
    pub(crate) fn u64x2_extmul_low_u32x4(a: v128, b: v128) -> v128 {
        u64x2(u64::from(a.0[0]) * u64::from(b.0[0]), u64::from(a.0[1]) * u64::from(b.0[1]))
    }

    #[inline(always)]
    pub(crate) fn u64x2_extmul_high_u32x4(a: v128, b: v128) -> v128 {
        u64x2(u64::from(a.0[2]) * u64::from(b.0[2]), u64::from(a.0[3]) * u64::from(b.0[3]))
    }

    #[inline(always)]
    pub(crate) fn i64x2_extend_low_i32x4(a: v128) -> v128 {
        let [a0, a1, ..] = as_i64(a);
        u64x2(a0 as u64, a1 as u64)
    }

    #[inline(always)]
    pub(crate) fn i64x2_extend_high_i32x4(a: v128) -> v128 {
        let [.., a2, a3] = as_i64(a);
        u64x2(a2 as u64, a3 as u64)
    }

    #[inline(always)]
    pub(crate) fn i64x2_extmul_low_i32x4(a: v128, b: v128) -> v128 {
        let ([a0, a1, ..], [b0, b1, ..]) = (as_i64(a), as_i64(b));
        u64x2((a0 * b0) as u64, (a1 * b1) as u64)
    }

    #[inline(always)]
    pub(crate) fn i64x2_extmul_high_i32x4(a: v128, b: v128) -> v128 {
        let ([.., a2, a3], [.., b2, b3]) = (as_i64(a), as_i64(b));
        u64x2((a2 * b2) as u64, (a3 * b3) as u64)
    }

    #[inline(always)]
    pub(crate) fn u8x16_shl(a: v128, amount: u32) -> v128 {
        from_bytes(bytes(a).map(|byte| byte << amount))
    }

    #[inline(always)]
    pub(crate) fn u8x16_shr(a: v128, amount: u32) -> v128 {
        from_bytes(bytes(a).map(|byte| byte >> amount))
    }

    /// All ones where the bytes are equal, zero where they are not.
    #[inline(always)]
    pub(crate) fn i8x16_eq(a: v128, b: v128) -> v128 {
        // The highest bit of each byte of `low + 0x7f | differs` says whether any bit differs.
        v128(core::array::from_fn(|lane| {
            let differs = a.0[lane] ^ b.0[lane];
            let highest = (((differs & 0x7f7f_7f7f) + 0x7f7f_7f7f) | differs) & 0x8080_8080;
            !((highest >> 7) * 0xff)
        }))
    }

    #[inline(always)]
    pub(crate) fn i8x16_swizzle(a: v128, indices: v128) -> v128 {
        // All sixteen bytes are looked at for each index: an address would tell it.
        let mut picked = u8x16_splat(0);
        for (index, byte) in (0..).zip(bytes(a)) {
            let here = i8x16_eq(indices, u8x16_splat(index));
            picked = v128_or(picked, v128_and(here, u8x16_splat(byte)));
        }
        picked
    }

    #[inline(always)]
    pub(crate) fn i32x4_shuffle<const A: usize, const B: usize, const C: usize, const D: usize>(
        a: v128,
        b: v128,
    ) -> v128 {
        let lane = |at: usize| if at < 4 { a.0[at] } else { b.0[at - 4] };
        v128([lane(A), lane(B), lane(C), lane(D)])
    }

    #[rustfmt::skip]
    #[inline(always)]
    pub(crate) fn i8x16_shuffle<
        const A: usize, const B: usize, const C: usize, const D: usize, const E: usize, const F: usize,
        const G: usize, const H: usize, const I: usize, const J: usize, const K: usize, const L: usize,
        const M: usize, const N: usize, const O: usize, const P: usize,
    >(a: v128, b: v128) -> v128 {
        let (a, b) = (bytes(a), bytes(b));
        from_bytes([A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P].map(|at| if at < 16 { a[at] } else { b[at - 16] }))
    }

    #[inline(always)]
    fn as_u64(a: v128) -> [u64; 2] {
        let [a, b, c, d] = a.0.map(u64::from);
        [a | b << 32, c | d << 32]
    }

    /// The lanes of 32 bits, with their signs.
    #[inline(always)]
    fn as_i64(a: v128) -> [i64; 4] {
        a.0.map(|lane| i64::from(lane as i32))
    }

    #[inline(always)]
    fn bytes(a: v128) -> [u8; 16] {
        let mut bytes = [0; 16];
        store(&mut bytes, a);
        bytes
    }

    #[inline(always)]
    fn from_bytes(bytes: [u8; 16]) -> v128 {
        load(&bytes)
    }
}
