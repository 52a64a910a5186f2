//! A TLS connection over a [`Duplex`]: the component's `secure-pair` and the transport that it is fed from.

use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::bindings::guest::tls::secure_pair::{Cleartext, Event, SecurePair};
use crate::bindings::guest::tls::splice::{self, Outcome};
use crate::bindings::guest::tls::types;
use crate::failure::{Failure, Result};
use crate::net::{Broken, Duplex};
use crate::runtime::{self, timeout};

/// A TLS connection.
pub(crate) struct Tls {
    duplex: Duplex,
    pair: SecurePair,
    /// What came before this was made, and the pair has not taken yet.
    early: Vec<u8>,
    /// How much to ask the transport for: what it brought lately, and some more.
    appetite: Appetite,
    /// Whether the transport has ended.
    ended: bool,
    /// Whether all that the pair had is with the transport.
    sent: bool,
    /// Whether a read may give something, and a write take something: nothing has said otherwise since.
    readable: bool,
    writable: bool,
}

impl Tls {
    /// TLS over a connection, of which these bytes have come already.
    pub(crate) fn new(duplex: Duplex, pair: SecurePair, early: Vec<u8>) -> Tls {
        Tls {
            duplex,
            pair,
            early,
            appetite: Appetite::default(),
            ended: false,
            sent: false,
            readable: true,
            writable: true,
        }
    }

    /// For events, answers and properties. Bytes are moved by the methods here.
    pub(crate) fn pair(&self) -> &SecurePair {
        &self.pair
    }

    /// Moves what can be moved between the transport and the pair. Says whether anything was.
    pub(crate) fn advance(&mut self) -> std::result::Result<bool, Broken> {
        let received = self.receive()?;
        Ok(self.send()? | received)
    }

    /// Moves what the transport has for the pair. What is wrong with it the pair says to whoever reads or writes.
    fn receive(&mut self) -> std::result::Result<bool, Broken> {
        if !self.early.is_empty() {
            let taken = self.pair.write_encrypted(&self.early).map_or(self.early.len(), |taken| taken as usize);
            self.early.drain(..taken);
            return Ok(taken > 0);
        }
        if self.ended || !self.readable {
            return Ok(false);
        }
        match splice::receive(&self.pair, self.duplex.input(), self.appetite.bytes()) {
            Ok(Outcome::Moved(bytes)) => {
                self.appetite.had(bytes);
                Ok(true)
            }
            Ok(Outcome::Pending) => {
                self.readable = false;
                Ok(false)
            }
            Ok(Outcome::Full) => Ok(false),
            Ok(Outcome::End) => {
                self.ended = true;
                Ok(true)
            }
            Ok(Outcome::Failed(why)) => Err(Broken::because(&why)),
            // The connection is over: what comes after it is nobody's.
            Err(_) => {
                self.ended = true;
                Ok(true)
            }
        }
    }

    /// Moves what the pair has for the transport.
    fn send(&mut self) -> std::result::Result<bool, Broken> {
        if !self.writable {
            return Ok(false);
        }
        let outcome = splice::send(&self.pair, self.duplex.output());
        self.sent = matches!(outcome, Ok(Outcome::Pending));
        match outcome {
            Ok(Outcome::Moved(_)) => Ok(true),
            Ok(Outcome::Full) => {
                self.writable = false;
                Ok(false)
            }
            Ok(Outcome::Failed(why)) => Err(Broken::because(&why)),
            Ok(Outcome::Pending | Outcome::End) | Err(_) => Ok(false),
        }
    }

    /// Whether all that is to be sent is with the transport.
    pub(crate) fn is_sent(&self) -> bool {
        self.sent
    }

    /// Says to the transport that nothing more will be sent, once all of it is out; until then it says that it did not. What goes out last,
    /// mostly `close_notify`, then needs not wait for the peer to have acknowledged what went before (RFC 896).
    pub(crate) fn shut_down(&mut self) -> std::result::Result<bool, Broken> {
        if self.duplex.room()? == 0 {
            self.writable = false;
            return Ok(false);
        }
        self.duplex.shut_down();
        Ok(true)
    }

    /// Whether the transport may have become able to move something; if not, the task will be woken.
    pub(crate) fn poll_transport(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = Poll::Pending;
        if !self.readable && !self.ended && self.duplex.poll_readable(waker).is_ready() {
            self.readable = true;
            state = Poll::Ready(());
        }
        if !self.writable && self.duplex.poll_writable(waker).is_ready() {
            self.writable = true;
            state = Poll::Ready(());
        }
        state
    }

