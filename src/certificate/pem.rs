//! PEM (RFC 7468), with the headers of older files (RFC 1421 section 4.4): read section by section, and written.
//!
//! Whatever is wrong with a section, the next one is read: who needs them all stops at the first error, who can do without one
//! says which it was.

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::der::{self, Reader};

/// The labels of certificates: RFC 7468's, the one before that, and OpenSSL's for a certificate with what it is trusted for.
pub(crate) const CERTIFICATE_LABELS: &[&str] = &["CERTIFICATE", "X509 CERTIFICATE", TRUSTED];

/// A section of a PEM file.
pub(crate) struct Section<'a> {
    /// What stands after `BEGIN`.
    pub(crate) label: &'a str,
    /// The line of the file in which it begins, from 1.
    pub(crate) line: usize,
    /// What stands before the base64: name and value.
    headers: Vec<(&'a str, &'a str)>,
    /// What the base64 says.
    pub(crate) data: Zeroizing<Vec<u8>>,
}

/// What is wrong with a section. Its text is the end of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    line: usize,
    cause: &'static str,
}

/// The sections of a file that have one of some labels, in its order, and those that are broken.
pub(crate) struct Sections<'a> {
    lines: Lines<'a>,
    labels: &'a [&'a str],
    base64: Zeroizing<Vec<u8>>,
}

/// The sections of a file that have one of these labels.
pub(crate) fn sections<'a>(file: &'a [u8], labels: &'a [&'a str]) -> Sections<'a> {
    // With room for all of them, so that it never moves and leaves a copy of a key behind.
    Sections { lines: Lines { rest: file, read: 0 }, labels, base64: Zeroizing::new(Vec::with_capacity(file.len())) }
}

impl<'a> Section<'a> {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| *value)
    }

    /// The certificate of a section with one of [`CERTIFICATE_LABELS`], and OpenSSL's `X509_CERT_AUX` behind it where there is one.
    pub(crate) fn certificate(&self) -> (&[u8], Option<&[u8]>) {
        let mut parts = Reader::new(&self.data);
        match (self.label == TRUSTED).then(|| parts.read().filter(|certificate| certificate.tag == der::SEQUENCE)) {
            Some(Some(certificate)) => match &self.data[certificate.whole.len()..] {
                [] => (certificate.whole, None),
                auxiliary => (certificate.whole, Some(auxiliary)),
            },
            _ => (&self.data, None),
        }
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(label) = self.lines.next()?.strip_prefix(BEGIN) else { continue };
            let line = self.lines.read;
            let broken = |cause| Some(Err(Broken { line, cause }));
            let Some(label) = label.strip_suffix(DASHES) else { return broken(BAD_START) };
            let mut headers = Vec::new();
            self.base64.clear();
            loop {
                let before = self.lines;
                let Some(line) = self.lines.next() else { return broken(NO_END) };
                if let Some(end) = line.strip_prefix("-----END ") {
                    match end.strip_suffix(DASHES) == Some(label) {
                        true => break,
                        false => return broken(OTHER_END),
                    }
                } else if line.starts_with(BEGIN) {
                    self.lines = before;
                    return broken(NO_END);
                } else if let Some((name, value)) = line.split_once(':') {
                    headers.push((name, value.trim()));
                } else {
                    self.base64.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
                }
            }
            if self.labels.contains(&label) {
                let mut data = Zeroizing::new(vec![0; self.base64.len() / 4 * 3]);
                let Ok(length) = Base64::decode(&*self.base64, &mut data).map(|data| data.len()) else {
                    return broken(NOT_BASE64);
                };
                data.truncate(length);
                return Some(Ok(Section { label, line, headers, data }));
            }
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the section that begins in line {} {}", self.line, self.cause)
    }
}

/// Lines that end with a line feed, a carriage return, or both, without the white space and byte order marks around them.
#[derive(Clone, Copy)]
struct Lines<'a> {
    rest: &'a [u8],
    read: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(self.rest.len());
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(b"\r\n").or(rest.get(1..)).unwrap_or_default();
        self.read += 1;
        // Files that were put one behind the other have a mark before each that had one.
        Some(str::from_utf8(line).unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}'))
    }
}

/// Whether a file has the start of a PEM section.
pub(crate) fn looks_like_pem(file: &[u8]) -> bool {
    file.windows(BEGIN.len()).any(|window| window == BEGIN.as_bytes())
}

/// What to say of a file that does not look like PEM, before the name of what it isn't in DER either.
pub(crate) fn neither_pem_nor(file: &[u8]) -> &'static str {
    let utf16 = |unit: fn(u8) -> [u8; 2]| {
        let begin: Vec<u8> = DASHES.bytes().flat_map(unit).collect();
        file.windows(begin.len()).any(|window| window == begin)
    };
    match file.starts_with(&[0xff, 0xfe]) || file.starts_with(&[0xfe, 0xff]) || utf16(|c| [c, 0]) || utf16(|c| [0, c]) {
        true => "is text in UTF-16: save it as ASCII or UTF-8; as it is, it is neither PEM nor",
        false => "is neither PEM nor",
    }
}

