//! How fast it is. Not run with the tests: `cargo test -p guest-tls-wasmtime --test figures -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use guest_tls_wasmtime::{Host, HostOptions};
use host_tests::certificates::Kind;
use host_tests::peers::{rustls, wasmtime};
use host_tests::setup::{SERVER_NAME, Setup, X25519};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::TlsAcceptor;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and shows nothing"]
#[allow(unsafe_code, reason = "the bytes come from the line before")]
async fn figures() -> Result<()> {
    let component = std::fs::read(host_tests::host::component_path()).context("cargo xtask build makes it")?;
    let started = Instant::now();
    let host = Host::new(&component)?;
    say("compile the component", started.elapsed());
    let compiled = host.serialize()?;
    let started = Instant::now();
    // SAFETY: `serialize` gave these.
    let host = unsafe { Host::deserialize(&compiled, HostOptions::default()) }?;
    say("or load what was compiled", started.elapsed());
    let started = Instant::now();
    for _ in 0..100 {
        host.instance().await?;
    }
    say("make an instance", started.elapsed() / 100);

    let client = Setup { groups: vec![X25519], ..Setup::client(Kind::P256) };
    let server = Setup { groups: vec![X25519], ..Setup::server(Kind::P256) };
    let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server)?));
    for (what, resumption) in [("handshake of a client", false), ("the same, resumed", true)] {
        let connector = wasmtime::connector(&host, &client).await?;
        let started = Instant::now();
        for round in 0..100 {
            let connector =
                if resumption || round == 0 { connector.clone() } else { wasmtime::connector(&host, &client).await? };
            let (near, far) = duplex(64 << 10);
            let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
            let (mut client, mut server) = (client?, server?);
            server.write_all(b"x").await?;
            server.flush().await?;
            client.read_exact(&mut [0]).await?;
        }
        say(what, started.elapsed() / 100);
    }

    let connector = wasmtime::connector(&host, &client).await?;
    for (what, receives) in [("receive", true), ("send", false)] {
        let (near, far) = duplex(256 << 10);
        let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
        let (mut client, mut server) = (client?, server?);
        let started = Instant::now();
        let other = tokio::spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            for _ in 0..MEBIBYTES * 16 {
                if receives {
                    server.write_all(&buffer).await?;
                } else {
                    server.read_exact(&mut buffer).await?;
                }
            }
            server.flush().await
        });
        let mut buffer = vec![0; 64 << 10];
        for _ in 0..MEBIBYTES * 16 {
            if receives {
                client.read_exact(&mut buffer).await?;
            } else {
                client.write_all(&buffer).await?;
            }
        }
        client.flush().await?;
        other.await??;
        println!("{what:28} {:8.0} MB/s", f64::from(MEBIBYTES << 20) / started.elapsed().as_secs_f64() / 1e6);
    }
    Ok(())
}

fn say(what: &str, time: Duration) {
    println!("{what:28} {:8.2} ms", time.as_secs_f64() * 1000.0);
}

/// How much is sent.
const MEBIBYTES: u32 = 128;
