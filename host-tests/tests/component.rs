//! What the component promises beside the connections of the matrix.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use host_tests::certificates::{Kind, Request};
use host_tests::exchange::{Application, Echo, Exchange, Outgoing, hex, payload};
use host_tests::host::Host;
use host_tests::memory::{End, Ends, Link};
use host_tests::peers::component::{context_options, good, good_answer, pair_options, report};
use host_tests::peers::{Peer, within};
use host_tests::pump::{PairPump, SocketPump};
use host_tests::rows;
use host_tests::service::Service;
use host_tests::setup::{Report, Role, SUITES, Setup, Tally, Turn, Version};
use host_tests::table;
use host_tests::tcp;
use host_tests::tls::{Cleartext, ErrorCode, Event, PairOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn main() {
    table::main(rows![
        "component":
        it_imports_io_clocks_and_randomness_and_nothing_else,
        it_exports_its_interfaces,
        it_names_its_ciphers_sorted_in_lower_case [M1],
        a_reader_that_does_not_read_stops_the_writer_and_memory_stays,
        either_side_goes_on_after_the_other_has_ended,
        a_server_picks_the_context_by_name [M3 O15 K4],
        a_server_is_asked_for_the_context_and_may_answer_late [O15],
        the_server_chooses_among_application_protocols [O16 K4],
        key_material_is_the_same_as_with_rustls [K12],
        sockets_talk_to_everyone_over_streams_of_wasi_io [M4 M5 K6 K19],
        tls_starts_on_streams_that_were_used_before [M5],
        one_instance_serves_many_connections_at_once [M2 M3 S1],
        one_instance_serves_many_sockets_at_once [M2 M3],
        a_slow_reader_gets_all_over_tcp,
        a_handle_to_a_sockets_pair_leaves_the_transport_to_the_socket,
    ]);
}

async fn it_imports_io_clocks_and_randomness_and_nothing_else() -> Result<()> {
    let imports = Host::shared()?.imports();
    let allowed = ["wasi:io/", "wasi:clocks/", "wasi:random/"];
    let others = imports.iter().filter(|name| !allowed.iter().any(|prefix| name.starts_with(prefix)));
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

async fn it_exports_its_interfaces() -> Result<()> {
    let exports = Host::shared()?.exports();
    for (interface, item) in [
        ("guest:tls/secure-context@0.1.0", "secure-context"),
        ("guest:tls/secure-context@0.1.0", "ciphers"),
        ("guest:tls/certificate@0.1.0", "parse"),
        ("guest:tls/certificate@0.1.0", "check-server-identity"),
        ("guest:tls/certificate@0.1.0", "root-certificates"),
        ("guest:tls/secure-pair@0.1.0", "secure-pair"),
        ("guest:tls/socket@0.1.0", "tls-socket"),
        ("guest:tls/server@0.1.0", "server"),
        ("guest:tls/splice@0.1.0", "receive"),
    ] {
        let items = exports.iter().find(|(name, _)| name == interface).map(|(_, items)| items);
        assert!(items.is_some_and(|items| items.iter().any(|name| name == item)), "{interface}.{item} in {exports:?}");
    }
    Ok(())
}

async fn it_names_its_ciphers_sorted_in_lower_case() -> Result<()> {
    let mut expected = SUITES.map(|suite| suite.openssl.to_lowercase());
    expected.sort();
    assert_eq!(Host::shared()?.instance().await?.ciphers().await?, expected);
    Ok(())
}

async fn a_reader_that_does_not_read_stops_the_writer_and_memory_stays() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    let mut link = Ends::usual(&mut tls).await?.link(&mut tls).await?;
    link.drive_well(&mut tls).await?;
    let Link { client, server } = &mut link;
    let mut written = 0;
    // TCP in between holds a little: a sender whose bytes are not taken does not send more.
    while server.inbox.len() < 256 * 1024 {
        let taken = good_answer(client.pair.write_cleartext(&mut tls, &payload()[..64 * 1024]).await?)?;
        written += taken;
        server.inbox.extend(client.take(&mut tls).await?);
        let took = good_answer(server.pair.write_encrypted(&mut tls, &server.inbox).await?)?;
        server.inbox.drain(..took as usize);
        ensure!(written < 64 << 20, "64 MiB were taken and nobody read");
    }
    let memory = tls.memory();
    let took = good_answer(server.pair.write_encrypted(&mut tls, &server.inbox).await?)?;
    ensure!(took == 0, "the reader's side still takes {took} bytes");
    let mut refused = 0;
    for _ in 0..2000 {
        let taken = good_answer(client.pair.write_cleartext(&mut tls, &payload()[..64 * 1024]).await?)?;
        written += taken;
        refused += usize::from(taken == 0);
    }
    ensure!(refused > 1900, "the writer was told to stop {refused} times of 2000");
    ensure!(tls.memory() <= memory + (1 << 20), "memory: {memory} then {}", tls.memory());
    ensure!(written < 2 << 20, "{written} bytes wait in a connection");
    // And all of it comes when the reader reads.
    client.pair.end(&mut tls).await?;
    link.drive_well(&mut tls).await?;
    ensure!(link.server.ended && link.server.cleartext.len() as u64 == written, "{written} bytes were taken");
    link.drop(&mut tls).await
}

async fn either_side_goes_on_after_the_other_has_ended() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    for version in [Version::Tls12, Version::Tls13] {
        for first in [Role::Client, Role::Server] {
            let only = |setup: Setup| Setup { versions: (version, version), ..setup };
            let ends = Ends::new(&mut tls, only(Setup::client(Kind::P256)), only(Setup::server(Kind::P256))).await?;
            let mut link = ends.link(&mut tls).await?;
            link.drive_well(&mut tls).await?;
            let pair = |link: &Link, role| if role == Role::Client { link.client.pair } else { link.server.pair };
            let second = if first == Role::Client { Role::Server } else { Role::Client };
            pair(&link, first).end(&mut tls).await?;
            link.drive_well(&mut tls).await?;
            let after = pair(&link, first).write_cleartext(&mut tls, b"more").await?;
            ensure!(
                after.is_err_and(|error| error.code == ErrorCode::ErrStreamWriteAfterEnd),
                "{version}: written after the end"
            );
            for _ in 0..10 {
                good_answer(pair(&link, second).write_cleartext(&mut tls, b"still here").await?)?;
                link.drive_well(&mut tls).await?;
            }
            ensure!(!pair(&link, first).is_closed(&mut tls).await?, "{version}: closed with one end open");
            pair(&link, second).end(&mut tls).await?;
            link.drive_well(&mut tls).await?;
            let (ended, reader) = match first {
                Role::Client => (&link.server, &link.client),
                Role::Server => (&link.client, &link.server),
            };
            ensure!(ended.ended && reader.ended, "{version}: an end did not come");
            ensure!(reader.cleartext == b"still here".repeat(10), "{version}: {:?}", reader.cleartext);
            ensure!(
                reader.pair.is_closed(&mut tls).await? && ended.pair.is_closed(&mut tls).await?,
                "{version}: not closed"
            );
            link.drop(&mut tls).await?;
        }
    }
    Ok(())
}

