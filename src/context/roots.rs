//! Trust anchors (rows O4, O25 and M10).

use std::sync::OnceLock;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::pem::{self, Found};
use super::trusted::{Purposes, Trust};
use crate::certificate::webpki::words;
use crate::certificate::{self, X509, der, names};
use crate::error::{Error, ErrorCode};

/// The anchors that chains of peers must lead to.
#[derive(Debug)]
pub(crate) enum Roots {
    /// Mozilla's, as of the build.
    Mozilla,
    /// The caller's own, which replace Mozilla's or stand beside them.
    Own {
        /// All certificates that were given.
        certificates: Vec<CertificateDer<'static>>,
        /// Those that a chain may end in.
        anchors: Vec<TrustAnchor<'static>>,
        /// Those that only help to get there.
        intermediates: Vec<CertificateDer<'static>>,
        /// Those whose names and keys stand in no path, whoever sends them and whoever signed them.
        rejected: Vec<CertificateDer<'static>>,
        /// Whether they stand beside Mozilla's, which are among them.
        beside_mozilla: bool,
    },
}

/// The certificates that the caller trusts, each with what it is trusted for.
#[derive(Default)]
pub(super) struct Authorities {
    list: Vec<Authority>,
    replace_mozilla: bool,
    /// What the user should know: each certificate that is left out, and why.
    pub(super) warnings: Vec<String>,
}

struct Authority {
    certificate: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    purposes: Purposes,
}

/// Mozilla's roots as of the build, in PEM (row M10).
pub fn root_certificates() -> Vec<String> {
    TLS_SERVER_ROOT_CERTS.iter().map(|root| certificate::pem::written(root)).collect()
}

impl Authorities {
    /// All certificates of the files, in PEM or DER.
    ///
    /// One that can't be read is left out, with a warning, where its file has others: Node takes those before it, without a word.
    /// Trusting fewer CAs than were given lets nobody in.
    ///
    /// # Errors
    /// One for each file of which nothing is left.
    pub(super) fn read(files: &[Vec<u8>]) -> Result<Self, Vec<Error>> {
        let mut authorities = Self { replace_mozilla: !files.is_empty(), ..Self::default() };
        let mut errors = Vec::new();
        for (file, number) in files.iter().zip(1..) {
            let found = pem::all(file).unwrap_or_else(|error| vec![Err(error)]);
            let found = found.into_iter().map(|found| found.and_then(Authority::new));
            let (good, wrong): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
            let place = format!("CA file {number} of {}", files.len());
            let mut wrong = wrong.into_iter().filter_map(Result::err);
            match good.is_empty() {
                true => errors.extend(wrong.next().map(|mut error| {
                    error.message = format!("{place}: {}", error.message);
                    error
                })),
                false => {
                    let left_out = |error: Error| {
                        format!("{place}: {} It is not trusted; the others of the file are.", error.message)
                    };
                    authorities.warnings.extend(wrong.by_ref().take(WARNINGS).map(left_out));
                    match wrong.count() {
                        0 => {}
                        more => {
                            authorities.warnings.push(format!("{place}: {more} more are left out in the same way."))
                        }
                    }
                    authorities.list.extend(good.into_iter().flatten());
                }
            }
        }
        if errors.is_empty() { Ok(authorities) } else { Err(errors) }
    }

    /// Adds the certificates of authorities that came with PKCS#12 files (row O3).
    pub(super) fn add(&mut self, certificates: Vec<CertificateDer<'static>>) {
        for certificate in certificates {
            let name = "A CA's certificate of a PKCS#12 file".to_owned();
            match Authority::new(Found { certificate, purposes: Purposes::default(), name }) {
                Ok(authority) => self.list.push(authority),
                Err(error) => self.warnings.push(format!("{} It is not trusted.", error.message)),
            }
        }
    }

