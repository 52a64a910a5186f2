//! The talk that every test has over its connections: so many bytes each way, and an end each way.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::setup::{Tally, Turn};

/// What goes over a connection, seen from one end.
pub trait Application: Send + Sync {
    /// What is to be sent now.
    fn outgoing(&mut self) -> Outgoing<'_>;

    /// So many of those bytes were taken.
    fn taken(&mut self, count: usize);

    /// Whether it wants bytes from the peer now.
    fn is_reading(&self) -> bool {
        true
    }

    /// Bytes from the peer.
    fn incoming(&mut self, bytes: &[u8]);

    /// The peer has ended.
    fn peer_ended(&mut self);

    /// What was sent, what was received, and whether the peer has ended.
    fn result(&self) -> (Tally, Tally, bool);
}

/// What an application has to send.
#[derive(Debug)]
pub enum Outgoing<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

/// So many bytes each way, and the ends in the order that a [`Turn`] says.
#[derive(Debug)]
pub struct Exchange {
    turn: Turn,
    bytes: usize,
    sent: Counter,
    received: Counter,
    ended: bool,
}

/// Sends back what it gets, and ends when the peer does.
#[derive(Debug, Default)]
pub struct Echo {
    waiting: Vec<u8>,
    sent: Counter,
    received: Counter,
    ended: bool,
}

impl Exchange {
    /// An exchange at its beginning.
    pub fn new(turn: Turn, bytes: usize) -> Exchange {
        Exchange { turn, bytes, sent: Counter::default(), received: Counter::default(), ended: false }
    }

    /// Has the exchange over a stream, and says what ended it where that was not the peer's end.
    pub async fn run(self, stream: impl AsyncRead + AsyncWrite) -> (Self, std::io::Result<()>) {
        let Exchange { turn, bytes, mut sent, mut received, .. } = self;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (seen, mut seen_by_writer) = watch::channel((0, false));
        let write = async {
            loop {
                let (came, ended) = *seen_by_writer.borrow_and_update();
                match outgoing(turn, bytes, sent.bytes, came, ended) {
                    Outgoing::Bytes(next) => {
                        writer.write_all(next).await?;
                        writer.flush().await?;
                        sent.add(next);
                    }
                    Outgoing::Nothing => {
                        if seen_by_writer.changed().await.is_err() {
                            return Ok(());
                        }
                    }
                    Outgoing::End => return writer.shutdown().await,
                }
            }
        };
        let read = async {
            let mut buffer = vec![0; PIECE];
            loop {
                let count = reader.read(&mut buffer).await?;
                received.add(&buffer[..count]);
                seen.send_replace((received.bytes, count == 0));
                if count == 0 {
                    return Ok(());
                }
            }
        };
        let result = tokio::try_join!(write, read);
        let ended = seen.borrow().1;
        (Exchange { turn, bytes, sent, received, ended }, result.map(|_| ()))
    }
}

impl Application for Exchange {
    fn outgoing(&mut self) -> Outgoing<'_> {
        outgoing(self.turn, self.bytes, self.sent.bytes, self.received.bytes, self.ended)
    }

    fn taken(&mut self, count: usize) {
        let piece = piece(self.turn, self.sent.bytes, count);
        self.sent.add(piece);
    }

    fn incoming(&mut self, bytes: &[u8]) {
        self.received.add(bytes);
    }

    fn peer_ended(&mut self) {
        self.ended = true;
    }

    fn result(&self) -> (Tally, Tally, bool) {
        (self.sent.tally(), self.received.tally(), self.ended)
    }
}

impl Application for Echo {
    fn outgoing(&mut self) -> Outgoing<'_> {
        match (self.waiting.as_slice(), self.ended) {
            ([], true) => Outgoing::End,
            ([], false) => Outgoing::Nothing,
            (bytes, _) => Outgoing::Bytes(bytes),
        }
    }

    fn taken(&mut self, count: usize) {
        self.sent.add(&self.waiting[..count]);
        self.waiting.drain(..count);
    }

    fn is_reading(&self) -> bool {
        self.waiting.len() < PIECE
    }

    fn incoming(&mut self, bytes: &[u8]) {
        self.received.add(bytes);
        self.waiting.extend_from_slice(bytes);
    }

    fn peer_ended(&mut self) {
        self.ended = true;
    }

    fn result(&self) -> (Tally, Tally, bool) {
        (self.sent.tally(), self.received.tally(), self.ended)
    }
}

/// The bytes that everyone sends, over and over. Their upper bit is set, so that they can be told from what `openssl s_client`
/// writes to the same pipe, and are none of its commands.
pub fn payload() -> &'static [u8] {
    static PAYLOAD: OnceLock<Vec<u8>> = OnceLock::new();
    PAYLOAD.get_or_init(|| {
        let blocks = (0..(1u32 << 20) / 32).flat_map(|block| Sha256::digest(block.to_be_bytes()));
        blocks.map(|byte| byte | 0x80).collect()
    })
}

/// The first bytes that an end with this turn sends. The two ends of a connection send different ones.
pub fn payload_of(turn: Turn, bytes: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes);
    while all.len() < bytes {
        all.extend_from_slice(piece(turn, all.len(), bytes - all.len()));
    }
    all
}

/// At most so many of the bytes of an end with this turn, after so many.
fn piece(turn: Turn, after: usize, most: usize) -> &'static [u8] {
    let is_first = matches!(turn, Turn::First | Turn::WhenAllCame);
    let from = (after + if is_first { 0 } else { payload().len() / 2 }) % payload().len();
    let to = payload().len().min(from + most);
    &payload()[from..to]
}

/// The tally of these bytes.
pub fn tally(bytes: &[u8]) -> Tally {
    let mut counter = Counter::default();
    counter.add(bytes);
    counter.tally()
}

fn outgoing(turn: Turn, bytes: usize, sent: usize, came: usize, ended: bool) -> Outgoing<'static> {
    let until = match turn {
        Turn::Second if !ended => bytes / 2,
        Turn::Silent => 0,
        _ => bytes,
    };
    if sent < until {
        return Outgoing::Bytes(piece(turn, sent, (until - sent).min(PIECE)));
    }
    let may_end = match turn {
        Turn::First => true,
        Turn::Second | Turn::AfterPeer | Turn::Silent => ended,
        Turn::WhenAllCame => ended || came >= bytes,
    };
    if may_end { Outgoing::End } else { Outgoing::Nothing }
}

#[derive(Clone, Debug, Default)]
struct Counter {
    bytes: usize,
    hash: Sha256,
}

impl Counter {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.hash.update(bytes);
    }

    fn tally(&self) -> Tally {
        Tally { bytes: self.bytes, sha256: hex(&self.hash.clone().finalize()) }
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The most that is handed over at once.
const PIECE: usize = 64 * 1024;
