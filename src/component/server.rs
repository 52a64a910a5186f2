//! `guest:tls/server`.

use std::cell::RefCell;

use super::bindings::exports::guest::tls::secure_context::SecureContextBorrow;
use super::bindings::exports::guest::tls::secure_pair::{self, SecurePairOptions};
use super::bindings::exports::guest::tls::server::{self as wit, Guest, GuestServer};
use super::bindings::exports::guest::tls::socket;
use super::bindings::exports::guest::tls::types::Error;
use super::bindings::wasi::io::streams::{InputStream, OutputStream};
use super::secure_pair::{Options, SecurePair, context};
use super::socket::TlsSocket;
use super::{Component, convert};
use crate::engine;

/// The resource `server`.
pub(super) struct Server(RefCell<engine::Server>);

impl Guest for Component {
    type Server = Server;
}

impl GuestServer for Server {
    fn create(secure_context: SecureContextBorrow<'_>, options: SecurePairOptions) -> Result<wit::Server, Vec<Error>> {
        engine::Server::new(context(&secure_context), options.get::<Options>().get())
            .map(|server| wit::Server::new(Self(RefCell::new(server))))
            .map_err(convert::errors)
    }

    fn add_context(&self, hostname: String, secure_context: SecureContextBorrow<'_>) -> Result<(), Error> {
        let mut server = self.0.borrow_mut();
        Ok(server.contexts_mut().add(&hostname, context(&secure_context))?)
    }

    fn set_secure_context(&self, secure_context: SecureContextBorrow<'_>) -> Result<(), Error> {
        let mut server = self.0.borrow_mut();
        Ok(server.contexts_mut().set_default(context(&secure_context))?)
    }

    fn accept(&self, input: InputStream, output: OutputStream) -> socket::TlsSocket {
        let connection = self.0.borrow().accept();
        socket::TlsSocket::new(TlsSocket::new(connection, input, output))
    }

    fn accept_pair(&self) -> secure_pair::SecurePair {
        secure_pair::SecurePair::new(SecurePair::new(self.0.borrow().accept()))
    }
}
