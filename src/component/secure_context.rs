//! `guest:tls/secure-context`.

use std::cell::RefCell;
use std::sync::Arc;

use super::bindings::exports::guest::tls::secure_context::{
    self as wit, Guest, GuestSecureContext, GuestSecureContextOptions,
};
use super::bindings::exports::guest::tls::types::{Error, ProtocolVersion};
use super::{Component, convert};
use crate::context::{Context, ContextOptions, names};

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
}

impl GuestSecureContextOptions for Options {
    fn new() -> Self {
        Self::default()
    }

    fn add_cert(&self, cert: Vec<u8>) {
        self.0.borrow_mut().certs.push(cert);
    }

    fn add_key(&self, key: Vec<u8>) {
        self.0.borrow_mut().keys.push(key.into());
    }

    fn add_ca(&self, ca: Vec<u8>) {
        self.0.borrow_mut().cas.push(ca);
    }

    fn set_ciphers(&self, ciphers: String) {
        self.0.borrow_mut().ciphers = Some(ciphers);
    }

    fn set_ecdh_curve(&self, groups: String) {
        self.0.borrow_mut().groups = Some(groups);
    }

    fn set_min_version(&self, version: ProtocolVersion) {
        self.0.borrow_mut().min_version = Some(version.into());
    }

    fn set_max_version(&self, version: ProtocolVersion) {
        self.0.borrow_mut().max_version = Some(version.into());
    }
}

impl GuestSecureContext for SecureContext {
    fn create(options: wit::SecureContextOptions) -> Result<wit::SecureContext, Vec<Error>> {
        Context::new(&options.get::<Options>().0.borrow())
            .map(|context| wit::SecureContext::new(Self(Arc::new(context))))
            .map_err(convert::errors)
    }
}
