//! Proxies, back ends and clients of these tests.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::cli::Running;
use host_tests::paths;
use host_tests::peers::command::Peer;
use host_tests::peers::rustls::client_config;
use host_tests::setup::Setup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// A proxy with a certificate for the servers of the tests.
pub(crate) struct Proxy {
    pub(crate) running: Running,
    pub(crate) port: u16,
    pub(crate) admin: u16,
    pub(crate) folder: Folder,
}

impl Proxy {
    pub(crate) async fn start(back: u16, arguments: &[&str]) -> Result<Proxy> {
        Proxy::start_in(Folder::new("proxy")?, back, arguments).await
    }

    /// With files of the folder, which it sees as `/`. Without `--client`, it has a certificate.
    pub(crate) async fn start_in(folder: Folder, back: u16, arguments: &[&str]) -> Result<Proxy> {
        Proxy::start_on(&[], folder, back, arguments).await
    }

    /// With more options of `wasmtime run`.
    pub(crate) async fn start_on(options: &[&str], folder: Folder, back: u16, arguments: &[&str]) -> Result<Proxy> {
        let mut running = Proxy::running(options, &folder, back, arguments)?;
        let (port, admin) = (running.port().await?, running.admin().await?);
        Ok(Proxy { running, port, admin, folder })
    }

    /// What it says, where it does not start since its command line is wrong.
    pub(crate) async fn refused(arguments: &[&str]) -> Result<String> {
        let ended = Proxy::running(&[], &Folder::new("proxy")?, 9, arguments)?.ended().await?;
        ensure!(ended.code == 2, "{ended:?}");
        Ok(ended.stderr)
    }

    pub(crate) fn running(options: &[&str], folder: &Folder, back: u16, arguments: &[&str]) -> Result<Running> {
        let to = format!("127.0.0.1:{back}");
        let mut all =
            vec!["proxy", "--listen", "127.0.0.1:0", "--to", &to, "--admin", "127.0.0.1:0", "--until-stdin-ends"];
        if !arguments.contains(&"--client") {
            let server = Kind::P256.server();
            folder.put("cert.pem", &server.full_chain())?;
            folder.put("key.pem", &server.key)?;
            all.extend(["--cert", "/cert.pem", "--key", "/key.pem"]);
        }
        all.extend(arguments);
        Running::start_with(options, &[(&folder.0, "/")], &all)
    }

