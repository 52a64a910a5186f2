//! The component by the crate `guest-tls-wasmtime`, as streams of tokio.

use std::net::Ipv4Addr;

use anyhow::Result;
use guest_tls_wasmtime::{Acceptor, AcceptorOptions, Connector, ConnectorOptions, Context, Error, Info, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::Listening;
use super::component::{self, context_options, protocol_name};
use crate::exchange::{Application as _, Exchange, hex};
use crate::host::Host;
use crate::setup::{EXPORTER_BYTES, EXPORTER_LABEL, Failure, Report, Setup};

/// A server that takes as many connections as the setup says, one after another. It reports the last one.
pub async fn listen(setup: &Setup) -> Result<Listening> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    // The component may be its own client: then it is another instance.
    let acceptor = acceptor(&Host::shared()?.pool().isolated(), setup).await?;
    let setup = setup.clone();
    let server = async move {
        let mut report = Report::default();
        for _ in 0..setup.connections {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            report = talk(&setup, acceptor.accept(tcp).await).await?;
        }
        Ok(report)
    };
    Ok(Listening::spawn(port, server))
}

/// A client, likewise: the connector offers the session of the connection before by itself.
pub async fn connect(setup: &Setup, port: u16) -> Result<Report> {
    let connector = connector(Host::shared()?.pool(), setup).await?;
    let mut report = Report::default();
    for _ in 0..setup.connections {
        let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        tcp.set_nodelay(true)?;
        report = talk(setup, connector.connect(&setup.servername, tcp).await).await?;
    }
    Ok(report)
}

/// A server's side of this setup.
pub async fn acceptor(host: &guest_tls_wasmtime::Host, setup: &Setup) -> Result<Acceptor> {
    let context = Context::new(host, context_options(setup).as_setters()).await?;
    let options = AcceptorOptions {
        alpn_protocols: setup.alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        request_cert: setup.request_cert,
        reject_unauthorized: setup.reject_unauthorized,
        ..AcceptorOptions::default()
    };
    Ok(Acceptor::new(&context, options).await?)
}

/// A client's side of this setup.
pub async fn connector(host: &guest_tls_wasmtime::Host, setup: &Setup) -> Result<Connector> {
    let context = Context::new(host, context_options(setup).as_setters()).await?;
    let options = ConnectorOptions {
        alpn_protocols: setup.alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        reject_unauthorized: setup.reject_unauthorized,
        danger_skip_server_identity: setup.skip_server_identity,
        ..ConnectorOptions::default()
    };
    Ok(Connector::new(&context, options))
}

async fn talk<S>(setup: &Setup, stream: Result<TlsStream<S>, Error>) -> Result<Report>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return Ok(Report { failure: Some(failure(&error)), ..Report::default() }),
    };
    let mut report = describe(stream.get_ref().1);
    let material = stream.export_keying_material(EXPORTER_BYTES as u32, EXPORTER_LABEL.as_bytes(), None).await?;
    report.exporter = Some(hex(&material));
    let (exchange, result) = Exchange::new(setup.turn, setup.bytes).run(stream).await;
    (report.sent, report.received, report.ended) = exchange.result();
    report.failure = result.err().map(|error| {
        let ours = error.get_ref().and_then(|inner| inner.downcast_ref());
        let other = || Failure { code: error.kind().to_string(), message: error.to_string(), ..Failure::default() };
        ours.map_or_else(other, failure)
    });
    Ok(report)
}

fn describe(info: &Info) -> Report {
    let leaf = info.peer_certificates.first();
    let subject = leaf.and_then(|leaf| leaf.subject.iter().find(|part| part.name == "CN"));
    Report {
        protocol: info.protocol.map(|version| protocol_name(version).to_string()),
        suite: info.cipher.as_ref().map(|cipher| cipher.standard_name.clone()),
        group: info.ephemeral_key_info.as_ref().map(|info| info.name.clone()),
        alpn: info.alpn_protocol.as_ref().map(|name| String::from_utf8_lossy(name).into_owned()),
        servername: info.servername.clone(),
        resumed: Some(info.is_session_reused),
        authorized: Some(info.authorized),
        authorization_error: info.authorization_error.as_ref().map(|error| error.code.node_name()),
        peer_subject: subject.map(|part| part.value.clone()),
        ..Report::default()
    }
}

/// What went wrong, in the words of all peers.
pub fn failure(error: &Error) -> Failure {
    match error {
        Error::Tls(error) => component::failure(error),
        other => Failure { code: format!("{other:?}"), message: other.to_string(), ..Failure::default() },
    }
}
