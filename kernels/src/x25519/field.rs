//! The field of Curve25519, two numbers at a time: modulo p = 2^255 - 19.
//!
//! # Layout
//! A number is nine signed limbs in radix 2^29, as P-256 has them. A vector holds two limbs of two numbers, `(left i, right i,
//! left i + 1, right i + 1)` for an even i, and the fifth vector holds the last limb twice. So a widening multiplication of the
//! lower or the upper half of two vectors is a limb of both numbers by a limb of the others, and what is not a multiplication
//! takes five operations.
//!
//! # Method
//! On x64 Cranelift makes three instructions of a widening multiplication, since it shuffles both factors before. So there
//! are to be few: 45 and not 81 for a product, by Karatsuba's method for each two limbs (cf. A. Weimerskirch and C. Paar,
//! "Generalizations of the Karatsuba algorithm for efficient implementations", 2003):
//! `a_i b_j + a_j b_i = a_i b_i + a_j b_j - (a_i - a_j) (b_i - b_j)`. What is left of a column k are the products `a_i b_i` with
//! i and k - i in range, a sum that goes on from column to column, less those of the differences.
//!
//! # Bounds
//! The result of a multiplication is *centred*: its limbs lie between -2^28 and 2^28, but the second one may be 2^15
//! beyond. That is *magnitude* 1. Sums and differences are not carried, and magnitudes add up.
//!
//! **Factors have magnitude 3 at most**, so that a difference of limbs is below `6 * 2^28 + 2^18 < 2^31`. A column of a product
//! has up to nine summands, `9 * 9 * 2^56` and what the second limbs' excess adds, in all below `2^62.35`. The sums on
//! the way to it may wrap around, for the column does not.
//!
//! # Reduction
//! 2^261 is 64 * 19 = 1216 modulo p. The upper columns are cut at 2^29, each by itself, and added to the lower ones 1216 times.
//! Then carries run through the lower ones.
//!
//! x64 has no arithmetic shift of 64-bit lanes before AVX-512, so columns are made positive by a constant,
//! [`BIAS`] = 2^28 + 2^29 [`CARRY_BIAS`]. Its low 29 bits centre the limb, and what is carried is [`CARRY_BIAS`] too much. All that is
//! too much adds up in the lower columns, where column i has
//!
//! * i = 0: `BIAS + 1216 * 2^28` and, added for this purpose, `FOLDS * 2^29`,
//! * i = 1 to 7: `BIAS + 1216 * (2^28 + CARRY_BIAS)`, and what is carried too much from column i - 1,
//! * i = 8: `BIAS + 1216 * CARRY_BIAS`, and what is carried too much from column 7.
//!
//! With `1217 * CARRY_BIAS + 608 + FOLDS = FOLDS * 2^29` that is 2^28 modulo 2^29 everywhere: limbs are 2^28 too large, carries
//! `CARRY_BIAS + 608 + FOLDS`, and the last one `CARRY_BIAS + FOLDS`.

use crate::opaque;
use crate::simd::{
    i32x4_shuffle, i64x2_extmul_high_i32x4, i64x2_extmul_low_i32x4, u32x4, u32x4_add, u32x4_extract_lane, u32x4_splat,
    u32x4_sub, u64x2_add, u64x2_shl, u64x2_shr, u64x2_splat, u64x2_sub, v128, v128_and, v128_xor,
};

/// A function of two vectors, vector by vector. Spelled out, because LLVM may leave a loop over vectors a loop, and then
/// they are in memory.
macro_rules! each {
    ($function:expr, $a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        [
            $function(a[0], b[0]),
            $function(a[1], b[1]),
            $function(a[2], b[2]),
            $function(a[3], b[3]),
            $function(a[4], b[4]),
        ]
    }};
}

/// Two numbers modulo p, side by side.
#[derive(Clone, Copy)]
pub(super) struct Pair([v128; 5]);

impl Pair {
    /// Zero and zero.
    pub(super) const ZERO: Self = Self([u32x4(0, 0, 0, 0); 5]);

