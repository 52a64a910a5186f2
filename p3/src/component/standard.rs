//! `wasi:tls`, as the WASI proposal has it. It has no options: a client with the server's name, and with the trust anchors of the
//! configuration.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use guest_tls::context::{Context, ContextOptions};
use guest_tls::engine::{Connection, ConnectionOptions};
use guest_tls::{Error as EngineError, ErrorCode};
use wit_bindgen::{FutureReader, StreamReader};

use super::Component;
use super::bindings::generated::exports::wasi::tls::{client, types};
use super::bindings::generated::wasi::config::store;
use super::pump::{self, Slot};

/// The resource `error`.
pub(super) struct Failure(EngineError);

/// The resource `connector`.
#[derive(Default)]
pub(super) struct Connector {
    send: Slot<types::Error>,
    receive: Slot<types::Error>,
}

impl types::Guest for Component {
    type Error = Failure;
}

impl client::Guest for Component {
    type Connector = Connector;
}

impl types::GuestError for Failure {
    fn to_debug_string(&self) -> String {
        self.0.to_string()
    }
}

impl From<EngineError> for types::Error {
    fn from(error: EngineError) -> Self {
        Self::new(Failure(error))
    }
}

impl client::GuestConnector for Connector {
    fn new() -> Self {
        Self::default()
    }

    fn send(&self, cleartext: StreamReader<u8>) -> Streams {
        self.send.set_up(cleartext)
    }

    fn receive(&self, ciphertext: StreamReader<u8>) -> Streams {
        self.receive.set_up(ciphertext)
    }

    async fn connect(this: client::Connector, server_name: String) -> Result<(), types::Error> {
        let Self { send, receive } = this.into_inner();
        let (send, receive) = (send.into_inner(), receive.into_inner());
        match connection(server_name) {
            Ok(connection) => Ok(pump::handshake(Rc::new(RefCell::new(connection)), send, receive).await?),
            Err(error) => Err(pump::refuse(send, receive, error).into()),
        }
    }
}

type Streams = (StreamReader<u8>, FutureReader<Result<(), types::Error>>);

/// A client's connection to the server of this name.
fn connection(server_name: String) -> Result<Connection, EngineError> {
    let options = ConnectionOptions { servername: Some(server_name), ..ConnectionOptions::default() };
    Connection::new(context()?, options).map_err(first)
}

/// The context of all connections of this instance, made for the first one.
fn context() -> Result<Arc<Context>, EngineError> {
    thread_local! {
        static CONTEXT: RefCell<Option<Arc<Context>>> = const { RefCell::new(None) };
    }
    if let Some(context) = CONTEXT.with_borrow(Clone::clone) {
        return Ok(context);
    }
    // None is Mozilla's roots. What can't be had or read is an error: whoever configures trust anchors does not want others.
    let configured = store::get(TRUST_ANCHORS).map_err(|error| {
        let (store::Error::Upstream(cause) | store::Error::Io(cause)) = error;
        let message = format!("The configuration does not say what {TRUST_ANCHORS:?} is: {cause}.");
        EngineError::new(ErrorCode::ErrInvalidState, message)
    })?;
    let cas = configured.into_iter().map(String::into_bytes).collect();
    let context = Context::new(&ContextOptions { cas, ..ContextOptions::default() }).map_err(|errors| {
        let error = first(errors);
        let message = format!("The trust anchors of the configuration, {TRUST_ANCHORS:?}: {}", error.message);
        EngineError { message, ..error }
    })?;
    let context = Arc::new(context);
    CONTEXT.with_borrow_mut(|kept| *kept = Some(Arc::clone(&context)));
    Ok(context)
}

/// The interface tells one error.
fn first(errors: Vec<EngineError>) -> EngineError {
    let none =
        || EngineError::new(ErrorCode::ErrInternalAssertion, "Something failed without an error: please report it.");
    errors.into_iter().next().unwrap_or_else(none)
}

/// The key of the configuration: certificates in PEM. They replace Mozilla's roots, which are the default.
const TRUST_ANCHORS: &str = "tls.ca";
