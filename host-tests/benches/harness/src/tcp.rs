//! guest-tls' own component, the one that is shipped, over TCP on 127.0.0.1. The other end is rustls with ring, natively, which has more
//! than enough speed for both; client and server take turns on the machine's cores.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::exchange::{Application, Outgoing};
use host_tests::host::{Host, component_path};
use host_tests::peers::rustls::client_config;
use host_tests::service::Service;
use host_tests::setup::{Setup, Tally, X25519};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::table::{Measured, OURS};

/// Measures what is wanted, and gives each figure to `record`.
pub(crate) fn measure(
    wanted: &dyn Fn(&str) -> bool,
    quick: bool,
    record: &mut dyn FnMut(Measured) -> Result<()>,
) -> Result<()> {
    let (bytes, connections, idle) = if quick { (32 << 20, 100, 200) } else { (256 << 20, 1000, 1000) };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut add = |figure: &str, unit: &str, work: &dyn Fn() -> Result<f64>| -> Result<()> {
        if wanted(figure) {
            let value = work().with_context(|| figure.to_string())?;
            let (figure, implementation) = (figure.to_string(), OURS.to_string());
            println!("{figure}: {value:.2} {unit}");
            record(Measured { figure, implementation, unit: unit.to_string(), value, low: None, high: None })?;
        }
        Ok(())
    };
    for suite in host_tests::setup::SUITES.iter().filter(|suite| suite.name.starts_with("TLS_")).take(3) {
        let name = suite.name.trim_start_matches("TLS_");
        let setup = |setup: Setup| Setup { suites: vec![*suite], ..usual(setup) };
        let ends = (setup(Setup::client(Kind::P256)), setup(Setup::server(Kind::P256)));
        add(&format!("component, {name}, sends"), "MB/s", &|| runtime.block_on(bulk(&ends, bytes, true)))?;
        add(&format!("component, {name}, receives"), "MB/s", &|| runtime.block_on(bulk(&ends, bytes, false)))?;
    }
    let ends = (usual(Setup::client(Kind::P256)), usual(Setup::server(Kind::P256)));
    add("component, connections", "/s", &|| runtime.block_on(connect_often(&ends, connections)))?;
    add("component, memory of an idle connection", "KiB", &|| runtime.block_on(idle_memory(&ends, idle)))?;
    add("component, from its code to the first byte", "ms", &|| runtime.block_on(first_byte(&ends)))
}

fn usual(setup: Setup) -> Setup {
    Setup { groups: vec![X25519], ..setup }
}

type Ends = (Setup, Setup);

/// Megabytes a second from or to a server in the component, over one connection.
async fn bulk((client, server): &Ends, bytes: usize, sends: bool) -> Result<f64> {
    let to_send = if sends { bytes } else { 0 };
    let service = Service::start(server, move || Flow { to_send, ..Flow::default() }).await?;
    let mut stream = connect(client, service.port).await?;
    let mut buffer = vec![7; 64 << 10];
    let started = Instant::now();
    if sends {
        let mut got = 0;
        while got < bytes {
            let count = stream.read(&mut buffer).await?;
            ensure!(count > 0, "the server ended after {got} of {bytes} bytes");
            got += count;
        }
    } else {
        for _ in 0..bytes / buffer.len() {
            stream.write_all(&buffer).await?;
        }
        stream.flush().await?;
        // One byte comes back when all is there.
        stream.shutdown().await?;
        ensure!(stream.read(&mut buffer).await? == 0, "the server sent data, and had none to send");
    }
    Ok(bytes as f64 / 1e6 / started.elapsed().as_secs_f64())
}

/// Full handshakes a second with a server in the component, one after the other.
async fn connect_often((client, server): &Ends, connections: usize) -> Result<f64> {
    let mut service = Service::start(server, Flow::default).await?;
    let started = Instant::now();
    for _ in 0..connections {
        let mut stream = connect(client, service.port).await?;
        stream.shutdown().await?;
        let failure = service.next().await?.failure;
        ensure!(failure.is_none(), "{failure:?}");
    }
    Ok(connections as f64 / started.elapsed().as_secs_f64())
}

/// KiB of linear memory by which an instance grows for each connection that is open and does nothing.
async fn idle_memory((client, server): &Ends, connections: usize) -> Result<f64> {
    let service = Service::start(server, || Flow { to_send: 1, ..Flow::default() }).await?;
    let mut streams = Vec::new();
    let mut grown_from = 0;
    for count in 0..=connections {
        let mut stream = connect(client, service.port).await?;
        stream.read_exact(&mut [0]).await?;
        streams.push(stream);
        if count == 0 {
            grown_from = service.tls.lock().await.memory();
        }
    }
    let grown = service.tls.lock().await.memory() - grown_from;
    Ok(grown as f64 / connections as f64 / 1024.0)
}

/// Milliseconds from the bytes of the component, whose machine code is in wasmtime's cache, to a byte that a client has read: an engine,
/// an instance, a context with a key, a handshake. The best of some.
async fn first_byte((client, server): &Ends) -> Result<f64> {
    let component = std::fs::read(component_path())?;
    // Into the cache.
    Host::new(&component)?;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        let tls = Host::new(&component)?.instance().await?;
        let service = Service::start_in(tls, server, || Flow { to_send: 1, ..Flow::default() }).await?;
        let mut stream = connect(client, service.port).await?;
        stream.read_exact(&mut [0]).await?;
        best = best.min(started.elapsed());
    }
    Ok(best.as_secs_f64() * 1e3)
}

async fn connect(setup: &Setup, port: u16) -> Result<TlsStream<TcpStream>> {
    let mut config = client_config(setup)?;
    config.resumption = rustls::client::Resumption::disabled();
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(setup.servername.clone())?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
}

/// Sends so many bytes, takes whatever comes, and ends when the peer has.
#[derive(Debug, Default)]
struct Flow {
    to_send: usize,
    ended: bool,
}

impl Application for Flow {
    fn outgoing(&mut self) -> Outgoing<'_> {
        match (self.to_send, self.ended) {
            (0, true) => Outgoing::End,
            (0, false) => Outgoing::Nothing,
            (left, _) => Outgoing::Bytes(&PIECE[..left.min(PIECE.len())]),
        }
    }

    fn taken(&mut self, count: usize) {
        self.to_send -= count;
    }

    fn incoming(&mut self, _: &[u8]) {}

    fn peer_ended(&mut self) {
        self.ended = true;
    }

    fn result(&self) -> (Tally, Tally, bool) {
        (Tally::default(), Tally::default(), self.ended)
    }
}

static PIECE: [u8; 64 << 10] = [7; 64 << 10];
