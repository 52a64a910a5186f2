//! The inverse modulo p = 2^255 - 19 in constant time: D. J. Bernstein and B.-Y. Yang, "Fast constant-time gcd computation
//! and modular inversion" (2019), in the form that P. Wuille found and that libsecp256k1 describes in
//! doc/safegcd_implementation.md.
//!
//! # Method
//! Division steps make of an odd f and a g others with the same greatest common divisor, until g is zero and f is 1
//! or -1. Numbers d and e go along, with `f = d * x` and `g = e * x` modulo p, where x is the number. A step looks at the lowest bit of g only, so
//! that 30 of them are done on the low words; what they do is a matrix, which then is applied to the whole numbers.
//! 590 steps are enough for any x below 2^256; 20 times 30 are done, whatever x is.
//!
//! # Layout and bounds
//! A number is nine limbs in radix 2^30, the last one signed, the others from 0 to 2^30 - 1. f and g are from -p to p, d and
//! e from -2p to p, without ends. The entries of a matrix have a sum of sizes of 2^30 at most for each row; so the sums of
//! two products are below `2^60`, and with the carry and the multiple of p below 2^62.

/// `1 / number` modulo p, below p; zero for zero. The number must be below p.
pub(super) fn inverse(number: &[u8; 32]) -> [u8; 32] {
    let (mut f, mut g) = (P, from_bytes(number));
    let (mut d, mut e) = ([0; LIMBS], [0; LIMBS]);
    e[0] = 1;
    let mut zeta = -1;
    for _ in 0..20 {
        let matrix;
        (matrix, zeta) = steps(zeta, f[0], g[0]);
        (d, e) = matrix.apply_modulo_p(&d, &e);
        (f, g) = matrix.apply(&f, &g);
    }
    // f is 1 or -1, and d what it takes for that; for x = 0 f is p, and d zero.
    to_bytes(normalized(d, f[LIMBS - 1] >> 63))
}

/// What 30 division steps do, times 2^30: f becomes `u f + v g`, and g `q f + r g`.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// 30 division steps on the low bits of f and g. `zeta` is -(delta + 1/2) in the words of the paper.
fn steps(mut zeta: i64, mut f: i64, mut g: i64) -> (Matrix, i64) {
    // Two entries in one word, the second 2^32 times: sums, differences and doubling do not mind.
    let mut uv = 1;
    let mut qr = 1 << 32;
    for _ in 0..BITS {
        // Where zeta is negative f and g change their places, if g is odd, and f its sign.
        let negative = zeta >> 63;
        let odd = -(g & 1);
        g += ((f ^ negative) - negative) & odd;
        qr += ((uv ^ negative) - negative) & odd;
        let changed = negative & odd;
        zeta = (zeta ^ changed) - 1;
        f += g & changed;
        uv += qr & changed;
        g >>= 1;
        uv <<= 1;
    }
    let parts = |two: i64| {
        let low = i64::from(two as i32);
        (low, (two - low) >> 32)
    };
    let ((u, v), (q, r)) = (parts(uv), parts(qr));
    (Matrix { u, v, q, r }, zeta)
}

impl Matrix {
    /// The matrix times (f, g), of which nothing is lost, divided by 2^30.
    fn apply(&self, f: &Limbs, g: &Limbs) -> (Limbs, Limbs) {
        let Self { u, v, q, r } = *self;
        let (mut new_f, mut new_g) = ([0; LIMBS], [0; LIMBS]);
        let mut carry_f = (u * f[0] + v * g[0]) >> BITS;
        let mut carry_g = (q * f[0] + r * g[0]) >> BITS;
        for i in 1..LIMBS {
            carry_f += u * f[i] + v * g[i];
            carry_g += q * f[i] + r * g[i];
            (new_f[i - 1], new_g[i - 1]) = (carry_f & MASK, carry_g & MASK);
            (carry_f, carry_g) = (carry_f >> BITS, carry_g >> BITS);
        }
        (new_f[LIMBS - 1], new_g[LIMBS - 1]) = (carry_f, carry_g);
        (new_f, new_g)
    }

