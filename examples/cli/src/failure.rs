//! What goes wrong, and the exit code that says so.

use std::fmt;

use crate::bindings::guest::tls::types;
use crate::net::Broken;

/// The result of what can fail for good.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why the command ends.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What was wrong, in which input, what to do.
    message: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Network,
    Usage,
    File,
    Certificate,
}

impl Failure {
    /// The network or TLS failed: exit code 1.
    pub(crate) fn network(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), kind: Kind::Network }
    }

    /// The command line is wrong: exit code 2, as clap's own.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), kind: Kind::Usage }
    }

    /// A file can't be read, or is wrong: exit code 3.
    pub(crate) fn file(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), kind: Kind::File }
    }

    /// What ended a TLS connection: exit code 4 where the peer's certificate is not accepted, else 1.
    pub(crate) fn tls(error: &types::Error) -> Failure {
        let kind = if is_certificate(error.code) { Kind::Certificate } else { Kind::Network };
        Failure { message: format!("{} ({})", error.message, code_name(error.code)), kind }
    }

    /// With what was being done, before it.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Failure {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// What the process says by its exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Network => 1,
            Kind::Usage => 2,
            Kind::File => 3,
            Kind::Certificate => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Failure {
        Failure::network(format!("the connection failed: {broken}"))
    }
}

/// All that is wrong, in one line.
pub(crate) fn joined(errors: &[types::Error]) -> String {
    errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// The name that Node and OpenSSL have for a version.
pub(crate) fn version_name(version: types::ProtocolVersion) -> &'static str {
    match version {
        types::ProtocolVersion::Tls12 => "TLSv1.2",
        types::ProtocolVersion::Tls13 => "TLSv1.3",
    }
}

/// The name that the contract has for it, in one word, for example `CertHasExpired`.
pub(crate) fn variant_name(code: types::ErrorCode) -> String {
    // The generated names are of the form `ErrorCode::CertHasExpired`.
    let name = format!("{code:?}");
    name.rsplit(':').next().unwrap_or_default().to_string()
}

/// The name that Node and OpenSSL have for it, for example `CERT_HAS_EXPIRED`.
pub(crate) fn code_name(code: types::ErrorCode) -> String {
    variant_name(code).chars().enumerate().fold(String::new(), |mut spelled, (index, letter)| {
        if index > 0 && letter.is_ascii_uppercase() {
            spelled.push('_');
        }
        spelled.push(letter.to_ascii_uppercase());
        spelled
    })
}

/// Whether it was this side that did not accept the other one's certificate.
fn is_certificate(code: types::ErrorCode) -> bool {
    use types::ErrorCode::*;
    matches!(
        code,
        DepthZeroSelfSignedCert
            | SelfSignedCertInChain
            | UnableToGetIssuerCert
            | UnableToGetIssuerCertLocally
            | UnableToVerifyLeafSignature
            | CertHasExpired
            | CertNotYetValid
            | CertRevoked
            | CertSignatureFailure
            | InvalidCa
            | PathLengthExceeded
            | InvalidPurpose
            | CertUntrusted
            | UnableToGetCrl
            | CrlHasExpired
            | CrlNotYetValid
            | CrlSignatureFailure
            | KeyusageNoCrlSign
            | UnhandledCriticalCrlExtension
            | ErrTlsCertAltnameInvalid
    )
}
