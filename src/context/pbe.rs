//! Decryption by a passphrase: PBES2 (RFC 8018), the older schemes of PKCS#12 (RFC 7292 appendix B and C), and the
//! traditional one of OpenSSL's PEM files. And the MAC by a passphrase of PKCS#12 files, in its two forms (RFC 7292 section 4,
//! RFC 9579).
//!
//! What a file asks for in iterations and memory is limited, since a file may come from a stranger: see [`Work`].

use std::ops::RangeInclusive;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit};
use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Sequence};
use des::{TdesEde2, TdesEde3};
use hmac::{Hmac, Mac};
use md5::Md5;
use pbkdf2::pbkdf2_hmac;
use pkcs5::AlgorithmIdentifierRef;
use pkcs5::pbes2::{Kdf, PBES2_OID, Parameters, Pbkdf2Params, Pbkdf2Prf};
use rc2::Rc2;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::digest::block_api::BlockSizeUser;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// Checks an HMAC of its whole length, in constant time.
macro_rules! check_hmac {
    ($hash:ty, $key:expr, $data:expr, $mac:expr) => {
        <Hmac<$hash> as KeyInit>::new_from_slice($key)
            .map_err(|_| Failure::BadDecrypt)?
            .chain_update($data)
            .verify_slice($mac)
            .map_err(|_| Failure::BadDecrypt)
    };
}

/// What is left of the work that one file may cause.
///
/// A step is one iteration of a hash-based function, or one block of 128 bytes that scrypt mixes. PBKDF2 with the 600 000
/// iterations that OWASP advises takes 600 000 to 1 200 000 of them; scrypt as OpenSSL sets it takes 131 072.
#[derive(Debug)]
pub(super) struct Work(u64);

/// Why nothing came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The passphrase is wrong, or the data was changed.
    BadDecrypt,
    /// The scheme, or a part of it, is not one of those that are supported; it is named.
    Unsupported(String),
    /// It asks for more than [`Work`] allows.
    TooMuchWork(String),
    /// It is not encoded as it should be; the part is named.
    Malformed(&'static str),
}

impl Work {
    /// What one file may cause.
    pub(super) fn for_a_file() -> Self {
        Self(MAX_STEPS)
    }

    /// Takes these steps away, or says that they are too many.
    fn take(&mut self, steps: u64) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(steps).ok_or_else(|| {
            Failure::TooMuchWork(format!(
                "it asks for {steps} steps of key derivation, and a file may cause {MAX_STEPS} in all"
            ))
        })?;
        Ok(())
    }

    /// Takes away the steps of PBKDF2 for a key of this length (RFC 8018 section 5.2).
    fn take_pbkdf2(&mut self, kdf: &Pbkdf2Params, length: usize) -> Result<(), Failure> {
        let output = match kdf.prf {
            Pbkdf2Prf::HmacWithSha1 => 20,
            Pbkdf2Prf::HmacWithSha224 => 28,
            Pbkdf2Prf::HmacWithSha256 => 32,
            Pbkdf2Prf::HmacWithSha384 => 48,
            Pbkdf2Prf::HmacWithSha512 => 64,
            _ => return Err(Failure::Unsupported("the hash of its PBKDF2".into())),
        };
        if kdf.iteration_count == 0 {
            return Err(Failure::Malformed("the iterations of its key derivation"));
        }
        self.take(u64::from(kdf.iteration_count) * length.div_ceil(output) as u64)
    }
}

/// Decrypts what is encrypted by the scheme that `algorithm` names.
///
/// No passphrase is not the same as an empty one in PKCS#12's own schemes (RFC 7292 appendix B.1).
pub(super) fn decrypt(
    algorithm: AlgorithmIdentifierRef<'_>,
    encrypted: &[u8],
    passphrase: Option<&[u8]>,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if algorithm.oid == PBES2_OID {
        return pbes2(algorithm, encrypted, passphrase.unwrap_or_default(), work);
    }
    let derive = |id, length, work: &mut Work| {
        let parameters = algorithm.parameters.ok_or(Failure::Malformed("the parameters of its encryption"))?;
        let parameters: Pkcs12PbeParams<'_> =
            parameters.decode_as().map_err(|_| Failure::Malformed("the parameters of its encryption"))?;
        let Pkcs12PbeParams { salt, iterations } = parameters;
        pkcs12_kdf::<Sha1>(passphrase, salt.as_bytes(), id, iterations, length, work)
    };
    let key_length = match algorithm.oid {
        PBE_SHA1_3DES => 24,
        PBE_SHA1_2DES => 16,
        PBE_SHA1_RC2_40 => 5,
        PBE_SHA1_RC2_128 => 16,
        PBE_SHA1_RC4_128 | PBE_SHA1_RC4_40 => return Err(Failure::Unsupported("the encryption RC4".into())),
        PBE_MD5_DES | PBE_SHA1_DES => return Err(Failure::Unsupported("the encryption DES".into())),
        other => return Err(Failure::Unsupported(format!("the encryption {other}"))),
    };
    let key = derive(ID_KEY, key_length, work)?;
    let iv = derive(ID_IV, DES_BLOCK, work)?;
    match algorithm.oid {
        PBE_SHA1_3DES => cbc_of_key::<TdesEde3>(&key, &iv, encrypted),
        PBE_SHA1_2DES => cbc_of_key::<TdesEde2>(&key, &iv, encrypted),
        _ => cbc(Rc2::new_with_eff_key_len(&key, key.len() * 8), &iv, encrypted),
    }
}

