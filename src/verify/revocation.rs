//! Chooses the revocation list for each certificate of a path, and asks it (RFC 5280 section 6.3.3; row O5).
//!
//! Owns the choice: by issuer and scope, the newest first. Relies on [`RevocationList`] for what a list says,
//! and on [`Path`] for who issued what. It never fetches a list, and never takes one on the word of a list:
//! the signer of a list stands on the path itself.
//!
//! Every certificate is looked up, the trust anchor too, as with OpenSSL's `X509_V_FLAG_CRL_CHECK_ALL`, which
//! Node sets where it has a list. What is wrong comes in OpenSSL's order, so that the last is what Node tells.
//! Three things are as RFC 5280 has them, and not as in OpenSSL:
//!
//! * A delta list is added to the complete list that it is for (section 5.2.4). OpenSSL, as Node sets it up,
//!   takes it for a complete one.
//! * A trust anchor needs no list (section 6.1: it is not part of the path); one that has it, revokes it.
//! * A list that its issuer did not sign, or that has a critical extension that is not known, shows nothing:
//!   that is told, and not whom it has.
//!
//! Lists for some reasons of revocation only, and indirect lists, are never chosen: so in OpenSSL, unless
//! `X509_V_FLAG_EXTENDED_CRL_SUPPORT` is set.

use std::cmp::Ordering;

use rustls::CertificateError;
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::crl::{Only, RevocationList, Status};
use super::distribution::{Point, PointName};
use super::faults::{Fault, described, shown};
use super::path::{End, Link, Path};
use crate::certificate::extensions::{CRL_SIGN, SUBJECT_KEY_IDENTIFIER};
use crate::certificate::{der, names};
use crate::error::ErrorCode;

/// The lists, and what they are looked at with.
#[derive(Clone, Copy)]
pub(super) struct Revocation<'a> {
    pub(super) lists: &'a [RevocationList],
    pub(super) algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
    /// Seconds since 1970.
    pub(super) now: i64,
    /// Whether webpki has found the signatures of the path good. On another one, whoever sent it has chosen the keys.
    pub(super) has_verified_path: bool,
}

/// A list that is about a certificate, and who must have signed it.
#[derive(Clone, Copy)]
struct Chosen<'a> {
    list: &'a RevocationList,
    signer: &'a Link<'a>,
    /// Whether that is the very certificate that issued the one in question.
    is_direct: bool,
}

impl<'a> Revocation<'a> {
    /// What is wrong with the certificates of a path, from the leaf up. Nothing where there is no list at all.
    pub(super) fn faults(self, path: &'a Path<'a>) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.lists.is_empty() {
            return faults;
        }
        for depth in 0..path.links.len() {
            faults.extend(self.faults_of(path, depth));
            // Whoever sends sixteen certificates with the name of a list's issuer, and keys of their own, would
            // have megabytes hashed for each.
            if faults.iter().any(|fault| fault.error.code == ErrorCode::CrlSignatureFailure) {
                break;
            }
        }
        faults
    }

    /// Likewise with one of them.
    fn faults_of(self, path: &'a Path<'a>, depth: usize) -> Vec<Fault> {
        let link = &path.links[depth];
        let Some(chosen) = self.best(path, depth, |list| list.base.is_none()) else {
            // A leaf that is trusted itself is a peer's certificate all the same.
            let is_anchor = path.end == End::Anchor && link.is_own && depth > 0 && depth + 1 == path.links.len();
            return match is_anchor {
                true => Vec::new(),
                false => vec![missing(link)],
            };
        };
        let complete = chosen.list;
        // Of a delta list that is too old, what it has is true all the same.
        let delta = self.best(path, depth, |list| completes(list, complete) && self.validity(list) != Ordering::Less);
        let mut faults = Vec::from_iter(self.untimely(complete));
        let mut status = None;
        for Chosen { list, signer, .. } in [Some(chosen), delta].into_iter().flatten() {
            match self.check(list, signer, &mut faults) {
                true => status = list.status(link.x509.serial).or(status),
                false => return faults,
            }
        }
        if status == Some(Status::Revoked) {
            faults.push(Fault::new(
                ErrorCode::CertRevoked,
                format!("{} was revoked by its issuer.", described(link)),
                CertificateError::Revoked,
            ));
        }
        faults
    }

    /// Section 6.3.3 (a) to (c): of the lists about a certificate the one without a critical extension that is
    /// not known, that is in time, by the certificate's own issuer, and the newest; of equals, the one that has
    /// the certificate.
    fn best(self, path: &'a Path<'a>, depth: usize, is_wanted: impl Fn(&RevocationList) -> bool) -> Option<Chosen<'a>> {
        let link = &path.links[depth];
        let about = self.lists.iter().filter(|list| {
            // (b) (1): the issuer.
            is_wanted(list) && names::are_equal(&list.issuer, link.x509.issuer) && is_in_scope(list, link)
        });
        let chosen = about.filter_map(|list| Chosen::new(list, path, depth));
        let rank = |chosen: &Chosen<'a>| {
            let list = chosen.list;
            let is_current = self.validity(list) == Ordering::Equal;
            let has_it = list.status(link.x509.serial).is_some();
            (list.unhandled.is_none(), is_current, chosen.is_direct, list.this_update.seconds, &list.number, has_it)
        };
        chosen.rev().max_by(|one, other| rank(one).cmp(&rank(other)))
    }

    /// Section 6.3.3 (f) and (g): whether a list is to be believed. Notes why it is not.
    fn check(self, list: &RevocationList, signer: &Link<'_>, faults: &mut Vec<Fault>) -> bool {
        let mut is_believed = true;
        if signer.usage.as_ref().is_some_and(|usage| !usage.allows(CRL_SIGN)) {
            is_believed = false;
            faults.push(Fault::new(
                ErrorCode::KeyusageNoCrlSign,
                format!("{} signed a revocation list, and its key usage has no cRLSign.", described(signer)),
                CertificateError::UnknownRevocationStatus,
            ));
        }
        match list.verify(signer.x509.spki, self.algorithms) {
            Ok(()) if self.has_verified_path => list.remember(signer.x509.spki),
            Ok(()) => {}
            Err(cause) => {
                is_believed = false;
                faults.push(Fault::new(
                    ErrorCode::CrlSignatureFailure,
                    cause.sentence(&titled(list), &described(signer)),
                    CertificateError::BadSignature,
                ));
            }
        }
        if let Some(oid) = &list.unhandled {
            is_believed = false;
            faults.push(Fault::new(
                ErrorCode::UnhandledCriticalCrlExtension,
                format!(
                    "{} has a critical extension that is not known: {oid} (RFC 5280 sections 5.2 and 5.3).",
                    titled(list)
                ),
                CertificateError::UnknownRevocationStatus,
            ));
        }
        is_believed
    }

    /// What is wrong with the time of a list.
    fn untimely(self, list: &RevocationList) -> Option<Fault> {
        let (code, rest) = match (self.validity(list), &list.next_update) {
            (Ordering::Less, _) => (ErrorCode::CrlNotYetValid, "is not valid yet; is the clock right?".to_owned()),
            (Ordering::Greater, Some(next)) => {
                (ErrorCode::CrlHasExpired, format!("was valid until {next}; give a newer one as `crl`."))
            }
            _ => return None,
        };
        let message = format!("{} {rest}", titled(list));
        Some(Fault::new(code, message, CertificateError::UnknownRevocationStatus))
    }

    /// Whether the time is before, within or after that of a list (sections 5.1.2.4 and 5.1.2.5).
    fn validity(self, list: &RevocationList) -> Ordering {
        match &list.next_update {
            _ if self.now < list.this_update.seconds => Ordering::Less,
            Some(next) if self.now >= next.seconds => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }
}

