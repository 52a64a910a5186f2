//! Numbers of nine signed limbs in radix 2^29: those of P-256's field and scalars, and of all inverses.
//!
//! A number is `sum(limb[i] * 2^(29 * i))`. Limbs are signed, so that a difference needs no multiple of the modulus,
//! and they are *centred*: the result of a multiplication has limbs from -2^28 to 2^28. That is *magnitude* 1; a sum
//! or difference of numbers of magnitude m and n has magnitude m + n at most. Nothing is carried in between.
//!
//! A column of a product has up to nine summands, each below `m * n * 2^56`. Hence the one rule: **`m * n` is 14 at
//! most** ([`MAX_PRODUCT`]), which leaves `9 * 14 * 2^56 < 2^63 - 2^57`, and 2^57 for what the reduction adds.
//!
//! Plain 64-bit arithmetic, since WebAssembly gives the low half of a 64-bit product only: with limbs of 29 bits that
//! half is all there is. No branch and no address depends on a value.

use crate::opaque;

/// How many limbs a number has.
pub(crate) const LIMBS: usize = 9;

/// How many bits a limb has.
pub(crate) const BITS: u32 = 29;

/// A number of nine limbs.
pub(crate) type Limbs = [i64; LIMBS];

/// The columns of a product, not carried.
pub(crate) type Columns = [i64; 2 * LIMBS];

/// `a * b`.
#[inline(always)]
pub(crate) const fn product(a: &Limbs, b: &Limbs) -> Columns {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = *b;
    [
        a0 * b0,
        a0 * b1 + a1 * b0,
        a0 * b2 + a1 * b1 + a2 * b0,
        a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
        a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0,
        a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0,
        a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0,
        a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0,
        a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0,
        a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1,
        a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2,
        a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3,
        a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4,
        a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5,
        a6 * b8 + a7 * b7 + a8 * b6,
        a7 * b8 + a8 * b7,
        a8 * b8,
        0,
    ]
}

/// `a * a`.
#[inline(always)]
pub(crate) const fn square(a: &Limbs) -> Columns {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = *a;
    [
        a0 * a0,
        ((a0 * a1) << 1),
        ((a0 * a2) << 1) + a1 * a1,
        ((a0 * a3 + a1 * a2) << 1),
        ((a0 * a4 + a1 * a3) << 1) + a2 * a2,
        ((a0 * a5 + a1 * a4 + a2 * a3) << 1),
        ((a0 * a6 + a1 * a5 + a2 * a4) << 1) + a3 * a3,
        ((a0 * a7 + a1 * a6 + a2 * a5 + a3 * a4) << 1),
        ((a0 * a8 + a1 * a7 + a2 * a6 + a3 * a5) << 1) + a4 * a4,
        ((a1 * a8 + a2 * a7 + a3 * a6 + a4 * a5) << 1),
        ((a2 * a8 + a3 * a7 + a4 * a6) << 1) + a5 * a5,
        ((a3 * a8 + a4 * a7 + a5 * a6) << 1),
        ((a4 * a8 + a5 * a7) << 1) + a6 * a6,
        ((a5 * a8 + a6 * a7) << 1),
        ((a6 * a8) << 1) + a7 * a7,
        ((a7 * a8) << 1),
        a8 * a8,
        0,
    ]
}

/// The low limb of a column, centred, and what is carried to the next.
#[inline(always)]
pub(crate) const fn split(column: i64) -> (i64, i64) {
    let up = column + HALF;
    ((up & MASK) - HALF, up >> BITS)
}

/// The number in limbs of magnitude 1, but for the last, which takes what is left.
#[inline(always)]
pub(crate) const fn carried(mut a: Limbs) -> Limbs {
    let mut i = 0;
    while i < LIMBS - 1 {
        let (limb, carry) = split(a[i]);
        a[i] = limb;
        a[i + 1] += carry;
        i += 1;
    }
    a
}