/// Decrypts a PEM section with a `DEK-Info` header, which names the cipher and gives its IV in hexadecimal digits.
///
/// The key is that of `EVP_BytesToKey`: MD5 once over passphrase and salt, which is why a file made anew should be PKCS#8.
pub(super) fn decrypt_traditional(
    dek_info: &str,
    encrypted: &[u8],
    passphrase: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (cipher, iv) = dek_info.split_once(',').ok_or(Failure::Malformed("its DEK-Info header"))?;
    let iv = base16(iv.trim()).ok_or(Failure::Malformed("the IV of its DEK-Info header"))?;
    let key = |length| bytes_to_key(passphrase, iv.get(..SALT).unwrap_or(&iv), length);
    match cipher.trim() {
        "AES-128-CBC" => cbc_of_key::<Aes128>(&key(16), &iv, encrypted),
        "AES-192-CBC" => cbc_of_key::<Aes192>(&key(24), &iv, encrypted),
        "AES-256-CBC" => cbc_of_key::<Aes256>(&key(32), &iv, encrypted),
        "DES-EDE3-CBC" => cbc_of_key::<TdesEde3>(&key(24), &iv, encrypted),
        other => Err(Failure::Unsupported(format!("the encryption {}", shown(other)))),
    }
}

/// Checks the MAC of a PKCS#12 file (RFC 7292 section 4 and appendix B, RFC 9579). Salt and iterations are those beside it, which
/// PBMAC1 does not use.
///
/// # Errors
/// [`Failure::BadDecrypt`] where it is wrong.
pub(super) fn check_mac(
    algorithm: AlgorithmIdentifierRef<'_>,
    data: &[u8],
    mac: &[u8],
    passphrase: Option<&[u8]>,
    (salt, iterations): (&[u8], u32),
    work: &mut Work,
) -> Result<(), Failure> {
    macro_rules! check {
        ($hash:ty) => {{
            let length = <$hash as Digest>::output_size();
            let key = pkcs12_kdf::<$hash>(passphrase, salt, ID_MAC, iterations, length, work)?;
            check_hmac!($hash, &key, data, mac)
        }};
    }
    match algorithm.oid {
        SHA1 => check!(Sha1),
        SHA256 => check!(Sha256),
        SHA384 => check!(Sha384),
        SHA512 => check!(Sha512),
        PBMAC1 => check_pbmac1(algorithm, data, mac, passphrase.unwrap_or_default(), work),
        other => Err(Failure::Unsupported(format!("the MAC {other}"))),
    }
}

/// Checks a MAC by PBMAC1 (RFC 8018 section 7.1) as PKCS#12 has it (RFC 9579): the key is that of PBKDF2 over the passphrase in
/// UTF-8, and its length must be there.
fn check_pbmac1(
    algorithm: AlgorithmIdentifierRef<'_>,
    data: &[u8],
    mac: &[u8],
    passphrase: &[u8],
    work: &mut Work,
) -> Result<(), Failure> {
    let parameters = algorithm.parameters.and_then(|parameters| parameters.decode_as().ok());
    let Pbmac1Params { key_derivation, scheme } = parameters.ok_or(Failure::Malformed("the parameters of its MAC"))?;
    let Ok(Kdf::Pbkdf2(kdf)) = Kdf::try_from(key_derivation) else {
        return Err(Failure::Unsupported("the key derivation of its MAC, or its parameters are wrong".into()));
    };
    let length = kdf.key_length.map(usize::from).filter(|length| PBMAC1_KEYS.contains(length));
    let length = length.ok_or(Failure::Malformed("the length of the key of its MAC"))?;
    work.take_pbkdf2(&kdf, length)?;
    let mut key = Zeroizing::new(vec![0; length]);
    let (salt, iterations) = (kdf.salt.as_ref(), kdf.iteration_count);
    match kdf.prf {
        Pbkdf2Prf::HmacWithSha1 => pbkdf2_hmac::<Sha1>(passphrase, salt, iterations, &mut key),
        Pbkdf2Prf::HmacWithSha256 => pbkdf2_hmac::<Sha256>(passphrase, salt, iterations, &mut key),
        Pbkdf2Prf::HmacWithSha384 => pbkdf2_hmac::<Sha384>(passphrase, salt, iterations, &mut key),
        Pbkdf2Prf::HmacWithSha512 => pbkdf2_hmac::<Sha512>(passphrase, salt, iterations, &mut key),
        _ => return Err(Failure::Unsupported("the hash of the key derivation of its MAC".into())),
    }
    // The hashes of both have the same names.
    match Pbkdf2Prf::try_from(scheme) {
        Ok(Pbkdf2Prf::HmacWithSha1) => check_hmac!(Sha1, &key, data, mac),
        Ok(Pbkdf2Prf::HmacWithSha256) => check_hmac!(Sha256, &key, data, mac),
        Ok(Pbkdf2Prf::HmacWithSha384) => check_hmac!(Sha384, &key, data, mac),
        Ok(Pbkdf2Prf::HmacWithSha512) => check_hmac!(Sha512, &key, data, mac),
        _ => Err(Failure::Unsupported(format!("the MAC {}", scheme.oid))),
    }
}

