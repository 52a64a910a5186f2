//! X25519 (RFC 7748 section 5): the Montgomery ladder, with two numbers in a vector.
//!
//! All numbers of a step of the ladder come in twos: a step is five multiplications of pairs, two of which are squares,
//! and no number is ever multiplied alone. `field` has the pairs, `inverse` the division at the end. The steps are those of
//! RFC 7748; every bit of the scalar takes the same ones. For the base point `base` has a quicker way.

mod base;
mod field;
mod table;
#[cfg(test)]
mod tests;

use crate::opaque;
use zeroize::Zeroizing;

pub use base::public_key;

use crate::inverse::{Modulus, invert};
use crate::limbs;
use crate::simd::u32x4_splat;
use field::{LIMBS, Pair, from_bytes, to_bytes};

/// The function X25519: the u coordinate of a scalar times the point whose u coordinate is given.
///
/// Any 32 bytes are a scalar, bits of which are set and cleared as the RFC says, and any 32 bytes are a point. A point
/// of small order gives zeros, which the caller must refuse (RFC 8446 section 7.4.2).
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub fn x25519(scalar: &[u8; 32], point: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let scalar = clamped(scalar);
    let u = from_bytes(point);
    let multipliers = Pair::new(&u, &A24);
    let mut doubled = Pair::new(&ONE, &ZERO);
    let mut added = Pair::new(&ONE, &u);
    let mut last_bit = 0;
    for t in (0..255).rev() {
        let bit = u32::from(scalar[t / 8] >> (t % 8) & 1);
        let mask = opaque((bit ^ last_bit).wrapping_neg());
        last_bit = bit;
        (doubled, added) = step(&doubled, &added, mask, &multipliers);
    }
    // The lowest bit of a scalar is zero, so that nothing is to be exchanged.
    let (x, z) = (doubled.left(), doubled.swapped().left());
    Zeroizing::new(quotient(&x, &Zeroizing::new(to_bytes(&z))))
}

/// The scalar with those bits set and cleared that RFC 7748 section 5 says.
fn clamped(scalar: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut scalar = Zeroizing::new(*scalar);
    scalar[0] &= 0xf8;
    scalar[31] = scalar[31] & 0x7f | 0x40;
    scalar
}

/// One step of the ladder, by the names of RFC 7748 section 5: from (x2 | z2) and (z3 | x3) to the next ones.
///
/// Where `mask` is all ones and not zero, the two points are exchanged before. To the product of DA and CB that makes no
/// difference but for a sign, which a square loses; so only what is doubled is chosen. What is multiplied has magnitude 2
/// at most.
#[inline(always)]
fn step(doubled: &Pair, added: &Pair, mask: u32, multipliers: &Pair) -> (Pair, Pair) {
    let zx_2 = doubled.swapped();
    let a_b = doubled.add(&zx_2).blended(&zx_2.sub(doubled));
    let xz_3 = added.swapped();
    let sum = added.add(&xz_3);
    let d_c = xz_3.sub(added).blended(&sum);
    let c_d = sum.blended(&added.sub(&xz_3));
    let da_cb = a_b.mul(&d_c);
    let aa_bb = a_b.select(&c_d, u32x4_splat(mask)).square();
    // (DA - CB | DA + CB), and its squares: the right one is x3
    let cb_da = da_cb.swapped();
    let squares = da_cb.sub(&cb_da).blended(&da_cb.add(&cb_da)).square();
    // (BB | E)
    let bb_aa = aa_bb.swapped();
    let bb_e = bb_aa.sub(&Pair::ZERO.blended(&aa_bb));
    // ((DA - CB)^2 | E) by (u | a24): the left one is z3
    let z3_a24e = squares.blended(&bb_e).mul(multipliers);
    // (AA | AA + a24 E) by (BB | E)
    let xz_2 = aa_bb.blended(&bb_aa.add(&z3_a24e)).mul(&bb_e);
    (xz_2, z3_a24e.blended(&squares))
}

/// `a / b` modulo p; zero where b is. `a` has magnitude 3 at most.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn quotient(a: &[i32; LIMBS], b: &[u8; 32]) -> [u8; 32] {
    let inverse = Zeroizing::new(inverse(b));
    to_bytes(&Pair::new(a, &ZERO).mul(&Pair::new(&from_bytes(&inverse), &ZERO)).left())
}

/// `1 / number` modulo p, zero for zero. The number must be below p.
fn inverse(number: &[u8; 32]) -> [u8; 32] {
    let reversed = |mut bytes: [u8; 32]| {
        bytes.reverse();
        bytes
    };
    reversed(limbs::to_bytes(&invert(&limbs::from_bytes(&reversed(*number)), &P)))
}

/// 2^255 - 19.
const P: Modulus = Modulus {
    limbs: limbs::from_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"),
    inverse: 395589093,
};

const _: () = assert!((P.inverse * P.limbs[0]) & limbs::MASK == 1);

const ZERO: [i32; LIMBS] = [0; LIMBS];

const ONE: [i32; LIMBS] = [1, 0, 0, 0, 0, 0, 0, 0, 0];

/// `(A - 2) / 4` of the curve, a24 in RFC 7748.
const A24: [i32; LIMBS] = [121_665, 0, 0, 0, 0, 0, 0, 0, 0];
