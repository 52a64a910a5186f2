//! A connection as a stream of tokio.

mod buffer;
mod core;
mod wakers;
mod write;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::core::Core;
pub(crate) use self::wakers::Wakers;
use crate::bindings::exports::guest::tls::types::{Error as TlsError, ErrorCode};
use crate::connector::Sessions;
use crate::error::Error;
use crate::info::Info;
use crate::pool::{Export, Origin, Pool};

/// A TLS connection over the transport `S`, after its handshake.
///
/// * Reading gives what the peer said, and an end where it has ended by `close_notify`. Where the transport ended without one, what
///   came may have been cut short: that is an error of kind [`io::ErrorKind::UnexpectedEof`], for the reader alone.
/// * Writing is Ready when the records with the bytes were offered to the transport, as with tokio-rustls: what the transport takes is on
///   its way, whatever becomes of the stream. What it does not take waits, and writing is pending while more than 64 KiB do. Flush to be
///   sure that the transport has all; what it did not take goes on whenever the stream is read, written or flushed.
/// * `shutdown` sends `close_notify` after all that was written, and shuts the sending side of the transport down. Reading goes on: each
///   side ends alone.
/// * Dropping the stream drops the transport as it is, which is a truncation for the peer unless `shutdown` was called.
///
/// # Cancel safety
///
/// `read` loses nothing when it is dropped. `flush` and `shutdown` can be called again.
///
/// `write` that waits for the transport has written nothing, so it can be dropped. One that waits for the guest, which encrypts in another
/// thread, takes as long as a turn of the guest (microseconds to milliseconds) and can't be taken back: dropped in that time, its bytes
/// are sent. A `write` after it that begins with the same bytes counts as the same one, so that who tries again sends them once; after a
/// `flush` it is a new one.
/// `write_all` that is dropped may have written a part, as with any stream.
///
/// # Errors
///
/// Errors are [`Error`]s inside of [`io::Error`]s. They end the connection, and each later call gives the same.
#[derive(Debug)]
pub struct TlsStream<S> {
    transport: S,
    core: Core,
    info: Info,
}

impl<S> TlsStream<S> {
    /// The transport, and what was agreed on in the handshake.
    pub fn get_ref(&self) -> (&S, &Info) {
        (&self.transport, &self.info)
    }

    /// The transport. Whoever reads from it or writes to it breaks the connection.
    pub fn get_mut(&mut self) -> (&mut S, &Info) {
        (&mut self.transport, &self.info)
    }

    /// The transport alone. What was not yet read or sent is lost.
    pub fn into_inner(self) -> S {
        self.transport
    }

    /// Returns key material bound to this connection (row K12, RFC 5705, RFC 8446 section 7.5).
    ///
    /// # Cancel safety
    ///
    /// It changes nothing, so it can be dropped and called again.
    ///
    /// # Errors
    ///
    /// * [`Error::Tls`]: `length` is 0 or above 8160.
    /// * [`Error::Trapped`]: the instance is gone.
    pub async fn export_keying_material(
        &self,
        length: u32,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<Vec<u8>, Error> {
        let export = Export { length, label: label.to_vec(), context: context.map(<[u8]>::to_vec) };
        self.core.guest.export(export).await
    }
}

/// Begins a connection and has its handshake. Sessions of a client are kept under the name.
pub(crate) async fn open<S>(
    pool: &Pool,
    origin: Origin,
    mut transport: S,
    sessions: Option<(Arc<Sessions>, String)>,
    timeout: Duration,
) -> Result<TlsStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let handshake = async {
        let wakers = Arc::new(Wakers::default());
        let guest = pool.open(origin, &wakers).await?;
        let mut core = Core::new(guest, wakers, sessions);
        let done = poll_fn(|cx| core.poll_handshake(&mut transport, cx)).await;
        if done.is_err() {
            let farewell = poll_fn(|cx| core.poll_farewell(&mut transport, cx));
            // A peer that does not read its alert does not want it.
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
        done.map(|info| (core, info))
    };
    // The guest has this deadline as well, but is not asked while nothing happens.
    let done = tokio::time::timeout(timeout, handshake).await;
    let (core, info) = done.unwrap_or_else(|_| Err(too_long(timeout)))?;
    Ok(TlsStream { transport, core, info })
}

/// A time as the guest takes it.
pub(crate) fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_read(transport, cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_write(transport, cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_write(transport, cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_flush(transport, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let TlsStream { transport, core, .. } = self.get_mut();
        core.poll_shutdown(transport, cx)
    }
}

fn too_long(timeout: Duration) -> Error {
    let message = format!("the handshake was not done within {timeout:?}; the peer may be slow, or not speak TLS");
    Error::Tls(TlsError { code: ErrorCode::ErrTlsHandshakeTimeout, message, alert: None, reason: None })
}

/// How long a handshake may take unless the options say otherwise: Node's `handshakeTimeout`.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a peer may take to read its alert.
const FAREWELL: Duration = Duration::from_secs(2);
