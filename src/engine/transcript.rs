//! The handshake messages and alerts of a connection, as they pass: what rustls knows of them but does not tell.
//!
//! Those in the clear are read off the transport, those under protection come from the provider's observer. Nothing here decides
//! anything: rustls has the last word on every message, and this only remembers what the contract promises to show. The caller
//! takes one record of the peer at a time from the transport until they are protected ([`Transcript::record_end`]), so that it is
//! known of each record, before it is read here, whether it is in the clear. What is not protected is never taken for what has to
//! be: Finished, and the tickets of TLS 1.3.

use rustls::ContentType;

use super::client_hello::{ClientHello, EXTENDED_MASTER_SECRET, SIGNATURE_ALGORITHMS, SUPPORTED_VERSIONS};
use super::reader::Reader;
use crate::error::{Direction, alert_name};
use crate::provider::observer::Seen;

/// What passed so far.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    sent: Side,
    received: Side,
    /// Whether ServerHello chose TLS 1.3.
    tls13: bool,
    /// TLS 1.2: whether ServerHello agreed to extended master secret (RFC 7627).
    pub(super) extended_master_secret: bool,
    /// The last fatal alert that we sent.
    pub(super) sent_alert: Option<u8>,
    /// The last alert by which the peer ended its side: a fatal one, or close_notify, which is a warning.
    pub(super) received_alert: Option<u8>,
    /// Whether this is the server's side.
    is_server: bool,
    /// Server: whether a ClientHello came.
    heard_client_hello: bool,
    /// Server: the client's first offer, until it is taken.
    pub(super) client_hello: Option<ClientHello>,
    /// Client: the signature schemes of the server's CertificateRequest.
    pub(super) requested_schemes: Vec<u16>,
    /// Client: the last ticket that came (row K8).
    pub(super) ticket: Option<Vec<u8>>,
    /// A line for each message and alert, where they were asked for (row K18).
    trace: Option<Vec<String>>,
    /// Lines about what we protected while messages in the clear still wait for the transport: they come after those.
    deferred: Vec<String>,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    record: Record,
    /// A message of which a part is still to come.
    partial: Vec<u8>,
    /// An alert of which a byte is still to come.
    alert: Vec<u8>,
    /// Whether all that follows is protected, but for an alert of a peer that has no keys.
    keyed: bool,
    /// Whether what follows on the transport is protected, or makes no sense.
    opaque: bool,
    /// The last Finished (row K11).
    finished: Option<Vec<u8>>,
}

/// Where in the stream of records the transport is.
#[derive(Debug, Default)]
struct Record {
    header: [u8; HEADER],
    have: usize,
    left: usize,
}

impl Transcript {
    /// A transcript of the server's side or of the client's, which traces or does not.
    pub(super) fn new(is_server: bool, trace: bool) -> Self {
        Self { is_server, trace: trace.then(Vec::new), ..Self::default() }
    }

    /// How many of these bytes of the peer belong to the record that has begun, or begins with them. All of them from the first
    /// protected record on: then no record is looked at.
    pub(super) fn record_end(&self, bytes: &[u8]) -> usize {
        let Side { record, opaque, .. } = &self.received;
        if *opaque {
            return bytes.len();
        }
        if record.left > 0 {
            return record.left.min(bytes.len());
        }
        let missing = HEADER - record.have;
        let mut header = record.header;
        let Some(bytes_of_header) = bytes.get(..missing) else {
            return bytes.len();
        };
        header[record.have..].copy_from_slice(bytes_of_header);
        (missing + length(&header)).min(bytes.len())
    }

