//! Options → configuration: what a secure context is made of, and the context (row M2).

mod bindings;
mod identity;
pub mod names;
mod pem;
mod policy;
mod roots;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ProtocolVersion, SupportedProtocolVersion};
use zeroize::Zeroizing;

use crate::engine::ServerSessions;
use crate::error::Error;
use bindings::Bindings;
pub(crate) use identity::Identities;
use policy::Policy;
pub(crate) use roots::Roots;

/// What a context is made of. All of it may be left out.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Files with certificate chains, leaf first, in PEM or DER (row O2).
    pub certs: Vec<Vec<u8>>,
    /// Files with private keys, in PEM or DER (row O1).
    pub keys: Vec<Zeroizing<Vec<u8>>>,
    /// Files with trust anchors, in PEM or DER; they replace Mozilla's roots (row O4).
    pub cas: Vec<Vec<u8>>,
    /// Cipher suites in order of preference (row O6). Default: all, ChaCha20-Poly1305 first.
    pub ciphers: Option<String>,
    /// Groups in order of preference (row O8). Default: all, X25519MLKEM768 first.
    pub groups: Option<String>,
    /// The lowest version (row O10). Default: TLS 1.2.
    pub min_version: Option<Version>,
    /// The highest version (row O10). Default: TLS 1.3.
    pub max_version: Option<Version>,
    /// How long a session lives, in seconds (row O18). Default: 300.
    pub session_timeout: Option<u32>,
    /// What sessions are bound to (row O18). Default: nothing.
    pub session_id_context: Vec<u8>,
    /// What seals tickets, shared by a fleet (row O19). Default: random, and renewed.
    pub ticket_keys: Option<Zeroizing<[u8; 48]>>,
    /// Where the time comes from. Default: the system's clock.
    pub time: Option<Arc<dyn TimeProvider>>,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Credentials and policy, immutable and shared by any number of connections (row M2).
#[derive(Debug)]
pub struct Context {
    identities: Arc<Identities>,
    roots: Arc<Roots>,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    time: Arc<dyn TimeProvider>,
    session_timeout: u32,
    bindings: Bindings,
    sessions: Arc<ServerSessions>,
}

impl Context {
    /// Makes a context, or says all that is wrong with the options.
    pub fn new(options: &ContextOptions) -> Result<Self, Vec<Error>> {
        let policy = Policy::new(
            options.ciphers.as_deref(),
            options.groups.as_deref(),
            options.min_version,
            options.max_version,
        );
        let roots = Roots::new(&options.cas);
        let identities =
            Identities::new(&options.certs, &options.keys, crate::provider::crypto_provider().key_provider);
        match (policy, roots, identities) {
            (Ok(policy), Ok(roots), Ok(identities)) => Ok(Self {
                identities: Arc::new(identities),
                roots: Arc::new(roots),
                provider: Arc::new(policy.provider),
                versions: policy.versions,
                time: options.time.clone().unwrap_or_else(|| Arc::new(DefaultTimeProvider)),
                session_timeout: options.session_timeout.unwrap_or(300),
                bindings: Bindings::new(options),
                sessions: Arc::new(ServerSessions::new(options.ticket_keys.as_deref())),
            }),
            (policy, roots, identities) => {
                Err([policy.err(), roots.err(), identities.err()].into_iter().flatten().flatten().collect())
            }
        }
    }

    pub(crate) fn identities(&self) -> &Arc<Identities> {
        &self.identities
    }

    pub(crate) fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn versions(&self) -> &[&'static SupportedProtocolVersion] {
        &self.versions
    }

    /// How long a session lives, in seconds (row O18).
    pub(crate) fn session_timeout(&self) -> u32 {
        self.session_timeout
    }

    pub(crate) fn honor_cipher_order(&self) -> bool {
        true
    }

    /// The sessions of servers with this context.
    pub(crate) fn sessions(&self) -> &Arc<ServerSessions> {
        &self.sessions
    }

    /// What a server's sessions are bound to.
    pub(crate) fn server_binding(&self) -> [u8; 32] {
        self.bindings.server()
    }

    /// What a client's sessions are bound to.
    pub(crate) fn client_binding(&self, reject_unauthorized: bool) -> [u8; 32] {
        self.bindings.client(reject_unauthorized)
    }

    /// Seconds since 1970, and 0 without a clock: then certificates are not valid either.
    pub(crate) fn now(&self) -> u64 {
        self.time.current_time().map_or(0, |now| now.as_secs())
    }

    pub(crate) fn time(&self) -> &Arc<dyn TimeProvider> {
        &self.time
    }
}

