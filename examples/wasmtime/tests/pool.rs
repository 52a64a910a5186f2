//! How connections share the instances of a host: what is given up leaves nothing behind, load is spread, and there are limits.

use std::future::poll_fn;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use guest_tls_wasmtime::{CompiledCache, Connector, Error, Host, HostOptions, Limits, TlsStream};
use host_tests::certificates::Kind;
use host_tests::peers::{rustls, wasmtime};
use host_tests::setup::{SERVER_NAME, Setup, X25519};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, server};

#[tokio::test]
async fn a_connection_that_is_given_up_leaves_nothing_in_its_instance() -> Result<()> {
    // More is given up than fits.
    let limits = Limits { memory: 8 << 20, connections: Some(10_000), ..Limits::default() };
    let host = Host::with_options(&component()?, options(1, 1, limits))?;
    let connector = wasmtime::connector(&host, &client()).await?;
    let acceptor = wasmtime::acceptor(&host, &server()).await?;
    for round in 0..400 {
        let (near, far) = duplex(16 << 10);
        let mut connecting = Box::pin(connector.connect(SERVER_NAME, near));
        let mut accepting = Box::pin(acceptor.accept(far));
        // The orders are given.
        let are_pending = poll_fn(|cx| {
            Poll::Ready(connecting.as_mut().poll(cx).is_pending() && accepting.as_mut().poll(cx).is_pending())
        });
        ensure!(are_pending.await, "round {round}: done at once");
        if round % 4 > 0 {
            // They are carried out, and nobody has looked at the answers yet.
            sleep(Duration::from_millis(2)).await;
        }
    }
    connect(&connector).await.context("what was given up is still there")?;
    settle(&host, |loads| loads[0] == 0).await
}

#[tokio::test]
async fn a_session_does_not_draw_all_connections_to_its_instance() -> Result<()> {
    let host = Host::with_options(&component()?, options(4, 4, Limits::default()))?;
    let connector = wasmtime::connector(&host, &client()).await?;
    let mut open = Vec::new();
    let mut resumed = 0;
    for _ in 0..60 {
        let (mut ours, mut peer) = connect(&connector).await?;
        resumed += usize::from(ours.get_ref().1.is_session_reused);
        // The tickets come with it.
        peer.write_all(b"x").await?;
        ours.read_exact(&mut [0; 1]).await?;
        open.push((ours, peer));
    }
    let loads = connections(&host);
    let (most, fewest) = (loads.iter().max().context("instances")?, loads.iter().min().context("instances")?);
    ensure!(most - fewest <= 6, "{loads:?} connections");
    ensure!(resumed >= 30, "only {resumed} of 60 resumed a session");
    Ok(())
}

#[tokio::test]
async fn an_instance_that_is_full_is_joined_by_another_one_up_to_the_limit() -> Result<()> {
    let limits = Limits { connections: Some(3), ..Limits::default() };
    let host = Host::with_options(&component()?, options(1, 3, limits))?;
    let connector = wasmtime::connector(&host, &client()).await?;
    let mut open = Vec::new();
    for count in 1..=9 {
        open.push(connect(&connector).await.with_context(|| format!("connection {count}"))?);
    }
    ensure!(connections(&host) == [3, 3, 3], "{:?}", connections(&host));
    let Err(error) = connector.connect(SERVER_NAME, duplex(1).0).await else { bail!("there is no limit") };
    ensure!(matches!(error, Error::TooManyConnections { limit: 9 }), "{error:?}");
    ensure!(error.to_string().contains("the host has 9 connections"), "{error}");
    ensure!(io::Error::from(error).kind() == io::ErrorKind::QuotaExceeded, "another kind");
    // Those that are open know nothing of it.
    for (ours, peer) in &mut open {
        ours.write_all(b"x").await?;
        peer.read_exact(&mut [0; 1]).await?;
    }
    // There is room where one has ended, and for sessions, too.
    open.remove(4);
    open.push(connect(&connector).await?);
    ensure!(connections(&host).iter().sum::<usize>() == 9, "{:?}", connections(&host));
    // The extra instances end with their last connections; the other one stays.
    open.clear();
    settle(&host, |loads| loads == [0]).await?;
    connect(&connector).await?;
    Ok(())
}

