//! Poly1305 (RFC 8439 section 2.5) over what an AEAD authenticates (section 2.8), four blocks side by side.
//!
//! # Method
//! The tag is a polynomial in *r* with the blocks as coefficients. Four lanes hold four of them, which stand for
//! *s*₀*r*⁴ + *s*₁*r*³ + *s*₂*r*² + *s*₃*r*. A step to the next four blocks multiplies that by *r*⁴ and adds the blocks:
//! as *s*₀*r*² + *s*₂ and *s*₁*r*² + *s*₃ times *r*⁴ in two lanes, the third and the fourth, so that products are added
//! up where they arise and only two lanes have carries to be moved. Two steps are joined where there are blocks enough (cf.
//! M. Goll and S. Gueron, "Vectorization of Poly1305 message authentication code", 2015). So that the last blocks fill
//! their lanes, the missing ones stand *before* the first block, where a coefficient of zero changes nothing.
//!
//! On x64 Cranelift makes three instructions of a widening multiplication, since it shuffles both factors before. So a product
//! takes 15 of them and not 25, by Karatsuba's method for each two limbs: `a_i b_j + a_j b_i` is
//! `a_i b_i + a_j b_j - (a_i - a_j) (b_i - b_j)` (cf. A. Weimerskirch and C. Paar, "Generalizations of the Karatsuba algorithm for
//! efficient implementations", 2003). The differences of what is multiplied by are known beforehand.
//!
//! # Layout
//! A number below 2^130 is five limbs of 26 bits. A vector has the same limb of four numbers, lane *i* that of block
//! *i* of its group. Products are twice as wide, two lanes in a vector.
//!
//! # Bounds
//! * A limb of a block is below 2^26 (the uppermost below 2^25, with the bit that stands for the block's length).
//! * [`Wide::carried`] gives limbs below 2^26, but for limbs 1 and 4, which are below 2^26 + 2^10. After a block is
//!   added all are below 2^27 + 2^10. A power of *r* has limbs below 2^26 + 2^10, and five times that is below 2^28.4.
//! * Column *i* of a product is *i* + 1 terms and 4 − *i* terms times five, at most 21 times (2^27 + 2^10) × (2^26 + 2^10).
//!   Four products are added up: below 84 × 2^53.01 < 2^59.5, which fits 64 bits, and with the last two lanes added, too.
//! * Differences are signed, below 2^28.4 even where they are times five. Sums of their products may be below zero or wrap
//!   around; the columns, from which they are taken, do not.
//! * In `carried` a carry is below 2^34. Column 4 has five terms only, below 20 × 2^53.01 < 2^57.4, so that five times
//!   what it carries is below 2^33.8, and what then is carried out of the limbs 0 and 3 is below 2^10.
//!
//! # Constant time
//! No branch and no address depends on key or text; lengths are public.

use crate::opaque;

use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::chacha20::transposed;
use crate::message::BLOCK_LEN;
use crate::simd::{
    i32x4_shuffle, i64x2_extmul_high_i32x4, i64x2_extmul_low_i32x4, load_at, u32x4, u32x4_add, u32x4_shl, u32x4_shr,
    u32x4_splat, u32x4_sub, u64x2, u64x2_add, u64x2_extmul_high_u32x4, u64x2_extmul_low_u32x4, u64x2_extract_lane,
    u64x2_shl, u64x2_shr, u64x2_splat, u64x2_sub, v128, v128_and, v128_or, v128_xor,
};

/// A function of two vectors, limb by limb.
macro_rules! each {
    ($function:expr, $a:expr, $b:expr) => {
        [
            $function($a[0], $b[0]),
            $function($a[1], $b[1]),
            $function($a[2], $b[2]),
            $function($a[3], $b[3]),
            $function($a[4], $b[4]),
        ]
    };
}

/// The tag of `aad` and `text` with the one-time key `key`, as RFC 8439 section 2.8 puts them together: each filled up
/// with zeros to whole blocks, and then a block with their lengths.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub(crate) fn tag(key: &[u8; 32], aad: &[u8], text: &[u8]) -> [u8; 16] {
    let [r, s] = [load_u128(key, 0), load_u128(key, 16)];
    let lengths = u64x2(aad.len() as u64, text.len() as u64);
    let sum = polynomial(&Number::new(r & CLAMP), &Message::new(aad, text, lengths));
    sum.reduced().wrapping_add(s).to_le_bytes()
}

