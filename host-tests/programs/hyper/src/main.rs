//! Gets a page so many times by hyper, each over a connection of its own, and writes what it got to standard output:
//! `hyper-get URL CA-FILE COUNT`. The URL names its host by an IPv4 address.

mod tcp;

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddrV4;
use std::pin::pin;
use std::sync::Arc;
use std::{env, fs, io};

use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::{Request, Uri, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::BufReader;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use tcp::Tcp;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, authority, count] = arguments.as_slice() else {
        return Err("usage: hyper-get URL CA-FILE COUNT".into());
    };
    let authority = fs::read(authority).map_err(|error| format!("can't read {authority}: {error}"))?;
    let url = url.parse()?;
    for _ in 0..count.parse()? {
        tcp::block_on(get(&url, connector(&authority)?))?;
    }
    Ok(())
}

/// A client of TLS that trusts this authority and nobody else.
fn connector(authority: &[u8]) -> Result<TlsConnector, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(guest_tls::provider::crypto_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

async fn get(url: &Uri, tls: TlsConnector) -> Result<(), Box<dyn Error>> {
    let authority = url.authority().ok_or("the URL names no host")?;
    let address: SocketAddrV4 = authority.as_str().parse().map_err(|_| "the host is no IPv4 address and port")?;
    let name = ServerName::IpAddress(address.ip().to_owned().into());
    // rustls reads 4 KiB at a time, and each of ours is a call of the host.
    let tcp = BufReader::with_capacity(1 << 16, Tcp::connect(address).await?);
    let stream = tls.connect(name, tcp).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(url.path()).header("host", authority.as_str()).body(Empty::<Bytes>::new())?;
    let page = pin!(async {
        let mut response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(format!("the server says {}", response.status()).into());
        }
        while let Some(frame) = response.frame().await {
            if let Some(data) = frame?.data_ref() {
                io::stdout().write_all(data)?;
            }
        }
        Ok(())
    });
    match select(page, pin!(connection)).await {
        Either::Left((result, _)) => result,
        // The connection may be over before its last bytes are read.
        Either::Right((ended, page)) => {
            ended?;
            page.await
        }
    }
}
