//! Two numbers modulo p at a time: the field of P-256 in vectors.
//!
//! Limbs, Montgomery's form, the rule of magnitudes and the bounds of values are those of `limbs` and `field`: what comes
//! out of a multiplication has magnitude 1. A vector holds two limbs of both numbers in 32 bits each: limb 2 i of the
//! first number and of the second, then limb 2 i + 1 of both. There is no limb 9; its place holds zero.
//!
//! `i64x2.extmul` multiplies limbs with even numbers by each other, or those with odd ones. Hence the columns with even
//! numbers are made from the vectors as they are, and the others after the halves of one factor's were exchanged.
//!
//! The reduction is that of `field`, with one difference: vectors have no arithmetic shift of 64 bits on x64 before
//! AVX-512, so that a column is made positive before it is cut. With 2^63 + 2^28 added, its low 29 bits are the centred
//! limb plus 2^28, and what is above them is the carry plus 2^34. Those two surpluses stay in, and what they bring into
//! the columns above is known beforehand: [`surplus`] takes it away.
//!
//! A product and its reduction are two functions, with the columns in memory between them. As one they would be no
//! faster, since there are not registers enough, and of many bytes.

use crate::opaque;
use crate::simd::{
    i32x4_shuffle, i64x2_extend_high_i32x4, i64x2_extend_low_i32x4, i64x2_extmul_high_i32x4, i64x2_extmul_low_i32x4,
    u32x4, u32x4_add, u32x4_extract_lane, u32x4_sub, u64x2_add, u64x2_shl, u64x2_shr, u64x2_splat, u64x2_sub, v128,
    v128_and, v128_xor,
};

use super::field::FieldElement;
#[cfg(test)]
use crate::limbs::Limbs;
use crate::limbs::{BITS, LIMBS, MASK};

/// Two numbers modulo p, side by side.
#[derive(Clone, Copy)]
pub(super) struct Pair([v128; VECTORS]);

impl Pair {
    pub(super) const ZEROS: Self = Self([u32x4(0, 0, 0, 0); VECTORS]);

    /// One, in Montgomery's form, in both lanes.
    pub(super) const ONES: Self = {
        let one = FieldElement::ONE.to_limbs();
        let mut vectors = Self::ZEROS.0;
        let mut i = 0;
        while i < LIMBS {
            let next = if i + 1 < LIMBS { one[i + 1] as u32 } else { 0 };
            vectors[i / 2] = u32x4(one[i] as u32, one[i] as u32, next, next);
            i += 2;
        }
        Self(vectors)
    };

    /// The pair of these vectors.
    #[inline(always)]
    pub(super) fn from_vectors(vectors: [v128; VECTORS]) -> Self {
        Self(vectors)
    }

    /// The numbers of the two lanes.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn lanes(&self) -> [FieldElement; 2] {
        let mut lanes = [[0; LIMBS]; 2];
        for (i, vector) in self.0.iter().enumerate() {
            lanes[0][2 * i] = u32x4_extract_lane::<0>(*vector) as i32;
            lanes[1][2 * i] = u32x4_extract_lane::<1>(*vector) as i32;
            if 2 * i + 1 < LIMBS {
                lanes[0][2 * i + 1] = u32x4_extract_lane::<2>(*vector) as i32;
                lanes[1][2 * i + 1] = u32x4_extract_lane::<3>(*vector) as i32;
            }
        }
        lanes.map(|limbs| FieldElement::from_stored(&limbs))
    }

    /// `self * other`. The magnitudes of the two have a product of 14 at most.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn mul(&self, other: &Self) -> Self {
        reduce(&product(self, other))
    }

    /// `self * other - third * fourth`, with one reduction. The two products of magnitudes have a sum of 14 at most.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn mul_sub(&self, other: &Self, third: &Self, fourth: &Self) -> Self {
        let mut columns = product(self, other);
        for (column, less) in columns.iter_mut().zip(product(third, fourth)) {
            *column = u64x2_sub(*column, less);
        }
        reduce(&columns)
    }

    /// `self * self`, of magnitude 3 at most.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn square(&self) -> Self {
        reduce(&square(self))
    }

    /// `self * self + addend`, where self has magnitude 3 at most and the addend 7.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn square_add(&self, addend: &Self) -> Self {
        let mut columns = square(self);
        // The reduction divides by 2^261, so that limb 0 belongs to column 9.
        for (i, column) in columns[LIMBS..].iter_mut().enumerate() {
            let limb = match i % 2 {
                0 => i64x2_extend_low_i32x4(addend.0[i / 2]),
                _ => i64x2_extend_high_i32x4(addend.0[i / 2]),
            };
            *column = u64x2_add(*column, limb);
        }
        reduce(&columns)
    }

    /// `self + other`; the magnitudes add up.
    #[inline(always)]
    pub(super) fn add(&self, other: &Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        Self([u32x4_add(a0, b0), u32x4_add(a1, b1), u32x4_add(a2, b2), u32x4_add(a3, b3), u32x4_add(a4, b4)])
    }

    /// `self - other`; the magnitudes add up.
    #[inline(always)]
    pub(super) fn sub(&self, other: &Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        Self([u32x4_sub(a0, b0), u32x4_sub(a1, b1), u32x4_sub(a2, b2), u32x4_sub(a3, b3), u32x4_sub(a4, b4)])
    }

    /// The vectors XOR `zero`, which is zero without LLVM's knowledge.
    ///
    /// Where LLVM sees a vector come from memory, it extends its limbs to 64 bits as it loads them and multiplies lanes of
    /// 64 bits, for which x64 has no instruction before AVX-512.
    #[inline(always)]
    fn hidden(&self, zero: v128) -> [v128; VECTORS] {
        let [a, b, c, d, e] = self.0;
        [v128_xor(a, zero), v128_xor(b, zero), v128_xor(c, zero), v128_xor(d, zero), v128_xor(e, zero)]
    }
}

