//! TLS 1.2 without extended master secret (RFC 7627): peers that leave it out are met, and no more.

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::conversation::Conversation;
use host_tests::peers::command::Peer;
use host_tests::setup::{EXPORTER_LABEL, Version};
use host_tests::table::Row;
use host_tests::tls::{ErrorCode, Event, Tls};

use super::Guest;
use super::handshakes::node_peer;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for strict in [false, true] {
        let what = if strict { "is refused where that is wanted" } else { "is met, not resumed, and binds nothing" };
        let name = format!("Node as server without extended master secret {what} [K8 K11 K12]");
        rows.push(Row::new("master secret", name, move || old_server(strict)));
        let name = format!("Node as client without extended master secret {what} [K8 K11 K12]");
        rows.push(Row::new("master secret", name, move || old_client(strict)));
    }
    let name = "GnuTLS as client without extended master secret is met, and binds nothing [K11 K12]";
    rows.push(Row::new("master secret", name, gnutls_client));
    rows
}

/// A server that knows no extended master secret: it is met, and neither resumed nor bound to, or refused where that is wanted.
async fn old_server(strict: bool) -> Result<()> {
    let mut peer = node_peer(
        "const server = require('tls').createServer({ key, cert, maxVersion: 'TLSv1.2', secureOptions: 1 }, (socket) => {
           socket.on('error', () => {});
           socket.on('data', (data) => console.log(String(data)));
         });
         server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port + ' .'));",
    )?;
    let port = peer.word_after("port ").await?.parse()?;
    let mut guest = Guest::client(Version::Tls12).await?;
    guest.context.require_ems = strict;
    guest.options.session_event = true;
    let mut talk = guest.connect(port).await?;
    if strict {
        let error = talk.until_error(&mut guest.tls).await?;
        ensure!(error.code == ErrorCode::ErrSslMissingExtension, "{error:?}");
        ensure!(error.alert.as_ref().is_some_and(|alert| alert.description == 40), "{error:?}");
        return talk.drop(&mut guest.tls).await;
    }
    talk.until_secure(&mut guest.tls).await?;
    binds_nothing(&mut guest.tls, &talk).await?;
    talk.say(&mut guest.tls, b"said\n").await?;
    peer.until("said").await?;
    ensure!(!talk.events.iter().any(|event| matches!(event, Event::Session(_))), "a session: {:?}", talk.events);
    ensure!(talk.pair.session(&mut guest.tls).await?.is_none(), "a session to resume");
    talk.drop(&mut guest.tls).await
}

/// A client that knows none.
async fn old_client(strict: bool) -> Result<()> {
    let mut guest = Guest::server(Version::Tls12).await?;
    guest.context.require_ems = strict;
    let mut serving = guest.serve().await?;
    // It connects twice, and comes back with what it has of the first connection.
    let mut peer = node_peer(&format!(
        "let session, turn = 0;
         function connect() {{
           const socket = require('tls').connect({{
             port: {}, host: '127.0.0.1', servername: '{}', ca, session, maxVersion: 'TLSv1.2', secureOptions: 1,
           }});
           socket.on('session', (made) => {{ session = made; }});
           socket.on('error', (error) => console.log(error.code));
           socket.on('data', (data) => console.log(String(data)));
           socket.on('end', () => {{ socket.end(); if (!turn++) connect(); }});
         }}
         connect();",
        serving.port,
        host_tests::setup::SERVER_NAME,
    ))?;
    for turn in ["first", "second"] {
        let mut talk = serving.accept().await?;
        if strict {
            let error = talk.until_error(serving.tls()).await?;
            ensure!(error.code == ErrorCode::ErrSslMissingExtension, "{error:?}");
            return talk.drop(serving.tls()).await;
        }
        talk.until_secure(serving.tls()).await?;
        binds_nothing(serving.tls(), &talk).await?;
        ensure!(!talk.pair.is_session_reused(serving.tls()).await?, "the {turn} connection is a resumption");
        talk.say(serving.tls(), format!("{turn}\n").as_bytes()).await?;
        peer.until(turn).await?;
        talk.finish(serving.tls()).await?;
    }
    Ok(())
}

async fn binds_nothing(tls: &mut Tls, talk: &Conversation) -> Result<()> {
    ensure!(talk.pair.finished(tls).await?.is_none() && talk.pair.peer_finished(tls).await?.is_none());
    let exported = talk.pair.export_keying_material(tls, 32, EXPORTER_LABEL.as_bytes(), None).await?;
    let error = exported.err().context("key material that is bound to nothing")?;
    ensure!(error.code == ErrorCode::ErrInvalidState && error.message.contains("extended master secret"), "{error:?}");
    Ok(())
}

async fn gnutls_client() -> Result<()> {
    let mut serving = Guest::server(Version::Tls12).await?.serve().await?;
    let (root, port) = (Kind::P256.authority().certificate_path().display().to_string(), serving.port.to_string());
    let name = host_tests::setup::SERVER_NAME;
    let names = ["--x509cafile", &root, "--sni-hostname", name, "--verify-hostname", name];
    let arguments = [&["--priority", GNUTLS, "--port", &port][..], &names, &["127.0.0.1"]].concat();
    let mut gnutls = Peer::start("gnutls-cli", &arguments)?;
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    binds_nothing(serving.tls(), &talk).await?;
    talk.say(serving.tls(), b"said\n").await?;
    gnutls.until("said").await?;
    talk.drop(serving.tls()).await
}

/// TLS 1.2 without the session hash that extended master secret is made of.
const GNUTLS: &str = "NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH";
