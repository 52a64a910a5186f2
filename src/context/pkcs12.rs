//! PKCS#12 files: keys, their certificates, and certificates of authorities, under one passphrase (RFC 7292, row O3).
//!
//! Files are in DER, or in BER, as NSS writes them: each layer is made DER before it is read.
//!
//! The structures are few and fixed, so they are declared here over `der`, which the keys need anyway. The crates `pkcs12` and
//! `cms` declare them too, but have only pre-releases on this generation of `der`, and decrypt nothing.

use std::collections::VecDeque;

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Choice, Decode, DecodeValue, Encode, Sequence, TagNumber, Tagged};
use pkcs5::AlgorithmIdentifierRef;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::ber;
use super::keys::{self, PrivateKey};
use super::pbe::{self, Failure, Work};
use super::secret::SecretFile;
use crate::certificate::pem;
use crate::error::{Error, ErrorCode};

/// What a PKCS#12 file holds, in its order. At least one of each.
pub(super) struct Pfx {
    pub(super) keys: Vec<PrivateKey>,
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

/// Reads a PKCS#12 file. Its MAC is checked before anything else is looked at. A file may have none, as OpenSSL takes it; then
/// only what is encrypted shows a wrong passphrase.
///
/// Bags that are neither key nor certificate, for example revocation lists, are skipped, as OpenSSL does.
pub(super) fn read(file: &SecretFile) -> Result<Pfx, Error> {
    let SecretFile { file, passphrase } = file;
    if file.len() > MAX_FILE {
        return Err(invalid(format!("has {} bytes; at most {MAX_FILE} are read", file.len())));
    }
    let der = ber::to_der(file).map_err(|_| not_pfx(file))?;
    let pfx = PfxPdu::from_der(&der).map_err(|_| not_pfx(file))?;
    if pfx.version != VERSION {
        return Err(invalid(format!("is of version {}; only version {VERSION} is known", pfx.version)));
    }
    let mut work = Work::for_a_file();
    let content = data(&pfx.auth_safe).map_err(about)?;
    let passphrase = match pfx.mac_data {
        Some(mac) => check_mac(&mac, content, passphrase.as_deref(), &mut work).map_err(about)?,
        // Which of the two ways to write nothing it is, OpenSSL does not ask here either.
        None => passphrase.as_deref().filter(|passphrase| !passphrase.is_empty()),
    };

    let mut found = Found::default();
    let list = "its list of parts";
    let content = ber::to_der(content).map_err(|_| about(malformed(list)))?;
    let parts = Vec::<ContentInfo<'_>>::from_der(&content).map_err(|_| about(malformed(list)))?;
    for part in &parts {
        found.read_part(part, passphrase, &mut work).map_err(about)?;
    }
    match found {
        Found { keys, .. } if keys.is_empty() => Err(invalid("has no private key".into())),
        Found { certificates, .. } if certificates.is_empty() => Err(invalid("has no certificate".into())),
        Found { keys, certificates } => Ok(Pfx { keys, certificates }),
    }
}

/// Checks the MAC, and says what the passphrase is.
///
/// Without one, or with an empty one, there are two ways to write nothing, and files are made in both.
fn check_mac<'a>(
    mac: &MacData<'_>,
    content: &[u8],
    passphrase: Option<&'a [u8]>,
    work: &mut Work,
) -> Result<Option<&'a [u8]>, Failure> {
    let tries: &[Option<&'a [u8]>] = match passphrase {
        None | Some([]) => &[None, Some(&[])],
        Some(passphrase) => &[Some(passphrase)],
    };
    let parameters = (mac.salt.as_bytes(), mac.iterations);
    for passphrase in tries {
        match pbe::check_mac(mac.info.algorithm, content, mac.info.digest.as_bytes(), *passphrase, parameters, work) {
            Ok(()) => return Ok(*passphrase),
            Err(Failure::BadDecrypt) => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::BadDecrypt)
}

