//! The state machine of one connection.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::{Accepted, Acceptor, NoServerSessionStorage};
use rustls::{
    ClientConfig, ClientConnection, CommonState, Connection as TlsConnection, Error as TlsError, ServerConfig,
};
use rustls_pki_types::CertificateDer;

use super::contexts::require_certificate;
use super::{Cipher, ConnectionOptions, Contexts, EphemeralKeyInfo, Server};
use crate::context::{Context, Version};
use crate::error::{Alert, Direction, Error, ErrorCode, Role, from_rustls};
use crate::verify::{PeerVerifier, Verdict};

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
    /// The name that the client asked for.
    servername: Option<String>,
    /// An alert of the time before there was a rustls connection.
    early_alert: VecDeque<u8>,
    /// What the application wrote before there was a rustls connection.
    early_cleartext: Vec<u8>,
    /// Cleartext that waits in rustls for the reader, in bytes.
    readable: usize,
    /// Whether the handshake is done.
    secure: bool,
    /// Whether a record of the peer was understood.
    heard_tls: bool,
    /// Whether the peer sent `close_notify`.
    peer_has_closed: bool,
    closing: Closing,
    bytes_read: u64,
    bytes_written: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Server: a client asks for this name, or for none; waits for [`Connection::answer_sni`] (row O15).
    Sni(Option<String>),
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
    /// Server: waits for a whole ClientHello.
    Hello(Box<Acceptor>),
    /// Server: has it, and waits for the answer to [`Event::Sni`].
    Asking(Box<Accepted>),
    /// rustls has the connection.
    Tls(Box<TlsConnection>),
    /// Failed before rustls had it.
    Failed,
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
            return Server::new(context, options).map(|server| server.accept());
        }
        let errors = options.check();
        if !errors.is_empty() {
            return Err(errors);
        }
        let verdict = Arc::new(Verdict::default());
        let stage = open_client(&context, &options, &verdict).map_err(|error| vec![error])?;
        let servername = options.servername.clone();
        Ok(Self { servername, ..Self::at(stage, Contexts::new(context), options, verdict) })
    }

    /// A server's connection at its beginning. The options were checked by the [`Server`].
    pub(super) fn accept(contexts: Contexts, options: ConnectionOptions) -> Self {
        let stage = Stage::Hello(Box::default());
        Self::at(stage, contexts, options, Arc::default())
    }

    fn at(stage: Stage, contexts: Contexts, options: ConnectionOptions, verdict: Arc<Verdict>) -> Self {
        Self {
            options,
            contexts,
            stage,
            events: VecDeque::new(),
            verdict,
            error: None,
            servername: None,
            early_alert: VecDeque::new(),
            early_cleartext: Vec::new(),
            readable: 0,
            secure: false,
            heard_tls: false,
            peer_has_closed: false,
            closing: Closing::No,
            bytes_read: 0,
            bytes_written: 0,
        }
    }

    /// Takes bytes that the transport brought, and says how many. It takes none while it waits for an answer, or while
    /// 16 KiB of cleartext wait to be read.
    pub fn write_encrypted(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.check()?;
            let before = rest.len();
            match &mut self.stage {
                Stage::Hello(acceptor) => match acceptor.read_tls(&mut rest) {
                    Ok(1..) => self.hello(),
                    Ok(0) | Err(_) => self.fail(&TOO_LARGE, |_| Ok(())),
                },
                Stage::Asking(_) | Stage::Failed => break,
                // What comes after close_notify has no meaning (RFC 8446 section 6.1).
                Stage::Tls(_) if self.peer_has_closed => rest = &[],
                Stage::Tls(_) if self.readable >= READ_LIMIT => break,
                Stage::Tls(tls) => match tls.read_tls(&mut rest) {
                    Ok(1..) => self.process(),
                    Ok(0) | Err(_) => self.fail(&TOO_LARGE, |_| Ok(())),
                },
            }
            self.bytes_read += (before - rest.len()) as u64;
        }
        // An error in the last of the bytes is told by the next call, since they were taken; one before stops the loop at once.
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
        let mut out = Limited { bytes: Vec::new(), max };
        let early = self.early_alert.len().min(max);
        out.bytes.extend(self.early_alert.drain(..early));
        if let Stage::Tls(tls) = &mut self.stage {
            while tls.wants_write() && out.bytes.len() < max {
                // Writing to a `Limited` does not fail.
                match tls.write_tls(&mut out) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
        self.bytes_written += out.bytes.len() as u64;
        out.bytes
    }

    /// Takes bytes of the application, and says how many: none while 64 KiB wait to be sent. What is
    /// written before the handshake is done goes out after it.
    pub fn write_cleartext(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.check()?;
        if self.closing != Closing::No {
            return Err(Error::new(
                ErrorCode::ErrStreamWriteAfterEnd,
                "Something was written after the end of this side.",
            ));
        }
        match &mut self.stage {
            Stage::Tls(tls) => tls.writer().write(bytes).map_err(|cause| {
                Error::new(
                    ErrorCode::ErrInternalAssertion,
                    format!("The record layer did not take cleartext: {cause}."),
                )
            }),
            _ => {
                let room = WRITE_LIMIT - self.early_cleartext.len();
                let taken = bytes.len().min(room);
                self.early_cleartext.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
        }
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
            (true, true) => Ok(Cleartext::End),
            (true, false) => self.check().map(|()| Cleartext::Pending),
        }
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Answers [`Event::Sni`], with a context or with none for the connection's own.
    pub fn answer_sni(&mut self, context: Option<Arc<Context>>) -> Result<(), Error> {
        self.check()?;
        if !matches!(self.stage, Stage::Asking(_)) {
            return Err(Error::new(
                ErrorCode::ErrInvalidState,
                "There is no question about a server name to be answered.",
            ));
        }
        let context = context.unwrap_or_else(|| self.contexts.choose(self.servername.as_deref()).clone());
        require_certificate(&context)?;
        if let Stage::Asking(accepted) = std::mem::replace(&mut self.stage, Stage::Failed) {
            self.open_server(*accepted, &context);
        }
        Ok(())
    }

    /// What ended the connection, where an error did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether nothing more will be sent or received.
    pub fn is_closed(&self) -> bool {
        let ended = self.error.is_some() || (self.closing == Closing::Sent && self.peer_has_closed);
        ended && !self.wants_write()
    }

    /// Whether there are bytes for the transport.
    pub fn wants_write(&self) -> bool {
        !self.early_alert.is_empty() || self.state().is_some_and(CommonState::wants_write)
    }

    /// Whether the next [`write_encrypted`](Self::write_encrypted) would take bytes.
    pub fn wants_read(&self) -> bool {
        match &self.stage {
            Stage::Hello(_) => self.error.is_none(),
            Stage::Asking(_) | Stage::Failed => false,
            Stage::Tls(_) => self.error.is_none() && !self.peer_has_closed && self.readable < READ_LIMIT,
        }
    }

    /// Whether the next [`read_cleartext`](Self::read_cleartext) has something to tell: data, the end or an error.
    pub fn is_readable(&self) -> bool {
        self.readable > 0 || self.error.is_some() || self.peer_has_closed
    }

    /// Whether chain and name of the peer were verified (row K2).
    pub fn authorized(&self) -> bool {
        self.secure && self.verdict.is_good()
    }

    /// Why the peer was not verified (row K2).
    pub fn authorization_error(&self) -> Option<Error> {
        self.verdict.error()
    }

    /// The name that the client asked for by SNI (row K4).
    pub fn servername(&self) -> Option<&str> {
        self.servername.as_deref()
    }

    /// The application protocol that was agreed on (row K4).
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.state()?.alpn_protocol()
    }

    /// The cipher suite that was agreed on (row K5).
    pub fn cipher(&self) -> Option<Cipher> {
        Cipher::of(self.state()?)
    }

    /// The version that was agreed on (row K6).
    pub fn protocol(&self) -> Option<Version> {
        Version::from_rustls(self.state()?.protocol_version()?)
    }

    /// The key exchange (row K10).
    pub fn ephemeral_key_info(&self) -> Option<EphemeralKeyInfo> {
        EphemeralKeyInfo::of(self.state()?)
    }

    /// The peer's certificates as it sent them, leaf first (row K7).
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.state().and_then(CommonState::peer_certificates).unwrap_or_default()
    }

    /// Key material bound to this connection (row K12; RFC 5705, RFC 8446 section 7.5).
    pub fn export_keying_material(
        &self,
        length: usize,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<Vec<u8>, Error> {
        if !EXPORT_LENGTHS.contains(&length) {
            return Err(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!("{length} bytes of key material were asked for; expected 1 to {}.", EXPORT_LENGTHS.end()),
            ));
        }
        match &self.stage {
            Stage::Tls(tls) if self.secure => {
                tls.export_keying_material(vec![0; length], label, context).map_err(|_| {
                    Error::new(
                        ErrorCode::ErrInvalidArgValue,
                        "No key material can be exported for this label and context.",
                    )
                })
            }
            _ => {
                Err(Error::new(ErrorCode::ErrInvalidState, "Key material can be exported once the handshake is done."))
            }
        }
    }

    /// Bytes that came from the transport (row K17).
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Bytes that were given to the transport (row K17).
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
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

    /// Looks whether the ClientHello is complete.
    fn hello(&mut self) {
        let Stage::Hello(acceptor) = &mut self.stage else {
            return;
        };
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                self.heard_tls = true;
                let name = accepted.client_hello().server_name().map(str::to_owned);
                self.servername = name.clone();
                if self.options.sni_event {
                    self.stage = Stage::Asking(Box::new(accepted));
                    self.events.push_back(Event::Sni(name));
                } else {
                    let context = self.contexts.choose(name.as_deref()).clone();
                    self.open_server(accepted, &context);
                }
            }
            Err((error, mut alert)) => {
                self.stage = Stage::Failed;
                self.fail(&error, |out| alert.write_all(out));
            }
        }
    }

    /// Hands a connection whose ClientHello is there to rustls.
    fn open_server(&mut self, accepted: Accepted, context: &Arc<Context>) {
        self.stage = Stage::Failed;
        // rustls finds this out late in TLS 1.2, and then sends no alert.
        if !context.identities().can_sign(accepted.client_hello().signature_schemes()) {
            return self.fail(&NO_SCHEME, |out| out.write_all(&HANDSHAKE_FAILURE));
        }
        let config = match server_config(context, &self.options, &self.verdict) {
            Ok(config) => config,
            Err(error) => return self.fail(&error, |_| Ok(())),
        };
        match accepted.into_connection(Arc::new(config)) {
            Ok(connection) => {
                let mut tls = Box::new(TlsConnection::Server(connection));
                tls.set_buffer_limit(Some(WRITE_LIMIT));
                // The early cleartext is no longer than the limit, so the writer takes all of it.
                let early = std::mem::take(&mut self.early_cleartext);
                let taken = tls.writer().write(&early);
                self.stage = Stage::Tls(tls);
                match taken {
                    Ok(taken) if taken == early.len() => self.process(),
                    _ => self.fail(&TlsError::General("early cleartext was not taken whole".into()), |_| Ok(())),
                }
            }
            Err((error, mut alert)) => self.fail(&error, |out| alert.write_all(out)),
        }
    }

    /// Lets rustls look at what it was given.
    fn process(&mut self) {
        let Stage::Tls(tls) = &mut self.stage else {
            return;
        };
        match tls.process_new_packets() {
            Ok(state) => {
                self.readable = state.plaintext_bytes_to_read();
                self.peer_has_closed = state.peer_has_closed();
                self.heard_tls |= tls.protocol_version().is_some();
                if !self.secure && !tls.is_handshaking() {
                    self.secure = true;
                    let asked = self.options.is_server && self.options.request_cert;
                    if asked && tls.peer_certificates().is_none() {
                        self.verdict.set_missing();
                    }
                    self.events.push_back(Event::Secure);
                }
                self.end_if_due();
            }
            Err(error) => self.fail(&error, |_| Ok(())),
        }
    }

    fn end_if_due(&mut self) {
        if self.closing != Closing::Asked || !self.secure || self.error.is_some() {
            return;
        }
        if let Stage::Tls(tls) = &mut self.stage {
            tls.send_close_notify();
            self.closing = Closing::Sent;
        }
    }

    fn fail(&mut self, error: &TlsError, write_alert: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let mut alert = Vec::new();
        // Writing to a Vec does not fail.
        let _ = write_alert(&mut alert);
        let verdict = match error {
            TlsError::InvalidCertificate(_) if self.options.reject_unauthorized => self.verdict.error(),
            _ => None,
        };
        let mut error = verdict.unwrap_or_else(|| {
            from_rustls(
                error,
                Role {
                    is_server: self.options.is_server,
                    heard_tls: self.heard_tls,
                    version: self.state().and_then(CommonState::protocol_version),
                },
            )
        });
        // An alert that went out in the clear is there to be seen: a record of type 21 with a level and a description.
        if let [21, _, _, 0, 2, _, description] = alert[..] {
            error.alert = Some(Alert { direction: Direction::Sent, description });
        }
        self.early_alert.extend(alert);
        self.error.get_or_insert(error);
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hello(_) => "Hello",
            Self::Asking(_) => "Asking",
            Self::Tls(_) => "Tls",
            Self::Failed => "Failed",
        })
    }
}

