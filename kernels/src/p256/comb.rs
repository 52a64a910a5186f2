//! Multiplication of a point for which there is a table, two sums at a time.
//!
//! The signs of a scalar (see [`Scalar::signs`]) are laid in seven rows of 38. A table has four blocks, which serve ten and
//! nine neighbouring columns by turns. The first holds `2^228 ± 2^190 ± 2^152 ± 2^114 ± 2^76 ± 2^38 ± 1` times the point,
//! the others the same times two to their first column (Lim and Lee, "More flexible exponentiation with precomputation",
//! 1994; with signs: Hamburg, as in `scalar.rs`). A multiplication takes 38 additions and nine doublings.
//!
//! Additions run two at a time, in the lanes of a [`Pair`]. One product is made as two sums of two blocks each; the sum
//! of two products is made with a lane for each of them.
//!
//! Coordinates are (X, Y, ZZ, ZZZ) with ZZ^3 = ZZZ^2, for the point (X / ZZ, Y / ZZZ): an addition takes a squaring less
//! than in Jacobian ones (Bernstein and Lange's Explicit-Formulas Database, `shortw/xyzz`). Exceptions are those that the
//! head of `point.rs` tells of: they make ZZ and ZZZ zero, and there they stay.
//!
//! All coordinates have magnitude 1. X is below `2.4 p`, the others are `p` at most, and what is multiplied is below
//! `3 p`; a test follows the bounds.

use zeroize::Zeroize as _;

use super::entry::{Entry, LookUp, Select, Take};
use super::pair::Pair;
use super::point::{Affine, Point, checked, normalize, sum_vartime};
use super::scalar::{Scalar, Signs};

/// The table of a point.
pub(super) type Table = [Block; BLOCKS];

/// What serves ten columns or nine.
pub(super) type Block = [Entry; 1 << (ROWS - 1)];

/// A point and its table.
#[derive(Clone, Copy)]
pub(super) struct Comb<'a> {
    base: &'a Affine,
    table: &'a Table,
}

impl<'a> Comb<'a> {
    /// The point `base` and its table, of which [`table`] says how it is made.
    pub(super) const fn new(base: &'a Affine, table: &'a Table) -> Self {
        Self { base, table }
    }

    /// `scalar * base`; `None` for infinity, which is zero times the point.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn mul(&self, scalar: &Scalar) -> Option<Point> {
        let mut signs = scalar.signs(SIGNS);
        let product = self.product::<Select>(&signs);
        signs.zeroize();
        checked(product, self.base, scalar)
    }

    /// [`Comb::mul`] for scalars that are no secret.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(super) fn mul_vartime(&self, scalar: &Scalar) -> Option<Point> {
        checked(self.product::<LookUp>(&scalar.signs(SIGNS)), self.base, scalar)
    }

    #[inline(always)]
    fn product<T: Take>(&self, signs: &Signs) -> Point {
        let (first, second) = self.table.split_at(BLOCKS / 2);
        let [a, b] =
            sums::<T>([first, second], |lane, column, row| signs.bit(row * COLUMNS + lane * (COLUMNS / 2) + column));
        a.add(&b)
    }
}

/// The sum of the two scalars times their points; `None` for infinity. Not for secrets.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
pub(super) fn sum_of_products_vartime(combs: [Comb<'_>; 2], scalars: [&Scalar; 2]) -> Option<Point> {
    let signs = scalars.map(|scalar| scalar.signs(SIGNS));
    let blocks = combs.map(|comb| comb.table.as_slice());
    let [a, b] = sums::<LookUp>(blocks, |lane, column, row| signs[lane].bit(row * COLUMNS + column));
    sum_vartime(checked(a, combs[0].base, scalars[0]), checked(b, combs[1].base, scalars[1]))
}

/// For each of two lanes the sum of its blocks' entries. `bit` gives the sign of a lane, a column and a row.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn sums<T: Take>(blocks: [&[Block]; 2], bit: impl Fn(usize, usize, usize) -> u64) -> [Point; 2] {
    let entries = |column: usize, block: usize| {
        let digit = |lane| (0..ROWS).map(|row| bit(lane, FIRST_COLUMNS[block] + column, row) << row).sum();
        T::take(&blocks[0][block], digit(0)).pairs(&T::take(&blocks[1][block], digit(1)))
    };
    // The tenth columns, which half of the blocks have.
    let [x, y] = entries(9, 0);
    let mut sums = Points { x, y, zz: Pair::ONES, zzz: Pair::ONES };
    for block in (2..blocks[0].len()).step_by(2) {
        let [x, y] = entries(9, block);
        sums.add(&x, &y);
    }
    for column in (0..9).rev() {
        sums.double();
        for block in 0..blocks[0].len() {
            let [x, y] = entries(column, block);
            sums.add(&x, &y);
        }
    }
    sums.to_points()
}

