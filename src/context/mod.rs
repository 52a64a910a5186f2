//! Options → configuration: what a secure context is made of, and the context (row M2).

/// Reads a file of `tests/fixtures`, which `make.sh` there made.
#[cfg(test)]
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("tests/fixtures/", $name))
    };
}

mod ber;
mod bindings;
mod ciphers;
mod compression;
mod crls;
mod dhparam;
mod identity;
mod keys;
pub mod names;
mod pbe;
mod pem;
mod pkcs12;
mod policy;
mod protocol;
mod roots;
mod secret;
mod sessions;
mod sigalgs;
mod trusted;

use std::fmt;
use std::sync::Arc;

use rustls::compress::{CertCompressor, CertDecompressor};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

use crate::engine::ServerSessions;
use crate::error::Error;
use crate::verify::VerifyOptions;
use bindings::Bindings;
pub use compression::CertificateCompression;
pub(crate) use crls::Crls;
pub(crate) use identity::Identities;
use policy::Policy;
use roots::Authorities;
pub(crate) use roots::Roots;
pub use roots::root_certificates;
pub use secret::{Secret, SecretFile};
use sessions::Sessions;
pub(crate) use sigalgs::sigalg_name;

/// What a context is made of. All of it may be left out.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Files with certificate chains, leaf first, in PEM or DER (row O2).
    pub certs: Vec<Vec<u8>>,
    /// Files with private keys, in PEM or DER, plain or encrypted (row O1).
    pub keys: Vec<SecretFile>,
    /// PKCS#12 files (row O3). Their keys come before `keys` where both suit a peer; their authorities are trusted besides `cas`, or
    /// besides Mozilla's roots.
    pub pfxs: Vec<SecretFile>,
    /// Files with trust anchors, in PEM or DER; they replace Mozilla's roots (row O4).
    pub cas: Vec<Vec<u8>>,
    /// Files with certificate revocation lists, in PEM (any number) or DER (one) (row O5, RFC 5280 section 5).
    /// Default: none, and no certificate is looked up in one.
    ///
    /// Where there is any, every certificate below a trust anchor needs a list by its issuer that is about it and
    /// in time. Of several, the newest counts; a delta list is added to the one that it is for (section 6.3.3).
    pub crls: Vec<Vec<u8>>,
    /// Whether a certificate of `cas` that is not signed by itself is a trust anchor (row O25). Default: no, it only helps to
    /// build the path to one that is.
    pub allow_partial_trust_chain: bool,
    /// Whether to accept peers' certificates that OpenSSL accepts and webpki does not (row K2). Default: no.
    ///
    /// It weakens the check, so leave it off where the peers' certificates can be replaced. With it, a path is also good where
    /// own code, younger and less tried than webpki, finds nothing wrong with it: certificates of version 1 as leaves; a
    /// certificate that is signed by itself and stands in `cas`, although it says that it is a CA; a server's name that is
    /// only in the common name. Signatures, validity, usage, path lengths and name constraints are checked all the same.
    pub compat: bool,
    /// Cipher suites in OpenSSL's cipher-list language (row O6). Default: all, ChaCha20-Poly1305 first.
    pub ciphers: Option<String>,
    /// Signature schemes that are accepted and used, in order of preference (row O7). Default: all.
    pub sigalgs: Option<String>,
    /// Groups in order of preference (row O8). Default: all, X25519MLKEM768 first.
    pub groups: Option<String>,
    /// Parameters of finite-field Diffie-Hellman, in PEM or DER: checked and not used (row O9).
    pub dhparam: Option<Vec<u8>>,
    /// OpenSSL's name of a method, which excludes `min_version` and `max_version` (row O10).
    pub secure_protocol: Option<String>,
    /// The lowest version (row O10). Default: TLS 1.2.
    pub min_version: Option<Version>,
    /// The highest version (row O10). Default: TLS 1.3.
    pub max_version: Option<Version>,
    /// Whether the server's order of suites wins over the client's (row O11). Default: true.
    pub honor_cipher_order: Option<bool>,
    /// True if TLS 1.2 without extended master secret is refused (RFC 7627). Default: false: such a connection is never resumed, and
    /// gives no key material and no Finished messages to bind something to it.
    pub require_ems: bool,
    /// How long a session may be resumed, in seconds, 1 to 604800 (row O18). Default: 300.
    pub session_timeout: Option<u32>,
    /// Sessions of a context with another one are not resumed; at most 32 bytes (row O18). Default: empty.
    pub session_id_context: Vec<u8>,
    /// The keys of session tickets, exactly 48 bytes, shared by the servers of a fleet (row O19). Default: random.
    pub ticket_keys: Option<Secret>,
    /// How certificates may be compressed, in order of preference (row O26). Default: not at all.
    pub certificate_compression: Vec<CertificateCompression>,
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
    client_roots: Arc<Roots>,
    crls: Crls,
    compat: bool,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    honor_cipher_order: bool,
    require_ems: bool,
    sessions: Sessions,
    certificate_compression: Vec<CertificateCompression>,
    warnings: Vec<String>,
    time: Arc<dyn TimeProvider>,
    bindings: Bindings,
    server_sessions: Arc<ServerSessions>,
}

