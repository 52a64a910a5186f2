//! A wire between two ends that remembers what went over it.

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A wire to a server, for one client.
pub struct Wire {
    /// Where the client connects to, on 127.0.0.1.
    pub port: u16,
    carrying: JoinHandle<Result<Record>>,
}

/// What went over a wire.
#[derive(Debug, Default)]
pub struct Record {
    /// What the client sent.
    pub from_client: Vec<u8>,
    /// What the server sent.
    pub from_server: Vec<u8>,
}

impl Wire {
    /// A wire to the server at this port.
    pub async fn to(server: u16) -> Result<Wire> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let carrying = tokio::spawn(async move {
            let (client, _) = listener.accept().await?;
            let server = TcpStream::connect(("127.0.0.1", server)).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let (from_client, from_server) = tokio::join!(carry(from_client, to_server), carry(from_server, to_client));
            Ok(Record { from_client, from_server })
        });
        Ok(Wire { port, carrying })
    }

    /// What went over it, when both ends are gone.
    pub async fn record(self) -> Result<Record> {
        self.carrying.await?
    }
}

impl Record {
    /// Whether these bytes could be read from the wire.
    pub fn shows(&self, words: &[u8]) -> bool {
        [&self.from_client, &self.from_server]
            .iter()
            .any(|bytes| bytes.windows(words.len()).any(|piece| piece == words))
    }
}

/// Carries bytes until there are no more, and remembers them. A reset is an end: what it means, both ends say.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    // Whoever is gone needs no end.
    let _ = to.shutdown().await;
    all
}
