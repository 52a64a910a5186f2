//! The files with certificate revocation lists (row O5). What is in a list, and which of them counts for a
//! certificate, `verify` knows.

use crate::certificate::pem;
use crate::error::{Error, ErrorCode};
use crate::verify::RevocationList;

/// The lists that peers' certificates are looked up in.
#[derive(Debug, Default)]
pub(crate) struct Crls(Vec<RevocationList>);

impl Crls {
    /// Reads all lists of the files, each in PEM, with one or several, or in DER.
    ///
    /// # Errors
    ///
    /// One for each file that has no list, or one that can't be read: which it is, and what is wrong with it.
    pub(super) fn new(files: &[Vec<u8>]) -> Result<Self, Vec<Error>> {
        let mut lists = Vec::new();
        let mut errors = Vec::new();
        for (file, number) in files.iter().zip(1..) {
            match lists_of(file) {
                Ok(more) => lists.extend(more),
                Err(cause) => errors.push(Error::new(
                    ErrorCode::ErrCryptoOperationFailed,
                    format!("Failed to parse CRL: file {number} of {}: {cause}.", files.len()),
                )),
            }
        }
        match errors.is_empty() {
            true => Ok(Self(lists)),
            false => Err(errors),
        }
    }

    /// The lists themselves; without any, no certificate is looked up.
    pub(crate) fn lists(&self) -> &[RevocationList] {
        &self.0
    }
}

fn lists_of(file: &[u8]) -> Result<Vec<RevocationList>, String> {
    if !pem::looks_like_pem(file) {
        return match RevocationList::new(file) {
            Ok(list) => Ok(vec![list]),
            Err(cause) => Err(format!("it is not PEM, and {cause}")),
        };
    }
    let sections = pem::sections(file, &[LABEL])
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| format!("it is not readable PEM: {cause}"))?;
    if sections.is_empty() {
        return Err(format!("it has no -----BEGIN {LABEL}----- section, but {}", pem::labels(file)));
    }
    let all = sections.len();
    let read = sections.iter().zip(1..).map(|(section, number)| {
        RevocationList::new(&section.data).map_err(|cause| format!("list {number} of {all} in it {cause}"))
    });
    read.collect()
}

/// RFC 7468 section 7.
const LABEL: &str = "X509 CRL";

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
            ("no PEM and no DER", &[b"x"], &["file 1 of 1: it is not PEM, and is not a certificate revocation list"]),
            ("a certificate", &[include_bytes!("../engine/tests/fixtures/ca.pem")], &["file 1 of 1: it has no -----BEGIN X509 CRL----- section, but CERTIFICATE."]),
            ("PEM without an end", &[b"-----BEGIN X509 CRL-----\nAAAA\n"], &["file 1 of 1: it is not readable PEM"]),
            ("PEM of something else", &[b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"], &["file 1 of 1: list 1 of 1 in it is not a certificate revocation list"]),
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