impl Context {
    /// Makes a context, or says all that is wrong with the options.
    pub fn new(options: &ContextOptions) -> Result<Self, Vec<Error>> {
        let policy = Policy::new(options);
        let authorities = Authorities::read(&options.cas);
        let crls = Crls::new(&options.crls);
        let key_provider = crate::provider::crypto_provider().key_provider;
        let identities = Identities::new(&options.certs, &options.keys, &options.pfxs, key_provider);
        let dhparam = options.dhparam.as_deref().map(dhparam::check).transpose();
        let sessions =
            Sessions::new(options.session_timeout, &options.session_id_context, options.ticket_keys.as_ref());
        match (policy, authorities, crls, identities, dhparam, sessions) {
            (Ok(policy), Ok(mut authorities), Ok(crls), Ok((identities, more)), Ok(dhparam), Ok(sessions)) => {
                authorities.add(more);
                let roots = |purpose| Arc::new(authorities.roots(options.allow_partial_trust_chain, purpose));
                Ok(Self {
                    identities: Arc::new(match policy.schemes {
                        Some(schemes) => identities.restricted_to(schemes),
                        None => identities,
                    }),
                    roots: roots(|purposes| purposes.server_auth),
                    client_roots: roots(|purposes| purposes.client_auth),
                    crls,
                    compat: options.compat,
                    provider: Arc::new(policy.provider),
                    versions: policy.versions,
                    honor_cipher_order: options.honor_cipher_order.unwrap_or(true),
                    require_ems: options.require_ems,
                    server_sessions: Arc::new(ServerSessions::new(sessions.ticket_keys.as_deref())),
                    sessions,
                    certificate_compression: options.certificate_compression.clone(),
                    warnings: dhparam
                        .map(|()| dhparam::NOT_USED.to_owned())
                        .into_iter()
                        .chain(authorities.warnings)
                        .collect(),
                    time: options.time.clone().unwrap_or_else(|| Arc::new(DefaultTimeProvider)),
                    bindings: Bindings::new(options),
                })
            }
            (policy, authorities, crls, identities, dhparam, sessions) => {
                let several = [policy.err(), authorities.err(), crls.err(), identities.err(), sessions.err()];
                Err(several.into_iter().flatten().flatten().chain(dhparam.err()).collect())
            }
        }
    }

    /// What the user should know of options that are good: which have no effect (row O9), and which certificates of `ca` are left
    /// out, since they can't be read (row O4). Sentences in English.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the server's order of suites wins over the client's (row O11).
    pub fn honor_cipher_order(&self) -> bool {
        self.honor_cipher_order
    }

    /// True if TLS 1.2 without extended master secret is refused (RFC 7627).
    pub fn require_ems(&self) -> bool {
        self.require_ems
    }

    /// How long a session may be resumed, in seconds (row O18).
    pub fn session_timeout(&self) -> u32 {
        self.sessions.timeout
    }

    /// What compresses our certificates, in order of preference: for `cert_compressors` of rustls (row O26).
    pub fn cert_compressors(&self) -> Vec<&'static dyn CertCompressor> {
        compression::compressors(&self.certificate_compression)
    }

    /// What decompresses the peer's certificates, in order of preference: for `cert_decompressors` of rustls (row O26).
    pub fn cert_decompressors(&self) -> Vec<&'static dyn CertDecompressor> {
        compression::decompressors(&self.certificate_compression)
    }

    pub(crate) fn identities(&self) -> &Arc<Identities> {
        &self.identities
    }

    /// What servers' chains must lead to.
    pub(crate) fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    /// What clients' chains must lead to: others than servers' where `BEGIN TRUSTED CERTIFICATE` says so.
    pub(crate) fn client_roots(&self) -> &Arc<Roots> {
        &self.client_roots
    }

    pub(crate) fn crls(&self) -> &Crls {
        &self.crls
    }

    pub(crate) fn compat(&self) -> bool {
        self.compat
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn versions(&self) -> &[&'static SupportedProtocolVersion] {
        &self.versions
    }

    /// True if connections may speak this version.
    pub(crate) fn speaks(&self, version: ProtocolVersion) -> bool {
        self.versions.iter().any(|one| one.version == version)
    }

    /// What was given to seal tickets (row O19).
    pub(crate) fn ticket_keys(&self) -> Option<&[u8; 48]> {
        self.sessions.ticket_keys.as_deref()
    }

    /// The sessions of servers with this context.
    pub(crate) fn sessions(&self) -> &Arc<ServerSessions> {
        &self.server_sessions
    }

    /// What a server's sessions are bound to.
    pub(crate) fn server_binding(&self) -> [u8; 32] {
        self.bindings.server()
    }

    /// What a client's sessions are bound to.
    pub(crate) fn client_binding(&self, options: VerifyOptions) -> [u8; 32] {
        self.bindings.client(options)
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
    /// The lowest that is spoken, also where nothing else was asked for (row M9).
    pub const MIN: Self = Self::Tls12;
    /// The highest that is spoken, also where nothing else was asked for (row M9).
    pub const MAX: Self = Self::Tls13;

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
mod tests;
