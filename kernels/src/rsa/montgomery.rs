//! Numbers modulo an odd number of any length, in Montgomery's form.
//!
//! **Layout.** A number is a row of limbs of 28 bits, the lowest first, each in a `u32`. Three zeros stand before them and
//! some behind, so that a loop over columns may begin before a number and end after it. A product is a row of columns
//! of 64 bits, which are not carried before the end.
//!
//! **Montgomery's form.** R is 2^(28 * rows), where `rows` is a multiple of 4 and R is more than eight times the modulus
//! m. Then the product of a number below R and one below m, or of one below 4 m and one below 2 m, divided by R and with
//! the reduction's multiples of m, is below 2 m again, and nothing needs to be subtracted (C. D. Walter, "Montgomery
//! exponentiation needs no final subtractions", 1999). Numbers here are below 2 m, and below m after
//! [`Modulus::to_plain`].
//!
//! **Bounds.** Four rows at a time are added to the columns, which raises a column by `4 * 2^56` at most, or by
//! `4 * 2^57` for a square, whose rows are doubled; the products next to its diagonal come to as much, once. Columns have
//! 64 bits: after 60 units of `2^58` they are carried once, which leaves them below 2^37. Up to 2048 bits that never
//! happens: a square of 76 rows is 59 units with its reduction.
//!
//! No branch and no address depends on a number, only on its length, unless the name says `vartime`.

use crate::opaque;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::swap;

use zeroize::Zeroizing;

use super::rows::add_rows;

/// A number modulo some [`Modulus`]: with the zeros before and behind. It is wiped when it is dropped.
pub(super) type Number = Zeroizing<Vec<u32>>;

/// An odd modulus.
pub(super) struct Modulus {
    limbs: Number,
    /// How many limbs a number below eight times the modulus has.
    width: usize,
    /// How many limbs R has more than 1.
    rows: usize,
    bits: usize,
    /// `-1 / m` modulo 2^112, in four limbs.
    inverse: Zeroizing<[u64; 4]>,
    /// R^2 modulo m.
    r2: Number,
}

