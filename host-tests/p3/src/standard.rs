//! By `wasi:tls`, the standard interface.

use anyhow::{Result, anyhow, ensure};
use futures::future::poll_immediate;
use wasip3::sockets::types::TcpSocket;
use wasip3::wit_stream;
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use crate::bindings::wasi::tls::client::Connector;
use crate::bindings::wasi::tls::types::Error;
use crate::tcp;

type Outcome = FutureReader<Result<(), Error>>;

/// A connection that is set up, and not yet made.
pub(crate) struct SetUp {
    connector: Connector,
    pub(crate) cleartext: StreamWriter<u8>,
    pub(crate) sent: Outcome,
    pub(crate) answer: StreamReader<u8>,
    pub(crate) received: Outcome,
    /// While it lives, the socket does.
    _socket: TcpSocket,
}

/// A connection that is made.
pub(crate) struct Connected {
    pub(crate) cleartext: StreamWriter<u8>,
    pub(crate) sent: Outcome,
    pub(crate) answer: StreamReader<u8>,
    pub(crate) received: Outcome,
    _socket: TcpSocket,
}

impl SetUp {
    pub(crate) async fn new(port: u16) -> Result<SetUp> {
        let socket = tcp::dial(port).await?;
        let connector = Connector::new();
        let (cleartext, reader) = wit_stream::new();
        let (records, sent) = connector.send(reader);
        drop(socket.send(records));
        let (answer, received) = connector.receive(socket.receive().0);
        Ok(SetUp { connector, cleartext, sent, answer, received, _socket: socket })
    }

    pub(crate) async fn connect(self) -> Result<Connected> {
        let SetUp { connector, cleartext, sent, answer, received, _socket } = self;
        Connector::connect(connector, "server.test".into()).await.map_err(told)?;
        Ok(Connected { cleartext, sent, answer, received, _socket })
    }
}

/// A line there and the server's line back, to see that the instance is whole.
async fn good(port: u16) -> Result<()> {
    let mut connected = SetUp::new(port).await?.connect().await?;
    ensure!(connected.cleartext.write_all(b"hello\n".to_vec()).await.is_empty(), "the cleartext was not taken");
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let (result, bytes) = connected.answer.read(Vec::with_capacity(64)).await;
        ensure!(matches!(result, StreamResult::Complete(_)), "the answer has ended after {line:?}");
        line.extend(bytes);
    }
    drop(connected.cleartext);
    let rest = connected.answer.collect().await;
    println!("good: {:?}, then {} bytes", String::from_utf8_lossy(&line), rest.len());
    println!("sent: {}", said(connected.sent.await));
    println!("received: {}", said(connected.received.await));
    Ok(())
}

/// A connector that is dropped before `connect`: with nothing set up, with one direction, with both.
pub(crate) async fn dropped(port: u16) -> Result<()> {
    drop(Connector::new());
    let connector = Connector::new();
    let (mut writer, reader) = wit_stream::new();
    let (records, sent) = connector.send(reader);
    drop(connector);
    println!("one direction: {} bytes, {}", records.collect().await.len(), said(sent.await));
    let rest = writer.write_all(vec![1]).await;
    println!("its cleartext: {} not taken", rest.len());
    let SetUp { connector, sent, answer, received, .. } = SetUp::new(port).await?;
    drop(connector);
    println!("both: {} bytes, {}, {}", answer.collect().await.len(), said(sent.await), said(received.await));
    // Nobody looks.
    drop(SetUp::new(port).await?);
    good(port).await
}

/// `send` and `receive` for the second time.
pub(crate) async fn set_up_twice(port: u16) -> Result<()> {
    let set_up = SetUp::new(port).await?;
    for direction in [Connector::send as fn(&Connector, StreamReader<u8>) -> _, Connector::receive] {
        let (mut writer, reader) = wit_stream::new();
        let (output, outcome): (StreamReader<u8>, Outcome) = direction(&set_up.connector, reader);
        println!("again: {} bytes, {}", output.collect().await.len(), said(outcome.await));
        println!("its input: {} not taken", writer.write_all(vec![1]).await.len());
        // And once more, with nobody who looks.
        drop(direction(&set_up.connector, wit_stream::new().1));
    }
    let connected = set_up.connect().await?;
    drop(connected.cleartext);
    println!("then: {} bytes, {}", connected.answer.collect().await.len(), said(connected.received.await));
    println!("sent: {}", said(connected.sent.await));
    good(port).await
}

/// `connect` where directions are missing.
pub(crate) async fn not_set_up(port: u16) -> Result<()> {
    println!("nothing: {}", said(Connector::connect(Connector::new(), "server.test".into()).await));
    let connector = Connector::new();
    let (_writer, reader) = wit_stream::new();
    let (records, sent) = connector.send(reader);
    println!("send only: {}", said(Connector::connect(connector, "server.test".into()).await));
    println!("its records: {} bytes, {}", records.collect().await.len(), said(sent.await));
    good(port).await
}

/// A handshake with a peer that says nothing is cancelled.
pub(crate) async fn cancelled(silent: u16, port: u16) -> Result<()> {
    for _ in 0..10 {
        let SetUp { connector, mut cleartext, sent, answer, received, _socket } = SetUp::new(silent).await?;
        let connecting = Connector::connect(connector, "server.test".into());
        ensure!(poll_immediate(connecting).await.is_none(), "a peer that says nothing is no server");
        // Dropped above, which cancels it.
        ensure!(answer.collect().await.is_empty(), "an answer of nobody");
        ensure!(cleartext.write_all(vec![1]).await.len() == 1, "somebody took the cleartext");
        println!("cancelled: {}, {}", said(sent.await), said(received.await));
    }
    good(port).await
}

/// A server that sends without end is left: all is dropped, in each of several orders.
pub(crate) async fn left_early(endless: u16, port: u16) -> Result<()> {
    for order in 0..4 {
        let mut connected = SetUp::new(endless).await?.connect().await?;
        let (_, some) = connected.answer.read(Vec::with_capacity(1000)).await;
        ensure!(!some.is_empty(), "nothing came");
        let Connected { cleartext, sent, answer, received, _socket } = connected;
        match order {
            // All at once.
            0 => drop((cleartext, sent, answer, received, _socket)),
            // The answer only: what we send still goes out and ends well.
            1 => {
                drop(answer);
                drop(cleartext);
                println!("sent: {}", said(sent.await));
                println!("received: {}", said(received.await));
            }
            // The socket first.
            2 => {
                drop(_socket);
                drop(answer);
                drop(cleartext);
                drop((sent, received));
            }
            // The futures first: who drops them does not want to know.
            _ => {
                drop((sent, received));
                drop((cleartext, answer));
            }
        }
        println!("left: {order}");
    }
    good(port).await
}

/// Reads to the end, and says how it ended.
pub(crate) async fn read(port: u16) -> Result<()> {
    let connected = SetUp::new(port).await?.connect().await?;
    println!("read: {} bytes", connected.answer.collect().await.len());
    println!("received: {}", said(connected.received.await));
    Ok(())
}

pub(crate) fn told(error: Error) -> anyhow::Error {
    anyhow!("{}", error.to_debug_string())
}

fn said(outcome: Result<(), Error>) -> String {
    outcome.map_or_else(|error| error.to_debug_string(), |()| "well".into())
}
