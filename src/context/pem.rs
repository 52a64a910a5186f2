//! Files with certificates: PEM, which has labels and may hold several, or DER, which is one.

use rustls_pki_types::CertificateDer;

use super::trusted::{NoPurposes, Purposes};
use crate::certificate::pem::{self, CERTIFICATE_LABELS};
use crate::certificate::{X509, names};
use crate::error::{Error, ErrorCode};

/// A certificate of a file.
pub(super) struct Found {
    pub(super) certificate: CertificateDer<'static>,
    /// What it is trusted for, by its file.
    pub(super) purposes: Purposes,
    /// What it is called in a message.
    pub(super) name: String,
}

/// The certificates of a file in PEM, in its order, or the one of a file in DER. At least one; each is well-formed X.509.
pub(super) fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    all(file)?.into_iter().map(|found| found.map(|found| found.certificate)).collect::<Result<_, _>>()
}

/// The certificates of a file, and what is wrong with each that can't be read. At least one of either.
pub(super) fn all(file: &[u8]) -> Result<Vec<Result<Found, Error>>, Error> {
    if !pem::looks_like_pem(file) {
        return match X509::new(file) {
            Some(x509) => Ok(vec![Ok(Found {
                certificate: CertificateDer::from(file.to_vec()),
                purposes: Purposes::default(),
                name: format!("The certificate of the file{}", subject(&x509)),
            })]),
            None => {
                Err(invalid(format!("The file {} a readable X.509 certificate in DER.", pem::neither_pem_nor(file))))
            }
        };
    }
    let mut number = 0;
    let certificates: Vec<_> = pem::sections(file, CERTIFICATE_LABELS)
        .map(|section| {
            let section =
                section.map_err(|cause| invalid(format!("The file with the certificate is not readable PEM: {cause}.")))?;
            number += 1;
            let (der, auxiliary) = section.certificate();
            let place = format!("Certificate {number} of the file, in line {}", section.line);
            let Some(x509) = X509::new(der) else {
                return Err(invalid(format!("{place}, is not a readable X.509 certificate.")));
            };
            let name = format!("{place}{}", subject(&x509));
            let purposes = match auxiliary.map(Purposes::new).transpose() {
                Ok(purposes) => purposes.unwrap_or_default(),
                Err(NoPurposes) => {
                    return Err(invalid(format!(
                        "{name}, is followed by what is no readable list of what it is trusted for (OpenSSL's X509_CERT_AUX)."
                    )));
                }
            };
            Ok(Found { certificate: CertificateDer::from(der.to_vec()), purposes, name })
        })
        .collect();
    match certificates.is_empty() {
        false => Ok(certificates),
        true => Err(invalid(format!(
            "The file has no certificate: expected -----BEGIN CERTIFICATE-----, found {}.",
            pem::labels(file)
        ))),
    }
}

/// The subject of a certificate behind its place, where it has one that people can read.
fn subject(x509: &X509<'_>) -> String {
    let subject: String = names::one_line(x509.subject).chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    match subject.is_empty() {
        true => String::new(),
        false => format!(" (\"{subject}\")"),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::ErrTlsInvalidCertificate, message)
}

/// More characters of a name would not help the reader.
const SHOWN: usize = 80;
