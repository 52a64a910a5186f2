//! `guest-tls proxy`, run by the stock wasmtime program: what passes through it, and what goes wrong around it.
//!
//! Clients are rustls with ring, OpenSSL and curl; back ends are sockets of the tests. `GUEST_TLS_CONNECTIONS` is how many connections the
//! test of memory makes (default: 2000).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Kind, Request};
use host_tests::peers::rustls::client_config;
use host_tests::setup::{SERVER_NAME, Setup};
use host_tests::{paths, rows, table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::running::*;
use crate::strangers::*;

mod running;
mod strangers;

fn main() {
    table::main(rows![
        "proxy":
        ten_mebibytes_pass_both_ways_at_once,
        the_end_of_one_side_is_passed_on_and_the_other_goes_on,
        sni_chooses_the_certificate_and_the_back_end,
        a_client_without_a_certificate_is_refused_where_one_is_wanted,
        the_back_end_is_told_who_connected,
        the_front_tells_who_connected,
        a_connection_without_the_header_that_is_wanted_is_refused,
        the_originator_puts_tls_on,
        the_originator_refuses_an_authority_that_is_not_its,
        certificates_follow_their_files_and_garbage_changes_nothing,
        a_session_of_one_instance_is_resumed_by_another_with_the_same_ticket_keys,
        who_stalls_in_the_handshake_is_cut_off_and_disturbs_nobody,
        who_sends_a_byte_at_a_time_is_cut_off_too,
        who_says_nothing_is_cut_off,
        resets_at_every_stage_disturb_nobody,
        a_back_end_that_is_down_is_told,
        a_back_end_that_is_slow_slows_the_client_and_nobody_else,
        no_more_connections_than_there_may_be,
        as_many_connections_as_there_are_handles_for,
        more_connections_than_there_are_handles_for_are_refused_at_the_start,
        a_lack_of_files_ends_nothing,
        a_crowd_of_handshakes_keeps_nobody_waiting,
        who_takes_nothing_stops_nobody,
        a_back_end_that_takes_nothing_stops_nobody,
        a_stop_lets_open_connections_finish,
        connections_leave_nothing_behind,
    ]);
}

async fn ten_mebibytes_pass_both_ways_at_once() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &[]).await?;
    let mut stream = proxy.connect().await?;
    let bytes: Vec<u8> = (0..10 << 20).map(|index: u32| (index % 251) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(&mut stream);
    let mut came = vec![0; bytes.len()];
    let (sent, read) = tokio::join!(
        async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        },
        reader.read_exact(&mut came)
    );
    sent?;
    read?;
    ensure!(came == bytes, "the bytes that came back are others");
    stream.shutdown().await?;
    ensure!(stream.read(&mut [0]).await? == 0, "something came after the end");
    let counters = proxy.counters().await?;
    ensure!(counters.contains("guest_tls_bytes_total{direction=\"from_tls\"} 10485760\n"), "{counters}");
    ensure!(counters.contains("guest_tls_bytes_total{direction=\"to_tls\"} 10485760\n"), "{counters}");
    proxy.stop().await
}

async fn the_end_of_one_side_is_passed_on_and_the_other_goes_on() -> Result<()> {
    // Says what it got only when the client has ended, and after that.
    let back = Back::start(|mut tcp| async move {
        let mut request = Vec::new();
        tcp.read_to_end(&mut request).await?;
        sleep(Duration::from_millis(200)).await;
        tcp.write_all(format!("{} bytes", request.len()).as_bytes()).await
    })
    .await?;
    let proxy = Proxy::start(back.port, &[]).await?;
    let mut stream = proxy.connect().await?;
    stream.write_all(&[1; 70_000]).await?;
    stream.shutdown().await?;
    same(&rest(&mut stream).await?, "70000 bytes")?;
    proxy.stop().await
}

