//! Inverses modulo p and n, by division steps: D. J. Bernstein and B.-Y. Yang, "Fast constant-time gcd computation and
//! modular inversion", 2019, in the variant that P. Wuille describes in libsecp256k1's `safegcd_implementation.md`.
//!
//! A *division step* makes of an odd f, any g and a number delta either `(1 - delta, g, (g - f) / 2)`, when delta is
//! above zero and g odd, or `(1 + delta, f, (g + (g mod 2) f) / 2)`. The greatest common divisor stays, and g becomes
//! zero: from delta = 1/2 and 256 bits, after 590 steps at most, whatever the numbers are. f is 1 or -1 then.
//!
//! 29 steps, a limb, depend on the lowest limbs alone. They give a matrix of integers whose rows have absolute sums of
//! 2^29 at most, and `(f, g)` becomes the matrix times `(f, g) / 2^29`. So does `(d, e)` modulo m, which starts as
//! `(0, 1)`, so that `d * number = f` and `e * number = g` modulo m hold throughout.
//!
//! Limbs lie between 0 and 2^29 - 1 here, but for the last, which has the sign. f and g lie between -m and m, d and e
//! between -2 m and m. A column takes up two products of one row, below 2^58 in sum, one of the modulus, below 2^58,
//! and a carry below 2^31. No branch and no address depends on a number.

use crate::limbs::{self, BITS, LIMBS, Limbs, MASK};
use crate::opaque;

/// An odd modulus below 2^256.
pub(crate) struct Modulus {
    pub(crate) limbs: Limbs,
    /// `1 / modulus` modulo 2^29.
    pub(crate) inverse: i64,
}

/// `1 / number` modulo a prime, zero for zero; both from 0 to the modulus, with limbs from 0 to 2^29 - 1.
pub(crate) fn invert(number: &Limbs, modulus: &Modulus) -> Limbs {
    let (mut f, mut g) = (modulus.limbs, *number);
    let (mut d, mut e) = ([0; LIMBS], [1, 0, 0, 0, 0, 0, 0, 0, 0]);
    // -(delta + 1/2)
    let mut zeta = -1;
    for _ in 0..STEPS.div_ceil(BITS) {
        let matrix;
        (zeta, matrix) = steps(zeta, f[0], g[0]);
        (d, e) = matrix.apply_modulo(&d, &e, modulus);
        (f, g) = matrix.apply(&f, &g);
    }
    // d lies between -2 m and m: now between -m and m, and the sign that f has.
    let [below, minus] = [d, f].map(|number| opaque(number[LIMBS - 1] >> 63));
    for (limb, of_modulus) in d.iter_mut().zip(modulus.limbs) {
        *limb = ((*limb + (of_modulus & below)) ^ minus) - minus;
    }
    limbs::canonical(d, &modulus.limbs)
}

/// What 29 division steps do to f and g, times 2^29.
#[derive(Clone, Copy)]
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// 29 division steps on numbers of which these are the lowest limbs.
#[inline(always)]
fn steps(mut zeta: i64, mut f: i64, mut g: i64) -> (i64, Matrix) {
    // Each row of the matrix in one number: `u + 2^32 v` and `q + 2^32 r`.
    let (mut upper, mut lower) = (1_i64, 1 << 32);
    for _ in 0..BITS {
        let (swap, odd) = (zeta >> 63, -(g & 1));
        // f or -f, when delta is above zero, is added to g where g is odd.
        g += ((f ^ swap) - swap) & odd;
        lower += ((upper ^ swap) - swap) & odd;
        // In that case f becomes what g was.
        let swap = swap & odd;
        zeta = (zeta ^ swap) - 1;
        f += g & swap;
        upper += lower & swap;
        g >>= 1;
        upper <<= 1;
    }
    let split = |row: i64| (i64::from(row as i32), (row - i64::from(row as i32)) >> 32);
    let ((u, v), (q, r)) = (split(upper), split(lower));
    (zeta, Matrix { u, v, q, r })
}

impl Matrix {
    /// `(u * f + v * g, q * f + r * g) / 2^29`.
    #[inline(always)]
    fn apply(&self, f: &Limbs, g: &Limbs) -> (Limbs, Limbs) {
        let Self { u, v, q, r } = *self;
        let (mut new_f, mut new_g) = ([0; LIMBS], [0; LIMBS]);
        // The lowest 29 bits are zero.
        let (mut carry_f, mut carry_g) = ((u * f[0] + v * g[0]) >> BITS, (q * f[0] + r * g[0]) >> BITS);
        for i in 1..LIMBS {
            carry_f += u * f[i] + v * g[i];
            carry_g += q * f[i] + r * g[i];
            (new_f[i - 1], new_g[i - 1]) = (carry_f & MASK, carry_g & MASK);
            (carry_f, carry_g) = (carry_f >> BITS, carry_g >> BITS);
        }
        (new_f[LIMBS - 1], new_g[LIMBS - 1]) = (carry_f, carry_g);
        (new_f, new_g)
    }

    /// `(u * d + v * e, q * d + r * e) / 2^29` modulo m, between -2 m and m as d and e are.
    #[inline(always)]
    fn apply_modulo(&self, d: &Limbs, e: &Limbs, modulus: &Modulus) -> (Limbs, Limbs) {
        let Self { u, v, q, r } = *self;
        let m = &modulus.limbs;
        let (mut new_d, mut new_e) = ([0; LIMBS], [0; LIMBS]);
        // As many times m as bring d and e, where they are negative, to between -m and m; and then so many, 2^29 at
        // most, as make the lowest 29 bits zero.
        let (minus_d, minus_e) = (d[LIMBS - 1] >> 63, e[LIMBS - 1] >> 63);
        let (mut times_d, mut times_e) = ((u & minus_d) + (v & minus_e), (q & minus_d) + (r & minus_e));
        let (mut carry_d, mut carry_e) = (u * d[0] + v * e[0], q * d[0] + r * e[0]);
        times_d -= ((carry_d & MASK) * modulus.inverse + times_d) & MASK;
        times_e -= ((carry_e & MASK) * modulus.inverse + times_e) & MASK;
        carry_d = (carry_d + times_d * m[0]) >> BITS;
        carry_e = (carry_e + times_e * m[0]) >> BITS;
        for i in 1..LIMBS {
            carry_d += u * d[i] + v * e[i] + times_d * m[i];
            carry_e += q * d[i] + r * e[i] + times_e * m[i];
            (new_d[i - 1], new_e[i - 1]) = (carry_d & MASK, carry_e & MASK);
            (carry_d, carry_e) = (carry_d >> BITS, carry_e >> BITS);
        }
        (new_d[LIMBS - 1], new_e[LIMBS - 1]) = (carry_d, carry_e);
        (new_d, new_e)
    }
}

/// How many division steps are enough for 256 bits.
const STEPS: u32 = 590;
