//! What an AEAD authenticates, as blocks in groups.

use crate::simd::{load, load_part, v128};

/// Additional data, ciphertext, and a block with their lengths, the first two filled up with zeros to whole blocks (RFC 8439
/// section 2.8, NIST SP 800-38D section 7.1), cut into groups of `LANES` blocks.
///
/// So that the last block always has the last lane, it is the *first* group in which lanes can be without a block.
pub(crate) struct Message<'a, const LANES: usize> {
    aad: &'a [u8],
    text: &'a [u8],
    lengths: v128,
    /// How many lanes of the first group have no block.
    missing: usize,
    groups: usize,
}

impl<'a, const LANES: usize> Message<'a, LANES> {
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(crate) fn new(aad: &'a [u8], text: &'a [u8], lengths: v128) -> Self {
        let blocks = aad.len().div_ceil(BLOCK_LEN) + text.len().div_ceil(BLOCK_LEN) + 1;
        let groups = blocks.div_ceil(LANES);
        Self { aad, text, lengths, missing: LANES * groups - blocks, groups }
    }

    /// How many groups there are; one at least.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The block of a lane, if it has one.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(crate) fn block(&self, group: usize, lane: usize) -> Option<v128> {
        let block = (LANES * group + lane).checked_sub(self.missing)?;
        let of_aad = self.aad.len().div_ceil(BLOCK_LEN);
        let of_text = self.text.len().div_ceil(BLOCK_LEN);
        let part = match block {
            block if block < of_aad => &self.aad[block * BLOCK_LEN..],
            block if block < of_aad + of_text => &self.text[(block - of_aad) * BLOCK_LEN..],
            _ => return Some(self.lengths),
        };
        Some(part.first_chunk().map_or_else(|| load_part(part), load))
    }

    /// The text from a group on; nothing if the group starts before it or behind it.
    pub(crate) fn text_from_group(&self, group: usize) -> &'a [u8] {
        let before = self.missing + self.aad.len().div_ceil(BLOCK_LEN);
        let at = (LANES * group).checked_sub(before).map(|block| block * BLOCK_LEN);
        at.and_then(|at| self.text.get(at..)).unwrap_or_default()
    }
}

pub(crate) const BLOCK_LEN: usize = 16;
