//! GHASH (NIST SP 800-38D section 6.4), sixteen blocks side by side, and no table that a secret indexes in memory.
//!
//! # Method
//! GHASH is a polynomial in *H* over GF(2^128) with the blocks as coefficients. Sixteen lanes hold every sixteenth
//! coefficient each, so a step multiplies all lanes by the same *H*¹⁶: a multiplication by a constant, of which the
//! products with all sixteen nibbles are known beforehand and are looked up by a swizzle, for sixteen lanes at once (the
//! use of byte shuffles as tables is from M. Hamburg, "Accelerating AES with Vector Permute Instructions", 2009). One
//! level of A. Karatsuba's method makes three products of 8 × 8 bytes out of one of 16 × 16.
//!
//! In the end the lanes are multiplied by *H*¹⁶ to *H* and added up, by integer multiplication with room for the
//! carries between the bits (T. Pornin, "BearSSL: constant-time crypto", the section on GHASH). There is one reduction for all.
//!
//! # Layout
//! In a step vector *j* has byte *j* of sixteen blocks, lane *i* that of block *i*. GHASH's first bit is the highest of the first
//! byte: to multiply by *x* is to shift a block, read as big-endian number, to the right.
//!
//! # Bounds
//! A nibble times eight bytes has nine bytes; eight of them on top of each other sixteen. For the integer
//! multiplication see [`multiply_low`].
//!
//! # Constant time
//! No branch and no address depends on key or text; lengths are public. The multiplication of integers is taken to be
//! constant in time, which it is on the 64-bit machines that engines of WebAssembly compile for.

use crate::opaque;

use zeroize::Zeroize;

use crate::message::Message;
use crate::simd::{
    i8x16_shuffle, i8x16_swizzle, load, load_at, store, u8x16_shl, u8x16_shr, u8x16_splat, u64x2, v128, v128_and,
    v128_xor, wipe,
};

/// The key of GHASH, with what is needed of its powers. It is wiped when it is dropped.
pub(crate) struct Ghash {
    /// H to H¹⁶.
    powers: [Factor; LANES],
    /// H¹⁶.
    tables: Tables,
}

impl Ghash {
    pub(crate) fn new(h: &[u8; 16]) -> Self {
        let h = u128::from_be_bytes(*h);
        let factor = Factor::new(h);
        let mut power = h;
        let mut powers = [factor; LANES];
        for at in &mut powers[1..] {
            let mut products = Products::default();
            products.add(power, &factor);
            power = products.reduced();
            *at = Factor::new(power);
        }
        Self { powers, tables: Tables::new(power) }
    }

    /// GHASH of `aad` and `text`, each filled up with zeros to whole blocks, and a block with their lengths in bits.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    pub(crate) fn hash(&self, aad: &[u8], text: &[u8]) -> [u8; 16] {
        let bits = |len: usize| (len as u64 * 8).swap_bytes();
        let message = Message::<LANES>::new(aad, text, u64x2(bits(aad.len()), bits(text.len())));
        let mut products = Products::default();
        if message.groups() == 1 {
            // Lanes without a block take no time.
            for (lane, power) in self.powers.iter().rev().enumerate() {
                if let Some(block) = message.block(0, lane) {
                    products.add(number(block), power);
                }
            }
        } else {
            for (block, power) in self.lanes(&message).into_iter().zip(self.powers.iter().rev()) {
                products.add(number(block), power);
            }
        }
        products.reduced().to_be_bytes()
    }

    /// The sixteen lanes behind the last group.
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn lanes(&self, message: &Message<'_, LANES>) -> [v128; LANES] {
        let mut work = Work::new();
        let mut sum = transposed(group(message, 0));
        let mut at = 1;
        for text in message.text_from_group(at).as_chunks::<GROUP_LEN>().0 {
            self.tables.step(&mut sum, &transposed(blocks(text)), &mut work);
            at += 1;
        }
        for at in at..message.groups() {
            self.tables.step(&mut sum, &transposed(group(message, at)), &mut work);
        }
        transposed(sum)
    }
}

