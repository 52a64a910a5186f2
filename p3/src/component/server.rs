//! `guest:tls/server`.

use std::cell::RefCell;

use guest_tls::{Error as EngineError, ErrorCode, engine};
use zeroize::Zeroizing;

use super::bindings::exports::guest::tls::secure_context::SecureContextBorrow;
use super::bindings::exports::guest::tls::secure_pair::SecurePairOptions;
use super::bindings::exports::guest::tls::types::Error;
use super::bindings::generated::exports::guest::tls0_3_0_draft::server as wit;
use super::connection::Connection;
use super::secure_pair::{Options, context};
use super::{Component, convert};

/// The resource `server`.
pub(super) struct Server(RefCell<engine::Server>);

impl wit::Guest for Component {
    type Server = Server;
}

impl wit::GuestServer for Server {
    fn create(secure_context: SecureContextBorrow<'_>, options: SecurePairOptions) -> Result<wit::Server, Vec<Error>> {
        let options = options.get::<Options>().get();
        let questions = questions(&options);
        if !questions.is_empty() {
            return Err(convert::errors(questions));
        }
        engine::Server::new(context(&secure_context), options)
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

    fn accept(&self) -> Result<wit::Connection, Error> {
        Ok(Connection::handle(self.0.borrow().accept()?))
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

/// An error for each option that makes a connection wait for an answer: an answer comes by a call that can't wake the pump.
fn questions(options: &engine::ConnectionOptions) -> Vec<EngineError> {
    let asked = [
        (options.sni_event, "set-sni-event"),
        (options.alpn_event, "set-alpn-event"),
        (options.session_events, "set-session-events"),
        (options.ocsp_event, "set-ocsp-event"),
    ];
    let error = |(_, name): (bool, &str)| {
        let message = format!(
            "`{name}` was called: a connection over streams asks no questions. Leave it out, or move the bytes by `secure-pair`."
        );
        EngineError::new(ErrorCode::ErrInvalidArgValue, message)
    };
    asked.into_iter().filter(|(is_set, _)| *is_set).map(error).collect()
}
