//! What is wrong with a path, by OpenSSL's names (row K2).
//!
//! OpenSSL looks at a path in passes: how it ends, what its certificates may be used for, and from the top down their signatures
//! and validity. Node lets it go on after a fault and tells the last one, so that is the one that counts here.

use rustls::CertificateError;
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::constraints;
use super::path::{End, Link, Path};
use super::signature::{BadSignature, Signed};
use crate::certificate::extensions::{
    self, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN, KEY_ENCIPHERMENT, NAME_CONSTRAINTS,
};
use crate::certificate::{Time, X509, der, names};
use crate::error::{Error, ErrorCode};

/// Why a certificate is not verified.
#[derive(Debug)]
pub(super) struct Fault {
    /// For the caller.
    pub(super) error: Error,
    /// For rustls, which chooses the alert by it.
    pub(super) tls: CertificateError,
}

/// What the peer's certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is a server's.
    ServerAuth,
    /// It is a client's.
    ClientAuth,
}

impl Fault {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>, tls: CertificateError) -> Self {
        Self { error: Error::new(code, message), tls }
    }
}

/// The last fault of a path, or none: of those that revocation lists tell, and its own. Signatures are checked
/// by these algorithms.
pub(super) fn of(
    path: &Path<'_>,
    purpose: Purpose,
    revocation: Vec<Fault>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    now: i64,
) -> Option<Fault> {
    let mut faults = Vec::new();
    faults.extend(end(path));
    faults.extend(uses(path, purpose));
    faults.extend(revocation);
    faults.extend(signatures_and_times(path, Some(algorithms), now));
    faults.extend(name_constraints(path));
    faults.pop()
}

/// Likewise of a path whose signatures and names webpki has found good: it asks a trust anchor nothing, and no certificate
/// whether its key may be used so; OpenSSL does.
pub(super) fn of_verified(path: &Path<'_>, purpose: Purpose, now: i64) -> Option<Fault> {
    let mut faults = uses(path, purpose);
    faults.extend(signatures_and_times(path, None, now));
    faults.pop()
}

fn end(path: &Path<'_>) -> Option<Fault> {
    let (code, message) = match path.end {
        End::Anchor => return None,
        End::SelfSigned if path.links.len() == 1 => (
            ErrorCode::DepthZeroSelfSignedCert,
            "The certificate is signed by itself and is not trusted as a CA; give its issuer's certificate as `ca`.",
        ),
        End::SelfSigned => (
            ErrorCode::SelfSignedCertInChain,
            "The chain ends in a certificate that is signed by itself and is not trusted; give it as `ca` if it should be.",
        ),
        End::NoIssuer if path.links.iter().any(|link| link.is_own) => (
            ErrorCode::UnableToGetIssuerCert,
            "The chain ends in a certificate of `ca` that is no trust anchor, as it is not signed by itself; give its issuer as `ca` too, or set `allowPartialTrustChain`.",
        ),
        End::NoIssuer => (
            ErrorCode::UnableToGetIssuerCertLocally,
            "The issuer of the last certificate of the chain is not trusted; give the CA's certificate as `ca`.",
        ),
        End::TooLong => (ErrorCode::CertUntrusted, "The chain is too long."),
    };
    Some(Fault::new(code, message, CertificateError::UnknownIssuer))
}