impl Modulus {
    /// The modulus of bytes, the highest first; `None` where it is even or below 3.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let bits = bit_len(bytes);
        if bits < 2 || bytes.last()? & 1 == 0 {
            return None;
        }
        let width = (bits + 3).div_ceil(BITS);
        let rows = width.next_multiple_of(4);
        let limbs = read(bytes, rows);
        let lowest = four(&limbs, 0).iter().rev().fold(0, |number, limb| number << BITS | u128::from(*limb));
        // Newton's iteration: each step doubles the number of bits that are right, three to begin with.
        let inverse = (0..6).fold(lowest, |x, _| x.wrapping_mul(2_u128.wrapping_sub(lowest.wrapping_mul(x))));
        let inverse = Zeroizing::new([0, 1, 2, 3].map(|i| (inverse.wrapping_neg() >> (i * BITS)) as u64 & MASK));
        let mut modulus = Self { r2: limbs.clone(), limbs, width, rows, bits, inverse };
        modulus.r2 = modulus.r_squared();
        Some(modulus)
    }

    /// How many bits a number below R may have.
    pub(super) fn bits_of_r(&self) -> usize {
        self.rows * BITS
    }

    /// How many bits the modulus has.
    pub(super) fn bits(&self) -> usize {
        self.bits
    }

    /// The number of bytes, the highest first, modulo m and in Montgomery's form. It must be below R squared.
    pub(super) fn number(&self, bytes: &[u8]) -> Number {
        let all = read(bytes, 2 * self.rows);
        let mut low = self.zero();
        let mut high = self.zero();
        low[BEFORE..BEFORE + self.rows].copy_from_slice(&all[BEFORE..BEFORE + self.rows]);
        high[BEFORE..BEFORE + self.rows].copy_from_slice(&all[BEFORE + self.rows..BEFORE + 2 * self.rows]);
        // high * R^2 + low * R
        let r3 = self.below(&self.mul(&self.r2, &self.r2));
        self.add(&self.mul(&high, &r3), &self.mul(&low, &self.r2))
    }

    /// A number that is below R and not in Montgomery's form, brought into it.
    pub(super) fn to_form(&self, plain: &Number) -> Number {
        let mut limbs = self.zero();
        let len = self.rows.min(plain.len() - BEFORE);
        limbs[BEFORE..BEFORE + len].copy_from_slice(&plain[BEFORE..BEFORE + len]);
        self.mul(&limbs, &self.r2)
    }

    /// The number out of Montgomery's form, below m.
    pub(super) fn to_plain(&self, number: &Number) -> Number {
        let mut one = self.zero();
        one[BEFORE] = 1;
        self.below(&self.mul(number, &one))
    }

    /// A number below 2 m as the one below m.
    pub(super) fn below(&self, number: &Number) -> Number {
        let mut difference = self.zero();
        let mut borrow = 0_i64;
        for i in BEFORE..BEFORE + self.width {
            let limb = i64::from(number[i]) - i64::from(self.limbs[i]) + borrow;
            difference[i] = (limb & MASK as i64) as u32;
            borrow = limb >> BITS;
        }
        // All ones where the number was below m already.
        let keep = opaque(borrow as u32);
        for (limb, kept) in difference.iter_mut().zip(number.iter()) {
            *limb ^= (*limb ^ kept) & keep;
        }
        difference
    }

    /// `a + b`, modulo m.
    pub(super) fn add(&self, a: &Number, b: &Number) -> Number {
        let mut sum = self.zero();
        let mut carry = 0;
        for i in BEFORE..BEFORE + self.width {
            carry += a[i] + b[i];
            sum[i] = carry & MASK as u32;
            carry >>= BITS;
        }
        // Below 4 m: times one in Montgomery's form, it is below 2 m.
        self.mul(&sum, &self.one())
    }

    /// `a - b`, below 4 m: good for one more multiplication.
    pub(super) fn sub_unreduced(&self, a: &Number, b: &Number) -> Number {
        let mut difference = self.zero();
        let mut carry = 0_i64;
        for i in BEFORE..BEFORE + self.width {
            carry += i64::from(a[i]) - i64::from(b[i]) + 2 * i64::from(self.limbs[i]);
            difference[i] = (carry & MASK as i64) as u32;
            carry >>= BITS;
        }
        difference
    }

    /// `a * b / R`.
    pub(super) fn mul(&self, a: &Number, b: &Number) -> Number {
        let mut product = self.zero();
        self.mul_to(&mut product, a, b, &mut Scratch::new(self));
        product
    }

    /// `a * a / R`.
    pub(super) fn square(&self, a: &Number) -> Number {
        let mut square = self.zero();
        self.square_to(&mut square, a, &mut Scratch::new(self));
        square
    }

    fn mul_to(&self, product: &mut Number, a: &Number, b: &Number, scratch: &mut Scratch) {
        let columns = &mut scratch.columns;
        clear(columns);
        let mut budget = Budget::new();
        for i in (0..self.rows).step_by(4) {
            budget.spend(1, columns);
            add_rows(&mut columns[i..i + self.row_columns()], b, four(a, i));
        }
        self.reduce_to(product, columns, budget);
    }

    fn square_to(&self, square: &mut Number, a: &Number, Scratch { columns, doubled }: &mut Scratch) {
        for (doubled, limb) in doubled.iter_mut().zip(a.iter()) {
            *doubled = limb << 1;
        }
        let mut budget = Budget::new();
        budget.spend(2, columns);
        // On the diagonal and next to it limb by limb, eight columns for four limbs: all columns are written here first.
        let (eights, rest) = columns.as_chunks_mut::<8>();
        clear(rest);
        let (limbs, twice) = (a[BEFORE..].as_chunks::<4>().0, doubled[BEFORE..].as_chunks::<4>().0);
        for (i, eight) in eights.iter_mut().enumerate() {
            let [x0, x1, x2, x3] = limbs[i].map(u64::from);
            let [_, d1, d2, d3] = twice[i].map(u64::from);
            let [d4, d5, d6, d7] = twice[i + 1].map(u64::from);
            *eight = [
                x0 * x0,
                x0 * d1,
                x0 * d2 + x1 * x1,
                x0 * d3 + x1 * d2,
                x0 * d4 + x1 * d3 + x2 * x2,
                x0 * d5 + x1 * d4 + x2 * d3,
                x0 * d6 + x1 * d5 + x2 * d4 + x3 * x3,
                x0 * d7 + x1 * d6 + x2 * d5 + x3 * d4,
            ];
        }
        // What is above it.
        for i in (0..self.width).step_by(4) {
            let (start, end) = (2 * i + 8, i + self.row_columns());
            if start < end {
                budget.spend(2, columns);
                add_rows(&mut columns[start..end], &doubled[i + 8..], four(a, i));
            }
        }
        self.reduce_to(square, columns, budget);
    }

    /// `base^exponent`, in windows of five bits, of as many bits as `exponent` has bytes for.
    pub(super) fn pow(&self, base: &Number, exponent: &[u8]) -> Number {
        let mut table = Vec::with_capacity(32);
        table.push(self.one());
        for i in 1..32 {
            table.push(self.mul(&table[i - 1], base));
        }
        let bit = |i: usize| match exponent.len().checked_sub(i / 8 + 1) {
            Some(at) => u32::from(exponent[at] >> (i % 8) & 1),
            None => 0,
        };
        let windows = (8 * exponent.len()).div_ceil(5);
        let mut scratch = Scratch::new(self);
        let mut power = self.one();
        let mut next = self.zero();
        let mut selected = self.zero();
        for window in (0..windows).rev() {
            for _ in 0..5 {
                self.square_to(&mut next, &power, &mut scratch);
                swap(&mut next, &mut power);
            }
            let digit = (0..5).map(|i| bit(5 * window + i) << i).sum::<u32>();
            clear(&mut selected);
            // All entries are read, four at a time.
            for (entries, first) in table.as_chunks::<4>().0.iter().zip((0..).step_by(4)) {
                let mask = |i: u32| opaque((((first + i) ^ digit).wrapping_sub(1) as i32 >> 31) as u32);
                let [mask_0, mask_1, mask_2, mask_3] = [mask(0), mask(1), mask(2), mask(3)];
                let [a, b, c, d] = entries;
                for ((((limb, a), b), c), d) in
                    selected.iter_mut().zip(a.iter()).zip(b.iter()).zip(c.iter()).zip(d.iter())
                {
                    *limb |= a & mask_0 | b & mask_1 | c & mask_2 | d & mask_3;
                }
            }
            self.mul_to(&mut next, &power, &selected, &mut scratch);
            swap(&mut next, &mut power);
        }
        power
    }

    /// `base^exponent` for an exponent that is no secret, and not zero.
    pub(super) fn pow_vartime(&self, base: &Number, exponent: u64) -> Number {
        let mut scratch = Scratch::new(self);
        let mut power = base.clone();
        let mut next = self.zero();
        for i in (0..exponent.ilog2()).rev() {
            self.square_to(&mut next, &power, &mut scratch);
            swap(&mut next, &mut power);
            if exponent >> i & 1 == 1 {
                self.mul_to(&mut next, &power, base, &mut scratch);
                swap(&mut next, &mut power);
            }
        }
        power
    }

    /// Whether two numbers are the same modulo m.
    pub(super) fn equal(&self, a: &Number, b: &Number) -> bool {
        let (a, b) = (self.to_plain(a), self.to_plain(b));
        a.iter().zip(b.iter()).fold(0, |any, (a, b)| any | (a ^ b)) == 0
    }

    /// Whether m is above the number of these bytes, which is no secret.
    pub(super) fn is_above_vartime(&self, bytes: &[u8]) -> bool {
        let limbs = read(bytes, self.rows.max((8 * bytes.len()).div_ceil(BITS)));
        let zero = limbs[(BEFORE + self.rows).min(limbs.len())..].iter().all(|limb| *limb == 0);
        let ours = self.limbs[BEFORE..BEFORE + self.rows].iter().rev();
        zero && limbs[BEFORE..BEFORE + self.rows].iter().rev().lt(ours)
    }

    /// The modulus itself as a number of another one.
    pub(super) fn limbs(&self) -> &Number {
        &self.limbs
    }

    /// The columns divided by R, modulo m.
    fn reduce_to(&self, result: &mut Number, columns: &mut [u64], mut budget: Budget) {
        let [m0, m1, m2, m3] = four(&self.limbs, 0).map(u64::from);
        let [n0, n1, n2, n3] = *self.inverse;
        for i in (0..self.rows).step_by(4) {
            // What is below has been divided away, and must carry nothing.
            budget.spend(1, &mut columns[i..]);
            // Column by column, since LLVM leaves a loop over them a loop.
            let (c0, c1, c2, c3) = (columns[i], columns[i + 1], columns[i + 2], columns[i + 3]);
            let c1 = c1 + (c0 >> BITS);
            let c2 = c2 + (c1 >> BITS);
            let c3 = c3 + (c2 >> BITS);
            let [l0, l1, l2, l3] = [c0, c1, c2, c3].map(|column| column & MASK);
            // The multiple of m that makes the four zero, all four limbs at once: they wait for each other's carries only.
            let q0 = l0 * n0;
            let q1 = l0 * n1 + l1 * n0 + (q0 >> BITS);
            let q2 = l0 * n2 + l1 * n1 + l2 * n0 + (q1 >> BITS);
            let q3 = l0 * n3 + l1 * n2 + l2 * n1 + l3 * n0 + (q2 >> BITS);
            let [q0, q1, q2, q3] = [q0, q1, q2, q3].map(|column| column & MASK);
            let end = i + self.row_columns();
            add_rows(&mut columns[i + 4..end], &self.limbs[4..], [q0, q1, q2, q3].map(|q| q as u32));
            // And what they carry with it.
            let carry = (l0 + q0 * m0) >> BITS;
            let carry = (carry + l1 + q0 * m1 + q1 * m0) >> BITS;
            let carry = (carry + l2 + q0 * m2 + q1 * m1 + q2 * m0) >> BITS;
            let carry = (carry + l3 + q0 * m3 + q1 * m2 + q2 * m1 + q3 * m0) >> BITS;
            columns[i + 4] += (c3 >> BITS) + carry;
        }
        let (limbs, columns) = (result[BEFORE..].as_chunks_mut::<4>().0, columns[self.rows..].as_chunks::<4>().0);
        let mut carry = 0;
        for (limbs, [c0, c1, c2, c3]) in limbs.iter_mut().zip(columns).take(self.rows / 4) {
            let c0 = c0 + carry;
            let c1 = c1 + (c0 >> BITS);
            let c2 = c2 + (c1 >> BITS);
            let c3 = c3 + (c2 >> BITS);
            *limbs = [c0, c1, c2, c3].map(|column| (column & MASK) as u32);
            carry = c3 >> BITS;
        }
    }

    /// R^2 modulo m: from a power of two by doubling, and then by squaring in Montgomery's form, which doubles the
    /// exponent.
    fn r_squared(&self) -> Number {
        // 2^(bits - 1) is below m. In Montgomery's form it stands for 2^(bits - 1) / R.
        let mut power = self.zero();
        power[BEFORE + (self.bits - 1) / BITS] = 1 << ((self.bits - 1) % BITS);
        let r = self.rows * BITS;
        // What R is times, as an exponent of two: the last is R, which is R^2 in Montgomery's form.
        let steps = usize::BITS - (r / 64).leading_zeros();
        let mut exponent = r >> steps;
        for _ in 0..r + exponent - (self.bits - 1) {
            power = self.doubled(&power);
        }
        for step in (0..steps).rev() {
            power = self.below(&self.square(&power));
            exponent *= 2;
            if r >> step & 1 == 1 {
                power = self.doubled(&power);
                exponent += 1;
            }
        }
        debug_assert!(exponent == r);
        power
    }

    /// `2 * a` for a number below m, below m.
    fn doubled(&self, a: &Number) -> Number {
        let mut twice = self.zero();
        let mut carry = 0;
        for i in BEFORE..BEFORE + self.width {
            carry += 2 * a[i];
            twice[i] = carry & MASK as u32;
            carry >>= BITS;
        }
        self.below(&twice)
    }

    /// R modulo m: one, in Montgomery's form.
    fn one(&self) -> Number {
        let mut one = self.zero();
        one[BEFORE] = 1;
        self.mul(&one, &self.r2)
    }

    fn zero(&self) -> Number {
        Zeroizing::new(vec![0; len_for(self.rows)])
    }

    /// How many columns four rows of a number touch.
    fn row_columns(&self) -> usize {
        (self.width + BEFORE).next_multiple_of(4)
    }
}

