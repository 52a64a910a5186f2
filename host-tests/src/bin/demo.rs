//! Shows the component at work, by the crate `guest-tls-wasmtime`: as a server for itself and for OpenSSL, and as a client of OpenSSL, over
//! TCP on 127.0.0.1.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::host::{self, Host};
use host_tests::peers::Peer;
use host_tests::setup::{Report, Role, Setup, Turn};

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => {
            println!("demo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    println!("TLS in a WebAssembly component, over TCP on 127.0.0.1");
    println!("component: {}", host::component_path().display());
    let started = Instant::now();
    let host = Host::shared()?;
    println!("imports:   {}", host.imports().join(", "));
    println!("compiled:  in {}", milliseconds(started.elapsed()));

    // Both sides show a certificate and verify the other's.
    let server = Setup { request_cert: true, turn: Turn::AfterPeer, ..end(Kind::P256.server()) };
    let client = Setup { turn: Turn::WhenAllCame, ..end(Kind::P256.client()) };
    let meetings = [
        ("the component, and a server in another instance of it", Peer::Wasmtime, Peer::Wasmtime),
        ("openssl s_client, and the component as server", Peer::OpenSsl, Peer::Wasmtime),
        ("the component, and openssl s_server", Peer::Wasmtime, Peer::OpenSsl),
    ];
    for (title, one, other) in meetings {
        let listening = other.listen(&server).await?;
        let started = Instant::now();
        let seen = one.connect(&client, listening.port).await?;
        let served = listening.report().await?;
        show(title, &seen, &served, started)?;
    }
    Ok(())
}

/// An end with a certificate, which trusts the authority of all.
fn end(identity: Arc<Identity>) -> Setup {
    Setup { identity: Some(identity), roots: vec![Kind::P256.authority()], bytes: BYTES, ..Setup::default() }
}

/// Prints what the two ends saw; an error if that is not as it should be.
fn show(title: &str, client: &Report, server: &Report, started: Instant) -> Result<()> {
    println!("\n{title}");
    println!("    time      {}, with the handshake", milliseconds(started.elapsed()));
    println!("    {:10}{:<42}the server saw", "", "the client saw");
    type Fact = fn(&Report) -> String;
    let facts: [(&str, Fact); 7] = [
        ("protocol", |end| said(&end.protocol)),
        ("suite", |end| said(&end.suite)),
        ("group", |end| said(&end.group)),
        ("peer", |end| said(&end.peer_subject)),
        ("", verified),
        ("sent", |end| format!("{} bytes", end.sent.bytes)),
        ("received", |end| format!("{} bytes", end.received.bytes)),
    ];
    for (name, fact) in facts {
        println!("    {name:10}{:<42}{}", fact(client), fact(server));
    }
    for (role, end) in [(Role::Client, client), (Role::Server, server)] {
        if let Some(failure) = &end.failure {
            bail!("{title}: the {role} says: {failure}");
        }
        ensure!(end.authorized == Some(true), "{title}: the {role}'s peer is {}", verified(end));
        ensure!(end.sent.bytes == BYTES, "{title}: the {role} sent {} bytes, not {BYTES}", end.sent.bytes);
    }
    let same = client.sent == server.received && server.sent == client.received;
    ensure!(same, "{title}: the bytes that came are not those that were sent");
    Ok(())
}

fn said(value: &Option<String>) -> String {
    value.clone().unwrap_or_else(|| "(does not say)".to_string())
}

fn verified(end: &Report) -> String {
    match (end.authorized, &end.authorization_error) {
        (Some(true), _) => "verified".to_string(),
        (_, Some(why)) => format!("not verified: {why}"),
        (_, None) => "not verified".to_string(),
    }
}

fn milliseconds(elapsed: Duration) -> String {
    format!("{:.0} ms", elapsed.as_secs_f64() * 1000.0)
}

/// What is sent each way.
const BYTES: usize = 1 << 20;