/// How many vectors a pair has.
const VECTORS: usize = LIMBS.div_ceil(2);

/// The columns of a product, not carried.
type Columns = [v128; 2 * LIMBS];

/// The columns of `a * b`.
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn product(a: &Pair, b: &Pair) -> Columns {
    let zero = opaque(u64x2_splat(0));
    let [a0, a1, a2, a3, a4] = a.hidden(zero);
    let [b0, b1, b2, b3, b4] = b.hidden(zero);
    let c0 = sum!((low a0 b0));
    let c2 = sum!((low a0 b1) (low a1 b0) (high a0 b0));
    let c4 = sum!((low a0 b2) (low a1 b1) (low a2 b0) (high a0 b1) (high a1 b0));
    let c6 = sum!((low a0 b3) (low a1 b2) (low a2 b1) (low a3 b0) (high a0 b2) (high a1 b1) (high a2 b0));
    let c8 = sum!((low a0 b4) (low a1 b3) (low a2 b2) (low a3 b1) (low a4 b0) (high a0 b3) (high a1 b2) (high a2 b1) (high a3 b0));
    let c10 = sum!((low a1 b4) (low a2 b3) (low a3 b2) (low a4 b1) (high a1 b3) (high a2 b2) (high a3 b1));
    let c12 = sum!((low a2 b4) (low a3 b3) (low a4 b2) (high a2 b3) (high a3 b2));
    let c14 = sum!((low a3 b4) (low a4 b3) (high a3 b3));
    let c16 = sum!((low a4 b4));
    let [s0, s1, s2, s3, s4] = [b0, b1, b2, b3, b4].map(|vector| swapped(vector, zero));
    let c1 = sum!((low a0 s0) (high a0 s0));
    let c3 = sum!((low a0 s1) (low a1 s0) (high a0 s1) (high a1 s0));
    let c5 = sum!((low a0 s2) (low a1 s1) (low a2 s0) (high a0 s2) (high a1 s1) (high a2 s0));
    let c7 = sum!((low a0 s3) (low a1 s2) (low a2 s1) (low a3 s0) (high a0 s3) (high a1 s2) (high a2 s1) (high a3 s0));
    let c9 = sum!((low a1 s3) (low a2 s2) (low a3 s1) (low a4 s0) (high a0 s4) (high a1 s3) (high a2 s2) (high a3 s1));
    let c11 = sum!((low a2 s3) (low a3 s2) (low a4 s1) (high a1 s4) (high a2 s3) (high a3 s2));
    let c13 = sum!((low a3 s3) (low a4 s2) (high a2 s4) (high a3 s3));
    let c15 = sum!((low a4 s3) (high a3 s4));
    // Limb 8 times limb 9, which is zero. It stands here since LLVM would see through `hidden` if one half of s4 were
    // never used.
    let c17 = sum!((low a4 s4));
    [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17]
}

/// The columns of `a * a`.
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn square(a: &Pair) -> Columns {
    let zero = opaque(u64x2_splat(0));
    let a = a.hidden(zero);
    let [a0, a1, a2, a3, a4] = a;
    let [d0, d1, d2, d3, _] = a.map(|vector| u32x4_add(vector, vector));
    let c0 = sum!((low a0 a0));
    let c2 = sum!((low d0 a1) (high a0 a0));
    let c4 = sum!((low d0 a2) (high d0 a1) (low a1 a1));
    let c6 = sum!((low d0 a3) (high d0 a2) (low d1 a2) (high a1 a1));
    let c8 = sum!((low d0 a4) (high d0 a3) (low d1 a3) (high d1 a2) (low a2 a2));
    let c10 = sum!((low d1 a4) (high d1 a3) (low d2 a3) (high a2 a2));
    let c12 = sum!((low d2 a4) (high d2 a3) (low a3 a3));
    let c14 = sum!((low d3 a4) (high a3 a3));
    let c16 = sum!((low a4 a4));
    let [s0, s1, s2, s3, s4] = a.map(|vector| swapped(vector, zero));
    let c1 = sum!((low d0 s0));
    let c3 = sum!((low d0 s1) (high d0 s1));
    let c5 = sum!((low d0 s2) (high d0 s2) (low d1 s1));
    let c7 = sum!((low d0 s3) (high d0 s3) (low d1 s2) (high d1 s2));
    let c9 = sum!((high d0 s4) (low d1 s3) (high d1 s3) (low d2 s2));
    let c11 = sum!((high d1 s4) (low d2 s3) (high d2 s3));
    let c13 = sum!((high d2 s4) (low d3 s3));
    let c15 = sum!((high d3 s4));
    // As in `product`.
    let c17 = sum!((low a4 s4));
    [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17]
}