/// What a multiplication needs besides its factors, wiped when it is dropped.
struct Scratch {
    columns: Zeroizing<Vec<u64>>,
    doubled: Number,
}

impl Scratch {
    fn new(modulus: &Modulus) -> Self {
        Self { columns: Zeroizing::new(vec![0; 2 * modulus.rows + 8]), doubled: modulus.zero() }
    }
}

/// How much a column may still take up, in units of 2^58.
struct Budget(u32);

impl Budget {
    fn new() -> Self {
        Self(60)
    }

    fn spend(&mut self, units: u32, columns: &mut [u64]) {
        if self.0 < units {
            let mut carry = 0;
            for column in columns {
                carry += *column;
                *column = carry & MASK;
                carry >>= BITS;
            }
            *self = Self::new();
        }
        self.0 -= units;
    }
}

/// `a * b + c`, as limbs; `a` and `b` have up to `rows` limbs each.
pub(super) fn mul_add(a: &Number, b: &Number, c: &Number, rows: usize) -> Number {
    let mut columns = Zeroizing::new(vec![0_u64; 2 * rows + 8]);
    let mut padded = Zeroizing::new(vec![0_u32; len_for(rows)]);
    let len = b.len().min(padded.len());
    padded[..len].copy_from_slice(&b[..len]);
    let mut budget = Budget::new();
    for i in (0..rows.min(a.len() - BEFORE - 4)).step_by(4) {
        budget.spend(1, &mut columns);
        add_rows(&mut columns[i..i + rows + 4], &padded, four(a, i));
    }
    let mut result = Zeroizing::new(vec![0_u32; len_for(2 * rows)]);
    let mut carry = 0;
    for (i, column) in columns[..2 * rows].iter().enumerate() {
        carry += column + u64::from(c.get(BEFORE + i).copied().unwrap_or(0));
        result[BEFORE + i] = (carry & MASK) as u32;
        carry >>= BITS;
    }
    result
}

