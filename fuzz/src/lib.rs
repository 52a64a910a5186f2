//! What the fuzz targets share: contexts of fixtures, and connections that are fed.
//!
//! Time stands still and randomness is the same in every call, so the same bytes always do the same, and a recorded handshake can be
//! played again to an end that wasn't there when it was recorded: that is how the fuzzer gets behind the first flight.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use guest_tls::ErrorCode;
use guest_tls::context::{CertificateCompression, Context, ContextOptions, Version};
use guest_tls::engine::{Cleartext, Connection, ConnectionOptions, Event, Server};
use guest_tls::provider::random::with_seed;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use zeroize::Zeroizing;

/// A file of the engine's tests.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../src/engine/tests/fixtures/", $name))
    };
}
/// Certificate and key of the fixtures' server, in PEM.
pub const SERVER: (&[u8], &[u8]) = (fixture!("server.pem"), fixture!("server.key.pem"));
/// Those of their client.
pub const CLIENT: (&[u8], &[u8]) = (fixture!("client.pem"), fixture!("client.key.pem"));
/// The passphrase of the fixtures that are encrypted.
pub const PASSPHRASE: &str = "Grüße";

/// How a connection is set up, out of the first bytes of an input.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// TLS 1.2 only.
    pub tls12: bool,
    /// Nothing is asked of the caller.
    pub quiet: bool,
    /// The check of certificates is the one of compat mode.
    pub compat: bool,
    /// How many bytes come at once.
    pub piece: usize,
}

impl Setup {
    /// The setup that the first two bytes ask for, and the bytes after them.
    pub fn split(input: &[u8]) -> Option<(Self, &[u8])> {
        let (&[flags, piece], rest) = input.split_first_chunk()?;
        let piece = if piece == 0 { usize::MAX } else { piece.into() };
        Some((Self { tls12: flags & 1 != 0, quiet: flags & 2 != 0, compat: flags & 4 != 0, piece }, rest))
    }

    /// Every setup in which all bytes come at once, and the bytes that ask for it.
    pub fn all() -> impl Iterator<Item = (Self, [u8; 2])> {
        (0..8).filter_map(|flags| Some((Self::split(&[flags, 0])?.0, [flags, 0])))
    }

    /// A client at its beginning.
    pub fn client(self, session: Option<Vec<u8>>) -> Connection {
        let options = ConnectionOptions {
            servername: Some("server.test".into()),
            session,
            session_event: !self.quiet,
            request_ocsp: !self.quiet,
            ..self.options()
        };
        self.seeded(|| Connection::new(self.context(&CLIENTS), options)).expect("the options are right")
    }

    /// A server at its beginning.
    pub fn server(self) -> Connection {
        let options = ConnectionOptions {
            is_server: true,
            request_cert: true,
            reject_unauthorized: false,
            sni_event: !self.quiet,
            alpn_event: !self.quiet,
            session_events: !self.quiet,
            ocsp_event: !self.quiet,
            ..self.options()
        };
        let server = Server::new(self.context(&SERVERS), options).expect("the options are right");
        self.seeded(|| server.accept()).expect("there is no limit")
    }

    /// Runs `work` with the randomness of this setup. That of another differs, so that no two sessions have the same name.
    fn seeded<T>(self, work: impl FnOnce() -> T) -> T {
        with_seed(u64::from(self.tls12) | u64::from(self.quiet) << 1 | u64::from(self.compat) << 2, work)
    }

    fn options(self) -> ConnectionOptions {
        ConnectionOptions {
            alpn_protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            key_log: !self.quiet,
            trace: !self.quiet,
            ..ConnectionOptions::default()
        }
    }

    fn context(self, contexts: &[Arc<Context>; 4]) -> Arc<Context> {
        contexts[usize::from(self.tls12) | usize::from(self.compat) << 1].clone()
    }
}

/// What a connection did.
#[derive(Debug, Default)]
pub struct Seen {
    /// What it sent.
    pub sent: Vec<u8>,
    /// What happened, but for the questions.
    pub events: Vec<Event>,
}

/// Feeds a connection with bytes of the transport and answers all that it asks, a question for a session by `session`. Asserts what
/// SECURITY.md promises: limits, and errors that have a name.
pub fn feed(connection: &mut Connection, setup: Setup, bytes: &[u8], session: Option<&[u8]>) -> Seen {
    let mut seen = Seen::default();
    let mut rest = bytes;
    loop {
        let piece = &rest[..setup.piece.min(rest.len())];
        let taken = setup.seeded(|| connection.write_encrypted(piece)).unwrap_or(rest.len());
        rest = &rest[taken..];
        let moved = settle(connection, setup, session, &mut seen);
        if taken == 0 && !moved {
            break;
        }
    }
    let error = connection.error();
    assert!(error.is_none_or(|error| error.code != ErrorCode::ErrInternalAssertion), "{error:?}");
    seen
}

/// Ends the transport of a connection and asks it all that can be asked: after the end it has an answer to all.
pub fn finish(mut connection: Connection, setup: Setup) {
    connection.end_encrypted();
    settle(&mut connection, setup, None, &mut Seen::default());
    assert!(connection.is_closed() || connection.error().is_none());
    let _ = connection.session();
    let _ = (connection.authorized(), connection.authorization_error(), connection.peer_certificate_chain());
    let _ = (connection.cipher(), connection.ephemeral_key_info(), connection.alpn_protocol(), connection.servername());
    let _ = (connection.shared_sigalgs(), connection.finished(), connection.peer_finished(), connection.tls_ticket());
    let _ = connection.export_keying_material(20, b"EXPERIMENTAL-fuzz", None);
    let _ = connection.update_keys();
}

