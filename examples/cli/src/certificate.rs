//! Certificates as people and programs read them.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use pem::{EncodeConfig, LineEnding, Pem};
use serde::Serialize;

use crate::bindings::guest::tls::certificate::{Certificate, NameAttribute};

/// A certificate in JSON, and by [`fmt::Display`] for people.
#[derive(Serialize)]
pub(crate) struct Shown {
    /// Whom it is for: attributes in the order of the certificate.
    subject: Vec<Attribute>,
    /// Who issued it, likewise.
    issuer: Vec<Attribute>,
    /// The subject alternative names as Node and OpenSSL print them, `DNS:a.test, IP Address:127.0.0.1`.
    subject_alternative_names: Option<String>,
    /// From when on it is valid (RFC 3339).
    valid_from: String,
    /// Until when (RFC 3339).
    valid_to: String,
    /// Whether it is valid at this time.
    valid_now: bool,
    /// Whether it may issue certificates.
    ca: bool,
    /// Its public key; none for a kind that has neither a modulus nor a curve, such as Ed25519.
    key: Option<Key>,
    /// What it may be used for (extended key usage), as object identifiers.
    extended_key_usage: Option<Vec<String>>,
    /// Where to find its status and its issuer.
    authority_information: Vec<Access>,
    /// In upper-case hexadecimal.
    serial_number: String,
    /// SHA-1 of the certificate in DER, in upper-case hexadecimal with colons.
    fingerprint_sha1: String,
    /// SHA-256, likewise.
    fingerprint_sha256: String,
    /// The certificate in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
}

#[derive(Serialize)]
struct Attribute {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Access {
    method: String,
    locations: Vec<String>,
}

#[derive(Serialize)]
struct Key {
    kind: &'static str,
    /// Of the modulus, or of the order of the curve.
    bits: Option<u32>,
    /// NIST's name of it, or OpenSSL's.
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<String>,
}

impl Shown {
    /// A certificate, with itself in PEM or without.
    pub(crate) fn new(certificate: &Certificate, with_pem: bool) -> Shown {
        let attributes = |attributes: &[NameAttribute]| {
            let of =
                |attribute: &NameAttribute| Attribute { name: attribute.name.clone(), value: attribute.value.clone() };
            attributes.iter().map(of).collect()
        };
        let (from, to) = (time(&certificate.valid_from), time(&certificate.valid_to));
        let now = SystemTime::now();
        Shown {
            subject: attributes(&certificate.subject),
            issuer: attributes(&certificate.issuer),
            subject_alternative_names: certificate.subjectaltname.clone(),
            valid_now: from.is_some_and(|from| from <= now) && to.is_some_and(|to| now <= to),
            valid_from: rfc3339(from, &certificate.valid_from),
            valid_to: rfc3339(to, &certificate.valid_to),
            ca: certificate.ca,
            key: Key::of(certificate),
            extended_key_usage: certificate.ext_key_usage.clone(),
            authority_information: certificate
                .info_access
                .iter()
                .flatten()
                .map(|access| Access { method: access.method.clone(), locations: access.values.clone() })
                .collect(),
            serial_number: certificate.serial_number.clone(),
            fingerprint_sha1: certificate.fingerprint.clone(),
            fingerprint_sha256: certificate.fingerprint256.clone(),
            pem: with_pem.then(|| to_pem(certificate)),
        }
    }

    /// The lines for people: what, and its value.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("subject", name(&self.subject)), ("issuer", name(&self.issuer))];
        if let Some(names) = &self.subject_alternative_names {
            lines.push(("names", printable(names)));
        }
        let valid = if self.valid_now { "" } else { "  (NOT VALID NOW)" };
        lines.push(("valid", format!("{} to {}{valid}", self.valid_from, self.valid_to)));
        let key = self.key.as_ref().map_or("no RSA key and none on a curve of NIST's".to_string(), Key::to_string);
        lines.push(("key", key));
        lines.push(("SHA-256", self.fingerprint_sha256.clone()));
        lines
    }

    /// As [`Self::lines`], with what is of use to who looks closely.
    pub(crate) fn all_lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = self.lines();
        lines.push(("SHA-1", self.fingerprint_sha1.clone()));
        lines.push(("serial", self.serial_number.clone()));
        lines.push(("may issue", if self.ca { "yes, it is a CA" } else { "no" }.to_string()));
        if let Some(usages) = &self.extended_key_usage {
            lines.push(("usage", usages.iter().map(|usage| usage_name(usage)).collect::<Vec<_>>().join(", ")));
        }
        for access in &self.authority_information {
            lines.push(("see", printable(&format!("{}: {}", access.method, access.locations.join(", ")))));
        }
        lines
    }
}

impl Key {
    fn of(certificate: &Certificate) -> Option<Key> {
        let curve = certificate.nist_curve.clone().or_else(|| certificate.asn1_curve.clone());
        let kind = match (&certificate.modulus, &curve) {
            (Some(_), _) => "RSA",
            (None, Some(_)) => "EC",
            (None, None) => return None,
        };
        Some(Key { kind, bits: certificate.bits, curve })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match (&self.curve, self.bits) {
            (Some(curve), _) => write!(f, " {curve}"),
            (None, Some(bits)) => write!(f, " {bits} bit"),
            (None, None) => Ok(()),
        }
    }
}

/// A certificate in PEM (RFC 7468).
pub(crate) fn to_pem(certificate: &Certificate) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("CERTIFICATE", certificate.raw.clone()), config)
}

/// Text of a peer's, so that it can do nothing to a terminal: what controls one, or turns the direction of text, is escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        let turns = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if character.is_control() || turns {
            // A String takes everything.
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Lines with what they are of in a column of its own.
pub(crate) fn columns(lines: &[(&str, String)], indent: usize) -> String {
    let width = lines.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (what, value)| {
        let _ = writeln!(text, "{:indent$}{what:width$}  {value}", "");
        text
    })
}

/// A distinguished name on one line.
fn name(attributes: &[Attribute]) -> String {
    if attributes.is_empty() {
        return "(empty)".to_string();
    }
    let parts: Vec<_> = attributes
        .iter()
        .map(|attribute| {
            // RFC 4514 section 2.4: what separates is escaped where it is part of a value.
            let mut value = String::new();
            for character in attribute.value.chars() {
                if matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=') {
                    value.push('\\');
                }
                value.push(character);
            }
            format!("{}={}", attribute.name, printable(&value))
        })
        .collect();
    parts.join(", ")
}

/// What `Nov  3 08:22:00 2026 GMT` is.
fn time(text: &str) -> Option<SystemTime> {
    let mut words = text.split_ascii_whitespace();
    let (month, day, clock, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    humantime::parse_rfc3339(&format!("{year:0>4}-{month:02}-{day:0>2}T{clock}Z")).ok()
}

fn rfc3339(time: Option<SystemTime>, text: &str) -> String {
    match time {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        // Before 1970, say: as it is.
        None => printable(text),
    }
}

fn usage_name(identifier: &str) -> &str {
    match identifier {
        "1.3.6.1.5.5.7.3.1" => "serverAuth",
        "1.3.6.1.5.5.7.3.2" => "clientAuth",
        "1.3.6.1.5.5.7.3.3" => "codeSigning",
        "1.3.6.1.5.5.7.3.4" => "emailProtection",
        "1.3.6.1.5.5.7.3.8" => "timeStamping",
        "1.3.6.1.5.5.7.3.9" => "OCSPSigning",
        "2.5.29.37.0" => "anyExtendedKeyUsage",
        other => other,
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
