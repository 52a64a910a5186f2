//! The field of P-256: numbers modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1.
//!
//! Layout and the rule of magnitudes: see [`limbs`]. A number a is held as `a * 2^261 mod p` (Montgomery's form, P. L.
//! Montgomery, "Modular multiplication without trial division", 1985). Since p is -1 modulo 2^96, the factor of the
//! modulus that clears a column is the column itself, and since p is a sum of four powers of two, that factor times p
//! takes shifts and no multiplication.
//!
//! How large a number gets: when the factors lie between -m * p and m * p, and between -n * p and n * p, the product
//! divided by 2^261 is below `m * n / 32 * p`, and the multiples of p that the reduction adds, being centred, are below
//! p / 2 in sum. The result is below `(m * n / 32 + 1/2) * p`. The last limb holds what is above 2^232: up to `16 * p` it
//! is below 2^28, as the other limbs are. `point.rs` says which values occur there; none reaches `6 * p`.

use zeroize::DefaultIsZeroes;

use crate::inverse::{self, Modulus};
use crate::limbs::{self, Columns, LIMBS, Limbs};

/// A number modulo p.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldElement(Limbs);

impl FieldElement {
    pub(super) const ZERO: Self = Self([0; LIMBS]);
    pub(super) const ONE: Self = Self::from_limbs(&[1, 0, 0, 0, 0, 0, 0, 0, 0]);

    /// The number of 32 bytes, the highest first; `None` when it is p or above.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let limbs = limbs::from_bytes(bytes);
        (limbs::less(&limbs, &P) != 0).then(|| Self::from_limbs(&limbs))
    }

    /// The number that 64 hexadecimal digits say; it must be below p.
    pub(super) const fn from_hex(digits: &str) -> Self {
        Self::from_limbs(&limbs::from_hex(digits))
    }

    /// The number as 32 bytes, the highest first.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        limbs::to_bytes(&self.canonical())
    }

    /// The limbs, which are in Montgomery's form.
    pub(super) const fn to_limbs(self) -> Limbs {
        self.0
    }

    /// What [`FieldElement::to_stored`] gave.
    #[inline(always)]
    pub(super) fn from_stored(limbs: &[i32; LIMBS]) -> Self {
        let mut number = [0; LIMBS];
        for (limb, stored) in number.iter_mut().zip(limbs) {
            *limb = i64::from(*stored);
        }
        Self(number)
    }

    /// The number for a table, in half the space and of magnitude 1; in Montgomery's form still, and from 0 to p.
    pub(super) fn to_stored(self) -> [i32; LIMBS] {
        let limbs = limbs::canonical(self.mul(&Self::ONE).0, &P);
        limbs::carried(limbs).map(|limb| limb as i32)
    }

    /// `self * other`. The magnitudes of the two have a product of 14 at most; the result has 1.
    #[inline(never)]
    pub(super) const fn mul(&self, other: &Self) -> Self {
        debug_assert!(limbs::magnitude(&self.0) * limbs::magnitude(&other.0) <= limbs::MAX_PRODUCT);
        Self(reduce(limbs::product(&self.0, &other.0)))
    }

    /// `self * self`, of magnitude 3 at most.
    #[inline(never)]
    pub(super) const fn square(&self) -> Self {
        debug_assert!(limbs::magnitude(&self.0) * limbs::magnitude(&self.0) <= limbs::MAX_PRODUCT);
        Self(reduce(limbs::square(&self.0)))
    }

    /// `self` squared `times` times.
    pub(super) fn square_times(mut self, times: usize) -> Self {
        for _ in 0..times {
            self = self.square();
        }
        self
    }

    /// `self + other`; the magnitudes add up.
    #[inline(always)]
    pub(super) const fn add(&self, other: &Self) -> Self {
        Self(limbs::add(&self.0, &other.0))
    }

    /// `self - other`; the magnitudes add up.
    #[inline(always)]
    pub(super) const fn sub(&self, other: &Self) -> Self {
        Self(limbs::sub(&self.0, &other.0))
    }

    /// `self + self`.
    #[inline(always)]
    pub(super) const fn double(&self) -> Self {
        self.add(self)
    }

    /// `-self`.
    #[inline(always)]
    pub(super) const fn negate(&self) -> Self {
        Self::ZERO.sub(self)
    }

    /// The same number with magnitude 1. Its value is as large as before, and counts: see the head of this file.
    #[inline(always)]
    pub(super) const fn carry(&self) -> Self {
        Self(limbs::carried(self.0))
    }

    /// `1 / self`; zero for zero.
    pub(super) fn invert(&self) -> Self {
        Self::from_limbs(&inverse::invert(&self.canonical(), &MODULUS))
    }

    /// The square root with the parity of `odd`; `None` when there is none. Not for secrets.
    pub(super) fn sqrt(&self, odd: bool) -> Option<Self> {
        // p is 3 modulo 4: self^((p + 1) / 4). In binary: 32 ones, 31 zeros, a one, 95 zeros, a one, 94 zeros.
        let (ones_32, _) = self.ones();
        let high = ones_32.square_times(32).mul(self);
        let root = high.square_times(96).mul(self).square_times(94);
        if !root.square().equals(self) {
            return None;
        }
        let limbs = root.canonical();
        match (limbs[0] & 1 == 1) == odd {
            true => Some(root),
            // Zero is its own negative, and never odd.
            false if limbs::zero(&limbs) != 0 => None,
            false => Some(root.negate()),
        }
    }

    /// Whether it is zero, modulo p. For use on what is public, or as the last check.
    pub(super) fn is_zero(&self) -> bool {
        limbs::zero(&self.canonical()) != 0
    }

    /// Whether the two are the same modulo p.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.sub(other).is_zero()
    }

    /// `self^(2^32 - 1)` and `self^(2^94 - 1)`.
    fn ones(&self) -> (Self, Self) {
        let x2 = self.square().mul(self);
        let x4 = x2.square_times(2).mul(&x2);
        let x8 = x4.square_times(4).mul(&x4);
        let x16 = x8.square_times(8).mul(&x8);
        let x32 = x16.square_times(16).mul(&x16);
        let x64 = x32.square_times(32).mul(&x32);
        let x80 = x64.square_times(16).mul(&x16);
        let x88 = x80.square_times(8).mul(&x8);
        let x92 = x88.square_times(4).mul(&x4);
        (x32, x92.square_times(2).mul(&x2))
    }

    const fn from_limbs(limbs: &Limbs) -> Self {
        // The limbs reach from 0 to 2^29 - 1, which is magnitude 2.
        Self(reduce(limbs::product(limbs, &R_SQUARED)))
    }

    /// The number itself, out of Montgomery's form, between 0 and p, with limbs from 0 to 2^29 - 1.
    fn canonical(&self) -> Limbs {
        let mut columns = [0; 2 * LIMBS];
        columns[..LIMBS].copy_from_slice(&self.0);
        limbs::canonical(reduce(columns), &P)
    }
}

