//! The path from a peer's certificate upwards, by names and key identifiers alone, as OpenSSL builds it: what is trusted
//! first, and what is valid before what is not.
//!
//! It says what a chain consists of and where it ends. Whether anything of it is to be believed is not asked here.

use rustls_pki_types::CertificateDer;

use crate::certificate::extensions::{AUTHORITY_KEY_IDENTIFIER, SUBJECT_KEY_IDENTIFIER, Usage};
use crate::certificate::{Time, X509, der, names};
use crate::context::Roots;

/// Certificates, the peer's first, each followed by its issuer. At least one.
#[derive(Debug)]
pub(super) struct Path<'a> {
    pub(super) links: Vec<Link<'a>>,
    pub(super) end: End,
}

/// A certificate of a path.
#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) der: &'a CertificateDer<'a>,
    pub(super) x509: X509<'a>,
    /// What it may be used for; none where its extensions are not readable.
    pub(super) usage: Option<Usage>,
    /// Whether it is one of the context's own.
    pub(super) is_own: bool,
}

/// Where a path ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In a trust anchor.
    Anchor,
    /// In a certificate that signs itself and is not trusted.
    SelfSigned,
    /// In a certificate whose issuer is not there.
    NoIssuer,
    /// Nowhere within [`DEPTH`] certificates.
    TooLong,
}

impl<'a> Path<'a> {
    /// The path from `leaf` on, through what the peer sent and what the context has, at `now` in seconds since 1970.
    /// None where the leaf is no certificate.
    pub(super) fn new(
        leaf: &'a CertificateDer<'a>,
        sent: &'a [CertificateDer<'a>],
        roots: &'a Roots,
        now: i64,
    ) -> Option<Self> {
        let mut links = vec![Link::new(leaf, false)?];
        let own: Vec<Link<'a>> = candidates(roots.certificates(), true);
        let mut sent: Vec<Link<'a>> = candidates(sent, false);
        loop {
            let top = links.last_mut()?;
            // An exact copy of what is trusted is trusted; another one with the same name is not.
            top.is_own |= own.iter().any(|link| link.der == top.der);
            let is_self_signed = top.is_self_signed();
            let end = match () {
                () if top.is_own && roots.is_anchor(&top.x509) => Some(End::Anchor),
                () if is_self_signed => Some(End::SelfSigned),
                () if links.len() >= DEPTH => Some(End::TooLong),
                () => None,
            };
            if let Some(end) = end {
                return Some(Self { links, end });
            }
            let top = links.last()?;
            // Once there is something of our own on the path, nothing of the peer's comes above it.
            let next = match best_issuer(&own, top, now) {
                Some(place) => Link::new(own[place].der, true),
                None if links.iter().any(|link| link.is_own) => None,
                None => best_issuer(&sent, top, now).map(|place| sent.swap_remove(place)),
            };
            match next {
                Some(next) => links.push(next),
                None => return Some(Self { links, end: End::NoIssuer }),
            }
        }
    }

    /// The path that webpki took: the leaf, the certificates above it, and the anchor where it is known as a certificate.
    pub(super) fn verified(certificates: &[&'a CertificateDer<'a>], roots: &Roots) -> Option<Self> {
        let is_own = |der: &CertificateDer<'_>| roots.certificates().iter().any(|own| own == der);
        let links: Option<Vec<_>> = certificates.iter().map(|der| Link::new(der, is_own(der))).collect();
        Some(Self { links: links?, end: End::Anchor })
    }

    /// Its certificates, for whoever wants to see them.
    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.links.iter().map(|link| link.der.clone().into_owned()).collect()
    }
}

impl<'a> Link<'a> {
    fn new(der: &'a CertificateDer<'a>, is_own: bool) -> Option<Self> {
        let x509 = X509::new(der)?;
        Some(Self { der, usage: Usage::new(&x509), x509, is_own })
    }

    /// Whether its issuer has its own name, and its own key as far as key identifiers say.
    pub(super) fn is_self_signed(&self) -> bool {
        self.x509.is_self_issued() && may_be_key_of(&self.x509, &self.x509)
    }

    /// Whether it is valid then, where it can be read when it is.
    fn is_valid(&self, now: i64) -> bool {
        let (from, to) = (Time::new(&self.x509.not_before), Time::new(&self.x509.not_after));
        from.is_some_and(|from| from.seconds <= now) && to.is_some_and(|to| now <= to.seconds)
    }
}

fn candidates<'a>(certificates: &'a [CertificateDer<'a>], is_own: bool) -> Vec<Link<'a>> {
    certificates.iter().filter_map(|der| Link::new(der, is_own)).collect()
}

/// The place of the best issuer: one that is valid; else the one that is valid longest.
fn best_issuer(candidates: &[Link<'_>], subject: &Link<'_>, now: i64) -> Option<usize> {
    // Made once: a peer may send hundreds of certificates, and a long name in each.
    let issuer = names::Canonical::new(subject.x509.issuer);
    let is_issuer =
        |name: &[u8]| name == subject.x509.issuer || (issuer.is_some() && names::Canonical::new(name) == issuer);
    let issuers = candidates.iter().enumerate().filter(|(_, candidate)| {
        candidate.der != subject.der
            && is_issuer(candidate.x509.subject)
            && may_be_key_of(&candidate.x509, &subject.x509)
    });
    // Of several that are as good, the first.
    let rank = |link: &Link<'_>| (link.is_valid(now), Time::new(&link.x509.not_after).map(|time| time.seconds));
    issuers.rev().max_by_key(|(_, candidate)| rank(candidate)).map(|(place, _)| place)
}

/// Whether the key identifiers, where both have one, are the same (RFC 5280 section 4.2.1.1).
fn may_be_key_of(issuer: &X509<'_>, subject: &X509<'_>) -> bool {
    let wanted = subject
        .extension(AUTHORITY_KEY_IDENTIFIER)
        .and_then(|identifier| der::Reader::new(der::only(identifier, der::SEQUENCE)?).optional(der::CONTEXT));
    let own = issuer.extension(SUBJECT_KEY_IDENTIFIER).and_then(|identifier| der::only(identifier, der::OCTET_STRING));
    wanted.is_none_or(|wanted| own.is_none_or(|own| wanted == own))
}

/// The certificates that a path may have; webpki takes eight.
const DEPTH: usize = 16;