async fn sni_chooses_the_certificate_and_the_back_end() -> Result<()> {
    let (one, other) = (Back::says("one").await?, Back::says("other").await?);
    let folder = Folder::new("sni")?;
    let authority = Kind::P256.authority();
    let wild = Request { issuer: Some(&authority), alt_names: "DNS:*.wild.test", ..Request::new("wild", Kind::P384) };
    folder.put("wild.pem", &wild.issue().pem())?;
    let route = format!("a.wild.test=127.0.0.1:{}", other.port);
    let proxy = Proxy::start_in(folder, one.port, &["--sni", "*.wild.test=/wild.pem", "--route", &route]).await?;
    for (name, subject, said) in
        [("a.wild.test", "wild", "other"), ("b.wild.test", "wild", "one"), (SERVER_NAME, SERVER_NAME, "one")]
    {
        let output = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &format!("127.0.0.1:{}", proxy.port),
                "-servername",
                name,
                "-verify_hostname",
                name,
            ])
            .args(["-verify_return_error", "-CAfile", &authority.certificate_path().display().to_string()])
            .stdin(std::process::Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(text.contains(&format!("CN = {subject}\n")), "{name}: {text}");
        let mut stream = proxy.connect_as(&Setup { servername: name.into(), ..setup() }).await?;
        same(&rest(&mut stream).await?, said).context(name)?;
    }
    proxy.stop().await
}

async fn a_client_without_a_certificate_is_refused_where_one_is_wanted() -> Result<()> {
    let back = Back::says("hello").await?;
    let folder = Folder::new("mtls")?;
    folder.put("clients.pem", &Kind::P256.authority().certificate)?;
    let proxy = Proxy::start_in(folder, back.port, &["--client-ca", "/clients.pem"]).await?;
    let mut with = proxy.connect_as(&Setup { identity: Some(Kind::P256.client()), ..setup() }).await?;
    same(&rest(&mut with).await?, "hello")?;
    let stranger = Request { is_authority: true, ..Request::new("stranger", Kind::P256) }.issue();
    let stranger = Request { issuer: Some(&stranger), ..Request::new("client.test", Kind::P256) }.issue();
    for (identity, alert) in [(None, "CertificateRequired"), (Some(stranger), "UnknownCA")] {
        let refused = async {
            let mut stream = proxy.connect_as(&Setup { identity, ..setup() }).await?;
            rest(&mut stream).await
        };
        let error = format!("{:#}", refused.await.err().context("it was let in")?);
        ensure!(error.contains(alert), "{error}");
    }
    ensure!(back.connections() == 1, "the back end saw {} connections", back.connections());
    proxy.stop().await
}

async fn the_back_end_is_told_who_connected() -> Result<()> {
    let back = Back::says_the_header().await?;
    let folder = Folder::new("header")?;
    folder.put("clients.pem", &Kind::P256.authority().certificate)?;
    let arguments = ["--proxy-protocol", "--client-ca", "/clients.pem", "--alpn", "one,two"];
    let proxy = Proxy::start_in(folder, back.port, &arguments).await?;
    let setup = Setup { identity: Some(Kind::P256.client()), alpn: vec!["two"], ..setup() };
    let mut stream = proxy.connect_as(&setup).await?;
    let own = stream.get_ref().0.local_addr()?;
    let mut header = Vec::new();
    stream.read_to_end(&mut header).await?;
    // The protocol's section 2.2: signature, version 2 and PROXY, TCP over IPv4, length, addresses, ports, values.
    ensure!(header.starts_with(b"\r\n\r\n\0\r\nQUIT\n\x21\x11"), "{header:02x?}");
    let addresses = &header[16..28];
    ensure!(addresses[..8] == [127, 0, 0, 1, 127, 0, 0, 1], "{addresses:?}");
    ensure!(addresses[8..10] == own.port().to_be_bytes(), "{addresses:?}, and the client had port {}", own.port());
    ensure!(addresses[10..] == proxy.port.to_be_bytes(), "{addresses:?}, and the proxy has port {}", proxy.port);
    let has = |part: &[u8]| header[28..].windows(part.len()).any(|window| window == part);
    // ALPN, authority, SSL with a certificate that was verified, its version and its common name.
    for part in [
        &b"\x01\0\x03two"[..],
        b"\x02\0\x0bserver.test",
        b"\x07\0\0\0\0",
        b"\x21\0\x07TLSv1.3",
        b"\x22\0\x0bclient.test",
    ] {
        ensure!(has(part), "no {:?} in {:?}", String::from_utf8_lossy(part), String::from_utf8_lossy(&header[28..]));
    }
    proxy.stop().await
}