/// The polynomial with the message's blocks as coefficients, at `r`.
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn polynomial(r: &Number, message: &Message<'_>) -> Number {
    let r2 = r.times(r);
    let r3 = r2.times(r);
    let r4 = r2.times(&r2);
    let r6 = r3.times(&r3);
    let one_group = Multiplier::new([&r6, &r6, &r4, &r4]);
    let mut sum = limbs_of_group(message, 0);
    let mut at = 1;
    let (pairs, _) = message.text_from_group(at).as_chunks::<{ 2 * GROUP_LEN }>();
    if !pairs.is_empty() {
        let (r8, r10) = (r4.times(&r4), r6.times(&r4));
        let two_groups = Multiplier::new([&r10, &r10, &r8, &r8]);
        for pair in pairs {
            sum = Wide::product(&sum, &two_groups).plus_product(&limbs(pair, 0), &one_group).carried();
            sum = add(&sum, &limbs(pair, GROUP_LEN));
        }
        at += 2 * pairs.len();
    }
    for group in at..message.groups() {
        let limbs = match message.text_from_group(group).first_chunk::<GROUP_LEN>() {
            Some(text) => limbs(text, 0),
            None => limbs_of_group(message, group),
        };
        sum = add(&Wide::product(&sum, &one_group).carried(), &limbs);
    }
    Wide::product(&sum, &Multiplier::new([&r4, &r3, &r2, r])).sum()
}

type Message<'a> = crate::message::Message<'a, 4>;

/// The limbs of any group, put together block by block. A lane without a block is zero in all.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn limbs_of_group(message: &Message<'_>, group: usize) -> [v128; 5] {
    let lanes = [0, 1, 2, 3].map(|lane| message.block(group, lane));
    let [a, b, c, d] = lanes.map(|block| block.unwrap_or(u32x4_splat(0)));
    let [e, f, g, h] = lanes.map(|block| if block.is_some() { LENGTH_BIT } else { 0 });
    limbs_of([a, b, c, d], u32x4(e, f, g, h))
}

/// A number modulo 2^130 − 5 as five limbs.
pub(crate) struct Number(pub(crate) [u32; 5]);

impl Number {
    /// A number of 128 bits.
    fn new(number: u128) -> Self {
        Self([0, 26, 52, 78, 104].map(|at| (number >> at) as u32 & MASK))
    }

    // Not inlined, since LLVM would put two of these side by side in vectors, where it has no such multiplication.
    #[inline(never)]
    fn times(&self, other: &Self) -> Self {
        let (a, b) = (self.0.map(u64::from), other.0.map(u64::from));
        let b5 = b.map(|limb| 5 * limb);
        Self::carried([
            a[0] * b[0] + a[1] * b5[4] + a[2] * b5[3] + a[3] * b5[2] + a[4] * b5[1],
            a[0] * b[1] + a[1] * b[0] + a[2] * b5[4] + a[3] * b5[3] + a[4] * b5[2],
            a[0] * b[2] + a[1] * b[1] + a[2] * b[0] + a[3] * b5[4] + a[4] * b5[3],
            a[0] * b[3] + a[1] * b[2] + a[2] * b[1] + a[3] * b[0] + a[4] * b5[4],
            a[0] * b[4] + a[1] * b[3] + a[2] * b[2] + a[3] * b[1] + a[4] * b[0],
        ])
    }

    /// As [`Wide::carried`], for columns below 2^60.
    fn carried(mut column: [u64; 5]) -> Self {
        let mask = u64::from(MASK);
        for (from, to, times) in [(0, 1, 1), (3, 4, 1), (1, 2, 1), (4, 0, 5), (2, 3, 1), (0, 1, 1), (3, 4, 1)] {
            column[to] += (column[from] >> 26) * times;
            column[from] &= mask;
        }
        Self(column.map(|limb| limb as u32))
    }

