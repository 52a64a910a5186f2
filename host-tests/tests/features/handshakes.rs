//! What an end of a connection tells of it, and what it can do to it afterwards.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::conversation::Conversation;
use host_tests::exchange::hex;
use host_tests::paths;
use host_tests::peers::command::Peer;
use host_tests::peers::component::good_answer;
use host_tests::peers::node;
use host_tests::setup::{EXPORTER_LABEL, Version};
use host_tests::table::Row;
use host_tests::tls::{Direction, ErrorCode, Event, Tls};
use serde_json::Value;

use super::{Guest, VERSIONS, only};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for version in VERSIONS {
        macro_rules! row {
            ($name:literal, $test:expr) => {
                rows.push(Row::new("handshakes", format!("{version}: {}", $name), move || $test(version)))
            };
        }
        row!("the client's key log is OpenSSL's [S6]", key_log);
        row!("the server's key log is OpenSSL's [S6]", key_log_of_server);
        row!("Finished and exported keys are Node's, and a client sees no finished before [K11 K12]", as_node_client);
        row!("Finished and exported keys are those of Node as client [K11 K12]", as_node_server);
        row!("a trace has the messages in order [K18]", trace);
        row!("records are no longer than asked for [K13]", fragments);
        row!("asking for renegotiation is refused [K14 X6]", renegotiate);
    }
    rows.push(Row::new(
        "handshakes",
        "OpenSSL updates keys, with and without asking for ours [K20]",
        key_update_by_peer,
    ));
    rows.push(Row::new("handshakes", "we update keys, and OpenSSL follows [K20]", key_update_by_us));
    rows.push(Row::new("handshakes", "keys are not updated in TLS 1.2 [K20]", no_key_update));
    rows.push(Row::new(
        "handshakes",
        "OpenSSL as client asks for renegotiation, and is refused [K14 X6]",
        renegotiation_by_client,
    ));
    rows.push(Row::new(
        "handshakes",
        "OpenSSL as server asks for renegotiation again and again, and is cut off [K14 M8 X6]",
        renegotiation_by_server,
    ));
    rows
}

/// OpenSSL as server, and the component as client with a finished handshake.
async fn client_of_openssl(version: Version, arguments: &[&str]) -> Result<(Guest, Peer, Conversation)> {
    let identity = Kind::P256.server();
    let (openssl, port) = Peer::openssl_server(&identity, &[&[only(version)], arguments].concat()).await?;
    let mut guest = Guest::client(version).await?;
    guest.options.keylog = true;
    guest.options.trace = true;
    let mut talk = guest.connect(port).await?;
    talk.until_secure(&mut guest.tls).await?;
    Ok((guest, openssl, talk))
}

/// OpenSSL as client, and the component as server with a finished handshake.
async fn server_of_openssl(version: Version, arguments: &[&str]) -> Result<(super::Serving, Peer, Conversation)> {
    let mut guest = Guest::server(version).await?;
    guest.options.keylog = true;
    let mut serving = guest.serve().await?;
    let arguments = [&[only(version)], arguments].concat();
    let openssl = Peer::openssl_client(&Kind::P256.authority(), serving.port, &arguments)?;
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    Ok((serving, openssl, talk))
}

async fn key_log(version: Version) -> Result<()> {
    let file = scratch("client", version);
    let (mut guest, mut openssl, mut talk) =
        client_of_openssl(version, &["-keylogfile", &file.display().to_string()]).await?;
    talk.say(&mut guest.tls, b"said\n").await?;
    openssl.until("said").await?;
    same_lines(&talk, &file)?;
    talk.drop(&mut guest.tls).await
}

async fn key_log_of_server(version: Version) -> Result<()> {
    let file = scratch("server", version);
    let (mut serving, mut openssl, mut talk) =
        server_of_openssl(version, &["-keylogfile", &file.display().to_string()]).await?;
    talk.say(serving.tls(), b"said\n").await?;
    openssl.until("said").await?;
    same_lines(&talk, &file)?;
    talk.drop(serving.tls()).await
}

/// Each line that the component gave stands in OpenSSL's file, and the other way round.
fn same_lines(talk: &Conversation, file: &PathBuf) -> Result<()> {
    let lines = |event: &Event| match event {
        Event::Keylog(line) => Some(line.to_lowercase()),
        _ => None,
    };
    let mut ours: Vec<_> = talk.events.iter().filter_map(lines).collect();
    let written = std::fs::read_to_string(file)?;
    let mut theirs: Vec<_> = written.lines().filter(|line| !line.starts_with('#')).map(str::to_lowercase).collect();
    ours.sort();
    theirs.sort();
    std::fs::remove_file(file)?;
    ensure!(!ours.is_empty() && ours == theirs, "ours: {ours:#?}\nOpenSSL's: {theirs:#?}");
    Ok(())
}