async fn a_server_picks_the_context_by_name() -> Result<()> {
    let root = Kind::P256.authority();
    let certificate = |name: &str, alt_names: &str| {
        Request { alt_names, issuer: Some(&root), ..Request::new(name, Kind::P256) }.issue()
    };
    let own = Setup::server(Kind::P256);
    let setup = Setup { turn: Turn::AfterPeer, ..own };
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(&setup)).await?)?;
    let server = good(tls.server(context, &pair_options(&setup, Role::Server)).await?)?;
    for (hostname, name) in [
        ("a.test", "exact"),
        ("*.a.test", "wildcard"),
        ("b.a.test", "exact below the wildcard"),
        ("twice.test", "old"),
        ("twice.test", "new"),
    ] {
        let identity = certificate(name, &format!("DNS:{hostname}"));
        let context = good(tls.context(&context_options(&Setup { identity: Some(identity), ..setup.clone() })).await?)?;
        good_answer(server.add_context(&mut tls, hostname, context).await?)?;
    }
    let mut service = Service::of(tls, server, || Exchange::new(Turn::AfterPeer, 1024)).await?;
    for (asked, subject) in [
        ("a.test", "exact"),
        ("c.a.test", "wildcard"),
        ("b.a.test", "exact below the wildcard"),
        ("B.A.TEST", "exact below the wildcard"),
        ("twice.test", "new"),
        ("server.test", "server.test"),
        ("localhost", "server.test"),
    ] {
        for peer in [Peer::OpenSsl, Peer::Node, Peer::Rustls] {
            let client = Setup { servername: asked.to_string(), turn: Turn::WhenAllCame, ..Setup::client(Kind::P256) };
            let seen = peer.connect(&client, service.port).await?;
            ensure!(seen.peer_subject.as_deref() == Some(subject), "{} asked for {asked}: {seen:?}", peer.name());
            let own = service.next().await?;
            ensure!(own.servername.as_deref() == Some(asked.to_lowercase().as_str()), "{asked}: {:?}", own.servername);
        }
    }
    // A wildcard stands for one label only.
    let client =
        Setup { servername: "d.c.a.test".to_string(), reject_unauthorized: false, ..Setup::client(Kind::P256) };
    let seen = Peer::Node.connect(&Setup { turn: Turn::WhenAllCame, ..client }, service.port).await?;
    ensure!(seen.peer_subject.as_deref() == Some("server.test"), "{seen:?}");
    Ok(())
}

