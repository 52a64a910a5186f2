//! `guest:tls/socket`: the engine over `wasi:io` streams.

use std::cell::RefCell;
use std::rc::Rc;

use super::bindings::exports::guest::tls::secure_context::SecureContextBorrow;
use super::bindings::exports::guest::tls::secure_pair::{self, Cleartext, SecurePairOptions};
use super::bindings::exports::guest::tls::socket::{self as wit, Guest, GuestTlsSocket};
use super::bindings::exports::guest::tls::types::Error;
use super::bindings::wasi::clocks::monotonic_clock;
use super::bindings::wasi::io::poll::Pollable;
use super::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use super::secure_pair::{Options, SecurePair, context, deadline, length, now};
use super::{Component, convert};
use crate::engine::Connection;

/// The resource `tls-socket`.
pub(super) struct TlsSocket {
    connection: Rc<RefCell<Connection>>,
    transport: RefCell<Transport>,
}

/// The two streams, and what does not fit between them and the engine.
struct Transport {
    input: InputStream,
    output: OutputStream,
    /// Came from the stream; the engine does not take it yet.
    received: Vec<u8>,
    /// Whether the input stream has ended.
    input_ended: bool,
    /// Whether the output stream was asked to flush and may be at it.
    flushing: bool,
}

impl Guest for Component {
    type TlsSocket = TlsSocket;
}

impl TlsSocket {
    /// A socket over two streams.
    pub(super) fn new(connection: Connection, input: InputStream, output: OutputStream) -> Self {
        Self {
            connection: Rc::new(RefCell::new(connection)),
            transport: RefCell::new(Transport {
                input,
                output,
                received: Vec::new(),
                input_ended: false,
                flushing: false,
            }),
        }
    }

    /// Moves bytes both ways until nothing moves.
    fn drive(&self) {
        let mut transport = self.transport.borrow_mut();
        let mut connection = now(&self.connection);
        loop {
            let sent = transport.send(&mut connection);
            let received = transport.receive(&mut connection);
            if !(sent | received) {
                break;
            }
        }
    }
}

impl GuestTlsSocket for TlsSocket {
    fn create(
        secure_context: SecureContextBorrow<'_>,
        options: SecurePairOptions,
        input: InputStream,
        output: OutputStream,
    ) -> Result<wit::TlsSocket, Vec<Error>> {
        let socket = Connection::new(context(&secure_context), options.get::<Options>().get())
            .map(|connection| Self::new(connection, input, output))
            .map_err(convert::errors)?;
        socket.drive();
        Ok(wit::TlsSocket::new(socket))
    }

    fn read(&self, max: u64) -> Result<Cleartext, Error> {
        self.drive();
        let read = self.connection.borrow_mut().read_cleartext(length(max))?;
        Ok(read.into())
    }

    fn write(&self, bytes: Vec<u8>) -> Result<u64, Error> {
        let taken = now(&self.connection).write_cleartext(&bytes)?;
        self.drive();
        Ok(taken as u64)
    }

    fn flush(&self) -> Result<bool, Error> {
        self.drive();
        let connection = self.connection.borrow();
        // Asked first: else `subscribe` would wait for a stream that has long been flushed.
        let flushed = self.transport.borrow_mut().is_flushed();
        let sent = flushed && !connection.has_unsent();
        match connection.error() {
            Some(error) => Err(error.clone().into()),
            None => Ok(sent),
        }
    }

    fn end(&self) -> Result<(), Error> {
        self.connection.borrow_mut().end();
        self.flush().map(|_| ())
    }

    fn subscribe(&self) -> Vec<Pollable> {
        let connection = now(&self.connection);
        let transport = self.transport.borrow();
        let mut waits = Vec::new();
        if connection.wants_write() || transport.flushing {
            waits.push(transport.output.subscribe());
        }
        if connection.is_readable() {
            waits.push(monotonic_clock::subscribe_duration(0));
        } else if let Some(deadline) = deadline(&connection) {
            waits.push(monotonic_clock::subscribe_instant(deadline));
        }
        if !connection.is_readable() && connection.wants_read() && !transport.input_ended {
            waits.push(transport.input.subscribe());
        }
        waits
    }

    fn pair(&self) -> secure_pair::SecurePair {
        secure_pair::SecurePair::new(SecurePair::of_socket(self.connection.clone()))
    }
}

impl Transport {
    /// Gives the stream what the engine has for it, as far as it takes it. Says whether anything moved.
    fn send(&mut self, connection: &mut Connection) -> bool {
        let mut moved = false;
        while connection.wants_write() {
            let room = match self.output.check_write() {
                Ok(0) => break,
                Ok(room) => length(room),
                Err(cause) => {
                    transport_failed(connection, &cause);
                    break;
                }
            };
            let bytes = connection.read_encrypted(room);
            if let Err(cause) = self.output.write(&bytes) {
                transport_failed(connection, &cause);
                break;
            }
            moved = true;
        }
        if moved {
            match self.output.flush() {
                Ok(()) => self.flushing = true,
                Err(cause) => transport_failed(connection, &cause),
            }
        }
        moved
    }

    /// Gives the engine what the stream has for it, as far as it takes it. Says whether anything moved.
    fn receive(&mut self, connection: &mut Connection) -> bool {
        if self.received.is_empty() && connection.wants_read() && !self.input_ended {
            match self.input.read(CHUNK) {
                Ok(bytes) => self.received = bytes,
                Err(StreamError::Closed) => {
                    self.input_ended = true;
                    connection.end_encrypted();
                }
                Err(cause) => transport_failed(connection, &cause),
            }
        }
        if self.received.is_empty() {
            return false;
        }
        match connection.write_encrypted(&self.received) {
            Ok(taken) => {
                self.received.drain(..taken);
                taken > 0
            }
            Err(_) => {
                // The connection is over, and tells why by itself.
                self.received.clear();
                false
            }
        }
    }

    /// Whether the stream has passed on all that it was given.
    fn is_flushed(&mut self) -> bool {
        if self.flushing {
            // While a flush is under way, a stream has no room (wasi:io/streams).
            self.flushing = matches!(self.output.check_write(), Ok(0));
        }
        !self.flushing
    }
}

fn transport_failed(connection: &mut Connection, cause: &StreamError) {
    match cause {
        StreamError::Closed => connection.transport_failed("the stream is closed"),
        StreamError::LastOperationFailed(error) => {
            connection.transport_failed(&error.to_debug_string());
        }
    }
}

/// How much is read from a stream at once: a record and some.
const CHUNK: u64 = 32 * 1024;