async fn the_front_tells_who_connected() -> Result<()> {
    let back = Back::says_the_header().await?;
    let proxy = Proxy::start(back.port, &["--accept-proxy-protocol", "--proxy-protocol"]).await?;
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend([192, 0, 2, 7, 192, 0, 2, 1, 0x11, 0x22, 0x01, 0xbb]);
    for (header, source) in
        [(&b"PROXY TCP4 192.0.2.7 192.0.2.1 4386 443\r\n"[..], [192, 0, 2, 7]), (&binary, [192, 0, 2, 7])]
    {
        let mut tcp = proxy.tcp().await?;
        // In pieces, and the rest with what comes after it.
        tcp.write_all(&header[..5]).await?;
        sleep(Duration::from_millis(50)).await;
        tcp.write_all(&header[5..]).await?;
        let mut stream = handshake(&setup(), tcp).await?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        ensure!(said[16..20] == source && said[24..28] == [0x11, 0x22, 0x01, 0xbb], "{said:?}");
    }
    // curl sends a header of version 1 with its own address.
    let url = format!("https://localhost:{}/", proxy.port);
    let authority = Kind::P256.authority().certificate_path().display().to_string();
    let curl = Command::new("curl")
        .args(["-sS", "--http0.9", "--haproxy-protocol", "--cacert", &authority, &url])
        .output()
        .await?;
    ensure!(curl.status.success(), "{}", String::from_utf8_lossy(&curl.stderr));
    ensure!(curl.stdout[16..20] == [127, 0, 0, 1], "{:?}", curl.stdout);
    proxy.stop().await
}

async fn a_connection_without_the_header_that_is_wanted_is_refused() -> Result<()> {
    let back = Back::echo().await?;
    let mut proxy = Proxy::start(back.port, &["--accept-proxy-protocol"]).await?;
    ensure!(proxy.connect().await.is_err(), "it was let in");
    proxy.says("has no header of the PROXY protocol").await?;
    ensure!(back.connections() == 0, "the back end saw it");
    proxy.stop().await
}

async fn the_originator_puts_tls_on() -> Result<()> {
    let (_server, port) = openssl_server().await?;
    let folder = Folder::new("client")?;
    folder.put("ca.pem", &Kind::P256.authority().certificate)?;
    let arguments = ["--client", "--ca", "/ca.pem", "--servername", SERVER_NAME];
    let proxy = Proxy::start_in(folder, port, &arguments).await?;
    for resumed in ["New", "Reused"] {
        let mut tcp = proxy.tcp().await?;
        tcp.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut text = String::new();
        tcp.read_to_string(&mut text).await?;
        ensure!(text.contains(&format!("{resumed}, TLSv1.3")), "no `{resumed}` in {text}");
    }
    proxy.stop().await
}

async fn the_originator_refuses_an_authority_that_is_not_its() -> Result<()> {
    let (_server, port) = openssl_server().await?;
    let folder = Folder::new("stranger")?;
    folder.put("ca.pem", &Kind::P384.authority().certificate)?;
    let arguments = ["--client", "--ca", "/ca.pem", "--servername", SERVER_NAME];
    let mut proxy = Proxy::start_in(folder, port, &arguments).await?;
    let mut tcp = proxy.tcp().await?;
    tcp.write_all(b"secret").await?;
    let mut nothing = Vec::new();
    // An end or a reset, and no byte.
    let _ = tcp.read_to_end(&mut nothing).await;
    ensure!(nothing.is_empty(), "{nothing:?}");
    proxy.says("issuer").await?;
    proxy.stop().await
}

