//! Moves the bytes of one connection between four streams, in the task of its handshake.

use std::cell::{Cell, RefCell, RefMut};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use guest_tls::engine::{Cleartext, Connection};
use guest_tls::{Error, ErrorCode};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use super::bindings::generated::wasi::clocks0_3_0::monotonic_clock;
use super::bindings::generated::wit_future::{self, FuturePayload};
use super::bindings::generated::wit_stream;
use super::verdict::Verdict;

/// How a direction ended, as an interface tells it.
type Outcome<E> = Result<(), E>;

/// One direction of a connection that is set up: bytes come from a stream and go to another.
pub(super) struct Direction<E: 'static> {
    input: StreamReader<u8>,
    output: StreamWriter<u8>,
    verdict: Verdict<Outcome<E>>,
}

/// What the parts of a pump have in common.
struct Link {
    connection: Rc<RefCell<Connection>>,
    /// Whether anything has happened since the parts were last asked, so that others may have something to do.
    moved: Cell<bool>,
    /// Whether the application has ended its side.
    ended: Cell<bool>,
    /// Whether nothing more goes to the transport.
    sent: Cell<bool>,
    /// Whether nothing more that the transport brings is of use.
    deaf: Cell<bool>,
}

/// All that moves bytes of a connection. It is done when both directions have ended and were told so.
struct Pump {
    link: Rc<Link>,
    parts: Vec<Pin<Box<dyn Future<Output = ()>>>>,
}

/// A direction that may be set up, once.
pub(super) struct Slot<E: 'static>(RefCell<Option<Direction<E>>>);

impl<E> Slot<E>
where
    E: From<Error>,
    Outcome<E>: FuturePayload,
{
    /// Sets the direction up, and gives where its bytes come out and how it ended. Where it is set up already, that is a stream that has
    /// ended and the error.
    pub(super) fn set_up(&self, input: StreamReader<u8>) -> (StreamReader<u8>, FutureReader<Outcome<E>>) {
        let mut direction = self.0.borrow_mut();
        let (output, reader) = wit_stream::new();
        if direction.is_some() {
            let (verdict, outcome) = wit_future::new(twice);
            // Dropped, it tells its default.
            drop(Verdict::new(verdict));
            return (reader, outcome);
        }
        let (verdict, outcome) = wit_future::new(given_up);
        *direction = Some(Direction { input, output, verdict: Verdict::new(verdict) });
        (reader, outcome)
    }

    /// The direction, if it was set up.
    pub(super) fn into_inner(self) -> Option<Direction<E>> {
        self.0.into_inner()
    }
}