/// Two points, side by side.
struct Points {
    x: Pair,
    y: Pair,
    zz: Pair,
    zzz: Pair,
}

impl Points {
    /// Adds (x, y), lane by lane.
    ///
    /// In place, as is the doubling: a copy of a point is a call to the host on WebAssembly.
    #[inline(never)]
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn add(&mut self, x: &Pair, y: &Pair) {
        let p = x.mul(&self.zz).sub(&self.x);
        let r = y.mul(&self.zzz).sub(&self.y);
        let pp = p.square();
        let ppp = p.mul(&pp);
        let q = self.x.mul(&pp);
        let x3 = r.square_add(&Pair::ZEROS.sub(&ppp).sub(&q).sub(&q));
        self.y = r.mul_sub(&q.sub(&x3), &self.y, &ppp);
        self.x = x3;
        self.zz = self.zz.mul(&pp);
        self.zzz = self.zzz.mul(&ppp);
    }

    /// Doubles, lane by lane.
    #[inline(never)]
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn double(&mut self) {
        let u = self.y.add(&self.y);
        let v = u.square();
        let w = u.mul(&v);
        let s = self.x.mul(&v);
        let third = self.x.sub(&self.zz).mul(&self.x.add(&self.zz));
        let m = third.add(&third).add(&third);
        let x3 = m.square_add(&Pair::ZEROS.sub(&s).sub(&s));
        self.y = m.mul_sub(&s.sub(&x3), &w, &self.y);
        self.x = x3;
        self.zz = v.mul(&self.zz);
        self.zzz = w.mul(&self.zzz);
    }

    /// The two points in Jacobian coordinates: those whose Z is ZZZ.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn to_points(&self) -> [Point; 2] {
        let x = self.x.mul(&self.zz.square()).lanes();
        let y = self.y.mul(&self.zzz.square()).lanes();
        let z = self.zzz.lanes();
        [0, 1].map(|lane| Point { x: x[lane], y: y[lane], z: z[lane] })
    }
}

/// The table of a point.
pub(super) fn table(base: &Affine) -> Table {
    let mut table = [[Entry::ZERO; 1 << (ROWS - 1)]; BLOCKS];
    let mut power = Point::from(*base);
    let mut powers = [[power; ROWS]; BLOCKS];
    for row in 0..ROWS {
        for (powers, columns) in powers.iter_mut().zip([10, 9, 10, 9]) {
            powers[row] = power;
            for _ in 0..columns {
                power = power.double();
            }
        }
    }
    for (block, powers) in table.iter_mut().zip(&powers) {
        // The entry of all minus signs, and then the others from those before, with one sign turned.
        let (highest, others) = powers.split_last().expect("there are rows");
        let mut sums = [*highest; 1 << (ROWS - 1)];
        for power in others {
            let negative = Point { y: power.y.negate(), ..*power };
            sums[0] = sums[0].add(&negative);
        }
        for (row, power) in others.iter().enumerate() {
            let twice = power.double();
            for i in 0..1 << row {
                sums[(1 << row) + i] = sums[i].add(&twice);
            }
        }
        *block = normalize(&sums);
    }
    table
}

/// How many rows the signs are laid in.
const ROWS: usize = 7;

/// The column that is the first one of each block. Two blocks are half of the columns.
const FIRST_COLUMNS: [usize; BLOCKS] = [0, 10, COLUMNS / 2, COLUMNS / 2 + 10];

const BLOCKS: usize = 4;

const COLUMNS: usize = 38;

const SIGNS: usize = ROWS * COLUMNS;