impl<'a> Chosen<'a> {
    /// The certificate on the path that has the name and the key identifier of a list's issuer: the nearest
    /// above the one in question, or the last one itself, where it is signed by itself.
    fn new(list: &'a RevocationList, path: &'a Path<'a>, depth: usize) -> Option<Self> {
        let above = match path.links.get(depth + 1..)? {
            [] if path.links[depth].x509.is_self_issued() => &path.links[depth..],
            above => above,
        };
        let is_signer =
            |link: &Link<'_>| names::are_equal(link.x509.subject, &list.issuer) && may_be_key_of(link, list);
        let place = above.iter().position(is_signer)?;
        Some(Self { list, signer: &above[place], is_direct: place == 0 })
    }
}

/// Whether the key identifiers, where both have one, are the same (section 5.2.1).
fn may_be_key_of(signer: &Link<'_>, list: &RevocationList) -> bool {
    let own = signer.x509.extension(SUBJECT_KEY_IDENTIFIER);
    let own = own.and_then(|identifier| der::only(identifier, der::OCTET_STRING));
    own.is_none_or(|own| list.key_identifier.as_ref().is_none_or(|wanted| wanted == own))
}

/// Section 6.3.3 (b) (2): whether a complete or delta list tells of every revocation of a certificate.
fn is_in_scope(list: &RevocationList, link: &Link<'_>) -> bool {
    let scope = &list.scope;
    let is_ca =
        link.usage.as_ref().and_then(|usage| usage.basic_constraints).is_some_and(|constraints| constraints.is_ca);
    let has_kind = match scope.only {
        Only::Any => true,
        // (ii) to (iv).
        Only::Users => !is_ca,
        Only::Authorities => is_ca,
        Only::Attributes => false,
    };
    // (i).
    let has_point = scope.point.as_deref().is_none_or(|point| {
        PointName::new(point)
            .is_some_and(|name| Point::all_of(&link.x509).iter().any(|point| point.is(&name, &list.issuer)))
    });
    has_kind && has_point && !scope.is_indirect && !scope.has_some_reasons
}

/// Whether a delta list is one for this complete list (sections 5.2.4 and 6.3.3 (c)).
fn completes(delta: &RevocationList, complete: &RevocationList) -> bool {
    delta.base.as_ref().is_some_and(|base| complete.number.as_ref().is_some_and(|number| base <= number))
        && delta.number > complete.number
        && delta.scope == complete.scope
        && delta.key_identifier == complete.key_identifier
}

/// A list in the sentence of a message.
fn titled(list: &RevocationList) -> String {
    format!("The revocation list of {} of {}", shown(&list.issuer), list.this_update)
}

fn missing(link: &Link<'_>) -> Fault {
    Fault::new(
        ErrorCode::UnableToGetCrl,
        format!(
            "No revocation list is about {}: give one of its issuer, {}, as `crl`.",
            described(link).replacen("The", "the", 1),
            shown(link.x509.issuer)
        ),
        CertificateError::UnknownRevocationStatus,
    )
}
