//! TCP by `wasi:sockets`. `std::net` would do it too, but keeps the two streams to itself, and guest-tls wants to own them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// A connection as two streams that are at home in whichever component gets them.
pub(crate) struct Tcp {
    /// What comes.
    pub(crate) input: InputStream,
    /// What goes.
    pub(crate) output: OutputStream,
    /// The parent of the streams, which lives as long as they do.
    pub(crate) socket: TcpSocket,
}

/// Connects to the first address of `host` that answers.
pub(crate) fn connect(host: &str, port: u16) -> Result<Tcp> {
    let network = instance_network();
    let mut failures = Vec::new();
    for address in addresses(&network, host)? {
        match open(&network, address, port) {
            Ok(tcp) => return Ok(tcp),
            Err(ErrorCode::AccessDenied) => bail!(
                "the host forbids a connection to {address}: it has to give the command its network \
                 (wasmtime run -S inherit-network)"
            ),
            Err(error) => failures.push(format!("{address}: {}", error.name())),
        }
    }
    bail!("no address answers: {}", failures.join(", "))
}

/// The addresses of a name, or the one that it is.
fn addresses(network: &Network, host: &str) -> Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let stream = resolve_addresses(network, host).map_err(lookup_failed)?;
    let mut addresses = Vec::new();
    loop {
        match stream.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => addresses.push(Ipv4Addr::new(a, b, c, d).into()),
            Ok(Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))) => {
                addresses.push(Ipv6Addr::new(a, b, c, d, e, f, g, h).into());
            }
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => stream.subscribe().block(),
            Err(error) => return Err(lookup_failed(error)),
        }
    }
}

fn lookup_failed(error: ErrorCode) -> anyhow::Error {
    let cause = anyhow::anyhow!("{}", error.name());
    match error {
        ErrorCode::PermanentResolverFailure | ErrorCode::AccessDenied => {
            cause.context("the host forbids to look names up (wasmtime run -S allow-ip-name-lookup), or can't")
        }
        _ => cause.context("the name can't be looked up"),
    }
}

fn open(network: &Network, address: IpAddr, port: u16) -> Result<Tcp, ErrorCode> {
    let (family, address) = match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            let address = Ipv4SocketAddress { port, address: (a, b, c, d) };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(address))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            let address = (a, b, c, d, e, f, g, h);
            let address = Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    };
    let socket = create_tcp_socket(family)?;
    socket.start_connect(network, address)?;
    loop {
        match socket.finish_connect() {
            Ok((input, output)) => return Ok(Tcp { input, output, socket }),
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            Err(error) => return Err(error),
        }
    }
}
