//! Credentials and policy, made once and used by any number of connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceAny;
use zeroize::Zeroizing;

use crate::bindings::exports::guest::tls::secure_context::CertificateCompression;
use crate::bindings::exports::guest::tls::types::{Error as TlsError, ProtocolVersion};
use crate::error::Error;
use crate::host::Host;
use crate::instance::Instance;
use crate::pool::{Id, Order, Pool};

/// What a context is made of, by the words of `wit/secure-context.wit`, where each is documented with its default and its errors.
/// Nothing is looked at before [`Context::new`]. Keys, PKCS#12 files and passphrases are wiped when it is dropped.
#[derive(Clone, Default)]
pub struct ContextOptions(Vec<Setter>);

/// Credentials and policy. Cloning is cheap and gives another handle to the same. It is made in each instance that needs it.
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Inner>);

/// What the handles to a context share.
pub(crate) struct Inner {
    pub(crate) id: Id,
    pub(crate) options: ContextOptions,
    pub(crate) pool: Pool,
    warnings: Vec<String>,
}

#[derive(Clone)]
enum Setter {
    Cert(Vec<u8>),
    Key(Secret, Option<Secret>),
    Pfx(Secret, Option<Secret>),
    Ca(Vec<u8>),
    Crl(Vec<u8>),
    AllowPartialTrustChain(bool),
    Compat(bool),
    Ciphers(String),
    Sigalgs(String),
    EcdhCurve(String),
    Dhparam(Vec<u8>),
    SecureProtocol(String),
    MinVersion(ProtocolVersion),
    MaxVersion(ProtocolVersion),
    HonorCipherOrder(bool),
    RequireEms(bool),
    SessionTimeout(u32),
    SessionIdContext(Vec<u8>),
    TicketKeys(Secret),
    CertificateCompression(Vec<CertificateCompression>),
}

type Secret = Zeroizing<Vec<u8>>;

impl ContextOptions {
    /// The defaults: no certificate, Mozilla's roots, all that is supported.
    pub fn new() -> ContextOptions {
        ContextOptions::default()
    }