    /// `left` and `right`.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) const fn new(left: &[i32; LIMBS], right: &[i32; LIMBS]) -> Self {
        const fn limbs(left: &[i32; LIMBS], right: &[i32; LIMBS], i: usize, j: usize) -> v128 {
            u32x4(left[i] as u32, right[i] as u32, left[j] as u32, right[j] as u32)
        }
        Self([
            limbs(left, right, 0, 1),
            limbs(left, right, 2, 3),
            limbs(left, right, 4, 5),
            limbs(left, right, 6, 7),
            limbs(left, right, 8, 8),
        ])
    }

    /// The left number.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn left(&self) -> [i32; LIMBS] {
        let mut limbs = [0; LIMBS];
        for (limbs, vector) in limbs.chunks_mut(2).zip(self.0) {
            let pair = [u32x4_extract_lane::<0>(vector), u32x4_extract_lane::<2>(vector)];
            for (limb, lane) in limbs.iter_mut().zip(pair) {
                *limb = lane as i32;
            }
        }
        limbs
    }

    /// `self * other`, number by number.
    #[inline(always)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.0, other.0);
        product(a0, a1, a2, a3, a4, b0, b1, b2, b3, b4)
    }

    /// `self * self`, number by number.
    #[inline(always)]
    pub(super) fn square(&self) -> Self {
        let [a0, a1, a2, a3, a4] = self.0;
        square(a0, a1, a2, a3, a4)
    }

    /// `self + other`, number by number.
    #[inline(always)]
    pub(super) fn add(&self, other: &Self) -> Self {
        Self(each!(u32x4_add, self.0, other.0))
    }

    /// `self - other`, number by number.
    #[inline(always)]
    pub(super) fn sub(&self, other: &Self) -> Self {
        Self(each!(u32x4_sub, self.0, other.0))
    }

    /// Left and right exchanged.
    #[inline(always)]
    pub(super) fn swapped(&self) -> Self {
        Self(each!(i32x4_shuffle::<1, 0, 3, 2>, self.0, self.0))
    }

    /// The left number of `self` and the right one of `other`.
    #[inline(always)]
    pub(super) fn blended(&self, other: &Self) -> Self {
        Self(each!(i32x4_shuffle::<0, 5, 2, 7>, self.0, other.0))
    }

    /// `other` where `mask` is all ones, `self` where it is zero.
    #[inline(always)]
    pub(super) fn select(&self, other: &Self, mask: v128) -> Self {
        let differ = each!(v128_xor, self.0, other.0);
        Self(each!(v128_xor, self.0, each!(v128_and, differ, [mask; 5])))
    }
}

/// What is left of a column: a sum less others.
macro_rules! less {
    ($sum:expr $(, $less:expr)*) => {{
        let sum = $sum;
        $(let sum = u64x2_sub(sum, $less);)*
        sum
    }};
}

/// A sum of products.
macro_rules! sum {
    ($first:expr $(, $more:expr)*) => {{
        let sum = $first;
        $(let sum = u64x2_add(sum, $more);)*
        sum
    }};
}

