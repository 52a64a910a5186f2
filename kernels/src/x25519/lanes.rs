//! A vector of two lanes, one for each of two numbers that are calculated with side by side.
//!
//! A vector is *narrow* or *wide*. Narrow ones hold a limb in each lane, which fits into 32 bits; they are added,
//! multiplied and moved about. A product is wide, it has 64 bits in each lane. On WebAssembly both are a `v128`; the limbs
//! of a narrow one are its first two 32-bit lanes, as `i64x2.extmul_low_i32x4_s` wants them, and its others hold anything.
//! The portable twin has the same functions on two 64-bit integers.

pub(super) use implementation::Lanes;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod implementation {
    use core::arch::wasm32::*;

    #[derive(Clone, Copy)]
    pub(in super::super) struct Lanes(v128);

    impl Lanes {
        #[inline(always)]
        pub(in super::super) fn new(left: i32, right: i32) -> Self {
            Self(i32x4(left, right, 0, 0))
        }

        #[inline(always)]
        pub(in super::super) fn to_array(self) -> [i32; 2] {
            [i32x4_extract_lane::<0>(self.0), i32x4_extract_lane::<1>(self.0)]
        }

        #[inline(always)]
        pub(in super::super) fn add(self, other: Self) -> Self {
            Self(i32x4_add(self.0, other.0))
        }

        #[inline(always)]
        pub(in super::super) fn sub(self, other: Self) -> Self {
            Self(i32x4_sub(self.0, other.0))
        }

        #[inline(always)]
        pub(in super::super) fn mul(self, other: Self) -> Self {
            Self(i64x2_extmul_low_i32x4(self.0, other.0))
        }

        #[inline(always)]
        pub(in super::super) fn add_wide(self, other: Self) -> Self {
            Self(i64x2_add(self.0, other.0))
        }

        #[inline(always)]
        pub(in super::super) fn times_1216(self, zeros: &[Self; 2]) -> Self {
            // 64 + 128 + 1024. Where LLVM sees shifts of one vector that are added, it makes a multiplication of them,
            // and an expensive one.
            let [second, third] = zeros.map(|zero| v128_xor(self.0, zero.0));
            Self(i64x2_add(i64x2_add(i64x2_shl(self.0, 6), i64x2_shl(second, 7)), i64x2_shl(third, 10)))
        }

        #[inline(always)]
        pub(in super::super) fn zeros() -> [Self; 2] {
            [0; 2].map(|zero| Self(core::hint::black_box(i32x4_splat(zero))))
        }

        #[inline(always)]
        pub(in super::super) fn split(self) -> (Self, Self) {
            // x64 has no arithmetic shift of 64-bit lanes before AVX-512: a logical one of what was made positive.
            let positive = i64x2_add(self.0, i64x2_splat(i64::MIN + (1 << 28)));
            let carry = i64x2_sub(u64x2_shr(positive, 29), i64x2_splat(1 << 34));
            let limb = i64x2_sub(v128_and(positive, i64x2_splat((1 << 29) - 1)), i64x2_splat(1 << 28));
            (Self(limb), Self(carry))
        }

        #[inline(always)]
        pub(in super::super) fn opaque<const N: usize>(vectors: &[Self; N], zeros: &[Self; 2]) -> [Self; N] {
            // LLVM sees that the multiplication uses half of a vector, loads that half with its limbs extended to 64 bits,
            // and multiplies 64-bit lanes, which x64 has no instruction for before AVX-512. What is added here is
            // zero, and LLVM does not know it.
            core::array::from_fn(|i| Self(v128_xor(vectors[i].0, zeros[0].0)))
        }

        #[inline(always)]
        pub(in super::super) fn narrow(self) -> Self {
            Self(i32x4_shuffle::<0, 2, 0, 2>(self.0, self.0))
        }

        #[inline(always)]
        pub(in super::super) fn swapped(self) -> Self {
            Self(i32x4_shuffle::<1, 0, 1, 0>(self.0, self.0))
        }

        #[inline(always)]
        pub(in super::super) fn select(self, other: Self, mask: i32) -> Self {
            Self(v128_bitselect(other.0, self.0, i32x4_splat(mask)))
        }

        #[inline(always)]
        pub(in super::super) fn firsts(self, other: Self) -> Self {
            Self(i32x4_shuffle::<0, 4, 0, 4>(self.0, other.0))
        }

        #[inline(always)]
        pub(in super::super) fn seconds(self, other: Self) -> Self {
            Self(i32x4_shuffle::<1, 5, 1, 5>(self.0, other.0))
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod implementation {
    #[derive(Clone, Copy)]
    pub(in super::super) struct Lanes([i64; 2]);

    impl Lanes {
        /// Limbs of two numbers; narrow.
        pub(in super::super) fn new(left: i32, right: i32) -> Self {
            Self([left.into(), right.into()])
        }

        /// What a narrow vector holds.
        pub(in super::super) fn to_array(self) -> [i32; 2] {
            self.0.map(|lane| lane as i32)
        }

        /// `self + other`, narrow.
        #[inline(always)]
        pub(in super::super) fn add(self, other: Self) -> Self {
            Self::narrowed(self.0[0] + other.0[0], self.0[1] + other.0[1])
        }

        /// `self - other`, narrow.
        #[inline(always)]
        pub(in super::super) fn sub(self, other: Self) -> Self {
            Self::narrowed(self.0[0] - other.0[0], self.0[1] - other.0[1])
        }

        /// `self * other`: wide, of narrow ones.
        #[inline(always)]
        pub(in super::super) fn mul(self, other: Self) -> Self {
            Self([self.0[0] * other.0[0], self.0[1] * other.0[1]])
        }

        /// `self + other`, wide.
        #[inline(always)]
        pub(in super::super) fn add_wide(self, other: Self) -> Self {
            Self([self.0[0] + other.0[0], self.0[1] + other.0[1]])
        }

        /// Two vectors of zeros, which the compiler knows nothing about: see the other implementation.
        #[inline(always)]
        pub(in super::super) fn zeros() -> [Self; 2] {
            [Self([0; 2]); 2]
        }

        /// `1216 * self`, wide.
        #[inline(always)]
        pub(in super::super) fn times_1216(self, _: &[Self; 2]) -> Self {
            Self(self.0.map(|lane| lane * 1216))
        }

        /// The low 29 bits of wide lanes, from -2^28 to 2^28 - 1, and what is carried to the next limb; both wide.
        #[inline(always)]
        pub(in super::super) fn split(self) -> (Self, Self) {
            let carry = self.0.map(|lane| (lane + (1 << 28)) >> 29);
            (Self([self.0[0] - (carry[0] << 29), self.0[1] - (carry[1] << 29)]), Self(carry))
        }

        /// The same vectors.
        #[inline(always)]
        pub(in super::super) fn opaque<const N: usize>(vectors: &[Self; N], _: &[Self; 2]) -> [Self; N] {
            *vectors
        }

        /// The narrow vector of a wide one whose lanes fit into 32 bits.
        #[inline(always)]
        pub(in super::super) fn narrow(self) -> Self {
            Self::narrowed(self.0[0], self.0[1])
        }

        /// The lanes exchanged.
        #[inline(always)]
        pub(in super::super) fn swapped(self) -> Self {
            Self([self.0[1], self.0[0]])
        }

        /// `other` where `mask` is all ones, `self` where it is zero.
        #[inline(always)]
        pub(in super::super) fn select(self, other: Self, mask: i32) -> Self {
            let mask = i64::from(mask);
            Self([0, 1].map(|i| self.0[i] & !mask | other.0[i] & mask))
        }

        /// The first lanes of two.
        #[inline(always)]
        pub(in super::super) fn firsts(self, other: Self) -> Self {
            Self([self.0[0], other.0[0]])
        }

        /// The second lanes of two.
        #[inline(always)]
        pub(in super::super) fn seconds(self, other: Self) -> Self {
            Self([self.0[1], other.0[1]])
        }

        #[inline(always)]
        fn narrowed(left: i64, right: i64) -> Self {
            debug_assert!(left == i64::from(left as i32) && right == i64::from(right as i32), "{left} {right}");
            Self([left, right])
        }
    }
}
