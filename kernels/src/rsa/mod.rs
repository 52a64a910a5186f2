//! The two operations of RSA (RFC 8017 section 5), without padding.
//!
//! The private one goes by the Chinese remainder theorem, with a blinded base and in constant time, and what it
//! gives was checked by the public one: a fault in one of the halves would give the primes away (D. Boneh, R. DeMillo,
//! R. Lipton, "On the importance of checking cryptographic protocols for faults", 1997). `montgomery` has the
//! arithmetic, `rows` its inner loop.

mod montgomery;
mod rows;
#[cfg(test)]
mod tests;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use montgomery::{Modulus, Number, bit_len, mul_add, write};

/// A public key: modulus and exponent.
pub struct PublicKey {
    modulus: Modulus,
    exponent: u64,
}

impl PublicKey {
    /// The key of a modulus, the highest byte first, and an exponent.
    ///
    /// `None` where the modulus is even or below 3, or the exponent is even or below 3.
    pub fn new(modulus: &[u8], exponent: u64) -> Option<Self> {
        let modulus = Modulus::new(modulus)?;
        (exponent >= 3 && exponent % 2 == 1).then_some(Self { modulus, exponent })
    }

    /// How many bits the modulus has.
    pub fn bits(&self) -> usize {
        self.modulus.bits()
    }

    /// How many bytes the modulus has, and so every signature.
    #[expect(clippy::len_without_is_empty, reason = "no key is empty")]
    pub fn len(&self) -> usize {
        self.bits().div_ceil(8)
    }