/// The labels of the sections of a file, for an error's text.
pub(crate) fn labels(file: &[u8]) -> String {
    let lines = Lines { rest: file, read: 0 };
    let labels: Vec<_> = lines
        .filter_map(|line| line.strip_prefix(BEGIN)?.strip_suffix(DASHES))
        .take(LABELS_SHOWN)
        .map(|label| label.chars().filter(|c| !c.is_control()).take(LABEL_SHOWN).collect::<String>())
        .collect();
    match labels.is_empty() {
        true => "no PEM section".into(),
        false => labels.join(", "),
    }
}

/// A certificate in PEM (RFC 7468), in lines of 64 characters.
pub(crate) fn written(der: &[u8]) -> String {
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in der.chunks(48) {
        pem += &Base64::encode_string(line);
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

const TRUSTED: &str = "TRUSTED CERTIFICATE";
const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const NO_END: &str = "has no -----END line";
const OTHER_END: &str = "ends with the -----END line of another";
const BAD_START: &str = "has a -----BEGIN line that is not well-formed";
const NOT_BASE64: &str = "has text between its lines that is not base64";
/// More labels than these, or more of a label, would not help the reader.
const LABELS_SHOWN: usize = 4;
const LABEL_SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;

    type Found<'a> = Result<(&'a str, usize, Vec<u8>), String>;

    /// Label, line and data of each section, or what is wrong with it.
    fn found<'a>(file: &'a str, labels: &'a [&'a str]) -> Vec<Found<'a>> {
        sections(file.as_bytes(), labels)
            .map(|section| {
                section
                    .map(|Section { label, line, data, .. }| (label, line, data.to_vec()))
                    .map_err(|broken| broken.to_string())
            })
            .collect()
    }

    #[test]
    fn each_section_has_its_own_data_and_line() {
        let file = "-----BEGIN A-----\nAAEC\n-----END A-----\n-----BEGIN B-----\nAwQF\nBgcI\n-----END B-----\n-----BEGIN A-----\nCQ==\n-----END A-----\n";
        assert_eq!(
            found(file, &["A", "B"]),
            [Ok(("A", 1, vec![0, 1, 2])), Ok(("B", 4, vec![3, 4, 5, 6, 7, 8])), Ok(("A", 8, vec![9]))]
        );
        assert_eq!(found(file, &["A"]), [Ok(("A", 1, vec![0, 1, 2])), Ok(("A", 8, vec![9]))]);
    }

    #[test]
    fn line_ends_white_space_and_byte_order_marks_change_nothing() {
        let plain =
            "-----BEGIN A-----\nName: value\n\nAAEC\n-----END A-----\n-----BEGIN A-----\nCQ==\n-----END A-----\n";
        let expected = found(plain, &["A"]);
        assert_eq!(expected, [Ok(("A", 1, vec![0, 1, 2])), Ok(("A", 6, vec![9]))]);
        for (what, file) in [
            ("a byte order mark", format!("\u{feff}{plain}")),
            ("one before each part", plain.replace("-----BEGIN", "\u{feff}-----BEGIN")),
            ("CRLF", plain.replace('\n', "\r\n")),
            ("CR", plain.replace('\n', "\r")),
            ("white space around each line", plain.replace('\n', " \t\n ")),
            ("white space within the base64", plain.replace("AAEC", "AA EC")),
            ("no last line end", plain.trim_end().to_owned()),
        ] {
            assert_eq!(found(&file, &["A"]), expected, "{what}");
        }
    }

    #[test]
    fn what_is_broken_is_told_by_its_line_and_the_rest_is_read() {
        let good = "-----BEGIN A-----\nAAEC\n-----END A-----\n";
        #[rustfmt::skip]
        let rows: [(&str, &str); 5] = [
            ("-----BEGIN A-----\nAAEC\n", "the section that begins in line 4 has no -----END line"),
            ("-----BEGIN A\nAAEC\n", "the section that begins in line 4 has a -----BEGIN line that is not well-formed"),
            ("-----BEGIN A-----\n****\n-----END A-----\n", "the section that begins in line 4 has text between its lines that is not base64"),
            ("-----BEGIN A-----\nAAE\n-----END A-----\n", "the section that begins in line 4 has text between its lines that is not base64"),
            ("-----BEGIN A-----\nAAEC\n-----END B-----\n", "the section that begins in line 4 ends with the -----END line of another"),
        ];
        for (broken, expected) in rows {
            let file = [good, broken, good].concat();
            let found = found(&file, &["A"]);
            assert_eq!(found.len(), 3, "{broken}");
            assert_eq!(found[1], Err(expected.into()), "{broken}");
            assert!(found[0].is_ok() && found[2].is_ok(), "{broken}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn pem_of_any_bytes_gives_them_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let pem = written(&bytes);
            let read = CertificateDer::from_pem_slice(pem.as_bytes()).map(|der| der.to_vec());
            prop_assert_eq!(read.ok(), Some(bytes.clone()));
            prop_assert_eq!(found(&pem, CERTIFICATE_LABELS), [Ok(("CERTIFICATE", 1, bytes))]);
        }

        #[test]
        fn any_text_is_read_to_its_end(text in "(-----BEGIN |-----END |A|-----|\n|\r|:|AAEC| |\u{feff}|é){0,40}") {
            let sections = found(&text, &["A"]);
            prop_assert!(sections.len() <= text.matches(BEGIN).count());
            let _ = labels(text.as_bytes());
        }
    }
}