/// What extensions say about use, from the leaf up.
fn uses(path: &Path<'_>, purpose: Purpose) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut cas_below = 0;
    for (link, depth) in path.links.iter().zip(0..) {
        let subject = described(link);
        if let Some(oid) = unknown_critical_extension(&link.x509) {
            faults.push(Fault::new(
                ErrorCode::CertUntrusted,
                format!("{subject} has a critical extension that is not known: {oid} (RFC 5280 section 4.2)."),
                CertificateError::UnhandledCriticalExtension,
            ));
        }
        if link.usage.is_none() {
            faults.push(Fault::new(
                ErrorCode::CertUntrusted,
                format!("{subject} has an extension that is not readable, or is there twice."),
                CertificateError::BadEncoding,
            ));
        }
        let is_top = depth + 1 == path.links.len();
        let authority = authority(link);
        if depth > 0 && (authority == Authority::None || (!is_top && authority != Authority::Ca)) {
            faults.push(Fault::new(
                ErrorCode::InvalidCa,
                format!("{subject} issued another certificate and is no CA (RFC 5280 section 4.2.1.9)."),
                CertificateError::UnknownIssuer,
            ));
        }
        if !allows(link, purpose, depth > 0) {
            faults.push(Fault::new(
                ErrorCode::InvalidPurpose,
                format!(
                    "{subject} does not allow by its key usage, extended key usage or basic constraints what it is used for here."
                ),
                CertificateError::InvalidPurpose,
            ));
        }
        let limit = link.usage.as_ref().and_then(|usage| usage.basic_constraints?.path_length);
        if depth > 0 && limit.is_some_and(|limit| cas_below > limit) {
            faults.push(Fault::new(
                ErrorCode::PathLengthExceeded,
                format!("There are more certificates below {subject} than it allows."),
                CertificateError::UnknownIssuer,
            ));
        }
        if depth > 0 && !link.x509.is_self_issued() {
            cas_below += 1;
        }
    }
    faults
}

/// Whether a certificate may issue others, by OpenSSL's reckoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    None,
    /// Basic constraints say so.
    Ca,
    /// It is of a time before basic constraints, or only its key usage says so: good enough for the top of a path.
    Old,
}

fn authority(link: &Link<'_>) -> Authority {
    let Some(usage) = &link.usage else {
        return Authority::None;
    };
    match usage.basic_constraints {
        _ if !usage.allows(KEY_CERT_SIGN) => Authority::None,
        Some(constraints) if constraints.is_ca => Authority::Ca,
        Some(_) => Authority::None,
        None if link.x509.version == 1 && link.is_self_signed() => Authority::Old,
        None if usage.key_usage.is_some() => Authority::Old,
        None => Authority::None,
    }
}

fn allows(link: &Link<'_>, purpose: Purpose, is_issuer: bool) -> bool {
    let Some(usage) = &link.usage else {
        return true;
    };
    let (wanted, key_usages) = match purpose {
        Purpose::ServerAuth => (SERVER_AUTH, DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT),
        Purpose::ClientAuth => (CLIENT_AUTH, DIGITAL_SIGNATURE | KEY_AGREEMENT),
    };
    let has_purpose = usage.extended_key_usage.as_ref().is_none_or(|all| all.iter().any(|one| one == wanted));
    has_purpose
        && match is_issuer {
            true => authority(link) != Authority::None,
            false => usage.allows(key_usages),
        }
}

fn unknown_critical_extension(x509: &X509<'_>) -> Option<String> {
    let unknown = x509.extensions.iter().find(|extension| extension.is_critical && !KNOWN.contains(&extension.oid))?;
    Some(der::dotted(unknown.oid).unwrap_or_else(|| "of no readable identifier".into()))
}

/// From the top down: the signature of each certificate by the one above it, where it is asked for, and the validity.
fn signatures_and_times(
    path: &Path<'_>,
    algorithms: Option<&[&dyn SignatureVerificationAlgorithm]>,
    now: i64,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (depth, link) in path.links.iter().enumerate().rev() {
        match (path.links.get(depth + 1), algorithms) {
            (Some(issuer), _) => {
                if issuer.usage.as_ref().is_some_and(|usage| !usage.allows(KEY_CERT_SIGN)) {
                    faults.push(Fault::new(
                        ErrorCode::CertUntrusted,
                        format!("{} issued another certificate, and its key usage has no keyCertSign.", described(issuer)),
                        CertificateError::UnknownIssuer,
                    ));
                }
                faults.extend(algorithms.and_then(|algorithms| signature(link, issuer, algorithms)));
            }
            // What it signs itself shows nothing; whoever trusts it trusts it for what it is.
            (None, _) if path.end != End::NoIssuer => {}
            (None, _) if path.links.len() == 1 => faults.push(Fault::new(
                ErrorCode::UnableToVerifyLeafSignature,
                "The issuer of the certificate is neither sent by the peer nor trusted; give the CA's certificate as `ca`.",
                CertificateError::UnknownIssuer,
            )),
            (None, _) => {}
        }
        faults.extend(validity(link, now));
    }
    faults
}