/// A sum of products.
macro_rules! sum {
    (($half:ident $a:ident $b:ident) $($rest:tt)*) => {
        sum!(@ $half($a, $b); $($rest)*)
    };
    (@ $sum:expr; ($half:ident $a:ident $b:ident) $($rest:tt)*) => {
        sum!(@ u64x2_add($sum, $half($a, $b)); $($rest)*)
    };
    (@ $sum:expr;) => { $sum };
}
use sum;

/// The products of the first halves' limbs.
#[inline(always)]
fn low(a: v128, b: v128) -> v128 {
    i64x2_extmul_low_i32x4(a, b)
}

/// The products of the second halves' limbs.
#[inline(always)]
fn high(a: v128, b: v128) -> v128 {
    i64x2_extmul_high_i32x4(a, b)
}

/// The halves exchanged. About `zero`: see [`Pair::hidden`].
#[inline(always)]
fn swapped(vector: v128, zero: v128) -> v128 {
    v128_xor(i32x4_shuffle::<2, 3, 0, 1>(vector, vector), zero)
}

/// The columns divided by 2^261, modulo p.
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn reduce(columns: &Columns) -> Pair {
    let mut t = *columns;
    let mut limbs = [u64x2_splat(0); 2 * VECTORS];
    let mut carry = u64x2_splat(0);
    macro_rules! cut {
        ($i:literal) => {{
            let column = u64x2_add(u64x2_add(carry, t[$i]), u64x2_splat(const { surplus($i) }));
            carry = u64x2_shr(column, BITS);
            v128_and(column, u64x2_splat(MASK as u64))
        }};
    }
    macro_rules! step {
        ($($i:literal)*) => {$(
            let q = cut!($i);
            t[$i + 3] = u64x2_add(t[$i + 3], u64x2_shl(q, 9));
            t[$i + 6] = u64x2_add(t[$i + 6], u64x2_shl(q, 18));
            t[$i + 7] = u64x2_sub(t[$i + 7], u64x2_shl(q, 21));
            t[$i + 8] = u64x2_add(t[$i + 8], u64x2_shl(q, 24));
        )*};
    }
    macro_rules! limb {
        ($($i:literal)*) => {$(
            limbs[$i - LIMBS] = u64x2_sub(cut!($i), u64x2_splat(1 << (BITS - 1)));
        )*};
    }
    step!(0 1 2 3 4 5 6 7 8);
    limb!(9 10 11 12 13 14 15 16);
    limbs[8] = u64x2_sub(u64x2_add(carry, t[17]), u64x2_splat(1 << 34));
    Pair(core::array::from_fn(|i| i32x4_shuffle::<0, 2, 4, 6>(limbs[2 * i], limbs[2 * i + 1])))
}

/// What is added to column i: 2^63 + 2^28, less the surpluses of the carry and of the limbs below.
const fn surplus(i: usize) -> u64 {
    let mut surplus = (1_u64 << 63) + (1 << 28);
    if i > 0 {
        surplus -= 1 << 34;
    }
    // A limb goes to the columns that are so far above its own, shifted by so many bits.
    if i >= 3 && i - 3 < LIMBS {
        surplus = surplus.wrapping_sub(1 << (28 + 9));
    }
    if i >= 6 && i - 6 < LIMBS {
        surplus = surplus.wrapping_sub(1 << (28 + 18));
    }
    if i >= 7 && i - 7 < LIMBS {
        surplus = surplus.wrapping_add(1 << (28 + 21));
    }
    if i >= 8 && i - 8 < LIMBS {
        surplus = surplus.wrapping_sub(1 << (28 + 24));
    }
    surplus
}

#[cfg(test)]
impl Pair {
    /// The numbers of these limbs as they are, for tests at the bounds.
    pub(super) fn from_raw(numbers: [&Limbs; 2]) -> Self {
        Self(core::array::from_fn(|i| {
            let limb = |number: &Limbs, i: usize| number.get(i).map_or(0, |limb| *limb as u32);
            let [a, b] = numbers;
            u32x4(limb(a, 2 * i), limb(b, 2 * i), limb(a, 2 * i + 1), limb(b, 2 * i + 1))
        }))
    }
}
