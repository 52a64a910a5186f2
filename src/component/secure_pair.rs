//! `guest:tls/secure-pair`.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::bindings::exports::guest::tls::secure_context::SecureContextBorrow;
use super::bindings::exports::guest::tls::secure_pair::{
    self as wit, Cipher, Cleartext, EphemeralKeyInfo, Event, Guest, GuestSecurePair, GuestSecurePairOptions,
};
use super::bindings::exports::guest::tls::types::{Error, ProtocolVersion};
use super::bindings::wasi::clocks::monotonic_clock;
use super::secure_context::SecureContext;
use super::{Component, convert};
use crate::certificate::Certificate;
use crate::context::Context;
use crate::engine::{Connection, ConnectionOptions};
use crate::error::{Error as EngineError, ErrorCode};

/// The resource `secure-pair-options`.
#[derive(Default)]
pub(super) struct Options(RefCell<ConnectionOptions>);

/// The resource `secure-pair`.
pub(super) struct SecurePair {
    connection: Rc<RefCell<Connection>>,
    /// Whether the transport belongs to a socket, so that its bytes don't go through this handle.
    has_socket: bool,
    /// What streams brought by `guest:tls/splice`.
    #[allow(dead_code, reason = "guest-tls-p3, which shares this file, has streams of another kind")]
    pub(super) rest: RefCell<Rest>,
}

/// What came from a stream and the engine has not taken yet.
#[derive(Default)]
#[allow(dead_code, reason = "as above")]
pub(super) struct Rest {
    /// For the connection, from the transport.
    pub(super) encrypted: Vec<u8>,
    /// For the peer, from a stream in the clear.
    pub(super) cleartext: Vec<u8>,
}

impl Guest for Component {
    type SecurePairOptions = Options;
    type SecurePair = SecurePair;
}

impl Options {
    /// The options as they are now.
    pub(super) fn get(&self) -> ConnectionOptions {
        self.0.borrow().clone()
    }
}

impl SecurePair {
    /// A handle to a connection without I/O.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Rc::new(RefCell::new(connection)), has_socket: false, rest: RefCell::default() }
    }

    /// The connection, after it was told the time.
    pub(super) fn now(&self) -> RefMut<'_, Connection> {
        now(&self.connection)
    }

    /// An error where the transport belongs to a socket.
    pub(super) fn check_transport(&self) -> Result<(), EngineError> {
        match self.has_socket {
            true => Err(EngineError::new(
                ErrorCode::ErrInvalidState,
                "The transport of this connection belongs to its socket.",
            )),
            false => Ok(()),
        }
    }

    /// A handle to the connection of a socket.
    pub(super) fn of_socket(connection: Rc<RefCell<Connection>>) -> Self {
        Self { connection, has_socket: true, rest: RefCell::default() }
    }
}

/// A connection, after it was told the time, which it needs until the handshake is done.
pub(super) fn now(connection: &RefCell<Connection>) -> RefMut<'_, Connection> {
    let mut connection = connection.borrow_mut();
    if connection.is_handshaking() {
        connection.tick(Duration::from_nanos(monotonic_clock::now()));
    }
    connection
}

/// When the handshake of a connection has to be done, by the host's monotonic clock.
pub(super) fn deadline(connection: &Connection) -> Option<u64> {
    connection.handshake_deadline().map(|deadline| u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX))
}

/// The context behind a handle.
pub(super) fn context(context: &SecureContextBorrow<'_>) -> Arc<Context> {
    context.get::<SecureContext>().0.clone()
}

impl GuestSecurePairOptions for Options {
    fn new() -> Self {
        Self::default()
    }

    fn set_is_server(&self, is_server: bool) {
        self.0.borrow_mut().is_server = is_server;
    }

    fn set_servername(&self, servername: String) {
        self.0.borrow_mut().servername = Some(servername);
    }

    fn set_alpn_protocols(&self, protocols: Vec<Vec<u8>>) {
        self.0.borrow_mut().alpn_protocols = protocols;
    }

