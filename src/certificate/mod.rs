//! A certificate as people and programs read it (row K7), and whether it is for a host (row M7).
//!
//! Every field says what Node's `getPeerCertificate(true)` says of the same certificate. Bytes that are no certificate, or only in
//! part, give what can be read.

pub(crate) mod der;
pub(crate) mod extensions;
pub(crate) mod general_names;
mod host_name;
mod keys;
pub(crate) mod names;
pub(crate) mod pem;
mod text;
mod time;
pub(crate) mod webpki;
mod x509;

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::error::{Error, ErrorCode};
pub use general_names::InfoAccess;
pub use host_name::check_server_identity;
pub(crate) use host_name::mismatch;
pub use names::NameAttribute;
pub(crate) use time::Time;
pub(crate) use x509::{Extension, X509, extensions_of};

/// What a certificate says of itself. The parts that can't be read are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is for, in the order of the certificate. An attribute may be there several times.
    pub subject: Vec<NameAttribute>,
    /// Who issued it, likewise.
    pub issuer: Vec<NameAttribute>,
    /// The names that it is for, for example `DNS:a.test, IP Address:127.0.0.1`. A name that could be taken for several is a
    /// JSON string.
    pub subjectaltname: Option<String>,
    /// Where to find more about it, for example its status by OCSP.
    pub info_access: Option<Vec<InfoAccess>>,
    /// Whether it may issue certificates.
    pub ca: bool,
    /// The modulus of an RSA key in upper-case hexadecimal.
    pub modulus: Option<String>,
    /// The size of the key: that of the modulus, or of the order of the curve.
    pub bits: Option<u32>,
    /// The public exponent of an RSA key in hexadecimal, for example `0x10001`.
    pub exponent: Option<String>,
    /// The public key: of RSA a `SubjectPublicKeyInfo`, of a curve the point.
    pub pubkey: Option<Vec<u8>>,
    /// OpenSSL's name of the curve, for example `prime256v1`.
    pub asn1_curve: Option<String>,
    /// NIST's name of the curve, for example `P-256`.
    pub nist_curve: Option<String>,
    /// Start of validity as OpenSSL prints it.
    pub valid_from: String,
    /// End of validity, likewise.
    pub valid_to: String,
    /// SHA-1 of the DER, upper-case hexadecimal with colons.
    pub fingerprint: String,
    /// SHA-256 of the DER, likewise.
    pub fingerprint256: String,
    /// SHA-512 of the DER, likewise.
    pub fingerprint512: String,
    /// What the key may be used for, as object identifiers in dotted form.
    pub ext_key_usage: Option<Vec<String>>,
    /// The serial number in upper-case hexadecimal, with `-` where it is negative.
    pub serial_number: String,
    /// The certificate in DER.
    pub raw: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate in DER. Of bytes that are none it has the fingerprints and `raw`.
    pub fn new(der: &[u8]) -> Self {
        let unread = Self {
            fingerprint: text::hex(&Sha1::digest(der), ":"),
            fingerprint256: text::hex(&Sha256::digest(der), ":"),
            fingerprint512: text::hex(&Sha512::digest(der), ":"),
            raw: der.to_vec(),
            ..Self::default()
        };
        let Some(x509) = X509::new(der) else {
            return unread;
        };
        let time = |time| Time::new(time).map_or_else(|| BAD_TIME.into(), |time| time.to_string());
        let key = keys::KeyInfo::new(x509.spki);
        Self {
            subject: names::attributes(x509.subject),
            issuer: names::attributes(x509.issuer),
            subjectaltname: x509.extension(extensions::SUBJECT_ALT_NAME).map(general_names::subject_alt_name),
            info_access: x509.extension(extensions::AUTHORITY_INFO_ACCESS).and_then(general_names::info_access),
            ca: extensions::Usage::new(&x509).is_some_and(|usage| usage.is_ca()),
            modulus: key.modulus,
            bits: key.bits,
            exponent: key.exponent,
            pubkey: key.pubkey,
            asn1_curve: key.asn1_curve,
            nist_curve: key.nist_curve,
            valid_from: time(&x509.not_before),
            valid_to: time(&x509.not_after),
            ext_key_usage: x509.extension(extensions::EXTENDED_KEY_USAGE).and_then(extensions::extended_key_usage),
            serial_number: text::integer(x509.serial),
            ..unread
        }
    }

    /// Reads the first certificate of a file in PEM, or the one of a file in DER.
    ///
    /// Error: [`ErrorCode::ErrTlsInvalidCertificate`].
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let invalid = |message| Error::new(ErrorCode::ErrTlsInvalidCertificate, message);
        if !pem::looks_like_pem(file) {
            return X509::new(file).map(|_| Self::new(file)).ok_or_else(|| {
                invalid(format!(
                    "The file {} a readable X.509 certificate in DER (RFC 5280 section 4.1).",
                    pem::neither_pem_nor(file)
                ))
            });
        }
        let section = match pem::sections(file, pem::CERTIFICATE_LABELS).next() {
            Some(Ok(section)) => section,
            Some(Err(cause)) => return Err(invalid(format!("The file is not readable PEM: {cause}."))),
            None => {
                return Err(invalid(format!(
                    "The file has no certificate: expected -----BEGIN CERTIFICATE-----, found {}.",
                    pem::labels(file)
                )));
            }
        };
        let (der, _) = section.certificate();
        X509::new(der).map(|_| Self::new(der)).ok_or_else(|| {
            invalid(format!(
                "The PEM section in line {} is not a readable X.509 certificate in DER (RFC 5280 section 4.1).",
                section.line
            ))
        })
    }
}

