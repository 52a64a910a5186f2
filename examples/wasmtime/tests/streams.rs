//! Streams over transports in memory, against rustls with ring: how they move bytes, end, fail and are dropped.

use std::future::poll_fn;
use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use guest_tls_wasmtime::{
    Acceptor, AcceptorOptions, CompiledCache, Connector, ConnectorOptions, Context, ContextOptions, Error, ErrorCode,
    Host, HostOptions, Limits, TlsStream,
};
use host_tests::certificates::Kind;
use host_tests::exchange::{Application as _, Exchange};
use host_tests::peers::{rustls, wasmtime};
use host_tests::setup::{EXPORTER_LABEL, Group, SERVER_NAME, Setup, Turn, Version, X25519};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_mebibytes_go_both_ways_at_once() -> Result<()> {
    let (client, server) = to_rustls(duplex(32 * 1024)).await?;
    exchange_in_tasks(client, server, 10 << 20).await?;
    let (client, server) = from_rustls(duplex(32 * 1024)).await?;
    exchange_in_tasks(client, server, 10 << 20).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transport_may_take_a_byte_at_a_time() -> Result<()> {
    // Each side goes on by itself after its handshake: a server is not done before its tickets are read.
    let (turn, bytes) = (Turn::First, 8 << 10);
    let connector = wasmtime::connector(host(), &client_setup()).await?;
    let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server_setup())?));
    let (near, far) = duplex(1);
    let client =
        async { anyhow::Ok(Exchange::new(turn, bytes).run(connector.connect(SERVER_NAME, near).await?).await) };
    let server = async { anyhow::Ok(Exchange::new(turn.other(), bytes).run(acceptor.accept(far).await?).await) };
    let (client, server) = tokio::time::timeout(PATIENCE, async { tokio::try_join!(client, server) }).await??;
    compare(client, server, bytes)?;

    let connector = TlsConnector::from(Arc::new(rustls::client_config(&client_setup())?));
    let acceptor = wasmtime::acceptor(host(), &server_setup()).await?;
    let (near, far) = duplex(1);
    let name = server_name()?;
    let client = async { anyhow::Ok(Exchange::new(turn, bytes).run(connector.connect(name, near).await?).await) };
    let server = async { anyhow::Ok(Exchange::new(turn.other(), bytes).run(acceptor.accept(far).await?).await) };
    let (client, server) = tokio::time::timeout(PATIENCE, async { tokio::try_join!(client, server) }).await??;
    compare(client, server, bytes)
}

