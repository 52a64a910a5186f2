//! Files with private keys: PEM, which may hold several, or DER, which is one; plain or encrypted (row O1).

use der::asn1::OctetStringRef;
use der::{Decode, Sequence};
use pkcs5::AlgorithmIdentifierRef;
use rustls_pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

use super::pbe::{self, Failure, Work};
use super::secret::SecretFile;
use crate::certificate::pem::{self, Section};
use crate::error::{Error, ErrorCode};

/// A private key that is wiped when it is dropped.
pub(super) type PrivateKey = Zeroizing<PrivateKeyDer<'static>>;

/// The private keys of a file, in its order. At least one.
///
/// PEM sections that are no private key, for example the `EC PARAMETERS` that OpenSSL writes, are skipped.
pub(super) fn private_keys(file: &SecretFile) -> Result<Vec<PrivateKey>, Vec<Error>> {
    let SecretFile { file, passphrase } = file;
    let (passphrase, mut work) = (passphrase.as_deref(), Work::for_a_file());
    if file.len() > MAX_FILE {
        return Err(vec![invalid(format!(
            "The file with the private key has {} bytes; at most {MAX_FILE} are read.",
            file.len()
        ))]);
    }
    if !pem::looks_like_pem(file) {
        return from_der(file, passphrase, &mut work).map(|key| vec![key]).map_err(|why| vec![why.about("The file")]);
    }

    let sections = pem::sections(file, LABELS)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| vec![invalid(format!("The file with the private key is not readable PEM: {cause}."))])?;
    if sections.is_empty() {
        return Err(vec![invalid(format!(
            "The file has no private key: expected -----BEGIN PRIVATE KEY-----, ENCRYPTED PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, found {}.",
            pem::labels(file)
        ))]);
    }
    let (mut keys, mut errors) = (Vec::new(), Vec::new());
    for (section, number) in sections.iter().zip(1..) {
        match from_section(section, passphrase, &mut work) {
            Ok(key) => keys.push(key),
            Err(why) if sections.len() == 1 => errors.push(why.about("The private key")),
            Err(why) => errors.push(why.about(&format!("Private key {number} of the file"))),
        }
    }
    if errors.is_empty() { Ok(keys) } else { Err(errors) }
}

/// The private key in a decrypted bag of PKCS#12, or in a file of encrypted PKCS#8.
pub(super) fn decrypt_pkcs8(
    encrypted: &[u8],
    passphrase: Option<&[u8]>,
    work: &mut Work,
) -> Result<PrivateKey, Failure> {
    let EncryptedPrivateKeyInfo { algorithm, data } = EncryptedPrivateKeyInfo::from_der(encrypted)
        .map_err(|_| Failure::Malformed("its outer structure (RFC 5958 section 3)"))?;
    decrypted(&pbe::decrypt(algorithm, data.as_bytes(), passphrase, work)?)
}

fn from_section(section: &Section<'_>, passphrase: Option<&[u8]>, work: &mut Work) -> Result<PrivateKey, Why> {
    if let Some(dek_info) = section.header("DEK-Info") {
        let passphrase = passphrase.ok_or(Why::NoPassphrase)?;
        return Ok(decrypted(&pbe::decrypt_traditional(dek_info, &section.data, passphrase)?)?);
    }
    match section.label {
        ENCRYPTED => {
            let passphrase = passphrase.ok_or(Why::NoPassphrase)?;
            Ok(decrypt_pkcs8(&section.data, Some(passphrase), work)?)
        }
        // Which of the three formats it is, the key says better than the label.
        _ => plain(&section.data).ok_or(Why::NotAKey("has", "a PEM section that holds no private key")),
    }
}

fn from_der(der: &[u8], passphrase: Option<&[u8]>, work: &mut Work) -> Result<PrivateKey, Why> {
    match EncryptedPrivateKeyInfo::from_der(der) {
        Ok(_) => Ok(decrypt_pkcs8(der, Some(passphrase.ok_or(Why::NoPassphrase)?), work)?),
        Err(_) => plain(der).ok_or(Why::NotAKey(pem::neither_pem_nor(der), "a private key in DER")),
    }
}

/// A key that came out of decryption. What has not a key's shape was decrypted with a wrong passphrase, and only its padding
/// came out right, as it does once in 256 times.
fn decrypted(der: &Zeroizing<Vec<u8>>) -> Result<PrivateKey, Failure> {
    plain(der).ok_or(Failure::BadDecrypt)
}