async fn certificates_follow_their_files_and_garbage_changes_nothing() -> Result<()> {
    let back = Back::echo().await?;
    let folder = Folder::new("reload")?;
    let mut proxy = Proxy::start_in(folder, back.port, &["--reload-every", "0.2"]).await?;
    let first = proxy.shown().await?;
    let mut open = proxy.connect().await?;

    std::fs::write(proxy.folder.0.join("cert.pem"), "-----BEGIN CERTIFICATE-----\ngarbage\n")?;
    proxy.says("certificates and keys stay as they were: /cert.pem").await?;
    ensure!(proxy.shown().await? == first, "garbage has changed what is shown");

    let authority = Kind::P256.authority();
    let next = Request { issuer: Some(&authority), ..Request::new(SERVER_NAME, Kind::P256) }.issue();
    std::fs::write(proxy.folder.0.join("key.pem"), &next.key)?;
    std::fs::write(proxy.folder.0.join("cert.pem"), next.full_chain())?;
    proxy.says("certificates and keys were read again").await?;
    ensure!(proxy.shown().await? != first, "the new certificate is not shown");

    // The connection from before goes on.
    open.write_all(b"still here").await?;
    let mut said = [0; 10];
    open.read_exact(&mut said).await?;
    ensure!(&said == b"still here", "{said:?}");
    let counters = proxy.counters().await?;
    ensure!(counters.contains("guest_tls_reloads_total{result=\"failure\"}"), "{counters}");
    ensure!(counters.contains("guest_tls_reloads_total{result=\"success\"} 1\n"), "{counters}");
    drop(open);
    proxy.stop().await
}

async fn a_session_of_one_instance_is_resumed_by_another_with_the_same_ticket_keys() -> Result<()> {
    let back = Back::says("hello").await?;
    let keys: Vec<u8> = (0..96).collect();
    // The second has the key of the first as its old one.
    let (first, second, third) = (Folder::new("one")?, Folder::new("two")?, Folder::new("three")?);
    std::fs::write(first.0.join("keys"), &keys[..48])?;
    std::fs::write(second.0.join("keys"), [&keys[48..], &keys[..48]].concat())?;
    std::fs::write(third.0.join("keys"), &keys[48..])?;
    let start = async |folder| Proxy::start_in(folder, back.port, &["--ticket-keys", "/keys"]).await;
    let (first, second, third) = (start(first).await?, start(second).await?, start(third).await?);
    let session = paths::scratch()?.join("session.pem").display().to_string();
    for (proxy, option, expected) in
        [(&first, "-sess_out", "New"), (&second, "-sess_in", "Reused"), (&third, "-sess_in", "New")]
    {
        let port = format!("127.0.0.1:{}", proxy.port);
        let mut client = Command::new("openssl")
            .args(["s_client", "-connect", &port, "-servername", SERVER_NAME, option, &session])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        // It ends when the back end has said its word, after the ticket.
        let stdin = client.stdin.take();
        let output = timeout(LIMIT, client.wait_with_output()).await??;
        drop(stdin);
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(text.contains(&format!("{expected}, TLSv1.3")), "{option}: {text}");
    }
    for proxy in [first, second, third] {
        proxy.stop().await?;
    }
    Ok(())
}

async fn resets_at_every_stage_disturb_nobody() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &[]).await?;
    let mut watched = proxy.connect().await?;
    for round in 0..5 {
        // At once, within the ClientHello, after the handshake, within what is said, and within what is answered.
        reset(proxy.tcp().await?)?;
        let mut tcp = proxy.tcp().await?;
        tcp.write_all(b"\x16\x03\x01\x02\x00").await?;
        reset(tcp)?;
        reset(proxy.connect().await?.into_inner().0)?;
        let mut stream = proxy.connect().await?;
        stream.write_all(&[5; 300_000]).await?;
        reset(stream.into_inner().0)?;
        let mut stream = proxy.connect().await?;
        stream.write_all(&[5; 100_000]).await?;
        stream.read_exact(&mut [0; 50_000]).await?;
        reset(stream.into_inner().0)?;
        watched.write_all(&[round]).await?;
        ensure!(watched.read_u8().await? == round, "another byte");
    }
    watched.shutdown().await?;
    ensure!(watched.read(&mut [0]).await? == 0, "something came after the end");
    proxy.is_empty().await?;
    proxy.stop().await
}

async fn a_back_end_that_is_down_is_told() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    drop(listener);
    let mut proxy = Proxy::start(port, &[]).await?;
    let mut stream = proxy.connect().await?;
    let end = stream.read(&mut [0]).await;
    // Not a clean end: nobody may take it for an empty answer.
    ensure!(end.is_err(), "{end:?}");
    proxy.says(&format!("no connection to 127.0.0.1:{port}: 127.0.0.1: connection-refused")).await?;
    ensure!(proxy.counters().await?.contains("guest_tls_backend_failures_total 1\n"), "{}", proxy.counters().await?);
    // When it is back, so is all.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let back = Back::of(listener, |mut tcp| async move { tcp.write_all(b"back").await })?;
    same(&rest(&mut proxy.connect().await?).await?, "back")?;
    drop(back);
    proxy.stop().await
}

