//! The field of Curve25519, two numbers at a time: modulo p = 2^255 - 19.
//!
//! Nine signed limbs in radix 2^29, as P-256 has them; limb i of both numbers lies in one vector. The result of a
//! multiplication is *centred*: its limbs lie between -2^28 and 2^28, but the second one may be 2^17 above. That is
//! *magnitude* 1. Sums and differences are not carried, and magnitudes add up.
//!
//! A column of a product has up to nine summands. **The magnitudes of two factors have a product of 12 at most**:
//! `9 * 12 * 2^56 < 2^63 - 2^60`, where the excess of the second limb and all that the reduction adds find room. The
//! ladder needs 4.
//!
//! Reduction: 2^261 is 64 * 19 = 1216 modulo p. The upper columns are cut at 2^29 first, each by itself, and then added
//! to the lower ones 1216 times: what is added is below `1216 * 2^35 < 2^46`.

use super::lanes::Lanes;

/// Two numbers modulo p, side by side.
#[derive(Clone, Copy)]
pub(super) struct Pair([Lanes; LIMBS]);

impl Pair {
    /// `left` in the first lane, `right` in the second.
    pub(super) fn new(left: &[i32; LIMBS], right: &[i32; LIMBS]) -> Self {
        Self(core::array::from_fn(|i| Lanes::new(left[i], right[i])))
    }

    /// The numbers of the two lanes.
    pub(super) fn lanes(&self) -> [[i32; LIMBS]; 2] {
        let limbs = self.0.map(Lanes::to_array);
        [limbs.map(|[left, _]| left), limbs.map(|[_, right]| right)]
    }