#[tokio::test]
async fn a_transport_may_split_and_hesitate_as_it_likes() -> Result<()> {
    for seed in 1..=8 {
        let (near, far) = duplex(5000);
        let (client, server) = to_rustls((Choppy::new(near, seed), far)).await?;
        exchange(client, server, Turn::WhenAllCame, 1 << 20).await.with_context(|| format!("seed {seed}"))?;
        let (near, far) = duplex(5000);
        let (client, server) = from_rustls((near, Choppy::new(far, seed))).await?;
        exchange(client, server, Turn::Second, 1 << 20).await.with_context(|| format!("seed {seed}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn each_side_ends_alone() -> Result<()> {
    for turn in [Turn::First, Turn::Second] {
        let (client, server) = to_rustls(duplex(4096)).await?;
        exchange(client, server, turn, 300_000).await?;
        let (client, server) = from_rustls(duplex(4096)).await?;
        exchange(client, server, turn, 300_000).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer() -> Result<()> {
    let (mut client, mut server) = to_rustls(duplex(1024)).await?;
    let piece = [7; 8192];
    let mut taken = 0;
    let stopped = tokio::time::timeout(Duration::from_millis(500), async {
        loop {
            taken += client.write(&piece).await?;
        }
    });
    if let Ok(end) = stopped.await {
        let end: io::Result<()> = end;
        bail!("the writer ended by itself: {end:?}");
    }
    // What waits for the transport, and the last write.
    ensure!((64 << 10..=200 << 10).contains(&taken), "{taken} bytes were taken that nobody reads");
    let read = async {
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.map(|_| all)
    };
    let (ended, all) = tokio::join!(client.shutdown(), read);
    ended?;
    let all = all?;
    ensure!(all.len() == taken && all.iter().all(|byte| *byte == 7), "{} of {taken} bytes came", all.len());
    Ok(())
}

#[tokio::test]
async fn a_reader_who_does_not_read_holds_the_peer() -> Result<()> {
    let (mut client, mut server) = to_rustls(duplex(1024)).await?;
    // Whoever writes drives both directions, so what comes has to have a limit of its own.
    let written = tokio::spawn(async move {
        server.write_all(&vec![9; 4 << 20]).await?;
        server.shutdown().await
    });
    // Some twenty bytes each, of which the transport has room for a thousand.
    for _ in 0..30 {
        client.write_all(b"x").await?;
        client.flush().await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(!written.is_finished(), "4 MiB were taken that nobody reads");
    let mut all = Vec::new();
    client.read_to_end(&mut all).await?;
    ensure!(all.len() == 4 << 20, "{} bytes came", all.len());
    Ok(written.await??)
}

#[tokio::test]
async fn a_transport_that_ends_early_is_an_error_after_what_came() -> Result<()> {
    let (mut client, mut server) = to_rustls(duplex(4096)).await?;
    server.write_all(b"half of it").await?;
    server.flush().await?;
    drop(server);
    let mut all = Vec::new();
    let error = client.read_to_end(&mut all).await.err().context("an end that nobody said was taken for one")?;
    ensure!(error.kind() == io::ErrorKind::UnexpectedEof, "{error:?}");
    ensure!(code(&error) == Some(ErrorCode::ErrSslUnexpectedEofWhileReading), "{error:?}");
    ensure!(all == b"half of it", "{all:?}");
    ensure!(client.read(&mut [0; 8]).await.is_err(), "the error was forgotten");
    Ok(())
}

#[tokio::test]
async fn what_a_client_said_before_it_went_is_read() -> Result<()> {
    let connector = TlsConnector::from(Arc::new(rustls::client_config(&client_setup())?));
    let acceptor = wasmtime::acceptor(host(), &server_setup()).await?;
    let (near, far) = duplex(64 * 1024);
    let name = server_name()?;
    let client = async {
        let mut client = connector.connect(name, near).await?;
        client.write_all(b"all that it has to say").await?;
        client.flush().await
    };
    let mut accepting = Box::pin(acceptor.accept(far));
    // In TLS 1.3 the client is done first. All that it does after the server's flight is there before the server looks again.
    tokio::select! {
        biased;
        done = client => done?,
        _ = &mut accepting => bail!("the server was done before the client had gone"),
    }
    let mut server = accepting.await?;
    let mut all = Vec::new();
    let error = server.read_to_end(&mut all).await.err().context("an end that nobody said was taken for one")?;
    ensure!(error.kind() == io::ErrorKind::UnexpectedEof, "{error:?}");
    ensure!(all == b"all that it has to say", "{all:?}");
    Ok(())
}

#[tokio::test]
async fn a_peer_that_has_all_may_go() -> Result<()> {
    let (mut client, mut server) = to_rustls(duplex(4096)).await?;
    client.write_all(b"all of it").await?;
    client.flush().await?;
    server.read_exact(&mut [0; 9]).await?;
    drop(server);
    // That the transport has ended is known by then, and is for the reader.
    for _ in 0..5 {
        client.flush().await.context("all was sent")?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ensure!(client.read(&mut [0; 8]).await.is_err(), "the reader was not told");
    Ok(())
}

#[tokio::test]
async fn an_end_is_an_end_and_writing_after_ones_own_is_an_error() -> Result<()> {
    let (mut client, mut server) = to_rustls(duplex(4096)).await?;
    server.write_all(b"all of it").await?;
    server.shutdown().await?;
    drop(server);
    let mut all = Vec::new();
    client.read_to_end(&mut all).await?;
    ensure!(all == b"all of it", "{all:?}");
    ensure!(client.read(&mut [0; 8]).await? == 0, "there is something after the end");
    let (mut client, _server) = to_rustls(duplex(4096)).await?;
    client.shutdown().await?;
    let error = client.write(b"more").await.err().context("it was written")?;
    ensure!(error.kind() == io::ErrorKind::BrokenPipe, "{error:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_dropped_in_every_state() -> Result<()> {
    let host = host().isolated();
    let connector = wasmtime::connector(&host, &client_setup()).await?;
    let acceptor = wasmtime::acceptor(&host, &server_setup()).await?;
    // In the handshake, after so many polls, on either side.
    for polls in 0..12 {
        let (near, far) = duplex(600);
        {
            let mut connecting = Box::pin(connector.connect(SERVER_NAME, near));
            let mut accepting = Box::pin(acceptor.accept(far));
            for _ in 0..polls {
                let over = poll_fn(|cx| {
                    Poll::Ready(connecting.as_mut().poll(cx).is_ready() | accepting.as_mut().poll(cx).is_ready())
                });
                if over.await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
    // With bytes in both directions, in all buffers and in the guest's hand.
    for written in [1, 100, 70_000, 150_000] {
        let (near, far) = duplex(600);
        let (client, server) = tokio::try_join!(connector.connect(SERVER_NAME, near), acceptor.accept(far))?;
        for mut stream in [client, server] {
            let bytes = vec![1; written];
            let _ = tokio::time::timeout(Duration::from_millis(20), stream.write_all(&bytes)).await;
        }
    }
    // And the instances are as good as before.
    for _ in 0..4 {
        let (near, far) = duplex(4096);
        let (client, server) = tokio::try_join!(connector.connect(SERVER_NAME, near), acceptor.accept(far))?;
        exchange(client, server, Turn::First, 1000).await?;
    }
    Ok(())
}

#[tokio::test]
async fn connections_that_are_dropped_leave_no_memory_behind() -> Result<()> {
    // With 8 MiB in one instance, some hundred connections are all that fit at once.
    let limits = Limits { memory: 8 << 20, connections: Some(10_000), ..Limits::default() };
    let host = Host::with_options(&component()?, one_instance(limits))?;
    let connector = wasmtime::connector(&host, &client_setup()).await?;
    let acceptor = wasmtime::acceptor(&host, &server_setup()).await?;
    for round in 0..300 {
        let (near, far) = duplex(4096);
        let both = tokio::try_join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
        let (mut client, _server) = both.with_context(|| format!("round {round}"))?;
        client.write_all(&[0; 1000]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_instance_that_wants_too_much_memory_is_replaced() -> Result<()> {
    let limits = Limits { memory: 8 << 20, connections: Some(10_000), ..Limits::default() };
    let host = Host::with_options(&component()?, one_instance(limits))?;
    let connector = wasmtime::connector(&host, &client_setup()).await?;
    let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server_setup())?));
    let mut open = Vec::new();
    let error = loop {
        ensure!(open.len() < 2000, "there is no limit");
        let (near, far) = duplex(16 * 1024);
        let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
        match client {
            Ok(client) => open.push((client, server?)),
            Err(error) => break error,
        }
    };
    ensure!(matches!(error, Error::Trapped(_)) && error.to_string().contains("memory"), "{error}");
    ensure!(open.len() > 10, "only {} connections fit", open.len());
    // All of that instance are told.
    for (client, _) in &mut open {
        let error = client.read(&mut [0; 8]).await.err().context("a connection outlived its instance")?;
        ensure!(error.kind() == io::ErrorKind::ConnectionAborted, "{error:?}");
        ensure!(client.write(b"x").await.is_err() && client.shutdown().await.is_err(), "it can still be written");
    }
    let (near, far) = duplex(16 * 1024);
    let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
    exchange(client?, server?, Turn::First, 1000).await
}

#[tokio::test]
async fn who_waits_is_woken_when_the_instance_traps() -> Result<()> {
    let limits = Limits { memory: 8 << 20, connections: Some(10_000), ..Limits::default() };
    let host = Host::with_options(&component()?, one_instance(limits))?;
    let connector = wasmtime::connector(&host, &client_setup()).await?;
    let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server_setup())?));
    let connect = async || {
        let (near, far) = duplex(16 * 1024);
        let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
        (client, server)
    };
    let (client, _server) = connect().await;
    let mut client = client?;
    let waiting = tokio::spawn(async move { client.read(&mut [0; 8]).await });
    let mut open = Vec::new();
    while let (Ok(client), server) = connect().await {
        open.push((client, server));
    }
    let error = tokio::time::timeout(Duration::from_secs(5), waiting).await??.err();
    ensure!(error.context("it was given bytes")?.kind() == io::ErrorKind::ConnectionAborted, "not told");
    Ok(())
}

#[tokio::test]
async fn a_call_that_takes_too_long_traps() -> Result<()> {
    // A signature with RSA of 4096 bits takes some ten times as long.
    let limits = Limits { turn: Duration::from_millis(1), ..Limits::default() };
    let host = Host::with_options(&component()?, one_instance(limits))?;
    let acceptor = wasmtime::acceptor(&host, &Setup::server(Kind::Rsa4096)).await?;
    let connector = TlsConnector::from(Arc::new(rustls::client_config(&Setup::client(Kind::Rsa4096))?));
    let (near, far) = duplex(16 * 1024);
    let (client, server) = tokio::join!(connector.connect(server_name()?, near), acceptor.accept(far));
    ensure!(client.is_err(), "the handshake was done");
    let error = server.err().context("the handshake was done")?;
    ensure!(matches!(error, Error::Trapped(_)) && error.to_string().contains("longer than it may"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_silent_peer_is_given_up() -> Result<()> {
    let context = Context::new(host(), ContextOptions::new()).await?;
    let options = ConnectorOptions { handshake_timeout: Duration::from_millis(100), ..ConnectorOptions::default() };
    let (near, mut far) = duplex(16 * 1024);
    let error = Connector::new(&context, options).connect(SERVER_NAME, near).await.err().context("no handshake")?;
    ensure!(error.code() == Some(ErrorCode::ErrTlsHandshakeTimeout), "{error}");
    ensure!(io::Error::from(error).kind() == io::ErrorKind::TimedOut, "not timed out");
    // The transport is dropped: after the ClientHello there is an end.
    let mut hello = Vec::new();
    far.read_to_end(&mut hello).await?;
    ensure!(hello.first() == Some(&22), "no handshake record");
    Ok(())
}

#[tokio::test]
async fn who_is_not_trusted_is_told_by_an_alert() -> Result<()> {
    let context = Context::new(host(), ContextOptions::new()).await?;
    let connector = Connector::new(&context, ConnectorOptions::default());
    let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server_setup())?));
    let (near, far) = duplex(16 * 1024);
    let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
    let error = client.err().context("a server was trusted that Mozilla does not know")?;
    ensure!(error.code() == Some(ErrorCode::UnableToVerifyLeafSignature), "{error}");
    let told = server.err().context("the server was not told")?;
    ensure!(told.to_string().contains("UnknownCA"), "{told}");
    Ok(())
}

#[tokio::test]
async fn options_that_are_wrong_are_named() -> Result<()> {
    let options = ContextOptions::new().key("no key").cert("no certificate").ciphers("AES128-SHA");
    let error = Context::new(host(), options).await.err().context("a context of nonsense")?;
    let Error::Options(errors) = &error else { bail!("{error}") };
    ensure!(errors.len() >= 3, "{error}");
    let context = Context::new(host(), ContextOptions::new()).await?;
    let error = Acceptor::new(&context, AcceptorOptions::default()).await.err().context("no certificate")?;
    ensure!(error.code() == Some(ErrorCode::ErrTlsInvalidCertificate), "{error}");
    let connector = Connector::new(&context, ConnectorOptions::default());
    let error = connector.connect("not a name", duplex(1).0).await.err().context("a name with spaces")?;
    ensure!(matches!(error, Error::Options(_)), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_context_shows_no_secrets() -> Result<()> {
    let options = ContextOptions::new().encrypted_key("the key", "the passphrase");
    ensure!(!format!("{options:?}").contains("the "), "{options:?}");
    Ok(())
}

#[tokio::test]
async fn a_client_resumes_its_sessions() -> Result<()> {
    for version in [Version::Tls12, Version::Tls13] {
        let setup = Setup { versions: (version, version), ..client_setup() };
        let connector = wasmtime::connector(host(), &setup).await?;
        let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server_setup())?));
        let mut resumed = Vec::new();
        for _ in 0..4 {
            let (near, far) = duplex(16 * 1024);
            let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
            let client = client?;
            resumed.push(client.get_ref().1.is_session_reused);
            // A session of TLS 1.3 comes after the handshake.
            exchange(client, server?, Turn::First, 1000).await?;
        }
        ensure!(resumed == [false, true, true, true], "{version}: {resumed:?}");
        // Another name has sessions of its own.
        let (near, far) = duplex(16 * 1024);
        let (client, _server) = tokio::join!(connector.connect("localhost", near), acceptor.accept(far));
        ensure!(!client?.get_ref().1.is_session_reused, "{version}: a session of another server was offered");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_resumes_sessions_in_all_its_instances() -> Result<()> {
    for version in [Version::Tls12, Version::Tls13] {
        let host = Host::with_options(
            &component()?,
            HostOptions { instances: NonZero::<usize>::MIN.saturating_add(2), ..cached() },
        )?;
        let acceptor = wasmtime::acceptor(&host, &server_setup()).await?;
        let setup = Setup { versions: (version, version), ..client_setup() };
        let connector = TlsConnector::from(Arc::new(rustls::client_config(&setup)?));
        // Connections that stay open fill the instances one after the other.
        let mut open = Vec::new();
        for round in 0..6 {
            let (near, far) = duplex(64 * 1024);
            let (client, server) = tokio::join!(connector.connect(server_name()?, near), acceptor.accept(far));
            let (mut client, mut server) = (client?, server?);
            let is_resumed = server.get_ref().1.is_session_reused;
            ensure!(is_resumed == (round > 0), "{version}, round {round}: resumed is {is_resumed}");
            server.write_all(b"x").await?;
            server.flush().await?;
            client.read_exact(&mut [0; 1]).await?;
            open.push((client, server));
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_has_a_context_for_each_name() -> Result<()> {
    let named = Setup { identity: Some(Kind::Rsa2048.server()), ..server_setup() };
    let options = |setup: &Setup| host_tests::peers::component::context_options(setup).as_setters();
    let options = AcceptorOptions {
        contexts: vec![("localhost".to_string(), Context::new(host(), options(&named)).await?)],
        alpn_protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..AcceptorOptions::default()
    };
    let context = host_tests::peers::component::context_options(&server_setup()).as_setters();
    let acceptor = Acceptor::new(&Context::new(host(), context).await?, options).await?;
    for (name, kind) in [(SERVER_NAME, Kind::P256), ("localhost", Kind::Rsa2048)] {
        let setup = Setup { alpn: vec!["spdy/3", "http/1.1"], ..Setup::client(kind) };
        let connector = TlsConnector::from(Arc::new(rustls::client_config(&setup)?));
        let (near, far) = duplex(16 * 1024);
        let (client, server) = tokio::join!(connector.connect(ServerName::try_from(name)?, near), acceptor.accept(far));
        let (client, server) = (client?, server?);
        ensure!(server.get_ref().1.servername.as_deref() == Some(name), "{:?}", server.get_ref().1);
        ensure!(server.get_ref().1.alpn_protocol.as_deref() == Some(b"http/1.1"), "{:?}", server.get_ref().1);
        ensure!(client.get_ref().1.alpn_protocol() == Some(b"http/1.1"), "the client has another protocol");
    }
    Ok(())
}

#[tokio::test]
async fn both_export_the_same_key_material() -> Result<()> {
    let (client, server) = to_rustls(duplex(4096)).await?;
    let ours = client.export_keying_material(48, EXPORTER_LABEL.as_bytes(), Some(b"context")).await?;
    let theirs = server.get_ref().1.export_keying_material([0; 48], EXPORTER_LABEL.as_bytes(), Some(b"context"))?;
    ensure!(ours == theirs, "{ours:?} is not {theirs:?}");
    let error = client.export_keying_material(0, b"label", None).await.err().context("nothing was exported")?;
    ensure!(error.code() == Some(ErrorCode::ErrInvalidArgValue), "{error}");
    Ok(())
}

#[tokio::test]
#[allow(unsafe_code, reason = "the bytes come from the line before")]
async fn what_was_compiled_can_be_kept() -> Result<()> {
    let compiled = host().serialize()?;
    // SAFETY: `serialize` gave these.
    let host = unsafe { Host::deserialize(&compiled, HostOptions::default()) }?;
    let connector = wasmtime::connector(&host, &client_setup()).await?;
    let acceptor = wasmtime::acceptor(&host, &server_setup()).await?;
    let (near, far) = duplex(16 * 1024);
    let (client, server) = tokio::try_join!(connector.connect(SERVER_NAME, near), acceptor.accept(far))?;
    exchange(client, server, Turn::First, 1000).await
}

#[tokio::test]
async fn a_component_that_wants_more_is_refused() -> Result<()> {
    // (component (import "files" (func)))
    let wants_files = b"\0asm\x0d\0\x01\0\x07\x05\x01\x40\x00\x01\x00\x0a\x0a\x01\x00\x05files\x01\x00";
    let error = Host::new(wants_files).err().context("it was compiled")?;
    ensure!(matches!(error, Error::Component(_)) && error.to_string().contains("files"), "{error}");
    Ok(())
}

/// A client of ours, and a server of rustls.
async fn to_rustls<A, B>((near, far): (A, B)) -> Result<(TlsStream<A>, server::TlsStream<B>)>
where
    A: AsyncRead + AsyncWrite + Unpin + Send,
    B: AsyncRead + AsyncWrite + Unpin + Send,
{
    let connector = wasmtime::connector(host(), &client_setup()).await?;
    let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server_setup())?));
    let (client, server) = tokio::join!(connector.connect(SERVER_NAME, near), acceptor.accept(far));
    Ok((client?, server?))
}

/// A client of rustls, and a server of ours.
async fn from_rustls<A, B>((near, far): (A, B)) -> Result<(client::TlsStream<A>, TlsStream<B>)>
where
    A: AsyncRead + AsyncWrite + Unpin + Send,
    B: AsyncRead + AsyncWrite + Unpin + Send,
{
    let connector = TlsConnector::from(Arc::new(rustls::client_config(&client_setup())?));
    let acceptor = wasmtime::acceptor(host(), &server_setup()).await?;
    let (client, server) = tokio::join!(connector.connect(server_name()?, near), acceptor.accept(far));
    Ok((client?, server?))
}

/// Has an exchange between the two, and is an error if not all has come, with both ends.
async fn exchange<A, B>(client: A, server: B, turn: Turn, bytes: usize) -> Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let client = Exchange::new(turn, bytes).run(client);
    let server = Exchange::new(turn.other(), bytes).run(server);
    let (client, server) = tokio::time::timeout(PATIENCE, async { tokio::join!(client, server) }).await?;
    compare(client, server, bytes)
}

/// The same, with each end in a task of its own.
async fn exchange_in_tasks<A, B>(client: A, server: B, bytes: usize) -> Result<()>
where
    A: AsyncRead + AsyncWrite + Send + 'static,
    B: AsyncRead + AsyncWrite + Send + 'static,
{
    let client = tokio::spawn(Exchange::new(Turn::First, bytes).run(client));
    let server = tokio::spawn(Exchange::new(Turn::Second, bytes).run(server));
    let (client, server) = tokio::time::timeout(PATIENCE, async { tokio::try_join!(client, server) }).await??;
    compare(client, server, bytes)
}

type Ended = (Exchange, io::Result<()>);

fn compare((client, client_end): Ended, (server, server_end): Ended, bytes: usize) -> Result<()> {
    client_end.context("the client")?;
    server_end.context("the server")?;
    let (client, server) = (client.result(), server.result());
    ensure!(client.0 == server.1 && server.0 == client.1, "{client:?} and {server:?}");
    ensure!(client.0.bytes == bytes && server.0.bytes == bytes, "{client:?} and {server:?}");
    ensure!(client.2 && server.2, "an end was not seen");
    Ok(())
}

/// A transport that moves a few bytes at a time, and is often not ready.
struct Choppy {
    inner: DuplexStream,
    state: u64,
}

impl Choppy {
    fn new(inner: DuplexStream, seed: u64) -> Choppy {
        Choppy { inner, state: seed }
    }

    /// How many bytes this time; none: not ready.
    fn next(&mut self, cx: &TaskContext<'_>) -> Option<usize> {
        // Knuth's MMIX generator: the same in each run.
        self.state = self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let random = (self.state >> 33) as usize;
        if random.is_multiple_of(4) {
            cx.waker().wake_by_ref();
            return None;
        }
        Some(1 + random % 3000)
    }
}

impl AsyncRead for Choppy {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(most) = self.next(cx) else {
            return Poll::Pending;
        };
        let mut part = vec![0; most.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut part);
        let read = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        buffer.put_slice(part.filled());
        read
    }
}

impl AsyncWrite for Choppy {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.next(cx) {
            Some(most) => Pin::new(&mut self.inner).poll_write(cx, &bytes[..most.min(bytes.len())]),
            None => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match self.next(cx) {
            Some(_) => Pin::new(&mut self.inner).poll_flush(cx),
            None => Poll::Pending,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match self.next(cx) {
            Some(_) => Pin::new(&mut self.inner).poll_shutdown(cx),
            None => Poll::Pending,
        }
    }
}

fn host() -> &'static Host {
    host_tests::host::Host::shared().unwrap_or_else(|error| panic!("{error:#}")).pool()
}

fn component() -> Result<Vec<u8>> {
    let path = host_tests::host::component_path();
    std::fs::read(&path).with_context(|| format!("{}: cargo xtask build makes it", path.display()))
}

/// What the host of all tests compiled is there already.
fn cached() -> HostOptions {
    HostOptions {
        cache: CompiledCache::Folder(host_tests::paths::target().join("wasmtime-cache")),
        ..HostOptions::default()
    }
}

fn one_instance(limits: Limits) -> HostOptions {
    HostOptions { instances: NonZero::<usize>::MIN, limits, ..cached() }
}

fn client_setup() -> Setup {
    Setup { groups: GROUPS.to_vec(), ..Setup::client(Kind::P256) }
}

fn server_setup() -> Setup {
    Setup { groups: GROUPS.to_vec(), ..Setup::server(Kind::P256) }
}

fn server_name() -> Result<ServerName<'static>> {
    Ok(ServerName::try_from(SERVER_NAME)?)
}

fn code(error: &io::Error) -> Option<ErrorCode> {
    error.get_ref()?.downcast_ref::<Error>()?.code()
}

/// ring has no ML-KEM.
const GROUPS: [Group; 1] = [X25519];

/// How long an exchange may take.
const PATIENCE: Duration = Duration::from_secs(120);
