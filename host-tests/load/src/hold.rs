//! TLS connections that are held open: made by rustls, verified, and idle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
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

    /// Asks for the small file over each connection, which is closed then. An answer that is not good is an error.
    pub(crate) fn ask_all(self) -> Result<()> {
        let count = self.connections.len();
        for (number, mut connection) in self.connections.into_iter().enumerate() {
            ask(&mut connection)
                .with_context(|| format!("connection {} of {count} after its idle time", number + 1))?;
        }
        Ok(())
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

fn ask(connection: &mut Connection) -> Result<()> {
    connection.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    let good = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&[b'x'; SMALL]);
    // Not every terminator ends TLS before TCP; what was asked for is complete or not by its length.
    match read {
        _ if good => Ok(()),
        Err(error) => Err(error).context("reading the answer"),
        Ok(_) => anyhow::bail!("not the file, but {} bytes", answer.len()),
    }
}

/// How many connections are made at once.
const THREADS: usize = 8;

/// How long a peer may take.
const PATIENCE: Duration = Duration::from_secs(20);