async fn a_server_is_asked_for_the_context_and_may_answer_late() -> Result<()> {
    let other = Request { issuer: Some(&Kind::P256.authority()), ..Request::new("other", Kind::P256) }.issue();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    for (answer_other, subject) in [(true, "other"), (false, "server.test")] {
        let setup = Setup { turn: Turn::AfterPeer, ..Setup::server(Kind::P256) };
        let mut tls = Host::shared()?.instance().await?;
        let context = good(tls.context(&context_options(&setup)).await?)?;
        let another = Setup { identity: Some(Arc::clone(&other)), ..setup.clone() };
        let another = good(tls.context(&context_options(&another)).await?)?;
        let options = PairOptions { sni_event: true, ..pair_options(&setup, Role::Server) };
        let pair = good(tls.pair(context, &options).await?)?;
        let early = pair.answer_sni(&mut tls, None).await?;
        ensure!(early.is_err_and(|error| error.code == ErrorCode::ErrInvalidState), "answered before the question");
        let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(Kind::P256) };
        let client = tokio::spawn(async move { Peer::Node.connect(&client, port).await });
        let (tcp, _) = listener.accept().await?;
        let mut pump = PairPump::new(pair, tcp, Exchange::new(setup.turn, setup.bytes));
        within(async {
            loop {
                ensure!(pump.step(&mut tls).await?.is_continue(), "over before the question");
                if !pump.asked().is_empty() {
                    break;
                }
                pump.wait().await?;
            }
            Ok(())
        })
        .await?;
        ensure!(pump.asked() == [Some("server.test".to_string())], "{:?}", pump.asked());
        tokio::time::sleep(Duration::from_millis(100)).await;
        ensure!(pump.step(&mut tls).await?.is_continue() && !pump.is_secure(), "it did not wait for the answer");
        good_answer(pump.answer_sni(&mut tls, answer_other.then_some(another)).await?)?;
        let again = pump.answer_sni(&mut tls, None).await?;
        ensure!(again.is_err_and(|error| error.code == ErrorCode::ErrInvalidState), "answered twice");
        let error = within(pump.run(&mut tls)).await?;
        ensure!(error.is_none(), "{error:?}");
        let seen = client.await??;
        ensure!(seen.peer_subject.as_deref() == Some(subject) && seen.failure.is_none(), "{seen:?}");
    }
    Ok(())
}

