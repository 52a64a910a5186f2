//! What a stranger can do to a proxy, and what it can't: end it, stop it, or keep the others waiting.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use host_tests::peers::rustls::client_config;
use host_tests::setup::SERVER_NAME;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::ClientConnection;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::running::{Back, Folder, LIMIT, Proxy, setup};

pub(crate) async fn who_stalls_in_the_handshake_is_cut_off_and_disturbs_nobody() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &["--handshake-timeout", "1"]).await?;
    let started = Instant::now();
    let mut silent = Vec::new();
    for part in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut tcp = proxy.tcp().await?;
        tcp.write_all(part).await?;
        silent.push(tcp);
    }
    proxy.works().await?;
    for mut tcp in silent {
        let mut last = Vec::new();
        timeout(LIMIT, tcp.read_to_end(&mut last)).await.context("it was not cut off")??;
    }
    let took = started.elapsed();
    ensure!(took > Duration::from_millis(900) && took < Duration::from_secs(10), "cut off after {took:?}");
    let counters = proxy.counters().await?;
    ensure!(counters.contains("guest_tls_connection_errors_total{error=\"ErrTlsHandshakeTimeout\"} 3\n"), "{counters}");
    ensure!(back.connections() == 1, "the back end saw {} connections", back.connections());
    proxy.stop().await
}

pub(crate) async fn who_sends_a_byte_at_a_time_is_cut_off_too() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &["--handshake-timeout", "1.5"]).await?;
    let mut tcp = proxy.tcp().await?;
    let started = Instant::now();
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[7; 500]].concat();
    for byte in hello {
        if tcp.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        ensure!(started.elapsed() < LIMIT, "it was not cut off");
    }
    proxy.works().await?;
    ensure!(proxy.counters().await?.contains("ErrTlsHandshakeTimeout"), "{}", proxy.counters().await?);
    proxy.stop().await
}

pub(crate) async fn who_says_nothing_is_cut_off() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &["--idle-timeout", "1"]).await?;
    let mut stream = proxy.connect().await?;
    let started = Instant::now();
    // Whoever speaks now and then is not.
    for _ in 0..4 {
        sleep(Duration::from_millis(500)).await;
        stream.write_all(b"x").await?;
        stream.read_exact(&mut [0]).await?;
    }
    let _ = timeout(LIMIT, stream.read(&mut [0])).await.context("it was not cut off")?;
    let took = started.elapsed();
    ensure!(took > Duration::from_millis(2900) && took < Duration::from_secs(10), "cut off after {took:?}");
    ensure!(proxy.counters().await?.contains("guest_tls_idle_timeouts_total 1\n"), "{}", proxy.counters().await?);
    proxy.stop().await
}

pub(crate) async fn no_more_connections_than_there_may_be() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &["--max-connections", "3"]).await?;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(proxy.connect().await?);
    }
    ensure!(proxy.connect().await.is_err(), "a fourth was let in");
    ensure!(
        proxy.counters().await?.contains("guest_tls_connections_rejected_total 1\n"),
        "{}",
        proxy.counters().await?
    );
    drop(open.pop());
    proxy.settles(2).await?;
    proxy.works().await?;
    drop(open);
    proxy.stop().await
}

/// wasmtime traps a program that takes one handle too many. Everybody who may be there is.
pub(crate) async fn as_many_connections_as_there_are_handles_for() -> Result<()> {
    let back = Back::echo().await?;
    let too_many = Proxy::refused(&["--host-handles", "10000", "--max-connections", "10000"]).await?;
    let most = too_many.split("expected at most ").nth(1).and_then(|rest| rest.split(' ').next());
    let most: usize = most.with_context(|| too_many.clone())?.parse()?;
    ensure!(most > 800, "no more than {most} connections for 10000 handles");
    let arguments = ["--host-handles", "10000", "--max-connections", &most.to_string()];
    let options = ["-Smax-component-handles=10000"];
    let proxy = Arc::new(Proxy::start_on(&options, Folder::new("proxy")?, back.port, &arguments).await?);
    let mut asking = Vec::new();
    for _ in 0..64 {
        asking.push(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.admin)).await?);
    }
    let mut open = Vec::new();
    while open.len() < most {
        let mut some = tokio::task::JoinSet::new();
        for _ in open.len()..most.min(open.len() + 16) {
            let proxy = proxy.clone();
            some.spawn(async move { proxy.connect().await });
        }
        while let Some(connected) = some.join_next().await {
            open.push(connected??);
        }
    }
    for _ in 0..100 {
        ensure!(proxy.connect().await.is_err(), "more than {most} were let in");
    }
    for stream in &mut open {
        stream.write_all(b"x").await?;
        ensure!(stream.read_u8().await? == b'x', "another byte");
    }
    drop((open, asking));
    proxy.is_empty().await?;
    proxy.works().await?;
    Arc::into_inner(proxy).context("it is shared")?.stop().await
}

