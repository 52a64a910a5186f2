//! The PROXY protocol: who connected, before the first byte of the connection
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::net::SocketAddr;

use ppp::{HeaderResult, PartialResult as _, v1, v2};

use crate::bindings::guest::tls::secure_pair::SecurePair;
use crate::failure::{Failure, Result, version_name};
use crate::net::Duplex;

/// Where a connection comes from, and where it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    /// The client's.
    pub(crate) source: SocketAddr,
    /// The one that it connected to.
    pub(crate) destination: SocketAddr,
}

/// Reads the header of a connection. Gives what it says, if it says something, and what came after it.
pub(crate) async fn read(duplex: &Duplex) -> Result<(Option<Addresses>, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let parsed = HeaderResult::parse(&bytes);
        if !parsed.is_incomplete() {
            let (addresses, length) = match parsed {
                HeaderResult::V1(Ok(header)) => (of_v1(header.addresses), header.header.len()),
                HeaderResult::V2(Ok(header)) => (of_v2(&header), header.len()),
                HeaderResult::V1(Err(error)) => return Err(wrong(error)),
                HeaderResult::V2(Err(error)) => return Err(wrong(error)),
            };
            bytes.drain(..length);
            return Ok((addresses, bytes));
        }
        if bytes.len() > LIMIT {
            return Err(wrong(format_args!("it does not end within {LIMIT} bytes")));
        }
        match duplex.read(LIMIT).await? {
            Some(more) => bytes.extend(more),
            None => return Err(wrong("the connection ended within it")),
        }
    }
}

/// A header of version 2, with what TLS knows of the client, where it was TLS.
pub(crate) fn write(addresses: Option<Addresses>, pair: Option<&SecurePair>) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| Failure::network(format!("no header of the PROXY protocol: {error}"));
    let proxy = v2::Version::Two as u8 | v2::Command::Proxy as u8;
    let mut builder = match addresses {
        Some(Addresses { source, destination }) => {
            v2::Builder::with_addresses(proxy, v2::Protocol::Stream, (source, destination))
        }
        None => v2::Builder::with_addresses(
            v2::Version::Two as u8 | v2::Command::Local as u8,
            v2::Protocol::Unspecified,
            v2::Addresses::Unspecified,
        ),
    };
    let Some(pair) = pair else { return builder.build().map_err(failed) };
    if let Some(alpn) = pair.alpn_protocol() {
        builder = builder.write_tlv(v2::Type::ALPN, &alpn).map_err(failed)?;
    }
    if let Some(name) = pair.servername() {
        builder = builder.write_tlv(v2::Type::Authority, name.as_bytes()).map_err(failed)?;
    }
    builder.write_tlv(v2::Type::SSL, &ssl(pair)).map_err(failed)?.build().map_err(failed)
}

/// The value of PP2_TYPE_SSL: what is true of the client, whether its certificate was verified (0: yes), and more values.
fn ssl(pair: &SecurePair) -> Vec<u8> {
    let certificate = pair.peer_certificates().into_iter().next();
    let shown = certificate.is_some();
    let flags = CLIENT_SSL | if shown { CLIENT_CERT_CONN | CLIENT_CERT_SESS } else { 0 };
    let verified = !shown || pair.authorized();
    let mut value = vec![flags];
    value.extend(u32::from(!verified).to_be_bytes());
    let mut add = |kind: v2::Type, bytes: &[u8]| {
        // What is longer than a name can be is left out.
        if let Ok(length) = u16::try_from(bytes.len()) {
            value.push(kind.into());
            value.extend(length.to_be_bytes());
            value.extend(bytes);
        }
    };
    if let Some(version) = pair.protocol() {
        add(v2::Type::SSLVersion, version_name(version).as_bytes());
    }
    if let Some(cipher) = pair.cipher() {
        add(v2::Type::SSLCipher, cipher.name.as_bytes());
    }
    let common_name =
        certificate.and_then(|certificate| certificate.subject.into_iter().rfind(|attribute| attribute.name == "CN"));
    if let Some(common_name) = common_name {
        add(v2::Type::SSLCommonName, common_name.value.as_bytes());
    }
    value
}

fn of_v1(addresses: v1::Addresses) -> Option<Addresses> {
    match addresses {
        v1::Addresses::Tcp4(v4) => Some(Addresses {
            source: (v4.source_address, v4.source_port).into(),
            destination: (v4.destination_address, v4.destination_port).into(),
        }),
        v1::Addresses::Tcp6(v6) => Some(Addresses {
            source: (v6.source_address, v6.source_port).into(),
            destination: (v6.destination_address, v6.destination_port).into(),
        }),
        v1::Addresses::Unknown => None,
    }
}

fn of_v2(header: &v2::Header<'_>) -> Option<Addresses> {
    // A connection of the balancer's own, such as a check of health.
    if header.command == v2::Command::Local {
        return None;
    }
    match header.addresses {
        v2::Addresses::IPv4(v4) => Some(Addresses {
            source: (v4.source_address, v4.source_port).into(),
            destination: (v4.destination_address, v4.destination_port).into(),
        }),
        v2::Addresses::IPv6(v6) => Some(Addresses {
            source: (v6.source_address, v6.source_port).into(),
            destination: (v6.destination_address, v6.destination_port).into(),
        }),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    }
}

fn wrong(why: impl std::fmt::Display) -> Failure {
    Failure::network(format!(
        "the connection has no header of the PROXY protocol, which --accept-proxy-protocol wants: {why}"
    ))
}

/// The flags of PP2_TYPE_SSL: over TLS, with a certificate in this connection, and in this session.
const CLIENT_SSL: u8 = 1;
const CLIENT_CERT_CONN: u8 = 2;
const CLIENT_CERT_SESS: u8 = 4;

/// The longest header that is read.
const LIMIT: usize = 4096;