async fn the_server_chooses_among_application_protocols() -> Result<()> {
    for peer in [Peer::OpenSsl, Peer::Node, Peer::Rustls] {
        for (servers, clients, chosen) in [
            (vec!["h2", "http/1.1"], vec!["http/1.1", "h2"], Some("h2")),
            (vec!["http/1.1"], vec!["h2", "http/1.1"], Some("http/1.1")),
            (vec!["h2"], vec![], None),
            (vec![], vec!["h2"], None),
        ] {
            let client = Setup { alpn: clients.clone(), turn: Turn::WhenAllCame, ..Setup::client(Kind::P256) };
            let server = Setup { alpn: servers.clone(), turn: Turn::AfterPeer, ..Setup::server(Kind::P256) };
            for (one, other) in [(peer, Peer::Component), (Peer::Component, peer)] {
                let (client, server) = host_tests::meeting::meet(one, &client, other, &server).await?;
                for (role, who, report) in [(Role::Client, one, client), (Role::Server, other, server)] {
                    let silent = who == Peer::OpenSsl && chosen.is_none();
                    let right = silent || report.alpn.as_deref() == chosen;
                    ensure!(
                        right && report.failure.is_none(),
                        "{role} {}, {servers:?}, {clients:?}: {report:?}",
                        who.name()
                    );
                }
            }
        }
    }
    Ok(())
}

async fn key_material_is_the_same_as_with_rustls() -> Result<()> {
    for version in [Version::Tls12, Version::Tls13] {
        let server = Setup { versions: (version, version), ..Setup::server(Kind::P256) };
        let config = host_tests::peers::rustls::server_config(&server)?;
        let mut theirs = rustls::ServerConnection::new(Arc::new(config))?;
        let mut tls = Host::shared()?.instance().await?;
        let client = Setup { versions: (version, version), ..Setup::client(Kind::P256) };
        let context = good(tls.context(&context_options(&client)).await?)?;
        let mut ours = End::new(good(tls.pair(context, &pair_options(&client, Role::Client)).await?)?);
        let early = ours.pair.export_keying_material(&mut tls, 32, b"EXPERIMENTAL", None).await?;
        ensure!(early.is_err_and(|error| error.code == ErrorCode::ErrInvalidState), "exported before the handshake");
        while !ours.secure || theirs.is_handshaking() {
            let bytes = ours.take(&mut tls).await?;
            theirs.read_tls(&mut bytes.as_slice())?;
            theirs.process_new_packets()?;
            theirs.write_tls(&mut ours.inbox)?;
            ours.give(&mut tls).await?;
            ensure!(ours.error.is_none(), "{:?}", ours.error);
        }
        for (length, label, context) in [
            (32, "EXPERIMENTAL", None),
            (32, "EXPERIMENTAL", Some(&b""[..])),
            (20, "EXPORTER-Channel-Binding", Some(&b""[..])),
            (255, "EXPERIMENTAL other", Some(&b"context"[..])),
        ] {
            let mut expected = vec![0; length];
            theirs.export_keying_material(&mut expected, label.as_bytes(), context)?;
            let exported = ours.pair.export_keying_material(&mut tls, length as u32, label.as_bytes(), context).await?;
            let exported = good_answer(exported)?;
            ensure!(hex(&exported) == hex(&expected), "{version} {length} {label} {context:?}");
        }
        for length in [0, 8161] {
            let exported = ours.pair.export_keying_material(&mut tls, length, b"EXPERIMENTAL", None).await?;
            ensure!(exported.is_err_and(|error| error.code == ErrorCode::ErrInvalidArgValue), "{length} bytes");
        }
    }
    Ok(())
}

async fn sockets_talk_to_everyone_over_streams_of_wasi_io() -> Result<()> {
    for peer in [Peer::OpenSsl, Peer::Node, Peer::Rustls] {
        for version in [Version::Tls12, Version::Tls13] {
            let turn = if peer.cannot_half_close().is_some() { Turn::WhenAllCame } else { Turn::Second };
            let client = Setup { versions: (version, version), turn, bytes: 1 << 20, ..Setup::client(Kind::P256) };
            let server = Setup { turn: turn.other(), bytes: 1 << 20, ..Setup::server(Kind::P256) };
            let listening = peer.listen(&server).await?;
            let tcp = TcpStream::connect(("127.0.0.1", listening.port)).await?;
            let own = within(socket_client(&client, tcp)).await?;
            agree(&own, &listening.report().await?, version)?;

            let server = Setup { versions: (version, version), ..server };
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let port = listener.local_addr()?.port();
            let (seen, own) = tokio::join!(peer.connect(&client, port), within(socket_server(&server, listener)));
            agree(&own?, &seen?, version)?;
        }
    }
    Ok(())
}

