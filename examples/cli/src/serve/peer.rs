//! A client after its handshake: what comes and goes is counted, and nobody waits for it for ever.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::bindings::guest::tls::types::{Error, ErrorCode};
use crate::failure::{Failure, Result};
use crate::listen::Service;
use crate::net::Duplex;
use crate::relay::Moved;
use crate::runtime::timeout;
use crate::tls::Tls;

pub(super) use crate::tls::CHUNK;

/// A client.
pub(super) struct Peer {
    tls: Tls,
    service: Rc<Service>,
}

impl Peer {
    pub(super) fn new(tls: Tls, service: Rc<Service>) -> Peer {
        Peer { tls, service }
    }

    /// Waits for bytes. `None` where the client has closed its side, or said nothing for too long.
    pub(super) async fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        let read = within(&self.service, self.tls.read(max)).await.unwrap_or(Ok(None));
        self.came(read)
    }

    /// As [`Self::read`], where the client owes nothing: it is no fault of its to go without a word, and we may.
    pub(super) async fn read_next(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        let read = match select(pin!(within(&self.service, self.tls.read(max))), pin!(self.service.stopped())).await {
            Either::Left((read, _)) => read.unwrap_or(Ok(None)),
            Either::Right(_) => Ok(None),
        };
        let gone = |error: Error| error.code == ErrorCode::ErrSslUnexpectedEofWhileReading;
        if read.is_err() && self.tls.pair().error().is_some_and(gone) {
            return Ok(None);
        }
        self.came(read)
    }

    /// Writes all of it, as far as the transport. Fails where the client takes nothing for too long.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let written = within(&self.service, self.tls.write_all(bytes)).await;
        let written = written.unwrap_or_else(|| Err(Failure::network("the client takes nothing of what is sent")));
        if written.is_ok() {
            self.service.counters.moved(Moved { received: 0, sent: bytes.len() as u64 });
        }
        self.counted(written)
    }

    /// Ends our side.
    pub(super) async fn end(&mut self) -> Result<()> {
        within(&self.service, self.tls.end()).await.unwrap_or(Ok(()))
    }

    /// Passes on what comes, both ways, until both sides have ended.
    pub(super) async fn relay(&mut self, plain: &Duplex) -> Result<()> {
        Ok(self.service.relay(&mut self.tls, plain).await?)
    }

    /// Whether the end of the program was asked for.
    pub(super) fn is_last(&self) -> bool {
        self.service.is_stopping()
    }

    fn came(&self, read: Result<Option<Vec<u8>>>) -> Result<Option<Vec<u8>>> {
        if let Ok(Some(bytes)) = &read {
            self.service.counters.moved(Moved { received: bytes.len() as u64, sent: 0 });
        }
        self.counted(read)
    }

    fn counted<T>(&self, done: Result<T>) -> Result<T> {
        if let (Err(_), Some(error)) = (&done, self.tls.pair().error()) {
            self.service.counters.failure(&error);
        }
        done
    }
}

/// What the task gives, or `None` where it takes longer than a connection may be idle.
async fn within<T>(service: &Service, task: impl Future<Output = T>) -> Option<T> {
    let idle = service.server.idle_timeout;
    if idle.is_zero() {
        return Some(task.await);
    }
    let done = timeout(idle, task).await;
    if done.is_none() {
        service.counters.idle.inc();
    }
    done
}
