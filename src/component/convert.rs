//! The engine's types in those of the contract, and the other way round.

use super::bindings::exports::guest::tls::{certificate as wit, secure_pair as pair, types};
use crate::certificate::{Certificate, NameAttribute};
use crate::context::Version;
use crate::engine::{Cipher, Cleartext, EphemeralKeyInfo, Event};
use crate::error::{Direction, Error, ErrorCode, with_error_codes};

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        Self {
            code: error.code.into(),
            reason: error.reason().map(str::to_owned),
            alert: error.alert.map(|alert| types::Alert {
                direction: match alert.direction {
                    Direction::Sent => types::Direction::Sent,
                    Direction::Received => types::Direction::Received,
                },
                description: alert.description,
                name: alert.name().to_owned(),
            }),
            message: error.message,
        }
    }
}

macro_rules! convert_codes {
    ($($(#[$doc:meta])* $code:ident => $name:literal, $reason:expr;)*) => {
        impl From<ErrorCode> for types::ErrorCode {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$code => Self::$code,)*
                }
            }
        }
    };
}
with_error_codes!(convert_codes);

/// All of several errors.
pub(super) fn errors(errors: Vec<Error>) -> Vec<types::Error> {
    errors.into_iter().map(types::Error::from).collect()
}

impl From<Version> for types::ProtocolVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::Tls12 => Self::Tls12,
            Version::Tls13 => Self::Tls13,
        }
    }
}

impl From<types::ProtocolVersion> for Version {
    fn from(version: types::ProtocolVersion) -> Self {
        match version {
            types::ProtocolVersion::Tls12 => Self::Tls12,
            types::ProtocolVersion::Tls13 => Self::Tls13,
        }
    }
}

impl From<Event> for pair::Event {
    fn from(event: Event) -> Self {
        match event {
            Event::Sni(name) => Self::Sni(name),
            Event::ResumeSession(id) => Self::ResumeSession(id),
            Event::Alpn { servername, protocols } => Self::Alpn(pair::AlpnOffer { servername, protocols }),
            Event::OcspRequest { certificate, issuer } => Self::OcspRequest(pair::OcspRequest { certificate, issuer }),
            Event::NewSession(session) => {
                Self::NewSession(pair::NewSession { id: session.id, data: session.data.to_vec() })
            }
            Event::OcspResponse(response) => Self::OcspResponse(response),
            Event::Session(session) => Self::Session(session),
            Event::KeyLog(line) => Self::Keylog(line),
            Event::Trace(line) => Self::Trace(line),
            Event::Secure => Self::Secure,
        }
    }
}

impl From<Cleartext> for pair::Cleartext {
    fn from(cleartext: Cleartext) -> Self {
        match cleartext {
            Cleartext::Data(data) => Self::Data(data),
            Cleartext::Pending => Self::Pending,
            Cleartext::End => Self::End,
        }
    }
}

impl From<Cipher> for pair::Cipher {
    fn from(cipher: Cipher) -> Self {
        Self {
            name: cipher.name.to_owned(),
            standard_name: cipher.standard_name.to_owned(),
            version: cipher.version.into(),
        }
    }
}

impl From<EphemeralKeyInfo> for pair::EphemeralKeyInfo {
    fn from(info: EphemeralKeyInfo) -> Self {
        Self { kind: info.kind.to_owned(), name: info.name.to_owned(), size: info.size }
    }
}

impl From<Certificate> for wit::Certificate {
    fn from(certificate: Certificate) -> Self {
        Self {
            subject: attributes(certificate.subject),
            issuer: attributes(certificate.issuer),
            subjectaltname: certificate.subjectaltname,
            info_access: certificate.info_access.map(|all| {
                all.into_iter().map(|one| wit::InfoAccess { method: one.method, values: one.values }).collect()
            }),
            ca: certificate.ca,
            modulus: certificate.modulus,
            bits: certificate.bits,
            exponent: certificate.exponent,
            pubkey: certificate.pubkey,
            asn1_curve: certificate.asn1_curve,
            nist_curve: certificate.nist_curve,
            valid_from: certificate.valid_from,
            valid_to: certificate.valid_to,
            fingerprint: certificate.fingerprint,
            fingerprint256: certificate.fingerprint256,
            fingerprint512: certificate.fingerprint512,
            ext_key_usage: certificate.ext_key_usage,
            serial_number: certificate.serial_number,
            raw: certificate.raw,
        }
    }
}

fn attributes(attributes: Vec<NameAttribute>) -> Vec<wit::NameAttribute> {
    attributes
        .into_iter()
        .map(|attribute| wit::NameAttribute { name: attribute.name, value: attribute.value })
        .collect()
}
