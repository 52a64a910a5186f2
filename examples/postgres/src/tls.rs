//! From a fresh connection to TLS, as PostgreSQL does it, and a stream of cleartext that waits.

use anyhow::{Context as _, Result, bail};
use wasip2::io::poll::{Pollable, poll};

use crate::bindings::guest::tls::secure_context::{SecureContext, SecureContextOptions};
use crate::bindings::guest::tls::secure_pair::{Cleartext, SecurePair, SecurePairOptions};
use crate::bindings::guest::tls::socket::TlsSocket;
use crate::bindings::guest::tls::types::{Error, ProtocolVersion};
use crate::tcp::Tcp;

/// Whom to trust, and who we are. All in PEM.
#[derive(Default)]
pub(crate) struct Credentials {
    /// The authorities that may have issued the server's certificate. `None`: Mozilla's.
    pub(crate) ca: Option<Vec<u8>>,
    /// Our certificate with its chain, for servers that ask for one.
    pub(crate) certificate: Option<Vec<u8>>,
    /// Its private key.
    pub(crate) key: Option<Vec<u8>>,
}

/// A TLS connection. Calls wait until they are done.
pub(crate) struct Stream {
    /// Its properties.
    pair: SecurePair,
    socket: TlsSocket,
    // The parent of the streams that `socket` owns: it has to go last.
    _tcp: wasip2::sockets::tcp::TcpSocket,
}

/// Asks for TLS, and makes it: the server's certificate is verified, and is for `host`, when this is done.
pub(crate) fn start(tcp: Tcp, host: &str, credentials: &Credentials) -> Result<Stream> {
    // First the files: where one is wrong, nobody need be asked.
    let context = context(credentials)?;
    request(&tcp)?;
    let options = SecurePairOptions::new();
    options.set_servername(host);
    // Servers before PostgreSQL 17 pass it over; newer ones are sure by it that nothing else was meant (RFC 7301, the ALPACA attack).
    options.set_alpn_protocols(&[b"postgresql".to_vec()]);
    let socket = TlsSocket::create(&context, options, tcp.input, tcp.output).map_err(joined)?;
    let stream = Stream { pair: socket.pair(), socket, _tcp: tcp.socket };
    stream.handshake().with_context(|| format!("no TLS with {host}"))?;
    Ok(stream)
}

impl Stream {
    /// Waits for at least one byte. `None` at the end.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.socket.read(CHUNK).map_err(failed)? {
                Cleartext::Data(bytes) => return Ok(Some(bytes)),
                Cleartext::End => return Ok(None),
                Cleartext::Pending => self.wait(),
            }
        }
    }

    /// Sends all of it.
    pub(crate) fn write(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // A call copies what it is given, so not all at once.
            let chunk = &bytes[..bytes.len().min(CHUNK as usize)];
            match self.socket.write(chunk).map_err(failed)? {
                0 => self.wait(),
                taken => bytes = &bytes[taken as usize..],
            }
        }
        self.flush()
    }

    /// Ends our side by `close_notify`, as well as that can be done.
    pub(crate) fn end(&self) {
        // All that was wanted is here: a server that has gone first is no fault.
        let _ = self.socket.end().map_err(failed).and_then(|()| self.flush());
    }

    /// The server's certificate, DER.
    pub(crate) fn server_certificate(&self) -> Result<Vec<u8>> {
        let certificates = self.pair.peer_certificates();
        Ok(certificates.into_iter().next().context("the server showed no certificate")?.raw)
    }

    /// What was agreed on, for people.
    pub(crate) fn summary(&self) -> String {
        let protocol = match self.pair.protocol() {
            Some(ProtocolVersion::Tls12) => "TLSv1.2",
            Some(ProtocolVersion::Tls13) => "TLSv1.3",
            None => "no TLS yet",
        };
        let suite = self.pair.cipher().map(|cipher| cipher.standard_name).unwrap_or_default();
        let group = self.pair.ephemeral_key_info().map(|info| info.name).unwrap_or_default();
        format!("{protocol}, {suite}, {group}")
    }

    /// Waits until the server's certificate is verified, and all of ours is sent.
    fn handshake(&self) -> Result<()> {
        while !self.socket.flush().map_err(failed)? || !self.pair.authorized() {
            self.wait();
        }
        Ok(())
    }

    /// Waits until all that was written is with the transport.
    fn flush(&self) -> Result<()> {
        while !self.socket.flush().map_err(failed)? {
            self.wait();
        }
        Ok(())
    }

    /// Waits until a call can do more than the last one did.
    fn wait(&self) {
        let pollables = self.socket.subscribe();
        // To poll nothing is a trap; the next call then says what is the matter.
        if !pollables.is_empty() {
            poll(&pollables.iter().collect::<Vec<&Pollable>>());
        }
    }
}

/// The context of the connection, or all that is wrong with the files.
fn context(credentials: &Credentials) -> Result<SecureContext> {
    let options = SecureContextOptions::new();
    if let Some(ca) = &credentials.ca {
        options.add_ca(ca);
    }
    if let Some(certificate) = &credentials.certificate {
        options.add_cert(certificate);
    }
    if let Some(key) = &credentials.key {
        options.add_key(key, None);
    }
    SecureContext::create(options).map_err(joined)
}

/// Sends `SSLRequest` (PostgreSQL's documentation, section 55.2.10) and takes the answer, one byte. Not a byte more: what comes after it
/// belongs to TLS, which refuses what someone put there in the clear (CVE-2021-23222).
fn request(tcp: &Tcp) -> Result<()> {
    let mut message = bytes::BytesMut::new();
    postgres_protocol::message::frontend::ssl_request(&mut message);
    tcp.output.blocking_write_and_flush(&message).context("SSLRequest can't be sent")?;
    let answer =
        tcp.input.blocking_read(1).context("the server closed the connection at SSLRequest: is it PostgreSQL?")?;
    match answer.first() {
        Some(b'S') => Ok(()),
        Some(b'N') => bail!(
            "the server answered N to SSLRequest: it has no TLS, and nothing is sent without; turn it on (`ssl = on` in \
             postgresql.conf, with ssl_cert_file and ssl_key_file)"
        ),
        // Its text, if there is one, could come from anybody (CVE-2024-10977).
        Some(b'E') => bail!("the server answered SSLRequest with an error: see its log"),
        other => bail!("the server answered {other:?} to SSLRequest, and S or N was expected: is it PostgreSQL?"),
    }
}

fn failed(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.message)
}

fn joined(errors: Vec<Error>) -> anyhow::Error {
    anyhow::anyhow!("{}", errors.into_iter().map(|error| error.message).collect::<Vec<_>>().join("; "))
}

/// How much goes through one call: a record and some.
const CHUNK: u64 = 32 * 1024;
