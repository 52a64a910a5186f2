//! Trust anchors (rows O4, O25 and M10).

use std::sync::OnceLock;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::pem;
use crate::certificate::{self, X509};
use crate::error::{Error, ErrorCode};

/// The anchors that chains of peers must lead to.
#[derive(Debug)]
pub(crate) enum Roots {
    /// Mozilla's, as of the build.
    Mozilla,
    /// The caller's own, which replace Mozilla's.
    Own {
        /// All certificates that were given.
        certificates: Vec<CertificateDer<'static>>,
        /// Those that a chain may end in.
        anchors: Vec<TrustAnchor<'static>>,
        /// Those that only help to get there.
        intermediates: Vec<CertificateDer<'static>>,
        /// Whether all of them are anchors.
        allow_partial_trust_chain: bool,
        /// Whether they stand beside Mozilla's, which are among them.
        beside_mozilla: bool,
    },
}

/// Mozilla's roots as of the build, in PEM (row M10).
pub fn root_certificates() -> Vec<String> {
    TLS_SERVER_ROOT_CERTS.iter().map(|root| certificate::pem(root)).collect()
}

impl Roots {
    /// Mozilla's where no file is given, else all certificates of the files, in PEM or DER.
    ///
    /// A certificate that some other one issued is an anchor only where `allow_partial_trust_chain` says so; else it may stand
    /// between a peer's and an anchor.
    pub(super) fn new(files: &[Vec<u8>], allow_partial_trust_chain: bool) -> Result<Self, Vec<Error>> {
        if files.is_empty() {
            return Ok(Self::Mozilla);
        }
        let mut certificates = Vec::new();
        let mut anchors = Vec::new();
        let mut intermediates = Vec::new();
        let mut errors = Vec::new();
        for (file, number) in files.iter().zip(1..) {
            match certificates_of(file) {
                Ok(more) => {
                    for (certificate, anchor) in more {
                        match allow_partial_trust_chain || is_self_issued(&certificate) {
                            true => anchors.push(anchor),
                            false => intermediates.push(certificate.clone()),
                        }
                        certificates.push(certificate);
                    }
                }
                Err(mut error) => {
                    error.message = format!("CA file {number} of {}: {}", files.len(), error.message);
                    errors.push(error);
                }
            }
        }
        match errors.is_empty() {
            true => {
                Ok(Self::Own { certificates, anchors, intermediates, allow_partial_trust_chain, beside_mozilla: false })
            }
            false => Err(errors),
        }
    }

    /// These, and besides them the certificates of authorities that came with a PKCS#12 file (row O3).
    pub(super) fn with(self, authorities: Vec<CertificateDer<'static>>) -> Result<Self, Vec<Error>> {
        if authorities.is_empty() {
            return Ok(self);
        }
        let (mut anchors, mut certificates) = (self.anchors().to_vec(), self.certificates().to_vec());
        let mut errors = Vec::new();
        for authority in authorities {
            match anchor_of(&authority) {
                Ok(anchor) => anchors.push(anchor),
                Err(error) => errors.push(error),
            }
            certificates.push(authority);
        }
        match errors.is_empty() {
            true => Ok(Self::Own {
                certificates,
                anchors,
                intermediates: self.intermediates().to_vec(),
                allow_partial_trust_chain: self.allow_partial_trust_chain(),
                beside_mozilla: !self.are_own(),
            }),
            false => Err(errors),
        }
    }

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

    /// Whether a certificate that some other one issued can be an anchor.
    pub(crate) fn allow_partial_trust_chain(&self) -> bool {
        matches!(self, Self::Own { allow_partial_trust_chain: true, .. })
    }
}

fn certificates_of(file: &[u8]) -> Result<Vec<(CertificateDer<'static>, TrustAnchor<'static>)>, Error> {
    let with_anchor = |certificate| anchor_of(&certificate).map(|anchor| (certificate, anchor));
    pem::certificates(file)?.into_iter().map(with_anchor).collect()
}

fn anchor_of(certificate: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, Error> {
    webpki::anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned()).map_err(|cause| {
        Error::new(ErrorCode::ErrTlsInvalidCertificate, format!("A certificate can't be a trust anchor: {cause}."))
    })
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    X509::new(certificate).is_some_and(|x509| x509.is_self_issued())
}

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
