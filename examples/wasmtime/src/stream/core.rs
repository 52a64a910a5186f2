//! A stream without its transport: a state machine over a connection in the guest.
//!
//! Buffers stand on both sides of the guest, each with a limit. Whoever polls the stream, for whatever, moves all that can be moved:
//! from the transport, to the transport, and through the guest, by at most one [`Turn`] at a time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::buffer::Buffer;
use super::wakers::{Side, Wakers};
use super::write::Write;
use crate::bindings::exports::guest::tls::types::{Error as TlsError, ErrorCode, ProtocolVersion};
use crate::connector::{Session, Sessions};
use crate::error::Error;
use crate::info::Info;
use crate::pool::{Guest, Turn};

/// A stream without its transport.
pub(super) struct Core {
    pub(super) guest: Guest,
    wakers: Arc<Wakers>,
    /// Wakes them.
    waker: Waker,
    /// What the guest has in hand.
    turn: Option<oneshot::Receiver<Box<Turn>>>,
    /// Whether that has anything for the transport.
    turn_sends: bool,
    /// How much it has in hand of what was received, which may come back.
    in_hand: usize,
    /// Whether there is something for the guest that was not there in its last turn.
    dirty: bool,

    /// From the transport to the guest.
    received: Vec<u8>,
    transport_ended: bool,
    /// Whether the guest was told that the transport has ended.
    end_told: bool,
    /// Whether the handshake is done.
    is_secure: bool,
    /// From the guest to the application.
    cleartext: Buffer,
    /// Whether the guest may have more of it.
    more_cleartext: bool,
    peer_ended: bool,

    /// From the application to the guest.
    write: Write,
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
    /// What the reader is told of a transport that ended without `close_notify` after the handshake. The writer may go on.
    cut: Option<Error>,
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
    pub(super) fn new(guest: Guest, wakers: Arc<Wakers>, sessions: Option<(Arc<Sessions>, String)>) -> Core {
        let waker = Waker::from(Arc::clone(&wakers));
        Core {
            guest,
            wakers,
            waker,
            turn: None,
            turn_sends: false,
            in_hand: 0,
            // A client begins by itself.
            dirty: true,
            received: Vec::new(),
            transport_ended: false,
            end_told: false,
            is_secure: false,
            cleartext: Buffer::default(),
            more_cleartext: false,
            peer_ended: false,
            write: Write::Idle,
            ending: false,
            ended: false,
            encrypted: Buffer::default(),
            more_encrypted: false,
            unflushed: false,
            read_error: None,
            cut: None,
            write_error: None,
            receive_error: None,
            info: None,
            protocol: None,
            sessions,
        }
    }

    /// Ready when the handshake is done and its last message is on its way.
    pub(super) fn poll_handshake<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<Result<Info, Error>>
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
    pub(super) fn poll_farewell<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<()>
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

    pub(super) fn poll_read<S>(
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
        self.look_for_a_cut();
        match self.read_error.as_ref().or(self.cut.as_ref()) {
            Some(error) => Poll::Ready(Err(error.clone().into())),
            None => Poll::Pending,
        }
    }

    /// Ready when the transport was offered the bytes.
    pub(super) fn poll_write<S>(
        &mut self,
        transport: &mut S,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Writer, cx.waker());
        self.drive(transport);
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if self.ending {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "written after the stream was shut down",
            )));
        }
        // Twice: the bytes of a write that was given up may be out, and then these are next.
        for _ in 0..2 {
            if let Some(error) = self.error_of_writer() {
                return Poll::Ready(Err(error));
            }
            if let Some(count) = self.write.written(slices) {
                return Poll::Ready(Ok(count));
            }
            if self.write.is_begun() || self.encrypted.len() > LIMIT / 2 {
                break;
            }
            self.dirty |= self.write.queue(slices, LIMIT - self.encrypted.len());
            self.drive(transport);
        }
        Poll::Pending
    }

    pub(super) fn poll_flush<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Writer, cx.waker());
        self.write.withdraw();
        self.drive(transport);
        if self.is_sent_well() {
            self.write.settle();
            return Poll::Ready(Ok(()));
        }
        self.error_of_writer().map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }

    pub(super) fn poll_shutdown<S>(&mut self, transport: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.wakers.set(Side::Writer, cx.waker());
        self.write.withdraw();
        if !self.ending {
            (self.ending, self.dirty) = (true, true);
        }
        self.drive(transport);
        if !self.ended || !self.is_sent_well() {
            return self.error_of_writer().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        self.write.settle();
        match Pin::new(transport).poll_shutdown(&mut Context::from_waker(&self.waker)) {
            // The peer was faster: it has reset a transport on which all was said.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => done,
        }
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
            self.write = Write::Idle;
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
        self.in_hand = 0;
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
        if !turn.outgoing.is_empty() {
            self.write.done(turn.outgoing, turn.outgoing_taken);
        }
        if self.write_error.is_none() {
            self.encrypted.append(turn.encrypted);
        }
        self.cleartext.append(turn.cleartext);
        self.ended |= turn.ended;
        self.peer_ended |= turn.peer_ended;
        if let Some(info) = turn.info {
            self.protocol = info.protocol;
            self.info = Some(info);
            self.is_secure = true;
        }
        // A handshake that the transport cut is over, which the guest says.
        self.dirty |= self.tells_end_of_transport();
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
        let outgoing = self.write.hand_over();
        self.turn_sends = end || !outgoing.is_empty();
        self.in_hand = self.received.len();
        let transport_ended = self.tells_end_of_transport();
        self.end_told |= transport_ended;
        self.turn = Some(self.guest.turn(Turn {
            received: std::mem::take(&mut self.received),
            transport_ended,
            outgoing,
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
        while !over && self.received.len() + self.in_hand < LIMIT && !self.transport_ended {
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
        !self.turn_sends && !self.more_encrypted && self.encrypted.is_empty() && !self.unflushed
    }

    /// As [`is_sent`](Self::is_sent), and nothing of it was lost. A peer may have all and be gone, which is an error for the reader only.
    fn is_sent_well(&self) -> bool {
        self.is_sent() && self.write_error.is_none()
    }

    /// Whether the guest is told that the transport has ended. After the handshake it is not: for the guest that would be the end of both
    /// directions, and a peer that sends no more may still read.
    fn tells_end_of_transport(&self) -> bool {
        self.transport_ended && !self.is_secure && !self.end_told && self.received.is_empty() && self.in_hand == 0
    }

    /// The reader is told of a transport that ended without `close_notify`, after all that came before.
    fn look_for_a_cut(&mut self) {
        let may_come = self.turn.is_some() || self.dirty || self.more_cleartext || !self.received.is_empty();
        if self.transport_ended && self.is_secure && !may_come && self.cut.is_none() {
            self.cut = Some(self.receive_error.clone().map_or_else(cut_short, Error::Transport));
        }
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

/// What the guest says of a transport that has ended without `close_notify` (row K19).
fn cut_short() -> Error {
    let message = "The transport ended without close_notify: what was received may have been cut short.".to_string();
    let reason = Some("unexpected eof while reading".to_string());
    Error::Tls(TlsError { code: ErrorCode::ErrSslUnexpectedEofWhileReading, message, alert: None, reason })
}

/// The most that waits in each buffer, with what the guest has in hand: twice what a turn of the guest is good for, so that the next one is
/// there when it is done.
const LIMIT: usize = 128 * 1024;

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;