/// PBES2 (RFC 8018 section 6.2) with PBKDF2 or scrypt.
fn pbes2(
    algorithm: AlgorithmIdentifierRef<'_>,
    encrypted: &[u8],
    passphrase: &[u8],
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let parameters = algorithm.parameters.ok_or(Failure::Malformed("the parameters of its encryption"))?;
    let parameters = parameters.to_der().ok().and_then(|der| Parameters::from_der(&der).ok()).ok_or_else(|| {
        Failure::Unsupported("the cipher or the key derivation of its PBES2, or their parameters are wrong".into())
    })?;
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => work.take_pbkdf2(kdf, parameters.encryption.key_size())?,
        Kdf::Scrypt(kdf) => {
            let (cost, lanes) = (kdf.cost_parameter, u64::from(kdf.parallelization));
            let block = u64::from(kdf.block_size);
            // RFC 7914 section 6: V has N and B has p blocks.
            let memory = cost.saturating_add(lanes).saturating_mul(block).saturating_mul(SCRYPT_BLOCK);
            if memory > MAX_SCRYPT_MEMORY {
                return Err(Failure::TooMuchWork(format!(
                    "its scrypt asks for {memory} bytes of memory, and {MAX_SCRYPT_MEMORY} are allowed"
                )));
            }
            work.take(cost.saturating_mul(block).saturating_mul(lanes))?;
        }
        _ => return Err(Failure::Unsupported("the key derivation of its PBES2".into())),
    }
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let length = parameters
        .decrypt_in_place(passphrase, &mut buffer)
        .map_err(|error| match error {
            pkcs5::Error::DecryptFailed => Failure::BadDecrypt,
            // What it says is in words: which algorithm, and that it or its parameters are not supported.
            other => Failure::Unsupported(format!("its PBES2 ({other})")),
        })?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// The key derivation of PKCS#12 (RFC 7292 appendix B.2). There are files with an empty salt, and OpenSSL takes them.
fn pkcs12_kdf<D: Digest + BlockSizeUser>(
    passphrase: Option<&[u8]>,
    salt: &[u8],
    id: u8,
    iterations: u32,
    length: usize,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if iterations == 0 || salt.len() > MAX_SALT {
        return Err(Failure::Malformed("the salt or the iterations of its key derivation"));
    }
    work.take(u64::from(iterations) * length.div_ceil(<D as Digest>::output_size()) as u64)?;
    let block = D::block_size();
    let passphrase = bmp_string(passphrase);
    // In steps 2 and 3, salt and passphrase are repeated until they fill whole blocks.
    let filled = |length: usize| length.div_ceil(block) * block;
    let mut input = Zeroizing::new(Vec::with_capacity(filled(salt.len()) + filled(passphrase.len())));
    input.extend(salt.iter().cycle().take(filled(salt.len())));
    input.extend(passphrase.iter().cycle().take(filled(passphrase.len())));

    let mut key = Zeroizing::new(Vec::with_capacity(length + <D as Digest>::output_size()));
    while key.len() < length {
        let mut hash =
            Zeroizing::new(D::new().chain_update(vec![id; block]).chain_update(&*input).finalize().as_slice().to_vec());
        for _ in 1..iterations {
            let next = D::digest(&*hash);
            hash.copy_from_slice(&next);
        }
        key.extend_from_slice(&hash);
        for part in input.chunks_exact_mut(block) {
            // Step 6C: part + hash repeated + 1, as big-endian numbers of a block's length.
            let mut carry = 1;
            let addend = (0..block).rev().map(|at| hash[at % hash.len()]);
            for (byte, addend) in part.iter_mut().rev().zip(addend) {
                carry += u16::from(*byte) + u16::from(addend);
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
        }
    }
    key.truncate(length);
    Ok(key)
}

/// A passphrase as PKCS#12 wants it: big-endian UTF-16 with two zero bytes at its end (RFC 7292 appendix B.1). One that is
/// not UTF-8 is taken for ISO 8859-1, as OpenSSL does.
fn bmp_string(passphrase: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    let Some(passphrase) = passphrase else { return Zeroizing::default() };
    // Nothing longer comes out: no UTF-8 sequence is shorter than half of what it becomes.
    let mut units = Zeroizing::new(Vec::with_capacity(2 * passphrase.len() + 2));
    match std::str::from_utf8(passphrase) {
        Ok(text) => units.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
        Err(_) => units.extend(passphrase.iter().flat_map(|byte| [0, *byte])),
    }
    units.extend([0, 0]);
    units
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one iteration.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + <Md5 as Digest>::output_size()));
    while key.len() < length {
        let last = key.len().saturating_sub(<Md5 as Digest>::output_size());
        let hash = Md5::new().chain_update(&key[last..]).chain_update(passphrase).chain_update(salt).finalize();
        key.extend_from_slice(&hash);
    }
    key.truncate(length);
    key
}

