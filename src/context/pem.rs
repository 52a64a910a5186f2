//! Files with certificates and keys: PEM, which has labels and may hold several, or DER, which is one.

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorCode};

/// The certificates of a file in PEM, in its order, or the one of a file in DER. At least one; each is well-formed X.509.
pub(super) fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = match looks_like_pem(file) {
        true => CertificateDer::pem_slice_iter(file)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| invalid(CERTIFICATE, &cause))?,
        false => vec![CertificateDer::from(file.to_vec())],
    };
    if certificates.is_empty() {
        return Err(Error::new(
            ErrorCode::ErrTlsInvalidCertificate,
            format!("The file has no certificate: expected -----BEGIN CERTIFICATE-----, found {}.", labels(file)),
        ));
    }
    for (certificate, number) in certificates.iter().zip(1..) {
        webpki::EndEntityCert::try_from(certificate).map_err(|cause| {
            Error::new(
                ErrorCode::ErrTlsInvalidCertificate,
                match looks_like_pem(file) {
                    true => format!("Certificate {number} of the file is not a readable X.509 certificate: {cause}."),
                    false => format!("The file is neither PEM nor a readable X.509 certificate in DER: {cause}."),
                },
            )
        })?;
    }
    Ok(certificates)
}

/// The private keys of a file in PEM, in its order, or the one of a file in DER. At least one.
pub(super) fn private_keys(file: &[u8]) -> Result<Vec<PrivateKeyDer<'static>>, Error> {
    let keys = match looks_like_pem(file) {
        true => {
            PrivateKeyDer::pem_slice_iter(file).collect::<Result<Vec<_>, _>>().map_err(|cause| invalid(KEY, &cause))?
        }
        false => vec![PrivateKeyDer::try_from(file.to_vec()).map_err(|_| {
            Error::new(
                ErrorCode::ErrTlsInvalidKey,
                "The file is neither PEM nor a private key in DER: expected PKCS#8, PKCS#1 or SEC1.",
            )
        })?],
    };
    match keys.is_empty() {
        true => Err(Error::new(
            ErrorCode::ErrTlsInvalidKey,
            format!(
                "The file has no private key that is readable: expected -----BEGIN PRIVATE KEY-----, RSA PRIVATE KEY or EC PRIVATE KEY, not encrypted, found {}.",
                labels(file)
            ),
        )),
        false => Ok(keys),
    }
}

fn looks_like_pem(file: &[u8]) -> bool {
    file.windows(PEM_START.len()).any(|window| window == PEM_START)
}

/// The labels of the sections of a file, for an error's text.
fn labels(file: &[u8]) -> String {
    let text = String::from_utf8_lossy(file);
    let labels: Vec<_> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .take(LABELS_SHOWN)
        .collect();
    match labels.is_empty() {
        true => "no PEM section".into(),
        false => labels.join(", "),
    }
}

fn invalid(what: (&str, ErrorCode), cause: &pem::Error) -> Error {
    let cause = match cause {
        pem::Error::MissingSectionEnd { .. } => "a section has no -----END line".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line is not well-formed".to_owned(),
        pem::Error::Base64Decode(_) => "the text between the lines is not base64".to_owned(),
        other => other.to_string(),
    };
    Error::new(what.1, format!("The file with the {} is not readable PEM: {cause}.", what.0))
}

const CERTIFICATE: (&str, ErrorCode) = ("certificate", ErrorCode::ErrTlsInvalidCertificate);
const KEY: (&str, ErrorCode) = ("private key", ErrorCode::ErrTlsInvalidKey);
const PEM_START: &[u8] = b"-----BEGIN ";
/// More labels than these would not help the reader.
const LABELS_SHOWN: usize = 4;
