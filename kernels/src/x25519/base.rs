//! Multiples of the base point, for public keys, on Edwards' form of the curve (RFC 7748 section 4.1): with a table of
//! multiples of a point that is known, no ladder is needed.
//!
//! # Method
//! A comb with signs (M. Hamburg, "Fast and compact elliptic-curve cryptography", 2012). A scalar is written with
//! 256 digits that are 1 or -1. A block has 16 digits, and the digits r, 4 + r, 8 + r and 12 + r of it are looked up at
//! once, for r = 3 down to 0, with one doubling in between. Left in the pairs is the sum of the first eight blocks, and
//! right that of the last eight.
//!
//! Points are (X : Y : Z : T) with x = X / Z, y = Y / Z and xy = T / Z, and the formulas those of H. Hisil, K. K.-H. Wong, G.
//! Carter and E. Dawson, "Twisted Edwards curves revisited" (2008), sections 3.1 and 3.3. They hold for all points, so that no
//! scalar is special.
//!
//! # Constant time
//! All entries of a block are read, whatever the digits are. What is multiplied has magnitude 3 at most, as each formula
//! says.

use crate::opaque;
use zeroize::Zeroizing;

use super::field::{LIMBS, Pair, from_bytes, to_bytes};
use super::table::BASE;
use super::{ONE, clamped, quotient};
use crate::simd::{i8x16_eq, u8x16_splat, u32x4};

/// The public key of a scalar: what [`super::x25519`] gives for it and the base point, whose u coordinate is 9.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub fn public_key(scalar: &[u8; 32]) -> [u8; 32] {
    let blocks = blocks(&clamped(scalar));
    let mut sum = Point::NEUTRAL;
    for r in (0..4).rev() {
        sum = if r == 3 { sum } else { sum.double() };
        for (i, pairs) in PAIRS.iter().enumerate() {
            let digits = |block: u16| Digits::new(block >> r);
            sum = sum.add(&EntryPair::find(pairs, [digits(blocks[i]), digits(blocks[8 + i])]));
        }
    }
    // Never zero: that would be the neutral point, and no scalar is a multiple of the base point's order.
    let (z_plus_y, z_less_y) = sum.fold();
    quotient(&from_bytes(&z_plus_y), &z_less_y)
}

/// The blocks of a scalar that is even and below 2^255. A bit that is set is the digit 1, one that is not is -1.
///
/// Digits of K have the value `2 K - (2^256 - 1)`, which is odd. So what they stand for is the scalar and the order of the base
/// point, and K is half of `scalar + order - 1 + 2^256`.
fn blocks(scalar: &[u8; 32]) -> Zeroizing<[u16; 16]> {
    let mut blocks = Zeroizing::new([0; 16]);
    let mut sum = 0;
    for (i, (block, bytes)) in blocks.iter_mut().zip(scalar.as_chunks::<2>().0).enumerate() {
        sum = (sum >> 16) + u32::from(u16::from_le_bytes(*bytes)) + u32::from(ORDER_LESS_1[i]);
        *block = sum as u16;
    }
    for i in 0..15 {
        blocks[i] = blocks[i] >> 1 | blocks[i + 1] << 15;
    }
    blocks[15] = blocks[15] >> 1 | 1 << 15;
    blocks
}

/// What is selected by four digits of a block, the highest of which is its sign.
#[derive(Clone, Copy)]
struct Digits {
    /// Which entry: bit j is set where digit j and the highest one are the same.
    index: u32,
    /// All ones where the highest one is -1.
    negative: u32,
}

impl Digits {
    /// Of the bits 0, 4, 8 and 12.
    fn new(bits: u16) -> Self {
        let bits = u32::from(bits);
        let digits = bits & 1 | bits >> 3 & 2 | bits >> 6 & 4;
        // Of a mask that LLVM sees to be one bit it may make a branch.
        let negative = opaque((bits >> 12 & 1).wrapping_sub(1));
        Self { index: digits ^ (negative & 7), negative }
    }
}

/// A point of the table, of magnitude 1. Entry e of block m stands for `2^(16 m) * (2^12 + e_0 + e_1 * 2^4 + e_2 * 2^8)` times the
/// base point, where e_j is 1 if bit j of e is set and -1 if not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// y + x
    pub(super) sum: [i32; LIMBS],
    /// y - x
    pub(super) difference: [i32; LIMBS],
    /// 2 d x y
    pub(super) product: [i32; LIMBS],
}

/// Two of them, side by side.
#[derive(Clone, Copy)]
struct EntryPair {
    sum: Pair,
    difference: Pair,
    product: Pair,
}

impl EntryPair {
    const fn new(left: &Entry, right: &Entry) -> Self {
        Self {
            sum: Pair::new(&left.sum, &right.sum),
            difference: Pair::new(&left.difference, &right.difference),
            product: Pair::new(&left.product, &right.product),
        }
    }

