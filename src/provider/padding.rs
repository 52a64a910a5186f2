//! What RSA signs: a hash in one of the two encodings of RFC 8017 section 9, as many bytes as the modulus has.

use rsa::pkcs8::AssociatedOid;
use sha2::Digest;

/// EMSA-PKCS1-v1_5 of a hash (RFC 8017 section 9.2); `None` where the modulus, of `bits` bits, is too short for it.
pub(super) fn pkcs1<D: Digest + AssociatedOid>(hash: &[u8], bits: usize) -> Option<Vec<u8>> {
    let oid = D::OID.as_bytes();
    // DigestInfo: a sequence of the algorithm, with NULL as its parameters, and the hash. All lengths are below 128.
    let algorithm = [&[0x06, oid.len() as u8], oid, &[0x05, 0x00]].concat();
    let mut info = vec![0x30, (algorithm.len() + hash.len() + 4) as u8, 0x30, algorithm.len() as u8];
    info.extend(algorithm);
    info.extend([0x04, hash.len() as u8]);
    info.extend(hash);

    let mut encoded = vec![0xff; bits.div_ceil(8)];
    let end = encoded.len().checked_sub(info.len()).filter(|end| *end >= 11)?;
    encoded[..2].copy_from_slice(&[0, 1]);
    encoded[end - 1] = 0;
    encoded[end..].copy_from_slice(&info);
    Some(encoded)
}

/// EMSA-PSS of a hash with this salt (RFC 8017 section 9.1.1); `None` where the modulus, of `bits` bits, is too short.
pub(super) fn pss<D: Digest>(hash: &[u8], salt: &[u8], bits: usize) -> Option<Vec<u8>> {
    let mut encoded = vec![0; bits.div_ceil(8)];
    let Parts { data, hash: seed, last, .. } = Parts::of::<D>(&mut encoded, bits, salt.len())?;
    *last = 0xbc;
    seed.copy_from_slice(&salted::<D>(hash, salt));
    let start = data.len() - salt.len();
    data[start - 1] = 1;
    data[start..].copy_from_slice(salt);
    mask::<D>(data, seed);
    data[0] &= first_byte(bits);
    Some(encoded)
}

/// Whether `encoded`, which has as many bytes as the modulus, is the EMSA-PSS of a hash, with a salt as long as the hash
/// (RFC 8017 section 9.1.2, RFC 8446 section 4.2.3).
pub(super) fn is_pss<D: Digest>(hash: &[u8], mut encoded: Vec<u8>, bits: usize) -> bool {
    let salt_len = <D as Digest>::output_size();
    let Some(Parts { above, data, hash: seed, last }) = Parts::of::<D>(&mut encoded, bits, salt_len) else {
        return false;
    };
    if above.iter().any(|byte| *byte != 0) || *last != 0xbc || data[0] & !first_byte(bits) != 0 {
        return false;
    }
    mask::<D>(data, seed);
    data[0] &= first_byte(bits);
    let (zeros, salt) = data.split_at(data.len() - salt_len);
    let Some((1, zeros)) = zeros.split_last() else { return false };
    zeros.iter().all(|byte| *byte == 0) && salted::<D>(hash, salt) == *seed
}

/// An encoded message of PSS: `above || data || hash || 0xbc`.
struct Parts<'a> {
    /// A zero, where the modulus has one byte more than the encoding, which is one bit shorter.
    above: &'a [u8],
    data: &'a mut [u8],
    hash: &'a mut [u8],
    last: &'a mut u8,
}

impl<'a> Parts<'a> {
    /// `None` where data would not hold the salt and a one before it.
    fn of<D: Digest>(encoded: &'a mut [u8], bits: usize, salt_len: usize) -> Option<Self> {
        let len = bits.checked_sub(1)?.div_ceil(8);
        let (above, encoded) = encoded.split_at_mut_checked(encoded.len().checked_sub(len)?)?;
        let (last, encoded) = encoded.split_last_mut()?;
        let data_len = encoded.len().checked_sub(<D as Digest>::output_size())?;
        let (data, hash) = encoded.split_at_mut(data_len);
        (data_len > salt_len).then_some(Self { above, data, hash, last })
    }
}

/// The bits of the first byte of the encoding that are used: it has one bit less than the modulus.
fn first_byte(bits: usize) -> u8 {
    0xff >> ((8 - (bits - 1) % 8) % 8)
}

/// The hash of eight zeros, the message's hash, and the salt.
fn salted<D: Digest>(hash: &[u8], salt: &[u8]) -> Vec<u8> {
    D::new().chain_update([0; 8]).chain_update(hash).chain_update(salt).finalize().to_vec()
}

/// Adds MGF1 of the seed to the data, bit by bit (RFC 8017 appendix B.2.1).
fn mask<D: Digest>(data: &mut [u8], seed: &[u8]) {
    for (counter, chunk) in (0_u32..).zip(data.chunks_mut(<D as Digest>::output_size())) {
        let block = D::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        chunk.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests {
    use proptest::prelude::*;
    use sha2::{Sha256, Sha512};

    use super::*;

    proptest! {
        /// What is encoded is recognized, at every length of the modulus; and nothing else is.
        #[test]
        fn pss_of_every_length(bits in 530..1100_usize, hash in any::<[u8; 32]>(), salt in any::<[u8; 32]>(), bit in any::<usize>()) {
            let encoded = pss::<Sha256>(&hash, &salt, bits).unwrap();
            prop_assert_eq!(encoded.len(), bits.div_ceil(8));
            prop_assert!(is_pss::<Sha256>(&hash, encoded.clone(), bits));
            let mut changed = encoded.clone();
            let bit = bit % (8 * changed.len());
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_pss::<Sha256>(&hash, changed, bits));
            let mut other = hash;
            other[bit % 32] ^= 1;
            prop_assert!(!is_pss::<Sha256>(&other, encoded, bits));
            prop_assert!(!is_pss::<Sha256>(&hash, pss::<Sha256>(&hash, &salt[1..], bits).unwrap(), bits));
        }

        #[test]
        fn any_bytes_as_pss(encoded in proptest::collection::vec(any::<u8>(), 0..200), bits in 0..1600_usize) {
            prop_assert!(!is_pss::<Sha512>(&[0; 64], encoded, bits));
        }
    }

    /// Where a modulus is just long enough: hash, salt and two bytes; eleven bytes and the digest's name.
    #[test]
    fn short_moduli() {
        for (bits, fits) in [(0, false), (1, false), (8 * 65 + 1, false), (8 * 65 + 2, true), (8 * 66 + 1, true)] {
            assert_eq!(pss::<Sha256>(&[1; 32], &[2; 32], bits).is_some(), fits, "{bits}");
        }
        for (bits, fits) in [(0, false), (8 * 61, false), (8 * 61 + 1, true), (8 * 62, true)] {
            assert_eq!(pkcs1::<Sha256>(&[1; 32], bits).is_some(), fits, "{bits}");
        }
    }
}