impl Drop for Ghash {
    fn drop(&mut self) {
        for power in &mut self.powers {
            power.plain.zeroize();
            power.reversed.zeroize();
        }
        for table in [&mut self.tables.low, &mut self.tables.high, &mut self.tables.sum] {
            wipe(table.as_flattened_mut().as_flattened_mut());
        }
    }
}

/// The blocks of any group; zeros where a lane has none.
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn group(message: &Message<'_, LANES>, group: usize) -> [v128; LANES] {
    core::array::from_fn(|lane| message.block(group, lane).unwrap_or(u8x16_splat(0)))
}

/// A constant to multiply by.
struct Tables {
    /// Of its first eight bytes, in the order of blocks.
    low: Table,
    /// Of its last eight bytes.
    high: Table,
    /// Of the two added.
    sum: Table,
}

/// The products of eight bytes with each nibble: the nine vectors have the product's bytes, and lane *v* is that of the
/// nibble *v*; first where *v* is the higher nibble of a byte, and then where it is the lower one.
type Table = [[[u8; 16]; 2]; 9];

impl Tables {
    fn new(constant: u128) -> Self {
        let (low, high) = ((constant >> 64) as u64, constant as u64);
        Self { low: table(low), high: table(high), sum: table(low ^ high) }
    }

    /// Makes `sum` what it is times the constant, plus `next`.
    #[inline(never)]
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn step(&self, sum: &mut [v128; 16], next: &[v128; 16], work: &mut Work) {
        let Work { higher, lower, low, high, middle } = work;
        for j in 0..8 {
            for half in 0..2 {
                higher[half][j] = u8x16_shr(sum[8 * half + j], 4);
                lower[half][j] = v128_and(sum[8 * half + j], u8x16_splat(0x0f));
            }
            higher[2][j] = v128_xor(higher[0][j], higher[1][j]);
            lower[2][j] = v128_xor(lower[0][j], lower[1][j]);
        }
        product(&self.low, &higher[0], &lower[0], low);
        product(&self.high, &higher[1], &lower[1], high);
        product(&self.sum, &higher[2], &lower[2], middle);
        for j in 0..16 {
            middle[j] = v128_xor(middle[j], v128_xor(low[j], high[j]));
        }
        for j in 0..8 {
            low[8 + j] = v128_xor(low[8 + j], middle[j]);
            high[j] = v128_xor(high[j], middle[8 + j]);
        }
        reduce(low, high, next, sum);
    }
}

/// What a step writes before it reads it: at one place for all steps, since to fill or copy an array is a call to the
/// host in wasm.
struct Work {
    higher: [[v128; 8]; 3],
    lower: [[v128; 8]; 3],
    low: [v128; 16],
    high: [v128; 16],
    middle: [v128; 16],
}

impl Work {
    #[cfg_attr(simd128, target_feature(enable = "simd128"))]
    fn new() -> Self {
        let zero = u8x16_splat(0);
        Self { higher: [[zero; 8]; 3], lower: [[zero; 8]; 3], low: [zero; 16], high: [zero; 16], middle: [zero; 16] }
    }
}

fn table(constant: u64) -> Table {
    let mut table = Table::default();
    for nibble in 0..16 {
        // The nibble's highest bit is x^0, and its lowest x^3.
        let shifted =
            |bit: u32| (u128::from(constant) << 64 >> bit) & 0u128.wrapping_sub(u128::from(nibble >> (3 - bit) & 1u32));
        let product = shifted(0) ^ shifted(1) ^ shifted(2) ^ shifted(3);
        for (at, halves) in table.iter_mut().enumerate() {
            halves[0][nibble as usize] = product.to_be_bytes()[at];
            halves[1][nibble as usize] = (product >> 4).to_be_bytes()[at];
        }
    }
    table
}

/// The products of eight bytes of each lane with the eight bytes of a table.
#[inline(always)]
fn product(table: &Table, higher: &[v128; 8], lower: &[v128; 8], product: &mut [v128; 16]) {
    add_product::<0>(table, higher, lower, product);
    product[12] = u8x16_splat(0);
    add_product::<4>(table, higher, lower, product);
}