    /// Looks at bytes of the transport. From the first protected record on there is nothing to see there, and it does nothing.
    pub(super) fn transport(&mut self, direction: Direction, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.side(direction).opaque {
            let record = &mut self.side(direction).record;
            if record.left == 0 {
                let taken = (HEADER - record.have).min(bytes.len());
                record.header[record.have..record.have + taken].copy_from_slice(&bytes[..taken]);
                record.have += taken;
                bytes = &bytes[taken..];
                if record.have == HEADER {
                    record.have = 0;
                    record.left = length(&record.header);
                }
                continue;
            }
            let content_type = ContentType::from(record.header[0]);
            let is_alert = length(&record.header) == ALERT_LEN;
            let (content, rest) = bytes.split_at(record.left.min(bytes.len()));
            record.left -= content.len();
            let whole = record.left == 0;
            bytes = rest;
            let tls13 = self.tls13;
            let side = self.side(direction);
            match content_type {
                // In TLS 1.3 it means nothing (RFC 8446 appendix D.4); before, it starts protection.
                ContentType::ChangeCipherSpec => side.opaque = !tls13,
                ContentType::Alert if is_alert => {
                    side.alert.extend_from_slice(content);
                    if whole {
                        let alert = std::mem::take(&mut side.alert);
                        self.alert(direction, &alert);
                    }
                }
                _ if side.keyed => side.opaque = whole,
                ContentType::Handshake => self.handshake(direction, content, false),
                ContentType::ApplicationData if whole => side.opaque = true,
                ContentType::ApplicationData | ContentType::Alert => {}
                _ => side.opaque = true,
            }
        }
        if let (Some(lines), true) = (&mut self.trace, self.sent.opaque) {
            lines.append(&mut self.deferred);
        }
    }

    /// Looks at what passed through record protection.
    pub(super) fn protected(&mut self, seen: Vec<Seen>) {
        for seen in seen {
            let lines = self.trace.as_ref().map_or(0, Vec::len);
            let (direction, content_type, content) = match seen {
                Seen::Content { direction, content_type, content } => (direction, content_type, content),
                Seen::ReadKeys => {
                    // A server has chosen before its ServerHello is with the transport.
                    (self.tls13, self.received.keyed) = (true, true);
                    self.received.partial = Vec::new();
                    continue;
                }
            };
            match content_type {
                ContentType::Handshake => self.handshake(direction, &content, true),
                ContentType::Alert => self.alert(direction, &content),
                _ => {}
            }
            if let (Some(trace), Direction::Sent, false) = (&mut self.trace, direction, self.sent.opaque) {
                self.deferred.extend(trace.drain(lines..));
            }
        }
    }

    /// Our Finished (row K11).
    pub(super) fn finished(&self) -> Option<&[u8]> {
        self.sent.finished.as_deref()
    }

    /// The peer's Finished (row K11).
    pub(super) fn peer_finished(&self) -> Option<&[u8]> {
        self.received.finished.as_deref()
    }