    /// `self * other`, lane by lane.
    #[inline(never)]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let zeros = Lanes::zeros();
        let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = Lanes::opaque(&self.0, &zeros);
        let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = Lanes::opaque(&other.0, &zeros);
        reduce(
            &zeros,
            [
                sum!((a0 b0)),
                sum!((a0 b1) (a1 b0)),
                sum!((a0 b2) (a1 b1) (a2 b0)),
                sum!((a0 b3) (a1 b2) (a2 b1) (a3 b0)),
                sum!((a0 b4) (a1 b3) (a2 b2) (a3 b1) (a4 b0)),
                sum!((a0 b5) (a1 b4) (a2 b3) (a3 b2) (a4 b1) (a5 b0)),
                sum!((a0 b6) (a1 b5) (a2 b4) (a3 b3) (a4 b2) (a5 b1) (a6 b0)),
                sum!((a0 b7) (a1 b6) (a2 b5) (a3 b4) (a4 b3) (a5 b2) (a6 b1) (a7 b0)),
                sum!((a0 b8) (a1 b7) (a2 b6) (a3 b5) (a4 b4) (a5 b3) (a6 b2) (a7 b1) (a8 b0)),
                sum!((a1 b8) (a2 b7) (a3 b6) (a4 b5) (a5 b4) (a6 b3) (a7 b2) (a8 b1)),
                sum!((a2 b8) (a3 b7) (a4 b6) (a5 b5) (a6 b4) (a7 b3) (a8 b2)),
                sum!((a3 b8) (a4 b7) (a5 b6) (a6 b5) (a7 b4) (a8 b3)),
                sum!((a4 b8) (a5 b7) (a6 b6) (a7 b5) (a8 b4)),
                sum!((a5 b8) (a6 b7) (a7 b6) (a8 b5)),
                sum!((a6 b8) (a7 b7) (a8 b6)),
                sum!((a7 b8) (a8 b7)),
                sum!((a8 b8)),
            ],
        )
    }

    /// `self * self`, lane by lane; of magnitude 3 at most, since the limbs are doubled on the way.
    #[inline(never)]
    pub(super) fn square(&self) -> Self {
        let zeros = Lanes::zeros();
        let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = Lanes::opaque(&self.0, &zeros);
        let [d0, d1, d2, d3, d4, d5, d6, d7] = [a0, a1, a2, a3, a4, a5, a6, a7].map(|limb| limb.add(limb));
        reduce(
            &zeros,
            [
                sum!((a0 a0)),
                sum!((d0 a1)),
                sum!((d0 a2) (a1 a1)),
                sum!((d0 a3) (d1 a2)),
                sum!((d0 a4) (d1 a3) (a2 a2)),
                sum!((d0 a5) (d1 a4) (d2 a3)),
                sum!((d0 a6) (d1 a5) (d2 a4) (a3 a3)),
                sum!((d0 a7) (d1 a6) (d2 a5) (d3 a4)),
                sum!((d0 a8) (d1 a7) (d2 a6) (d3 a5) (a4 a4)),
                sum!((d1 a8) (d2 a7) (d3 a6) (d4 a5)),
                sum!((d2 a8) (d3 a7) (d4 a6) (a5 a5)),
                sum!((d3 a8) (d4 a7) (d5 a6)),
                sum!((d4 a8) (d5 a7) (a6 a6)),
                sum!((d5 a8) (d6 a7)),
                sum!((d6 a8) (a7 a7)),
                sum!((d7 a8)),
                sum!((a8 a8)),
            ],
        )
    }

    /// `self` squared `times` times.
    pub(super) fn square_times(mut self, times: usize) -> Self {
        for _ in 0..times {
            self = self.square();
        }
        self
    }

    /// `self + other`, lane by lane.
    #[inline(always)]
    pub(super) fn add(&self, other: &Self) -> Self {
        self.zip(other, Lanes::add)
    }

    /// `self - other`, lane by lane.
    #[inline(always)]
    pub(super) fn sub(&self, other: &Self) -> Self {
        self.zip(other, Lanes::sub)
    }

    /// The lanes exchanged.
    #[inline(always)]
    pub(super) fn swapped(&self) -> Self {
        Self(self.0.map(Lanes::swapped))
    }

    /// The lanes exchanged where `mask` is all ones and not zero.
    #[inline(always)]
    pub(super) fn swapped_if(&self, mask: i32) -> Self {
        self.zip(&self.swapped(), |kept, swapped| kept.select(swapped, mask))
    }

    /// The first lanes of the two.
    #[inline(always)]
    pub(super) fn firsts(&self, other: &Self) -> Self {
        self.zip(other, Lanes::firsts)
    }

    /// The second lanes of the two.
    #[inline(always)]
    pub(super) fn seconds(&self, other: &Self) -> Self {
        self.zip(other, Lanes::seconds)
    }

    /// `1 / self`, lane by lane; zero for zero. By Fermat: self^(p - 2), where p - 2 is 2^255 - 21.
    pub(super) fn invert(&self) -> Self {
        let x2 = self.square();
        let x9 = x2.square_times(2).mul(self);
        let x11 = x9.mul(&x2);
        let ones_5 = x11.square().mul(&x9);
        let ones_10 = ones_5.square_times(5).mul(&ones_5);
        let ones_20 = ones_10.square_times(10).mul(&ones_10);
        let ones_40 = ones_20.square_times(20).mul(&ones_20);
        let ones_50 = ones_40.square_times(10).mul(&ones_10);
        let ones_100 = ones_50.square_times(50).mul(&ones_50);
        let ones_200 = ones_100.square_times(100).mul(&ones_100);
        let ones_250 = ones_200.square_times(50).mul(&ones_50);
        ones_250.square_times(5).mul(&x11)
    }

    #[inline(always)]
    fn zip(&self, other: &Self, f: impl Fn(Lanes, Lanes) -> Lanes) -> Self {
        Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

/// The columns modulo p.
#[inline(always)]
fn reduce(zeros: &[Lanes; 2], t: [Lanes; 2 * LIMBS - 1]) -> Pair {
    let [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15, t16] = t;
    let (h0, c0) = t9.split();
    let (h1, c1) = t10.split();
    let (h2, c2) = t11.split();
    let (h3, c3) = t12.split();
    let (h4, c4) = t13.split();
    let (h5, c5) = t14.split();
    let (h6, c6) = t15.split();
    let (h7, c7) = t16.split();
    let (l0, c) = t0.add_wide(h0.times_1216(zeros)).split();
    let (l1, c) = t1.add_wide(h1.add_wide(c0).times_1216(zeros)).add_wide(c).split();
    let (l2, c) = t2.add_wide(h2.add_wide(c1).times_1216(zeros)).add_wide(c).split();
    let (l3, c) = t3.add_wide(h3.add_wide(c2).times_1216(zeros)).add_wide(c).split();
    let (l4, c) = t4.add_wide(h4.add_wide(c3).times_1216(zeros)).add_wide(c).split();
    let (l5, c) = t5.add_wide(h5.add_wide(c4).times_1216(zeros)).add_wide(c).split();
    let (l6, c) = t6.add_wide(h6.add_wide(c5).times_1216(zeros)).add_wide(c).split();
    let (l7, c) = t7.add_wide(h7.add_wide(c6).times_1216(zeros)).add_wide(c).split();
    let (l8, c) = t8.add_wide(c7.times_1216(zeros)).add_wide(c).split();
    // What is carried out of the top is below 2^35, hence what is carried on from the first limb below 2^17.
    let (l0, c) = l0.add_wide(c.times_1216(zeros)).split();
    let l1 = l1.add_wide(c);
    Pair([l0, l1, l2, l3, l4, l5, l6, l7, l8].map(Lanes::narrow))
}

/// A sum of products.
macro_rules! sum {
    (($a:ident $b:ident) $(($c:ident $d:ident))*) => {
        $a.mul($b)$(.add_wide($c.mul($d)))*
    };
}
use sum;

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

/// The number as 32 bytes, the lowest first, below p. Its magnitude is 1.
pub(super) fn to_bytes(limbs: &[i32; LIMBS]) -> [u8; 32] {
    // Above zero first: 2^261 - 1216, which is 64 p, has limbs of 29 ones but for the lowest.
    let mut limbs = limbs.map(|limb| i64::from(limb) + MASK);
    limbs[0] -= 1215;
    // What is above 2^255 comes back 19 times, at most 2^6 of it; and once more, which is 0 or 1.
    for _ in 0..2 {
        carry(&mut limbs);
        let above = limbs[LIMBS - 1] >> TOP_BITS;
        limbs[LIMBS - 1] &= (1 << TOP_BITS) - 1;
        limbs[0] += 19 * above;
    }
    // Now below 2^255: p is taken away where 19 more reach 2^255.
    carry(&mut limbs);
    let mut more = limbs;
    more[0] += 19;
    carry(&mut more);
    let reached = -(more[LIMBS - 1] >> TOP_BITS);
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
fn carry(limbs: &mut [i64; LIMBS]) {
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
