//! How connections end: `close_notify` is an end, a cut transport is an error, and so for pairs and for sockets.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::exchange::{Exchange, payload};
use host_tests::host::Host;
use host_tests::peers::component::{context_options, failure, good, pair_options};
use host_tests::peers::{rustls as native, within};
use host_tests::pump::{PairPump, SocketPump};
use host_tests::setup::{Role, Setup, Turn, Version};
use host_tests::table::Row;
use host_tests::{exchange::Application as _, tcp};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for version in [Version::Tls12, Version::Tls13] {
        for over_streams in [false, true] {
            for (what, end) in ENDS {
                let through = if over_streams { "socket" } else { "pair" };
                let name = format!("{what}, to a {through}, {version}");
                rows.push(Row::new("ends", name, move || run(version, over_streams, end)).shows("K19"));
            }
        }
    }
    rows
}

/// How the peer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By `close_notify`.
    Well,
    /// The transport ends after the data.
    Cut,
    /// The transport ends in the middle of a record.
    CutInside,
    /// The transport is reset.
    Reset,
    /// The transport ends before the handshake is done.
    CutHandshake,
}

const ENDS: [(&str, End); 5] = [
    ("close_notify", End::Well),
    ("a transport cut after the data", End::Cut),
    ("a transport cut inside a record", End::CutInside),
    ("a transport that is reset", End::Reset),
    ("a transport cut in the handshake", End::CutHandshake),
];

async fn run(version: Version, over_streams: bool, end: End) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let server = Setup { versions: (version, version), ..Setup::server(Kind::P256) };
    let theirs = tokio::spawn(peer(server, listener, end));
    let setup = Setup { turn: Turn::AfterPeer, bytes: 0, ..Setup::client(Kind::P256) };
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(&setup)).await?)?;
    let options = pair_options(&setup, Role::Client);
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let exchange = Exchange::new(setup.turn, setup.bytes);
    let (error, (_, received, ended)) = if over_streams {
        let socket = good(tls.socket(context, &options, tcp::streams(tcp)).await?)?;
        let mut pump = SocketPump::new(socket, exchange);
        (within(pump.run(&mut tls)).await?, pump.application.result())
    } else {
        let pair = good(tls.pair(context, &options).await?)?;
        let mut pump = PairPump::new(pair, tcp, exchange);
        (within(pump.run(&mut tls)).await?, pump.application.result())
    };
    within(async { theirs.await? }).await.context("the peer")?;
    let code = error.as_ref().map(|error| failure(error).code);
    let eof = "ERR_SSL_UNEXPECTED_EOF_WHILE_READING";
    let (is_end, codes): (bool, &[Option<&str>]) = match end {
        End::Well => (true, &[None]),
        End::Cut | End::CutInside | End::CutHandshake => (false, &[Some(eof)]),
        // The host may have read the end as one, or as a fault of the stream.
        End::Reset => (false, &[Some(eof), Some("ECONNRESET")]),
    };
    ensure!(ended == is_end && codes.contains(&code.as_deref()), "{ended}, {error:?}");
    let whole = matches!(end, End::Well | End::Cut);
    ensure!(!whole || received.bytes == BYTES, "{} bytes came before the end", received.bytes);
    Ok(())
}

/// A server that sends some bytes and ends as it is told.
async fn peer(setup: Setup, listener: TcpListener, end: End) -> Result<()> {
    let (tcp, _) = listener.accept().await?;
    if let End::CutHandshake = end {
        let mut tcp = tcp;
        // The beginning of a handshake record, which never comes to its end.
        tcp.write_all(&[22, 3, 3, 0, 100, 2, 0, 0, 96]).await?;
        return Ok(tcp.shutdown().await?);
    }
    let acceptor = TlsAcceptor::from(Arc::new(native::server_config(&setup)?));
    let mut stream = acceptor.accept(tcp).await?;
    stream.write_all(&payload()[..BYTES]).await?;
    stream.flush().await?;
    match end {
        End::Well => {
            let (_, result) = Exchange::new(Turn::First, 0).run(stream).await;
            return Ok(result?);
        }
        End::CutInside => {
            let (tcp, connection) = stream.get_mut();
            use std::io::Write as _;
            connection.writer().write_all(b"more")?;
            let mut record = Vec::new();
            connection.write_tls(&mut record)?;
            tcp.write_all(&record[..record.len() / 2]).await?;
            tcp.shutdown().await?;
        }
        End::Reset => stream.get_ref().0.set_zero_linger()?,
        End::Cut | End::CutHandshake => stream.get_mut().0.shutdown().await?,
    }
    Ok(())
}

const BYTES: usize = 100_000;
