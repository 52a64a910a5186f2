//! A TCP connection as the two streams of `wasi:io` that a component can own.

use std::io::ErrorKind;

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::bytes::{Buf as _, Bytes};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

/// Splits a connection into an input stream and an output stream. Dropping the output stream ends the sending side.
pub fn streams(tcp: TcpStream) -> (TcpInput, TcpOutput) {
    let (read, write) = tcp.into_split();
    (TcpInput { tcp: read }, TcpOutput { tcp: write, waiting: Bytes::new() })
}

/// Bytes that come from the peer.
pub struct TcpInput {
    tcp: OwnedReadHalf,
}

/// Bytes that go to the peer.
pub struct TcpOutput {
    tcp: OwnedWriteHalf,
    /// What was taken and not yet sent. Nothing more is taken before it is gone.
    waiting: Bytes,
}

#[async_trait]
impl Pollable for TcpInput {
    async fn ready(&mut self) {
        // An error shows at the next read.
        let _ = self.tcp.readable().await;
    }
}

impl InputStream for TcpInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut buffer = vec![0; size.min(CHUNK)];
        match self.tcp.try_read(&mut buffer) {
            Ok(0) if size > 0 => Err(StreamError::Closed),
            Ok(count) => {
                buffer.truncate(count);
                Ok(buffer.into())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => Err(StreamError::LastOperationFailed(error.into())),
        }
    }
}

#[async_trait]
impl Pollable for TcpOutput {
    async fn ready(&mut self) {
        while !self.waiting.is_empty() {
            if self.tcp.writable().await.is_err() || self.send().is_err() {
                return;
            }
        }
    }
}

impl OutputStream for TcpOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !self.waiting.is_empty() {
            return Err(StreamError::trap("written without a permit"));
        }
        self.waiting = bytes;
        self.send()
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.send()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.send()?;
        Ok(if self.waiting.is_empty() { CHUNK } else { 0 })
    }
}

impl TcpOutput {
    fn send(&mut self) -> StreamResult<()> {
        while !self.waiting.is_empty() {
            match self.tcp.try_write(&self.waiting) {
                Ok(count) => self.waiting.advance(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(StreamError::LastOperationFailed(error.into())),
            }
        }
        Ok(())
    }
}

/// The most that is read or taken at once.
const CHUNK: usize = 64 * 1024;
