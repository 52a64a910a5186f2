//! Numbers that look random, for inputs: the same for the same seed.

use std::convert::Infallible;

use rsa::rand_core::{TryCryptoRng, TryRng};

use crate::batch::Class;

/// A stream of numbers. No secret is made of it that protects anything.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 by S. Vigna.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// `fixed` for the first class, random bytes for the second. Both draw as many numbers.
    pub(crate) fn or_fixed<const N: usize>(&mut self, class: Class, fixed: [u8; N]) -> [u8; N] {
        let random = self.bytes();
        if class == Class::First { fixed } else { random }
    }

    /// A number from 1 to 255, to change a byte by.
    pub(crate) fn change(&mut self) -> u8 {
        (self.next() % 255) as u8 + 1
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

/// Only so that keys for the test can be made.
impl TryCryptoRng for Random {}