    /// Adds certificate chains in PEM, or one certificate in DER, the leaf first (row O2).
    pub fn cert(self, cert: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::Cert(cert.into()))
    }

    /// Adds private keys in PEM or one in DER, which are not encrypted (row O1).
    pub fn key(self, key: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::Key(secret(key), None))
    }

    /// Adds private keys in PEM or one in DER, and the passphrase of those that are encrypted (row O1).
    pub fn encrypted_key(self, key: impl Into<Vec<u8>>, passphrase: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::Key(secret(key), Some(secret(passphrase))))
    }

    /// Adds a PKCS#12 file in DER with its passphrase, where it has one (row O3).
    pub fn pfx(self, pfx: impl Into<Vec<u8>>, passphrase: Option<&[u8]>) -> ContextOptions {
        self.with(Setter::Pfx(secret(pfx), passphrase.map(secret)))
    }

    /// Adds trust anchors, in PEM (any number) or DER (one), which replace Mozilla's roots (row O4).
    pub fn ca(self, ca: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::Ca(ca.into()))
    }

    /// Adds certificate revocation lists, in PEM (any number) or DER (one) (row O5).
    pub fn crl(self, crl: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::Crl(crl.into()))
    }

    /// Whether a certificate of `ca` that another one issued is a trust anchor (row O25). Default: false.
    pub fn allow_partial_trust_chain(self, allow: bool) -> ContextOptions {
        self.with(Setter::AllowPartialTrustChain(allow))
    }

    /// Whether to accept peers' certificates that OpenSSL accepts and webpki does not (row K2), which weakens the check. Default: false.
    pub fn compat(self, compat: bool) -> ContextOptions {
        self.with(Setter::Compat(compat))
    }

    /// The cipher suites, in the language of OpenSSL's cipher lists (row O6). Default: all, ChaCha20-Poly1305 first.
    pub fn ciphers(self, ciphers: impl Into<String>) -> ContextOptions {
        self.with(Setter::Ciphers(ciphers.into()))
    }

    /// The signature schemes in order of preference, with `:` between (row O7). Default: all.
    pub fn sigalgs(self, sigalgs: impl Into<String>) -> ContextOptions {
        self.with(Setter::Sigalgs(sigalgs.into()))
    }

    /// The key exchange groups in order of preference, with `:` between (row O8). Default: `auto`, X25519MLKEM768 first.
    pub fn ecdh_curve(self, groups: impl Into<String>) -> ContextOptions {
        self.with(Setter::EcdhCurve(groups.into()))
    }

    /// Parameters of finite-field Diffie-Hellman, which are looked at and not used (row O9). Default: none.
    pub fn dhparam(self, dhparam: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::Dhparam(dhparam.into()))
    }

    /// The versions, by OpenSSL's name of a method, for example `TLSv1_2_method` (row O10). Default: none.
    pub fn secure_protocol(self, name: impl Into<String>) -> ContextOptions {
        self.with(Setter::SecureProtocol(name.into()))
    }

    /// The lowest version that is spoken (row O10). Default: TLS 1.2.
    pub fn min_version(self, version: ProtocolVersion) -> ContextOptions {
        self.with(Setter::MinVersion(version))
    }

    /// The highest version that is spoken (row O10). Default: TLS 1.3.
    pub fn max_version(self, version: ProtocolVersion) -> ContextOptions {
        self.with(Setter::MaxVersion(version))
    }

    /// Whether the server's order of cipher suites wins over the client's (row O11). Default: true.
    pub fn honor_cipher_order(self, honor: bool) -> ContextOptions {
        self.with(Setter::HonorCipherOrder(honor))
    }

    /// Whether TLS 1.2 without extended master secret is refused (RFC 7627). Default: false: such a connection is never resumed, and
    /// nothing can be bound to it, by exported key material or by Finished messages.
    pub fn require_ems(self, require: bool) -> ContextOptions {
        self.with(Setter::RequireEms(require))
    }

    /// How long a session may be resumed, in seconds, from 1 to 604800 (row O18). Default: 300.
    pub fn session_timeout(self, seconds: u32) -> ContextOptions {
        self.with(Setter::SessionTimeout(seconds))
    }

    /// What sessions are for: those of a context with another one are not resumed (row O18). Default: empty.
    pub fn session_id_context(self, context: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::SessionIdContext(context.into()))
    }

    /// The keys of session tickets: exactly 48 bytes of randomness, shared by all servers of a fleet (row O19).
    /// Default: each [`Acceptor`](crate::Acceptor) makes them, and new ones after six hours, or after the life of a session if that is
    /// longer.
    pub fn ticket_keys(self, keys: impl Into<Vec<u8>>) -> ContextOptions {
        self.with(Setter::TicketKeys(secret(keys)))
    }

    /// How certificates may be compressed in TLS 1.3, in order of preference (row O26). Default: not at all.
    pub fn certificate_compression(self, algorithms: impl Into<Vec<CertificateCompression>>) -> ContextOptions {
        self.with(Setter::CertificateCompression(algorithms.into()))
    }

    /// Makes the context in an instance that the caller has for itself; a pool has [`Context::new`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up a call into the guest: the instance is of no use any more.
    ///
    /// # Errors
    ///
    /// The outer one is a trap. The inner ones say all that is wrong with the options.
    pub async fn create_in(&self, instance: &mut Instance) -> wasmtime::Result<Result<ResourceAny, Vec<TlsError>>> {
        let (store, world) = instance.enter_for_context();
        let guest = world.guest_tls_secure_context();
        let to = guest.secure_context_options();
        let made = to.call_constructor(&mut *store).await?;
        for setter in &self.0 {
            let store = &mut *store;
            match setter {
                Setter::Cert(cert) => to.call_add_cert(store, made, cert).await,
                Setter::Key(key, passphrase) => to.call_add_key(store, made, key, bytes(passphrase)).await,
                Setter::Pfx(pfx, passphrase) => to.call_add_pfx(store, made, pfx, bytes(passphrase)).await,
                Setter::Ca(ca) => to.call_add_ca(store, made, ca).await,
                Setter::Crl(crl) => to.call_add_crl(store, made, crl).await,
                Setter::AllowPartialTrustChain(allow) => {
                    to.call_set_allow_partial_trust_chain(store, made, *allow).await
                }
                Setter::Compat(compat) => to.call_set_compat(store, made, *compat).await,
                Setter::Ciphers(ciphers) => to.call_set_ciphers(store, made, ciphers).await,
                Setter::Sigalgs(sigalgs) => to.call_set_sigalgs(store, made, sigalgs).await,
                Setter::EcdhCurve(groups) => to.call_set_ecdh_curve(store, made, groups).await,
                Setter::Dhparam(dhparam) => to.call_set_dhparam(store, made, dhparam).await,
                Setter::SecureProtocol(name) => to.call_set_secure_protocol(store, made, name).await,
                Setter::MinVersion(version) => to.call_set_min_version(store, made, *version).await,
                Setter::MaxVersion(version) => to.call_set_max_version(store, made, *version).await,
                Setter::HonorCipherOrder(honor) => to.call_set_honor_cipher_order(store, made, *honor).await,
                Setter::RequireEms(require) => to.call_set_require_ems(store, made, *require).await,
                Setter::SessionTimeout(seconds) => to.call_set_session_timeout(store, made, *seconds).await,
                Setter::SessionIdContext(context) => to.call_set_session_id_context(store, made, context).await,
                Setter::TicketKeys(keys) => to.call_set_ticket_keys(store, made, keys).await,
                Setter::CertificateCompression(algorithms) => {
                    to.call_set_certificate_compression(store, made, algorithms).await
                }
            }?;
        }
        guest.secure_context().call_create(&mut *store, made).await
    }

    /// Whether the keys of tickets were given.
    pub(crate) fn has_ticket_keys(&self) -> bool {
        self.0.iter().any(|setter| matches!(setter, Setter::TicketKeys(_)))
    }

    /// How long a session may be resumed.
    pub(crate) fn session_life(&self) -> Duration {
        let seconds = self.0.iter().rev().find_map(|setter| match setter {
            Setter::SessionTimeout(seconds) => Some(*seconds),
            _ => None,
        });
        seconds.map_or(SESSION_LIFE, |seconds| Duration::from_secs(seconds.into()))
    }

    fn with(mut self, setter: Setter) -> ContextOptions {
        self.0.push(setter);
        self
    }
}