/// The products of the bytes `FROM` to `FROM + 3` of each lane with the eight bytes of a table, added to those of the bytes
/// before. Of four, and in a loop that the compiler must leave one, because eight nibbles and three sums stay in the
/// sixteen registers that most machines have.
#[inline(never)]
#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn add_product<const FROM: usize>(table: &Table, higher: &[v128; 8], lower: &[v128; 8], product: &mut [v128; 16]) {
    let (h0, h1, h2, h3) = (higher[FROM], higher[FROM + 1], higher[FROM + 2], higher[FROM + 3]);
    let (l0, l1, l2, l3) = (lower[FROM], lower[FROM + 1], lower[FROM + 2], lower[FROM + 3]);
    let [mut a, mut b, mut c] = [u8x16_splat(0); 3];
    for (byte, [higher, lower]) in product[FROM..].iter_mut().zip(&table[..opaque(9)]) {
        let (higher, lower) = (load(higher), load(lower));
        let plus = |sum, i, j| v128_xor(v128_xor(sum, i8x16_swizzle(higher, i)), i8x16_swizzle(lower, j));
        // What byte n of a product with byte j of the text is added to: byte n + j.
        let sum = plus(a, h0, l0);
        *byte = if FROM == 0 { sum } else { v128_xor(*byte, sum) };
        a = plus(b, h1, l1);
        b = plus(c, h2, l2);
        c = plus(u8x16_splat(0), h3, l3);
    }
    product[FROM + 9] = a;
    product[FROM + 10] = b;
    product[FROM + 11] = c;
}

/// What `high` is worth below *x*^128, plus `low` and `next`: *x*^128 is 1 + *x* + *x*^2 + *x*^7.
#[inline(always)]
fn reduce(low: &[v128; 16], high: &[v128; 16], next: &[v128; 16], sum: &mut [v128; 16]) {
    let mut carry = u8x16_splat(0);
    for j in 0..16 {
        sum[j] = v128_xor(v128_xor(next[j], low[j]), v128_xor(carry, folded(high[j])));
        carry = carried(high[j]);
    }
    // What byte 15 carries out is beyond *x*^128 once more.
    sum[0] = v128_xor(sum[0], folded(carry));
    sum[1] = v128_xor(sum[1], carried(carry));
}

/// A byte times 1 + *x* + *x*^2 + *x*^7: what stays in the byte.
#[inline(always)]
fn folded(byte: v128) -> v128 {
    let (one, two, seven) = (u8x16_shr(byte, 1), u8x16_shr(byte, 2), u8x16_shr(byte, 7));
    v128_xor(v128_xor(byte, one), v128_xor(two, seven))
}

/// A byte times 1 + *x* + *x*^2 + *x*^7: what goes to the next byte.
#[inline(always)]
fn carried(byte: v128) -> v128 {
    v128_xor(v128_xor(u8x16_shl(byte, 7), u8x16_shl(byte, 6)), u8x16_shl(byte, 1))
}

#[inline(always)]
fn blocks(text: &[u8; GROUP_LEN]) -> [v128; 16] {
    let at = |block: usize| load_at(text, 16 * block);
    [
        at(0),
        at(1),
        at(2),
        at(3),
        at(4),
        at(5),
        at(6),
        at(7),
        at(8),
        at(9),
        at(10),
        at(11),
        at(12),
        at(13),
        at(14),
        at(15),
    ]
}

/// Byte *i* of vector *j* becomes byte *j* of vector *i*.
///
/// A byte's place is eight bits, four for the vector and four for the byte. To lay vector *j* and vector *j* + 8 into each
/// other rotates them by one, and four rotations change the two halves.
#[inline(always)]
fn transposed(vectors: [v128; 16]) -> [v128; 16] {
    rotated(rotated(rotated(rotated(vectors))))
}

#[inline(always)]
fn rotated([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: [v128; 16]) -> [v128; 16] {
    [
        low_halves(a, i),
        high_halves(a, i),
        low_halves(b, j),
        high_halves(b, j),
        low_halves(c, k),
        high_halves(c, k),
        low_halves(d, l),
        high_halves(d, l),
        low_halves(e, m),
        high_halves(e, m),
        low_halves(f, n),
        high_halves(f, n),
        low_halves(g, o),
        high_halves(g, o),
        low_halves(h, p),
        high_halves(h, p),
    ]
}

#[inline(always)]
fn low_halves(a: v128, b: v128) -> v128 {
    i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b)
}

