//! Hostile bytes, thousands of times, into one instance: never a trap, always a typed error, and a good connection afterwards.

use anyhow::{Context as _, Result, bail, ensure};
use host_tests::certificates::Kind;
use host_tests::host::Host;
use host_tests::memory::{End, Ends, Link, WORDS};
use host_tests::rows;
use host_tests::setup::{Role, Setup, Version, X25519};
use host_tests::table;
use host_tests::tls::{ErrorCode, Tls};

fn main() {
    table::main(rows![
        "hostile":
        a_handshake_with_a_bit_flipped_at_every_byte,
        a_handshake_cut_at_every_byte,
        a_handshake_with_a_byte_lost_at_every_byte,
        a_handshake_with_records_swapped_doubled_and_left_out,
        bytes_that_are_no_handshake,
        bytes_that_are_no_records_after_the_handshake,
        a_handshake_in_records_of_one_byte,
    ]);
}

async fn a_handshake_with_a_bit_flipped_at_every_byte() -> Result<()> {
    at_every_byte("flipped", |at| Change::Flip { at, bit: (at % 8) as u32 }).await
}

async fn a_handshake_cut_at_every_byte() -> Result<()> {
    at_every_byte("cut", |at| Change::Cut { at }).await
}

async fn a_handshake_with_a_byte_lost_at_every_byte() -> Result<()> {
    at_every_byte("lost", |at| Change::Lose { at }).await
}

async fn a_handshake_with_records_swapped_doubled_and_left_out() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    for (version, direction) in WAYS {
        let ends = ends(&mut tls, version).await?;
        let (_, records) = record(&mut tls, &ends, direction).await?;
        for index in 0..records {
            for change in [Change::SwapRecords { index }, Change::DoubleRecord { index }, Change::LoseRecord { index }]
            {
                let outcome = disturb(&mut tls, &ends, direction, change).await;
                outcome.with_context(|| format!("{version}, from the {direction}, {change:?}"))?;
            }
        }
        ends.link(&mut tls).await?.finish_well(&mut tls).await?;
    }
    Ok(())
}

async fn bytes_that_are_no_handshake() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    let ends = Ends::usual(&mut tls).await?;
    for (what, bytes, code) in no_handshakes() {
        for role in [Role::Client, Role::Server] {
            let mut link = ends.link(&mut tls).await?;
            let end = if role == Role::Client { &mut link.client } else { &mut link.server };
            end.inbox = bytes.clone();
            let error = flood(&mut tls, end).await.with_context(|| format!("{what}, to the {role}"))?;
            let expected = code.is_none_or(|code| error == code);
            ensure!(expected && error != ErrorCode::ErrInternalAssertion, "{what}, to the {role}: {error:?}");
            link.drop(&mut tls).await?;
        }
    }
    ends.link(&mut tls).await?.finish_well(&mut tls).await
}

async fn bytes_that_are_no_records_after_the_handshake() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    for version in [Version::Tls12, Version::Tls13] {
        let ends = ends(&mut tls, version).await?;
        for (what, bytes, _) in no_handshakes() {
            for role in [Role::Client, Role::Server] {
                let mut link = ends.link(&mut tls).await?;
                link.drive_well(&mut tls).await?;
                let end = if role == Role::Client { &mut link.client } else { &mut link.server };
                ensure!(end.secure, "{:?}", end.error);
                end.inbox = bytes.clone();
                let error = flood(&mut tls, end).await.with_context(|| format!("{version}, {what}, to the {role}"))?;
                ensure!(error != ErrorCode::ErrInternalAssertion, "{version}, {what}, to the {role}: {error:?}");
                link.drop(&mut tls).await?;
            }
        }
        ends.link(&mut tls).await?.finish_well(&mut tls).await?;
    }
    Ok(())
}