    /// The lines since the last call.
    pub(super) fn take_trace(&mut self) -> Vec<String> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }

    fn handshake(&mut self, direction: Direction, content: &[u8], protected: bool) {
        let side = self.side(direction);
        if side.partial.len() + content.len() > PARTIAL_MAX {
            // rustls takes no such message.
            side.partial = Vec::new();
            side.opaque = true;
            return;
        }
        side.partial.extend_from_slice(content);
        let mut bytes = std::mem::take(&mut side.partial);
        let mut read = 0;
        while let Some((kind, body)) = message(&bytes[read..]) {
            read += MESSAGE_HEADER + body.len();
            self.message(direction, kind, body, protected);
        }
        bytes.drain(..read);
        self.side(direction).partial = bytes;
    }

    fn message(&mut self, direction: Direction, kind: u8, body: &[u8], protected: bool) {
        self.trace(direction, || format!("{}, {} bytes", handshake_name(kind), body.len()));
        match (kind, direction) {
            // Nobody takes another one, which follows a HelloRetryRequest or asks for renegotiation.
            (CLIENT_HELLO, Direction::Received) if self.is_server && !protected && !self.heard_client_hello => {
                self.heard_client_hello = true;
                self.client_hello = ClientHello::read(body);
            }
            (SERVER_HELLO, _) if !protected && self.is_server == (direction == Direction::Sent) => {
                let extensions = server_hello_extensions(body).unwrap_or_default();
                self.tls13 = extensions.contains(&(SUPPORTED_VERSIONS, &[3, 4]));
                self.extended_master_secret =
                    !self.tls13 && extensions.iter().any(|(kind, _)| *kind == EXTENDED_MASTER_SECRET);
            }
            (NEW_SESSION_TICKET, Direction::Received) if protected || !self.tls13 => {
                self.ticket = self.read_ticket(body).or(self.ticket.take());
            }
            (CERTIFICATE_REQUEST, Direction::Received) => {
                self.requested_schemes = self.read_schemes(body).unwrap_or_default()
            }
            (FINISHED, _) if protected => self.side(direction).finished = Some(body.to_vec()),
            _ => {}
        }
    }

    fn alert(&mut self, direction: Direction, content: &[u8]) {
        let [level, description] = *content else {
            return;
        };
        match direction {
            Direction::Sent if level == FATAL => self.sent_alert = Some(description),
            Direction::Sent => {}
            Direction::Received if level == FATAL || description == CLOSE_NOTIFY => {
                self.received_alert = Some(description);
            }
            Direction::Received => {}
        }
        let level = if level == FATAL { "fatal" } else { "warning" };
        self.trace(direction, || format!("alert, {level}: {} ({description})", alert_name(description)));
    }

    fn trace(&mut self, direction: Direction, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.trace {
            let verb = match direction {
                Direction::Sent => "sent",
                Direction::Received => "received",
            };
            lines.push(format!("{verb} {}", what()));
        }
    }

    /// The ticket of a NewSessionTicket (RFC 8446 section 4.6.1, RFC 5077 section 3.3).
    fn read_ticket(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(body);
        let _lifetime = reader.u32()?;
        if self.tls13 {
            let _age_add = reader.u32()?;
            let _nonce = reader.vector8()?;
        }
        reader.vector16().map(<[u8]>::to_vec)
    }

    /// The schemes of a CertificateRequest (RFC 8446 section 4.3.2, RFC 5246 section 7.4.4).
    fn read_schemes(&self, body: &[u8]) -> Option<Vec<u16>> {
        let mut reader = Reader::new(body);
        if !self.tls13 {
            let _certificate_types = reader.vector8()?;
            return Reader::new(reader.vector16()?).all(Reader::u16);
        }
        let _context = reader.vector8()?;
        let extensions =
            Reader::new(reader.vector16()?).all(|extension| Some((extension.u16()?, extension.vector16()?)))?;
        let (_, schemes) = extensions.into_iter().find(|(kind, _)| *kind == SIGNATURE_ALGORITHMS)?;
        Reader::new(Reader::new(schemes).vector16()?).all(Reader::u16)
    }
}

/// Kind and body of the first message, where all of it is there (RFC 8446 section 4).
fn message(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let mut reader = Reader::new(bytes);
    let [kind, high, middle, low] = reader.array()?;
    let body = reader.take(u32::from_be_bytes([0, high, middle, low]).try_into().ok()?)?;
    Some((kind, body))
}

/// The length that a record's header says.
fn length(header: &[u8; HEADER]) -> usize {
    usize::from(u16::from_be_bytes([header[3], header[4]]))
}

/// Types and contents of a ServerHello's extensions (RFC 8446 section 4.1.3); TLS 1.2 may leave them out.
fn server_hello_extensions(body: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut reader = Reader::new(body);
    let _version_and_random = reader.take(2 + 32)?;
    let _session_id = reader.vector8()?;
    let _suite_and_compression = reader.take(2 + 1)?;
    Reader::new(reader.vector16()?).all(|extension| Some((extension.u16()?, extension.vector16()?)))
}