async fn tls_starts_on_streams_that_were_used_before() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let server = Setup::server(Kind::P256);
    let config = Arc::new(host_tests::peers::rustls::server_config(&server)?);
    let theirs = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await?;
        tcp.write_all(b"220 mail.test ESMTP\r\n").await?;
        expect(&mut tcp, b"STARTTLS\r\n").await?;
        tcp.write_all(b"220 go ahead\r\n").await?;
        let stream = tokio_rustls::TlsAcceptor::from(config).accept(tcp).await?;
        let (exchange, result) = Exchange::new(Turn::Second, 1024).run(stream).await;
        result?;
        anyhow::Ok(exchange.result())
    });
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    expect(&mut tcp, b"220 mail.test ESMTP\r\n").await?;
    tcp.write_all(b"STARTTLS\r\n").await?;
    expect(&mut tcp, b"220 go ahead\r\n").await?;
    let own = within(socket_client(&Setup::client(Kind::P256), tcp)).await?;
    let (sent, received, ended) = within(async { theirs.await? }).await?;
    ensure!(own.failure.is_none() && own.ended && ended, "{own:?}");
    ensure!((own.sent, own.received) == (received, sent), "other bytes");
    Ok(())
}

async fn one_instance_serves_many_connections_at_once() -> Result<()> {
    let mut service = Service::start(&Setup::server(Kind::P256), Echo::default).await?;
    let mut clients = Vec::new();
    for number in 0..24 {
        let peer = [Peer::Node, Peer::Rustls, Peer::Component][number % 3];
        let client = Setup { turn: Turn::First, bytes: 200_000 + number, ..Setup::client(Kind::P256) };
        let port = service.port;
        clients.push(tokio::spawn(async move { peer.connect(&client, port).await }));
    }
    for client in clients {
        let seen = client.await??;
        ensure!(seen.failure.is_none() && seen.ended && seen.sent == seen.received, "{seen:?}");
        ensure!(service.next().await?.failure.is_none());
    }
    Ok(())
}

async fn one_instance_serves_many_sockets_at_once() -> Result<()> {
    let setup = Setup::server(Kind::P256);
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(&setup)).await?)?;
    let server = good(tls.server(context, &pair_options(&setup, Role::Server)).await?)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let clients = (0..12).map(|number| {
        let peer = [Peer::Node, Peer::Rustls][number % 2];
        let client = Setup { turn: Turn::First, bytes: 200_000 + number, ..Setup::client(Kind::P256) };
        tokio::spawn(async move { peer.connect(&client, port).await })
    });
    let clients = clients.collect::<Vec<_>>();
    let mut pumps = Vec::new();
    for _ in &clients {
        let (tcp, _) = listener.accept().await?;
        pumps.push(SocketPump::new(good_answer(server.accept(&mut tls, tcp::streams(tcp)).await?)?, Echo::default()));
    }
    // One loop for all, as a component that uses this one would have it.
    within(async {
        while !pumps.is_empty() {
            let mut open = Vec::new();
            let mut pollables = Vec::new();
            for mut pump in pumps.drain(..) {
                if pump.step(&mut tls).await?.is_continue() {
                    pollables.extend(pump.socket().subscribe(&mut tls).await?);
                    open.push(pump);
                } else {
                    pump.socket().drop(&mut tls).await?;
                }
            }
            if !pollables.is_empty() {
                tls.ready(&pollables).await?;
            }
            tls.drop_pollables(pollables)?;
            pumps = open;
        }
        Ok(())
    })
    .await?;
    for client in clients {
        let seen = client.await??;
        ensure!(seen.failure.is_none() && seen.ended && seen.sent == seen.received, "{seen:?}");
    }
    Ok(())
}

async fn a_slow_reader_gets_all_over_tcp() -> Result<()> {
    let client = Setup { bytes: 4 << 20, ..Setup::client(Kind::P256) };
    let server = Setup { bytes: 0, turn: Turn::AfterPeer, ..Setup::server(Kind::P256) };
    let mut service = Service::start(&server, Slow::new).await?;
    let seen = Peer::Rustls.connect(&client, service.port).await?;
    let own = service.next().await?;
    ensure!(seen.failure.is_none() && own.failure.is_none() && seen.sent == own.received, "{seen:?} {own:?}");
    Ok(())
}

