//! A connection as a stream of tokio.
//!
//! Buffers stand on both sides of the guest, each with a limit. Whoever polls the stream, for whatever, moves all that can be moved:
//! from the transport, to the transport, and through the guest, by at most one [`Turn`] at a time.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::bindings::exports::guest::tls::types::{Error as TlsError, ErrorCode, ProtocolVersion};
use crate::connector::{Session, Sessions};
use crate::error::Error;
use crate::info::Info;
use crate::pool::{Export, Guest, Origin, Pool, Turn};

/// A TLS connection over the transport `S`, after its handshake.
///
/// * Reading gives what the peer said, and an end where it has ended by `close_notify`. Where the transport ended without one, what
///   came may have been cut short: that is an error of kind [`io::ErrorKind::UnexpectedEof`].
/// * Writing takes at most 128 KiB that the guest has not taken yet, and is pending while the transport takes nothing. Flush to be sure
///   that the transport has all; what was not flushed goes on its way whenever the stream is read, written or flushed.
/// * `shutdown` sends `close_notify` after all that was written, and shuts the sending side of the transport down. Reading goes on: each
///   side ends alone.
/// * Dropping the stream drops the transport as it is, which is a truncation for the peer unless `shutdown` was called.
///
/// Errors are [`Error`]s inside of [`io::Error`]s. They end the connection, and each later call gives the same.
#[derive(Debug)]
pub struct TlsStream<S> {
    transport: S,
    core: Core,
    info: Info,
}

impl<S> TlsStream<S> {
    /// The transport, and what was agreed on in the handshake.
    pub fn get_ref(&self) -> (&S, &Info) {
        (&self.transport, &self.info)
    }

    /// The transport. Whoever reads from it or writes to it breaks the connection.
    pub fn get_mut(&mut self) -> (&mut S, &Info) {
        (&mut self.transport, &self.info)
    }

    /// The transport alone. What was not yet read or sent is lost.
    pub fn into_inner(self) -> S {
        self.transport
    }

    /// Key material bound to this connection (row K12, RFC 5705, RFC 8446 section 7.5).
    /// Errors: [`Error::Tls`] for a length of 0 or more than 8160, [`Error::Trapped`].
    pub async fn export_keying_material(
        &self,
        length: u32,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<Vec<u8>, Error> {
        let export = Export { length, label: label.to_vec(), context: context.map(<[u8]>::to_vec) };
        self.core.guest.export(export).await
    }
}

/// Begins a connection and has its handshake. Sessions of a client are kept under the name.
pub(crate) async fn open<S>(
    pool: &Pool,
    origin: Origin,
    mut transport: S,
    sessions: Option<(Arc<Sessions>, String)>,
    timeout: Duration,
) -> Result<TlsStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let handshake = async {
        let wakers = Arc::new(Wakers::default());
        let guest = pool.open(origin, &wakers).await?;
        let mut core = Core::new(guest, wakers, sessions);
        let done = poll_fn(|cx| core.poll_handshake(&mut transport, cx)).await;
        if done.is_err() {
            let farewell = poll_fn(|cx| core.poll_farewell(&mut transport, cx));
            // A peer that does not read its alert does not want it.
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
        done.map(|info| (core, info))
    };
    // The guest has this deadline as well, but is not asked while nothing happens.
    let done = tokio::time::timeout(timeout, handshake).await;
    let (core, info) = done.unwrap_or_else(|_| Err(too_long(timeout)))?;
    Ok(TlsStream { transport, core, info })
}

/// A time as the guest takes it.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_read(transport, cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_write(transport, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_flush(transport, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_shutdown(transport, cx)
    }
}

/// The tasks that wait for a stream. One may read while another one writes, and what either waits for may be one and the same: so
/// whatever happens wakes both.
#[derive(Default)]
pub(crate) struct Wakers(Mutex<[Option<Waker>; 2]>);

/// Who waits.
#[derive(Clone, Copy)]
enum Side {
    Reader,
    Writer,
}