    /// The lowest 128 bits of the one representative below 2^130 − 5.
    fn reduced(&self) -> u128 {
        let mut limbs = self.0;
        for (from, to, times) in [(1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 0, 5), (0, 1, 1)] {
            limbs[to] += (limbs[from] >> 26) * times;
            limbs[from] &= MASK;
        }
        // What stands there now is below 2^130. Five more reach 2^130 if it is not reduced yet.
        let mut less = limbs;
        less[0] += 5;
        for at in 0..4 {
            less[at + 1] += less[at] >> 26;
            less[at] &= MASK;
        }
        let reached = (less[4] >> 26).ct_eq(&1);
        less[4] &= MASK;
        let mut number = 0u128;
        for at in (0..5).rev() {
            let limb = u32::conditional_select(&limbs[at], &less[at], reached);
            number = (number << 26).wrapping_add(u128::from(limb));
        }
        number
    }
}

/// Four numbers, one a lane, to multiply by.
pub(crate) struct Multiplier {
    limbs: [v128; 5],
    /// `limb[i] - limb[j]` for i and j in [`PAIRS`]; five times that where i + j is 5 or above.
    differences: [v128; 10],
}

impl Multiplier {
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(crate) fn new(lanes: [&Number; 4]) -> Self {
        let lanes = lanes.map(|number| number.0);
        let limb = |at: usize| u32x4(lanes[0][at], lanes[1][at], lanes[2][at], lanes[3][at]);
        let limbs = [limb(0), limb(1), limb(2), limb(3), limb(4)];
        let differences = PAIRS.map(|(i, j)| {
            let difference = u32x4_sub(limbs[i], limbs[j]);
            if i + j < 5 { difference } else { u32x4_add(difference, u32x4_shl(difference, 2)) }
        });
        Self { limbs, differences }
    }
}

/// The pairs of limbs whose products belong to column 0, modulo five, and so on: two for each.
const PAIRS: [(usize, usize); 10] = [(1, 4), (2, 3), (0, 1), (2, 4), (0, 2), (3, 4), (0, 3), (1, 2), (0, 4), (1, 3)];

/// A sum of products: lane 0 is that of the lanes 0 and 2 of the factors, and lane 1 that of 1 and 3.
pub(crate) struct Wide {
    /// Of limbs by the same limbs.
    same: [v128; 5],
    /// Of the differences, for each column.
    differences: [v128; 5],
}

impl Wide {
    #[inline(always)]
    pub(crate) fn product(a: &[v128; 5], b: &Multiplier) -> Self {
        // Out of a loop LLVM would take the widening of `b`, which does not change, and leave the loop without
        // `extmul`: with products of 64 bits, each of which is three multiplications on most machines.
        let b = opaque(b);
        // Where LLVM knows a factor's sign, it widens without regard to it, and for a factor of each kind there is no `extmul`.
        let same = |a, b| u64x2_add(u64x2_extmul_low_u32x4(a, b), u64x2_extmul_high_u32x4(a, b));
        Self {
            same: each!(same, a, b.limbs),
            differences: [
                Self::difference::<0>(a, b),
                Self::difference::<1>(a, b),
                Self::difference::<2>(a, b),
                Self::difference::<3>(a, b),
                Self::difference::<4>(a, b),
            ],
        }
    }

    /// What the products of the differences give for a column.
    #[inline(always)]
    fn difference<const COLUMN: usize>(a: &[v128; 5], b: &Multiplier) -> v128 {
        let (first, second) = (2 * COLUMN, 2 * COLUMN + 1);
        u64x2_add(Self::of_pair(a, b, first), Self::of_pair(a, b, second))
    }

    #[inline(always)]
    fn of_pair(a: &[v128; 5], b: &Multiplier, at: usize) -> v128 {
        let (i, j) = PAIRS[at];
        let (a, b) = (u32x4_sub(a[i], a[j]), b.differences[at]);
        u64x2_add(i64x2_extmul_low_i32x4(a, b), i64x2_extmul_high_i32x4(a, b))
    }

    #[inline(always)]
    pub(crate) fn plus_product(self, a: &[v128; 5], b: &Multiplier) -> Self {
        let other = Self::product(a, b);
        Self {
            same: each!(u64x2_add, self.same, other.same),
            differences: each!(u64x2_add, self.differences, other.differences),
        }
    }

