//! Channel binding: what ties the password's proof to this TLS connection, so that whoever stands in between can't pass it on.

use anyhow::{Context as _, Result, bail};
use pkcs1::RsaPssParamsOwned;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::oid::db::{rfc5912, rfc8410};
use x509_cert::der::{Decode as _, Encode as _};

/// The binding of type `tls-server-end-point`.
pub(crate) struct Binding {
    /// The hash of the server's certificate.
    pub(crate) data: Vec<u8>,
    /// The name of the hash.
    pub(crate) hash: &'static str,
}

/// The hash of a certificate, DER, by the hash of its signature algorithm (RFC 5929 section 4.1). That has SHA-256 in the place of MD5 and
/// SHA-1; certificates with these are not verified in the first place.
pub(crate) fn tls_server_end_point(certificate: &[u8]) -> Result<Binding> {
    let certificate_of_server = CertificateInner::<Raw>::from_der(certificate);
    let signature =
        certificate_of_server.context("the server's certificate can't be read")?.signature_algorithm().clone();
    let hash = match signature.oid {
        // Here the hash is a parameter.
        rfc5912::ID_RSASSA_PSS => {
            let parameters =
                signature.parameters.context("the signature of the server's certificate has no parameters")?;
            let parameters = parameters.to_der()?;
            RsaPssParamsOwned::from_der(&parameters).context("the parameters of RSA-PSS can't be read")?.hash.oid
        }
        other => other,
    };
    let (data, hash) = match hash {
        oid if SHA_256.contains(&oid) => (Sha256::digest(certificate).to_vec(), "SHA-256"),
        oid if SHA_384.contains(&oid) => (Sha384::digest(certificate).to_vec(), "SHA-384"),
        oid if SHA_512.contains(&oid) => (Sha512::digest(certificate).to_vec(), "SHA-512"),
        rfc8410::ID_ED_25519 => bail!(
            "the server's certificate is signed by Ed25519, for which RFC 5929 has no channel binding: give the server a \
             certificate that an authority with an RSA or ECDSA key signed"
        ),
        other => bail!("the server's certificate is signed by {other}: no channel binding is known for that"),
    };
    Ok(Binding { data, hash })
}

const SHA_256: [ObjectIdentifier; 3] =
    [rfc5912::ID_SHA_256, rfc5912::SHA_256_WITH_RSA_ENCRYPTION, rfc5912::ECDSA_WITH_SHA_256];

const SHA_384: [ObjectIdentifier; 3] =
    [rfc5912::ID_SHA_384, rfc5912::SHA_384_WITH_RSA_ENCRYPTION, rfc5912::ECDSA_WITH_SHA_384];

const SHA_512: [ObjectIdentifier; 3] =
    [rfc5912::ID_SHA_512, rfc5912::SHA_512_WITH_RSA_ENCRYPTION, rfc5912::ECDSA_WITH_SHA_512];