async fn a_back_end_that_is_slow_slows_the_client_and_nobody_else() -> Result<()> {
    // Reads nothing for two seconds.
    let back = Back::start(|mut tcp| async move {
        let mut first = [0];
        tcp.read_exact(&mut first).await?;
        if first[0] == b's' {
            sleep(Duration::from_secs(2)).await;
        }
        let mut count = 1;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match tcp.read(&mut buffer).await? {
                0 => return tcp.write_all(format!("{count}").as_bytes()).await,
                more => count += more,
            }
        }
    })
    .await?;
    let proxy = Proxy::start(back.port, &[]).await?;
    let before = proxy.memory()?;
    let mut slow = proxy.connect().await?;
    let writing = tokio::spawn(async move {
        slow.write_all(&vec![b's'; 64 << 20]).await?;
        slow.shutdown().await?;
        rest(&mut slow).await
    });
    sleep(Duration::from_millis(1500)).await;
    let grown = proxy.memory()?.saturating_sub(before);
    ensure!(grown < 16 << 20, "while the back end does not read, memory has grown by {grown} bytes");
    let mut quick = proxy.connect().await?;
    quick.write_all(b"quick").await?;
    quick.shutdown().await?;
    same(&rest(&mut quick).await?, "5")?;
    ensure!(!writing.is_finished(), "64 MiB have gone where nobody read them");
    same(&timeout(LIMIT, writing).await???, &(64 << 20).to_string())?;
    proxy.stop().await
}

async fn a_stop_lets_open_connections_finish() -> Result<()> {
    let back = Back::echo().await?;
    let proxy = Proxy::start(back.port, &["--grace", "20"]).await?;
    let mut open = proxy.connect().await?;
    let port = proxy.port;
    let (mut running, _folder) = (proxy.running, proxy.folder);
    drop(running.stdin.take());
    // It no longer listens, and the connection is as it was.
    let gone = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, gone).await.context("it goes on listening")?;
    open.write_all(b"last").await?;
    let mut said = [0; 4];
    open.read_exact(&mut said).await?;
    ensure!(&said == b"last", "{said:?}");
    open.shutdown().await?;
    ensure!(open.read(&mut [0]).await? == 0, "something came after the end");
    let ended = running.stop().await?;
    ensure!(ended.code == 0 && !ended.stderr.contains("still open"), "{ended:?}");
    Ok(())
}

async fn connections_leave_nothing_behind() -> Result<()> {
    let count: usize = std::env::var("GUEST_TLS_CONNECTIONS").map_or(Ok(2000), |count| count.parse())?;
    let back = Back::says("x").await?;
    let proxy = Arc::new(Proxy::start(back.port, &["--handshake-timeout", "5"]).await?);
    let config = Arc::new(client_config(&setup())?);
    // Good ones, and in between some that are cut off at one point or another.
    let rounds = async |connections: usize| -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (proxy, next, config) = (proxy.clone(), next.clone(), config.clone());
            workers.spawn(async move {
                while let index = next.fetch_add(1, Ordering::Relaxed)
                    && index < connections
                {
                    let tcp = proxy.tcp().await?;
                    if index % 10 == 3 {
                        reset(tcp)?;
                        continue;
                    }
                    let name = ServerName::try_from(SERVER_NAME)?;
                    let mut stream = TlsConnector::from(config.clone()).connect(name, tcp).await?;
                    if index % 10 == 7 {
                        reset(stream.into_inner().0)?;
                        continue;
                    }
                    same(&rest(&mut stream).await?, "x")?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = workers.join_next().await {
            done??;
        }
        proxy.is_empty().await
    };
    rounds(count / 2).await?;
    let half = proxy.memory()?;
    rounds(count / 2).await?;
    let end = proxy.memory()?;
    println!("{count} connections: {} KiB after half of them, {} KiB at the end", half >> 10, end >> 10);
    ensure!(end < half + (8 << 20), "memory grew from {half} to {end} bytes in {} connections", count / 2);
    Arc::into_inner(proxy).context("a worker still has it")?.stop().await
}