/// Vectors are taken by value: of a factor that LLVM sees loaded it loads half, extends the limbs to 64 bits, and
/// multiplies 64-bit lanes, for which x64 has no instruction before AVX-512.
#[expect(clippy::too_many_arguments, reason = "two times five vectors, by value")]
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn product(a0: v128, a1: v128, a2: v128, a3: v128, a4: v128, b0: v128, b1: v128, b2: v128, b3: v128, b4: v128) -> Pair {
    // Limbs 2 * i and 2 * i + 1, in both orders, and limb 8.
    let v0 = Both { a: a0, b: b0 };
    let v1 = Both { a: a1, b: b1 };
    let v2 = Both { a: a2, b: b2 };
    let v3 = Both { a: a3, b: b3 };
    let v8 = Both { a: a4, b: b4 };
    let (f0, f1, f2, f3) = (v0.flipped(), v1.flipped(), v2.flipped(), v3.flipped());
    let (p0, p1, p2, p3) = (v0.low(), v0.high(), v1.low(), v1.high());
    let (p4, p5, p6, p7) = (v2.low(), v2.high(), v3.low(), v3.high());
    let p8 = v8.low();
    // The names of differences are those of the limbs in their lower half.
    let (d01, d03, d23, d05) = (v0.sub(f0), v0.sub(f1), v1.sub(f1), v0.sub(f2));
    let (d25, d45, d07, d27) = (v1.sub(f2), v2.sub(f2), v0.sub(f3), v1.sub(f3));
    let (d47, d67, d02, d04) = (v2.sub(f3), v3.sub(f3), v0.sub(v1), v0.sub(v2));
    let (d24, d06, d26, d46) = (v1.sub(v2), v0.sub(v3), v1.sub(v3), v2.sub(v3));
    let (d08, d28, d48, d68) = (v0.sub(v8), v1.sub(v8), v2.sub(v8), v3.sub(v8));
    // The sums of a_i b_i from the first one on; those up to the last one are all less these.
    let s0 = u64x2_add(p0, u64x2_splat(BIAS));
    let all = sum!(u64x2_splat(BIAS.wrapping_mul(2)), p0, p1, p2, p3, p4, p5, p6, p7, p8);
    let s1 = u64x2_add(s0, p1);
    let s2 = u64x2_add(s1, p2);
    let s3 = u64x2_add(s2, p3);
    let s4 = u64x2_add(s3, p4);
    let s5 = u64x2_add(s4, p5);
    let s6 = u64x2_add(s5, p6);
    let s7 = u64x2_add(s6, p7);
    let s8 = u64x2_add(s7, p8);
    reduce([
        s0,
        less!(s1, d01.low()),
        less!(s2, d02.low()),
        less!(s3, d03.low(), d03.high()),
        less!(s4, d04.low(), d02.high()),
        less!(s5, d05.low(), d05.high(), d23.low()),
        less!(s6, d06.low(), d04.high(), d24.low()),
        less!(s7, d07.low(), d07.high(), d25.low(), d25.high()),
        less!(s8, d08.low(), d06.high(), d26.low(), d24.high()),
        less!(all, s0, d08.high(), d27.low(), d27.high(), d45.low()),
        less!(all, s1, d28.low(), d26.high(), d46.low()),
        less!(all, s2, d28.high(), d47.low(), d47.high()),
        less!(all, s3, d48.low(), d46.high()),
        less!(all, s4, d48.high(), d67.low()),
        less!(all, s5, d68.low()),
        less!(all, s6, d68.high()),
        less!(all, s7),
    ])
}

/// By value, as [`product`].
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn square(a0: v128, a1: v128, a2: v128, a3: v128, a4: v128) -> Pair {
    // Where LLVM sees the shuffle, it takes limbs out of different halves, and these have no widening multiplication.
    let zero = opaque(u32x4_splat(0));
    let flipped = |a| v128_xor(flipped(a), zero);
    let low = |a, b| i64x2_extmul_low_i32x4(a, b);
    let high = |a, b| i64x2_extmul_high_i32x4(a, b);
    let (f0, f1, f2, f3) = (flipped(a0), flipped(a1), flipped(a2), flipped(a3));
    let (d0, d1, d2, d3) = (u32x4_add(a0, a0), u32x4_add(a1, a1), u32x4_add(a2, a2), u32x4_add(a3, a3));
    let bias = u64x2_splat(BIAS);
    reduce([
        sum!(bias, low(a0, a0)),
        sum!(bias, low(d0, f0)),
        sum!(bias, low(d0, a1), high(a0, a0)),
        sum!(bias, low(d0, f1), high(d0, f1)),
        sum!(bias, low(d0, a2), high(d0, a1), low(a1, a1)),
        sum!(bias, low(d0, f2), high(d0, f2), low(d1, f1)),
        sum!(bias, low(d0, a3), high(d0, a2), low(d1, a2), high(a1, a1)),
        sum!(bias, low(d0, f3), high(d0, f3), low(d1, f2), high(d1, f2)),
        sum!(bias, low(d0, a4), high(d0, a3), low(d1, a3), high(d1, a2), low(a2, a2)),
        sum!(bias, high(d0, a4), low(d1, f3), high(d1, f3), low(d2, f2)),
        sum!(bias, low(d1, a4), high(d1, a3), low(d2, a3), high(a2, a2)),
        sum!(bias, high(d1, a4), low(d2, f3), high(d2, f3)),
        sum!(bias, low(d2, a4), high(d2, a3), low(a3, a3)),
        sum!(bias, high(d2, a4), low(d3, f3)),
        sum!(bias, low(d3, a4), high(a3, a3)),
        sum!(bias, high(d3, a4)),
        sum!(bias, low(a4, a4)),
    ])
}