/// The number of limbs as `len` bytes, the highest first; what does not fit must be zero.
pub(super) fn write(limbs: &Number, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (i, byte) in bytes.iter_mut().rev().enumerate() {
        let (at, shift) = (BEFORE + 8 * i / BITS, 8 * i % BITS);
        let limb = |at: usize| limbs.get(at).copied().unwrap_or(0);
        *byte = ((u64::from(limb(at)) | u64::from(limb(at + 1)) << BITS) >> shift) as u8;
    }
    bytes
}

/// How many bits the number of these bytes has.
pub(super) fn bit_len(bytes: &[u8]) -> usize {
    match bytes.iter().position(|byte| *byte != 0) {
        Some(at) => 8 * (bytes.len() - at) - bytes[at].leading_zeros() as usize,
        None => 0,
    }
}

/// The number of bytes, the highest first, in `rows` limbs; what is above them is left out.
fn read(bytes: &[u8], rows: usize) -> Number {
    let mut limbs = Zeroizing::new(vec![0; len_for(rows)]);
    for (i, byte) in bytes.iter().rev().enumerate() {
        let (at, shift) = (8 * i / BITS, 8 * i % BITS);
        let bits = u64::from(*byte) << shift;
        if at < rows {
            limbs[BEFORE + at] |= (bits & MASK) as u32;
        }
        if at + 1 < rows {
            limbs[BEFORE + at + 1] |= (bits >> BITS) as u32;
        }
    }
    limbs
}

/// Makes all zero. Where LLVM knows the value, it makes a call to the host of the loop.
fn clear<T: Copy + Default>(limbs: &mut [T]) {
    let zero = opaque(T::default());
    for limb in limbs {
        *limb = zero;
    }
}

fn four(limbs: &[u32], i: usize) -> [u32; 4] {
    [limbs[BEFORE + i], limbs[BEFORE + i + 1], limbs[BEFORE + i + 2], limbs[BEFORE + i + 3]]
}

const fn len_for(rows: usize) -> usize {
    BEFORE + rows + 8
}

/// How many bits a limb has.
const BITS: usize = 28;

/// How many zeros stand before a number's limbs.
const BEFORE: usize = 3;

const MASK: u64 = (1 << BITS) - 1;