    /// Waits until the transport may be able to move something.
    async fn wait(&mut self) {
        poll_fn(|context| self.poll_transport(context.waker())).await;
    }

    /// Goes through the handshake, and gives each event to `on_event`, the one that says it is done included. It may take as long as
    /// the options of the pair say.
    pub(crate) async fn handshake(&mut self, mut on_event: impl FnMut(&SecurePair, Event)) -> Result<()> {
        loop {
            let moved = self.advance()?;
            let mut secure = false;
            while let Some(event) = self.pair.next_event() {
                secure |= matches!(event, Event::Secure);
                on_event(&self.pair, event);
            }
            if let Some(error) = self.pair.error() {
                self.say_last().await;
                return Err(Failure::tls(&error));
            }
            if secure {
                return Ok(());
            }
            if !moved {
                match self.pair.handshake_deadline() {
                    Some(deadline) => {
                        let left = Duration::from_nanos(deadline.saturating_sub(runtime::now()));
                        // The pair sees by itself that it is too late: the next call says so.
                        let _ = timeout(left, self.wait()).await;
                    }
                    None => self.wait().await,
                }
                // What has come is mostly a message of the handshake, and to answer it takes long.
                runtime::turn().await;
            }
        }
    }

    /// Waits for bytes of the peer. `None` where it has closed its side.
    pub(crate) async fn read(&mut self, max: usize) -> Result<Option<Vec<u8>>> {
        loop {
            let moved = self.advance()?;
            match self.pair.read_cleartext(max as u64) {
                Ok(Cleartext::Data(bytes)) => return Ok(Some(bytes)),
                Ok(Cleartext::End) => return Ok(None),
                Ok(Cleartext::Pending) if moved => {}
                Ok(Cleartext::Pending) => self.wait().await,
                Err(error) => return Err(self.failed(&error).await),
            }
        }
    }

    /// Writes all of it, as far as the transport.
    pub(crate) async fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // A call copies what it is given, so not all at once.
            let chunk = &bytes[..bytes.len().min(CHUNK)];
            match self.pair.write_cleartext(chunk) {
                Ok(taken) => {
                    bytes = &bytes[taken as usize..];
                    if !self.advance()? && taken == 0 {
                        self.wait().await;
                    }
                }
                Err(error) => return Err(self.failed(&error).await),
            }
        }
        self.flush().await
    }

    /// Waits until all that was written is with the transport.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        loop {
            let moved = self.advance()?;
            if self.is_sent() {
                return Ok(());
            }
            if !moved {
                self.wait().await;
            }
        }
    }

    /// Ends our side by `close_notify`, after all that was written, and tells the transport.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.pair.end();
        self.flush().await?;
        self.duplex.flush().await?;
        self.duplex.shut_down();
        Ok(())
    }

    /// What ended the connection, after the peer was told, if it can be.
    pub(crate) async fn failed(&mut self, error: &types::Error) -> Failure {
        self.say_last().await;
        Failure::tls(error)
    }

    /// Gives the peer the alert that is its due. It is worth a moment, not more: the peer may be gone, or not reading.
    pub(crate) async fn say_last(&mut self) {
        let last = async {
            while let Ok(moved) = self.advance() {
                if self.is_sent() {
                    let _ = self.duplex.flush().await;
                    return;
                }
                if !moved {
                    self.wait().await;
                }
            }
        };
        let _ = timeout(LAST, last).await;
    }
}

/// How much to read at once. Hosts make a buffer of that size before they know how much there is: a handshake is no reason for 64 KiB.
pub(crate) struct Appetite(usize);

impl Default for Appetite {
    fn default() -> Appetite {
        Appetite(CHUNK / 16)
    }
}

impl Appetite {
    /// So much.
    pub(crate) fn bytes(&self) -> u64 {
        self.0 as u64
    }

    /// So much was there.
    pub(crate) fn had(&mut self, bytes: u64) {
        let bytes = bytes as usize;
        if bytes > self.0 / 2 {
            self.0 = (self.0 * 2).min(CHUNK);
        } else if bytes < self.0 / 8 {
            self.0 = (self.0 / 2).max(CHUNK / 16);
        }
    }
}

/// How many bytes are moved by one call: four records.
pub(crate) const CHUNK: usize = 64 * 1024;

/// How long a peer may take to take an alert.
const LAST: Duration = Duration::from_secs(1);
