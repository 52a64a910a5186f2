//! The points of tables, and how one of them is taken.

use crate::opaque;
use crate::simd::{
    i8x16_eq, i32x4_shuffle, load_words, u8x16_splat, u32x4_splat, u32x4_sub, u64x2, v128, v128_and, v128_or, v128_xor,
};

use super::pair::Pair;
use super::point::Affine;
use crate::limbs::LIMBS;

/// A point of a table, its coordinates as they are calculated with: limbs 0 to 7 of x, limbs 0 to 7 of y, limb 8 of x
/// and limb 8 of y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub(super) [i32; 2 * LIMBS]);

impl Entry {
    pub(super) const ZERO: Self = Self([0; 2 * LIMBS]);

    pub(super) fn new(point: &Affine) -> Self {
        let ([x @ .., x8], [y @ .., y8]) = (point.x.to_stored(), point.y.to_stored());
        let mut limbs = Self::ZERO.0;
        limbs[..8].copy_from_slice(&x);
        limbs[8..16].copy_from_slice(&y);
        limbs[16..].copy_from_slice(&[x8, y8]);
        Self(limbs)
    }

    /// The limbs, those from 14 on in the last vector.
    #[inline(always)]
    fn vectors(&self) -> [v128; 5] {
        let four = |at: usize| self.0[at..at + 4].try_into().expect("four limbs");
        [load_words(four(0)), load_words(four(4)), load_words(four(8)), load_words(four(12)), load_words(four(14))]
    }
}

/// What was taken from a table.
#[derive(Clone, Copy)]
pub(super) struct Selected {
    vectors: [v128; 5],
    /// All ones where the point's negative is meant, zero otherwise.
    negative: i32,
}

impl Selected {
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn to_affine(self) -> Affine {
        let [x, y] = self.pairs(&self).map(|pair| pair.lanes()[0]);
        Affine { x, y }
    }

    /// The coordinates x and y of two points.
    #[inline(always)]
    pub(super) fn pairs(&self, other: &Self) -> [Pair; 2] {
        let ([a0, a1, a2, a3, a4], [b0, b1, b2, b3, b4]) = (self.vectors, other.vectors);
        // Of four limbs of each number the first two, and the other two.
        let first = |a, b| i32x4_shuffle::<0, 4, 1, 5>(a, b);
        let last = |a, b| i32x4_shuffle::<2, 6, 3, 7>(a, b);
        let (eights, no_limb) = (last(a4, b4), u64x2(u64::MAX, 0));
        let x = [first(a0, b0), last(a0, b0), first(a1, b1), last(a1, b1), v128_and(eights, no_limb)];
        let eights = i32x4_shuffle::<2, 3, 2, 3>(eights, eights);
        let y = [first(a2, b2), last(a2, b2), first(a3, b3), last(a3, b3), v128_and(eights, no_limb)];
        let negative = first(u32x4_splat(self.negative as u32), u32x4_splat(other.negative as u32));
        let signed = |limbs| u32x4_sub(v128_xor(limbs, negative), negative);
        let [y0, y1, y2, y3, y4] = y;
        let y = [signed(y0), signed(y1), signed(y2), signed(y3), signed(y4)];
        [Pair::from_vectors(x), Pair::from_vectors(y)]
    }
}

/// A way to take an entry from a table.
pub(super) trait Take {
    /// The entry of a signed digit, in which a one is plus and a zero is minus: the highest bit decides about the sign, the
    /// others, with that sign taken out, are the index.
    fn take<const N: usize>(table: &[Entry; N], digit: u64) -> Selected;
}

/// Reads the whole table: for digits that are secret.
pub(super) struct Select;

/// Reads at an address that depends on the digit, which must be no secret.
pub(super) struct LookUp;

impl Take for Select {
    #[inline(always)]
    fn take<const N: usize>(table: &[Entry; N], digit: u64) -> Selected {
        let (index, negative) = index::<N>(digit);
        // Sixteen times how far it is to the index, in bytes. Opaque, since the compiler might do something else on the
        // comparison of a vector of which it knows that all bytes are the same.
        let mut distance = opaque(u8x16_splat(index as u8));
        let mut vectors = [u32x4_splat(0); 5];
        for entry in table {
            let mask = i8x16_eq(distance, u8x16_splat(0));
            for (selected, vector) in vectors.iter_mut().zip(entry.vectors()) {
                *selected = v128_or(*selected, v128_and(vector, mask));
            }
            // Beyond zero bytes borrow from each other, and are not zero again before 255 more.
            distance = u32x4_sub(distance, u8x16_splat(1));
        }
        Selected { vectors, negative }
    }
}

impl Take for LookUp {
    #[inline(always)]
    fn take<const N: usize>(table: &[Entry; N], digit: u64) -> Selected {
        let (index, negative) = index::<N>(digit);
        Selected { vectors: table[index as usize].vectors(), negative }
    }
}

#[inline(always)]
fn index<const N: usize>(digit: u64) -> (u64, i32) {
    let negative = (digit / N as u64).wrapping_sub(1);
    ((digit ^ negative) % N as u64, negative as i32)
}