    fn set_request_cert(&self, request_cert: bool) {
        self.0.borrow_mut().request_cert = request_cert;
    }

    fn set_reject_unauthorized(&self, reject_unauthorized: bool) {
        self.0.borrow_mut().reject_unauthorized = reject_unauthorized;
    }

    fn set_session(&self, session: Vec<u8>) {
        self.0.borrow_mut().session = Some(session);
    }

    fn set_session_event(&self, session_event: bool) {
        self.0.borrow_mut().session_event = session_event;
    }

    fn set_request_ocsp(&self, request_ocsp: bool) {
        self.0.borrow_mut().request_ocsp = request_ocsp;
    }

    fn set_danger_skip_server_identity(&self, skip: bool) {
        self.0.borrow_mut().danger_skip_server_identity = skip;
    }

    fn set_sni_event(&self, sni_event: bool) {
        self.0.borrow_mut().sni_event = sni_event;
    }

    fn set_alpn_event(&self, alpn_event: bool) {
        self.0.borrow_mut().alpn_event = alpn_event;
    }

    fn set_session_events(&self, session_events: bool) {
        self.0.borrow_mut().session_events = session_events;
    }

    fn set_ocsp_event(&self, ocsp_event: bool) {
        self.0.borrow_mut().ocsp_event = ocsp_event;
    }

    fn set_tickets(&self, tickets: bool) {
        self.0.borrow_mut().tickets = tickets;
    }

    fn set_keylog(&self, keylog: bool) {
        self.0.borrow_mut().key_log = keylog;
    }

    fn set_trace(&self, trace: bool) {
        self.0.borrow_mut().trace = trace;
    }

    fn set_handshake_timeout(&self, milliseconds: u32) {
        self.0.borrow_mut().handshake_timeout = Duration::from_millis(milliseconds.into());
    }

    fn set_buffer_limit(&self, bytes: u32) {
        self.0.borrow_mut().buffer_limit = length(bytes.into());
    }
}

impl GuestSecurePair for SecurePair {
    fn create(
        secure_context: SecureContextBorrow<'_>,
        options: wit::SecurePairOptions,
    ) -> Result<wit::SecurePair, Vec<Error>> {
        Connection::new(context(&secure_context), options.get::<Options>().get())
            .map(|connection| wit::SecurePair::new(Self::new(connection)))
            .map_err(convert::errors)
    }

    fn write_encrypted(&self, bytes: Vec<u8>) -> Result<u64, Error> {
        self.check_transport()?;
        let taken = self.now().write_encrypted(&bytes)?;
        Ok(taken as u64)
    }

    fn end_encrypted(&self) {
        if !self.has_socket {
            self.connection.borrow_mut().end_encrypted();
        }
    }

    fn read_encrypted(&self, max: u64) -> Vec<u8> {
        match self.has_socket {
            true => Vec::new(),
            false => self.now().read_encrypted(length(max)),
        }
    }

    fn write_cleartext(&self, bytes: Vec<u8>) -> Result<u64, Error> {
        let taken = self.now().write_cleartext(&bytes)?;
        Ok(taken as u64)
    }

    fn end(&self) {
        self.connection.borrow_mut().end();
    }

    fn read_cleartext(&self, max: u64) -> Result<Cleartext, Error> {
        let read = self.now().read_cleartext(length(max))?;
        Ok(read.into())
    }

    fn next_event(&self) -> Option<Event> {
        self.now().next_event().map(Event::from)
    }

    fn answer_sni(&self, answer: Option<SecureContextBorrow<'_>>) -> Result<(), Error> {
        let answer = answer.as_ref().map(context);
        Ok(self.connection.borrow_mut().answer_sni(answer)?)
    }

    fn answer_resume_session(&self, data: Option<Vec<u8>>) -> Result<(), Error> {
        Ok(self.connection.borrow_mut().answer_resume_session(data.map(Zeroizing::new))?)
    }

    fn answer_alpn(&self, protocol: Option<Vec<u8>>) -> Result<(), Error> {
        Ok(self.connection.borrow_mut().answer_alpn(protocol)?)
    }