async fn a_handshake_in_records_of_one_byte() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    for version in [Version::Tls12, Version::Tls13] {
        let ends = ends(&mut tls, version).await?;
        let mut link = ends.link(&mut tls).await?;
        // Only what is not yet encrypted can be cut into smaller records by somebody else.
        let mut first = true;
        let split = |role, bytes: Vec<u8>| {
            if role == Role::Client && std::mem::take(&mut first) { records_of_one_byte(&bytes) } else { bytes }
        };
        link.drive(&mut tls, split).await?;
        ensure!(link.server.secure && link.client.secure, "{version}: {:?} {:?}", link.server.error, link.client.error);
        link.finish_well(&mut tls).await?;
    }
    Ok(())
}

/// One thing that happens to the bytes of one direction.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// A bit is another.
    Flip { at: usize, bit: u32 },
    /// Nothing comes from here on.
    Cut { at: usize },
    /// A byte is missing.
    Lose { at: usize },
    /// A record comes after the next one.
    SwapRecords { index: usize },
    /// A record comes twice.
    DoubleRecord { index: usize },
    /// A record is missing.
    LoseRecord { index: usize },
}

impl Change {
    /// The byte at which it happens, where it is one of a byte.
    fn at(self) -> Option<usize> {
        match self {
            Change::Flip { at, .. } | Change::Cut { at } | Change::Lose { at } => Some(at),
            Change::SwapRecords { .. } | Change::DoubleRecord { .. } | Change::LoseRecord { .. } => None,
        }
    }
}

/// What a disturbed connection came to.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The handshake is done at both ends, and bytes go both ways.
    Good,
    /// As `Good`, and nothing was changed that anyone looks at.
    Harmless,
    /// An error at one end at least.
    Refused,
}

async fn at_every_byte(what: &str, change: impl Fn(usize) -> Change) -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    let (mut cases, mut harmless) = (0, 0);
    let mut wrong = Vec::new();
    let mut memory = 0;
    for (version, direction) in WAYS {
        let ends = ends(&mut tls, version).await?;
        let (bytes, _) = record(&mut tls, &ends, direction).await?;
        for at in 0..bytes.len() {
            let change = change(at);
            match disturb(&mut tls, &ends, direction, change).await {
                Ok(Outcome::Refused) => {}
                Ok(Outcome::Harmless) => harmless += 1,
                Ok(Outcome::Good) => wrong.push(format!("{version}, from the {direction}, {change:?}: went through")),
                Err(error) => wrong.push(format!("{version}, from the {direction}, {change:?}: {error:#}")),
            }
            cases += 1;
        }
        ends.link(&mut tls).await?.finish_well(&mut tls).await?;
        if memory == 0 {
            memory = tls.memory();
        }
    }
    println!("{what}: {cases} cases, {harmless} harmless, memory from {memory} to {} bytes", tls.memory());
    let some = wrong.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    ensure!(wrong.is_empty(), "{} of {cases} cases are wrong:\n{some}", wrong.len());
    ensure!(tls.memory() <= memory + MEMORY_GROWTH, "memory grows: from {memory} to {} bytes", tls.memory());
    Ok(())
}

/// Does a handshake of which one direction is changed.
async fn disturb(tls: &mut Tls, ends: &Ends, direction: Role, change: Change) -> Result<Outcome> {
    let mut link = ends.link(tls).await?;
    let mut line = Line { change, passed: Vec::new(), records: 0, held: Vec::new(), last: None };
    link.drive(tls, |role, bytes| if role == direction { line.carry(bytes) } else { bytes }).await?;
    if link.client.secure && link.server.secure {
        link.say_and_end(tls).await?;
        link.drive(tls, |role, bytes| if role == direction { line.carry(bytes) } else { bytes }).await?;
    }
    let is_good = link.client.is_good() && link.server.is_good();
    link.cut(tls).await?;
    for (role, end) in [(Role::Client, &link.client), (Role::Server, &link.server)] {
        ensure!(WORDS.starts_with(&end.cleartext), "the {role} read what nobody wrote: {:?}", end.cleartext);
        match &end.error {
            None => ensure!(end.ended, "the {role} has neither an error nor an end"),
            Some(error) if error.code == ErrorCode::ErrInternalAssertion => bail!("the {role}: {error:?}"),
            Some(error) => ensure!(!error.message.is_empty(), "the {role}: an error without a message: {error:?}"),
        }
    }
    link.drop(tls).await?;
    Ok(match (is_good, change.at()) {
        (false, _) => Outcome::Refused,
        // Signatures differ in length, so that the last bytes of the recorded handshake may not be there.
        (true, Some(at)) if at >= line.passed.len() || is_cleartext_version(&line.passed, at) => Outcome::Harmless,
        (true, _) => Outcome::Good,
    })
}

