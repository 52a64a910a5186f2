//! What everything that listens has: a port, a limit, counters, a way to reload, and an end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::Write as _;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::admin;
use crate::arguments::Server;
use crate::counters::Counters;
use crate::failure::Result;
use crate::handles;
use crate::net::{self, Duplex, Listener};
use crate::relay::{Stopped, relay};
use crate::runtime::{self, after, now, sleep, spawn, timeout};
use crate::terminator::Terminator;
use crate::tls::Tls;

/// A program that listens, as all of its tasks see it.
pub(crate) struct Service {
    /// What it was told.
    pub(crate) server: Rc<Server>,
    /// What it counts.
    pub(crate) counters: Rc<Counters>,
    /// Its certificates, where it has any.
    pub(crate) terminator: Option<Terminator>,
    stopping: Cell<bool>,
    /// Who waits for the end.
    waiting: RefCell<Vec<Waker>>,
    said: Cell<(u64, u32)>,
}

impl Service {
    /// A service that has yet to listen.
    pub(crate) fn new(server: Rc<Server>, counters: Rc<Counters>, terminator: Option<Terminator>) -> Rc<Service> {
        Rc::new(Service {
            server,
            counters,
            terminator,
            stopping: Cell::new(false),
            waiting: RefCell::default(),
            said: Cell::default(),
        })
    }

    /// Takes connections until a stop is asked for, and gives each to `talk`, a task of its own. Then waits for those that are open.
    pub(crate) async fn run<F: Future<Output = ()> + 'static>(
        self: Rc<Self>,
        talk: impl Fn(Rc<Service>, Duplex) -> F,
    ) -> Result<()> {
        handles::check(&self.server)?;
        let listener = Listener::bind(self.server.listen).await?;
        tell!("listening on {}", listener.address()?);
        if let Some(at) = self.server.admin {
            let listener = Listener::bind(at).await?;
            tell!("admin on {}", listener.address()?);
            spawn(admin::run(self.clone(), listener));
        }
        if self.server.until_stdin_ends {
            spawn(self.clone().stop_with_stdin());
        }
        if self.terminator.is_some() && !self.server.reload_every.is_zero() {
            spawn(self.clone().follow_files());
        }
        let mut turn = 0;
        while let Either::Left((accepted, _)) = select(pin!(listener.accept()), pin!(self.stopped())).await {
            match accepted {
                Ok(_) if self.counters.connections() + net::lingering() >= self.server.max_connections => {
                    self.counters.rejected.inc();
                    self.say(format_args!(
                        "there are {} connections: another one was closed",
                        self.server.max_connections
                    ));
                }
                Ok(duplex) => {
                    let open = self.counters.open();
                    let talk = talk(self.clone(), duplex);
                    spawn(async move {
                        talk.await;
                        drop(open);
                    });
                }
                Err(broken) => {
                    // Mostly a lack of file descriptors: some will be free soon.
                    self.say(format_args!("a connection can't be taken: {broken}"));
                    sleep(Duration::from_millis(50)).await;
                }
            }
            turn += 1;
            if turn % TURN == 0 {
                runtime::give_way().await;
            }
        }
        drop(listener);
        self.drain().await;
        Ok(())
    }

    /// Passes on what comes, until both sides have ended, and counts it.
    pub(crate) async fn relay(&self, tls: &mut Tls, plain: &Duplex) -> std::result::Result<(), Stopped> {
        let passed = relay(tls, plain, self.server.idle_timeout, |moved| self.counters.moved(moved)).await;
        match &passed {
            Err(Stopped::Idle) => {
                self.counters.idle.inc();
            }
            Err(Stopped::Tls(error)) => self.counters.failure(error),
            _ => {}
        }
        passed
    }

    /// Asks for the end: no more connections are taken, and those that are open may go on for a while.
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Whether the end was asked for.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Waits until the end is asked for.
    pub(crate) async fn stopped(&self) {
        poll_fn(|context| {
            if self.stopping.get() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// Says something on standard error; where too much is said in a second, only that.
    pub(crate) fn say(&self, what: impl fmt::Display) {
        let (until, count) = self.said.get();
        if now() >= until {
            if count > LINES {
                tell!("guest-tls: and {} lines more", count - LINES);
            }
            self.said.set((after(Duration::from_secs(1)), 1));
        } else {
            self.said.set((until, count + 1));
            if count >= LINES {
                return;
            }
        }
        // In one piece: standard error is not buffered, and each piece is a call of the host.
        let line = format!("guest-tls: {what}\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Reads certificates and keys again: where they changed, or in any case. What is wrong is said.
    pub(crate) fn reload(&self, in_any_case: bool) -> Result<bool> {
        let Some(terminator) = &self.terminator else { return Ok(false) };
        let done = terminator.reload(in_any_case);
        match &done {
            Ok(true) => tell!("guest-tls: certificates and keys were read again"),
            Ok(false) => {}
            Err(failure) => tell!("guest-tls: certificates and keys stay as they were: {failure}"),
        }
        done
    }

    async fn follow_files(self: Rc<Self>) {
        loop {
            sleep(self.server.reload_every).await;
            // Said already.
            let _ = self.reload(false);
        }
    }

    async fn stop_with_stdin(self: Rc<Self>) {
        let stdin = Duplex::standard();
        while let Ok(Some(_)) = stdin.read(1024).await {}
        self.stop();
    }

    /// Waits for the open connections.
    async fn drain(&self) {
        let empty = async {
            while self.counters.connections() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(self.server.grace, empty).await.is_none() {
            tell!("guest-tls: {} connections were still open at the end", self.counters.connections());
        }
    }
}

/// After how many connections that come at once others get their turn.
const TURN: usize = 64;

/// How many lines may be said in a second.
const LINES: u32 = 20;
