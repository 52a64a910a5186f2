//! Trust anchors (row O4).

use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::pem;
use crate::error::{Error, ErrorCode};

/// The anchors that chains of peers must lead to.
#[derive(Debug)]
pub(crate) enum Roots {
    /// Mozilla's, as of the build.
    Mozilla,
    /// The caller's own, which replace Mozilla's.
    Own(Vec<TrustAnchor<'static>>),
    /// Mozilla's, and more.
    More(Vec<TrustAnchor<'static>>),
}

impl Roots {
    /// Mozilla's where no file is given, else all certificates of the files, in PEM or DER.
    pub(super) fn new(files: &[Vec<u8>]) -> Result<Self, Vec<Error>> {
        if files.is_empty() {
            return Ok(Self::Mozilla);
        }
        let mut anchors = Vec::new();
        let mut errors = Vec::new();
        for (file, number) in files.iter().zip(1..) {
            match anchors_of(file) {
                Ok(more) => anchors.extend(more),
                Err(mut error) => {
                    error.message = format!("CA file {number} of {}: {}", files.len(), error.message);
                    errors.push(error);
                }
            }
        }
        match errors.is_empty() {
            true => Ok(Self::Own(anchors)),
            false => Err(errors),
        }
    }

    /// These, and besides them the certificates of authorities that came with a PKCS#12 file (row O3).
    pub(super) fn with(self, authorities: &[CertificateDer<'_>]) -> Result<Self, Vec<Error>> {
        let (mut anchors, mut errors) = (self.anchors().to_vec(), Vec::new());
        for authority in authorities {
            match anchor(authority) {
                Ok(anchor) => anchors.push(anchor),
                Err(error) => errors.push(error),
            }
        }
        match (errors.is_empty(), authorities.is_empty()) {
            (false, _) => Err(errors),
            (true, true) => Ok(self),
            (true, false) => Ok(Self::More(anchors)),
        }
    }

    /// Whether they are the caller's own.
    pub(crate) fn are_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// The anchors themselves.
    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        match self {
            Self::Mozilla => webpki_roots::TLS_SERVER_ROOTS,
            Self::Own(anchors) | Self::More(anchors) => anchors,
        }
    }
}

fn anchors_of(file: &[u8]) -> Result<Vec<TrustAnchor<'static>>, Error> {
    pem::certificates(file)?.iter().map(anchor).collect()
}

fn anchor(certificate: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, Error> {
    webpki::anchor_from_trusted_cert(certificate).map(|anchor| anchor.to_owned()).map_err(|cause| {
        Error::new(ErrorCode::ErrTlsInvalidCertificate, format!("A certificate can't be a trust anchor: {cause}."))
    })
}