/// Node as server says what it saw; the component as client says the same.
async fn as_node_client(version: Version) -> Result<()> {
    let script = format!(
        "{NODE_PRELUDE} const server = tls.createServer({{ key, cert, minVersion: '{version}', maxVersion: '{version}' }}, tell);
         server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port + ' .'));"
    );
    let mut node = node_peer(&script)?;
    let port = node.word_after("port ").await?.parse()?;
    let mut guest = Guest::client(version).await?;
    let mut talk = guest.connect(port).await?;
    ensure!(
        talk.pair.finished(&mut guest.tls).await?.is_none() && talk.pair.peer_finished(&mut guest.tls).await?.is_none()
    );
    talk.until_secure(&mut guest.tls).await?;
    let seen = node.word_after("seen ").await?;
    is_the_same(&mut guest.tls, &talk, &seen).await?;
    talk.drop(&mut guest.tls).await
}

/// The same the other way round.
async fn as_node_server(version: Version) -> Result<()> {
    let mut serving = Guest::server(version).await?.serve().await?;
    let script = format!(
        "{NODE_PRELUDE} const socket = tls.connect({{ port: {}, host: '127.0.0.1', servername: '{}', ca, minVersion: '{version}', maxVersion: '{version}' }}, () => tell(socket));",
        serving.port,
        host_tests::setup::SERVER_NAME,
    );
    let mut node = node_peer(&script)?;
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    let seen = node.word_after("seen ").await?;
    is_the_same(serving.tls(), &talk, &seen).await?;
    talk.drop(serving.tls()).await
}

async fn is_the_same(tls: &mut Tls, talk: &Conversation, seen: &str) -> Result<()> {
    let seen: Value = serde_json::from_str(seen)?;
    let own = talk.pair.finished(tls).await?.context("no Finished")?;
    let theirs = talk.pair.peer_finished(tls).await?.context("no Finished of the peer")?;
    let exported =
        good_answer(talk.pair.export_keying_material(tls, 40, EXPORTER_LABEL.as_bytes(), Some(b"context")).await?)?;
    for (what, ours, nodes) in [
        ("our Finished", own, "peerFinished"),
        ("the peer's Finished", theirs, "finished"),
        ("exported", exported, "exported"),
    ] {
        ensure!(seen[nodes] == hex(&ours), "{what}: {}, and Node says {}", hex(&ours), seen[nodes]);
    }
    Ok(())
}

async fn trace(version: Version) -> Result<()> {
    let (mut guest, _openssl, mut talk) = client_of_openssl(version, &[]).await?;
    // What we sent last is traced when the transport has taken what came before it.
    talk.step(&mut guest.tls).await?;
    let lines: Vec<_> = talk
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Trace(line) => line.split(',').next().map(str::to_string),
            _ => None,
        })
        .collect();
    let expected: &[&str] = match version {
        Version::Tls12 => &[
            "sent ClientHello",
            "received ServerHello",
            "received Certificate",
            "received ServerKeyExchange",
            "received ServerHelloDone",
            "sent ClientKeyExchange",
            "sent Finished",
            "received NewSessionTicket",
            "received Finished",
        ],
        Version::Tls13 => &[
            "sent ClientHello",
            "received ServerHello",
            "received EncryptedExtensions",
            "received Certificate",
            "received CertificateVerify",
            "received Finished",
            "sent Finished",
        ],
    };
    // The directions are interleaved as bytes are taken and given.
    for direction in ["sent", "received"] {
        let of = |lines: &[&str]| {
            lines.iter().filter(|line| line.starts_with(direction)).map(ToString::to_string).collect::<Vec<_>>()
        };
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        ensure!(of(&lines).starts_with(&of(expected)), "{lines:#?}");
    }
    talk.drop(&mut guest.tls).await
}

async fn fragments(version: Version) -> Result<()> {
    let (mut guest, mut openssl, mut talk) = client_of_openssl(version, &[]).await?;
    let tls = &mut guest.tls;
    for (size, expected) in [(511, false), (16_385, false), (0, false), (16_384, true), (512, true)] {
        ensure!(talk.pair.set_max_send_fragment(tls, size).await? == expected, "{size}");
    }
    talk.sent.clear();
    let words = [b"x".repeat(5000), b"\nend\n".to_vec()].concat();
    talk.say(tls, &words).await?;
    openssl.until("end").await?;
    let mut rest = &talk.sent[..];
    let mut longest = 0;
    while let [_, _, _, high, low, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        longest = longest.max(length);
        rest = &rest[5 + length..];
    }
    ensure!((512..=512 + 32).contains(&longest), "the longest record has {longest} bytes");
    talk.drop(tls).await
}