/// Carries the bytes of one direction, and changes them once.
struct Line {
    change: Change,
    /// Bytes that were given to it.
    passed: Vec<u8>,
    /// Records that went over it.
    records: usize,
    /// Bytes of a record that is not whole yet.
    held: Vec<u8>,
    /// A record that waits for the next one.
    last: Option<Vec<u8>>,
}

impl Line {
    fn carry(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let from = self.passed.len();
        self.passed.extend_from_slice(&bytes);
        let here = from..self.passed.len();
        match self.change {
            Change::Flip { at, bit } if here.contains(&at) => bytes[at - from] ^= 1 << bit,
            Change::Cut { at } if at < here.end => bytes.truncate(at.saturating_sub(from)),
            Change::Lose { at } if here.contains(&at) => drop(bytes.remove(at - from)),
            Change::SwapRecords { index } => return self.by_record(bytes, index),
            Change::DoubleRecord { index } => return self.by_record(bytes, index),
            Change::LoseRecord { index } => return self.by_record(bytes, index),
            Change::Flip { .. } | Change::Cut { .. } | Change::Lose { .. } => {}
        }
        bytes
    }

    fn by_record(&mut self, bytes: Vec<u8>, chosen: usize) -> Vec<u8> {
        self.held.extend(bytes);
        let mut out = Vec::new();
        while let Some(length) = record_length(&self.held).filter(|length| *length <= self.held.len()) {
            let record = self.held.drain(..length).collect::<Vec<_>>();
            match self.change {
                Change::SwapRecords { .. } if self.records == chosen => self.last = Some(record),
                Change::DoubleRecord { .. } if self.records == chosen => out.extend(record.repeat(2)),
                Change::LoseRecord { .. } if self.records == chosen => {}
                _ => {
                    out.extend(record);
                    out.extend(self.last.take().unwrap_or_default());
                }
            }
            self.records += 1;
        }
        out
    }
}

/// Gives an end all that is in its inbox and then the end of the transport, and says what became of it.
async fn flood(tls: &mut Tls, end: &mut End) -> Result<ErrorCode> {
    loop {
        let answered = !end.take(tls).await?.is_empty();
        if !end.give(tls).await? && !answered {
            break;
        }
    }
    end.pair.end_encrypted(tls).await?;
    end.give(tls).await?;
    match &end.error {
        Some(error) => Ok(error.code),
        None => bail!("no error"),
    }
}

/// What goes in one direction in an undisturbed handshake, and how many records that is.
async fn record(tls: &mut Tls, ends: &Ends, direction: Role) -> Result<(Vec<u8>, usize)> {
    let mut link: Link = ends.link(tls).await?;
    let mut bytes = Vec::new();
    let keep = |role, piece: Vec<u8>| {
        if role == direction {
            bytes.extend_from_slice(&piece);
        }
        piece
    };
    link.drive(tls, keep).await?;
    link.finish_well(tls).await?;
    let (mut records, mut at) = (0, 0);
    while let Some(length) = record_length(&bytes[at..]) {
        at += length;
        records += 1;
    }
    Ok((bytes, records))
}