fn signature(link: &Link<'_>, issuer: &Link<'_>, algorithms: &[&dyn SignatureVerificationAlgorithm]) -> Option<Fault> {
    let X509 { tbs, signed_algorithm, signature_algorithm, signature, .. } = link.x509;
    let signed = Signed { tbs, signed_algorithm, signature_algorithm, signature };
    let cause = signed.verify(issuer.x509.spki, algorithms).err()?;
    let (code, tls) = match cause {
        BadSignature::UnreadableKey => (ErrorCode::CertUntrusted, CertificateError::BadEncoding),
        BadSignature::Algorithm => (ErrorCode::CertUntrusted, CertificateError::UnknownIssuer),
        BadSignature::TwoAlgorithms | BadSignature::Wrong => {
            (ErrorCode::CertSignatureFailure, CertificateError::BadSignature)
        }
    };
    Some(Fault::new(code, cause.sentence(&described(link), &described(issuer)), tls))
}

fn validity(link: &Link<'_>, now: i64) -> Option<Fault> {
    let subject = described(link);
    let (Some(from), Some(to)) = (Time::new(&link.x509.not_before), Time::new(&link.x509.not_after)) else {
        return Some(Fault::new(
            ErrorCode::CertUntrusted,
            format!("{subject} says in no readable way when it is valid."),
            CertificateError::BadEncoding,
        ));
    };
    match () {
        () if now > to.seconds => Some(Fault::new(
            ErrorCode::CertHasExpired,
            format!("{subject} was valid until {to}."),
            CertificateError::Expired,
        )),
        () if now < from.seconds => Some(Fault::new(
            ErrorCode::CertNotYetValid,
            format!("{subject} is not valid before {from}; is the clock right?"),
            CertificateError::NotValidYet,
        )),
        () => None,
    }
}

fn name_constraints(path: &Path<'_>) -> Option<Fault> {
    for (depth, issuer) in path.links.iter().enumerate().skip(1) {
        let Some(constraints) = issuer.x509.extension(NAME_CONSTRAINTS) else {
            continue;
        };
        for (place, link) in path.links[..depth].iter().enumerate() {
            let is_leaf = place == 0;
            // RFC 5280 section 6.1.3 (b).
            if !is_leaf && link.x509.is_self_issued() {
                continue;
            }
            if let Err(cause) = constraints::check(constraints, &link.x509, is_leaf) {
                return Some(Fault::new(
                    ErrorCode::CertUntrusted,
                    format!("{} has a name that {} does not permit: {cause}.", described(link), described(issuer)),
                    CertificateError::UnknownIssuer,
                ));
            }
        }
    }
    None
}

/// A certificate in the sentence of a message.
pub(super) fn described(link: &Link<'_>) -> String {
    match names::is_empty(link.x509.subject) {
        true => "The certificate without a subject".into(),
        false => format!("The certificate of {}", shown(link.x509.subject)),
    }
}

/// A name in the sentence of a message, in quotes.
pub(super) fn shown(name: &[u8]) -> String {
    let name: String = names::one_line(name).chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    format!("{name:?}")
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
/// More characters of a peer's name would not help the reader.
const SHOWN: usize = 80;
/// Critical extensions that are looked at; policies bind nobody who asks for none (RFC 5280 section 6.1.1 (c)).
const KNOWN: [&[u8]; 7] = [
    extensions::KEY_USAGE,
    extensions::SUBJECT_ALT_NAME,
    extensions::BASIC_CONSTRAINTS,
    extensions::NAME_CONSTRAINTS,
    extensions::EXTENDED_KEY_USAGE,
    extensions::CERTIFICATE_POLICIES,
    extensions::CRL_DISTRIBUTION_POINTS,
];
