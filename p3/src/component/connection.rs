//! `guest:tls/connection`: the engine over `stream<u8>`.

use std::cell::RefCell;
use std::rc::Rc;

use guest_tls::engine;
use wit_bindgen::{FutureReader, StreamReader};

use super::Component;
use super::bindings::exports::guest::tls::secure_pair;
use super::bindings::exports::guest::tls::types::Error;
use super::bindings::generated::exports::guest::tls0_3_0_draft::connection as wit;
use super::pump::{self, Slot};
use super::secure_pair::SecurePair;

/// The resource `connection`.
pub(super) struct Connection {
    connection: Rc<RefCell<engine::Connection>>,
    send: Slot<Error>,
    receive: Slot<Error>,
}

impl wit::Guest for Component {
    type Connection = Connection;
}

impl Connection {
    /// A handle to a connection at its beginning.
    pub(super) fn handle(connection: engine::Connection) -> wit::Connection {
        let connection = Rc::new(RefCell::new(connection));
        wit::Connection::new(Self { connection, send: Slot::default(), receive: Slot::default() })
    }
}

impl wit::GuestConnection for Connection {
    fn send(&self, cleartext: StreamReader<u8>) -> Streams {
        self.send.set_up(cleartext)
    }

    fn receive(&self, ciphertext: StreamReader<u8>) -> Streams {
        self.receive.set_up(ciphertext)
    }

    fn pair(&self) -> secure_pair::SecurePair {
        secure_pair::SecurePair::new(SecurePair::of_socket(Rc::clone(&self.connection)))
    }

    async fn handshake(this: wit::Connection) -> Result<secure_pair::SecurePair, Error> {
        let Self { connection, send, receive } = this.into_inner();
        pump::handshake(Rc::clone(&connection), send.into_inner(), receive.into_inner()).await?;
        Ok(secure_pair::SecurePair::new(SecurePair::of_socket(connection)))
    }
}

type Streams = (StreamReader<u8>, FutureReader<Result<(), Error>>);
