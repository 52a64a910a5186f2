//! The state machine of one connection.

mod asking;
mod ending;
mod opening;
mod properties;

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::server::{Accepted, Acceptor};
use rustls::{CommonState, Connection as TlsConnection, Error as TlsError, HandshakeKind, ProtocolVersion};
use zeroize::Zeroizing;

use super::client_hello::ClientHello;
use super::contexts::require_certificate;
use super::sessions::client::{self, ClientSide, ConnectionSession};
use super::sessions::server::{ConnectionSessions, NewSession, Outside};
use super::sessions::stored::Client;
use super::sessions::{ServerSessions, lock};
use super::transcript::{CLOSE_NOTIFY, Transcript};
use super::{ConnectionOptions, Contexts, Server};
use crate::context::Context;
use crate::error::{Alert, Direction, Error, ErrorCode};
use crate::provider::observer;
use crate::verify::Verdict;
use asking::{Asking, Question};
use opening::{KeyLogLines, ServerSide};

/// One connection, client or server. Bytes of the transport go through [`write_encrypted`](Self::write_encrypted) and
/// [`read_encrypted`](Self::read_encrypted), those of the application through [`write_cleartext`](Self::write_cleartext)
/// and [`read_cleartext`](Self::read_cleartext).
///
/// Every buffer has a limit. After an error the connection is over and says that error to every call; an alert for the
/// peer may still wait in [`read_encrypted`](Self::read_encrypted).
#[derive(Debug)]
pub struct Connection {
    options: ConnectionOptions,
    contexts: Contexts,
    stage: Stage,
    events: VecDeque<Event>,
    verdict: Arc<Verdict>,
    error: Option<Error>,
    transcript: Transcript,
    key_log: Option<Arc<KeyLogLines>>,
    side: Side,
    /// The name that the client asked for.
    servername: Option<String>,
    /// What goes out once the connection has failed: what rustls still had for the transport, and the alert.
    final_output: VecDeque<u8>,
    /// What the application wrote before there was a rustls connection.
    early_cleartext: Vec<u8>,
    /// Cleartext that waits in rustls for the reader, in bytes.
    readable: usize,
    /// Whether the handshake is done.
    secure: bool,
    /// Whether the handshake resumed a session.
    reused: bool,
    /// Whether a record of the peer was understood.
    heard_tls: bool,
    /// Whether the peer sent `close_notify`.
    peer_has_closed: bool,
    closing: Closing,
    /// How many [`Event::NewSession`] wait for their answer. Meanwhile nothing goes out.
    held: usize,
    /// The most cleartext of a record, in bytes (row K13).
    send_fragment: usize,
    /// When the handshake began, by the clock of [`tick`](Self::tick).
    began: Option<Duration>,
    /// Whether the application wrote before the handshake was done.
    wrote_early: bool,
    /// Whether the reader was told the peer's end.
    end_was_read: bool,
    /// Server: whether the client offers TLS 1.3.
    offers_tls13: bool,
    /// Server: the client's signature schemes.
    client_schemes: Vec<u16>,
    bytes_read: u64,
    bytes_written: u64,
    /// Counts the connection among its server's for as long as it is there (row O24).
    _place: Option<Arc<()>>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Server: a client asks for this name, or for none; waits for [`Connection::answer_sni`] (row O15).
    Sni(Option<String>),
    /// Server: a client offers a session by this id; waits for [`Connection::answer_resume_session`] (row S4).
    ResumeSession(Vec<u8>),
    /// Server: a client offers application protocols; waits for [`Connection::answer_alpn`] (row O16).
    Alpn {
        /// The name that the client asks for.
        servername: Option<String>,
        /// Its protocols in its order.
        protocols: Vec<Vec<u8>>,
    },
    /// Server: a client wants a stapled OCSP response; waits for [`Connection::answer_ocsp_request`] (row S5).
    OcspRequest {
        /// The certificate that will be shown, in DER.
        certificate: Vec<u8>,
        /// The one after it in the chain.
        issuer: Option<Vec<u8>>,
    },
    /// Server: a session to be kept outside; waits for [`Connection::answer_new_session`] (row S3).
    NewSession(NewSession),
    /// Client: the stapled OCSP response as it came, or none (row K9).
    OcspResponse(Option<Vec<u8>>),
    /// Client: a session that can be resumed, for [`ConnectionOptions::session`] (row K8).
    Session(Vec<u8>),
    /// A line for a key log file (row S6).
    KeyLog(String),
    /// A line for people about a message that passed (row K18).
    Trace(String),
    /// The handshake is done (row K1).
    Secure,
}