fn plain(der: &[u8]) -> Option<PrivateKey> {
    PrivateKeyDer::try_from(der).ok().map(|key| Zeroizing::new(key.clone_key()))
}

/// Why there is no key.
enum Why {
    NoPassphrase,
    NotAKey(&'static str, &'static str),
    Failed(Failure),
}

impl From<Failure> for Why {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Why {
    fn about(self, what: &str) -> Error {
        match self {
            Self::NoPassphrase => Error::new(
                ErrorCode::ErrMissingPassphrase,
                format!("{what} is encrypted, and no passphrase was given with it."),
            ),
            Self::NotAKey(is, why) => invalid(format!("{what} {is} {why}: expected PKCS#8, PKCS#1 or SEC1.")),
            Self::Failed(Failure::BadDecrypt) => Error::new(
                ErrorCode::ErrOsslBadDecrypt,
                format!(
                    "{what} can't be decrypted: the passphrase is not the one that it was encrypted with, or the file is damaged."
                ),
            ),
            Self::Failed(Failure::Unsupported(part)) => invalid(format!(
                "{what} can't be decrypted: {part} is not supported. Expected PBES2 with AES-CBC or 3DES and PBKDF2 or scrypt; `openssl pkcs8 -topk8` makes such a file."
            )),
            Self::Failed(Failure::TooMuchWork(why)) => invalid(format!("{what} is not decrypted: {why}.")),
            Self::Failed(Failure::Malformed(part)) => {
                invalid(format!("{what} can't be decrypted: {part} is not encoded as it should be."))
            }
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::ErrTlsInvalidKey, message)
}

/// `EncryptedPrivateKeyInfo` (RFC 5958 section 3).
#[derive(Sequence)]
struct EncryptedPrivateKeyInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    data: &'a OctetStringRef,
}

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const LABELS: &[&str] = &["PRIVATE KEY", ENCRYPTED, "RSA PRIVATE KEY", "EC PRIVATE KEY"];
/// The longest file with keys that is read, in bytes: some hundred of the longest.
const MAX_FILE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORD: Option<&str> = Some("Grüße");

