//! Twins of operations, written as they must not be. The measurement must find them.

use std::hint::black_box;

/// Whether the bytes are equal; ends at the first that is not.
pub(crate) fn equal(expected: &[u8], given: &[u8]) -> bool {
    for (expected, given) in expected.iter().zip(given) {
        // The value is hidden from the compiler, which must not look at all bytes at once.
        if black_box(expected ^ given) != 0 {
            return false;
        }
    }
    expected.len() == given.len()
}

/// `base^exponent` modulo 2^64, by squares, and by a product for each bit that is set.
pub(crate) fn power(base: u64, exponent: &[u8; 32]) -> u64 {
    let mut power = 1_u64;
    for bit in 0..256 {
        power = black_box(power.wrapping_mul(power));
        if exponent[bit / 8] >> (7 - bit % 8) & 1 == 1 {
            // Hidden from the compiler, which would make a choice without a branch of it.
            power = black_box(power.wrapping_mul(base));
        }
    }
    power
}