async fn renegotiate(version: Version) -> Result<()> {
    let (mut guest, _openssl, talk) = client_of_openssl(version, &[]).await?;
    let error = talk.pair.renegotiate(&mut guest.tls).await?.err().context("it was not refused")?;
    ensure!(
        error.code == ErrorCode::ErrTlsRenegotiationDisabled && error.message.contains("update the keys"),
        "{error:?}"
    );
    talk.drop(&mut guest.tls).await
}

async fn key_update_by_peer() -> Result<()> {
    let (mut serving, mut openssl, mut talk) = server_of_openssl(Version::Tls13, &[]).await?;
    // `k` updates OpenSSL's keys, `K` asks for ours as well.
    openssl.until("Verify return code").await?;
    for (command, words) in [("k", "one"), ("K", "two")] {
        openssl.say(&format!("{command}\n")).await?;
        openssl.until("KEYUPDATE").await?;
        openssl.text.clear();
        openssl.say(&format!("{words}\n")).await?;
        talk.until_said(serving.tls(), words.as_bytes()).await?;
        talk.say(serving.tls(), format!("{words} back\n").as_bytes()).await?;
        openssl.until(&format!("{words} back")).await?;
    }
    talk.drop(serving.tls()).await
}

async fn key_update_by_us() -> Result<()> {
    let (mut guest, mut openssl, mut talk) = client_of_openssl(Version::Tls13, &["-msg"]).await?;
    for words in ["one", "two"] {
        good_answer(talk.pair.update_keys(&mut guest.tls).await?)?;
        talk.say(&mut guest.tls, format!("{words}\n").as_bytes()).await?;
        openssl.until(words).await?;
        openssl.until("KeyUpdate").await?;
        openssl.say(&format!("{words} back\n")).await?;
        talk.until_said(&mut guest.tls, format!("{words} back").as_bytes()).await?;
    }
    talk.drop(&mut guest.tls).await
}

async fn no_key_update() -> Result<()> {
    let (mut guest, _openssl, talk) = client_of_openssl(Version::Tls12, &[]).await?;
    let refused = talk.pair.update_keys(&mut guest.tls).await?;
    ensure!(refused.is_err_and(|error| error.code == ErrorCode::ErrInvalidState));
    talk.drop(&mut guest.tls).await
}

async fn renegotiation_by_client() -> Result<()> {
    let (mut serving, mut openssl, mut talk) = server_of_openssl(Version::Tls12, &["-msg"]).await?;
    openssl.say("R\n").await?;
    openssl.until("RENEGOTIATING").await?;
    // It takes the refusal as the end of the connection.
    let mut steps = 0;
    while !openssl.text.contains("no_renegotiation") && steps < 200 {
        talk.step(serving.tls()).await?;
        let _ = tokio::time::timeout(std::time::Duration::from_millis(20), openssl.until("no_renegotiation")).await;
        steps += 1;
    }
    ensure!(openssl.text.contains("no_renegotiation"), "{}", openssl.text);
    talk.drop(serving.tls()).await
}

async fn renegotiation_by_server() -> Result<()> {
    let (mut guest, mut openssl, mut talk) = client_of_openssl(Version::Tls12, &[]).await?;
    // `r` at the beginning of a line asks for renegotiation.
    openssl.say("r\n").await?;
    talk.say(&mut guest.tls, b"still here\n").await?;
    openssl.until("still here").await?;
    openssl.say("r\n").await?;
    let error = talk.until_error(&mut guest.tls).await?;
    ensure!(error.code == ErrorCode::ErrTlsSessionAttack, "{error:?}");
    ensure!(error.alert.is_some_and(|alert| alert.direction == Direction::Sent));
    talk.drop(&mut guest.tls).await
}

pub(super) fn node_peer(script: &str) -> Result<Peer> {
    let (identity, root) = (Kind::P256.server(), Kind::P256.authority());
    let quoted = |text: &str| Value::from(text).to_string();
    let constants = format!(
        "const key = {}, cert = {}, ca = {}, label = {};",
        quoted(&identity.key),
        quoted(&identity.full_chain()),
        quoted(&root.certificate),
        quoted(EXPORTER_LABEL)
    );
    Peer::start(node::program(), &["-e", &format!("{constants}{script}")])
}

const NODE_PRELUDE: &str = "
    const tls = require('tls');
    function tell(socket) {
      socket.on('error', () => {});
      const hex = (bytes) => bytes.toString('hex');
      console.log('seen ' + JSON.stringify({
        finished: hex(socket.getFinished()),
        peerFinished: hex(socket.getPeerFinished()),
        exported: hex(socket.exportKeyingMaterial(40, label, Buffer.from('context'))),
      }) + ' .');
    }";

fn scratch(what: &str, version: Version) -> PathBuf {
    paths::target().join("host-tests").join(format!("keys-{what}-{version}-{}.log", std::process::id()))
}
