//! `guest:tls/secure-context`.

use std::cell::RefCell;
use std::sync::Arc;

use super::bindings::exports::guest::tls::secure_context::{
    self as wit, Guest, GuestSecureContext, GuestSecureContextOptions,
};
use super::bindings::exports::guest::tls::types::{Error, ProtocolVersion};
use super::{Component, convert};
use crate::context::{CertificateCompression, Context, ContextOptions, Secret, SecretFile, Version, names};

/// The resource `secure-context-options`.
#[derive(Default)]
pub(super) struct Options(RefCell<ContextOptions>);

/// The resource `secure-context`.
pub(super) struct SecureContext(pub(super) Arc<Context>);

impl Guest for Component {
    type SecureContextOptions = Options;
    type SecureContext = SecureContext;

    fn ciphers() -> Vec<String> {
        names::ciphers()
    }

    fn default_ciphers() -> String {
        names::default_ciphers()
    }

    fn default_ecdh_curve() -> String {
        names::DEFAULT_GROUPS.to_owned()
    }

    fn default_min_version() -> ProtocolVersion {
        Version::MIN.into()
    }

    fn default_max_version() -> ProtocolVersion {
        Version::MAX.into()
    }
}

impl GuestSecureContextOptions for Options {
    fn new() -> Self {
        Self::default()
    }

    fn add_cert(&self, cert: Vec<u8>) {
        self.0.borrow_mut().certs.push(cert);
    }

    fn add_key(&self, key: Vec<u8>, passphrase: Option<Vec<u8>>) {
        self.0.borrow_mut().keys.push(secret_file(key, passphrase));
    }

    fn add_pfx(&self, pfx: Vec<u8>, passphrase: Option<Vec<u8>>) {
        self.0.borrow_mut().pfxs.push(secret_file(pfx, passphrase));
    }

    fn add_ca(&self, ca: Vec<u8>) {
        self.0.borrow_mut().cas.push(ca);
    }

    fn add_crl(&self, crl: Vec<u8>) {
        self.0.borrow_mut().crls.push(crl);
    }

    fn set_allow_partial_trust_chain(&self, allow: bool) {
        self.0.borrow_mut().allow_partial_trust_chain = allow;
    }

    fn set_compat(&self, compat: bool) {
        self.0.borrow_mut().compat = compat;
    }

    fn set_ciphers(&self, ciphers: String) {
        self.0.borrow_mut().ciphers = Some(ciphers);
    }

    fn set_sigalgs(&self, sigalgs: String) {
        self.0.borrow_mut().sigalgs = Some(sigalgs);
    }

    fn set_ecdh_curve(&self, groups: String) {
        self.0.borrow_mut().groups = Some(groups);
    }

    fn set_dhparam(&self, dhparam: Vec<u8>) {
        self.0.borrow_mut().dhparam = Some(dhparam);
    }

    fn set_secure_protocol(&self, name: String) {
        self.0.borrow_mut().secure_protocol = Some(name);
    }

    fn set_min_version(&self, version: ProtocolVersion) {
        self.0.borrow_mut().min_version = Some(version.into());
    }

    fn set_max_version(&self, version: ProtocolVersion) {
        self.0.borrow_mut().max_version = Some(version.into());
    }

    fn set_honor_cipher_order(&self, honor: bool) {
        self.0.borrow_mut().honor_cipher_order = Some(honor);
    }

    fn set_require_ems(&self, require: bool) {
        self.0.borrow_mut().require_ems = require;
    }

    fn set_session_timeout(&self, seconds: u32) {
        self.0.borrow_mut().session_timeout = Some(seconds);
    }

    fn set_session_id_context(&self, context: Vec<u8>) {
        self.0.borrow_mut().session_id_context = context;
    }

    fn set_ticket_keys(&self, keys: Vec<u8>) {
        self.0.borrow_mut().ticket_keys = Some(keys.into());
    }

    fn set_certificate_compression(&self, algorithms: Vec<wit::CertificateCompression>) {
        self.0.borrow_mut().certificate_compression =
            algorithms.into_iter().map(CertificateCompression::from).collect();
    }
}

impl GuestSecureContext for SecureContext {
    fn create(options: wit::SecureContextOptions) -> Result<wit::SecureContext, Vec<Error>> {
        Context::new(&options.get::<Options>().0.borrow())
            .map(|context| wit::SecureContext::new(Self(Arc::new(context))))
            .map_err(convert::errors)
    }

    fn warnings(&self) -> Vec<String> {
        self.0.warnings().to_vec()
    }
}

impl From<wit::CertificateCompression> for CertificateCompression {
    fn from(algorithm: wit::CertificateCompression) -> Self {
        match algorithm {
            wit::CertificateCompression::Zlib => Self::Zlib,
            wit::CertificateCompression::Brotli => Self::Brotli,
        }
    }
}

fn secret_file(file: Vec<u8>, passphrase: Option<Vec<u8>>) -> SecretFile {
    SecretFile { file: file.into(), passphrase: passphrase.map(Secret::from) }
}