impl Wakers {
    /// Wakes whoever waits.
    pub(crate) fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn set(&self, side: Side, waker: &Waker) {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut wakers[side as usize] {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// A stream without its transport.
struct Core {
    guest: Guest,
    wakers: Arc<Wakers>,
    /// Wakes them.
    waker: Waker,
    /// What the guest has in hand.
    turn: Option<oneshot::Receiver<Box<Turn>>>,
    /// Whether that has anything for the transport.
    turn_sends: bool,
    /// How much it has in hand of what was received and of what is outgoing, which may come back.
    in_hand: (usize, usize),
    /// Whether there is something for the guest that was not there in its last turn.
    dirty: bool,

    /// From the transport to the guest.
    received: Vec<u8>,
    transport_ended: bool,
    /// From the guest to the application.
    cleartext: Buffer,
    /// Whether the guest may have more of it.
    more_cleartext: bool,
    peer_ended: bool,

    /// From the application to the guest.
    outgoing: Vec<u8>,
    /// Whether our end was said.
    ending: bool,
    /// Whether the guest has taken it.
    ended: bool,
    /// From the guest to the transport.
    encrypted: Buffer,
    /// Whether the guest may have more of it.
    more_encrypted: bool,
    /// Whether the transport has bytes that it was not told to flush.
    unflushed: bool,

    read_error: Option<Error>,
    write_error: Option<Error>,
    /// What the transport said when it was read.
    receive_error: Option<Arc<io::Error>>,
    info: Option<Info>,
    /// The version, when the handshake is done.
    protocol: Option<ProtocolVersion>,
    /// Where the sessions of a client are kept, and its server's name.
    sessions: Option<(Arc<Sessions>, String)>,
}

impl Core {
    fn new(guest: Guest, wakers: Arc<Wakers>, sessions: Option<(Arc<Sessions>, String)>) -> Core {
        let waker = Waker::from(Arc::clone(&wakers));
        Core {
            guest,
            wakers,
            waker,
            turn: None,
            turn_sends: false,
            in_hand: (0, 0),
            // A client begins by itself.
            dirty: true,
            received: Vec::new(),
            transport_ended: false,
            cleartext: Buffer::default(),
            more_cleartext: false,
            peer_ended: false,
            outgoing: Vec::new(),
            ending: false,
            ended: false,
            encrypted: Buffer::default(),
            more_encrypted: false,
            unflushed: false,
            read_error: None,
            write_error: None,
            receive_error: None,
            info: None,
            protocol: None,
            sessions,
        }
    }

    /// Ready when the handshake is done and its last message is on its way.
    fn poll_handshake<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<Result<Info, Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Reader, cx.waker());
        self.drive(transport);
        // What came before an error is nothing without a handshake. After one, it is for who reads or writes: a client may have sent its
        // last message, all that it had to say and its end at once.
        if self.info.is_none()
            && let Some(error) = self.read_error.clone().or_else(|| self.write_error.clone())
        {
            return Poll::Ready(Err(error));
        }
        if !self.is_sent() {
            return Poll::Pending;
        }
        self.info.take().map_or(Poll::Pending, |info| Poll::Ready(Ok(info)))
    }

    /// After a failed handshake: ready when the peer has its alert, or can't get it.
    fn poll_farewell<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Reader, cx.waker());
        self.drive(transport);
        if !self.is_sent() && self.guest.life().trap().is_none() {
            return Poll::Pending;
        }
        let cx = &mut Context::from_waker(&self.waker);
        if Pin::new(&mut *transport).poll_shutdown(cx).is_pending() {
            return Poll::Pending;
        }
        // TCP resets a connection that is closed with bytes in it that nobody has read, and the peer loses the alert.
        for _ in 0..LIMIT / CHUNK {
            if !matches!(self.receive(transport), Poll::Ready(Ok(1..))) {
                break;
            }
        }
        Poll::Ready(())
    }

    fn poll_read<S>(
        &mut self,
        transport: &mut S,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        self.wakers.set(Side::Reader, cx.waker());
        if self.cleartext.is_empty() {
            self.drive(transport);
        }
        if !self.cleartext.is_empty() {
            let count = self.cleartext.len().min(buffer.remaining());
            buffer.put_slice(&self.cleartext.bytes()[..count]);
            self.cleartext.take(count);
            // The guest gets on with the rest meanwhile.
            self.drive(transport);
            return Poll::Ready(Ok(()));
        }
        if self.peer_ended {
            return Poll::Ready(Ok(()));
        }
        match &self.read_error {
            Some(error) => Poll::Ready(Err(error.clone().into())),
            None => Poll::Pending,
        }
    }

    fn poll_write<S>(&mut self, transport: &mut S, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Writer, cx.waker());
        self.drive(transport);
        if self.ending {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "written after the stream was shut down",
            )));
        }
        if let Some(error) = self.error_of_writer() {
            return Poll::Ready(Err(error));
        }
        let waiting = self.outgoing.len() + self.in_hand.1;
        let count = LIMIT.saturating_sub(waiting).min(bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Poll::Pending;
        }
        self.outgoing.extend_from_slice(&bytes[..count]);
        self.dirty |= count > 0;
        self.drive(transport);
        Poll::Ready(Ok(count))
    }

    fn poll_flush<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Writer, cx.waker());
        self.drive(transport);
        if self.is_sent_well() {
            return Poll::Ready(Ok(()));
        }
        self.error_of_writer().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }

    fn poll_shutdown<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Writer, cx.waker());
        if !self.ending {
            (self.ending, self.dirty) = (true, true);
        }
        self.drive(transport);
        if !self.ended || !self.is_sent_well() {
            return self.error_of_writer().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        Pin::new(transport).poll_shutdown(&mut Context::from_waker(&self.waker))
    }

    /// Moves what can be moved now. Whatever may be moved later wakes the tasks that wait.
    fn drive<S: AsyncRead + AsyncWrite + Unpin>(&mut self, transport: &mut S) {
        loop {
            let mut moved = self.finish_turn();
            moved |= self.send(transport);
            moved |= self.fill(transport);
            moved |= self.start_turn();
            if !moved {
                return;
            }
        }
    }

    /// Takes what the guest has made, where it is done. Says whether it was.
    fn finish_turn(&mut self) -> bool {
        if let Some(error) = self.guest.life().trap() {
            self.turn = None;
            self.fail(&error);
            return false;
        }
        let Some(turn) = &mut self.turn else {
            return false;
        };
        let Poll::Ready(turn) = Pin::new(turn).poll(&mut Context::from_waker(&self.waker)) else {
            return false;
        };
        self.turn = None;
        self.turn_sends = false;
        self.in_hand = (0, 0);
        match turn {
            Ok(turn) => self.absorb(*turn),
            Err(_) => self.fail(&Error::Trapped("the thread of the instance has ended".into())),
        }
        true
    }

    fn absorb(&mut self, mut turn: Turn) {
        self.more_encrypted = turn.encrypted.len() >= turn.encrypted_max;
        self.more_cleartext = turn.cleartext.len() >= turn.cleartext_max;
        self.dirty |= turn.more_events;
        // What the guest did not take goes before what came meanwhile.
        turn.received.append(&mut self.received);
        self.received = turn.received;
        turn.outgoing.append(&mut self.outgoing);
        self.outgoing = turn.outgoing;
        if self.write_error.is_none() {
            self.encrypted.append(turn.encrypted);
        }
        self.cleartext.append(turn.cleartext);
        self.ended |= turn.ended;
        self.peer_ended |= turn.peer_ended;
        if let Some(info) = turn.info {
            self.protocol = info.protocol;
            self.info = Some(info);
        }
        if let Some((sessions, servername)) = &self.sessions {
            for name in turn.sessions {
                sessions.keep(servername, Session::of(&self.guest, name, self.protocol));
            }
        }
        if let Some(error) = turn.read_error {
            let cut = error.code() == Some(ErrorCode::ErrSslUnexpectedEofWhileReading);
            let cause = self.receive_error.clone().filter(|_| cut).map(Error::Transport);
            self.read_error.get_or_insert(cause.unwrap_or(error));
        }
        if let Some(error) = turn.write_error {
            self.write_error.get_or_insert(error);
        }
    }

    /// Gives the guest what there is for it, where there is anything. Says whether it did.
    fn start_turn(&mut self) -> bool {
        let room_for_encrypted = self.more_encrypted && self.encrypted.is_empty();
        let room_for_cleartext = self.more_cleartext && self.cleartext.len() <= LIMIT / 2;
        let wanted = self.dirty || room_for_encrypted || room_for_cleartext;
        if !wanted || self.turn.is_some() || self.guest.life().trap().is_some() {
            return false;
        }
        self.dirty = false;
        let end = self.ending && !self.ended;
        self.turn_sends = end || !self.outgoing.is_empty();
        self.in_hand = (self.received.len(), self.outgoing.len());
        self.turn = Some(self.guest.turn(Turn {
            received: std::mem::take(&mut self.received),
            transport_ended: self.transport_ended,
            outgoing: std::mem::take(&mut self.outgoing),
            end,
            encrypted_max: LIMIT.saturating_sub(self.encrypted.len()),
            cleartext_max: LIMIT.saturating_sub(self.cleartext.len()),
            ..Turn::default()
        }));
        true
    }

    /// Gives the transport what there is for it. Says whether it took any.
    fn send<S: AsyncWrite + Unpin>(&mut self, transport: &mut S) -> bool {
        let cx = &mut Context::from_waker(&self.waker);
        let mut moved = false;
        while !self.encrypted.is_empty() {
            match Pin::new(&mut *transport).poll_write(cx, self.encrypted.bytes()) {
                Poll::Ready(Ok(count @ 1..)) => {
                    self.encrypted.take(count);
                    self.unflushed = true;
                    moved = true;
                }
                Poll::Ready(Ok(0)) => return self.unsendable(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Err(error)) => return self.unsendable(error),
                Poll::Pending => return moved,
            }
        }
        if self.unflushed {
            match Pin::new(transport).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return self.unsendable(error),
                Poll::Pending => {}
            }
        }
        moved
    }

    /// The transport takes nothing any more. What the peer said before that may still be read.
    fn unsendable(&mut self, error: io::Error) -> bool {
        self.write_error.get_or_insert(Error::Transport(Arc::new(error)));
        self.encrypted = Buffer::default();
        self.unflushed = false;
        true
    }

    /// Takes what the transport has, up to the limit. Says whether it had any, or its end.
    fn fill<S: AsyncRead + Unpin>(&mut self, transport: &mut S) -> bool {
        let mut moved = false;
        let over = self.transport_ended || self.peer_ended || self.read_error.is_some();
        while !over && self.received.len() + self.in_hand.0 < LIMIT && !self.transport_ended {
            match self.receive(transport) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => self.transport_ended = true,
                Poll::Ready(Err(error)) => {
                    self.transport_ended = true;
                    self.receive_error = Some(Arc::new(error));
                }
                Poll::Pending => break,
            }
            (self.dirty, moved) = (true, true);
        }
        moved
    }

    fn receive<S: AsyncRead + Unpin>(&mut self, transport: &mut S) -> Poll<io::Result<usize>> {
        let mut chunk = [0; CHUNK];
        let mut buffer = ReadBuf::new(&mut chunk);
        let read = Pin::new(transport).poll_read(&mut Context::from_waker(&self.waker), &mut buffer);
        self.received.extend_from_slice(buffer.filled());
        read.map_ok(|()| buffer.filled().len())
    }

    /// Whether the transport has all that was written.
    fn is_sent(&self) -> bool {
        let is_encrypted = self.outgoing.is_empty() && !self.turn_sends && !self.more_encrypted;
        is_encrypted && self.encrypted.is_empty() && !self.unflushed
    }

    /// As [`is_sent`](Self::is_sent), and nothing of it was lost. A peer may have all and be gone, which is an error for the reader only.
    fn is_sent_well(&self) -> bool {
        self.is_sent() && self.write_error.is_none()
    }

    fn error_of_writer(&self) -> Option<io::Error> {
        self.write_error.as_ref().or(self.read_error.as_ref()).map(|error| error.clone().into())
    }

    fn fail(&mut self, error: &Error) {
        self.read_error.get_or_insert(error.clone());
        self.write_error.get_or_insert(error.clone());
        self.turn_sends = false;
        (self.more_encrypted, self.more_cleartext) = (false, false);
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("ended", &self.ended)
            .field("peer_ended", &self.peer_ended)
            .field("read_error", &self.read_error)
            .field("write_error", &self.write_error)
            .finish_non_exhaustive()
    }
}