/// The number, which must lie between `-modulus` and `modulus`, as that between 0 and the modulus, with limbs from 0
/// to 2^29 - 1. The modulus' limbs must be such ones as well.
pub(crate) const fn canonical(mut a: Limbs, modulus: &Limbs) -> Limbs {
    carry_down(&mut a);
    // The sign of the whole is that of the last limb.
    let negative = opaque(a[LIMBS - 1] >> 63);
    let mut i = 0;
    while i < LIMBS {
        a[i] += modulus[i] & negative;
        i += 1;
    }
    carry_down(&mut a);
    a
}

/// `a + b`, limb by limb.
#[inline(always)]
pub(crate) const fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let mut sum = *a;
    let mut i = 0;
    while i < LIMBS {
        sum[i] += b[i];
        i += 1;
    }
    sum
}

/// `a - b`, limb by limb.
#[inline(always)]
pub(crate) const fn sub(a: &Limbs, b: &Limbs) -> Limbs {
    let mut difference = *a;
    let mut i = 0;
    while i < LIMBS {
        difference[i] -= b[i];
        i += 1;
    }
    difference
}

/// The number that 32 bytes hold, the first one being the highest, in limbs from 0 to 2^29 - 1.
pub(crate) const fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; LIMBS];
    let mut bit = 0;
    while bit < 256 {
        let byte = bytes[31 - bit / 8] as i64;
        let (limb, shift) = (bit / BITS as usize, bit as u32 % BITS);
        limbs[limb] |= (byte << shift) & MASK;
        if shift + 8 > BITS {
            limbs[limb + 1] |= byte >> (BITS - shift);
        }
        bit += 8;
    }
    limbs
}

/// The number that 64 hexadecimal digits say, in limbs from 0 to 2^29 - 1.
pub(crate) const fn from_hex(digits: &str) -> Limbs {
    let digits = digits.as_bytes();
    assert!(digits.len() == 64, "a constant has 64 digits");
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 64 {
        let digit = match digits[i] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit @ b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("a constant has the digits 0 to 9 and a to f"),
        };
        bytes[i / 2] = bytes[i / 2] << 4 | digit;
        i += 1;
    }
    from_bytes(&bytes)
}

/// What [`from_bytes`] reads; the limbs must be such as it gives.
pub(crate) const fn to_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut bit = 0;
    while bit < 256 {
        let (limb, shift) = (bit / BITS as usize, bit as u32 % BITS);
        let mut byte = limbs[limb] >> shift;
        if shift + 8 > BITS {
            byte |= limbs[limb + 1] << (BITS - shift);
        }
        bytes[31 - bit / 8] = byte as u8;
        bit += 8;
    }
    bytes
}

/// All ones when `a` is below `b`, zero otherwise; both with limbs from 0 to 2^29 - 1.
pub(crate) const fn less(a: &Limbs, b: &Limbs) -> i64 {
    let mut difference = sub(a, b);
    carry_down(&mut difference);
    difference[LIMBS - 1] >> 63
}

/// All ones when all limbs are zero, zero otherwise.
pub(crate) const fn zero(a: &Limbs) -> i64 {
    let mut any = 0;
    let mut i = 0;
    while i < LIMBS {
        any |= a[i];
        i += 1;
    }
    ((any | any.wrapping_neg()) >> 63) ^ -1
}

/// Carries so that all limbs but the last lie between 0 and 2^29 - 1.
const fn carry_down(a: &mut Limbs) {
    let mut i = 0;
    while i < LIMBS - 1 {
        a[i + 1] += a[i] >> BITS;
        a[i] &= MASK;
        i += 1;
    }
}

/// The magnitude of a number, for assertions.
pub(crate) const fn magnitude(a: &Limbs) -> i64 {
    let mut largest = 0;
    let mut i = 0;
    while i < LIMBS {
        if a[i].abs() > largest {
            largest = a[i].abs();
        }
        i += 1;
    }
    (largest + HALF - 1) / HALF
}

/// The largest product of the magnitudes of two factors.
pub(crate) const MAX_PRODUCT: i64 = 14;

/// The bits of a limb.
pub(crate) const MASK: i64 = (1 << BITS) - 1;

const HALF: i64 = 1 << (BITS - 1);
