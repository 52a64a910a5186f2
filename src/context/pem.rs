//! Files with certificates and keys: PEM, which has labels and may hold several, or DER, which is one.

use base64ct::{Base64, Encoding};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use zeroize::Zeroizing;

use crate::certificate::X509;
use crate::error::{Error, ErrorCode};

/// The certificates of a file in PEM, in its order, or the one of a file in DER. At least one; each is well-formed X.509.
pub(super) fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = match looks_like_pem(file) {
        true => CertificateDer::pem_slice_iter(file).collect::<Result<Vec<_>, _>>().map_err(|cause| invalid(&cause))?,
        false => vec![CertificateDer::from(file.to_vec())],
    };
    if certificates.is_empty() {
        return Err(Error::new(
            ErrorCode::ErrTlsInvalidCertificate,
            format!("The file has no certificate: expected -----BEGIN CERTIFICATE-----, found {}.", labels(file)),
        ));
    }
    for (certificate, number) in certificates.iter().zip(1..) {
        if X509::new(certificate).is_none() {
            return Err(Error::new(
                ErrorCode::ErrTlsInvalidCertificate,
                match looks_like_pem(file) {
                    true => format!("Certificate {number} of the file is not a readable X.509 certificate."),
                    false => "The file is neither PEM nor a readable X.509 certificate in DER.".into(),
                },
            ));
        }
    }
    Ok(certificates)
}

/// A section of a PEM file (RFC 7468), with the headers of older ones (RFC 1421 section 4.4).
pub(super) struct Section<'a> {
    /// What stands after `BEGIN`.
    pub(super) label: &'a str,
    /// What stands before the base64: name and value.
    headers: Vec<(&'a str, &'a str)>,
    /// What the base64 says.
    pub(super) data: Zeroizing<Vec<u8>>,
}

impl<'a> Section<'a> {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| *value)
    }
}

/// The sections of a file that have one of these labels, in its order; or what is wrong with the file.
///
/// rustls' parser, which reads the certificates, knows no headers.
pub(super) fn sections<'a>(file: &'a [u8], labels: &[&str]) -> Result<Vec<Section<'a>>, &'static str> {
    let mut sections = Vec::new();
    // With room for all of them, so that it never moves and leaves a copy behind.
    let mut base64 = Zeroizing::new(Vec::with_capacity(file.len()));
    let mut lines = file.split(|byte| *byte == b'\n').map(|line| str::from_utf8(line).unwrap_or_default().trim());
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ") else { continue };
        let label = label.strip_suffix("-----").ok_or(BAD_START)?;
        let mut headers = Vec::new();
        base64.clear();
        loop {
            let line = lines.next().ok_or(NO_END)?;
            if let Some(end) = line.strip_prefix("-----END ") {
                match end.strip_suffix("-----") == Some(label) {
                    true => break,
                    false => return Err("a section ends with the -----END line of another"),
                }
            } else if line.starts_with("-----BEGIN ") {
                return Err(NO_END);
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name, value.trim()));
            } else {
                base64.extend_from_slice(line.as_bytes());
            }
        }
        if labels.contains(&label) {
            let mut data = Zeroizing::new(vec![0; base64.len() / 4 * 3]);
            let length = Base64::decode(&*base64, &mut data).map_err(|_| NOT_BASE64)?.len();
            data.truncate(length);
            sections.push(Section { label, headers, data });
        }
    }
    Ok(sections)
}

/// Whether it has the start of a PEM section.
pub(super) fn looks_like_pem(file: &[u8]) -> bool {
    file.windows(PEM_START.len()).any(|window| window == PEM_START)
}

/// The labels of the sections of a file, for an error's text.
pub(super) fn labels(file: &[u8]) -> String {
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

fn invalid(cause: &pem::Error) -> Error {
    let cause = match cause {
        pem::Error::MissingSectionEnd { .. } => NO_END.to_owned(),
        pem::Error::IllegalSectionStart { .. } => BAD_START.to_owned(),
        pem::Error::Base64Decode(_) => NOT_BASE64.to_owned(),
        other => other.to_string(),
    };
    Error::new(
        ErrorCode::ErrTlsInvalidCertificate,
        format!("The file with the certificate is not readable PEM: {cause}."),
    )
}

const NO_END: &str = "a section has no -----END line";
const BAD_START: &str = "a -----BEGIN line is not well-formed";
const NOT_BASE64: &str = "the text between the lines is not base64";
const PEM_START: &[u8] = b"-----BEGIN ";
/// More labels than these would not help the reader.
const LABELS_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_has_its_own_data() {
        let file = b"-----BEGIN A-----\nAAEC\n-----END A-----\n-----BEGIN B-----\nAwQF\nBgcI\n-----END B-----\n-----BEGIN A-----\nCQ==\n-----END A-----\n";
        let found = |labels: &[&str]| {
            let sections = sections(file, labels).expect("well-formed");
            sections.iter().map(|section| (section.label, section.data.to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(found(&["A", "B"]), [("A", vec![0, 1, 2]), ("B", vec![3, 4, 5, 6, 7, 8]), ("A", vec![9])]);
        assert_eq!(found(&["A"]), [("A", vec![0, 1, 2]), ("A", vec![9])]);
    }
}