/// Plays a handshake of the two ends, and gives what the client and what the server sent and saw.
pub fn handshake(setup: Setup) -> [Seen; 2] {
    let [mut client, mut server] = [setup.client(None), setup.server()];
    let mut seen = [feed(&mut client, setup, &[], None), Seen::default()];
    let mut forth = seen[0].sent.clone();
    while !forth.is_empty() {
        let of_server = feed(&mut server, setup, &forth, None);
        let of_client = feed(&mut client, setup, &of_server.sent, None);
        forth.clone_from(&of_client.sent);
        for (all, new) in seen.iter_mut().zip([of_client, of_server]) {
            all.sent.extend(new.sent);
            all.events.extend(new.events);
        }
    }
    for (end, seen) in [client, server].iter().zip(&seen) {
        assert!(seen.events.contains(&Event::Secure), "{setup:?}: {:?}, {:?}", end.error(), seen.events);
    }
    seen
}

/// A client that comes back.
#[derive(Debug)]
pub struct Resumption {
    /// How both ends are set up.
    pub setup: Setup,
    /// What the client sends first.
    pub client_hello: Vec<u8>,
    /// The session as the server gave it out to be kept.
    pub kept: Vec<u8>,
}

impl Resumption {
    /// One of TLS 1.2, and one of TLS 1.3.
    pub fn of_both_versions() -> [Self; 2] {
        [true, false].map(Self::new)
    }

    fn new(tls12: bool) -> Self {
        let setup = Setup { tls12, quiet: false, compat: false, piece: usize::MAX };
        let [client, server] = handshake(setup);
        let name = client.events.into_iter().find_map(|event| match event {
            Event::Session(name) => Some(name),
            _ => None,
        });
        let kept = server.events.into_iter().find_map(|event| match event {
            Event::NewSession(session) => Some(session.data.to_vec()),
            _ => None,
        });
        let client_hello = feed(&mut setup.client(name), setup, &[], None).sent;
        Self { setup, client_hello, kept: kept.expect("the server makes sessions") }
    }
}

/// Takes all that a connection has to give, and answers its questions. Says whether there was anything.
fn settle(connection: &mut Connection, setup: Setup, session: Option<&[u8]>, seen: &mut Seen) -> bool {
    let mut moved = false;
    let mut events = 0;
    while let Some(event) = connection.next_event() {
        moved = true;
        events += 1;
        assert!(events <= EVENTS_MAX, "too many events");
        setup.seeded(|| answer(connection, &event, session));
        seen.events.push(event);
    }
    let sent = setup.seeded(|| connection.read_encrypted(usize::MAX));
    assert!(sent.len() <= SENT_MAX, "{} bytes waited to be sent", sent.len());
    moved |= !sent.is_empty();
    seen.sent.extend(sent);
    if let Ok(Cleartext::Data(data)) = connection.read_cleartext(usize::MAX) {
        assert!(data.len() <= READ_MAX, "{} bytes waited to be read", data.len());
        moved = true;
    }
    moved
}

fn answer(connection: &mut Connection, event: &Event, session: Option<&[u8]>) {
    let answered = match event {
        Event::Sni(_) => connection.answer_sni(None),
        Event::ResumeSession(_) => connection.answer_resume_session(session.map(|data| Zeroizing::new(data.to_vec()))),
        Event::Alpn { protocols, .. } => connection.answer_alpn(protocols.first().cloned()),
        Event::OcspRequest { .. } => connection.answer_ocsp_request(Some(b"staple".to_vec())),
        Event::NewSession(_) => connection.answer_new_session(),
        Event::Secure => connection.write_cleartext(b"hello").map(drop),
        _ => Ok(()),
    };
    assert!(answered.is_ok() || connection.error().is_some(), "{event:?}: {answered:?}");
}

fn contexts((cert, key): (&[u8], &[u8])) -> [Arc<Context>; 4] {
    [0, 1, 2, 3].map(|flags| {
        let options = ContextOptions {
            certs: vec![cert.to_vec()],
            keys: vec![key.to_vec().into()],
            cas: vec![fixture!("ca.pem").to_vec()],
            max_version: (flags & 1 != 0).then_some(Version::Tls12),
            compat: flags & 2 != 0,
            ticket_keys: Some(vec![7; 48].into()),
            certificate_compression: vec![CertificateCompression::Zlib, CertificateCompression::Brotli],
            time: Some(Arc::new(Stopped)),
            ..ContextOptions::default()
        };
        Arc::new(Context::new(&options).expect("the options are right"))
    })
}

/// A clock that stands where the fixtures' certificates are valid.
#[derive(Debug)]
struct Stopped;

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)))
    }
}

static CLIENTS: LazyLock<[Arc<Context>; 4]> = LazyLock::new(|| contexts(CLIENT));
static SERVERS: LazyLock<[Arc<Context>; 4]> = LazyLock::new(|| contexts(SERVER));

/// What may wait to be sent: the limit of the buffers, and a flight of the handshake.
const SENT_MAX: usize = 80 * 1024;
/// What may wait to be read.
const READ_MAX: usize = 32 * 1024;
/// How many events may wait, and a few that are questions.
const EVENTS_MAX: usize = 256 + 8;