    /// `input^exponent` modulo the modulus (RSAVP1), as many bytes as the modulus has. Not for secrets.
    ///
    /// `None` where the input has not as many bytes, or is not below the modulus.
    pub fn apply(&self, input: &[u8]) -> Option<Vec<u8>> {
        if input.len() != self.len() || !self.modulus.is_above_vartime(input) {
            return None;
        }
        let power = self.modulus.pow_vartime(&self.modulus.number(input), self.exponent);
        Some(write(&self.modulus.to_plain(&power), self.len()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("bits", &self.bits()).field("exponent", &self.exponent).finish()
    }
}

/// The numbers of a private key with two primes (RFC 8017 section 3.2), each with its highest byte first.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The modulus n.
    pub modulus: &'a [u8],
    /// The public exponent e.
    pub exponent: u64,
    /// The prime p.
    pub p: &'a [u8],
    /// The prime q.
    pub q: &'a [u8],
    /// d modulo p - 1.
    pub d_p: &'a [u8],
    /// d modulo q - 1.
    pub d_q: &'a [u8],
    /// 1 / q modulo p.
    pub q_inverse: &'a [u8],
}

/// A private key. Its numbers are wiped when it is dropped.
pub struct PrivateKey {
    public: PublicKey,
    p: Prime,
    q: Prime,
    /// 1 / q modulo p, not in Montgomery's form but below p.
    q_inverse: Number,
}

/// One half of the key.
struct Prime {
    modulus: Modulus,
    /// d modulo this prime less one, in as many bytes as the prime has.
    exponent: Zeroizing<Vec<u8>>,
    /// The prime less two, by which Fermat inverts.
    less_two: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    /// The key of its parts, which the caller has checked to belong together; where they do not, every operation ends
    /// with [`PrivateKeyError::Fault`].
    ///
    /// `None` where a number is even that is odd in every key, where an exponent is longer than its prime, or where one
    /// prime has more than about twice as many bits as the other.
    pub fn new(parts: &Parts<'_>) -> Option<Self> {
        let public = PublicKey::new(parts.modulus, parts.exponent)?;
        let p = Prime::new(parts.p, parts.d_p)?;
        let q = Prime::new(parts.q, parts.d_q)?;
        // A half takes numbers below R^2, and that of p the number of the other below R.
        let (of_p, of_q) = (p.modulus.bits_of_r(), q.modulus.bits_of_r());
        if public.bits() > 2 * of_p.min(of_q) || q.modulus.bits() > of_p || bit_len(parts.q_inverse) > of_p {
            return None;
        }
        let q_inverse = p.modulus.to_plain(&p.modulus.number(parts.q_inverse));
        Some(Self { public, p, q, q_inverse })
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// A fresh blinding, of random bytes: as many as the modulus has and 8 more, so that no number is likelier than
    /// others. It costs as much as an operation.
    ///
    /// `None` where the bytes make a number that has no inverse, which does not happen with random ones.
    pub fn blinding(&self, random: &[u8]) -> Option<Blinding> {
        let n = &self.public.modulus;
        let factor = n.number(random);
        let plain = n.to_plain(&factor);
        let [of_p, of_q] = [&self.p, &self.q].map(|prime| {
            let modulus = &prime.modulus;
            let factor = modulus.number(&Zeroizing::new(write(&plain, self.public.len())));
            modulus.pow(&factor, &prime.less_two)
        });
        let inverse = n.number(&Zeroizing::new(write(&self.combine(&of_p, &of_q), self.public.len())));
        let one = n.to_plain(&n.mul(&factor, &inverse));
        let is_one = write(&one, self.public.len());
        let (last, rest) = is_one.split_last()?;
        let invertible = *last == 1 && rest.iter().all(|byte| *byte == 0);
        invertible.then(|| Blinding { factor: n.pow_vartime(&factor, self.public.exponent), inverse })
    }

    /// `input^d` modulo n (RSASP1), as many bytes as the modulus has.
    ///
    /// # Errors
    /// [`PrivateKeyError::Input`] where the input has not as many bytes, or is not below the modulus.
    /// [`PrivateKeyError::Fault`] where the result came out wrong: the machine made a mistake, or the key's parts do not
    /// belong together.
    pub fn apply(&self, input: &[u8], blinding: &mut Blinding) -> Result<Vec<u8>, PrivateKeyError> {
        let n = &self.public.modulus;
        let len = self.public.len();
        if input.len() != len || !n.is_above_vartime(input) {
            return Err(PrivateKeyError::Input);
        }
        let blinded = n.mul(&n.number(input), &blinding.factor);
        let plain = Zeroizing::new(write(&n.to_plain(&blinded), len));
        let [of_p, of_q] =
            [&self.p, &self.q].map(|prime| prime.modulus.pow(&prime.modulus.number(&plain), &prime.exponent));
        let power = n.number(&Zeroizing::new(write(&self.combine(&of_p, &of_q), len)));
        let result = n.mul(&power, &blinding.inverse);
        blinding.advance(n);
        match n.equal(&n.pow_vartime(&result, self.public.exponent), &n.number(input)) {
            true => Ok(write(&n.to_plain(&result), len)),
            false => Err(PrivateKeyError::Fault),
        }
    }

    /// The number modulo n that is these numbers modulo p and q, which are in Montgomery's form (RFC 8017 section
    /// 5.1.2, step 2.b).
    fn combine(&self, of_p: &Number, of_q: &Number) -> Number {
        let (p, q) = (&self.p.modulus, &self.q.modulus);
        let of_q = q.to_plain(of_q);
        let difference = p.sub_unreduced(of_p, &p.to_form(&of_q));
        let h = p.below(&p.mul(&difference, &self.q_inverse));
        let rows = h.len().max(of_q.len());
        mul_add(&h, q.limbs(), &of_q, rows.next_multiple_of(4))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Prime {
    fn new(prime: &[u8], exponent: &[u8]) -> Option<Self> {
        let modulus = Modulus::new(prime)?;
        let len = modulus.bits().div_ceil(8);
        // As long as the prime, so that the length says nothing about the exponent.
        let exponent = padded(exponent, len)?;
        let mut less_two = padded(prime, len)?;
        let mut borrow = 2;
        for byte in less_two.iter_mut().rev() {
            let (difference, below) = byte.overflowing_sub(borrow);
            *byte = difference;
            borrow = below.into();
        }
        Some(Self { modulus, exponent, less_two })
    }
}

/// A random factor that hides the base of the exponentiation, and what takes its effect away again: the time that is
/// measured from outside then says nothing about a base that is known there. Each use changes it.
pub struct Blinding {
    /// r^e
    factor: Number,
    /// 1 / r
    inverse: Number,
}

impl Blinding {
    fn advance(&mut self, n: &Modulus) {
        self.factor = n.square(&self.factor);
        self.inverse = n.square(&self.inverse);
    }
}

impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(..)")
    }
}

/// Why a private operation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateKeyError {
    /// The input is not as long as the modulus, or not below it.
    Input,
    /// The result came out wrong: a fault of the machine, an attack on it, or a key whose parts do not belong together.
    Fault,
}

impl fmt::Display for PrivateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "the number to be signed is not below the modulus",
            Self::Fault => "the RSA operation came out wrong, and its result was kept back",
        })
    }
}

impl core::error::Error for PrivateKeyError {}

/// The number in `len` bytes; `None` where it has more.
fn padded(number: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let significant = &number[number.len() - bit_len(number).div_ceil(8)..];
    let mut bytes = Zeroizing::new(vec![0; len]);
    bytes[len.checked_sub(significant.len())?..].copy_from_slice(significant);
    Some(bytes)
}
