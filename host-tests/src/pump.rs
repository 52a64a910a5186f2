//! Moves bytes between a TCP connection, the component and an application, in both directions, and never blocks.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::exchange::{Application, Outgoing};
use crate::tls::{Cleartext, Context, Error, Event, Pair, Socket, Tls};

/// An instance that several connections use, a call at a time.
pub type Shared = Arc<Mutex<Tls>>;

/// Drives a `secure-pair` over a TCP connection.
pub struct PairPump<A> {
    pair: Pair,
    tcp: TcpStream,
    /// The application's side.
    pub application: A,
    from_tcp: Vec<u8>,
    to_tcp: Vec<u8>,
    tcp_ended: bool,
    state: State,
}

/// Drives a `tls-socket`, which has its TCP connection itself.
pub struct SocketPump<A> {
    socket: Socket,
    /// The application's side.
    pub application: A,
    state: State,
}

/// What both pumps remember.
#[derive(Debug, Default)]
struct State {
    /// Our end was said.
    ended: bool,
    /// The peer's end was seen.
    peer_ended: bool,
    /// The handshake is done.
    secure: bool,
    /// The names that clients asked for.
    asked: Vec<Option<String>>,
    /// What ended the connection.
    error: Option<Error>,
}

impl<A: Application> PairPump<A> {
    /// A pump for a connection at its beginning.
    pub fn new(pair: Pair, tcp: TcpStream, application: A) -> PairPump<A> {
        // Small messages at once: nothing here waits for more bytes to send along.
        let _ = tcp.set_nodelay(true);
        let (from_tcp, to_tcp) = (Vec::new(), Vec::new());
        PairPump { pair, tcp, application, from_tcp, to_tcp, tcp_ended: false, state: State::default() }
    }

    /// Moves bytes until both sides have ended or something has failed.
    pub async fn run(&mut self, tls: &mut Tls) -> Result<Option<Error>> {
        while self.step(tls).await?.is_continue() {
            self.wait().await?;
        }
        self.close().await;
        Ok(self.state.error.clone())
    }

    /// As [`run`](Self::run), in an instance that others use as well: it is only held while bytes move.
    pub async fn run_shared(&mut self, tls: &Shared) -> Result<Option<Error>> {
        while self.step(&mut *tls.lock().await).await?.is_continue() {
            self.wait().await?;
        }
        self.close().await;
        Ok(self.state.error.clone())
    }