/// RFC names (RFC 8446 section 4, RFC 5246 section 7.4, RFC 6066 section 8, RFC 8879 section 4).
fn handshake_name(kind: u8) -> String {
    let name = match kind {
        0 => "HelloRequest",
        CLIENT_HELLO => "ClientHello",
        SERVER_HELLO => "ServerHello",
        NEW_SESSION_TICKET => "NewSessionTicket",
        5 => "EndOfEarlyData",
        8 => "EncryptedExtensions",
        11 => "Certificate",
        12 => "ServerKeyExchange",
        CERTIFICATE_REQUEST => "CertificateRequest",
        14 => "ServerHelloDone",
        15 => "CertificateVerify",
        16 => "ClientKeyExchange",
        FINISHED => "Finished",
        22 => "CertificateStatus",
        24 => "KeyUpdate",
        25 => "CompressedCertificate",
        _ => return format!("handshake message {kind}"),
    };
    name.to_owned()
}

/// Handshake types.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const NEW_SESSION_TICKET: u8 = 4;
const CERTIFICATE_REQUEST: u8 = 13;
const FINISHED: u8 = 20;

/// `AlertLevel.fatal`.
const FATAL: u8 = 2;
/// `AlertDescription.close_notify`.
pub(super) const CLOSE_NOTIFY: u8 = 0;
/// An alert in the clear: its level and its description.
const ALERT_LEN: usize = 2;
/// A record's header: type, version, length.
const HEADER: usize = 5;
/// A handshake message's: type and length.
const MESSAGE_HEADER: usize = 4;
/// What is kept of a message that is not whole: rustls refuses one of more than 64 KiB, and a record adds 16 KiB.
const PARTIAL_MAX: usize = 0x1_0000 + 0x4000 + MESSAGE_HEADER;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind, 3, 3][..], &u16::try_from(content.len()).expect("short").to_be_bytes(), content].concat()
    }

    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &u16::try_from(body.len()).expect("short").to_be_bytes(), body].concat()
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let ticket = handshake(4, &[0, 0, 0, 9, 0, 3, 1, 2, 3]);
        let stream = [
            record(22, &[&handshake(13, &[1, 64, 0, 2, 4, 3, 0, 0]), &ticket[..9]].concat()),
            record(22, &ticket[9..10]),
            record(22, &ticket[10..]),
            record(21, &[1, 90]),
            record(20, &[1]),
            record(22, b"protected"),
        ]
        .concat();
        for size in 1..stream.len() {
            let mut transcript = Transcript::new(false, true);
            for chunk in stream.chunks(size) {
                transcript.transport(Direction::Received, chunk);
            }
            assert_eq!(transcript.requested_schemes, [0x0403], "in pieces of {size}");
            assert_eq!(transcript.ticket, Some(vec![1, 2, 3]), "in pieces of {size}");
            let lines = transcript.take_trace();
            assert_eq!(lines[..2], ["received CertificateRequest, 8 bytes", "received NewSessionTicket, 9 bytes"]);
            assert!(lines.len() <= 3, "what is protected is not read: {lines:?}");
        }
    }

    #[test]
    fn finished_of_both_sides_are_kept_apart() {
        let mut transcript = Transcript::new(false, false);
        let seen = |direction, byte| Seen::Content {
            direction,
            content_type: ContentType::Handshake,
            content: handshake(20, &[byte; 12]),
        };
        transcript.protected(vec![seen(Direction::Sent, 1), seen(Direction::Received, 2)]);
        assert_eq!(transcript.finished(), Some(&[1; 12][..]));
        assert_eq!(transcript.peer_finished(), Some(&[2; 12][..]));
        assert_eq!(transcript.take_trace(), Vec::<String>::new());
    }

    #[test]
    fn what_is_in_the_clear_is_never_taken_for_what_has_to_be_protected() {
        let finished = handshake(20, &[7; 12]);
        let ticket = handshake(4, &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 0, 0]);
        let mut transcript = Transcript::new(false, true);
        transcript.transport(Direction::Received, &record(22, &finished));
        assert_eq!(transcript.peer_finished(), None, "a Finished in the clear");
        transcript.protected(vec![Seen::ReadKeys]);
        let hidden = [record(22, &finished), record(22, &ticket), record(22, &finished)].concat();
        let first = transcript.record_end(&hidden);
        assert_eq!(first, 5 + finished.len(), "records are taken one by one");
        transcript.transport(Direction::Received, &hidden);
        assert_eq!(
            (transcript.peer_finished(), transcript.ticket.as_deref()),
            (None, None),
            "ciphertext as a handshake"
        );
        assert_eq!(transcript.take_trace(), ["received Finished, 12 bytes"], "only the one in the clear");
    }

    #[test]
    fn of_the_clients_hellos_only_the_first_is_kept_and_only_by_a_server() {
        let hello = |suite: u8| {
            let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, suite, 1, 0]].concat();
            record(22, &handshake(CLIENT_HELLO, &body))
        };
        let mut server = Transcript::new(true, false);
        server.transport(Direction::Received, &hello(1));
        server.transport(Direction::Received, &hello(2));
        assert_eq!(server.client_hello.take().map(|hello| hello.suites), Some(vec![0x1301]));
        // One after a HelloRetryRequest, and one that asks for renegotiation.
        server.transport(Direction::Received, &hello(3));
        let content = handshake(CLIENT_HELLO, &hello(3)[9..]);
        let seen = Seen::Content { direction: Direction::Received, content_type: ContentType::Handshake, content };
        server.protected(vec![seen]);
        assert_eq!(server.client_hello, None, "another one after the first was taken");
        for direction in [Direction::Sent, Direction::Received] {
            let mut client = Transcript::new(false, false);
            client.transport(direction, &hello(1));
            assert_eq!(client.client_hello, None, "{direction:?} by a client");
        }
    }

    #[test]
    fn a_server_hello_counts_only_where_the_server_says_it() {
        let extensions = [0, 10, 0, 43, 0, 2, 3, 4, 0, 23, 0, 0];
        let body = [&[3, 3][..], &[7; 32], &[0, 0x13, 1, 0], &extensions].concat();
        let hello = record(22, &handshake(SERVER_HELLO, &body));
        for (is_server, direction, expected) in [
            (false, Direction::Received, true),
            (true, Direction::Sent, true),
            (false, Direction::Sent, false),
            (true, Direction::Received, false),
        ] {
            let mut transcript = Transcript::new(is_server, false);
            transcript.transport(direction, &hello);
            assert_eq!(transcript.tls13, expected, "{direction:?}, by a server: {is_server}");
        }
    }

    #[test]
    fn the_end_of_a_record_is_found_wherever_it_is_cut() {
        let stream = [record(22, &[0; 7]), record(21, &[1, 0]), record(22, &[0; 300])].concat();
        let ends = [12, 19, stream.len()];
        for cut in 0..stream.len() {
            let mut transcript = Transcript::new(false, false);
            let (mut taken, mut next) = (0, Vec::new());
            while taken < stream.len() {
                let limit = if taken < cut { cut } else { stream.len() };
                let end = taken + transcript.record_end(&stream[taken..limit]);
                transcript.transport(Direction::Received, &stream[taken..end]);
                next.extend((end != cut || ends.contains(&end)).then_some(end));
                taken = end;
            }
            assert_eq!(next, ends, "cut at {cut}");
            assert_eq!(transcript.received_alert, Some(0), "cut at {cut}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 19u8..24, message in 0u8..26) {
            let mut transcript = Transcript::new(false, true);
            transcript.transport(Direction::Received, &bytes);
            transcript.transport(Direction::Sent, &record(kind, &handshake(message, &bytes)));
            transcript.transport(Direction::Sent, &bytes);
            prop_assert!(transcript.received.partial.len() <= bytes.len());
            prop_assert!(transcript.sent.partial.len() <= 2 * bytes.len());
        }
    }
}