/// A command line is refused in words; a host that has fewer handles than it was said to ends the program before it listens.
pub(crate) async fn more_connections_than_there_are_handles_for_are_refused_at_the_start() -> Result<()> {
    for (arguments, wanted) in [
        (&["--max-connections", "10000"][..], "--max-connections 10000 needs 110"),
        (&["--max-connections", "4294967295"], "expected at most 90"),
        (&["--max-connections", "10", "--host-handles", "10"], "expected at most 0 connections"),
    ] {
        let said = Proxy::refused(arguments).await?;
        ensure!(said.contains(wanted) && said.contains("-S max-component-handles="), "{said}, and not {wanted}");
    }
    for (options, arguments, wanted) in [
        (&[][..], &["--max-connections", "10000", "--host-handles", "120000"][..], "whether the host allows 110"),
        (&["-Smax-component-handles=5000"], &[], ""),
    ] {
        let folder = Folder::new("proxy")?;
        let running = Proxy::running(options, &folder, 9, arguments)?;
        let ended = running.ended().await?;
        ensure!(ended.code != 0 && ended.stderr.contains(wanted), "{ended:?}");
        ensure!(!ended.stderr.contains("listening on"), "it took connections first: {ended:?}");
    }
    // And where the host has them, all is well.
    let back = Back::echo().await?;
    let arguments = ["--max-connections", "10000", "--host-handles", "120000"];
    let options = ["-Smax-component-handles=120000"];
    let proxy = Proxy::start_on(&options, Folder::new("proxy")?, back.port, &arguments).await?;
    proxy.works().await?;
    proxy.stop().await
}

/// Files are the system's, of which a program may have fewer than it was told.
pub(crate) async fn a_lack_of_files_ends_nothing() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &["--handshake-timeout", "2"]).await?;
    let id = proxy.running.child.id().context("it has ended")?.to_string();
    let open = std::fs::read_dir(format!("/proc/{id}/fd"))?.count();
    let limit = format!("--nofile={}", open + 20);
    let limited = Command::new("prlimit").args(["--pid", &id, &limit]).status().await.context("prlimit")?;
    ensure!(limited.success(), "no limit was set");
    let mut first = proxy.connect().await?;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(proxy.tcp().await?);
    }
    sleep(Duration::from_secs(1)).await;
    drop(crowd);
    first.write_all(b"x").await?;
    ensure!(first.read_u8().await? == b'x', "another byte");
    drop(first);
    timeout(LIMIT, proxy.is_empty()).await.context("they never go")??;
    proxy.works().await?;
    proxy.stop().await
}

/// However many want a handshake at once, those whose own is done have their turn after a few of them.
pub(crate) async fn a_crowd_of_handshakes_keeps_nobody_waiting() -> Result<()> {
    const CROWD: usize = 600;
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &[]).await?;
    let mut open = proxy.connect().await?;
    open.write_all(b"x").await?;
    ensure!(open.read_u8().await? == b'x', "another byte");
    let name = ServerName::try_from(SERVER_NAME)?;
    let mut hello = Vec::new();
    ClientConnection::new(Arc::new(client_config(&setup())?), name)?.write_tls(&mut hello)?;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(proxy.tcp().await?.into_std()?);
    }
    proxy.settles(CROWD + 1).await?;
    for mut tcp in &crowd {
        std::io::Write::write_all(&mut tcp, &hello)?;
    }
    let answered = || crowd.iter().filter(|tcp| tcp.peek(&mut [0]).is_ok()).count();
    let before = answered();
    open.write_all(b"y").await?;
    ensure!(timeout(LIMIT, open.read_u8()).await?? == b'y', "another byte");
    let between = answered() - before;
    println!("of {CROWD} handshakes {before} were begun before a byte was sent, and {between} until it was back");
    ensure!(between < CROWD / 5, "{between} handshakes went before a byte of an open connection");
    // All of them get an answer in the end.
    let all = async {
        while answered() < CROWD {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, all).await.context("some are never answered")?;
    drop((crowd, open));
    proxy.is_empty().await?;
    proxy.stop().await
}

/// To drop a stream of WASI 0.2 waits for what was written to it: nobody may be waited for.
pub(crate) async fn who_takes_nothing_stops_nobody() -> Result<()> {
    let back = Back::start(|mut tcp| async move {
        let mut first = [0];
        tcp.read_exact(&mut first).await?;
        if first == *b"x" {
            return tcp.write_all(b"x").await;
        }
        tcp.write_all(&vec![b'l'; 64 << 20]).await
    })
    .await?;
    let proxy = Proxy::start(back.port, &["--idle-timeout", "1"]).await?;
    let mut lazy = proxy.connect().await?;
    lazy.write_all(b"l").await?;
    proxy.lingers(1).await?;
    proxy.works().await?;
    ensure!(proxy.counters().await?.contains("guest_tls_connections_open 0\n"), "it is still open");
    drop(lazy);
    proxy.lingers(0).await?;
    // The end of the program does not wait for such a one, either.
    let mut lazy = proxy.connect().await?;
    lazy.write_all(b"l").await?;
    proxy.lingers(1).await?;
    proxy.stop().await
}

pub(crate) async fn a_back_end_that_takes_nothing_stops_nobody() -> Result<()> {
    let back = Back::start(|mut tcp| async move {
        let mut first = [0];
        tcp.read_exact(&mut first).await?;
        if first == *b"x" {
            return tcp.write_all(b"x").await;
        }
        sleep(LIMIT).await;
        Ok(())
    })
    .await?;
    let proxy = Proxy::start(back.port, &["--idle-timeout", "1"]).await?;
    let mut talker = proxy.connect().await?;
    let talking = tokio::spawn(async move { talker.write_all(&vec![b'l'; 64 << 20]).await });
    proxy.lingers(1).await?;
    proxy.works().await?;
    ensure!(timeout(LIMIT, talking).await??.is_err(), "64 MiB have gone where nobody read them");
    proxy.stop().await
}