#[derive(Default)]
struct Found {
    keys: Vec<PrivateKey>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Found {
    /// Reads one part, which is encrypted as a whole, or not (RFC 7292 section 4.1).
    fn read_part(&mut self, part: &ContentInfo<'_>, passphrase: Option<&[u8]>, work: &mut Work) -> Result<(), Failure> {
        match part.content_type {
            DATA => self.read_bags(data(part)?, passphrase, work),
            ENCRYPTED_DATA => {
                let EncryptedData { info, .. } = content(part, "an encrypted part")?;
                let encrypted = info.content.filter(|content| {
                    let tag = content.tag();
                    tag.is_context_specific() && tag.number() == TagNumber(0)
                });
                let encrypted = encrypted.and_then(ber::joined).ok_or(malformed("an encrypted part"))?;
                let bags = pbe::decrypt(info.algorithm, &encrypted, passphrase, work)?;
                self.read_bags(&bags, passphrase, work)
            }
            other => Err(Failure::Unsupported(format!("a part of the type {other}"))),
        }
    }

    /// Reads the bags of a part (RFC 7292 section 4.2). Bags within bags wait in a queue: no depth of them grows the stack.
    fn read_bags(&mut self, bags: &[u8], passphrase: Option<&[u8]>, work: &mut Work) -> Result<(), Failure> {
        let bags = ber::to_der(bags).map_err(|_| malformed("a part"))?;
        let mut waiting: VecDeque<_> = Vec::<SafeBag<'_>>::from_der(&bags).map_err(|_| malformed("a part"))?.into();
        while let Some(SafeBag { id, value, .. }) = waiting.pop_front() {
            match id {
                KEY_BAG => {
                    let key = value.to_der().map_err(|_| malformed("a private key"))?;
                    self.keys.push(PrivateKeyDer::Pkcs8(key.into()).into());
                }
                SHROUDED_KEY_BAG => {
                    let encrypted = value.to_der().map_err(|_| malformed("an encrypted private key"))?;
                    self.keys.push(keys::decrypt_pkcs8(&encrypted, passphrase, work)?);
                }
                CERT_BAG => {
                    let bag: CertBag<'_> = value.decode_as().map_err(|_| malformed("a certificate"))?;
                    if bag.id == X509_CERTIFICATE {
                        self.certificates.push(bag.value.as_bytes().to_vec().into());
                    }
                }
                SAFE_CONTENTS_BAG => {
                    let bags: Vec<SafeBag<'_>> = value.decode_as().map_err(|_| malformed("a bag of bags"))?;
                    waiting.extend(bags);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The bytes of a part that is not encrypted.
fn data<'a>(part: &ContentInfo<'a>) -> Result<&'a [u8], Failure> {
    match part.content_type {
        DATA => Ok(content::<&OctetStringRef>(part, "a part that is not encrypted")?.as_bytes()),
        SIGNED_DATA => Err(Failure::Unsupported("a signature in place of a MAC".into())),
        other => Err(Failure::Unsupported(format!("content of the type {other}"))),
    }
}

fn content<'a, T>(part: &ContentInfo<'a>, what: &'static str) -> Result<T, Failure>
where
    T: Choice<'a> + DecodeValue<'a, Error = der::Error>,
{
    part.content.and_then(|content| content.decode_as().ok()).ok_or(malformed(what))
}

fn malformed(what: &'static str) -> Failure {
    Failure::Malformed(what)
}

fn about(failure: Failure) -> Error {
    match failure {
        Failure::BadDecrypt => Error::new(
            ErrorCode::ErrOsslPkcs12MacVerifyFailure,
            "The PKCS#12 file does not open: its passphrase is another one than was given, or the file was changed.",
        ),
        Failure::Unsupported(part) => invalid(format!(
            "has {part}, which is not supported; `openssl pkcs12 -export` with its defaults makes a file that is"
        )),
        Failure::TooMuchWork(why) => invalid(format!("is not decrypted: {why}")),
        Failure::Malformed(part) => invalid(format!("is not well-formed: {part} is not encoded as it should be")),
    }
}

/// What is no PKCS#12 file at all.
fn not_pfx(file: &[u8]) -> Error {
    invalid(match pem::looks_like_pem(file) {
        true => format!(
            "is PEM with {}: expected PKCS#12 in DER or BER, and PEM of keys and certificates as `key` and `cert`",
            pem::labels(file)
        ),
        false => "is not a PKCS#12 file in DER or BER".into(),
    })
}

fn invalid(what: String) -> Error {
    Error::new(ErrorCode::ErrTlsInvalidPfx, format!("The PKCS#12 file {what}."))
}

/// `PFX` (RFC 7292 section 4).
#[derive(Sequence)]
struct PfxPdu<'a> {
    version: u8,
    auth_safe: ContentInfo<'a>,
    #[asn1(optional = "true")]
    mac_data: Option<MacData<'a>>,
}

/// `ContentInfo` (RFC 5652 section 3).
#[derive(Sequence)]
struct ContentInfo<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    content: Option<AnyRef<'a>>,
}

/// `MacData` (RFC 7292 section 4).
#[derive(Sequence)]
struct MacData<'a> {
    info: DigestInfo<'a>,
    salt: &'a OctetStringRef,
    #[asn1(default = "one")]
    iterations: u32,
}

fn one() -> u32 {
    1
}

/// `DigestInfo` (RFC 8017 section 9.2).
#[derive(Sequence)]
struct DigestInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    digest: &'a OctetStringRef,
}