impl Context {
    /// Makes a context in one of the host's instances, and so says all that is wrong with the options.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops what was made. It can be called again.
    ///
    /// # Errors
    ///
    /// * [`Error::Options`]: the options are wrong, each of them with what is wrong with it.
    /// * [`Error::Component`]: an instance can't be made.
    /// * [`Error::Trapped`]: it takes more time or memory than [`Limits`](crate::Limits) allow.
    pub async fn new(host: &Host, options: ContextOptions) -> Result<Context, Error> {
        let pool = host.pool()?.clone();
        let mut inner = Inner { id: Id::new(), options, pool, warnings: Vec::new() };
        inner.warnings = inner.pool.make_context(inner.id, &inner.options).await?;
        Ok(Context(Arc::new(inner)))
    }

    /// What should be known of options that are good and have no effect: a sentence in English for each, none in most cases (row O9).
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.tell_all(|| Order::ForgetContext(self.id));
    }
}

impl fmt::Debug for ContextOptions {
    /// How many options were set, and none of their secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContextOptions({} options)", self.0.len())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({:?})", self.0.id)
    }
}

fn secret(bytes: impl Into<Vec<u8>>) -> Secret {
    Zeroizing::new(bytes.into())
}

fn bytes(secret: &Option<Secret>) -> Option<&[u8]> {
    secret.as_ref().map(|bytes| bytes.as_slice())
}

/// How long a session may be resumed unless the options say otherwise.
const SESSION_LIFE: Duration = Duration::from_secs(300);