    /// The anchors for one purpose: Mozilla's where there are no own ones, or none that replace them.
    ///
    /// A certificate that some other one issued is an anchor only where `allow_partial_trust_chain` or its own file says so; else
    /// it may stand between a peer's and an anchor.
    ///
    /// Whom one file rejects, no other one makes good, in whatever order they come: what is refused stays refused.
    pub(super) fn roots(&self, allow_partial_trust_chain: bool, purpose: fn(&Purposes) -> Trust) -> Roots {
        if self.list.is_empty() && !self.replace_mozilla {
            return Roots::Mozilla;
        }
        let (mut certificates, mut anchors) = match self.replace_mozilla {
            true => (Vec::new(), Vec::new()),
            false => (Roots::Mozilla.certificates().to_vec(), Roots::Mozilla.anchors().to_vec()),
        };
        let mut intermediates = Vec::new();
        let rejected = self.list.iter().filter(|authority| purpose(&authority.purposes) == Trust::Rejected);
        let rejected: Vec<_> = rejected.map(|authority| authority.certificate.clone()).collect();
        for Authority { certificate, anchor, purposes } in &self.list {
            if has_name_and_key_of_one(&rejected, certificate) {
                continue;
            }
            match purpose(purposes) {
                Trust::Rejected => continue,
                Trust::Trusted => anchors.push(anchor.clone()),
                Trust::Usual if allow_partial_trust_chain || is_self_issued(certificate) => {
                    anchors.push(anchor.clone())
                }
                Trust::Usual => intermediates.push(certificate.clone()),
            }
            certificates.push(certificate.clone());
        }
        let beside_mozilla = !self.replace_mozilla;
        Roots::Own { certificates, anchors, intermediates, rejected, beside_mozilla }
    }
}

impl Authority {
    fn new(Found { certificate, purposes, name }: Found) -> Result<Self, Error> {
        let anchor = webpki::anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned());
        let anchor = anchor.map_err(|cause| {
            // webpki says of this one that it is no DER.
            let why = match X509::new(&certificate).is_some_and(|x509| x509.version == 2) {
                true => "it is of version 2, and only versions 1 and 3 are read (RFC 5280 section 4.1.2.1)",
                false => words(&cause),
            };
            Error::new(ErrorCode::ErrTlsInvalidCertificate, format!("{name}, can't be a trust anchor: {why}."))
        })?;
        Ok(Self { certificate, anchor, purposes })
    }
}

impl Roots {
    /// Whether they are only the caller's own.
    pub(crate) fn are_own(&self) -> bool {
        matches!(self, Self::Own { beside_mozilla: false, .. })
    }

    /// The anchors themselves.
    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        static MOZILLA: OnceLock<Vec<TrustAnchor<'static>>> = OnceLock::new();
        match self {
            Self::Mozilla => MOZILLA.get_or_init(|| {
                TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| webpki::anchor_from_trusted_cert(root).ok()).collect()
            }),
            Self::Own { anchors, .. } => anchors,
        }
    }

    /// All certificates that were given, anchors or not.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Mozilla => TLS_SERVER_ROOT_CERTS,
            Self::Own { certificates, .. } => certificates,
        }
    }

    /// Certificates that are no anchors, and may stand between a peer's and one.
    pub(crate) fn intermediates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Mozilla => &[],
            Self::Own { intermediates, .. } => intermediates,
        }
    }

    /// Whether no path may have this certificate: one with its name and its key is rejected.
    pub(crate) fn rejects(&self, certificate: &CertificateDer<'_>) -> bool {
        match self {
            Self::Mozilla => false,
            Self::Own { rejected, .. } => has_name_and_key_of_one(rejected, certificate),
        }
    }

    /// Whether a path may end in this certificate: one of the anchors has its name and its key.
    pub(crate) fn is_anchor(&self, x509: &X509<'_>) -> bool {
        self.anchors().iter().any(|anchor| {
            der::only(x509.subject, der::SEQUENCE) == Some(anchor.subject.as_ref())
                && der::only(x509.spki, der::SEQUENCE) == Some(anchor.subject_public_key_info.as_ref())
        })
    }
}

/// Whether one of these has the name and the key of this certificate. Its bytes say less: whoever has a certificate with an ECDSA
/// signature can write another one that is as good, and a CA may be certified by several others.
fn has_name_and_key_of_one(certificates: &[CertificateDer<'_>], certificate: &CertificateDer<'_>) -> bool {
    if certificates.is_empty() {
        return false;
    }
    let Some(wanted) = X509::new(certificate) else {
        return false;
    };
    certificates
        .iter()
        .filter_map(|certificate| X509::new(certificate))
        .any(|x509| x509.spki == wanted.spki && names::are_equal(x509.subject, wanted.subject))
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    X509::new(certificate).is_some_and(|x509| x509.is_self_issued())
}

/// More warnings about one file than these would not help the reader.
const WARNINGS: usize = 8;

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::certificate::Certificate;

    #[test]
    fn every_root_of_mozilla_is_an_anchor_and_reads_back_from_pem() {
        let roots = Roots::Mozilla;
        assert!(roots.anchors().len() > 100);
        assert_eq!(roots.anchors().len(), TLS_SERVER_ROOT_CERTS.len());
        for (pem, root) in root_certificates().iter().zip(TLS_SERVER_ROOT_CERTS) {
            assert_eq!(&CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"), root);
            let read = Certificate::new(root);
            assert!(read.ca && is_self_issued(root), "{:?}", read.subject);
        }
    }
}
