//! X25519 (RFC 7748 section 5): the Montgomery ladder, with two field elements in a vector.
//!
//! All numbers of a step of the ladder come in twos: a step is five multiplications of pairs, two of which are squares,
//! and no number is ever carried alone. `field` has the pairs, `lanes` what a vector can do. The steps are those of
//! RFC 7748; every bit of the scalar takes the same ones.

mod field;
mod lanes;
#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use field::{LIMBS, Pair, from_bytes, to_bytes};

/// The function X25519: the u coordinate of a scalar times the point whose u coordinate is given.
///
/// Any 32 bytes are a scalar, bits of which are set and cleared as the RFC says, and any 32 bytes are a point. A point
/// of small order gives zeros, which the caller must refuse (RFC 8446 section 7.4.2).
pub fn x25519(scalar: &[u8; 32], point: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut scalar = Zeroizing::new(*scalar);
    scalar[0] &= 0xf8;
    scalar[31] = scalar[31] & 0x7f | 0x40;

    let u = from_bytes(point);
    let multipliers = Pair::new(&u, &A24);
    // (x2 | x3) and (z2 | z3)
    let mut x = Pair::new(&ONE, &u);
    let mut z = Pair::new(&ZERO, &ONE);
    let mut swap = 0;
    for t in (0..255).rev() {
        let bit = i32::from(scalar[t / 8] >> (t % 8) & 1);
        let mask = core::hint::black_box(-(bit ^ swap));
        swap = bit;
        (x, z) = step(&x.swapped_if(mask), &z.swapped_if(mask), &multipliers);
    }
    let mask = -swap;
    let (x, z) = (x.swapped_if(mask), z.swapped_if(mask));
    let [quotient, _] = x.mul(&z.invert()).lanes();
    Zeroizing::new(to_bytes(&quotient))
}

/// One step of the ladder, by the names of RFC 7748 section 5. What is multiplied has magnitude 2 at most.
#[inline(always)]
fn step(x: &Pair, z: &Pair, multipliers: &Pair) -> (Pair, Pair) {
    // (A | C) and (B | D)
    let (sums, differences) = (x.add(z), x.sub(z));
    let a_b = sums.firsts(&differences);
    let d_c = differences.seconds(&sums);
    let (aa_bb, da_cb) = (a_b.square(), a_b.mul(&d_c));
    let cb_da = da_cb.swapped();
    // (DA + CB | DA - CB), and its squares: the first is x3
    let squares = da_cb.add(&cb_da).firsts(&da_cb.sub(&cb_da)).square();
    // (BB | AA) and (E | -E)
    let bb_aa = aa_bb.swapped();
    let e = aa_bb.sub(&bb_aa);
    // ((DA - CB)^2 | E) by (u | a24): the first is z3
    let z3_a24e = squares.swapped().firsts(&e).mul(multipliers);
    // (BB | AA + a24 E) by (AA | E): (x2 | z2)
    let aa_plus = aa_bb.firsts(&aa_bb).add(&z3_a24e.swapped().firsts(&z3_a24e.swapped()));
    let x2_z2 = bb_aa.firsts(&aa_plus).mul(&aa_bb.firsts(&e));
    (x2_z2.firsts(&squares), x2_z2.swapped().firsts(&z3_a24e))
}

const ZERO: [i32; LIMBS] = [0; LIMBS];

const ONE: [i32; LIMBS] = [1, 0, 0, 0, 0, 0, 0, 0, 0];

/// `(A - 2) / 4` of the curve, a24 in RFC 7748.
const A24: [i32; LIMBS] = [121_665, 0, 0, 0, 0, 0, 0, 0, 0];
