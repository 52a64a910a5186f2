//! TCP on 127.0.0.1.

use anyhow::{Context as _, Result, anyhow};
use wasip3::sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket};

/// A connection to this port.
pub(crate) async fn dial(port: u16) -> Result<TcpSocket> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).context("a socket")?;
    socket.connect(address(port)).await.map_err(|error| anyhow!("no connection to port {port}: {error:?}"))?;
    Ok(socket)
}

/// A socket with a port of its own.
pub(crate) fn bind() -> Result<TcpSocket> {
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).context("a socket")?;
    socket.bind(address(0)).context("no port")?;
    Ok(socket)
}

/// The port of a socket.
pub(crate) fn port(socket: &TcpSocket) -> Result<u16> {
    match socket.get_local_address().context("the socket's address")? {
        IpSocketAddress::Ipv4(address) => Ok(address.port),
        IpSocketAddress::Ipv6(address) => Ok(address.port),
    }
}

fn address(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) })
}