/// The same limbs of both factors.
#[derive(Clone, Copy)]
struct Both {
    a: v128,
    b: v128,
}

impl Both {
    #[inline(always)]
    fn flipped(self) -> Self {
        Self { a: flipped(self.a), b: flipped(self.b) }
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { a: u32x4_sub(self.a, other.a), b: u32x4_sub(self.b, other.b) }
    }

    /// The product of what is in the lower halves.
    #[inline(always)]
    fn low(self) -> v128 {
        i64x2_extmul_low_i32x4(self.a, self.b)
    }

    /// The product of what is in the upper halves.
    #[inline(always)]
    fn high(self) -> v128 {
        i64x2_extmul_high_i32x4(self.a, self.b)
    }
}

/// The halves of a vector, which are limbs 2 * i and 2 * i + 1, exchanged.
#[inline(always)]
fn flipped(a: v128) -> v128 {
    i32x4_shuffle::<2, 3, 0, 1>(a, a)
}

/// The columns modulo p, to each of which [`BIAS`] was added.
#[inline(always)]
fn reduce([t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15, t16]: [v128; 2 * LIMBS - 1]) -> Pair {
    let zero = opaque(u32x4_splat(0));
    let fold = |upper, column, carry| u64x2_add(u64x2_add(column, times_1216(upper, zero)), carry);
    let t0 = fold(limb(t9), t0, u64x2_splat(FOLDS << BITS));
    let t1 = fold(u64x2_add(limb(t10), carry(t9)), t1, carry(t0));
    let t2 = fold(u64x2_add(limb(t11), carry(t10)), t2, carry(t1));
    let t3 = fold(u64x2_add(limb(t12), carry(t11)), t3, carry(t2));
    let t4 = fold(u64x2_add(limb(t13), carry(t12)), t4, carry(t3));
    let t5 = fold(u64x2_add(limb(t14), carry(t13)), t5, carry(t4));
    let t6 = fold(u64x2_add(limb(t15), carry(t14)), t6, carry(t5));
    let t7 = fold(u64x2_add(limb(t16), carry(t15)), t7, carry(t6));
    let t8 = fold(carry(t16), t8, carry(t7));
    // The last carry is below 2^34. It gets a bias of 2^35, which is 19 * 2^12 in the second limb.
    let last = u64x2_add(carry(t8), u64x2_splat((1 << 35) - CARRY_BIAS - FOLDS));
    let l0 = u64x2_add(limb(t0), times_1216(last, zero));
    let l1 = u64x2_add(limb(t1), carry(l0));
    let second = HALF + (19 << 12);
    let halves = u32x4_splat(HALF);
    Pair([
        u32x4_sub(narrow(limb(l0), l1), u32x4(HALF, HALF, second, second)),
        u32x4_sub(narrow(limb(t2), limb(t3)), halves),
        u32x4_sub(narrow(limb(t4), limb(t5)), halves),
        u32x4_sub(narrow(limb(t6), limb(t7)), halves),
        u32x4_sub(narrow(limb(t8), limb(t8)), halves),
    ])
}

/// The low 29 bits of each 64-bit lane.
#[inline(always)]
fn limb(column: v128) -> v128 {
    v128_and(column, u64x2_splat(MASK as u64))
}

/// What is above them.
#[inline(always)]
fn carry(column: v128) -> v128 {
    u64x2_shr(column, BITS as u32)
}

/// `1216 * a` in 64-bit lanes, as `64 * 3 * a + 1024 * a`.
#[inline(always)]
fn times_1216(a: v128, zero: v128) -> v128 {
    // Where LLVM sees that all are shifts of one vector, it makes a multiplication of them, and an expensive one.
    let three = u64x2_add(a, u64x2_shl(v128_xor(a, zero), 1));
    u64x2_add(u64x2_shl(three, 6), u64x2_shl(a, 10))
}

