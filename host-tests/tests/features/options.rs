//! Options whose effect is seen at the peer.

use anyhow::{Result, ensure};
use host_tests::certificates::{Kind, Request};
use host_tests::conversation::Conversation;
use host_tests::peers::Peer;
use host_tests::peers::command::Peer as Command;
use host_tests::setup::{Setup, Turn, Version};
use host_tests::table::Row;
use host_tests::tls::{CertificateCompression as Compression, ErrorCode, Event};

use super::{Guest, VERSIONS, only};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, algorithms, compressed) in [
        ("compressed by zlib", &[Compression::Zlib][..], true),
        ("plain where we have only Brotli, which we only receive,", &[Compression::Brotli], false),
        ("compressed where we have both", &[Compression::Brotli, Compression::Zlib], true),
        ("plain where we have nothing", &[], false),
    ] {
        rows.push(Row::new("options", format!("rustls gets our certificate {what} [O26]"), move || {
            compresses(algorithms, compressed)
        }));
    }
    for (what, algorithms, compressed) in [
        ("compressed by zlib", &[Compression::Zlib][..], true),
        ("compressed by Brotli", &[Compression::Brotli], true),
        ("plain where we have nothing", &[], false),
    ] {
        rows.push(Row::new("options", format!("we get rustls' certificate {what} [O26]"), move || {
            decompresses(algorithms, compressed)
        }));
    }
    for version in VERSIONS {
        for honored in [true, false] {
            let whose = if honored { "server's" } else { "client's" };
            rows.push(Row::new("options", format!("the {whose} order of suites wins, {version} [O11]"), move || {
                order(version, honored)
            }));
        }
        for (what, chain) in [("another server", true), ("another server below an unknown CA", false)] {
            let row = format!("a caller that checks names by itself meets {what}, {version} [O22]");
            rows.push(Row::new("options", row, move || no_name_check(version, chain)));
        }
    }
    rows
}

async fn compresses(algorithms: &'static [Compression], compressed: bool) -> Result<()> {
    let mut guest = Guest::server(Version::Tls13).await?;
    guest.context.certificate_compression = algorithms.to_vec();
    guest.options.trace = true;
    let mut serving = guest.serve().await?;
    let client = Setup { turn: Turn::Silent, ..Setup::client(Kind::P256) };
    let port = serving.port;
    let rustls = tokio::spawn(async move { Peer::Rustls.connect(&client, port).await });
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    is_traced(&talk, "sent", compressed)?;
    talk.finish(serving.tls()).await?;
    let seen = rustls.await??;
    ensure!(seen.failure.is_none() && seen.authorized == Some(true), "{seen:?}");
    Ok(())
}

async fn decompresses(algorithms: &'static [Compression], compressed: bool) -> Result<()> {
    let listening = Peer::Rustls.listen(&Setup { turn: Turn::Silent, ..Setup::server(Kind::P256) }).await?;
    let mut guest = Guest::client(Version::Tls13).await?;
    guest.context.certificate_compression = algorithms.to_vec();
    guest.options.trace = true;
    let mut talk = guest.connect(listening.port).await?;
    talk.until_secure(&mut guest.tls).await?;
    is_traced(&talk, "received", compressed)?;
    ensure!(talk.pair.authorized(&mut guest.tls).await?);
    talk.finish(&mut guest.tls).await
}

/// The trace names the message by which the certificate went.
fn is_traced(talk: &Conversation, verb: &str, compressed: bool) -> Result<()> {
    let line = format!("{verb} {}", if compressed { "CompressedCertificate," } else { "Certificate," });
    let traced = talk.events.iter().any(|event| matches!(event, Event::Trace(said) if said.starts_with(&line)));
    ensure!(traced, "no line {line:?}: {:#?}", talk.events);
    Ok(())
}

/// Client and server have the same two suites, in opposite order.
async fn order(version: Version, honored: bool) -> Result<()> {
    let [ours, theirs] = match version {
        Version::Tls12 => ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        Version::Tls13 => ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
    };
    let option = if version == Version::Tls12 { "-cipher" } else { "-ciphersuites" };
    let mut guest = Guest::server(version).await?;
    guest.context.ciphers = Some(format!("{ours}:{theirs}"));
    guest.context.honor_cipher_order = Some(honored);
    let mut serving = guest.serve().await?;
    let list = format!("{theirs}:{ours}");
    let arguments = [only(version), option, &list];
    let mut openssl = Command::openssl_client(&Kind::P256.authority(), serving.port, &arguments)?;
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    openssl.until(&format!("Cipher is {}\n", if honored { ours } else { theirs })).await?;
    talk.drop(serving.tls()).await
}

/// OpenSSL shows a certificate for another name, of the CA that the component trusts or of another one.
async fn no_name_check(version: Version, trusted: bool) -> Result<()> {
    let (root, other) = (Kind::P256.authority(), Kind::P384.authority());
    let issuer = if trusted { &root } else { &other };
    let identity =
        Request { alt_names: "DNS:other.test", issuer: Some(issuer), ..Request::new("other.test", Kind::P256) }.issue();
    let (_openssl, port) = Command::openssl_server(&identity, &[only(version)]).await?;
    let mut guest = Guest::client(version).await?;
    guest.options.skip_server_identity = true;
    let mut talk = guest.connect(port).await?;
    if !trusted {
        let error = talk.until_error(&mut guest.tls).await?;
        ensure!(error.code == ErrorCode::UnableToVerifyLeafSignature, "{error:?}");
        return talk.drop(&mut guest.tls).await;
    }
    talk.until_secure(&mut guest.tls).await?;
    ensure!(talk.pair.authorized(&mut guest.tls).await?, "the chain is good");
    // What the caller then does by itself: M7 gives what the connection would have said.
    let shown = talk.pair.peer_certificates(&mut guest.tls).await?;
    let said = guest.tls.check_server_identity(host_tests::setup::SERVER_NAME, &shown[0].raw).await?;
    ensure!(said.is_some_and(|error| error.code == ErrorCode::ErrTlsCertAltnameInvalid));
    talk.drop(&mut guest.tls).await
}
