//! What a server, or a connection, allows at most.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use host_tests::certificates::Kind;
use host_tests::host::Host;
use host_tests::peers::command::Peer;
use host_tests::peers::component::{context_options, good, good_answer, pair_options};
use host_tests::peers::within;
use host_tests::setup::{Role, Setup, Version};
use host_tests::table::Row;
use host_tests::tcp;
use host_tests::tls::{Cleartext, ErrorCode, PairOptions};
use tokio::net::{TcpListener, TcpStream};

use super::Guest;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new("limits", "a server takes so many connections and no more [O24]", connections),
        Row::new("limits", "a handshake that takes too long is ended, over streams [O20 S2]", slow_socket),
        Row::new("limits", "a handshake that takes too long is ended, without I/O [O20]", slow_pair),
        Row::new("limits", "a done handshake has no limit of time [O20]", done_in_time),
        Row::new("limits", "as much waits to be sent as was asked for [K19]", buffers),
        Row::new("limits", "contexts are changed while connections are open [S7]", contexts),
    ]
}

async fn connections() -> Result<()> {
    let mut serving = Guest::server(Version::Tls13).await?.serve().await?;
    let server = serving.server;
    server.set_max_connections(serving.tls(), Some(2)).await?;
    let mut open = Vec::new();
    for count in 1..=2 {
        open.push(good_answer(server.accept_pair(serving.tls()).await?)?);
        ensure!(server.connections(serving.tls()).await? == count);
    }
    let refused = server.accept_pair(serving.tls()).await?.err().map(|error| error.code);
    ensure!(refused == Some(ErrorCode::ErrServerMaxConnections), "{refused:?}");
    if let Some(pair) = open.pop() {
        pair.drop(serving.tls()).await?;
    }
    // One is free again: OpenSSL gets it.
    let mut openssl = Peer::openssl_client(&Kind::P256.authority(), serving.port, &[])?;
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    openssl.until("Verify return code: 0").await?;
    ensure!(server.connections(serving.tls()).await? == 2);
    talk.drop(serving.tls()).await
}

async fn slow_socket() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    // A client that says nothing.
    let _client = TcpStream::connect(listener.local_addr()?).await?;
    let (tcp, _) = listener.accept().await?;
    let setup = Setup::server(Kind::P256);
    let options = PairOptions { handshake_timeout: Some(300), ..pair_options(&setup, Role::Server) };
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(&setup)).await?)?;
    let started = Instant::now();
    let socket = good(tls.socket(context, &options, tcp::streams(tcp)).await?)?;
    let error = within(async {
        loop {
            match socket.read(&mut tls, 1000).await? {
                Ok(Cleartext::Pending) => {}
                Ok(other) => anyhow::bail!("{other:?}"),
                Err(error) => return Ok(error),
            }
            let pollables = socket.subscribe(&mut tls).await?;
            tls.ready(&pollables).await?;
            tls.drop_pollables(pollables)?;
        }
    })
    .await?;
    ensure!(error.code == ErrorCode::ErrTlsHandshakeTimeout, "{error:?}");
    let took = started.elapsed();
    ensure!((Duration::from_millis(250)..Duration::from_secs(20)).contains(&took), "after {took:?}");
    socket.drop(&mut tls).await
}

async fn slow_pair() -> Result<()> {
    let mut guest = Guest::server(Version::Tls13).await?;
    guest.options.handshake_timeout = Some(200);
    let mut serving = guest.serve().await?;
    let _client = TcpStream::connect(("127.0.0.1", serving.port)).await?;
    let mut talk = serving.accept().await?;
    ensure!(talk.pair.handshake_deadline(serving.tls()).await?.is_some());
    let error = talk.until_error(serving.tls()).await?;
    ensure!(error.code == ErrorCode::ErrTlsHandshakeTimeout, "{error:?}");
    ensure!(talk.pair.handshake_deadline(serving.tls()).await?.is_none());
    talk.drop(serving.tls()).await
}

async fn done_in_time() -> Result<()> {
    let (_openssl, port) = Peer::openssl_server(&Kind::P256.server(), &[]).await?;
    let mut guest = Guest::client(Version::Tls13).await?;
    guest.options.handshake_timeout = Some(10_000);
    let mut talk = guest.connect(port).await?;
    talk.until_secure(&mut guest.tls).await?;
    ensure!(talk.pair.handshake_deadline(&mut guest.tls).await?.is_none());
    ensure!(talk.pair.encrypted(&mut guest.tls).await?);
    talk.drop(&mut guest.tls).await
}

async fn buffers() -> Result<()> {
    for (limit, expected) in [(None, 64 << 10), (Some(16 << 10), 16 << 10), (Some(1 << 20), 1 << 20)] {
        let mut guest = Guest::client(Version::Tls13).await?;
        guest.options.buffer_limit = limit;
        let context = good(guest.tls.context(&guest.context).await?)?;
        let pair = good(guest.tls.pair(context, &guest.options).await?)?;
        let taken = good_answer(pair.write_cleartext(&mut guest.tls, &vec![0; 2 << 20]).await?)?;
        ensure!(taken == expected, "{limit:?}: {taken}");
        pair.drop(&mut guest.tls).await?;
    }
    for limit in [0, (16 << 10) - 1, (16 << 20) + 1] {
        let mut guest = Guest::client(Version::Tls13).await?;
        guest.options.buffer_limit = Some(limit);
        let context = good(guest.tls.context(&guest.context).await?)?;
        let errors = guest.tls.pair(context, &guest.options).await?.err().unwrap_or_default();
        ensure!(errors.iter().map(|error| error.code).eq([ErrorCode::ErrInvalidArgValue]), "{limit}: {errors:?}");
    }
    Ok(())
}

async fn contexts() -> Result<()> {
    let mut serving = Guest::server(Version::Tls13).await?.serve().await?;
    let root = Kind::P256.authority();
    let mut first = Peer::openssl_client(&root, serving.port, &[])?;
    let mut old = serving.accept().await?;
    old.until_secure(serving.tls()).await?;
    let other = context_options(&Setup::server(Kind::Rsa2048));
    let context = good(serving.tls().context(&other).await?)?;
    let server = serving.server;
    good_answer(server.set_secure_context(serving.tls(), context).await?)?;
    let mut second = Peer::openssl_client(&Kind::Rsa2048.authority(), serving.port, &[])?;
    let mut new = serving.accept().await?;
    new.until_secure(serving.tls()).await?;
    second.until("Verify return code: 0").await?;
    old.say(serving.tls(), b"still here\n").await?;
    first.until("still here").await?;
    old.drop(serving.tls()).await?;
    new.drop(serving.tls()).await
}