/// The low halves of 64-bit lanes.
#[inline(always)]
fn narrow(a: v128, b: v128) -> v128 {
    i32x4_shuffle::<0, 2, 4, 6>(a, b)
}

/// The number that 32 bytes hold, the lowest first and without the highest bit (RFC 7748 section 5). It need not be
/// below p.
pub(super) fn from_bytes(bytes: &[u8; 32]) -> [i32; LIMBS] {
    let mut limbs = [0; LIMBS];
    for (i, byte) in bytes.iter().enumerate() {
        let byte = i64::from(if i == 31 { byte & 0x7f } else { *byte });
        let (limb, shift) = (8 * i / BITS, 8 * i % BITS);
        limbs[limb] |= byte << shift & MASK;
        if shift + 8 > BITS {
            limbs[limb + 1] |= byte >> (BITS - shift);
        }
    }
    // Centred, as magnitudes have it; the last limb has 23 bits.
    for i in 0..LIMBS - 1 {
        let carry = (limbs[i] + (1 << (BITS - 1))) >> BITS;
        limbs[i] -= carry << BITS;
        limbs[i + 1] += carry;
    }
    limbs.map(|limb| limb as i32)
}

/// The number as 32 bytes, the lowest first, below p. Its magnitude is 2 at most.
pub(super) fn to_bytes(limbs: &[i32; LIMBS]) -> [u8; 32] {
    // Above zero first: 2^261 - 1216, which is 64 p, has limbs of 29 ones but for the lowest. It is added twice.
    let mut limbs = limbs.map(|limb| i64::from(limb) + 2 * MASK);
    limbs[0] -= 2 * 1215;
    // What is above 2^255 comes back 19 times, at most 2^8 of it; and once more, which is 0 or 1.
    for _ in 0..2 {
        carry_down(&mut limbs);
        let above = limbs[LIMBS - 1] >> TOP_BITS;
        limbs[LIMBS - 1] &= (1 << TOP_BITS) - 1;
        limbs[0] += 19 * above;
    }
    // Now below 2^255: p is taken away where 19 more reach 2^255.
    carry_down(&mut limbs);
    let mut more = limbs;
    more[0] += 19;
    carry_down(&mut more);
    // Of a mask that LLVM sees to be one bit it may make a branch.
    let reached = opaque(-(more[LIMBS - 1] >> TOP_BITS));
    more[LIMBS - 1] &= (1 << TOP_BITS) - 1;
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        let limb = |at: usize| (limbs[at] & !reached) | (more[at] & reached);
        let (at, shift) = (8 * i / BITS, 8 * i % BITS);
        let mut bits = limb(at) >> shift;
        if shift + 8 > BITS {
            bits |= limb(at + 1) << (BITS - shift);
        }
        *byte = bits as u8;
    }
    bytes
}

/// Carries so that all limbs but the last lie between 0 and 2^29 - 1.
fn carry_down(limbs: &mut [i64; LIMBS]) {
    for i in 0..LIMBS - 1 {
        limbs[i + 1] += limbs[i] >> BITS;
        limbs[i] &= MASK;
    }
}

/// How many limbs a number has.
pub(super) const LIMBS: usize = 9;

/// How many bits a limb has.
const BITS: usize = 29;

/// How many bits of a number below 2^255 the last limb has.
const TOP_BITS: usize = 255 - 8 * BITS;

const MASK: i64 = (1 << BITS) - 1;

/// 2^28.
const HALF: u32 = 1 << (BITS - 1);

/// What a column is raised by, so that it is positive: below 2^63, and more than a column can be below zero.
const BIAS: u64 = (CARRY_BIAS << BITS) + HALF as u64;

/// What is carried too much for it.
const CARRY_BIAS: u64 = 15_853_352_447;

/// How many times 2^29 what is too much in the upper columns and the carries gives in a lower column.
const FOLDS: u64 = 35_937;

const _: () = assert!(1217 * CARRY_BIAS + 608 + FOLDS == FOLDS << BITS);
