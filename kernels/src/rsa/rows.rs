//! The inner loop of all long multiplication: four rows of a product at once, added to its columns.
//!
//! On WebAssembly four columns are treated at once: four 32-bit limbs make two vectors of two 64-bit products, by
//! `i64x2.extmul`. The portable twin does the same column by column.
//!
//! Of a factor that LLVM sees loaded it loads half, extends the limbs to 64 bits, and multiplies 64-bit lanes; and the
//! extension of one that stays the same it takes out of the loop. x64 has no such multiplication before AVX-512, and
//! Cranelift makes three of it. So all factors are loaded at the end of the time before, where LLVM does not look, and those
//! that stay the same from an address that it does not know.

/// `columns[j] += x[0] * limbs[j + 3] + x[1] * limbs[j + 2] + x[2] * limbs[j + 1] + x[3] * limbs[j]` for each column.
///
/// The number of columns is a multiple of four, and there are seven limbs more at least.
#[cfg(not(simd128))]
pub(super) fn add_rows(columns: &mut [u64], limbs: &[u32], x: [u32; 4]) {
    assert!(columns.len().is_multiple_of(4) && limbs.len() >= columns.len() + 7);
    let [x0, x1, x2, x3] = x.map(u64::from);
    for (column, limbs) in columns.iter_mut().zip(limbs.windows(4)) {
        let [l0, l1, l2, l3] = [limbs[0], limbs[1], limbs[2], limbs[3]].map(u64::from);
        *column += x0 * l3 + x1 * l2 + x2 * l1 + x3 * l0;
    }
}

/// `columns[j] += x[0] * limbs[j + 3] + x[1] * limbs[j + 2] + x[2] * limbs[j + 1] + x[3] * limbs[j]` for each column.
///
/// The number of columns is a multiple of four, and there are seven limbs more at least.
#[cfg(simd128)]
#[target_feature(enable = "simd128")]
pub(super) fn add_rows(columns: &mut [u64], limbs: &[u32], x: [u32; 4]) {
    use core::arch::wasm32::*;
    use core::hint::black_box;

    assert!(columns.len().is_multiple_of(4) && limbs.len() >= columns.len() + 7);
    let factors = x.map(|x| u32x4_splat(x));
    let mut at = columns.as_mut_ptr().cast::<v128>();
    let mut limb = limbs.as_ptr();
    // SAFETY: the loop is gone through a quarter as often as there are columns. Each time it reads and writes four columns,
    // and reads seven limbs, of which it leaves four behind; seven are read before it. So the last limb that is read is the
    // seventh behind as many as there are columns. A `v128` in memory need not be aligned in WebAssembly.
    unsafe {
        let load = |limb: *const u32| {
            (
                v128_load(limb.cast()),
                v128_load(limb.add(1).cast()),
                v128_load(limb.add(2).cast()),
                v128_load(limb.add(3).cast()),
            )
        };
        let (mut l0, mut l1, mut l2, mut l3) = load(limb);
        let [mut x0, mut x1, mut x2, mut x3] = factors;
        for _ in 0..columns.len() / 4 {
            let low = u64x2_add(
                u64x2_add(u64x2_extmul_low_u32x4(x0, l3), u64x2_extmul_low_u32x4(x1, l2)),
                u64x2_add(u64x2_extmul_low_u32x4(x2, l1), u64x2_extmul_low_u32x4(x3, l0)),
            );
            let high = u64x2_add(
                u64x2_add(u64x2_extmul_high_u32x4(x0, l3), u64x2_extmul_high_u32x4(x1, l2)),
                u64x2_add(u64x2_extmul_high_u32x4(x2, l1), u64x2_extmul_high_u32x4(x3, l0)),
            );
            v128_store(at, u64x2_add(v128_load(at), low));
            v128_store(at.add(1), u64x2_add(v128_load(at.add(1)), high));
            at = at.add(2);
            limb = limb.add(4);
            // For the next time: see the head of the file.
            (l0, l1, l2, l3) = load(limb);
            [x0, x1, x2, x3] = *black_box(&factors);
        }
    }
}
