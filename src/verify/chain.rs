//! One chain: trusted or not by webpki, and what is wrong in OpenSSL's words, and in rustls' for the right alert.

use rustls::CertificateError;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error as ChainError, KeyUsage, VerifiedPath};

use super::compat;
use super::faults::{self, Fault, Purpose};
use super::path::Path;
use super::refusal::refusal;
use super::revocation::Revocation;
use crate::certificate::{X509, check_server_identity, der, mismatch};
use crate::context::{Context, Roots};
use crate::error::ErrorCode;

/// What came of the check of a chain.
#[derive(Debug)]
pub(super) struct Checked {
    /// Whether it is trusted.
    pub(super) outcome: Result<(), Fault>,
    /// The peer's certificate and those above it: to the trust anchor, or as far as there are any.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

/// Checks that a path leads from the certificate to an anchor of the context, with everything on it valid now and for this
/// purpose, and with nothing on it revoked.
pub(super) fn check(
    context: &Context,
    end_entity: &CertificateDer<'_>,
    sent: &[CertificateDer<'_>],
    purpose: Purpose,
    now: UnixTime,
) -> Checked {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let algorithms = context.provider().signature_verification_algorithms.all;
    let revocation = Revocation { lists: context.crls().lists(), algorithms, now: seconds, has_verified_path: false };
    let roots = match purpose {
        Purpose::ServerAuth => context.roots(),
        Purpose::ClientAuth => context.client_roots(),
    };
    if roots.rejects(end_entity) {
        let fault = Fault::new(
            ErrorCode::CertUntrusted,
            "The certificate has the name and key of one that a TRUSTED CERTIFICATE of `ca` rejects for this use.",
            CertificateError::UnknownIssuer,
        );
        return Checked { outcome: Err(fault), chain: vec![end_entity.clone().into_owned()] };
    }
    // What `BEGIN TRUSTED CERTIFICATE` says is not to be trusted is not trusted because the peer sends it too.
    let sent: Vec<_> = sent.iter().filter(|certificate| !roots.rejects(certificate)).cloned().collect();
    let sent = &sent[..];
    let cause = match trusted_path(roots, end_entity, sent, purpose, now, revocation) {
        Ok(certificates) => match Path::verified(&certificates.iter().collect::<Vec<_>>(), roots) {
            Some(path) => {
                let outcome = faults::of_verified(&path, purpose, seconds).map_or(Ok(()), Err);
                return Checked { outcome, chain: path.certificates() };
            }
            None => ChainError::BadDer,
        },
        Err(cause) => cause,
    };
    let Some(path) = Path::new(end_entity, sent, roots, seconds) else {
        return Checked { outcome: Err(refusal(&cause)), chain: vec![end_entity.clone().into_owned()] };
    };
    let fault = faults::of(&path, purpose, revocation.faults(&path), algorithms, seconds);
    let outcome = match context.compat() && compat::accepts(&path, fault.as_ref(), &cause) {
        true => Ok(()),
        false => Err(fault.unwrap_or_else(|| refusal(&cause))),
    };
    Checked { outcome, chain: path.certificates() }
}

/// Checks that the certificate is for this name (row M7; RFC 9525).
pub(super) fn check_name(end_entity: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Fault> {
    let leaf = EndEntityCert::try_from(end_entity).map_err(|cause| refusal(&cause))?;
    leaf.verify_is_valid_for_subject_name(name).map_err(|_| {
        let host = name.to_str();
        // What only Node takes: common names, and wildcards for part of a label.
        let error = check_server_identity(&host, end_entity).err().unwrap_or_else(|| {
            mismatch(&format!(
                "Host: {host}. is in no DNS name of the cert, only in its CN or by a wildcard for part of a label, which count in compat mode"
            ))
        });
        Fault { error, tls: CertificateError::NotValidForName }
    })
}

/// The path that webpki finds, leaf first and with the anchor's certificate. Where a path is good but for the
/// revocation lists, webpki tries another one.
fn trusted_path(
    roots: &Roots,
    end_entity: &CertificateDer<'_>,
    sent: &[CertificateDer<'_>],
    purpose: Purpose,
    now: UnixTime,
    revocation: Revocation<'_>,
) -> Result<Vec<CertificateDer<'static>>, ChainError> {
    let own = roots.intermediates().iter().map(|certificate| CertificateDer::from(certificate.as_ref()));
    let intermediates: Vec<CertificateDer<'_>> = own.chain(sent.iter().cloned()).collect();
    let usage = match purpose {
        Purpose::ServerAuth => KeyUsage::server_auth(),
        Purpose::ClientAuth => KeyUsage::client_auth(),
    };
    let leaf = EndEntityCert::try_from(end_entity)?;
    let revocation = Revocation { has_verified_path: true, ..revocation };
    let is_unrevoked = |path: &VerifiedPath<'_>| {
        let certificates = certificates_of(end_entity, path, roots);
        let certificates: Vec<_> = certificates.iter().collect();
        match Path::verified(&certificates, roots).is_some_and(|path| revocation.faults(&path).is_empty()) {
            true => Ok(()),
            false => Err(ChainError::UnknownRevocationStatus),
        }
    };
    let path = leaf.verify_for_usage(
        revocation.algorithms,
        roots.anchors(),
        &intermediates,
        now,
        usage,
        // Its own choice of a list is not that of RFC 5280.
        None,
        match revocation.lists.is_empty() {
            true => None,
            false => Some(&is_unrevoked),
        },
    )?;
    Ok(certificates_of(end_entity, &path, roots))
}

fn certificates_of(
    end_entity: &CertificateDer<'_>,
    path: &VerifiedPath<'_>,
    roots: &Roots,
) -> Vec<CertificateDer<'static>> {
    let mut certificates = vec![end_entity.clone().into_owned()];
    certificates.extend(path.intermediate_certificates().map(|certificate| certificate.der().into_owned()));
    let is_anchor = |certificate: &&CertificateDer<'static>| {
        X509::new(certificate).is_some_and(|x509| {
            der::only(x509.subject, der::SEQUENCE) == Some(path.anchor().subject.as_ref())
                && der::only(x509.spki, der::SEQUENCE) == Some(path.anchor().subject_public_key_info.as_ref())
        })
    };
    let anchor = roots.certificates().iter().find(is_anchor);
    // A certificate that signs itself may be leaf and anchor.
    certificates.extend(anchor.filter(|anchor| certificates.last() != Some(anchor)).cloned());
    certificates
}