/// Takes at most `max` bytes in all.
struct Limited {
    bytes: Vec<u8>,
    max: usize,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.max - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open_client(context: &Arc<Context>, options: &ConnectionOptions, verdict: &Arc<Verdict>) -> Result<Stage, Error> {
    let name = options.server_name()?;
    let open = || {
        let config = client_config(context, options, verdict)?;
        ClientConnection::new(Arc::new(config), name)
    };
    let role = Role { is_server: false, heard_tls: false, version: None };
    let mut tls = open().map_err(|error| from_rustls(&error, role))?;
    tls.set_buffer_limit(Some(WRITE_LIMIT));
    Ok(Stage::Tls(Box::new(TlsConnection::Client(tls))))
}

fn client_config(
    context: &Arc<Context>,
    options: &ConnectionOptions,
    verdict: &Arc<Verdict>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_details(context.provider().clone(), context.time().clone())
        .with_protocol_versions(context.versions())?
        .dangerous()
        .with_custom_certificate_verifier(verifier(context, options, verdict))
        .with_client_cert_resolver(context.identities().clone());
    config.alpn_protocols.clone_from(&options.alpn_protocols);
    config.resumption = Resumption::disabled();
    config.require_ems = true;
    Ok(config)
}

fn server_config(
    context: &Arc<Context>,
    options: &ConnectionOptions,
    verdict: &Arc<Verdict>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_details(context.provider().clone(), context.time().clone())
        .with_protocol_versions(context.versions())?;
    let builder = match options.request_cert {
        true => builder.with_client_cert_verifier(verifier(context, options, verdict)),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(context.identities().clone());
    config.alpn_protocols.clone_from(&options.alpn_protocols);
    config.ignore_client_order = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.require_ems = true;
    Ok(config)
}

fn verifier(context: &Arc<Context>, options: &ConnectionOptions, verdict: &Arc<Verdict>) -> Arc<PeerVerifier> {
    Arc::new(PeerVerifier::new(context.clone(), options.reject_unauthorized, verdict.clone()))
}

/// Cleartext that waits for its reader, in bytes, from which on no more of the transport is taken. One record of at most
/// 16 KiB may come on top. rustls' own limit is the same and is never met.
const READ_LIMIT: usize = 16 * 1024;
/// Cleartext, and records, that wait for the transport, in bytes each.
const WRITE_LIMIT: usize = 64 * 1024;
/// What the exporter of TLS 1.3 gives at most with SHA-256: 255 blocks of 32 bytes (RFC 5869 section 2.3).
const EXPORT_LENGTHS: std::ops::RangeInclusive<usize> = 1..=8160;
/// What rustls says where no key of ours can sign by a scheme of the client's.
const NO_SCHEME: TlsError = TlsError::PeerIncompatible(rustls::PeerIncompatible::NoSignatureSchemesInCommon);
/// A record with the fatal alert `handshake_failure` in the clear (RFC 8446 sections 5.1 and 6).
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
/// rustls takes no more bytes where a message is longer than it allows: a handshake message 64 KiB, a record 16 KiB and some.
const TOO_LARGE: TlsError = TlsError::InvalidMessage(rustls::InvalidMessage::MessageTooLarge);
