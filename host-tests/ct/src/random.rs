//! Numbers that look random, for inputs: the same for the same seed.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};

use crate::batch::Class;

/// A stream of numbers. No secret is made of it that protects anything.
pub(crate) struct Random(pub(crate) ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
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