fn cbc_of_key<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    encrypted: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    cbc(C::new_from_slice(key).map_err(|_| Failure::Malformed("the key of its encryption"))?, iv, encrypted)
}

/// Cipher block chaining, and the padding taken off (RFC 8018 section 6.1.2 step 4).
fn cbc<C: BlockCipherDecrypt>(cipher: C, iv: &[u8], encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let decryptor =
        Decryptor::inner_iv_slice_init(cipher, iv).map_err(|_| Failure::Malformed("the IV of its encryption"))?;
    let mut buffer = Zeroizing::new(encrypted.to_vec());
    let length = decryptor.decrypt_padded::<Pkcs7>(&mut buffer).map_err(|_| Failure::BadDecrypt)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

/// A name out of a file, in an error's text.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn base16(digits: &str) -> Option<Vec<u8>> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok())
        .collect()
}

/// `pkcs-12PbeParams` (RFC 7292 appendix C).
#[derive(Sequence)]
struct Pkcs12PbeParams<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
}

/// `PBMAC1-params` (RFC 8018 appendix A.5).
#[derive(Sequence)]
struct Pbmac1Params<'a> {
    key_derivation: AlgorithmIdentifierRef<'a>,
    scheme: AlgorithmIdentifierRef<'a>,
}

/// The steps that one file may cause: some seconds. A fuzzer has no seconds for one file.
const MAX_STEPS: u64 = if cfg!(fuzzing) { 1 << 12 } else { 4 << 20 };
/// The memory that scrypt may take, in bytes: twice OpenSSL's default limit.
const MAX_SCRYPT_MEMORY: u64 = 64 << 20;
/// The bytes of one of scrypt's blocks, for each unit of its block size (RFC 7914 section 2).
const SCRYPT_BLOCK: u64 = 128;
/// The longest salt; real ones have 8 to 20 bytes.
const MAX_SALT: usize = 1024;
/// The bytes of a salt in `DEK-Info`, which are the first of the IV.
const SALT: usize = 8;
/// The block of DES and of RC2 in bytes.
const DES_BLOCK: usize = 8;
/// What a derived value is for (RFC 7292 appendix B.3).
const ID_KEY: u8 = 1;
const ID_IV: u8 = 2;
const ID_MAC: u8 = 3;
/// The lengths of PBMAC1's key: RFC 9579 section 4 wants it to be there, and nobody gains by one that is shorter than a hash of SHA-1
/// or longer than one of SHA-512.
const PBMAC1_KEYS: RangeInclusive<usize> = 20..=64;
/// `id-PBMAC1` (RFC 8018 appendix A.5).
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
/// `pbeWithSHAAnd3-KeyTripleDES-CBC` (RFC 7292 appendix C).
const PBE_SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
/// `pbeWithSHAAnd2-KeyTripleDES-CBC`.
const PBE_SHA1_2DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.4");
/// `pbeWithSHAAnd128BitRC4`.
const PBE_SHA1_RC4_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.1");
/// `pbeWithSHAAnd40BitRC4`.
const PBE_SHA1_RC4_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.2");
/// `pbeWithMD5AndDES-CBC` (RFC 8018 appendix A.3).
const PBE_MD5_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.3");
/// `pbeWithSHA1AndDES-CBC`.
const PBE_SHA1_DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.10");
/// `pbeWithSHAAnd128BitRC2-CBC`.
const PBE_SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
/// `pbewithSHAAnd40BitRC2-CBC`.
const PBE_SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
