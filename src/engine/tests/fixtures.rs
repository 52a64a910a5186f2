//! Contexts for the tests, out of the certificates in `fixtures/`.

use std::sync::Arc;

use crate::context::{Context, ContextOptions};
use crate::engine::ConnectionOptions;

pub(super) const CA: &[u8] = include_bytes!("fixtures/ca.pem");
pub(super) const SERVER: (&[u8], &[u8]) =
    (include_bytes!("fixtures/server.pem"), include_bytes!("fixtures/server.key.pem"));
pub(super) const OTHER: (&[u8], &[u8]) =
    (include_bytes!("fixtures/other.pem"), include_bytes!("fixtures/other.key.pem"));
pub(super) const CLIENT: (&[u8], &[u8]) =
    (include_bytes!("fixtures/client.pem"), include_bytes!("fixtures/client.key.pem"));

/// Options with a certificate and its key, and the CA of the tests as the only anchor.
pub(super) fn with_identity((cert, key): (&[u8], &[u8])) -> ContextOptions {
    ContextOptions { certs: vec![cert.to_vec()], keys: vec![key.to_vec().into()], ..without_identity() }
}

/// Options with the CA of the tests as the only anchor.
pub(super) fn without_identity() -> ContextOptions {
    ContextOptions { cas: vec![CA.to_vec()], ..ContextOptions::default() }
}

/// A context of options that are right.
pub(super) fn context(options: &ContextOptions) -> Arc<Context> {
    Arc::new(Context::new(options).expect("the options of a test are right"))
}

/// The context of a client without a certificate.
pub(super) fn client_context() -> Arc<Context> {
    context(&without_identity())
}

/// The context of a server.
pub(super) fn server_context() -> Arc<Context> {
    context(&with_identity(SERVER))
}

/// Options of a client of `server.test`.
pub(super) fn client() -> ConnectionOptions {
    ConnectionOptions { servername: Some("server.test".into()), ..ConnectionOptions::default() }
}

/// Options of a server.
pub(super) fn server() -> ConnectionOptions {
    ConnectionOptions { is_server: true, ..ConnectionOptions::default() }
}
