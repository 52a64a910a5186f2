//! An HTTPS server and client with hyper, over HTTP/2 or HTTP/1.1 as ALPN decides.
//!
//!     cargo run -p guest-tls-wasmtime --example https -- serve guest-tls.wasm cert.pem key.pem 8443
//!     cargo run -p guest-tls-wasmtime --example https -- get guest-tls.wasm https://localhost:8443/ ca.pem
//!
//! Without `ca.pem`, the client trusts Mozilla's roots. Port 0 is one that the system chooses; the server says which.

use std::env;
use std::error::Error;
use std::fs;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use guest_tls_wasmtime::{
    Acceptor, AcceptorOptions, Connector, ConnectorOptions, Context, ContextOptions, Host, Info, TlsStream,
};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version, client, server};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = env::args().skip(1).collect::<Vec<_>>();
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let done = match arguments.as_slice() {
        ["serve", component, cert, key, port] => serve(component, cert, key, port).await,
        ["get", component, url] => get(component, url, None).await,
        ["get", component, url, ca] => get(component, url, Some(ca)).await,
        _ => Err("use: https serve COMPONENT CERT KEY PORT, or https get COMPONENT URL [CA]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("https: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(component: &str, cert: &str, key: &str, port: &str) -> Result<()> {
    let host = Host::new(&fs::read(component)?)?;
    let context = Context::new(&host, ContextOptions::new().cert(fs::read(cert)?).key(fs::read(key)?)).await?;
    let options = AcceptorOptions {
        alpn_protocols: PROTOCOLS.map(Vec::from).to_vec(),
        handshake_timeout: Duration::from_secs(10),
        ..AcceptorOptions::default()
    };
    let acceptor = Acceptor::new(&context, options).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse::<u16>()?)).await?;
    println!("https://localhost:{}/", listener.local_addr()?.port());
    loop {
        let (tcp, from) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(&acceptor, tcp).await {
                eprintln!("{from}: {error}");
            }
        });
    }
}

/// Has a client's handshake and answers its requests.
async fn answer(acceptor: &Acceptor, tcp: TcpStream) -> Result<()> {
    tcp.set_nodelay(true)?;
    let tls = acceptor.accept(tcp).await?;
    let info = tls.get_ref().1.clone();
    let is_http2 = speaks_http2(&tls);
    let service = service_fn(move |request| respond(request, info.clone()));
    let io = TokioIo::new(tls);
    if is_http2 {
        server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await?;
    } else {
        server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await?;
    }
    Ok(())
}

/// Says how the request came. A body is sent back.
async fn respond(request: Request<Incoming>, info: Info) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = if body.is_empty() {
        let suite = info.cipher.map(|cipher| cipher.standard_name).unwrap_or_default();
        let group = info.ephemeral_key_info.map(|key| key.name).unwrap_or_default();
        let resumed = if info.is_session_reused { ", resumed" } else { "" };
        format!("{} {} over {:?}, {suite}, {group}{resumed}\n", head.method, head.uri.path(), head.version).into()
    } else {
        body
    };
    Ok(Response::new(Full::new(text)))
}

async fn get(component: &str, url: &str, ca: Option<&str>) -> Result<()> {
    let url = url.parse::<Uri>()?;
    let name = url.host().ok_or("the URL has no host")?;
    let port = url.port_u16().unwrap_or(443);
    let mut options = ContextOptions::new();
    if let Some(ca) = ca {
        options = options.ca(fs::read(ca)?);
    }
    let host = Host::new(&fs::read(component)?)?;
    let context = Context::new(&host, options).await?;
    let options = ConnectorOptions { alpn_protocols: PROTOCOLS.map(Vec::from).to_vec(), ..ConnectorOptions::default() };
    let connector = Connector::new(&context, options);
    let tcp = TcpStream::connect((name, port)).await?;
    tcp.set_nodelay(true)?;
    let tls = connector.connect(name, tcp).await?;
    let request = |url: Uri, version: Version| {
        Request::builder().version(version).uri(url).header(HOST, format!("{name}:{port}")).body(Empty::<Bytes>::new())
    };
    let is_http2 = speaks_http2(&tls);
    let io = TokioIo::new(tls);
    let response = if is_http2 {
        let (mut sender, connection) = client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request(url.clone(), Version::HTTP_2)?).await?
    } else {
        let (mut sender, connection) = client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        sender.send_request(request(path.parse()?, Version::HTTP_11)?).await?
    };
    eprintln!("{:?} {}", response.version(), response.status());
    print!("{}", String::from_utf8_lossy(&response.into_body().collect().await?.to_bytes()));
    Ok(())
}

fn speaks_http2<S>(tls: &TlsStream<S>) -> bool {
    tls.get_ref().1.alpn_protocol.as_deref() == Some(b"h2")
}

/// What both speak, the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
