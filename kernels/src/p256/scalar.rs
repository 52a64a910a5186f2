//! The scalars of P-256: numbers modulo n, the order of the group.
//!
//! Layout and the rule of magnitudes: see [`limbs`]; Montgomery's form and the size of values as in the field. The order
//! is `2^256 - 2^224 + 2^192 - d` with a d of 127 bits, so that a step of the reduction takes five multiplications by
//! the limbs of d, and three shifts. A column takes up five products below 2^56 by that, hence the product of
//! magnitudes is 13 at most here; nothing here comes near it.

use crate::opaque;
use zeroize::{DefaultIsZeroes, Zeroize as _};

use crate::inverse::{self, Modulus};
use crate::limbs::{self, BITS, Columns, LIMBS, Limbs, MASK};

/// A number modulo n.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar(Limbs);

impl Scalar {
    pub(super) const ZERO: Self = Self([0; LIMBS]);
    pub(super) const ONE: Self = Self(reduce(limbs::product(&[1, 0, 0, 0, 0, 0, 0, 0, 0], &R_SQUARED)));

    /// The number of 32 bytes, the highest first; `None` when it is zero, or n or above. The time says which.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let limbs = limbs::from_bytes(bytes);
        (limbs::less(&limbs, &N) & !limbs::zero(&limbs) != 0).then(|| Self::from_limbs(&limbs))
    }

    /// The number of 32 bytes, the highest first, modulo n.
    pub(super) fn from_bytes_reduced(bytes: &[u8; 32]) -> Self {
        Self::from_limbs(&limbs::from_bytes(bytes))
    }

    /// The number as 32 bytes, the highest first.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        limbs::to_bytes(&self.canonical())
    }

    /// `self * other`.
    #[inline(never)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        debug_assert!(limbs::magnitude(&self.0) * limbs::magnitude(&other.0) < limbs::MAX_PRODUCT);
        Self(reduce(limbs::product(&self.0, &other.0)))
    }

    /// `self + other`; the magnitudes add up.
    pub(super) fn add(&self, other: &Self) -> Self {
        Self(limbs::add(&self.0, &other.0))
    }

    /// `self - other`; the magnitudes add up.
    pub(super) fn sub(&self, other: &Self) -> Self {
        Self(limbs::sub(&self.0, &other.0))
    }

    /// `1 / self`; zero for zero.
    pub(super) fn invert(&self) -> Self {
        let mut canonical = self.canonical();
        let inverse = Self::from_limbs(&inverse::invert(&canonical, &MODULUS));
        canonical.zeroize();
        inverse
    }

    /// Whether it is zero, modulo n. For use on what is public, or where zero does not occur.
    pub(super) fn is_zero(&self) -> bool {
        limbs::zero(&self.canonical()) != 0
    }

    /// Whether the two are the same modulo n.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.sub(other).is_zero()
    }

    /// The number as a sum of `±2^i` for each i below `count`, which is 257 to 320: bit i of the result says whether the
    /// sign is plus. The number is taken plus n where it is even, since such a sum is odd.
    ///
    /// The sum is `2 * e - (2^count - 1)` for the number e of those bits, so that for an odd k the bits are those of
    /// `(k - 1) / 2 + 2^(count - 1)` (M. Hamburg, "Fast and compact elliptic-curve cryptography", 2012, section 3.3).
    pub(super) fn signs(&self, count: usize) -> Signs {
        let mut limbs = self.canonical();
        let even = opaque((limbs[0] & 1) - 1);
        for (limb, order) in limbs.iter_mut().zip(N) {
            *limb += order & even;
        }
        let mut signs = Signs([0; 5]);
        let mut carry = 0;
        for (i, limb) in limbs.iter().enumerate() {
            let sum = limb + carry;
            carry = sum >> BITS;
            let (word, shift) = (i * BITS as usize / 64, i as u32 * BITS % 64);
            let limb = (sum & MASK) as u64;
            signs.0[word] |= limb << shift;
            if shift + BITS > 64 {
                signs.0[word + 1] |= limb >> (64 - shift);
            }
        }
        for word in 0..4 {
            signs.0[word] = signs.0[word] >> 1 | signs.0[word + 1] << 63;
        }
        signs.0[4] = signs.0[4] >> 1 | 1 << (count - 1 - 256);
        signs
    }

    fn from_limbs(limbs: &Limbs) -> Self {
        Self(reduce(limbs::product(limbs, &R_SQUARED)))
    }

    /// The number itself, out of Montgomery's form, between 0 and n, with limbs from 0 to 2^29 - 1.
    fn canonical(&self) -> Limbs {
        let mut columns = [0; 2 * LIMBS];
        columns[..LIMBS].copy_from_slice(&self.0);
        limbs::canonical(reduce(columns), &N)
    }
}

impl Default for Scalar {
    fn default() -> Self {
        Self::ZERO
    }
}

impl DefaultIsZeroes for Scalar {}

/// What [`Scalar::signs`] gives, the lowest first.
#[derive(Clone, Copy, Default)]
pub(super) struct Signs([u64; 5]);

impl Signs {
    /// Bit `i`.
    #[inline(always)]
    pub(super) fn bit(&self, i: usize) -> u64 {
        self.0[i / 64] >> (i % 64) & 1
    }
}

impl DefaultIsZeroes for Signs {}

/// The columns divided by 2^261, modulo n.
#[inline(always)]
const fn reduce(mut t: Columns) -> Limbs {
    macro_rules! step {
        ($($i:literal)*) => {$(
            let (q, _) = limbs::split((t[$i] & MASK) * N_INVERSE);
            t[$i] -= q * D[0];
            t[$i + 1] += (t[$i] >> BITS) - q * D[1];
            t[$i + 2] -= q * D[2];
            t[$i + 3] -= q * D[3];
            t[$i + 4] -= q * D[4];
            t[$i + 6] += q << 18;
            t[$i + 7] -= q << 21;
            t[$i + 8] += q << 24;
        )*};
    }
    step!(0 1 2 3 4 5 6 7 8);
    limbs::carried([t[9], t[10], t[11], t[12], t[13], t[14], t[15], t[16], t[17]])
}

/// n.
const N: Limbs = limbs::from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

const MODULUS: Modulus = Modulus { limbs: N, inverse: (1 << BITS) - N_INVERSE };

/// `2^256 - 2^224 + 2^192 - n`, in centred limbs.
const D: [i64; 5] = [60_611_247, 36_809_192, -99_066_173, -234_183_502, 1074];

/// `-1 / n` modulo 2^29.
const N_INVERSE: i64 = 0xe00_bc4f;

/// 2^522 modulo n, which takes a number into Montgomery's form.
const R_SQUARED: Limbs =
    limbs::carried(limbs::from_hex("84b6556a65587f0616c8e4adafb165861f11fc5bb2d31a9945e9cfeeb48d9ef5"));

#[cfg(test)]
impl Scalar {
    /// A number of these limbs as they are, for tests at the bounds.
    pub(super) const fn from_raw(limbs: Limbs) -> Self {
        Self(limbs)
    }

    pub(super) const fn raw(&self) -> Limbs {
        self.0
    }
}