    /// Moves what can be moved now, until nothing moves any more. Breaks when all is over.
    pub async fn step(&mut self, tls: &mut Tls) -> Result<ControlFlow<()>> {
        loop {
            let mut moved = self.events(tls).await?;
            moved |= self.cleartext_out(tls).await?;
            moved |= self.encrypted_out(tls).await?;
            moved |= self.encrypted_in(tls).await?;
            moved |= self.cleartext_in(tls).await?;
            if moved {
                continue;
            }
            let over = self.state.error.is_some() || self.pair.is_closed(tls).await?;
            return Ok(if over && self.to_tcp.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
    }

    /// Waits until the TCP connection can do more.
    pub async fn wait(&self) -> Result<()> {
        let reads = !self.tcp_ended && self.from_tcp.is_empty();
        let writes = !self.to_tcp.is_empty();
        tokio::select! {
            ready = self.tcp.readable(), if reads => ready?,
            ready = self.tcp.writable(), if writes => ready?,
            // An application that did not want to read is asked again.
            () = tokio::time::sleep(ASK_AGAIN), if !self.application.is_reading() || !(reads || writes) => {}
        }
        Ok(())
    }

    /// Whether the handshake is done.
    pub fn is_secure(&self) -> bool {
        self.state.secure
    }

    /// The names that were asked for by the event `sni`.
    pub fn asked(&self) -> &[Option<String>] {
        &self.state.asked
    }

    /// Answers the event `sni`.
    pub async fn answer_sni(&self, tls: &mut Tls, context: Option<Context>) -> Result<Result<(), Error>> {
        self.pair.answer_sni(tls, context).await
    }

    /// Ends the TCP connection so that the peer still reads what was sent last: an alert would be lost if the connection were
    /// closed with bytes in it that nobody has read.
    pub async fn close(&mut self) {
        let _ = self.tcp.shutdown().await;
        let mut rest = [0; 4096];
        let drain = async { while matches!(self.tcp.read(&mut rest).await, Ok(1..)) {} };
        if self.state.error.is_some() {
            let _ = tokio::time::timeout(LINGER, drain).await;
        }
    }

    async fn events(&mut self, tls: &mut Tls) -> Result<bool> {
        let mut moved = false;
        while let Some(event) = self.pair.next_event(tls).await? {
            moved = true;
            self.state.note(event);
        }
        Ok(moved)
    }

    async fn cleartext_out(&mut self, tls: &mut Tls) -> Result<bool> {
        if self.state.ended || self.state.error.is_some() {
            return Ok(false);
        }
        match self.application.outgoing() {
            Outgoing::Nothing => Ok(false),
            Outgoing::End => {
                self.state.ended = true;
                self.pair.end(tls).await?;
                Ok(true)
            }
            Outgoing::Bytes(bytes) => {
                let taken = self.pair.write_cleartext(tls, bytes).await?;
                let count = self.state.keep_error(taken).unwrap_or(0) as usize;
                self.application.taken(count);
                Ok(count > 0)
            }
        }
    }

    async fn encrypted_out(&mut self, tls: &mut Tls) -> Result<bool> {
        if self.to_tcp.is_empty() {
            self.to_tcp = self.pair.read_encrypted(tls, CHUNK as u64).await?;
        }
        if self.to_tcp.is_empty() {
            return Ok(false);
        }
        match self.tcp.try_write(&self.to_tcp) {
            Ok(count) => {
                self.to_tcp.drain(..count);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => {
                // The peer is gone. What it said before may still be there to read, so only this side is over.
                self.to_tcp.clear();
                Ok(true)
            }
        }
    }

    async fn encrypted_in(&mut self, tls: &mut Tls) -> Result<bool> {
        if self.state.error.is_some() {
            return Ok(false);
        }
        let mut moved = false;
        if self.from_tcp.is_empty() && !self.tcp_ended {
            moved = self.receive();
            if self.tcp_ended && self.from_tcp.is_empty() {
                self.pair.end_encrypted(tls).await?;
            }
        }
        if !self.from_tcp.is_empty() {
            let taken = self.pair.write_encrypted(tls, &self.from_tcp).await?;
            let count = self.state.keep_error(taken).unwrap_or(0) as usize;
            self.from_tcp.drain(..count);
            moved |= count > 0;
        }
        Ok(moved)
    }

    /// Reads from TCP what is there; says whether something was, or the end.
    fn receive(&mut self) -> bool {
        self.from_tcp.resize(CHUNK, 0);
        let read = self.tcp.try_read(&mut self.from_tcp);
        self.from_tcp.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.tcp_ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.tcp_ended = true,
        }
        true
    }

    async fn cleartext_in(&mut self, tls: &mut Tls) -> Result<bool> {
        if self.state.peer_ended || !self.application.is_reading() {
            return Ok(false);
        }
        let read = self.pair.read_cleartext(tls, CHUNK as u64).await?;
        let read = self.state.keep_error(read);
        Ok(self.state.deliver(&mut self.application, read))
    }
}

impl<A: Application> SocketPump<A> {
    /// A pump for a connection at its beginning.
    pub fn new(socket: Socket, application: A) -> SocketPump<A> {
        SocketPump { socket, application, state: State::default() }
    }

    /// Moves bytes until both sides have ended or something has failed, and then drops the socket.
    pub async fn run(&mut self, tls: &mut Tls) -> Result<Option<Error>> {
        while self.step(tls).await?.is_continue() {
            let pollables = self.socket.subscribe(tls).await?;
            tls.ready(&pollables).await?;
            tls.drop_pollables(pollables)?;
        }
        Ok(self.state.error.clone())
    }

    /// Moves what can be moved now, until nothing moves any more. Breaks when all is over.
    pub async fn step(&mut self, tls: &mut Tls) -> Result<ControlFlow<()>> {
        loop {
            let mut moved = false;
            if !self.state.ended && self.state.error.is_none() {
                moved |= self.write(tls).await?;
            }
            if !self.state.peer_ended && self.state.error.is_none() && self.application.is_reading() {
                let read = self.socket.read(tls, CHUNK as u64).await?;
                let read = self.state.keep_error(read);
                moved |= self.state.deliver(&mut self.application, read);
            }
            let flushed = self.socket.flush(tls).await?;
            let flushed = self.state.keep_error(flushed).unwrap_or(true);
            if moved {
                continue;
            }
            let over = self.state.error.is_some() || (self.state.ended && self.state.peer_ended);
            return Ok(if over && flushed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
    }

    /// The socket.
    pub fn socket(&self) -> Socket {
        self.socket
    }

    async fn write(&mut self, tls: &mut Tls) -> Result<bool> {
        match self.application.outgoing() {
            Outgoing::Nothing => Ok(false),
            Outgoing::End => {
                self.state.ended = true;
                let ended = self.socket.end(tls).await?;
                self.state.keep_error(ended);
                Ok(true)
            }
            Outgoing::Bytes(bytes) => {
                let taken = self.socket.write(tls, bytes).await?;
                let count = self.state.keep_error(taken).unwrap_or(0) as usize;
                self.application.taken(count);
                Ok(count > 0)
            }
        }
    }
}

impl State {
    fn note(&mut self, event: Event) {
        match event {
            Event::Secure => self.secure = true,
            Event::Sni(name) => self.asked.push(name),
            // Those that ask come only where they were asked for, and those that tell are for other tests.
            _ => {}
        }
    }

    /// The value; an error is kept as what ended the connection.
    fn keep_error<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.error = Some(error)).ok()
    }

    /// Hands over what was read, and says whether it was anything.
    fn deliver(&mut self, application: &mut impl Application, read: Option<Cleartext>) -> bool {
        match read {
            Some(Cleartext::Data(bytes)) => application.incoming(&bytes),
            Some(Cleartext::End) => {
                self.peer_ended = true;
                application.peer_ended();
            }
            Some(Cleartext::Pending) | None => return false,
        }
        true
    }
}

/// The most that is moved at once.
const CHUNK: usize = 64 * 1024;

/// How long the peer may take to read our last words.
const LINGER: Duration = Duration::from_secs(2);

/// When to ask an application again whether it wants to read.
const ASK_AGAIN: Duration = Duration::from_millis(2);