async fn ends(tls: &mut Tls, version: Version) -> Result<Ends> {
    let only = |setup: Setup| Setup { versions: (version, version), groups: vec![X25519], ..setup };
    Ends::new(tls, only(Setup::client(Kind::P256)), only(Setup::server(Kind::P256))).await
}

/// Inputs, and the error where all ends must give the same.
fn no_handshakes() -> Vec<(&'static str, Vec<u8>, Option<ErrorCode>)> {
    let wrong_version = Some(ErrorCode::ErrSslWrongVersionNumber);
    let random = host_tests::exchange::payload();
    vec![
        ("nothing", Vec::new(), Some(ErrorCode::ErrSslUnexpectedEofWhileReading)),
        ("a request of HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), wrong_version),
        ("a greeting of SMTP", b"220 mail.test ESMTP ready\r\n".to_vec(), wrong_version),
        ("random bytes", random[..4096].to_vec(), None),
        ("zeros", vec![0; 70_000], None),
        ("a record of 65535 bytes", [&[22, 3, 3, 0xff, 0xff][..], &[1; 70_000]].concat(), None),
        (
            "a message of 16 MiB",
            record_of(22, &[1, 0xff, 0xff, 0xff]).into_iter().chain(vec![0; 100_000]).collect(),
            None,
        ),
        ("ten messages of 65535 bytes", record_of(22, &[1, 0, 0xff, 0xff]).repeat(10), None),
        ("thousands of empty records", record_of(22, &[]).repeat(5000), None),
        ("thousands of empty records of data", record_of(23, &[]).repeat(5000), None),
        ("thousands of warnings", record_of(21, &[1, 90]).repeat(5000), None),
        ("thousands of alerts of unknown numbers", record_of(21, &[1, 200]).repeat(5000), None),
        ("thousands of changes of the cipher", record_of(20, &[1]).repeat(5000), None),
        ("half an alert", record_of(21, &[2]), None),
        ("a heartbeat", record_of(24, &[1, 0, 16, 0]), None),
        ("a record of no kind", record_of(99, &[1, 2, 3]), None),
        ("a ClientHello of version 2", [&[0x80, 0x2e, 1, 3, 1][..], &[0; 60]].concat(), None),
        ("a ServerHello with nothing in it", record_of(22, &[2, 0, 0, 0]), None),
        ("a ClientHello with nothing in it", record_of(22, &[1, 0, 0, 0]), None),
        ("a request for a new handshake", record_of(22, &[0, 0, 0, 0]).repeat(1000), None),
    ]
}

fn record_of(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3, (content.len() >> 8) as u8, content.len() as u8][..], content].concat()
}

/// The same bytes, each in a record of its own.
fn records_of_one_byte(records: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(length) = record_length(&records[at..]) {
        let content = &records[at + HEADER..at + length];
        out.extend(content.iter().flat_map(|byte| record_of(records[at], &[*byte])));
        at += length;
    }
    out
}

/// The length of the record at the beginning, with its header.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let header = bytes.get(..HEADER)?;
    Some(HEADER + usize::from(u16::from_be_bytes([header[3], header[4]])))
}

/// Whether this byte is one of the version of a record in the clear, which nobody looks at (RFC 8446 section 5.1). A
/// protected record's version is in what its tag covers (section 5.2).
fn is_cleartext_version(bytes: &[u8], at: usize) -> bool {
    let mut start = 0;
    while let Some(length) = record_length(&bytes[start..]) {
        if (start..start + length).contains(&at) {
            return bytes[start] != APPLICATION_DATA && [1, 2].contains(&(at - start));
        }
        start += length;
    }
    false
}

const HEADER: usize = 5;
const APPLICATION_DATA: u8 = 23;

/// Every version, disturbed from either side.
const WAYS: [(Version, Role); 4] = [
    (Version::Tls13, Role::Client),
    (Version::Tls13, Role::Server),
    (Version::Tls12, Role::Client),
    (Version::Tls12, Role::Server),
];

/// What thousands of connections may leave behind.
const MEMORY_GROWTH: usize = 2 << 20;