#[inline(always)]
fn high_halves(a: v128, b: v128) -> v128 {
    i8x16_shuffle::<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b)
}

/// A number to multiply by.
#[derive(Clone, Copy)]
pub(crate) struct Factor {
    /// Its two halves, the higher one first, and the two added.
    plain: [u64; 3],
    /// The same with all bits in the other order.
    reversed: [u64; 3],
}

impl Factor {
    pub(crate) fn new(number: u128) -> Self {
        let (high, low) = ((number >> 64) as u64, number as u64);
        let plain = [high, low, high ^ low];
        Self { plain, reversed: plain.map(u64::reverse_bits) }
    }
}

/// A sum of products that are not reduced yet, as the three products of Karatsuba's method.
#[derive(Default)]
pub(crate) struct Products {
    /// The lower 64 bits of each.
    plain: [u64; 3],
    /// The lower 64 bits of the products of the numbers with all bits in the other order. What a product has above its lower
    /// 64 bits are these, in the other order.
    reversed: [u64; 3],
}

impl Products {
    #[inline]
    pub(crate) fn add(&mut self, number: u128, factor: &Factor) {
        let number = Factor::new(number);
        for at in 0..3 {
            self.plain[at] ^= multiply_low(number.plain[at], factor.plain[at]);
            self.reversed[at] ^= multiply_low(number.reversed[at], factor.reversed[at]);
        }
    }

    /// The sum modulo *x*^128 + *x*^7 + *x*^2 + *x* + 1, in GHASH's order of bits: the highest is *x*^0.
    pub(crate) fn reduced(&self) -> u128 {
        // A product has 127 bits; the reversed one starts at its uppermost, which is bit 126.
        let product = |at: usize| u128::from(self.plain[at]) | u128::from(self.reversed[at].reverse_bits() >> 1) << 64;
        let (high, low) = (product(0), product(1));
        let middle = product(2) ^ high ^ low;
        // 255 bits; one to the left, so that the bit of x^0 is the highest of 256.
        let (high, low) = (high ^ middle >> 64, low ^ middle << 64);
        let (high, low) = (high << 1 | low >> 127, low << 1);
        // `low` is what is beyond x^127. What its own fold carries out goes round once more.
        let beyond = low << 127 ^ low << 126 ^ low << 121;
        let low = low ^ beyond;
        high ^ low ^ low >> 1 ^ low >> 2 ^ low >> 7
    }
}

/// The lower 64 bits of a product over GF(2)[*x*].
///
/// Each number is cut into four with one bit in four, so that in a product of integers at most 16 ones meet in a column,
/// and three columns of room take the carries: 15 fit, and the 16th one is possible in the uppermost columns only,
/// from where it carries out of the 64 bits.
#[inline]
pub(crate) fn multiply_low(a: u64, b: u64) -> u64 {
    const EVERY_FOURTH: u64 = 0x1111_1111_1111_1111;
    let [a0, a1, a2, a3] = [0, 1, 2, 3].map(|bit| a & EVERY_FOURTH << bit);
    let [b0, b1, b2, b3] = [0, 1, 2, 3].map(|bit| b & EVERY_FOURTH << bit);
    let times = u64::wrapping_mul;
    let sums = [
        times(a0, b0) ^ times(a1, b3) ^ times(a2, b2) ^ times(a3, b1),
        times(a0, b1) ^ times(a1, b0) ^ times(a2, b3) ^ times(a3, b2),
        times(a0, b2) ^ times(a1, b1) ^ times(a2, b0) ^ times(a3, b3),
        times(a0, b3) ^ times(a1, b2) ^ times(a2, b1) ^ times(a3, b0),
    ];
    (sums[0] & EVERY_FOURTH)
        | (sums[1] & EVERY_FOURTH << 1)
        | (sums[2] & EVERY_FOURTH << 2)
        | (sums[3] & EVERY_FOURTH << 3)
}

#[cfg_attr(simd128, target_feature(enable = "simd128"))]
fn number(block: v128) -> u128 {
    let mut bytes = [0; 16];
    store(&mut bytes, block);
    u128::from_be_bytes(bytes)
}

const LANES: usize = 16;

const GROUP_LEN: usize = 16 * LANES;
