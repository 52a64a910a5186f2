//! The signature of a certificate or of a revocation list (RFC 5280 sections 4.1.1.3 and 5.1.1.3).

use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm};

use crate::certificate::der;

/// What is signed, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) tbs: &'a [u8],
    /// The content of the `AlgorithmIdentifier` that is signed.
    pub(super) signed_algorithm: &'a [u8],
    /// The content of the `AlgorithmIdentifier` beside the signature.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// Why a signature shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadSignature {
    /// The signer's key is not readable.
    UnreadableKey,
    /// The two names of the algorithm differ.
    TwoAlgorithms,
    /// The algorithm is not known, or is for another kind of key.
    Algorithm,
    /// It is not this key's signature of these bytes.
    Wrong,
}

impl Signed<'_> {
    /// Checks the signature by the key of this `SubjectPublicKeyInfo`.
    pub(super) fn verify(
        self,
        spki: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> Result<(), BadSignature> {
        let (key_algorithm, key) = public_key(spki).ok_or(BadSignature::UnreadableKey)?;
        if self.signed_algorithm != self.signature_algorithm {
            return Err(BadSignature::TwoAlgorithms);
        }
        let is = |ours: AlgorithmIdentifier, theirs: &[u8]| ours.as_ref() == theirs;
        let mut fitting = algorithms
            .iter()
            .filter(|algorithm| {
                is(algorithm.signature_alg_id(), self.signature_algorithm)
                    && is(algorithm.public_key_alg_id(), key_algorithm)
            })
            .peekable();
        if fitting.peek().is_none() {
            return Err(BadSignature::Algorithm);
        }
        match fitting.any(|algorithm| algorithm.verify_signature(key, self.tbs, self.signature).is_ok()) {
            true => Ok(()),
            false => Err(BadSignature::Wrong),
        }
    }
}

impl BadSignature {
    /// A sentence about what was signed and who signed it.
    pub(super) fn sentence(self, subject: &str, signer: &str) -> String {
        match self {
            Self::UnreadableKey => format!("The public key of {signer} is not readable."),
            Self::TwoAlgorithms => {
                format!("{subject} names two algorithms for its signature (RFC 5280 sections 4.1.1.2 and 5.1.1.2).")
            }
            Self::Algorithm => format!(
                "{subject} is signed by an algorithm that is not supported, or that does not fit its issuer's key."
            ),
            Self::Wrong => format!("The signature of {subject} is wrong."),
        }
    }
}

/// The content of the algorithm identifier, and the key, of a `SubjectPublicKeyInfo`.
pub(super) fn public_key(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = der::Reader::new(der::only(spki, der::SEQUENCE)?);
    let algorithm = fields.expect(der::SEQUENCE)?;
    match fields.expect(der::BIT_STRING)? {
        [0, key @ ..] if fields.is_empty() => Some((algorithm, key)),
        _ => None,
    }
}