impl Default for FieldElement {
    fn default() -> Self {
        Self::ZERO
    }
}

impl DefaultIsZeroes for FieldElement {}

/// The columns divided by 2^261, modulo p.
#[inline(always)]
const fn reduce(mut t: Columns) -> Limbs {
    // Each step adds q * p, where q is the lowest column's limb, and so makes that column a multiple of 2^29:
    // 2^96 is 2^9 in the third column above, 2^192 is 2^18 in the sixth, 2^224 2^21 in the seventh, 2^256 2^24 in the
    // eighth. |q| <= 2^28, so that a column takes up less than 2^53 by all steps together, and carries below 2^35.
    macro_rules! step {
        ($($i:literal)*) => {$(
            let (q, carry) = limbs::split(t[$i]);
            t[$i + 1] += carry;
            t[$i + 3] += q << 9;
            t[$i + 6] += q << 18;
            t[$i + 7] -= q << 21;
            t[$i + 8] += q << 24;
        )*};
    }
    step!(0 1 2 3 4 5 6 7 8);
    limbs::carried([t[9], t[10], t[11], t[12], t[13], t[14], t[15], t[16], t[17]])
}

/// p.
const P: Limbs = limbs::from_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");

const MODULUS: Modulus = Modulus { limbs: P, inverse: limbs::MASK };

/// 2^522 modulo p, which takes a number into Montgomery's form.
const R_SQUARED: Limbs =
    limbs::carried(limbs::from_hex("000013fffffff7fffffffffffffffbffffffeffffffffc000000000000000c00"));

#[cfg(test)]
impl FieldElement {
    /// A number of these limbs as they are, for tests at the bounds.
    pub(super) const fn from_raw(limbs: Limbs) -> Self {
        Self(limbs)
    }

    pub(super) const fn raw(&self) -> &Limbs {
        &self.0
    }
}
