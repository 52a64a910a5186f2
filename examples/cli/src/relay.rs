//! Bytes between a TLS connection and a stream in the clear, both ways at once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::bindings::guest::tls::secure_pair::Cleartext;
use crate::bindings::guest::tls::types;
use crate::failure::Failure;
use crate::net::{Broken, Duplex, Read};
use crate::runtime::{now, sleep_until};
use crate::tls::{CHUNK, Tls};

/// Why a relay ended before both sides had.
pub(crate) enum Stopped {
    /// TLS failed; the peer was told.
    Tls(types::Error),
    /// The transport of TLS failed.
    Transport(Broken),
    /// The stream in the clear failed.
    Plain(Broken),
    /// Nothing moved for so long.
    Idle,
}

/// How many bytes went each way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    /// From TLS to the stream in the clear.
    pub(crate) received: u64,
    /// From the stream in the clear to TLS.
    pub(crate) sent: u64,
}

/// Passes on what comes, until both sides have ended. The end of one side is passed on, too, and the other one may go on.
///
/// `idle` is how long nothing may move; zero for ever. What was moved is added to `count` as it happens.
pub(crate) async fn relay(
    tls: &mut Tls,
    plain: &Duplex,
    idle: Duration,
    mut count: impl FnMut(Moved),
) -> Result<(), Stopped> {
    let mut relay = Relay::new(plain);
    let idle = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
    let mut active = now();
    loop {
        let mut moved = Moved::default();
        match relay.step(tls, &mut moved) {
            Ok(true) => {
                active = now();
                count(moved);
                continue;
            }
            Ok(false) if relay.is_over(tls) => return Ok(()),
            Ok(false) => {}
            Err(Stopped::Tls(error)) => {
                tls.say_last().await;
                return Err(Stopped::Tls(error));
            }
            Err(stopped) => return Err(stopped),
        }
        let more = poll_fn(|context| {
            let transport = tls.poll_transport(context.waker());
            let plain = relay.poll_plain(context.waker());
            if transport.is_ready() || plain.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        if idle == 0 {
            more.await;
            continue;
        }
        if let Either::Right(_) = select(pin!(more), pin!(sleep_until(active.saturating_add(idle)))).await {
            return Err(Stopped::Idle);
        }
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        match stopped {
            Stopped::Tls(error) => Failure::tls(&error),
            Stopped::Transport(broken) | Stopped::Plain(broken) => broken.into(),
            Stopped::Idle => Failure::network("nothing was said for too long"),
        }
    }
}

/// The state of the stream in the clear.
struct Relay<'a> {
    plain: &'a Duplex,
    readable: bool,
    writable: bool,
    /// What came by TLS and the stream has not taken yet, from `given` on.
    down: Vec<u8>,
    given: usize,
    /// What came from the stream and TLS has not taken yet, from `taken` on.
    up: Vec<u8>,
    taken: usize,
    tls_end: End,
    plain_end: End,
}

/// How far the end of one side is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It may send.
    Open,
    /// It has ended; the other side is not told yet.
    Seen,
    /// What was written before it is on its way out.
    Flushing,
    /// The other side is told.
    Told,
}

impl<'a> Relay<'a> {
    fn new(plain: &'a Duplex) -> Relay<'a> {
        Relay {
            plain,
            readable: true,
            writable: true,
            down: Vec::new(),
            given: 0,
            up: Vec::new(),
            taken: 0,
            tls_end: End::Open,
            plain_end: End::Open,
        }
    }

    /// Moves what can be moved. Says whether anything was.
    fn step(&mut self, tls: &mut Tls, count: &mut Moved) -> Result<bool, Stopped> {
        let mut moved = tls.advance().map_err(Stopped::Transport)?;
        // Nobody waits for events here, but they are not kept for nothing.
        while tls.pair().next_event().is_some() {}
        moved |= self.to_plain(tls, count)?;
        moved |= self.to_tls(tls, count)?;
        Ok(moved)
    }

    fn to_plain(&mut self, tls: &mut Tls, count: &mut Moved) -> Result<bool, Stopped> {
        let mut moved = false;
        if self.down.is_empty() && self.tls_end == End::Open {
            match tls.pair().read_cleartext(CHUNK as u64).map_err(Stopped::Tls)? {
                Cleartext::Data(bytes) => self.down = bytes,
                Cleartext::Pending => {}
                Cleartext::End => {
                    self.tls_end = End::Seen;
                    moved = true;
                }
            }
        }
        if !self.down.is_empty() && self.writable {
            let room = self.plain.room().map_err(Stopped::Plain)?;
            if room == 0 {
                self.writable = false;
            } else {
                let end = self.down.len().min(self.given + room);
                self.plain.write(&self.down[self.given..end]).map_err(Stopped::Plain)?;
                count.received += (end - self.given) as u64;
                self.given = end;
                moved = true;
                if self.given == self.down.len() {
                    (self.down, self.given) = (Vec::new(), 0);
                }
            }
        }
        if self.down.is_empty() && self.tls_end == End::Seen {
            self.plain.start_flush().map_err(Stopped::Plain)?;
            self.tls_end = End::Flushing;
            self.writable = true;
        }
        if self.tls_end == End::Flushing && self.writable {
            if self.plain.room().map_err(Stopped::Plain)? == 0 {
                self.writable = false;
            } else {
                self.plain.shut_down();
                self.tls_end = End::Told;
                moved = true;
            }
        }
        Ok(moved)
    }

    fn to_tls(&mut self, tls: &mut Tls, count: &mut Moved) -> Result<bool, Stopped> {
        let mut moved = false;
        if self.up.is_empty() && self.readable && self.plain_end == End::Open {
            match self.plain.try_read(CHUNK).map_err(Stopped::Plain)? {
                Read::Data(bytes) => self.up = bytes,
                Read::Pending => self.readable = false,
                Read::End => {
                    self.plain_end = End::Seen;
                    moved = true;
                }
            }
        }
        if !self.up.is_empty() {
            let taken = tls.pair().write_cleartext(&self.up[self.taken..]).map_err(Stopped::Tls)? as usize;
            self.taken += taken;
            count.sent += taken as u64;
            moved |= taken > 0;
            if self.taken == self.up.len() {
                (self.up, self.taken) = (Vec::new(), 0);
            }
        }
        match self.plain_end {
            End::Seen if self.up.is_empty() => {
                tls.pair().end();
                self.plain_end = End::Flushing;
                moved = true;
            }
            End::Flushing => {
                moved |= tls.advance().map_err(Stopped::Transport)?;
                if tls.is_sent() {
                    tls.transport().start_flush().map_err(Stopped::Transport)?;
                    self.plain_end = End::Told;
                    moved = true;
                }
            }
            _ => {}
        }
        Ok(moved)
    }

    fn is_over(&self, tls: &Tls) -> bool {
        self.tls_end == End::Told && self.plain_end == End::Told && tls.is_sent()
    }

    /// Whether the stream in the clear may have become able to move something; if not, the task will be woken.
    fn poll_plain(&mut self, waker: &std::task::Waker) -> Poll<()> {
        let mut state = Poll::Pending;
        let wants = self.up.is_empty() && self.plain_end == End::Open;
        if wants && !self.readable && self.plain.poll_readable(waker).is_ready() {
            self.readable = true;
            state = Poll::Ready(());
        }
        let has = !self.down.is_empty() || self.tls_end == End::Flushing;
        if has && !self.writable && self.plain.poll_writable(waker).is_ready() {
            self.writable = true;
            state = Poll::Ready(());
        }
        state
    }
}