    /// The columns, where limb 5 is worth five times limb 0.
    #[inline(always)]
    pub(crate) fn columns(&self) -> [v128; 5] {
        let [a, b, c, d, e] = self.same;
        let sum_4 = u64x2_add(u64x2_add(u64x2_add(a, b), u64x2_add(c, d)), e);
        let zero = opaque(u32x4_splat(0));
        let sum_3 = u64x2_add(sum_4, four_times(e, zero));
        let sum_2 = u64x2_add(sum_3, four_times(d, zero));
        let sum_1 = u64x2_add(sum_2, four_times(c, zero));
        let sum_0 = u64x2_add(sum_1, four_times(b, zero));
        each!(u64x2_sub, [sum_0, sum_1, sum_2, sum_3, sum_4], self.differences)
    }

    /// Carries what is above 26 bits to the next limb, and makes the lanes 2 and 3 of the two; 0 and 1 are zero.
    #[inline(always)]
    pub(crate) fn carried(self) -> [v128; 5] {
        let limbs = carry(self.columns());
        let zeros = [u32x4_splat(0); 5];
        each!(i32x4_shuffle::<0, 0, 4, 6>, zeros, limbs)
    }

    /// Adds the two lanes up.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn sum(&self) -> Number {
        Number::carried(self.columns().map(|column| u64x2_extract_lane::<0>(column) + u64x2_extract_lane::<1>(column)))
    }
}

/// Where LLVM sees that a number and its fourfold are added, it makes a multiplication of them, and an expensive one.
#[inline(always)]
fn four_times(a: v128, zero: v128) -> v128 {
    u64x2_shl(v128_xor(a, zero), 2)
}

/// Two chains at once, one from limb 0 and one from limb 3: half of the steps wait for nothing.
#[inline(always)]
fn carry(mut column: [v128; 5]) -> [v128; 5] {
    carry_from::<0, 1>(&mut column);
    carry_from::<3, 4>(&mut column);
    carry_from::<1, 2>(&mut column);
    carry_from::<4, 0>(&mut column);
    carry_from::<2, 3>(&mut column);
    carry_from::<0, 1>(&mut column);
    carry_from::<3, 4>(&mut column);
    column
}

#[inline(always)]
fn carry_from<const FROM: usize, const TO: usize>(column: &mut [v128; 5]) {
    let carry = u64x2_shr(column[FROM], 26);
    let carry = if TO == 0 { u64x2_add(carry, four_times(carry, opaque(u32x4_splat(0)))) } else { carry };
    column[FROM] = v128_and(column[FROM], u64x2_splat(u64::from(MASK)));
    column[TO] = u64x2_add(column[TO], carry);
}

#[inline(always)]
fn add(a: &[v128; 5], b: &[v128; 5]) -> [v128; 5] {
    each!(u32x4_add, a, b)
}

/// The limbs of four whole blocks of the message.
#[inline(always)]
fn limbs(bytes: &[u8], at: usize) -> [v128; 5] {
    let blocks = [load_at(bytes, at), load_at(bytes, at + 16), load_at(bytes, at + 32), load_at(bytes, at + 48)];
    limbs_of(blocks, u32x4_splat(LENGTH_BIT))
}

#[inline(always)]
fn limbs_of(blocks: [v128; 4], uppermost: v128) -> [v128; 5] {
    let [a, b, c, d] = transposed(blocks);
    let mask = u32x4_splat(MASK);
    let joined = |low: v128, right: u32, high: v128, left: u32| {
        v128_and(v128_or(u32x4_shr(low, right), u32x4_shl(high, left)), mask)
    };
    [
        v128_and(a, mask),
        joined(a, 26, b, 6),
        joined(b, 20, c, 12),
        joined(c, 14, d, 18),
        v128_or(u32x4_shr(d, 8), uppermost),
    ]
}

fn load_u128(bytes: &[u8; 32], at: usize) -> u128 {
    // The slice has the length of the array.
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("16 bytes"))
}

const GROUP_LEN: usize = 4 * BLOCK_LEN;

/// 2^128 in the uppermost limb.
const LENGTH_BIT: u32 = 1 << 24;

const MASK: u32 = (1 << 26) - 1;

/// The bits that *r* may have (RFC 8439 section 2.5).
const CLAMP: u128 = 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff;