async fn a_handle_to_a_sockets_pair_leaves_the_transport_to_the_socket() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let tcp = TcpStream::connect(listener.local_addr()?).await?;
    let setup = Setup::client(Kind::P256);
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(&setup)).await?)?;
    let socket = good(tls.socket(context, &pair_options(&setup, Role::Client), tcp::streams(tcp)).await?)?;
    let pair = socket.pair(&mut tls).await?;
    let written = pair.write_encrypted(&mut tls, b"hello").await?;
    ensure!(written.is_err_and(|error| error.code == ErrorCode::ErrInvalidState), "taken");
    ensure!(pair.read_encrypted(&mut tls, 1000).await?.is_empty(), "given");
    pair.end_encrypted(&mut tls).await?;
    ensure!(matches!(socket.read(&mut tls, 1000).await?, Ok(Cleartext::Pending)), "the socket's transport was ended");
    ensure!(pair.next_event(&mut tls).await?.is_none_or(|event| event != Event::Secure));
    pair.drop(&mut tls).await?;
    socket.drop(&mut tls).await
}

/// Reads a little at a time, with pauses.
struct Slow {
    exchange: Exchange,
    rested_at: Instant,
}

impl Slow {
    fn new() -> Slow {
        Slow { exchange: Exchange::new(Turn::AfterPeer, 0), rested_at: Instant::now() }
    }
}

impl Application for Slow {
    fn outgoing(&mut self) -> Outgoing<'_> {
        self.exchange.outgoing()
    }

    fn taken(&mut self, count: usize) {
        self.exchange.taken(count);
    }

    fn is_reading(&self) -> bool {
        self.rested_at.elapsed() > Duration::from_millis(1)
    }

    fn incoming(&mut self, bytes: &[u8]) {
        self.exchange.incoming(bytes);
        self.rested_at = Instant::now();
    }

    fn peer_ended(&mut self) {
        self.exchange.peer_ended();
    }

    fn result(&self) -> (Tally, Tally, bool) {
        self.exchange.result()
    }
}

async fn socket_client(setup: &Setup, tcp: TcpStream) -> Result<Report> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(setup)).await?)?;
    let options = pair_options(setup, Role::Client);
    let socket = good(tls.socket(context, &options, tcp::streams(tcp)).await?)?;
    let mut pump = SocketPump::new(socket, Exchange::new(setup.turn, setup.bytes));
    let error = pump.run(&mut tls).await?;
    let pair = socket.pair(&mut tls).await?;
    let seen = report(&mut tls, pair, pump.application.result(), error).await?;
    socket.drop(&mut tls).await?;
    Ok(seen)
}

async fn socket_server(setup: &Setup, listener: TcpListener) -> Result<Report> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(setup)).await?)?;
    let server = good(tls.server(context, &pair_options(setup, Role::Server)).await?)?;
    let (tcp, _) = listener.accept().await?;
    let socket = good_answer(server.accept(&mut tls, tcp::streams(tcp)).await?)?;
    let mut pump = SocketPump::new(socket, Exchange::new(setup.turn, setup.bytes));
    let error = pump.run(&mut tls).await?;
    let pair = socket.pair(&mut tls).await?;
    let seen = report(&mut tls, pair, pump.application.result(), error).await?;
    socket.drop(&mut tls).await?;
    Ok(seen)
}

fn agree(own: &Report, seen: &Report, version: Version) -> Result<()> {
    let failed = own.failure.as_ref().or(seen.failure.as_ref());
    ensure!(failed.is_none() && own.ended && seen.ended, "{version}: {own:?}\n{seen:?}");
    ensure!(own.protocol.as_deref() == Some(version.name()), "{version}: {:?}", own.protocol);
    ensure!((&own.sent, &own.received) == (&seen.received, &seen.sent), "{version}: other bytes: {own:?}\n{seen:?}");
    ensure!(own.sent.bytes == 1 << 20, "{version}: {} bytes", own.sent.bytes);
    Ok(())
}

async fn expect(tcp: &mut TcpStream, words: &[u8]) -> Result<()> {
    let mut got = vec![0; words.len()];
    within(async { Ok(tcp.read_exact(&mut got).await?) }).await?;
    ensure!(got == words, "{:?}", String::from_utf8_lossy(&got));
    Ok(())
}