impl<E> Default for Slot<E> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// Shakes hands, and leaves the rest of the connection to a part of this task that goes on after it has returned. Where this is dropped
/// before, which is how a task is cancelled, everything of the connection is.
pub(super) async fn handshake<E: From<Error> + 'static>(
    connection: Rc<RefCell<Connection>>,
    send: Option<Direction<E>>,
    receive: Option<Direction<E>>,
) -> Result<(), Error> {
    let (send, receive) = match (send, receive) {
        (Some(send), Some(receive)) => (send, receive),
        (send, receive) => {
            let missing = if send.is_none() { "send" } else { "receive" };
            let message = format!("`{missing}` was not called: both directions are set up before the handshake.");
            return Err(refuse(send, receive, Error::new(ErrorCode::ErrInvalidState, message)));
        }
    };
    let link = Rc::new(Link::new(connection));
    let mut pump = Pump::new(&link, send, receive);
    poll_fn(|context| {
        let done = Pin::new(&mut pump).poll(context).is_ready();
        if done || link.is_decided() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    wit_bindgen::spawn_local(pump);
    link.result()
}

/// Ends a connection that never was one: tells the error to the directions that are set up, and gives it back.
pub(super) fn refuse<E: From<Error> + 'static>(
    send: Option<Direction<E>>,
    receive: Option<Direction<E>>,
    error: Error,
) -> Error {
    for direction in [send, receive].into_iter().flatten() {
        let error = error.clone();
        // Both streams end at once, the future may be read much later.
        let Direction { verdict, .. } = direction;
        wit_bindgen::spawn_local(async move { verdict.tell(Err(error.into())).await });
    }
    error
}

impl Link {
    fn new(connection: Rc<RefCell<Connection>>) -> Self {
        let not_yet = || Cell::new(false);
        Self { connection, moved: not_yet(), ended: not_yet(), sent: not_yet(), deaf: not_yet() }
    }

    /// The connection, to change something: the other parts are asked again.
    fn changed(&self) -> RefMut<'_, Connection> {
        self.moved.set(true);
        self.connection.borrow_mut()
    }

    /// Waits until this is so. No waker is needed: a pump asks all its parts again whenever one has moved.
    async fn until(&self, condition: impl Fn() -> bool) {
        poll_fn(|_| if condition() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Whether nothing more of the application is taken.
    fn is_mute(&self) -> bool {
        self.sent.get() || self.connection.borrow().error().is_some()
    }

    /// Whether nothing more of the transport is taken.
    fn is_deaf(&self) -> bool {
        self.deaf.get() || self.connection.borrow().error().is_some()
    }

    /// Whether nothing waits for the transport, and nothing more can come.
    fn has_sent_all(&self) -> bool {
        let connection = self.connection.borrow();
        (self.ended.get() || connection.error().is_some()) && !connection.has_unsent()
    }

    /// What it means that the transport takes nothing more. What it brings may still be read; without an end of the handshake there is
    /// nothing to be read.
    fn lose_transport(&self) -> Error {
        let mut connection = self.changed();
        let reason = "its stream takes nothing more";
        if connection.is_handshaking() {
            connection.transport_failed(reason);
        }
        let lost = || Error::new(ErrorCode::Econnreset, format!("The transport failed: {reason}."));
        connection.error().cloned().unwrap_or_else(lost)
    }

    /// Whether the handshake is over, for good or ill.
    fn is_decided(&self) -> bool {
        let connection = self.connection.borrow();
        !connection.is_handshaking() || connection.error().is_some()
    }

    /// What ended the connection, where an error did.
    fn result(&self) -> Result<(), Error> {
        self.connection.borrow().error().cloned().map_or(Ok(()), Err)
    }

    /// Tells the connection the time.
    fn tick(&self) {
        self.changed().tick(Duration::from_nanos(monotonic_clock::now()));
    }
}

impl Pump {
    fn new<E: From<Error> + 'static>(link: &Rc<Link>, send: Direction<E>, receive: Direction<E>) -> Self {
        let parts: Vec<Pin<Box<dyn Future<Output = ()>>>> = vec![
            Box::pin(time_handshake(Rc::clone(link))),
            Box::pin(take_cleartext(Rc::clone(link), send.input)),
            Box::pin(give_records(Rc::clone(link), send.output, send.verdict)),
            Box::pin(take_records(Rc::clone(link), receive.input)),
            Box::pin(give_cleartext(Rc::clone(link), receive.output, receive.verdict)),
        ];
        Self { link: Rc::clone(link), parts }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.link.moved.set(false);
            self.parts.retain_mut(|part| part.as_mut().poll(context).is_pending());
            if !self.link.moved.get() {
                break;
            }
        }
        if self.parts.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Ends a handshake that takes too long (row O20).
async fn time_handshake(link: Rc<Link>) {
    link.tick();
    let deadline = link.connection.borrow().handshake_deadline();
    let Some(deadline) = deadline else { return };
    let mut passed = Box::pin(monotonic_clock::wait_until(u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX)));
    let is_over = poll_fn(|context| match link.is_decided() {
        true => Poll::Ready(false),
        false => passed.as_mut().poll(context).map(|()| true),
    });
    if is_over.await {
        link.tick();
    }
}

/// From the transport into the engine.
async fn take_records(link: Rc<Link>, mut ciphertext: StreamReader<u8>) {
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        link.until(|| link.connection.borrow().wants_read() || link.is_deaf()).await;
        let Some((result, bytes)) = read(&mut ciphertext, buffer, || link.is_deaf()).await else { return };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            link.until(|| link.connection.borrow().wants_read() || link.is_deaf()).await;
            match link.changed().write_encrypted(rest) {
                Ok(taken @ 1..) => rest = &rest[taken..],
                // The connection is over, and tells why by itself.
                Ok(0) | Err(_) => return,
            }
        }
        if !matches!(result, StreamResult::Complete(_)) {
            link.changed().end_encrypted();
            return;
        }
        buffer = bytes;
        buffer.clear();
    }
}