/// What OpenSSL prints of a time that is none.
const BAD_TIME: &str = "Bad time value";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    const PEM: &[u8] = include_bytes!("../engine/tests/fixtures/server.pem");

    fn der() -> Vec<u8> {
        CertificateDer::from_pem_slice(PEM).expect("the fixture is PEM").to_vec()
    }

    #[test]
    fn a_certificate_reads_as_openssl_prints_it() {
        let attribute = |value: &str| vec![NameAttribute { name: "CN".into(), value: value.into() }];
        let found = Certificate::parse(PEM).expect("the fixture is a certificate");
        let expected = Certificate {
            subject: attribute("server"),
            issuer: attribute("Test CA"),
            subjectaltname: Some("DNS:server.test, IP Address:127.0.0.1".into()),
            ca: false,
            bits: Some(256),
            asn1_curve: Some("prime256v1".into()),
            nist_curve: Some("P-256".into()),
            valid_from: "Nov 23 09:11:33 2026 GMT".into(),
            valid_to: "Oct 30 09:11:33 2126 GMT".into(),
            serial_number: "463A14D5B285701978E9A59591A04C1C26399142".into(),
            fingerprint256:
                "8F:D3:84:10:DD:83:CB:B2:02:D8:34:FC:15:80:F1:25:FB:03:06:7C:E6:E7:96:53:61:41:A3:F0:6F:70:30:F9".into(),
            ext_key_usage: Some(vec!["1.3.6.1.5.5.7.3.1".into(), "1.3.6.1.5.5.7.3.2".into()]),
            raw: der(),
            // The rest is compared with what Node says, by host-tests.
            pubkey: found.pubkey.clone(),
            fingerprint: found.fingerprint.clone(),
            fingerprint512: found.fingerprint512.clone(),
            ..Certificate::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_certificate_is_told() {
        #[rustfmt::skip]
        let rows: &[(&str, &[u8], &str)] = &[
            ("no bytes", b"", "neither PEM nor a readable X.509 certificate"),
            ("UTF-16", b"\xff\xfe-\0-\0", "is text in UTF-16"),
            ("another section", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "expected -----BEGIN CERTIFICATE-----, found PRIVATE KEY"),
            ("no end", b"-----BEGIN CERTIFICATE-----\nAAAA\n", "the section that begins in line 1 has no -----END line"),
            ("something else in the section", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "The PEM section in line 1 is not"),
        ];
        for (what, file, expected) in rows {
            let error = Certificate::parse(file).expect_err(what);
            assert_eq!(error.code, ErrorCode::ErrTlsInvalidCertificate, "{what}");
            assert!(error.message.contains(expected), "{what}: {}", error.message);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_make_a_certificate(place in 0usize..600, byte: u8, cut in 0usize..600) {
            let mut bytes = der();
            if let Some(at) = bytes.get_mut(place) {
                *at = byte;
            }
            bytes.truncate(cut.max(place));
            prop_assert_eq!(&Certificate::new(&bytes).raw, &bytes);
            let _ = check_server_identity("server.test", &bytes);
        }
    }
}