    /// What the digits of the left and of the right block say.
    #[inline(always)]
    fn find(pairs: &[Self; 8], [left, right]: [Digits; 2]) -> Self {
        let vector = |f: fn(Digits) -> u32| u32x4(f(left), f(right), f(left), f(right));
        let index = vector(|digits| digits.index * 0x0101_0101);
        let negative = vector(|digits| digits.negative);
        let mut found = Self { sum: Pair::ZERO, difference: Pair::ZERO, product: Pair::ZERO };
        for (e, pair) in (0..).zip(pairs) {
            let here = i8x16_eq(index, u8x16_splat(e));
            found.sum = found.sum.select(&pair.sum, here);
            found.difference = found.difference.select(&pair.difference, here);
            found.product = found.product.select(&pair.product, here);
        }
        Self {
            sum: found.sum.select(&found.difference, negative),
            difference: found.difference.select(&found.sum, negative),
            product: found.product.select(&Pair::ZERO.sub(&found.product), negative),
        }
    }
}

/// Two points, side by side, of magnitude 1.
struct Point {
    x: Pair,
    y: Pair,
    z: Pair,
    t: Pair,
}

impl Point {
    const NEUTRAL: Self = Self { x: Pair::ZERO, y: Pair::new(&ONE, &ONE), z: Pair::new(&ONE, &ONE), t: Pair::ZERO };

    /// `self + self`; all signs in the formula are changed, in products two by two.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn double(&self) -> Self {
        let (a, b) = (self.x.square(), self.y.square());
        let c = self.z.mul(&self.z.add(&self.z));
        let g = a.sub(&b);
        let h = a.add(&b);
        Self::completed(&h.sub(&self.x.add(&self.y).square()), &c.add(&g), &g, &h)
    }

    /// `self + entry`.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn add(&self, entry: &EntryPair) -> Self {
        let a = self.y.sub(&self.x).mul(&entry.difference);
        let b = self.y.add(&self.x).mul(&entry.sum);
        let c = self.t.mul(&entry.product);
        let d = self.z.add(&self.z);
        Self::completed(&b.sub(&a), &d.sub(&c), &d.add(&c), &b.add(&a))
    }

    /// The point (E / G, H / F), where E, F and G have magnitude 3 at most and H has 2.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn completed(e: &Pair, f: &Pair, g: &Pair, h: &Pair) -> Self {
        Self { x: e.mul(f), y: g.mul(h), z: f.mul(g), t: e.mul(h) }
    }

    /// The left point and the right one added: Z + Y and Z - Y. The u coordinate is their quotient.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn fold(&self) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
        let (sum, difference) = (self.y.add(&self.x), self.y.sub(&self.x));
        // (A | B) and (C | D)
        let a_b = difference.blended(&sum.swapped()).mul(&difference.swapped().blended(&sum));
        let c_d = self.t.blended(&self.z.swapped()).mul(&self.t.swapped().blended(&self.z));
        let c_d = c_d.mul(&Pair::new(&TWO_D, &TWO));
        // (. | F), (. | G) and (H | .)
        let (f, g, h) = (c_d.sub(&c_d.swapped()), c_d.add(&c_d.swapped()), a_b.add(&a_b.swapped()));
        // (Y | Z)
        let y_z = h.blended(&f).mul(&g);
        let z_y = y_z.swapped();
        let bytes = |pair: Pair| Zeroizing::new(to_bytes(&pair.left()));
        (bytes(z_y.add(&y_z)), bytes(z_y.sub(&y_z)))
    }
}

/// The blocks of the table by twos: the first with the ninth, and so on.
static PAIRS: [[EntryPair; 8]; 8] = {
    let mut pairs = [[EntryPair::new(&BASE[0][0], &BASE[0][0]); 8]; 8];
    let mut i = 0;
    while i < 64 {
        pairs[i / 8][i % 8] = EntryPair::new(&BASE[i / 8][i % 8], &BASE[8 + i / 8][i % 8]);
        i += 1;
    }
    pairs
};

/// The order of the base point less 1, in words of 16 bits.
const ORDER_LESS_1: [u16; 16] =
    [0xd3ec, 0x5cf5, 0x631a, 0x5812, 0x9cd6, 0xa2f7, 0xf9de, 0x14de, 0, 0, 0, 0, 0, 0, 0, 0x1000];

const TWO: [i32; LIMBS] = [2, 0, 0, 0, 0, 0, 0, 0, 0];

/// Twice the constant d of Edwards' form, which is -121665 / 121666.
const TWO_D: [i32; LIMBS] =
    [112_390_489, -21_701_471, 15_488_443, 2_700_549, -49_086_450, 7_960_442, -207_854_022, -74_785_792, 2_361_050];
