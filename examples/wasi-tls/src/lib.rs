//! Standard input to a TLS server, and what the server says to standard output: `client HOST PORT [NAME]`, where `NAME` is what the
//! server's certificate has to be for, which is `HOST` unless it is given.
//!
//! No byte passes through this program: it connects streams. It ends when the server has ended.

use std::net::IpAddr;

use anyhow::{Context as _, Result, anyhow, ensure};
use wasip3::cli::{environment, stdin, stdout};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};

use bindings::wasi::tls::client::Connector;
use bindings::wasi::tls::types::Error;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../p3/wit/deps/tls", "wit"],
        world: "example:client/client",
        generate_all,
    });
}

struct Client;

impl wasip3::exports::cli::run::Guest for Client {
    async fn run() -> Result<(), ()> {
        run().await.map_err(|error| eprintln!("client: {error:#}"))
    }
}

#[allow(unsafe_code, reason = "generated")]
mod export {
    use super::Client;

    wasip3::cli::command::export!(Client);
}

async fn run() -> Result<()> {
    let arguments = environment::get_arguments();
    let (host, port, name) = match &arguments[..] {
        [_, host, port] => (host, port, host),
        [_, host, port, name] => (host, port, name),
        _ => return Err(anyhow!("usage: client HOST PORT [NAME]")),
    };
    let port = port.parse::<u16>().with_context(|| format!("{port:?} is no port"))?;
    let tcp = dial(host, port).await?;

    let connector = Connector::new();
    let (input, _) = stdin::read_via_stream();
    let (records, _sent) = connector.send(input);
    let _ = tcp.send(records);
    let (records, _) = tcp.receive();
    let (output, received) = connector.receive(records);
    Connector::connect(connector, name.clone()).await.map_err(of_tls).with_context(|| format!("no TLS with {name}"))?;

    let written = stdout::write_via_stream(output).await;
    // A stream just ends. Whether that was the server's end, or somebody cut it short, is told here.
    received.await.map_err(of_tls).context("the server's answer")?;
    written.map_err(|cause| anyhow!("standard output: {cause:?}"))
}

/// The first of the host's addresses that answers.
async fn dial(host: &str, port: u16) -> Result<TcpSocket> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => vec![IpAddress::Ipv4(address.octets().into())],
        Ok(IpAddr::V6(address)) => vec![IpAddress::Ipv6(address.segments().into())],
        Err(_) => resolve_addresses(host.to_owned()).await.with_context(|| format!("the name {host}"))?,
    };
    ensure!(!addresses.is_empty(), "{host} has no address");
    let mut last = None;
    for address in addresses {
        let (family, address) = match address {
            IpAddress::Ipv4(address) => {
                (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }))
            }
            IpAddress::Ipv6(address) => (
                IpAddressFamily::Ipv6,
                IpSocketAddress::Ipv6(Ipv6SocketAddress { port, address, flow_info: 0, scope_id: 0 }),
            ),
        };
        let socket = TcpSocket::create(family).context("a socket")?;
        match socket.connect(address).await {
            Ok(()) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(anyhow!("no connection to {host} port {port}: {last:?}"))
}

fn of_tls(error: Error) -> anyhow::Error {
    anyhow!("{}", error.to_debug_string())
}