    fn answer_ocsp_request(&self, response: Option<Vec<u8>>) -> Result<(), Error> {
        Ok(self.connection.borrow_mut().answer_ocsp_request(response)?)
    }

    fn answer_new_session(&self) -> Result<(), Error> {
        Ok(self.connection.borrow_mut().answer_new_session()?)
    }

    fn abort(&self, why: String) {
        self.connection.borrow_mut().abort(&why);
    }

    fn handshake_deadline(&self) -> Option<u64> {
        deadline(&self.now())
    }

    fn error(&self) -> Option<Error> {
        self.now().error().cloned().map(Error::from)
    }

    fn is_closed(&self) -> bool {
        self.connection.borrow().is_closed()
    }

    fn authorized(&self) -> bool {
        self.connection.borrow().authorized()
    }

    fn authorization_error(&self) -> Option<Error> {
        self.connection.borrow().authorization_error().map(Error::from)
    }

    fn servername(&self) -> Option<String> {
        self.connection.borrow().servername().map(str::to_owned)
    }

    fn alpn_protocol(&self) -> Option<Vec<u8>> {
        self.connection.borrow().alpn_protocol().map(<[u8]>::to_vec)
    }

    fn cipher(&self) -> Option<Cipher> {
        self.connection.borrow().cipher().map(Cipher::from)
    }

    fn protocol(&self) -> Option<ProtocolVersion> {
        self.connection.borrow().protocol().map(ProtocolVersion::from)
    }

    fn ephemeral_key_info(&self) -> Option<EphemeralKeyInfo> {
        self.connection.borrow().ephemeral_key_info().map(EphemeralKeyInfo::from)
    }

    fn peer_certificates(&self) -> Vec<wit::Certificate> {
        self.connection.borrow().peer_certificates().iter().map(|der| Certificate::new(der).into()).collect()
    }

    fn export_keying_material(&self, length: u32, label: Vec<u8>, context: Option<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let connection = self.connection.borrow();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(connection.export_keying_material(length, &label, context.as_deref())?)
    }

    fn peer_certificate_chain(&self) -> Vec<wit::Certificate> {
        self.connection.borrow().peer_certificate_chain().iter().map(|der| Certificate::new(der).into()).collect()
    }

    fn certificates(&self) -> Vec<wit::Certificate> {
        self.connection.borrow().certificates().iter().map(|der| Certificate::new(der).into()).collect()
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn is_session_reused(&self) -> bool {
        self.connection.borrow().is_session_reused()
    }

    fn session(&self) -> Option<Vec<u8>> {
        self.connection.borrow_mut().session().map(<[u8]>::to_vec)
    }

    fn tls_ticket(&self) -> Option<Vec<u8>> {
        self.connection.borrow().tls_ticket().map(<[u8]>::to_vec)
    }

    fn finished(&self) -> Option<Vec<u8>> {
        self.connection.borrow().finished().map(<[u8]>::to_vec)
    }

    fn peer_finished(&self) -> Option<Vec<u8>> {
        self.connection.borrow().peer_finished().map(<[u8]>::to_vec)
    }

    fn shared_sigalgs(&self) -> Vec<String> {
        self.connection.borrow().shared_sigalgs()
    }

    fn set_max_send_fragment(&self, size: u32) -> bool {
        self.connection.borrow_mut().set_max_send_fragment(size)
    }

    fn update_keys(&self) -> Result<(), Error> {
        Ok(self.connection.borrow_mut().update_keys()?)
    }

    fn renegotiate(&self) -> Result<(), Error> {
        Ok(self.connection.borrow().renegotiate()?)
    }

    fn bytes_read(&self) -> u64 {
        self.connection.borrow().bytes_read()
    }

    fn bytes_written(&self) -> u64 {
        self.connection.borrow().bytes_written()
    }
}

/// A length as the guest has it; what does not fit is more than any buffer holds.
pub(super) fn length(max: u64) -> usize {
    usize::try_from(max).unwrap_or(usize::MAX)
}