/// From the engine to the application.
async fn give_cleartext<E: From<Error>>(link: Rc<Link>, cleartext: StreamWriter<u8>, verdict: Verdict<Outcome<E>>) {
    let mut reader = Some(cleartext);
    let outcome = loop {
        let next = poll_fn(|_| {
            let next = link.connection.borrow_mut().read_cleartext(CHUNK);
            // Where nobody reads any more and nothing is sent any more, there is nothing to wait for.
            let is_over = reader.is_none() && link.sent.get();
            match next {
                Ok(Cleartext::Pending) if is_over => Poll::Ready(Ok(Cleartext::End)),
                Ok(Cleartext::Pending) => Poll::Pending,
                next => Poll::Ready(next),
            }
        });
        match next.await {
            Ok(Cleartext::Data(bytes)) => {
                link.moved.set(true);
                if let Some(mut writer) = reader.take() {
                    let rest = writer.write_all(bytes).await;
                    reader = Some(writer).filter(|_| rest.is_empty());
                }
            }
            Ok(_) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    link.deaf.set(true);
    link.moved.set(true);
    drop(reader);
    verdict.tell(outcome).await;
}

/// From the application into the engine.
async fn take_cleartext(link: Rc<Link>, mut cleartext: StreamReader<u8>) {
    // What is sent before the peer is known has to wait in any case: here it waits with the application.
    link.until(|| link.is_decided()).await;
    let mut buffer = Vec::with_capacity(CHUNK);
    loop {
        let Some((result, bytes)) = read(&mut cleartext, buffer, || link.is_mute()).await else { return };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let taken = poll_fn(|_| {
                let taken = link.connection.borrow_mut().write_cleartext(rest);
                if matches!(taken, Ok(0)) && !link.is_mute() { Poll::Pending } else { Poll::Ready(taken) }
            });
            match taken.await {
                Ok(taken @ 1..) => rest = &rest[taken..],
                Ok(0) | Err(_) => return,
            }
            link.moved.set(true);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            link.changed().end();
            link.ended.set(true);
            return;
        }
        buffer = bytes;
        buffer.clear();
    }
}

/// From the engine to the transport.
async fn give_records<E: From<Error>>(link: Rc<Link>, mut ciphertext: StreamWriter<u8>, verdict: Verdict<Outcome<E>>) {
    let outcome = loop {
        link.until(|| link.connection.borrow().wants_write() || link.has_sent_all()).await;
        let bytes = link.changed().read_encrypted(CHUNK);
        if bytes.is_empty() {
            break link.result();
        }
        if !ciphertext.write_all(bytes).await.is_empty() {
            break Err(link.lose_transport());
        }
    };
    link.sent.set(true);
    link.moved.set(true);
    drop(ciphertext);
    verdict.tell(outcome.map_err(E::from)).await;
}

/// A read of a stream, unless that is of no use any more.
async fn read(
    stream: &mut StreamReader<u8>,
    buffer: Vec<u8>,
    is_useless: impl Fn() -> bool,
) -> Option<(StreamResult, Vec<u8>)> {
    let mut read = pin!(stream.read(buffer));
    poll_fn(|context| match is_useless() {
        true => Poll::Ready(None),
        false => read.as_mut().poll(context).map(Some),
    })
    .await
}

fn twice<E: From<Error>>() -> Outcome<E> {
    let message = "This direction was set up before: a connection has one stream to send and one to receive.";
    Err(Error::new(ErrorCode::ErrInvalidState, message).into())
}

fn given_up<E: From<Error>>() -> Outcome<E> {
    let message =
        "The connection was given up: its handle was dropped before the handshake, or the handshake was cancelled.";
    Err(Error::new(ErrorCode::AbortErr, message).into())
}

/// How much is moved at once: some records.
const CHUNK: usize = 64 * 1024;
