//! TLS connections that are held open: made by rustls, verified, and idle.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};

use crate::place::SMALL;

/// Connections to one server.
pub(crate) struct Held {
    to: SocketAddr,
    configuration: Arc<ClientConfig>,
    connections: Vec<Connection>,
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Held {
    /// None yet; the server's certificate has to come from the authority in this file.
    pub(crate) fn new(to: SocketAddr, authority: &Path) -> Result<Held> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority).context("the authority's certificate")?)?;
        let mut configuration = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        // Sessions are measured elsewhere; these would share a store, and wait for each other.
        configuration.resumption = rustls::client::Resumption::disabled();
        Ok(Held { to, configuration: Arc::new(configuration), connections: Vec::new() })
    }

    /// Makes connections until there are `count`, each with a complete TLS 1.3 handshake. One that fails is an error.
    pub(crate) fn grow(&mut self, count: usize) -> Result<()> {
        let missing = count.saturating_sub(self.connections.len());
        let this = &*self;
        let made: Result<Vec<Vec<_>>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| missing / THREADS + usize::from(number < missing % THREADS))
                .map(|share| scope.spawn(move || (0..share).map(|_| this.connect()).collect::<Result<Vec<_>>>()))
                .collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?).collect()
        });
        let made = made.with_context(|| format!("at most {count} connections"))?;
        self.connections.extend(made.into_iter().flatten());
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.connections.len()
    }

    /// Asks for the small file over one connection after the other, for so long at most, and gives over how many. An answer that is not
    /// good is an error, and so is one of the others that is not open any more.
    pub(crate) fn ask(&mut self, time: Duration) -> Result<usize> {
        let share = self.connections.len().div_ceil(THREADS).max(1);
        let end = Instant::now() + time;
        let asked: Result<Vec<usize>> = thread::scope(|scope| {
            let shares = self.connections.chunks_mut(share);
            let threads: Vec<_> = shares.map(|share| scope.spawn(move || ask_until(share, end))).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?).collect()
        });
        Ok(asked.context("a connection after its idle time")?.iter().sum())
    }

    fn connect(&self) -> Result<Connection> {
        let mut stream = TcpStream::connect_timeout(&self.to, PATIENCE).context("TCP")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.configuration), ServerName::try_from("localhost")?)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).context("TLS handshake")?;
        }
        ensure!(tls.protocol_version() == Some(ProtocolVersion::TLSv1_3), "this is not TLS 1.3");
        Ok(StreamOwned::new(tls, stream))
    }
}

fn ask_until(connections: &mut [Connection], end: Instant) -> Result<usize> {
    let mut asked = 0;
    for connection in connections {
        if Instant::now() < end {
            ask(connection)?;
            asked += 1;
        } else {
            connection.sock.set_nonblocking(true)?;
            match connection.sock.peek(&mut [0]) {
                Ok(0) => bail!("the server has ended it"),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                // Nothing, or the tickets that nobody has read.
                Ok(_) | Err(_) => {}
            }
        }
    }
    Ok(asked)
}

fn ask(connection: &mut Connection) -> Result<()> {
    connection.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = [0; 2 * SMALL];
    while !answer.ends_with(&[b'x'; SMALL]) {
        let count = connection.read(&mut part).context("reading the answer")?;
        ensure!(count > 0, "the answer ended after {} bytes", answer.len());
        answer.extend_from_slice(&part[..count]);
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "not the file: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// How many connections are made, or asked, at once.
const THREADS: usize = 8;

/// How long a peer may take.
const PATIENCE: Duration = Duration::from_secs(20);
