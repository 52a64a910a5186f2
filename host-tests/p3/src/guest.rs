//! By `guest:tls`: contexts, client certificates, ALPN, a server.

use anyhow::{Result, anyhow, ensure};
use futures::future::{join, try_join};
use wasip3::clocks::monotonic_clock;
use wasip3::sockets::types::TcpSocket;
use wasip3::wit_stream;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::guest::tls0_1_0::secure_context::{SecureContext, SecureContextOptions};
use crate::bindings::guest::tls0_1_0::secure_pair::{SecurePair, SecurePairOptions};
use crate::bindings::guest::tls0_1_0::types::{Error, ProtocolVersion};
use crate::bindings::guest::tls0_3_0_draft::client;
use crate::bindings::guest::tls0_3_0_draft::connection::Connection;
use crate::bindings::guest::tls0_3_0_draft::server::Server;
use crate::{tcp, variable};

type Outcome = FutureReader<Result<(), Error>>;

/// The streams of a connection.
struct Ends {
    cleartext: StreamWriter<u8>,
    sent: Outcome,
    answer: StreamReader<u8>,
    received: Outcome,
}

/// A client with what the environment says: says who is there, sends a line and prints the answer.
pub(crate) async fn client(port: u16) -> Result<()> {
    let context = context()?;
    let connection = client::connect(&context, pair_options()).map_err(all)?;
    let socket = tcp::dial(port).await?;
    let mut ends = over(&connection, &socket);
    let pair = Connection::handshake(connection).await.map_err(|error| one(&error))?;
    describe(&pair);
    ensure!(ends.cleartext.write_all(b"hello\n".to_vec()).await.is_empty(), "the cleartext was not taken");
    drop(ends.cleartext);
    let answer = ends.answer.collect().await;
    println!("answer: {:?}", String::from_utf8_lossy(&answer));
    println!("sent: {}", said(ends.sent.await));
    println!("received: {}", said(ends.received.await));
    println!("closed: {}", pair.is_closed());
    Ok(())
}

/// A server of one connection, which echoes.
pub(crate) async fn serve() -> Result<()> {
    let server = Server::create(&context()?, pair_options()).map_err(all)?;
    let socket = tcp::bind()?;
    let mut clients = socket.listen().map_err(|error| anyhow!("no listener: {error:?}"))?;
    println!("port: {}", tcp::port(&socket)?);
    let client = clients.next().await.ok_or_else(|| anyhow!("nobody came"))?;
    let connection = server.accept().map_err(|error| one(&error))?;
    println!("connections: {}", server.connections());
    let ends = over(&connection, &client);
    let outcome = Connection::handshake(connection).await;
    match &outcome {
        Ok(pair) => describe(pair),
        Err(error) => println!("handshake: {}", one(error)),
    }
    let echoed = echo(ends.answer, ends.cleartext).await;
    println!("echoed: {echoed} bytes");
    println!("sent: {}", said(ends.sent.await));
    println!("received: {}", said(ends.received.await));
    drop(outcome);
    // Its task hears that we have read the futures when it is its turn.
    for _ in 0..500 {
        if server.connections() > 0 {
            monotonic_clock::wait_for(10_000_000).await;
        }
    }
    println!("connections: {}", server.connections());
    Ok(())
}

/// A client and a server of this instance, joined by streams: so many bytes go there and back.
pub(crate) async fn both(bytes: usize) -> Result<()> {
    let context = context()?;
    let server = Server::create(&context, pair_options()).map_err(all)?;
    let here = client::connect(&context, pair_options()).map_err(all)?;
    let there = server.accept().map_err(|error| one(&error))?;

    let (cleartext, reader) = wit_stream::new();
    let (records, sent) = here.send(reader);
    let (there_answer, there_received) = there.receive(records);
    let (there_cleartext, reader) = wit_stream::new();
    let (records, there_sent) = there.send(reader);
    let (answer, received) = here.receive(records);

    let shaken = try_join(Connection::handshake(here), Connection::handshake(there)).await;
    let (pair, _there) = shaken.map_err(|error| one(&error))?;
    describe(&pair);
    let started = monotonic_clock::now();
    let (echoed, heard) = join(echo(there_answer, there_cleartext), exchange(cleartext, answer, bytes)).await;
    let heard = heard?;
    let seconds = (monotonic_clock::now() - started) as f64 / 1e9;
    println!("echoed: {echoed} bytes, heard: {heard} bytes, as they were sent");
    eprintln!("{:.1} MB/s each way", heard as f64 / 1e6 / seconds);
    for (name, outcome) in
        [("sent", sent), ("received", received), ("its sent", there_sent), ("its received", there_received)]
    {
        println!("{name}: {}", said(outcome.await));
    }
    Ok(())
}

