//! The inner loop of all long multiplication: four rows of a product at once, added to its columns.
//!
//! On WebAssembly four columns are treated at once: four 32-bit limbs make two vectors of two 64-bit products, by
//! `i64x2.extmul`. The portable twin does the same column by column.

/// `columns[j] += x[0] * limbs[j + 3] + x[1] * limbs[j + 2] + x[2] * limbs[j + 1] + x[3] * limbs[j]` for each column.
///
/// The number of columns is a multiple of four, and there are three limbs more at least.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub(super) fn add_rows(columns: &mut [u64], limbs: &[u32], x: [u32; 4]) {
    assert!(columns.len().is_multiple_of(4) && limbs.len() >= columns.len() + 3);
    let [x0, x1, x2, x3] = x.map(u64::from);
    for (column, limbs) in columns.iter_mut().zip(limbs.windows(4)) {
        let [l0, l1, l2, l3] = [limbs[0], limbs[1], limbs[2], limbs[3]].map(u64::from);
        *column += x0 * l3 + x1 * l2 + x2 * l1 + x3 * l0;
    }
}

/// `columns[j] += x[0] * limbs[j + 3] + x[1] * limbs[j + 2] + x[2] * limbs[j + 1] + x[3] * limbs[j]` for each column.
///
/// The number of columns is a multiple of four, and there are three limbs more at least.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) fn add_rows(columns: &mut [u64], limbs: &[u32], x: [u32; 4]) {
    use core::arch::wasm32::*;
    use core::hint::black_box;

    assert!(columns.len().is_multiple_of(4) && limbs.len() >= columns.len() + 3);
    // What is added to a vector is zero, and LLVM does not know it. Of a factor that it sees loaded it would load half, with
    // its limbs extended to 64 bits, and multiply 64-bit lanes; x64 has no instruction for that before AVX-512, and
    // Cranelift makes three multiplications of it.
    let zero = u32x4_splat(black_box(0));
    let x = x.map(|x| u32x4_splat(x));
    let mut at = columns.as_mut_ptr().cast::<v128>();
    let mut limb = limbs.as_ptr();
    for _ in 0..columns.len() / 4 {
        // SAFETY: this is done a quarter as often as there are columns; each time it reads and writes four columns, and
        // reads seven limbs of which it leaves four behind. So the last limb that it reads is the third behind as
        // many as there are columns. A `v128` in memory need not be aligned in WebAssembly.
        unsafe {
            // Otherwise LLVM takes the extension of these out of the loop, with the same effect.
            let [x0, x1, x2, x3] = black_box(&x);
            let [x0, x1, x2, x3] = [v128_xor(*x0, zero), v128_xor(*x1, zero), v128_xor(*x2, zero), v128_xor(*x3, zero)];
            let (l0, l1, l2, l3) = (
                v128_xor(v128_load(limb.cast()), zero),
                v128_xor(v128_load(limb.add(1).cast()), zero),
                v128_xor(v128_load(limb.add(2).cast()), zero),
                v128_xor(v128_load(limb.add(3).cast()), zero),
            );
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
        }
    }
}