/// `EncryptedData` (RFC 5652 section 8).
#[derive(Sequence)]
struct EncryptedData<'a> {
    version: u8,
    info: EncryptedContentInfo<'a>,
    #[asn1(optional = "true")]
    unprotected: Option<AnyRef<'a>>,
}

/// `EncryptedContentInfo` (RFC 5652 section 6.1). The content is an OCTET STRING with the implicit tag `[0]`, perhaps in pieces.
#[derive(Sequence)]
struct EncryptedContentInfo<'a> {
    content_type: ObjectIdentifier,
    algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(optional = "true")]
    content: Option<AnyRef<'a>>,
}

/// `SafeBag` (RFC 7292 section 4.2). The attributes are names for people, and the number that ties a certificate to its key:
/// here the public key does.
#[derive(Sequence)]
struct SafeBag<'a> {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: AnyRef<'a>,
    #[asn1(optional = "true")]
    attributes: Option<AnyRef<'a>>,
}

/// `CertBag` (RFC 7292 section 4.2.3).
#[derive(Sequence)]
struct CertBag<'a> {
    id: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: &'a OctetStringRef,
}

/// The only version of the format that is in use.
const VERSION: u8 = 3;
/// The longest file that is read, in bytes: some hundred certificates.
const MAX_FILE: usize = 1 << 20;
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const SAFE_CONTENTS_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
/// `x509Certificate` (RFC 2985 section 6.4).
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORD: Option<&str> = Some("Grüße");

    type Row = (&'static str, &'static [u8], Option<&'static str>, Result<(usize, usize), (ErrorCode, &'static str)>);

    #[test]
    fn files_are_read_in_every_form_or_what_is_wrong_is_said() {
        use ErrorCode::*;
        #[rustfmt::skip]
        let rows: [Row; 38] = [
            ("OpenSSL 3's default, with a CA", fixture!("modern.p12"), WORD, Ok((1, 2))),
            ("3DES and RC2 with 40 bit, with a CA", fixture!("legacy-rc2-40.p12"), WORD, Ok((1, 2))),
            ("3DES for all", fixture!("legacy-3des.p12"), WORD, Ok((1, 1))),
            ("RC2 with 128 bit", fixture!("legacy-rc2-128.p12"), WORD, Ok((1, 1))),
            ("a MAC with SHA-512, AES-128 and AES-192", fixture!("sha512.p12"), WORD, Ok((1, 1))),
            ("nothing encrypted", fixture!("no-encryption.p12"), WORD, Ok((1, 1))),
            ("an empty passphrase", fixture!("empty-passphrase.p12"), Some(""), Ok((1, 1))),
            ("no passphrase for an empty one", fixture!("empty-passphrase.p12"), None, Ok((1, 1))),
            ("another passphrase", fixture!("modern.p12"), Some("x"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("no passphrase", fixture!("modern.p12"), None, Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("an empty passphrase for another", fixture!("modern.p12"), Some(""), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("another passphrase for an old file", fixture!("legacy-rc2-40.p12"), Some("x"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("another passphrase where nothing is encrypted", fixture!("no-encryption.p12"), Some("x"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("a passphrase in another encoding", fixture!("modern.p12"), Some("Gru\u{308}ße"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("no MAC", fixture!("no-mac.p12"), WORD, Ok((1, 1))),
            ("no MAC, and another passphrase", fixture!("no-mac.p12"), Some("x"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("no MAC, and no passphrase", fixture!("no-mac.p12"), None, Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("NSS's BER, with a CA", fixture!("nss.p12"), WORD, Ok((1, 2))),
            ("NSS's BER of an empty passphrase", fixture!("nss-empty.p12"), Some(""), Ok((1, 2))),
            ("NSS's BER of an empty passphrase without one", fixture!("nss-empty.p12"), None, Ok((1, 2))),
            ("NSS's BER with another passphrase", fixture!("nss.p12"), Some("x"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("3DES with two keys", fixture!("legacy-2des.p12"), WORD, Ok((1, 1))),
            ("GnuTLS", fixture!("gnutls.p12"), WORD, Ok((1, 2))),
            ("Java's keytool", fixture!("keytool.p12"), Some("changeit"), Ok((1, 2))),
            ("Python's cryptography", fixture!("python.p12"), WORD, Ok((1, 2))),
            ("empty salts", fixture!("empty-salt.p12"), WORD, Ok((1, 1))),
            ("empty salts, and another passphrase", fixture!("empty-salt.p12"), Some("x"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("PBMAC1 of RFC 9579 appendix A.1", fixture!("rfc9579-a1.p12"), Some("1234"), Ok((1, 1))),
            ("PBMAC1 with another passphrase", fixture!("rfc9579-a1.p12"), Some("1235"), Err((ErrOsslPkcs12MacVerifyFailure, "passphrase"))),
            ("PBMAC1 with HMAC-SHA512 and PBKDF2 with SHA-384", fixture!("pbmac1-sha512.p12"), WORD, Ok((1, 1))),
            ("PBMAC1 with HMAC-SHA1", fixture!("pbmac1-sha1.p12"), WORD, Ok((1, 1))),
            ("RC4", fixture!("rc4.p12"), WORD, Err((ErrTlsInvalidPfx, "has the encryption RC4, which is not supported"))),
            ("no key", fixture!("no-key.p12"), WORD, Err((ErrTlsInvalidPfx, "no private key"))),
            ("a key in PEM", fixture!("p256.pem"), None, Err((ErrTlsInvalidPfx, "is PEM with PRIVATE KEY"))),
            ("an encrypted key in DER", fixture!("rsa.encrypted.der"), WORD, Err((ErrTlsInvalidPfx, "not a PKCS#12 file"))),
            ("nothing", &[], None, Err((ErrTlsInvalidPfx, "not a PKCS#12 file"))),
            ("half a file", fixture!("modern.p12").split_at(400).0, WORD, Err((ErrTlsInvalidPfx, "not a PKCS#12 file"))),
            ("a file that is too long", &[0; MAX_FILE + 1], WORD, Err((ErrTlsInvalidPfx, "at most"))),
        ];
        for (what, file, passphrase, expected) in rows {
            match (read(&secret(file, passphrase)), expected) {
                (Ok(pfx), Ok(counts)) => assert_eq!((pfx.keys.len(), pfx.certificates.len()), counts, "{what}"),
                (Err(error), Err((code, text))) => {
                    assert_eq!(error.code, code, "{what}: {error}");
                    assert!(error.message.contains(text), "{what}: {error}");
                }
                (found, _) => panic!("{what}: {:?}", found.map(|pfx| pfx.certificates.len())),
            }
        }
    }

    #[test]
    fn a_file_can_not_ask_for_much_time() {
        // The iterations of the MAC, which are the last thing in the file.
        let file = fixture!("modern.p12");
        let (start, end) = file.split_at(file.len() - 4);
        assert_eq!(end, [2, 2, 0x08, 0x00]);
        // One byte more, for which the three lengths above have room, being those of lists that reach to the end.
        let mut more = [start, &[2, 3, 0x7f, 0xff, 0xff]].concat();
        let mac = more.windows(2).rposition(|window| window == [0x30, 0x41]).expect("the list of the MAC");
        more[mac + 1] += 1;
        let length = u16::from_be_bytes([more[2], more[3]]) + 1;
        more[2..4].copy_from_slice(&length.to_be_bytes());
        let error = read(&secret(&more, WORD)).err().expect("8388607 iterations are too many");
        assert!(error.message.contains("steps of key derivation"), "{error}");
    }

    #[test]
    fn pbmac1_is_as_rfc_9579_has_it() {
        let file = fixture!("rfc9579-a1.p12");
        let parameters = [2, 2, 8, 0, 2, 1, 32];
        let change = |to: &[u8]| {
            let mut file = file.to_vec();
            let at =
                file.windows(parameters.len()).rposition(|window| window == parameters).expect("iterations and length");
            file[at..at + to.len()].copy_from_slice(to);
            file
        };
        #[rustfmt::skip]
        let rows: [(&str, Vec<u8>, &str); 6] = [
            ("another number of iterations, as in appendix A.4", change(&[2, 2, 8, 1]), "passphrase is another one than was given, or the file was changed"),
            ("iterations that are no number", change(&[2, 2, 0, 0]), "or its parameters are wrong"),
            ("more iterations than are allowed", fixture!("pbmac1-many.p12").to_vec(), "steps of key derivation"),
            ("a short key", change(&[2, 2, 8, 0, 2, 1, 19]), "the length of the key of its MAC"),
            ("a long key", change(&[2, 2, 8, 0, 2, 1, 65]), "the length of the key of its MAC"),
            // The prf in its place: appendix A.6 leaves the length out.
            ("no length of the key, as in appendix A.6", change(&[2, 2, 8, 0, 5, 1, 0]), "not supported"),
        ];
        for (what, file, expected) in rows {
            let error = read(&secret(&file, Some("1234"))).err().expect(what);
            assert!(error.message.contains(expected), "{what}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_and_any_change_give_contents_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        ) {
            prop_assert!(read(&secret(&bytes, WORD)).is_err());
            // A change in the file mostly breaks its MAC. So what is behind that is read here on its own too.
            let change = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                for (place, byte) in &places {
                    let at = place.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes
            };
            let file = fixture!("no-encryption.p12");
            let _ = read(&secret(&change(file), WORD));
            let parts = data(&PfxPdu::from_der(file).expect("it is one").auth_safe).expect("it is data");
            for part in Vec::<ContentInfo<'_>>::from_der(parts).expect("it is a list") {
                let bags = data(&part).expect("it is not encrypted");
                let _ = Found::default().read_bags(&change(bags), WORD.map(str::as_bytes), &mut Work::for_a_file());
            }
            // In BER and without a MAC, so that changes reach what is behind all layers.
            let _ = read(&secret(&change(fixture!("ber-no-mac.p12")), WORD));
            let _ = Found::default().read_bags(&bytes, WORD.map(str::as_bytes), &mut Work::for_a_file());
        }
    }

    fn secret(file: &[u8], passphrase: Option<&str>) -> SecretFile {
        SecretFile { file: file.to_vec().into(), passphrase: passphrase.map(|word| word.as_bytes().to_vec().into()) }
    }
}
