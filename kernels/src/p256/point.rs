//! The group of P-256: y^2 = x^3 - 3 x + b over the field.
//!
//! Jacobian coordinates: (X, Y, Z) stands for the point (X / Z^2, Y / Z^3), and Z = 0 for infinity. The formulas are
//! the usual ones (Cohen, Miyaji, Ono, "Efficient elliptic curve exponentiation using mixed coordinates", 1998; Bernstein
//! and Lange's Explicit-Formulas Database, `shortw/jacobian-3`), ordered so that few numbers must be carried.
//!
//! **Exceptions.** The addition is not complete: of two equal points, of two opposite ones, and of infinity, it makes
//! Z = 0. Z stays 0 then, since each formula multiplies by the Z before. A multiplication therefore looks at Z once, at its
//! end. It is done again with all cases told apart where Z is 0. All points but infinity have the order n, so which
//! additions are exceptional depends on the scalar alone, never on the point that a peer sends. It is so for a few dozen
//! scalars of 2^256: for a random secret it never happens, and the branch tells nobody anything.
//!
//! **Magnitudes** (see `limbs`; 1 where nothing is said) that come in and go out: X 1, Y up to 3, Z up to 2.
//! **Values** (see `field`): X is below `2.4 p`, Y below `1.8 p`, Z below `1.2 p`, and what is multiplied is below `3 p`; a test
//! follows the bounds.
//!
//! **Secrets.** Scalars are taken as 260 signs (see [`Scalar::signs`]): every step does the same, none is left out.
//! What comes from a table is selected by reading all of it.

use zeroize::Zeroize;

use super::entry::{Entry, LookUp, Select, Take};
use super::field::FieldElement;
use super::scalar::{Scalar, Signs};

/// A point that is not infinity, as (x, y).
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub(super) x: FieldElement,
    pub(super) y: FieldElement,
}

impl Affine {
    /// The base point (SP 800-186 section 3.2.1.3).
    pub(super) const GENERATOR: Self = Self {
        x: FieldElement::from_hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
        y: FieldElement::from_hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
    };

    /// The point of two coordinates; `None` where it is not on the curve.
    pub(super) fn new(x: FieldElement, y: FieldElement) -> Option<Self> {
        y.square().equals(&right_side(&x)).then_some(Self { x, y })
    }

    /// The point of an x coordinate and the parity of y; `None` where the curve has none. Not for secrets.
    pub(super) fn decompress(x: FieldElement, odd: bool) -> Option<Self> {
        Some(Self { x, y: right_side(&x).sqrt(odd)? })
    }

    /// `scalar * self`; `None` for infinity, which is zero times the point.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn mul(&self, scalar: &Scalar) -> Option<Point> {
        let odd = normalize(&self.odd_multiples());
        let mut signs = scalar.signs(WINDOWS * 5);
        let product = windows::<Select>(&odd, &signs);
        signs.zeroize();
        checked(product, self, scalar)
    }

    /// [`Affine::mul`] for scalars that are no secret.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn mul_vartime(&self, scalar: &Scalar) -> Option<Point> {
        let odd = normalize(&self.odd_multiples());
        checked(windows::<LookUp>(&odd, &scalar.signs(WINDOWS * 5)), self, scalar)
    }

    /// The point times 1, 3, 5, … 31.
    fn odd_multiples(&self) -> [Point; 16] {
        let one = Point::from(*self);
        let two = one.double();
        let mut multiples = [one; 16];
        for i in 1..16 {
            multiples[i] = multiples[i - 1].add(&two);
        }
        multiples
    }
}

/// A point in Jacobian coordinates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: FieldElement,
    pub(super) y: FieldElement,
    pub(super) z: FieldElement,
}

impl Point {
    /// The point as (x, y); it must not be infinity.
    pub(super) fn to_affine(self) -> Affine {
        let inverse = self.z.invert();
        let square = inverse.square();
        Affine { x: self.x.mul(&square), y: self.y.mul(&square.mul(&inverse)) }
    }

    /// The x coordinate alone; the point must not be infinity.
    pub(super) fn to_x(self) -> FieldElement {
        self.x.mul(&self.z.invert().square())
    }

    /// Whether `x` is the point's x coordinate. Infinity has none.
    pub(super) fn has_x(&self, x: &FieldElement) -> bool {
        !self.z.is_zero() && x.mul(&self.z.square()).equals(&self.x)
    }

    /// `self + other` with all cases told apart, hence not for secrets. `None` is infinity.
    fn add_vartime(&self, other: &Self) -> Option<Self> {
        let sum = self.add(other);
        if !sum.z.is_zero() {
            return Some(sum);
        }
        // They have the same x. Also the same y, or the opposite one?
        let (z1, z2) = (self.z.square().mul(&self.z), other.z.square().mul(&other.z));
        self.y.mul(&z2).equals(&other.y.mul(&z1)).then(|| self.double())
    }

