//! Over TCP with `openssl s_client` and `openssl s_server`.

use anyhow::{Result, ensure};
use host_tests::certificates::Kind;
use host_tests::exchange::payload_of;
use host_tests::meeting::meet;
use host_tests::peers::Peer;
use host_tests::setup::{Report, SERVER_NAME, Setup, Turn, Version};

#[tokio::test]
async fn a_client_of_openssl() -> Result<()> {
    for kind in [Kind::P256, Kind::Rsa4096, Kind::Ed25519] {
        for version in [Version::Tls12, Version::Tls13] {
            let (client, server) = ends(kind, version);
            agree(meet(Peer::Wasmtime, &client, Peer::OpenSsl, &server).await?, version, client.bytes)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_of_openssl() -> Result<()> {
    for kind in [Kind::P256, Kind::Rsa4096, Kind::Ed25519] {
        for version in [Version::Tls12, Version::Tls13] {
            let (client, server) = ends(kind, version);
            agree(meet(Peer::OpenSsl, &client, Peer::Wasmtime, &server).await?, version, client.bytes)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn ten_mebibytes_each_way() -> Result<()> {
    let (client, server) = ends(Kind::P256, Version::Tls13);
    let (client, server) = (Setup { bytes: 10 << 20, ..client }, Setup { bytes: 10 << 20, ..server });
    agree(meet(Peer::Wasmtime, &client, Peer::OpenSsl, &server).await?, Version::Tls13, 10 << 20)?;
    agree(meet(Peer::OpenSsl, &client, Peer::Wasmtime, &server).await?, Version::Tls13, 10 << 20)
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told() -> Result<()> {
    let (client, server) = ends(Kind::P256, Version::Tls12);
    let client = Setup { identity: None, ..client };
    let (client, server) = meet(Peer::OpenSsl, &client, Peer::Wasmtime, &server).await?;
    let server = server.failure.map(|failure| failure.code);
    ensure!(server.as_deref() == Some("ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"), "{server:?}");
    let alert = client.failure.as_ref().and_then(|failure| failure.alert);
    ensure!(alert.is_some(), "{:?}", client.failure);
    Ok(())
}

/// Two ends that show a certificate each, speak this version, and agree on an application protocol.
fn ends(kind: Kind, version: Version) -> (Setup, Setup) {
    let both = Setup {
        versions: (version, version),
        roots: vec![kind.authority()],
        alpn: vec!["guest/1"],
        bytes: 1 << 20,
        ..Setup::default()
    };
    let client = Setup { identity: Some(kind.client()), turn: Turn::WhenAllCame, ..both.clone() };
    (client, Setup { identity: Some(kind.server()), request_cert: true, turn: Turn::AfterPeer, ..both })
}

/// What both saw is the same, and what was asked for.
fn agree((client, server): (Report, Report), version: Version, bytes: usize) -> Result<()> {
    for (end, peer) in [(&client, SERVER_NAME), (&server, "client.test")] {
        ensure!(end.failure.is_none(), "{:?}", end.failure);
        ensure!(end.protocol.as_deref() == Some(version.name()), "{end:?}");
        ensure!(end.alpn.as_deref() == Some("guest/1"), "{end:?}");
        ensure!(end.authorized == Some(true), "{end:?}");
        ensure!(end.peer_subject.as_deref() == Some(peer), "{end:?}");
        ensure!(end.exporter.is_some() && end.exporter == client.exporter, "{end:?}");
        ensure!(end.ended, "no end: {end:?}");
    }
    ensure!(client.suite == server.suite, "{:?} is not {:?}", client.suite, server.suite);
    let sent = [Turn::WhenAllCame, Turn::AfterPeer].map(|turn| host_tests::exchange::tally(&payload_of(turn, bytes)));
    ensure!([&client.sent, &server.sent] == [&sent[0], &sent[1]], "not all was sent");
    ensure!([&server.received, &client.received] == [&sent[0], &sent[1]], "not all was received");
    Ok(())
}
