//! `guest:tls/server`.

use std::cell::RefCell;

use zeroize::Zeroizing;

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

    fn client_reneg_limit() -> u32 {
        engine::CLIENT_RENEG_LIMIT
    }

    fn client_reneg_window() -> u32 {
        engine::CLIENT_RENEG_WINDOW
    }
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
        Ok(self.0.borrow_mut().set_secure_context(context(&secure_context))?)
    }

    fn accept(&self, input: InputStream, output: OutputStream) -> Result<socket::TlsSocket, Error> {
        let connection = self.0.borrow().accept()?;
        Ok(socket::TlsSocket::new(TlsSocket::new(connection, input, output)))
    }

    fn accept_pair(&self) -> Result<secure_pair::SecurePair, Error> {
        let connection = self.0.borrow().accept()?;
        Ok(secure_pair::SecurePair::new(SecurePair::new(connection)))
    }

    fn ticket_keys(&self) -> Result<Vec<u8>, Error> {
        Ok(self.0.borrow().ticket_keys()?.to_vec())
    }

    fn set_ticket_keys(&self, keys: Vec<u8>) -> Result<(), Error> {
        Ok(self.0.borrow().set_ticket_keys(&Zeroizing::new(keys))?)
    }

    fn set_max_connections(&self, max: Option<u32>) {
        self.0.borrow_mut().set_max_connections(max.map(|max| usize::try_from(max).unwrap_or(usize::MAX)));
    }

    fn connections(&self) -> u32 {
        u32::try_from(self.0.borrow().connections()).unwrap_or(u32::MAX)
    }
}