    /// The matrix times (d, e), divided by 2^30 modulo p.
    fn apply_modulo_p(&self, d: &Limbs, e: &Limbs) -> (Limbs, Limbs) {
        let Self { u, v, q, r } = *self;
        let (mut new_d, mut new_e) = ([0; LIMBS], [0; LIMBS]);
        // How many times p is added: once for each entry whose number is negative, and as often as makes the lowest limb
        // zero.
        let (negative_d, negative_e) = (d[LIMBS - 1] >> 63, e[LIMBS - 1] >> 63);
        let times = |(u, v): (i64, i64), low: i64| {
            let times = (u & negative_d) + (v & negative_e);
            times - ((P_INVERSE * low + times) & MASK)
        };
        let (mut carry_d, mut carry_e) = (u * d[0] + v * e[0], q * d[0] + r * e[0]);
        let times_d = times((u, v), carry_d & MASK);
        let times_e = times((q, r), carry_e & MASK);
        carry_d = (carry_d + P[0] * times_d) >> BITS;
        carry_e = (carry_e + P[0] * times_e) >> BITS;
        for i in 1..LIMBS {
            carry_d += u * d[i] + v * e[i] + P[i] * times_d;
            carry_e += q * d[i] + r * e[i] + P[i] * times_e;
            (new_d[i - 1], new_e[i - 1]) = (carry_d & MASK, carry_e & MASK);
            (carry_d, carry_e) = (carry_d >> BITS, carry_e >> BITS);
        }
        (new_d[LIMBS - 1], new_e[LIMBS - 1]) = (carry_d, carry_e);
        (new_d, new_e)
    }
}

/// A number from -2p to p, negated where `negative` is all ones: from 0 to p - 1.
fn normalized(mut number: Limbs, negative: i64) -> Limbs {
    let add_p = |number: &mut Limbs| {
        let below_zero = number[LIMBS - 1] >> 63;
        for (limb, of_p) in number.iter_mut().zip(P) {
            *limb += of_p & below_zero;
        }
    };
    add_p(&mut number);
    number = number.map(|limb| (limb ^ negative) - negative);
    carry(&mut number);
    add_p(&mut number);
    carry(&mut number);
    number
}

fn carry(number: &mut Limbs) {
    for i in 0..LIMBS - 1 {
        number[i + 1] += number[i] >> BITS;
        number[i] &= MASK;
    }
}

fn from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; LIMBS];
    for (i, byte) in bytes.iter().enumerate() {
        let (limb, shift) = (8 * i / BITS, 8 * i % BITS);
        limbs[limb] |= (i64::from(*byte) << shift) & MASK;
        if shift + 8 > BITS {
            limbs[limb + 1] |= i64::from(*byte) >> (BITS - shift);
        }
    }
    limbs
}

fn to_bytes(limbs: Limbs) -> [u8; 32] {
    core::array::from_fn(|i| {
        let (limb, shift) = (8 * i / BITS, 8 * i % BITS);
        let above = if shift + 8 > BITS { limbs[limb + 1] << (BITS - shift) } else { 0 };
        ((limbs[limb] >> shift) | above) as u8
    })
}

type Limbs = [i64; LIMBS];

const LIMBS: usize = 9;

/// The bits of a limb, and the steps of a matrix.
const BITS: usize = 30;

const MASK: i64 = (1 << BITS) - 1;

/// p, with a lowest limb that is negative.
const P: Limbs = [-19, 0, 0, 0, 0, 0, 0, 0, 1 << 15];

/// `1 / p` modulo 2^30.
const P_INVERSE: i64 = 395_589_093;

const _: () = assert!((P_INVERSE * P[0]) & MASK == 1);