#[tokio::test]
async fn as_many_connections_as_there_may_be_fit_however_much_waits_in_them() -> Result<()> {
    // A host finds out by itself how many may fit: 16 of them.
    let memory = 12 << 20;
    let limits = Limits { memory, ..Limits::default() };
    let host = Host::with_options(&component()?, options(1, 1, limits))?;
    let connector = wasmtime::connector(&host, &client()).await?;
    let before = host.loads()[0].memory;
    let mut open = Vec::new();
    let full = loop {
        match connect(&connector).await {
            Ok((mut ours, mut peer)) => {
                // Nobody reads, on either side.
                while timeout(Duration::from_millis(20), ours.write_all(&[1; 16 << 10])).await.is_ok() {}
                while timeout(Duration::from_millis(20), peer.write_all(&[1; 16 << 10])).await.is_ok() {}
                let _ = timeout(Duration::from_millis(5), ours.flush()).await;
                open.push((ours, peer));
            }
            Err(error) => break error,
        }
    };
    ensure!(matches!(full.downcast_ref(), Some(Error::TooManyConnections { limit: 16 })), "{full:#}");
    let each = (host.loads()[0].memory - before) / open.len();
    println!("{each} bytes of memory for each of {} connections", open.len());
    ensure!(each <= 256 << 10, "{each} bytes of memory for each connection, which leaves too little for its handshake");
    // All live.
    for (ours, peer) in &mut open {
        let (mut read, mut wrote) = (vec![0; 8 << 10], vec![0; 8 << 10]);
        let both = async { tokio::try_join!(ours.read_exact(&mut read), peer.read_exact(&mut wrote)) };
        timeout(Duration::from_secs(5), both).await??;
    }
    Ok(())
}

/// A connection to rustls. The error is ours.
async fn connect(connector: &Connector) -> Result<(TlsStream<DuplexStream>, server::TlsStream<DuplexStream>)> {
    let acceptor = TlsAcceptor::from(Arc::clone(reference()));
    // Room for a whole record, which can't be read before it has come.
    let (near, far) = duplex(64 << 10);
    let (ours, peer) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
    Ok((ours?, peer?))
}

/// The configuration of one server, whose tickets are good for all its connections.
fn reference() -> &'static Arc<tokio_rustls::rustls::ServerConfig> {
    static CONFIG: std::sync::OnceLock<Arc<tokio_rustls::rustls::ServerConfig>> = std::sync::OnceLock::new();
    CONFIG.get_or_init(|| Arc::new(rustls::server_config(&server()).unwrap_or_else(|error| panic!("{error:#}"))))
}

fn connections(host: &Host) -> Vec<usize> {
    host.loads().iter().map(|load| load.connections).collect()
}

/// Waits until the connections of the instances are so.
async fn settle(host: &Host, is_so: impl Fn(&[usize]) -> bool) -> Result<()> {
    for _ in 0..500 {
        if is_so(&connections(host)) {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
    bail!("{:?} connections", connections(host))
}

fn component() -> Result<Vec<u8>> {
    let path = host_tests::host::component_path();
    std::fs::read(&path).with_context(|| format!("{}: cargo xtask build makes it", path.display()))
}

/// What the host of all tests compiled is there already.
fn options(instances: usize, most: usize, limits: Limits) -> HostOptions {
    let cache = CompiledCache::Folder(host_tests::paths::target().join("wasmtime-cache"));
    let count = |count| NonZero::new(count).unwrap_or(NonZero::<usize>::MIN);
    HostOptions { instances: count(instances), instances_max: count(most), limits, cache }
}

/// ring has no ML-KEM.
fn client() -> Setup {
    Setup { groups: vec![X25519], ..Setup::client(Kind::P256) }
}

fn server() -> Setup {
    Setup { groups: vec![X25519], ..Setup::server(Kind::P256) }
}