    type Row = (&'static str, &'static [u8], Option<&'static str>, Result<usize, (ErrorCode, &'static str)>);

    #[test]
    fn keys_are_read_in_every_form_or_what_is_wrong_is_said() {
        use ErrorCode::*;
        #[rustfmt::skip]
        let rows: [Row; 41] = [
            ("PKCS#8", fixture!("p256.pem"), None, Ok(1)),
            ("PKCS#8 of RSA", fixture!("rsa.pem"), None, Ok(1)),
            ("PKCS#8 of Ed25519", fixture!("ed25519.pem"), None, Ok(1)),
            ("PKCS#1", fixture!("rsa.pkcs1.pem"), None, Ok(1)),
            ("SEC1 after EC PARAMETERS", fixture!("p256.sec1.pem"), None, Ok(1)),
            ("GnuTLS's P-256 with a zero in front", fixture!("gnutls.p256.33.pem"), None, Ok(1)),
            ("GnuTLS's P-256 without its zero", fixture!("gnutls.p256.31.pem"), None, Ok(1)),
            ("GnuTLS's P-384 with a zero in front", fixture!("gnutls.p384.49.pem"), None, Ok(1)),
            ("GnuTLS's P-521 without its zero", fixture!("gnutls.p521.65.pem"), None, Ok(1)),
            ("GnuTLS's encrypted PKCS#8", fixture!("gnutls.p256.pkcs8.pem"), WORD, Ok(1)),
            ("a byte order mark", b"\xef\xbb\xbf-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None, Err((ErrTlsInvalidKey, "holds no private key"))),
            ("a passphrase that is not needed", fixture!("p256.pem"), WORD, Ok(1)),
            ("PBKDF2 with SHA-256, AES-256", fixture!("pbkdf2-aes256-sha256.pem"), WORD, Ok(1)),
            ("PBKDF2 with SHA-1, AES-128", fixture!("pbkdf2-aes128-sha1.pem"), WORD, Ok(1)),
            ("PBKDF2 with SHA-384, AES-192", fixture!("pbkdf2-aes192-sha384.pem"), WORD, Ok(1)),
            ("PBKDF2 with SHA-512, 3DES, in DER", fixture!("pbkdf2-3des-sha512.der"), WORD, Ok(1)),
            ("PBKDF2 with many iterations", fixture!("pbkdf2-70000.der"), WORD, Ok(1)),
            ("scrypt, AES-256, in DER", fixture!("scrypt-aes256.der"), WORD, Ok(1)),
            ("an RSA key in encrypted DER", fixture!("rsa.encrypted.der"), WORD, Ok(1)),
            ("PKCS#12's 3DES in PKCS#8", fixture!("pbes1-3des.pem"), WORD, Ok(1)),
            ("traditional AES-128", fixture!("traditional-aes128.pem"), WORD, Ok(1)),
            ("traditional AES-192", fixture!("traditional-aes192.pem"), WORD, Ok(1)),
            ("traditional AES-256", fixture!("traditional-aes256.pem"), WORD, Ok(1)),
            ("traditional 3DES", fixture!("traditional-des3.pem"), WORD, Ok(1)),
            ("PKCS#8 without its passphrase", fixture!("pbkdf2-aes256-sha256.pem"), None, Err((ErrMissingPassphrase, "The private key is encrypted"))),
            ("DER without its passphrase", fixture!("rsa.encrypted.der"), None, Err((ErrMissingPassphrase, "The file is encrypted"))),
            ("traditional without its passphrase", fixture!("traditional-aes128.pem"), None, Err((ErrMissingPassphrase, "encrypted"))),
            ("PKCS#8 with another passphrase", fixture!("pbkdf2-aes256-sha256.pem"), Some("x"), Err((ErrOsslBadDecrypt, "passphrase"))),
            ("an empty passphrase", fixture!("pbkdf2-aes256-sha256.pem"), Some(""), Err((ErrOsslBadDecrypt, "passphrase"))),
            ("scrypt with another passphrase", fixture!("scrypt-aes256.der"), Some("x"), Err((ErrOsslBadDecrypt, "passphrase"))),
            ("3DES with another passphrase", fixture!("pbkdf2-3des-sha512.der"), Some("x"), Err((ErrOsslBadDecrypt, "passphrase"))),
            ("PKCS#12's 3DES with another passphrase", fixture!("pbes1-3des.pem"), Some("x"), Err((ErrOsslBadDecrypt, "passphrase"))),
            ("traditional with another passphrase", fixture!("traditional-aes256.pem"), Some("x"), Err((ErrOsslBadDecrypt, "passphrase"))),
            ("a cipher that is not supported", fixture!("camellia.pem"), WORD, Err((ErrTlsInvalidKey, "not supported"))),
            ("a traditional cipher that is not supported", fixture!("traditional-camellia256.pem"), WORD, Err((ErrTlsInvalidKey, "CAMELLIA-256-CBC"))),
            ("a certificate", fixture!("p256.cert.pem"), None, Err((ErrTlsInvalidKey, "found CERTIFICATE"))),
            ("a section that does not end", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", None, Err((ErrTlsInvalidKey, "no -----END line"))),
            ("a section with another's end", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END CERTIFICATE-----\n", None, Err((ErrTlsInvalidKey, "-----END line of another"))),
            ("what is not base64", b"-----BEGIN PRIVATE KEY-----\n****\n-----END PRIVATE KEY-----\n", None, Err((ErrTlsInvalidKey, "not base64"))),
            ("what is no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None, Err((ErrTlsInvalidKey, "holds no private key"))),
            ("a DEK-Info that is none", b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0g\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", WORD, Err((ErrTlsInvalidKey, "the IV of its DEK-Info header"))),
        ];
        for (what, file, passphrase, expected) in rows {
            check(what, file, passphrase, expected);
        }
    }

    #[test]
    fn a_file_may_hold_several_keys_and_each_that_is_wrong_is_told() {
        let several = [
            &fixture!("p256.sec1.pem")[..],
            fixture!("p256.cert.pem"),
            fixture!("traditional-aes256.pem"),
            fixture!("pbkdf2-aes256-sha256.pem"),
        ]
        .concat();
        check("with the passphrase", &several, WORD, Ok(3));
        let errors = private_keys(&secret(&several, None)).expect_err("two are encrypted");
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert!(messages[0].starts_with("Private key 2 of the file is encrypted"), "{messages:?}");
        assert!(messages[1].starts_with("Private key 3 of the file is encrypted"), "{messages:?}");
    }

    #[test]
    fn the_decrypted_key_is_the_one_that_was_encrypted() {
        let read = |file: &[u8], word| private_keys(&secret(file, word)).expect("it is readable");
        let plain = read(fixture!("p256.pem"), None);
        for encrypted in [
            &fixture!("pbkdf2-aes256-sha256.pem")[..],
            fixture!("pbkdf2-3des-sha512.der"),
            fixture!("scrypt-aes256.der"),
            fixture!("pbes1-3des.pem"),
        ] {
            assert_eq!(read(encrypted, WORD), plain);
        }
        let traditional = read(fixture!("traditional-des3.pem"), WORD);
        assert_eq!(traditional, read(fixture!("p256.sec1.pem"), None));
        assert_eq!(read(fixture!("rsa.encrypted.der"), WORD), read(fixture!("rsa.pem"), None));
    }

    #[test]
    fn a_file_can_ask_neither_for_much_time_nor_for_much_memory() {
        let invalid = |text| Err((ErrorCode::ErrTlsInvalidKey, text));
        // 70000 iterations become 8388607, and the 8 blocks of scrypt become 127.
        let iterations = replaced(fixture!("pbkdf2-70000.der"), &[2, 3, 0x01, 0x11, 0x70], &[2, 3, 0x7f, 0xff, 0xff]);
        check("iterations", &iterations, WORD, invalid("steps of key derivation"));
        let memory = replaced(fixture!("scrypt-aes256.der"), &[2, 2, 0x40, 0, 2, 1, 8], &[2, 2, 0x40, 0, 2, 1, 127]);
        check("memory", &memory, WORD, invalid("bytes of memory"));
        // The lanes take memory too, also where each of them has little to do: N = 4, r = 127, p = 32767.
        let lanes = replaced(
            fixture!("scrypt-aes256.der"),
            &[2, 2, 0x40, 0, 2, 1, 8, 2, 1, 1],
            &[2, 1, 4, 2, 1, 127, 2, 2, 0x7f, 0xff],
        );
        check("memory of lanes", &lanes, WORD, invalid("bytes of memory"));
        let lanes = replaced(fixture!("scrypt-aes256.der"), &[2, 1, 8, 2, 1, 1], &[2, 1, 8, 2, 1, 127]);
        check("parallelization", &lanes, WORD, invalid("steps of key derivation"));
        // One key may cost that, but not a hundred of them in a file.
        let many = fixture!("pbkdf2-aes256-sha256.pem").repeat(MAX_FILE / 400);
        let errors = private_keys(&secret(&many, Some("x"))).expect_err("the passphrase is wrong");
        assert!(errors.iter().any(|error| error.message.contains("steps of key derivation")));
        check("a long file", &vec![b' '; MAX_FILE + 1], None, invalid("at most"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_and_any_change_give_keys_or_errors(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        ) {
            for file in [&bytes[..], fixture!("pbkdf2-3des-sha512.der"), fixture!("traditional-aes256.pem"), fixture!("p256.sec1.pem")] {
                let mut file = file.to_vec();
                for (place, byte) in &places {
                    if !file.is_empty() {
                        let at = place.index(file.len());
                        file[at] = *byte;
                    }
                }
                match private_keys(&secret(&file, WORD)) {
                    Ok(keys) => prop_assert!(!keys.is_empty()),
                    Err(errors) => prop_assert!(!errors.is_empty()),
                }
            }
        }
    }

    fn check(what: &str, file: &[u8], passphrase: Option<&str>, expected: Result<usize, (ErrorCode, &str)>) {
        match (private_keys(&secret(file, passphrase)), expected) {
            (Ok(keys), Ok(count)) => assert_eq!(keys.len(), count, "{what}"),
            (Err(errors), Err((code, text))) => {
                assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), [code], "{what}: {errors:?}");
                assert!(errors[0].message.contains(text), "{what}: {}", errors[0]);
            }
            (found, _) => panic!("{what}: {:?}", found.map(|keys| keys.len())),
        }
    }

    fn secret(file: &[u8], passphrase: Option<&str>) -> SecretFile {
        SecretFile { file: file.to_vec().into(), passphrase: passphrase.map(|word| word.as_bytes().to_vec().into()) }
    }

    fn replaced(file: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
        let at = file.windows(old.len()).position(|window| window == old).expect("the file has it");
        [&file[..at], new, &file[at + old.len()..]].concat()
    }
}
