//! P-256: ECDH and ECDSA (SP 800-186 section 3.2.1.3, FIPS 186-5 section 6, SEC 1).
//!
//! Own arithmetic, since the product of two 64-bit numbers, on which other implementations rest, is slow in
//! WebAssembly. `limbs` says how numbers are laid out, `field` and `scalar` calculate modulo p and n, `inverse` inverts
//! modulo both, `pair` is the field with two numbers in a vector, `point` has the group. `comb` multiplies points for
//! which there is a table of `entry`s; `table` is that of the base point.
//!
//! What is done with a [`SecretKey`] or a [`SigningKey`] takes the same time for every key, and their numbers are wiped
//! when they are dropped. What is done with a [`PublicKey`] alone may take any time.

mod comb;
mod entry;
mod field;
mod pair;
mod point;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::fmt;

use zeroize::{Zeroize, Zeroizing};

use comb::{Comb, Table};
use field::FieldElement;
use point::Affine;
use scalar::Scalar;

/// The length of a number in bytes: of a coordinate, a secret, a half of a signature.
pub const NUMBER_LEN: usize = 32;

/// A point of the curve that is not infinity.
#[derive(Clone)]
pub struct PublicKey(Affine);

impl PublicKey {
    /// Reads a point: uncompressed in 65 bytes or compressed in 33 (SEC 1 section 2.3.4, RFC 5480 section 2.2).
    ///
    /// `None` for all else: other forms and lengths, coordinates that are p or above, points that are not on the curve.
    /// The cofactor is 1, so that no further check is due.
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [4, coordinates @ ..] if coordinates.len() == 2 * NUMBER_LEN => {
                let (x, y) = coordinates.split_at(NUMBER_LEN);
                Affine::new(coordinate(x)?, coordinate(y)?).map(Self)
            }
            [tag @ (2 | 3), x @ ..] => Affine::decompress(coordinate(x)?, *tag == 3).map(Self),
            _ => None,
        }
    }

    /// The point in 65 bytes (SEC 1 section 2.3.3).
    pub fn to_uncompressed(&self) -> [u8; 1 + 2 * NUMBER_LEN] {
        let mut bytes = [4; 1 + 2 * NUMBER_LEN];
        bytes[1..=NUMBER_LEN].copy_from_slice(&self.0.x.to_bytes());
        bytes[1 + NUMBER_LEN..].copy_from_slice(&self.0.y.to_bytes());
        bytes
    }

    /// Whether (`r`, `s`) is this key's signature of the message that has this hash (FIPS 186-5 section 6.4.2). Of a
    /// longer hash these are the first 32 bytes. Numbers that are zero, or n or above, make no signature.
    pub fn verify(&self, hash: &[u8; 32], r: &[u8; NUMBER_LEN], s: &[u8; NUMBER_LEN]) -> bool {
        let (Some(r_number), Some(s)) = (Scalar::from_bytes(r), Scalar::from_bytes(s)) else { return false };
        let inverse = s.invert();
        let u1 = Scalar::from_bytes_reduced(hash).mul(&inverse);
        let u2 = r_number.mul(&inverse);
        let of_key = self.0.mul_vartime(&u2);
        let sum = point::sum_vartime(BASE.mul_vartime(&u1), of_key);
        sum.is_some_and(|sum| is_reduced_x(&sum, r))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(")?;
        self.to_uncompressed().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ")")
    }
}

/// A secret number from 1 to n - 1.
pub struct SecretKey(Scalar);

impl SecretKey {
    /// The number of 32 bytes, the highest first; `None` when it is zero, or n or above. Random bytes that are refused
    /// so, which is one time in 2^32, are to be drawn again.
    pub fn from_bytes(bytes: &[u8; NUMBER_LEN]) -> Option<Self> {
        Scalar::from_bytes(bytes).map(Self)
    }

    /// The number in 32 bytes, the highest first.
    pub fn to_bytes(&self) -> Zeroizing<[u8; NUMBER_LEN]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The number times the base point.
    pub fn public_key(&self) -> PublicKey {
        let point = BASE.mul(&self.0).expect("the secret is not zero modulo the order");
        PublicKey(point.to_affine())
    }