/// What there is to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleartext {
    /// Bytes, at least one.
    Data(Vec<u8>),
    /// Nothing yet.
    Pending,
    /// The peer has closed its side by `close_notify`.
    End,
}

enum Stage {
    /// Client: has said nothing yet.
    Start,
    /// Server: waits for a whole ClientHello.
    Hello(Box<Acceptor>),
    /// Server: has it, and waits for an answer.
    Asking(Box<Asking>),
    /// rustls has the connection.
    Tls(Box<TlsConnection>),
    /// Failed before rustls had it.
    Failed,
}

/// What only a client, or only a server, has.
#[derive(Debug)]
enum Side {
    Client {
        side: Arc<ClientSide>,
        session: Arc<ConnectionSession>,
        /// The last session that was made (row K8).
        last: Option<Box<LastSession>>,
        /// Whether [`Event::OcspResponse`] is still to come.
        staple_due: bool,
    },
    Server {
        sessions: Arc<ServerSessions>,
        /// From the time when rustls has the connection.
        open: Option<(Arc<ServerSide>, Arc<ConnectionSessions>)>,
    },
}

/// A session that nobody asked for yet, or the name under which it was kept.
#[derive(Debug)]
enum LastSession {
    Made(client::Session),
    Kept(Vec<u8>),
}

/// How far our side's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Not asked for.
    No,
    /// Asked for before the handshake was done; goes out after it.
    Asked,
    /// `close_notify` was sent.
    Sent,
}

impl Connection {
    /// A connection at its beginning, or all that is wrong with the options. A client has its ClientHello ready.
    pub fn new(context: Arc<Context>, options: ConnectionOptions) -> Result<Self, Vec<Error>> {
        if options.is_server {
            return Server::new(context, options).and_then(|server| server.accept().map_err(|error| vec![error]));
        }
        let errors = options.check();
        match errors.is_empty() {
            true => Ok(Self::connect(context, options)),
            false => Err(errors),
        }
    }

    fn connect(context: Arc<Context>, options: ConnectionOptions) -> Self {
        let verdict = Arc::new(Verdict::default());
        let key_log = options.key_log.then(Arc::default);
        let side = Arc::new(opening::client_side(&context, &options, &verdict));
        let terms = opening::terms(&context, &options);
        let offered = options.session.as_ref().and_then(|name| client::find(name, &terms, context.now()));
        let session = Arc::new(ConnectionSession::new(terms, offered));
        // An IP address is not sent (RFC 6066 section 3).
        let servername = options.servername.clone().filter(|name| name.parse::<IpAddr>().is_err());
        let staple_due = options.request_ocsp;
        let side = Side::Client { side, session, last: None, staple_due };
        let connection = Self::at(Stage::Start, Contexts::new(context), options, side);
        Self { servername, verdict, key_log, ..connection }
    }

    /// A server's connection at its beginning. The options were checked by the [`Server`].
    pub(super) fn accept(
        contexts: Contexts,
        options: ConnectionOptions,
        sessions: Arc<ServerSessions>,
        place: Arc<()>,
    ) -> Self {
        let key_log = options.key_log.then(Arc::default);
        let side = Side::Server { sessions, open: None };
        let connection = Self::at(Stage::Hello(Box::default()), contexts, options, side);
        Self { key_log, _place: Some(place), ..connection }
    }

    fn at(stage: Stage, contexts: Contexts, options: ConnectionOptions, side: Side) -> Self {
        Self {
            transcript: Transcript::new(options.is_server, options.trace),
            options,
            contexts,
            stage,
            side,
            events: VecDeque::new(),
            verdict: Arc::default(),
            error: None,
            key_log: None,
            servername: None,
            final_output: VecDeque::new(),
            early_cleartext: Vec::new(),
            readable: 0,
            secure: false,
            reused: false,
            heard_tls: false,
            peer_has_closed: false,
            closing: Closing::No,
            held: 0,
            send_fragment: FRAGMENT_MAX,
            began: None,
            wrote_early: false,
            end_was_read: false,
            offers_tls13: false,
            client_schemes: Vec::new(),
            bytes_read: 0,
            bytes_written: 0,
            _place: None,
        }
    }

