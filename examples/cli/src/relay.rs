//! Bytes between a TLS connection and a stream in the clear, both ways at once.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::bindings::guest::tls::splice::{self, Outcome};
use crate::bindings::guest::tls::types;
use crate::failure::Failure;
use crate::net::{Broken, Duplex};
use crate::runtime::{now, sleep_until};
use crate::tls::{Appetite, CHUNK, Tls};

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
/// `idle` is how long nothing may move; zero for ever, but no longer than [`LAST_WORDS`] once TLS has ended and the other stream is over by
/// that. What was moved is added to `count` as it happens.
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
            // The transport was told the end when it had sent all: nothing is left with it.
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
        let idle = match (idle, plain.is_over()) {
            (0, false) => {
                more.await;
                continue;
            }
            (0, true) => LAST_WORDS,
            (idle, true) => idle.min(LAST_WORDS),
            (idle, false) => idle,
        };
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
    /// Whether TLS takes no more before its transport has taken what there is.
    full: bool,
    appetite: Appetite,
    tls_end: End,
    plain_end: End,
}

/// How far the end of one side is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It may send.
    Open,
    /// It has ended; what was written before that is on its way out.
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
            full: false,
            appetite: Appetite::default(),
            tls_end: End::Open,
            plain_end: End::Open,
        }
    }

    /// Moves what can be moved. Says whether anything was.
    fn step(&mut self, tls: &mut Tls, count: &mut Moved) -> Result<bool, Stopped> {
        let mut moved = tls.advance().map_err(Stopped::Transport)?;
        // Nobody waits for events here, but they are not kept for nothing.
        while tls.pair().next_event().is_some() {}
        moved |= self.pass_to_plain(tls, count)?;
        moved |= self.pass_to_tls(tls, count)?;
        Ok(moved)
    }

    fn pass_to_plain(&mut self, tls: &mut Tls, count: &mut Moved) -> Result<bool, Stopped> {
        if !self.writable {
            return Ok(false);
        }
        match self.tls_end {
            End::Open => match splice::read(tls.pair(), self.plain.output(), CHUNK as u64).map_err(Stopped::Tls)? {
                Outcome::Moved(bytes) => {
                    count.received += bytes;
                    Ok(true)
                }
                Outcome::Pending => Ok(false),
                Outcome::Full => {
                    self.writable = false;
                    Ok(false)
                }
                Outcome::End => {
                    self.plain.start_flush().map_err(Stopped::Plain)?;
                    self.tls_end = End::Flushing;
                    Ok(true)
                }
                Outcome::Failed(why) => Err(Stopped::Plain(Broken::because(&why))),
            },
            End::Flushing if self.plain.room().map_err(Stopped::Plain)? == 0 => {
                self.writable = false;
                Ok(false)
            }
            End::Flushing => {
                self.plain.shut_down();
                self.tls_end = End::Told;
                // A terminal ends by that.
                self.readable = true;
                Ok(true)
            }
            End::Told => Ok(false),
        }
    }

    fn pass_to_tls(&mut self, tls: &mut Tls, count: &mut Moved) -> Result<bool, Stopped> {
        match self.plain_end {
            End::Open if !self.readable => Ok(false),
            End::Open => {
                let outcome = if self.plain.is_over() {
                    Outcome::End
                } else {
                    let outcome = splice::write(tls.pair(), self.plain.input(), self.appetite.bytes());
                    outcome.map_err(Stopped::Tls)?
                };
                self.full = matches!(outcome, Outcome::Full);
                match outcome {
                    Outcome::Moved(bytes) => {
                        count.sent += bytes;
                        self.appetite.had(bytes);
                        // At once, so that the next bytes find room.
                        tls.advance().map_err(Stopped::Transport)?;
                        Ok(true)
                    }
                    Outcome::Pending => {
                        self.readable = false;
                        Ok(false)
                    }
                    Outcome::Full => Ok(false),
                    Outcome::End => {
                        tls.pair().end();
                        self.plain_end = End::Flushing;
                        tls.advance().map_err(Stopped::Transport)?;
                        Ok(true)
                    }
                    Outcome::Failed(why) => Err(Stopped::Plain(Broken::because(&why))),
                }
            }
            End::Flushing if tls.is_sent() && tls.shut_down().map_err(Stopped::Transport)? => {
                self.plain_end = End::Told;
                Ok(true)
            }
            End::Flushing | End::Told => Ok(false),
        }
    }

    fn is_over(&self, tls: &Tls) -> bool {
        self.tls_end == End::Told && self.plain_end == End::Told && tls.is_sent()
    }

    /// Whether the stream in the clear may have become able to move something; if not, the task will be woken.
    fn poll_plain(&mut self, waker: &Waker) -> Poll<()> {
        let mut state = Poll::Pending;
        let wants = self.plain_end == End::Open && !self.full;
        if wants && !self.readable && self.plain.poll_readable(waker).is_ready() {
            self.readable = true;
            state = Poll::Ready(());
        }
        if self.tls_end != End::Told && !self.writable && self.plain.poll_writable(waker).is_ready() {
            self.writable = true;
            state = Poll::Ready(());
        }
        state
    }
}

/// How long a peer that has ended may take to take what was said to it, in nanoseconds.
const LAST_WORDS: u64 = 2_000_000_000;