    pub(crate) async fn tcp(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?)
    }

    pub(crate) async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        self.connect_as(&setup()).await
    }

    pub(crate) async fn connect_as(&self, setup: &Setup) -> Result<TlsStream<TcpStream>> {
        handshake(setup, self.tcp().await?).await
    }

    /// A connection to an echo comes about, and a byte there and back.
    pub(crate) async fn works(&self) -> Result<()> {
        let mut stream = self.connect().await?;
        stream.write_all(b"x").await?;
        ensure!(stream.read_u8().await? == b'x', "another byte");
        stream.shutdown().await?;
        ensure!(stream.read(&mut [0]).await? == 0, "something came after the end");
        Ok(())
    }

    /// The certificate that it shows now.
    pub(crate) async fn shown(&self) -> Result<Vec<u8>> {
        let stream = self.connect().await?;
        let certificates = stream.get_ref().1.peer_certificates().context("no certificate")?;
        Ok(certificates[0].to_vec())
    }

    pub(crate) async fn counters(&self) -> Result<String> {
        let output = Command::new("curl")
            .args(["-sS", "-m", "10", &format!("http://127.0.0.1:{}/metrics", self.admin)])
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Waits until so many connections are open.
    pub(crate) async fn settles(&self, open: usize) -> Result<()> {
        self.counts(&format!("guest_tls_connections_open {open}\n")).await
    }

    /// Waits until so many connections are given up, and their peers do not take the last bytes.
    pub(crate) async fn lingers(&self, lingering: usize) -> Result<()> {
        self.counts(&format!("guest_tls_connections_lingering {lingering}\n")).await
    }

    /// Waits until this is among the counters.
    pub(crate) async fn counts(&self, expected: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let counters = self.counters().await?;
            if counters.contains(expected) {
                return Ok(());
            }
            ensure!(started.elapsed() < LIMIT, "it never counts `{}`: {counters}", expected.trim());
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn is_empty(&self) -> Result<()> {
        self.settles(0).await
    }

    /// Waits until it says this on standard error.
    pub(crate) async fn says(&mut self, what: &str) -> Result<()> {
        let started = Instant::now();
        while !self.running.said().contains(what) {
            ensure!(started.elapsed() < LIMIT, "it never says `{what}`, but:\n{}", self.running.said());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The resident memory of its process, in bytes.
    pub(crate) fn memory(&self) -> Result<usize> {
        let id = self.running.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? << 10)
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let ended = self.running.stop().await?;
        ensure!(ended.code == 0, "{ended:?}");
        Ok(())
    }
}

/// Where connections go.
pub(crate) struct Back {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Back {
    pub(crate) async fn start<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> Result<Back>
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        Back::of(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, talk)
    }

    pub(crate) fn of<F>(listener: TcpListener, talk: impl Fn(TcpStream) -> F + Send + 'static) -> Result<Back>
    where
        F: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                // A client that is reset resets the back end, too.
                tokio::spawn(talk(tcp));
            }
        });
        Ok(Back { port, connections, accepting })
    }

    pub(crate) async fn echo() -> Result<Back> {
        Back::start(|mut tcp| async move {
            let (mut reader, mut writer) = tcp.split();
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.shutdown().await
        })
        .await
    }

    pub(crate) async fn says(what: &'static str) -> Result<Back> {
        Back::start(move |mut tcp| async move { tcp.write_all(what.as_bytes()).await }).await
    }

    /// Says the header of version 2 that it got.
    pub(crate) async fn says_the_header() -> Result<Back> {
        Back::start(|mut tcp| async move {
            let mut header = vec![0; 16];
            tcp.read_exact(&mut header).await?;
            let length = u16::from_be_bytes([header[14], header[15]]);
            header.resize(16 + usize::from(length), 0);
            tcp.read_exact(&mut header[16..]).await?;
            tcp.write_all(&header).await
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A folder of a proxy's own.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Result<Folder> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = paths::scratch()?.join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }

    pub(crate) fn put(&self, name: &str, content: &str) -> Result<()> {
        Ok(std::fs::write(self.0.join(name), content)?)
    }
}

pub(crate) trait Pem {
    /// Chain and key in one file.
    fn pem(&self) -> String;
}

impl Pem for Identity {
    fn pem(&self) -> String {
        format!("{}{}", self.full_chain(), self.key)
    }
}

/// `openssl s_server -www`, whose page says whether a session was resumed.
pub(crate) async fn openssl_server() -> Result<(Peer, u16)> {
    Peer::openssl_server(&Kind::P256.server(), &["-www"]).await
}

pub(crate) fn setup() -> Setup {
    Setup { roots: vec![Kind::P256.authority()], ..Setup::default() }
}

pub(crate) async fn handshake(setup: &Setup, tcp: TcpStream) -> Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(client_config(setup)?));
    let name = ServerName::try_from(setup.servername.clone())?;
    Ok(timeout(LIMIT, connector.connect(name, tcp)).await.context("the handshake takes too long")??)
}

/// What comes until the end.
pub(crate) async fn rest(stream: &mut TlsStream<TcpStream>) -> Result<String> {
    let mut said = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut said)).await.context("no end")??;
    Ok(String::from_utf8(said)?)
}

/// Closes a connection by RST.
pub(crate) fn reset(tcp: TcpStream) -> Result<()> {
    let tcp = tcp.into_std()?;
    let socket = socket2::Socket::from(tcp);
    socket.set_linger(Some(Duration::ZERO))?;
    Ok(())
}

pub(crate) fn same(said: &str, expected: &str) -> Result<()> {
    if said != expected {
        bail!("`{said}` was said, and `{expected}` expected");
    }
    Ok(())
}

/// Longer than anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