/// What a server over streams does not take.
pub(crate) fn questions() -> Result<()> {
    let context = context()?;
    for set in [
        SecurePairOptions::set_sni_event as fn(&SecurePairOptions, bool),
        SecurePairOptions::set_alpn_event,
        SecurePairOptions::set_session_events,
        SecurePairOptions::set_ocsp_event,
    ] {
        let options = SecurePairOptions::new();
        set(&options, true);
        match Server::create(&context, options) {
            Ok(_) => println!("taken"),
            Err(errors) => println!("{}", all(errors)),
        }
    }
    Ok(())
}

/// The context that the environment says: CA, CERT and KEY in PEM, MAX.
fn context() -> Result<SecureContext> {
    let options = SecureContextOptions::new();
    if let Some(ca) = variable("CA") {
        options.add_ca(&ca);
    }
    if let Some((cert, key)) = variable("CERT").zip(variable("KEY")) {
        options.add_cert(&cert);
        options.add_key(&key, None);
    }
    if variable("MAX").is_some_and(|version| version == b"1.2") {
        options.set_max_version(ProtocolVersion::Tls12);
    }
    SecureContext::create(options).map_err(all)
}

/// The options that the environment says: NAME, ALPN, VERIFY.
fn pair_options() -> SecurePairOptions {
    let options = SecurePairOptions::new();
    let name = variable("NAME").unwrap_or_else(|| b"server.test".to_vec());
    options.set_servername(&String::from_utf8_lossy(&name));
    if let Some(protocols) = variable("ALPN") {
        let protocols: Vec<_> = protocols.split(|byte| *byte == b',').map(<[u8]>::to_vec).collect();
        options.set_alpn_protocols(&protocols);
    }
    options.set_request_cert(variable("VERIFY").is_some());
    options
}

/// Sets a connection up over a socket.
fn over(connection: &Connection, socket: &TcpSocket) -> Ends {
    let (cleartext, reader) = wit_stream::new();
    let (records, sent) = connection.send(reader);
    drop(socket.send(records));
    let (answer, received) = connection.receive(socket.receive().0);
    Ends { cleartext, sent, answer, received }
}

/// Prints what is known of the peer.
fn describe(pair: &SecurePair) {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    println!("protocol: {:?}", pair.protocol());
    println!("cipher: {}", pair.cipher().map(|cipher| cipher.standard_name).unwrap_or_default());
    println!("alpn: {:?}", pair.alpn_protocol().map(text));
    println!("servername: {:?}", pair.servername());
    println!("authorized: {}", pair.authorized());
    let subject = |name: &str| {
        let certificate = pair.peer_certificates().into_iter().next()?;
        certificate.subject.into_iter().find(|attribute| attribute.name == name).map(|attribute| attribute.value)
    };
    println!("peer: {:?}", subject("CN"));
    let exported = pair.export_keying_material(32, b"EXPERIMENTAL guest-tls", None);
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    println!("exporter: {}", exported.map_or_else(|error| one(&error).to_string(), hex));
}

/// Gives back all that comes, and ends when it does.
async fn echo(mut input: StreamReader<u8>, mut output: StreamWriter<u8>) -> usize {
    let mut echoed = 0;
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        let (result, mut bytes) = input.read(buffer).await;
        echoed += bytes.len();
        let ended = !matches!(result, StreamResult::Complete(_));
        bytes = output.write_all(bytes).await;
        if ended || !bytes.is_empty() {
            return echoed;
        }
        buffer = bytes;
    }
}

/// Sends so many bytes, and reads as many that are the same.
async fn exchange(mut output: StreamWriter<u8>, mut input: StreamReader<u8>, bytes: usize) -> Result<usize> {
    let send = async {
        let mut at = 0;
        while at < bytes {
            let chunk: Vec<u8> = (at..bytes.min(at + 256 * 1024)).map(payload).collect();
            at += chunk.len();
            if !output.write_all(chunk).await.is_empty() {
                break;
            }
        }
        drop(output);
    };
    let receive = async {
        let mut at = 0;
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            let (result, mut got) = input.read(buffer).await;
            for byte in &got {
                ensure!(*byte == payload(at), "byte {at} is another one");
                at += 1;
            }
            if !matches!(result, StreamResult::Complete(_)) {
                return Ok(at);
            }
            got.clear();
            buffer = got;
        }
    };
    let ((), heard) = join(send, receive).await;
    let heard = heard?;
    ensure!(heard == bytes, "{heard} of {bytes} bytes came");
    Ok(heard)
}

/// A byte by its place, with no short period.
fn payload(at: usize) -> u8 {
    let mixed = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

fn one(error: &Error) -> anyhow::Error {
    anyhow!("{:?}: {}", error.code, error.message)
}

fn all(errors: Vec<Error>) -> anyhow::Error {
    anyhow!("{}", errors.iter().map(|error| one(error).to_string()).collect::<Vec<_>>().join("; "))
}

fn said(outcome: Result<(), Error>) -> String {
    outcome.map_or_else(|error| one(&error).to_string(), |()| "well".into())
}