impl Version {
    pub(crate) fn from_rustls(version: ProtocolVersion) -> Option<Self> {
        match version {
            ProtocolVersion::TLSv1_2 => Some(Self::Tls12),
            ProtocolVersion::TLSv1_3 => Some(Self::Tls13),
            _ => None,
        }
    }

    pub(crate) fn to_rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorCode;

    const CERT: &[u8] = include_bytes!("../engine/tests/fixtures/server.pem");
    const KEY: &[u8] = include_bytes!("../engine/tests/fixtures/server.key.pem");
    const OTHER_KEY: &[u8] = include_bytes!("../engine/tests/fixtures/other.key.pem");
    const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

    fn options(certs: &[&[u8]], keys: &[&[u8]], cas: &[&[u8]]) -> ContextOptions {
        ContextOptions {
            certs: certs.iter().map(|cert| cert.to_vec()).collect(),
            keys: keys.iter().map(|key| key.to_vec().into()).collect(),
            cas: cas.iter().map(|ca| ca.to_vec()).collect(),
            ..ContextOptions::default()
        }
    }

    #[test]
    fn files_that_do_not_do_are_told_by_what_is_wrong_with_them() {
        use ErrorCode::*;
        type Row = (
            &'static str,
            &'static [&'static [u8]],
            &'static [&'static [u8]],
            &'static [&'static [u8]],
            &'static [(ErrorCode, &'static str)],
        );
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("a certificate and its key", &[CERT], &[KEY], &[], &[]),
            ("nothing at all", &[], &[], &[], &[]),
            ("a certificate and another key", &[CERT], &[OTHER_KEY], &[], &[(ErrOsslX509KeyValuesMismatch, "Certificate 1 has no private key")]),
            ("a certificate without a key", &[CERT], &[], &[], &[(ErrOsslX509KeyValuesMismatch, "Certificate 1")]),
            ("a key without a certificate", &[], &[KEY], &[], &[(ErrOsslX509KeyValuesMismatch, "Private key 1")]),
            ("a key in place of a certificate", &[KEY], &[], &[], &[(ErrTlsInvalidCertificate, "found PRIVATE KEY")]),
            ("a certificate in place of a key", &[], &[CERT], &[], &[(ErrTlsInvalidKey, "found CERTIFICATE")]),
            ("an encrypted key", &[], &[ENCRYPTED], &[], &[(ErrTlsInvalidKey, "not encrypted")]),
            ("no certificate", &[b"hello"], &[], &[], &[(ErrTlsInvalidCertificate, "neither PEM nor")]),
            ("no key", &[], &[b"hello"], &[], &[(ErrTlsInvalidKey, "neither PEM nor")]),
            ("PEM that does not end", &[b"-----BEGIN CERTIFICATE-----\nAAAA\n"], &[], &[], &[(ErrTlsInvalidCertificate, "no -----END line")]),
            ("PEM that is not base64", &[b"-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n"], &[], &[], &[(ErrTlsInvalidCertificate, "not base64")]),
            ("PEM with what is no certificate", &[b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], &[], &[], &[(ErrTlsInvalidCertificate, "Certificate 1 of the file")]),
            ("the second CA file is wrong", &[], &[], &[CERT, b"x"], &[(ErrTlsInvalidCertificate, "CA file 2 of 2")]),
            ("the second of two certificates is wrong", &[CERT, b"x"], &[KEY], &[], &[(ErrTlsInvalidCertificate, "File 2 of 2")]),
            ("all that is wrong is said", &[b"x"], &[b"x"], &[b"x"], &[(ErrTlsInvalidCertificate, "CA file"), (ErrTlsInvalidCertificate, "PEM"), (ErrTlsInvalidKey, "PEM")]),
        ];
        for (what, certs, keys, cas, expected) in rows {
            let errors = Context::new(&options(certs, keys, cas)).err().unwrap_or_default();
            let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
            assert_eq!(codes, expected.iter().map(|row| row.0).collect::<Vec<_>>(), "{what}: {errors:?}");
            for (error, (_, text)) in errors.iter().zip(*expected) {
                assert!(error.message.contains(text), "{what}: {:?} does not say {text:?}", error.message);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_files_make_a_context_or_errors(
            file in proptest::collection::vec(any::<u8>(), 0..200),
            place in 0usize..800,
            byte: u8,
            list in "[a-zA-Z0-9:, _-]{0,40}",
        ) {
            let mut changed = CERT.to_vec();
            if let Some(at) = changed.get_mut(place) {
                *at = byte;
            }
            for cert in [&file[..], &changed] {
                let mut options = options(&[cert], &[&file], &[cert]);
                options.ciphers = Some(list.clone());
                options.groups = Some(list.clone());
                prop_assert!(Context::new(&options).is_err());
            }
        }
    }
}