    /// Takes bytes that the transport brought, and says how many. It takes none while it waits for an answer, or while
    /// 16 KiB of cleartext wait to be read.
    pub fn write_encrypted(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut rest = bytes;
        self.open_client();
        while !rest.is_empty() {
            if let Some(error) = &self.error {
                // One in the bytes of this call is told by the next, and what follows it has no meaning.
                return if rest.len() == bytes.len() { Err(error.clone()) } else { Ok(bytes.len()) };
            }
            let before = rest;
            // What a record is depends on those before it, so rustls gets one at a time as long as that is not settled.
            let mut record = &rest[..self.transcript.record_end(rest)];
            match &mut self.stage {
                Stage::Hello(acceptor) => match acceptor.read_tls(&mut record) {
                    Ok(taken @ 1..) => {
                        rest = &rest[taken..];
                        self.transcript.transport(Direction::Received, &before[..taken]);
                        self.hello();
                    }
                    Ok(0) | Err(_) => self.fail(&TOO_LARGE),
                },
                Stage::Start | Stage::Asking(_) | Stage::Failed => break,
                // What comes after close_notify has no meaning (RFC 8446 section 6.1).
                Stage::Tls(_) if self.peer_has_closed => rest = &[],
                Stage::Tls(_) if self.readable >= READ_LIMIT || self.held > 0 => break,
                Stage::Tls(tls) => match tls.read_tls(&mut record) {
                    Ok(taken @ 1..) => {
                        rest = &rest[taken..];
                        self.transcript.transport(Direction::Received, &before[..taken]);
                        self.process();
                    }
                    Ok(0) | Err(_) => self.fail(&TOO_LARGE),
                },
            }
            self.bytes_read += (before.len() - rest.len()) as u64;
        }
        match bytes.len() - rest.len() {
            0 => self.check().map(|()| 0),
            taken => Ok(taken),
        }
    }

    /// Says that the transport has ended. Without a `close_notify` before, that is an error (row K19).
    pub fn end_encrypted(&mut self) {
        if self.error.is_some() || self.peer_has_closed {
            return;
        }
        let message = match self.secure {
            true => "The transport ended without close_notify: what was received may have been cut short.",
            false => "The transport ended before the handshake was done.",
        };
        self.error = Some(Error::new(ErrorCode::ErrSslUnexpectedEofWhileReading, message));
    }

    /// At most `max` bytes for the transport; empty where there are none now.
    pub fn read_encrypted(&mut self, max: usize) -> Vec<u8> {
        self.open_client();
        let bytes = match self.final_output.is_empty() {
            false => self.final_output.drain(..self.final_output.len().min(max)).collect(),
            true if self.held > 0 => Vec::new(),
            true => {
                let bytes = self.take_tls(max);
                self.transcript.transport(Direction::Sent, &bytes);
                self.tell_trace();
                bytes
            }
        };
        self.bytes_written += bytes.len() as u64;
        bytes
    }

    /// Takes bytes of the application, and says how many: none while [`ConnectionOptions::buffer_limit`] wait to be sent. What is
    /// written before the handshake is done goes out after it.
    pub fn write_cleartext(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.check()?;
        if self.closing != Closing::No {
            return Err(Error::new(
                ErrorCode::ErrStreamWriteAfterEnd,
                "Something was written after the end of this side.",
            ));
        }
        let fragment = self.send_fragment;
        let written = self.drive(|tls| write_fragments(tls, bytes, fragment));
        let written = written.unwrap_or_else(|| {
            let room = self.options.buffer_limit - self.early_cleartext.len();
            let taken = bytes.len().min(room);
            self.early_cleartext.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        });
        self.wrote_early |= !self.secure && matches!(written, Ok(1..));
        written
    }

    /// Ends our side by `close_notify`, after all that was written (row K19).
    pub fn end(&mut self) {
        if self.closing == Closing::No {
            self.closing = Closing::Asked;
        }
        self.end_if_due();
    }

    /// At most `max` bytes for the application. What was received before an error comes before the error.
    pub fn read_cleartext(&mut self, max: usize) -> Result<Cleartext, Error> {
        let mut data = Vec::new();
        let mut end = false;
        if let Stage::Tls(tls) = &mut self.stage {
            data.reserve(self.readable.min(max));
            while data.len() < max {
                let mut reader = tls.reader();
                let Ok(chunk) = reader.fill_buf() else { break };
                if chunk.is_empty() {
                    end = true;
                    break;
                }
                let taken = chunk.len().min(max - data.len());
                data.extend_from_slice(&chunk[..taken]);
                reader.consume(taken);
            }
        }
        self.readable -= data.len().min(self.readable);
        match (data.is_empty(), end) {
            (false, _) => Ok(Cleartext::Data(data)),
            (true, true) => {
                self.end_was_read = true;
                Ok(Cleartext::End)
            }
            (true, false) => self.check().map(|()| Cleartext::Pending),
        }
    }