    /// The x coordinate of the number times the peer's point (SEC 1 section 3.3.1), in all of its 32 bytes.
    pub fn diffie_hellman(&self, peer: &PublicKey) -> Zeroizing<[u8; NUMBER_LEN]> {
        let point = peer.0.mul(&self.0).expect("the secret is not zero modulo the order");
        Zeroizing::new(point.to_x().to_bytes())
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A [`SecretKey`] that signs, with its public key and what makes the check of its signatures quick.
pub struct SigningKey {
    secret: SecretKey,
    public: PublicKey,
    /// The table of the public point, of 18 KB.
    table: Box<Table>,
}

impl SigningKey {
    /// Prepares a key, which takes about as long as eight signatures.
    pub fn new(secret: SecretKey) -> Self {
        let public = secret.public_key();
        let table = Box::new(comb::table(&public.0));
        Self { secret, public, table }
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The secret number.
    pub fn secret_key(&self) -> &SecretKey {
        &self.secret
    }

    /// Signs the message that has this hash (FIPS 186-5 section 6.4.1): `[r, s]`. Of a longer hash these are the first
    /// 32 bytes.
    ///
    /// The nonce must be as RFC 6979 makes it, or random: uniform, secret, and never used twice.
    ///
    /// The signature is verified before it is given out, so that a fault in the computation gives nothing away. It is the
    /// whole verification, from the signature, the hash and the public key: whatever goes wrong with the nonce, its
    /// product with the base point, an inverse, the secret or s gives an r and an s that do not belong together. Two
    /// things make it quick. The public point has a table as well as the base point. And s is not inverted again: with
    /// `t = 1 / (nonce * sum)`, s is `t * sum^2` and its inverse `t * nonce^2`, and that their product is one is checked.
    ///
    /// # Errors
    /// [`SignError::Nonce`]: take another one. [`SignError::Fault`]: the computer made a mistake.
    pub fn sign(&self, hash: &[u8; 32], nonce: &[u8; NUMBER_LEN]) -> Result<[[u8; NUMBER_LEN]; 2], SignError> {
        let mut nonce = Scalar::from_bytes(nonce).ok_or(SignError::Nonce)?;
        let mut x = BASE.mul(&nonce).ok_or(SignError::Nonce)?.to_x().to_bytes();
        let r = Scalar::from_bytes_reduced(&x);
        x.zeroize();
        let hash = Scalar::from_bytes_reduced(hash);
        let mut sum = self.secret.0.mul(&r).add(&hash);
        if r.is_zero() || sum.is_zero() {
            return Err(SignError::Nonce);
        }
        // One inversion gives both s, which is `sum / nonce`, and its inverse.
        let mut inverse = nonce.mul(&sum).invert();
        let s = inverse.mul(&sum).mul(&sum);
        let s_inverse = inverse.mul(&nonce).mul(&nonce);
        nonce.zeroize();
        sum.zeroize();
        inverse.zeroize();

        let signature = [r.to_bytes(), s.to_bytes()];
        match s.mul(&s_inverse).equals(&Scalar::ONE) && self.verifies(&hash, &r, &s_inverse, &signature[0]) {
            true => Ok(signature),
            false => Err(SignError::Fault),
        }
    }

    /// [`PublicKey::verify`] with the key's table.
    fn verifies(&self, hash: &Scalar, r: &Scalar, s_inverse: &Scalar, r_bytes: &[u8; NUMBER_LEN]) -> bool {
        let key = Comb::new(&self.public.0, &self.table);
        let sum = comb::sum_of_products_vartime([BASE, key], [&hash.mul(s_inverse), &r.mul(s_inverse)]);
        sum.is_some_and(|sum| is_reduced_x(&sum, r_bytes))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The nonce is zero, or n or above, or makes a half of the signature zero.
    Nonce,
    /// The signature came out wrong: a fault of the machine, or an attack on it.
    Fault,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nonce => "the nonce makes no signature; take another one",
            Self::Fault => "the signature came out wrong, and was kept back",
        })
    }
}

impl core::error::Error for SignError {}

/// Whether the point's x coordinate is `r` modulo n: x is `r`, or `r + n` where that is below p.
fn is_reduced_x(point: &point::Point, r: &[u8; NUMBER_LEN]) -> bool {
    let Some(x) = FieldElement::from_bytes(r) else { return false };
    // p - n has 128 bits and a bit more than half of them: r must be below.
    point.has_x(&x) || (*r < P_MINUS_N && point.has_x(&x.add(&ORDER)))
}

fn coordinate(bytes: &[u8]) -> Option<FieldElement> {
    FieldElement::from_bytes(bytes.try_into().ok()?)
}

/// The base point and its table.
const BASE: Comb<'static> = Comb::new(&Affine::GENERATOR, &table::BASE);

/// n, as a number modulo p.
const ORDER: FieldElement = FieldElement::from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

/// p - n.
const P_MINUS_N: [u8; NUMBER_LEN] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x43, 0x19, 0x05,
    0x53, 0x58, 0xe8, 0x61, 0x7b, 0x0c, 0x46, 0x35, 0x3d, 0x03, 0x9c, 0xda, 0xae,
];