/// Bytes that are taken from their front.
#[derive(Default)]
struct Buffer {
    all: Vec<u8>,
    taken: usize,
}

impl Buffer {
    fn bytes(&self) -> &[u8] {
        &self.all[self.taken..]
    }

    fn len(&self) -> usize {
        self.all.len() - self.taken
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            // A connection that is idle holds no memory.
            *self = Buffer::default();
        }
    }

    fn append(&mut self, bytes: Vec<u8>) {
        if self.is_empty() {
            *self = Buffer { all: bytes, taken: 0 };
        } else {
            self.all.drain(..self.taken);
            self.taken = 0;
            self.all.extend_from_slice(&bytes);
        }
    }
}

fn too_long(timeout: Duration) -> Error {
    let message = format!("the handshake was not done within {timeout:?}; the peer may be slow, or not speak TLS");
    Error::Tls(TlsError { code: ErrorCode::ErrTlsHandshakeTimeout, message, alert: None, reason: None })
}

/// How long a handshake may take unless the options say otherwise: Node's `handshakeTimeout`.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a peer may take to read its alert.
const FAREWELL: Duration = Duration::from_secs(2);

/// The most that waits in each buffer, with what the guest has in hand: twice what a turn of the guest is good for, so that the next one is
/// there when it is done.
const LIMIT: usize = 128 * 1024;

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;