    /// The next event, oldest first. Where more than 256 wait, the oldest of those that only inform go.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Answers [`Event::Sni`], with a context or with none for the connection's own.
    pub fn answer_sni(&mut self, context: Option<Arc<Context>>) -> Result<(), Error> {
        let servername = self.servername.clone();
        let default = self.contexts.choose(servername.as_deref()).clone();
        let asking = self.asking(|question| *question == Question::Sni, "a server name")?;
        let context = context.unwrap_or(default);
        require_certificate(&context)?;
        asking.context = Some(context);
        self.answered();
        Ok(())
    }

    /// Answers [`Event::ResumeSession`], with the data of [`Event::NewSession`] or with none, so that the handshake is a full one.
    pub fn answer_resume_session(&mut self, data: Option<Zeroizing<Vec<u8>>>) -> Result<(), Error> {
        let asking = self.asking(|question| matches!(question, Question::ResumeSession(_)), "a session")?;
        if let (Question::ResumeSession(id), Some(data)) = (&asking.question, data) {
            asking.session = Some((id.clone(), data));
        }
        self.answered();
        Ok(())
    }

    /// Answers [`Event::Alpn`], with one of the client's protocols, or with none to end the connection by the alert
    /// `no_application_protocol`.
    pub fn answer_alpn(&mut self, protocol: Option<Vec<u8>>) -> Result<(), Error> {
        let asking = self.asking(|question| *question == Question::Alpn, "an application protocol")?;
        match protocol {
            Some(protocol) if !asking.offers_protocol(&protocol) => Err(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!(
                    "The answer {:?} is not one of the protocols that the client offers.",
                    String::from_utf8_lossy(&protocol)
                ),
            )),
            Some(protocol) => {
                asking.alpn = Some(protocol);
                self.answered();
                Ok(())
            }
            None => {
                self.stage = Stage::Failed;
                self.fail(&TlsError::NoApplicationProtocol);
                Ok(())
            }
        }
    }

    /// Answers [`Event::OcspRequest`], with an OCSP response in DER or with none.
    pub fn answer_ocsp_request(&mut self, response: Option<Vec<u8>>) -> Result<(), Error> {
        let asking = self.asking(|question| *question == Question::Ocsp, "an OCSP response")?;
        if response.as_ref().is_some_and(|response| response.is_empty() || response.len() > STAPLE_MAX) {
            return Err(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!("An OCSP response to be stapled has 1 to {STAPLE_MAX} bytes."),
            ));
        }
        asking.staple = response;
        self.answered();
        Ok(())
    }

    /// Answers an [`Event::NewSession`]: it is kept, or the caller does not want it.
    pub fn answer_new_session(&mut self) -> Result<(), Error> {
        self.check()?;
        match self.held.checked_sub(1) {
            Some(held) => {
                self.held = held;
                Ok(())
            }
            None => Err(not_asked("a new session")),
        }
    }

    /// Ends the connection, in place of an answer or at any time. A client that waits for its handshake gets the alert
    /// `internal_error`.
    pub fn abort(&mut self, why: &str) {
        if self.error.is_some() {
            return;
        }
        let mut error = Error::new(ErrorCode::AbortErr, format!("The connection was given up: {why}"));
        if matches!(self.stage, Stage::Hello(_) | Stage::Asking(_)) {
            self.stage = Stage::Failed;
            error.alert = Some(Alert { direction: Direction::Sent, description: INTERNAL_ERROR });
            return self.end_by(error, Vec::new());
        }
        self.error = Some(error);
    }

    /// Says what time it is, by any clock that only goes forward. A handshake that takes longer than
    /// [`ConnectionOptions::handshake_timeout`] ends the connection (row O20).
    pub fn tick(&mut self, now: Duration) {
        if !self.is_handshaking() || self.error.is_some() {
            return;
        }
        let began = *self.began.get_or_insert(now);
        if now.saturating_sub(began) >= self.options.handshake_timeout {
            let seconds = self.options.handshake_timeout.as_secs_f32();
            self.error = Some(Error::new(
                ErrorCode::ErrTlsHandshakeTimeout,
                format!("The handshake was not done after {seconds} s, which is the limit for it."),
            ));
        }
    }

    /// When the handshake has to be done, by the clock of [`tick`](Self::tick). `None` when it is done, or before the first tick.
    pub fn handshake_deadline(&self) -> Option<Duration> {
        let waiting = self.is_handshaking() && self.error.is_none();
        self.began.filter(|_| waiting)?.checked_add(self.options.handshake_timeout)
    }

    /// Sets the most content of a record that is sent, 512 to 16384 bytes; other values change nothing and give `false` (row K13).
    ///
    /// Records of the handshake obey it where it is set before a client's first byte was taken, or before a server has its
    /// ClientHello: then it also stays the limit for what is set later. Else it is for application data only.
    pub fn set_max_send_fragment(&mut self, size: u32) -> bool {
        match usize::try_from(size) {
            Ok(size @ FRAGMENT_MIN..=FRAGMENT_MAX) => {
                self.send_fragment = size;
                true
            }
            _ => false,
        }
    }

    /// Changes the keys of both directions: sends a KeyUpdate and asks for the peer's (row K20, RFC 8446 section 4.6.3).
    pub fn update_keys(&mut self) -> Result<(), Error> {
        self.check()?;
        if !self.secure || self.protocol() != Some(crate::context::Version::Tls13) {
            return Err(Error::new(
                ErrorCode::ErrInvalidState,
                "Keys are updated in TLS 1.3 and once the handshake is done; this connection is not there, or speaks TLS 1.2.",
            ));
        }
        match self.drive(TlsConnection::refresh_traffic_keys) {
            Some(Err(error)) => {
                self.fail(&error);
                self.check()
            }
            _ => Ok(()),
        }
    }

    /// What Node has for new keys in TLS 1.2 is refused, always (row K14).
    pub fn renegotiate(&self) -> Result<(), Error> {
        Err(Error::new(
            ErrorCode::ErrTlsRenegotiationDisabled,
            "Renegotiation is never done (RFC 9325 section 3.5): in TLS 1.3 update the keys, in TLS 1.2 open another connection.",
        ))
    }

    /// Ends the connection because its transport failed.
    pub fn transport_failed(&mut self, cause: &str) {
        if self.error.is_none() {
            self.error = Some(Error::new(ErrorCode::Econnreset, format!("The transport failed: {cause}.")));
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.error.clone().map_or(Ok(()), Err)
    }

    fn state(&self) -> Option<&CommonState> {
        match &self.stage {
            Stage::Tls(tls) => Some(tls),
            _ => None,
        }
    }

    /// The question that waits, where it is of this kind.
    fn asking(&mut self, is_it: fn(&Question) -> bool, what: &str) -> Result<&mut Asking, Error> {
        self.check()?;
        match &mut self.stage {
            Stage::Asking(asking) if is_it(&asking.question) => Ok(asking),
            _ => Err(not_asked(what)),
        }
    }

    /// Calls rustls, with what it asks of this connection at hand, and notes what passes.
    fn drive<R>(&mut self, call: impl FnOnce(&mut TlsConnection) -> R) -> Option<R> {
        let Stage::Tls(tls) = &mut self.stage else {
            return None;
        };
        let side = match &self.side {
            Side::Client { side, .. } => Some(side),
            Side::Server { .. } => None,
        };
        let (result, seen) = observer::during(|| client::with(side, || call(tls)));
        self.transcript.protected(seen);
        Some(result)
    }

    /// Client: begins, where it has not.
    fn open_client(&mut self) {
        let (Stage::Start, Side::Client { side, session, .. }, None) = (&self.stage, &self.side, &self.error) else {
            return;
        };
        let context = self.contexts.choose(None);
        let (key_log, fragment) = (self.key_log.as_ref(), self.max_fragment_size());
        let (opened, seen) = observer::during(|| {
            client::with(Some(side), || opening::client(context, &self.options, session, key_log, fragment))
        });
        self.transcript.protected(seen);
        match opened {
            Ok(connection) => self.start(TlsConnection::Client(connection)),
            Err(error) => {
                self.stage = Stage::Failed;
                self.error = Some(error);
            }
        }
    }

    /// What rustls counts the header of a record to.
    fn max_fragment_size(&self) -> Option<usize> {
        (self.send_fragment < FRAGMENT_MAX).then_some(self.send_fragment + RECORD_HEADER)
    }

    /// Goes on with a connection of rustls, which gets what was written before there was one.
    fn start(&mut self, mut tls: TlsConnection) {
        tls.set_buffer_limit(Some(self.options.buffer_limit));
        // The early cleartext is no longer than the limit, so the writer takes all of it.
        let early = std::mem::take(&mut self.early_cleartext);
        let taken = write_fragments(&mut tls, &early, self.send_fragment);
        self.stage = Stage::Tls(Box::new(tls));
        if taken != Ok(early.len()) {
            self.fail(&TlsError::General("early cleartext was not taken whole".into()));
        }
    }

    /// Looks whether the ClientHello is complete.
    fn hello(&mut self) {
        let Stage::Hello(acceptor) = &mut self.stage else {
            return;
        };
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => self.accepted(accepted),
            Err((error, alert)) => {
                self.stage = Stage::Failed;
                let hello = self.transcript.client_hello.take();
                self.offers_tls13 = hello.as_ref().is_some_and(|hello| hello.offers(ProtocolVersion::TLSv1_3.into()));
                // rustls misses an extension of newer versions before it looks at the version.
                if hello.as_ref().is_some_and(ClientHello::is_too_old) {
                    return self.fail(&NO_VERSION);
                }
                self.fail_accepting(&error, alert);
            }
        }
    }

    fn accepted(&mut self, accepted: Accepted) {
        self.heard_tls = true;
        self.tell_trace();
        self.servername = accepted.client_hello().server_name().map(str::to_owned);
        // rustls read it, so that ours could not only by a fault of ours: then nothing is asked that needs it.
        let hello = self.transcript.client_hello.take().unwrap_or_default();
        self.client_schemes.clone_from(&hello.schemes);
        self.offers_tls13 = hello.offers(ProtocolVersion::TLSv1_3.into());
        self.stage = Stage::Asking(Box::new(Asking::new(accepted, hello)));
        self.ask();
    }

    /// The question that waits is answered: goes on.
    fn answered(&mut self) {
        if let Stage::Asking(asking) = &mut self.stage {
            asking.next(&self.options);
        }
        self.ask();
    }

    /// Asks what is to be asked, and opens the connection when there is nothing more.
    fn ask(&mut self) {
        while let Stage::Asking(asking) = &mut self.stage {
            if let Some(event) = asking.ask(&self.options, &self.contexts) {
                return self.tell(event);
            }
            if asking.question == Question::Nothing {
                break;
            }
            asking.next(&self.options);
        }
        if let Stage::Asking(asking) = std::mem::replace(&mut self.stage, Stage::Failed) {
            self.open_server(*asking);
        }
    }

    /// Hands a connection whose ClientHello is there to rustls.
    fn open_server(&mut self, asking: Asking) {
        let Asking { accepted, hello, context: Some(context), session, alpn, staple, .. } = asking else {
            return self.fail(&TlsError::General("no context was chosen".into()));
        };
        // rustls looks for a group first, and a client that has no (EC)DHE suite names none.
        let fits_version = context.versions().iter().any(|version| hello.offers(u16::from(version.version)));
        let fits_suite =
            context.provider().cipher_suites.iter().any(|suite| hello.suites.contains(&u16::from(suite.suite())));
        if fits_version && !fits_suite {
            return self.fail(&NO_SUITE);
        }
        // rustls finds this out late in TLS 1.2, and then sends no alert.
        if !context.identities().can_sign(accepted.client_hello().signature_schemes()) {
            return self.fail(&NO_SCHEME);
        }
        let knows_tls13 = context.speaks(ProtocolVersion::TLSv1_3);
        let speaks_tls13 = knows_tls13 && self.offers_tls13;
        if knows_tls13 && !speaks_tls13 && hello.suites.contains(&FALLBACK_SCSV) {
            return self.end_by(inappropriate_fallback(), Vec::new());
        }
        let fragment = self.max_fragment_size();
        let Side::Server { sessions, open } = &mut self.side else {
            return;
        };
        let connection_sessions = Arc::new(ConnectionSessions {
            sessions: sessions.clone(),
            binding: context.server_binding(),
            lifetime: context.session_timeout(),
            asks: self.options.request_cert,
            rejects: self.options.reject_unauthorized,
            tickets: self.options.tickets && !self.options.session_events,
            resumable: hello.extended_master_secret || speaks_tls13,
            outside: self.options.session_events.then(|| Outside { offered: session, ..Outside::default() }),
            time: context.time().clone(),
            verdict: self.verdict.clone(),
            restored: Mutex::default(),
            authenticated: Mutex::default(),
        });
        // Open connections keep the context that was chosen for them (row S7).
        self.contexts = Contexts::new(context.clone());
        let side = Arc::new(ServerSide::new(&context, staple));
        let key_log = self.key_log.as_ref();
        let config =
            opening::server_config(&context, &self.options, &connection_sessions, &side, alpn, key_log, fragment);
        *open = Some((side, connection_sessions));
        let config = match config {
            Ok(config) => config,
            Err(error) => return self.fail(&error),
        };
        let (opened, seen) = observer::during(|| accepted.into_connection(Arc::new(config)));
        self.transcript.protected(seen);
        match opened {
            Ok(connection) => {
                self.start(TlsConnection::Server(connection));
                self.process();
            }
            Err((error, alert)) => {
                self.fail_accepting(&error, alert);
            }
        }
    }

    /// Lets rustls look at what it was given.
    fn process(&mut self) {
        let Some(processed) = self.drive(TlsConnection::process_new_packets) else {
            return;
        };
        self.tell_trace();
        self.tell_key_log();
        match processed {
            Ok(state) => {
                self.readable = state.plaintext_bytes_to_read();
                self.peer_has_closed = state.peer_has_closed();
                self.tell_staple();
                if !self.secure {
                    self.look_at_handshake();
                }
                self.tell_sessions();
                self.end_if_due();
                self.look_for_end();
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Ends a handshake that the peer has given up by `close_notify`: rustls waits on, for it takes no alert that is not
    /// authenticated as the end of data. There is no data yet that could be cut short.
    fn look_for_end(&mut self) {
        if !self.secure && self.transcript.received_alert == Some(CLOSE_NOTIFY) {
            self.fail(&TlsError::AlertReceived(rustls::AlertDescription::CloseNotify));
        }
    }

    /// Looks how far the handshake has come.
    fn look_at_handshake(&mut self) {
        let Stage::Tls(tls) = &self.stage else {
            return;
        };
        self.heard_tls |= tls.protocol_version().is_some();
        let (kind, done) = (tls.handshake_kind(), !tls.is_handshaking());
        if let Some(kind) = kind {
            self.reused = kind == HandshakeKind::Resumed;
            self.restore_verdict();
        }
        if done {
            self.secure = true;
            if self.options.is_server && self.options.request_cert && self.peer_certificates().is_empty() {
                self.verdict.set(Err(Verdict::missing()), Vec::new());
            }
            // Sessions of the handshake come before its end, as in Node.
            self.tell_sessions();
            self.tell(Event::Secure);
        }
    }

    /// Takes what the session says about the peer, where it is resumed. This comes before the next call to rustls, in which the next
    /// session is made; where the handshake is a full one, what a ticket said is forgotten.
    fn restore_verdict(&mut self) {
        match &self.side {
            Side::Client { session, .. } if self.reused => {
                if let Some(verdict) = session.offered_verdict() {
                    self.verdict = verdict.clone();
                }
            }
            Side::Server { open: Some((_, sessions)), .. } => match sessions.take_restored(self.reused) {
                Some(Client::Authorized) if self.reused => self.verdict.set(Ok(()), self.peer_certificates().to_vec()),
                Some(Client::Unauthorized(error)) if self.reused => {
                    self.verdict.set(Err(error), self.peer_certificates().to_vec());
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            let informs = |event: &Event| matches!(event, Event::Session(_) | Event::KeyLog(_) | Event::Trace(_));
            if let Some(oldest) = self.events.iter().position(informs) {
                self.events.remove(oldest);
            }
        }
        self.events.push_back(event);
    }

    fn tell_trace(&mut self) {
        for line in self.transcript.take_trace() {
            self.tell(Event::Trace(line));
        }
    }

    fn tell_key_log(&mut self) {
        for line in self.key_log.iter().flat_map(|lines| lines.take()).collect::<Vec<_>>() {
            self.tell(Event::KeyLog(line));
        }
    }

    fn tell_staple(&mut self) {
        if let Side::Client { side, staple_due: due @ true, .. } = &mut self.side
            && let Some(staple) = lock(&side.staple).take()
        {
            *due = false;
            self.events.push_back(Event::OcspResponse(Some(staple).filter(|staple| !staple.is_empty())));
        }
    }

    fn tell_sessions(&mut self) {
        let tls13 = self.state().and_then(CommonState::protocol_version) == Some(ProtocolVersion::TLSv1_3);
        match &mut self.side {
            // Before the handshake is done it is not known whether the server is who it says.
            Side::Client { session, last, .. } if self.secure => {
                let mut names = Vec::new();
                let context = self.contexts.choose(None);
                // A resumption that brings no ticket goes on with the session that there was.
                let is_new = tls13 || !self.reused || self.transcript.ticket.is_some();
                let bound = self.transcript.extended_master_secret;
                for session in session.take_made(&self.verdict, self.reused, bound, || context.now()) {
                    *last = if self.options.session_event && is_new {
                        let name = client::keep(session);
                        names.extend(name.clone());
                        name.map(LastSession::Kept).map(Box::new)
                    } else {
                        Some(Box::new(LastSession::Made(session)))
                    };
                }
                for name in names {
                    self.tell(Event::Session(name));
                }
            }
            Side::Server { open: Some((_, sessions)), .. } => {
                for session in sessions.take_made() {
                    self.held += 1;
                    self.tell(Event::NewSession(session));
                }
            }
            _ => {}
        }
    }

    fn end_if_due(&mut self) {
        if self.closing != Closing::Asked || !self.secure || self.error.is_some() {
            return;
        }
        if self.drive(|tls| tls.send_close_notify()).is_some() {
            self.closing = Closing::Sent;
        }
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start => "Start",
            Self::Hello(_) => "Hello",
            Self::Asking(_) => "Asking",
            Self::Tls(_) => "Tls",
            Self::Failed => "Failed",
        })
    }
}

/// Writes as records of at most `fragment` bytes, as far as there is room.
fn write_fragments(tls: &mut TlsConnection, bytes: &[u8], fragment: usize) -> Result<usize, Error> {
    let mut taken = 0;
    for chunk in bytes.chunks(fragment) {
        let written = tls.writer().write(chunk).map_err(|cause| {
            Error::new(ErrorCode::ErrInternalAssertion, format!("The record layer did not take cleartext: {cause}."))
        })?;
        taken += written;
        if written < chunk.len() {
            break;
        }
    }
    Ok(taken)
}

/// What a client gets that retries with less than it speaks: somebody may have made the first try fail (RFC 7507 section 3).
fn inappropriate_fallback() -> Error {
    Error {
        code: ErrorCode::ErrSslInappropriateFallback,
        message:
            "The client says that it has fallen back to TLS 1.2 from a higher version, and TLS 1.3 is spoken here."
                .into(),
        alert: Some(Alert { direction: Direction::Sent, description: INAPPROPRIATE_FALLBACK }),
    }
}

fn not_asked(what: &str) -> Error {
    Error::new(ErrorCode::ErrInvalidState, format!("There is no question about {what} to be answered."))
}

/// Cleartext that waits for its reader, in bytes, from which on no more of the transport is taken. One record of at most
/// 16 KiB may come on top. rustls' own limit is the same and is never met.
const READ_LIMIT: usize = 16 * 1024;
/// Type, version and length.
const RECORD_HEADER: usize = 5;
/// The least and the most of row K13, as in OpenSSL: the most is what a record holds (RFC 8446 section 5.1).
const FRAGMENT_MIN: usize = 512;
const FRAGMENT_MAX: usize = 16 * 1024;
/// Events that wait to be taken. Those that ask for an answer come one at a time, those that only inform go before they are too many.
const EVENTS_MAX: usize = 256;
/// A staple travels in the Certificate message, of which rustls allows 64 KiB.
const STAPLE_MAX: usize = 16 * 1024;
/// What rustls says where no version, and where no suite is one of the client's.
const NO_VERSION: TlsError = TlsError::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered);
const NO_SUITE: TlsError = TlsError::PeerIncompatible(rustls::PeerIncompatible::NoCipherSuitesInCommon);
/// What rustls says where no key of ours can sign by a scheme of the client's.
const NO_SCHEME: TlsError = TlsError::PeerIncompatible(rustls::PeerIncompatible::NoSignatureSchemesInCommon);
/// `TLS_FALLBACK_SCSV` (RFC 7507 section 2).
const FALLBACK_SCSV: u16 = 0x5600;
/// Alerts (RFC 8446 section 6).
const INAPPROPRIATE_FALLBACK: u8 = 86;
const INTERNAL_ERROR: u8 = 80;
/// rustls takes no more bytes where a message is longer than it allows: a handshake message 64 KiB, a record 16 KiB and some.
const TOO_LARGE: TlsError = TlsError::InvalidMessage(rustls::InvalidMessage::MessageTooLarge);