    /// `2 * self`. The group has no point of order 2, so Z becomes zero only where it is.
    pub(super) fn double(&self) -> Self {
        let Self { x, y, z } = self;
        let delta = z.square();
        let gamma = y.square();
        let two_gamma = gamma.double();
        let four_beta = two_gamma.double().mul(x);
        let third = x.sub(&delta).mul(&x.add(&delta));
        let alpha = third.double().add(&third);
        // alpha has magnitude 3, eight_gamma_squared 2.
        let x3 = alpha.square().sub(&four_beta.double()).carry();
        let eight_gamma_squared = two_gamma.square().double();
        let y3 = alpha.mul(&four_beta.sub(&x3)).sub(&eight_gamma_squared);
        Self { x: x3, y: y3, z: y.mul(z).double() }
    }

    /// `self + other`. Exceptions: see the head of the file.
    fn add_affine(&self, other: &Affine) -> Self {
        let zz = self.z.square();
        let s2 = self.z.mul(&other.y).mul(&zz);
        let h = other.x.mul(&zz).sub(&self.x);
        let r = s2.sub(&self.y).carry();
        self.add_of(&self.x, &self.y, &h, &r, &self.z)
    }

    /// `self + other`. Exceptions: see the head of the file.
    pub(super) fn add(&self, other: &Self) -> Self {
        let (zz1, zz2) = (self.z.square(), other.z.square());
        let (u1, u2) = (self.x.mul(&zz2), other.x.mul(&zz1));
        let s1 = self.y.mul(&zz2.mul(&other.z));
        let s2 = other.y.mul(&zz1.mul(&self.z));
        self.add_of(&u1, &s1, &u2.sub(&u1), &s2.sub(&s1), &self.z.mul(&other.z))
    }

    /// What the two additions have in common: u and s are one point's coordinates over the common Z, h and r the
    /// differences of the other's, of magnitude 2 at most.
    #[inline(always)]
    fn add_of(&self, u: &FieldElement, s: &FieldElement, h: &FieldElement, r: &FieldElement, z: &FieldElement) -> Self {
        let hh = h.square();
        let hhh = hh.mul(h);
        let v = hh.mul(u);
        let x = r.square().sub(&hhh).sub(&v.double()).carry();
        let y = v.sub(&x).mul(r).sub(&hhh.mul(s));
        Self { x, y, z: h.mul(z) }
    }
}

impl From<Affine> for Point {
    fn from(Affine { x, y }: Affine) -> Self {
        Self { x, y, z: FieldElement::ONE }
    }
}

/// The product of a scalar's signs with the point whose odd multiples are given: windows of five signs.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn windows<T: Take>(odd: &[Entry; 16], signs: &Signs) -> Point {
    let digit = |window: usize| (0..5).map(|i| signs.bit(5 * window + i) << i).sum();
    let mut product = Point::from(T::take(odd, digit(WINDOWS - 1)).to_affine());
    for window in (0..WINDOWS - 1).rev() {
        for _ in 0..5 {
            product = product.double();
        }
        product = product.add_affine(&T::take(odd, digit(window)).to_affine());
    }
    product
}

/// The sum of two points, where `None` is infinity. Not for secrets.
pub(super) fn sum_vartime(a: Option<Point>, b: Option<Point>) -> Option<Point> {
    match (a, b) {
        (Some(a), Some(b)) => a.add_vartime(&b),
        (a, b) => a.or(b),
    }
}

/// The product, unless an exception has spoilt it: see the head of the file.
pub(super) fn checked(product: Point, base: &Affine, scalar: &Scalar) -> Option<Point> {
    match product.z.is_zero() {
        false => Some(product),
        true => mul_with_all_cases(base, scalar),
    }
}

/// `scalar * base` by doubling and adding.
#[cold]
fn mul_with_all_cases(base: &Affine, scalar: &Scalar) -> Option<Point> {
    let base = Point::from(*base);
    let mut product: Option<Point> = None;
    for byte in scalar.to_bytes() {
        for bit in (0..8).rev() {
            product = product.map(|product| product.double());
            if byte >> bit & 1 == 1 {
                product = match product {
                    Some(product) => product.add_vartime(&base),
                    None => Some(base),
                };
            }
        }
    }
    product
}

/// The points, none of which is infinity, for a table. One inversion for all (Montgomery's trick).
pub(super) fn normalize<const N: usize>(points: &[Point; N]) -> [Entry; N] {
    // The product of all Z before each.
    let mut before = [FieldElement::ONE; N];
    let mut product = FieldElement::ONE;
    for (before, point) in before.iter_mut().zip(points) {
        *before = product;
        product = product.mul(&point.z);
    }
    let mut inverse = product.invert();
    let mut entries = [Entry::ZERO; N];
    for ((entry, point), before) in entries.iter_mut().zip(points).zip(&before).rev() {
        let of_z = inverse.mul(before);
        inverse = inverse.mul(&point.z);
        let square = of_z.square();
        *entry = Entry::new(&Affine { x: point.x.mul(&square), y: point.y.mul(&square.mul(&of_z)) });
    }
    entries
}

/// x^3 - 3 x + b.
fn right_side(x: &FieldElement) -> FieldElement {
    let cube = x.square().mul(x);
    cube.sub(&x.double().add(x)).add(&B).carry()
}

/// How many windows of five signs a scalar has.
const WINDOWS: usize = 52;

/// The curve's b (SP 800-186 section 3.2.1.3).
const B: FieldElement = FieldElement::from_hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
