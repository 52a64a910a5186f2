//! Certificates and their private keys (rows O1, O2).

use std::sync::Arc;

use rustls::crypto::KeyProvider;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, Error as TlsError, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::pem;
use crate::error::{Error, ErrorCode};

/// All certificates of a context, each with its chain and its key. Chooses the one that suits the peer.
#[derive(Debug, Default)]
pub(crate) struct Identities(Vec<Arc<CertifiedKey>>);

impl Identities {
    /// Reads certificates and keys, and puts together what belongs together. `certs` and `keys` are files in PEM or DER.
    pub(super) fn new(
        certs: &[Vec<u8>],
        keys: &[Zeroizing<Vec<u8>>],
        provider: &'static dyn KeyProvider,
    ) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let chains: Vec<_> = read_all(certs, pem::certificates, &mut errors);
        let keys: Vec<_> = read_all(keys, pem::private_keys, &mut errors).into_iter().flatten().collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        match pair_up(chains, keys, provider) {
            (identities, errors) if errors.is_empty() => Ok(Self(identities)),
            (_, errors) => Err(errors),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the keys can sign by one of these schemes.
    pub(crate) fn can_sign(&self, schemes: &[SignatureScheme]) -> bool {
        self.choose(schemes, None).is_some()
    }

    /// What a server shows to this client.
    pub(crate) fn resolve_for_client(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Where none suits, the first goes on to the check that says what is not in common.
        self.choose(hello.signature_schemes(), Some(hello.cipher_suites())).or(self.0.first()).cloned()
    }

    /// What a client shows to a server that knows these schemes.
    pub(crate) fn resolve_for_server(&self, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.choose(schemes, None).cloned()
    }

    /// The first that suits the peer's signature schemes and suites.
    fn choose(&self, schemes: &[SignatureScheme], suites: Option<&[CipherSuite]>) -> Option<&Arc<CertifiedKey>> {
        self.0.iter().find(|identity| {
            identity.key.choose_scheme(schemes).is_some()
                && suites.is_none_or(|suites| suites.iter().any(|suite| suits(*suite, identity.key.algorithm())))
        })
    }
}

/// Reads each file by `read`, and notes what is wrong with it under the number of the file.
fn read_all<T>(files: &[impl AsRef<[u8]>], read: fn(&[u8]) -> Result<T, Error>, errors: &mut Vec<Error>) -> Vec<T> {
    let count = files.len();
    files
        .iter()
        .zip(1..)
        .filter_map(|(file, number)| match read(file.as_ref()) {
            Ok(value) => Some(value),
            Err(mut error) => {
                if count > 1 {
                    error.message = format!("File {number} of {count}: {}", error.message);
                }
                errors.push(error);
                None
            }
        })
        .collect()
}

/// Gives each chain the key that its leaf was made for.
fn pair_up(
    chains: Vec<Vec<CertificateDer<'static>>>,
    keys: Vec<PrivateKeyDer<'static>>,
    provider: &'static dyn KeyProvider,
) -> (Vec<Arc<CertifiedKey>>, Vec<Error>) {
    let mut errors = Vec::new();
    let mut signers = Vec::new();
    for (key, number) in keys.into_iter().zip(1..) {
        match provider.load_private_key(key) {
            Ok(signer) => signers.push((number, signer, false)),
            Err(error) => {
                // The provider says why in words; other errors it has none.
                let why = match &error {
                    TlsError::General(why) => why.as_str(),
                    _ => "it is not readable",
                };
                errors.push(Error::new(ErrorCode::ErrTlsInvalidKey, format!("Private key {number}: {why}.")));
            }
        }
    }
    if !errors.is_empty() {
        return (Vec::new(), errors);
    }

    let mut identities = Vec::new();
    for (chain, number) in chains.into_iter().zip(1..) {
        let matching = signers
            .iter_mut()
            .find(|(_, signer, _)| CertifiedKey::new(chain.clone(), signer.clone()).keys_match().is_ok());
        match matching {
            Some((_, signer, used)) => {
                *used = true;
                identities.push(Arc::new(CertifiedKey::new(chain, signer.clone())));
            }
            None => errors.push(mismatch(format!(
                "Certificate {number} has no private key: none of the {} given has its public key.",
                signers.len()
            ))),
        }
    }
    // A wrong pair is one mistake: it is told once, by its certificate.
    if errors.is_empty() {
        errors.extend(
            signers.into_iter().filter(|(_, _, used)| !used).map(|(number, ..)| {
                mismatch(format!("Private key {number} belongs to none of the certificates given."))
            }),
        );
    }
    (identities, errors)
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorCode::ErrOsslX509KeyValuesMismatch, message)
}

/// Whether a key of this algorithm can serve the suite. A suite of TLS 1.3 suits every key.
fn suits(suite: CipherSuite, algorithm: SignatureAlgorithm) -> bool {
    use CipherSuite as Suite;
    match suite {
        Suite::TLS13_AES_128_GCM_SHA256 | Suite::TLS13_AES_256_GCM_SHA384 | Suite::TLS13_CHACHA20_POLY1305_SHA256 => {
            true
        }
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm == SignatureAlgorithm::RSA,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm != SignatureAlgorithm::RSA,
        _ => false,
    }
}
