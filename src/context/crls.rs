//! Certificate revocation lists (row O5, RFC 5280 section 5).

use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::error::{Error, ErrorCode};

/// The lists that peers' certificates are looked up in.
#[derive(Debug, Default)]
pub(crate) struct Crls(Vec<CertRevocationList<'static>>);

impl Crls {
    /// All lists of the files, each in PEM, with one or several, or in DER.
    pub(super) fn new(files: &[Vec<u8>]) -> Result<Self, Vec<Error>> {
        let mut lists = Vec::new();
        let mut errors = Vec::new();
        for (file, number) in files.iter().zip(1..) {
            match lists_of(file) {
                Ok(more) => lists.extend(more),
                Err(cause) => errors.push(Error::new(
                    ErrorCode::ErrCryptoOperationFailed,
                    format!("Failed to parse CRL: file {number} of {}: {cause}", files.len()),
                )),
            }
        }
        match errors.is_empty() {
            true => Ok(Self(lists)),
            false => Err(errors),
        }
    }

    /// The lists themselves; without any, no certificate is looked up.
    pub(crate) fn lists(&self) -> &[CertRevocationList<'static>] {
        &self.0
    }
}

fn lists_of(file: &[u8]) -> Result<Vec<CertRevocationList<'static>>, String> {
    let is_pem = file.windows(PEM_START.len()).any(|window| window == PEM_START);
    let ders = match is_pem {
        true => CertificateRevocationListDer::pem_slice_iter(file)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| format!("it is not readable PEM: {cause}."))?,
        false => vec![CertificateRevocationListDer::from(file)],
    };
    if ders.is_empty() {
        return Err("it has no -----BEGIN X509 CRL----- section.".into());
    }
    ders.iter()
        .zip(1..)
        .map(|(der, number)| {
            OwnedCertRevocationList::from_der(der).map(CertRevocationList::from).map_err(|cause| {
                let what = match is_pem {
                    true => format!("list {number} of it"),
                    false => "it is not PEM, and".into(),
                };
                match cause {
                    webpki::Error::UnsupportedCrlVersion => format!(
                        "{what} is of version 1, and only version 2 is read (RFC 5280 section 5.1.2.1); OpenSSL makes one where `crl_extensions` names a CRL number."
                    ),
                    cause => format!("{what} is not a readable list in DER: {cause}."),
                }
            })
        })
        .collect()
}

const PEM_START: &[u8] = b"-----BEGIN ";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_that_are_no_lists_are_told() {
        type Row = (&'static str, &'static [&'static [u8]], &'static [&'static str]);
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("no file", &[], &[]),
            ("no PEM and no DER", &[b"x"], &["file 1 of 1: it is not PEM, and is not a readable list"]),
            ("a certificate", &[include_bytes!("../engine/tests/fixtures/ca.pem")], &["file 1 of 1: it has no -----BEGIN X509 CRL-----"]),
            ("PEM without an end", &[b"-----BEGIN X509 CRL-----\nAAAA\n"], &["file 1 of 1: it is not readable PEM"]),
            ("PEM of something else", &[b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"], &["file 1 of 1: list 1 of it is not"]),
            ("two of them", &[b"x", b"y"], &["file 1 of 2", "file 2 of 2"]),
        ];
        for (what, files, expected) in rows {
            let files: Vec<Vec<u8>> = files.iter().map(|file| file.to_vec()).collect();
            let errors = Crls::new(&files).err().unwrap_or_default();
            assert_eq!(errors.len(), expected.len(), "{what}: {errors:?}");
            for (error, text) in errors.iter().zip(*expected) {
                assert_eq!(error.code, ErrorCode::ErrCryptoOperationFailed, "{what}");
                assert!(
                    error.message.starts_with("Failed to parse CRL: ") && error.message.contains(text),
                    "{what}: {error}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_file_is_a_list_or_an_error(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Crls::new(&[file]).is_err());
        }
    }
}
