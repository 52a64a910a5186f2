//! One connection of the component over TCP, a step at a time: for tests that look at events and answer them.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::peers::component::good_answer;
use crate::peers::within;
use crate::tls::{Cleartext, Error, Event, Pair, Tls};

/// A connection, and what it has told.
#[derive(Debug)]
pub struct Conversation {
    /// The connection.
    pub pair: Pair,
    tcp: TcpStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// What came out of it for the transport, so far.
    pub sent: Vec<u8>,
    /// Its events that [`until_event`](Self::until_event) has passed over, oldest first.
    pub events: Vec<Event>,
    /// What the peer said.
    pub cleartext: Vec<u8>,
    /// Whether the peer has ended its side.
    pub ended: bool,
    /// What ended the connection.
    pub error: Option<Error>,
}

impl Conversation {
    /// A connection at its beginning, over this transport.
    pub fn new(pair: Pair, tcp: TcpStream) -> Conversation {
        let _ = tcp.set_nodelay(true);
        Conversation {
            pair,
            tcp,
            inbox: Vec::new(),
            outbox: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            cleartext: Vec::new(),
            ended: false,
            error: None,
        }
    }

    /// Goes on until there is this event, and gives it.
    pub async fn until_event(&mut self, tls: &mut Tls, is_it: impl Fn(&Event) -> bool) -> Result<Event> {
        self.until(tls, "an event", |talk| talk.events.iter().any(&is_it)).await?;
        let at = self.events.iter().position(is_it).unwrap_or_default();
        Ok(self.events.remove(at))
    }

    /// Goes on until the handshake is done.
    pub async fn until_secure(&mut self, tls: &mut Tls) -> Result<()> {
        self.until_event(tls, |event| *event == Event::Secure).await.map(|_| ())
    }

    /// Goes on until the peer has said this.
    pub async fn until_said(&mut self, tls: &mut Tls, words: &[u8]) -> Result<()> {
        let said = |talk: &Conversation| talk.cleartext.windows(words.len()).any(|window| window == words);
        self.until(tls, &String::from_utf8_lossy(words), said).await
    }

    /// Goes on until an error ends the connection, and all that was to be sent is sent.
    pub async fn until_error(&mut self, tls: &mut Tls) -> Result<Error> {
        within(async {
            while self.error.is_none() {
                self.step(tls).await?;
                ensure!(!self.ended, "the connection has ended well");
            }
            self.give(tls).await?;
            while !self.outbox.is_empty() {
                self.tcp.writable().await?;
                self.send()?;
            }
            Ok(())
        })
        .await?;
        self.error.clone().ok_or_else(|| anyhow::anyhow!("no error"))
    }

    /// Goes on until the peer has ended, or the transport has.
    pub async fn until_ended(&mut self, tls: &mut Tls) -> Result<()> {
        self.until(tls, "the end", |talk| talk.ended).await
    }

    /// Says this.
    pub async fn say(&mut self, tls: &mut Tls, mut words: &[u8]) -> Result<()> {
        within(async {
            while !words.is_empty() {
                let taken = good_answer(self.pair.write_cleartext(tls, words).await?)?;
                words = &words[taken as usize..];
                self.give(tls).await?;
                if taken == 0 {
                    self.step(tls).await?;
                }
            }
            while !self.outbox.is_empty() {
                self.tcp.writable().await?;
                self.send()?;
            }
            Ok(())
        })
        .await
    }

    /// Ends this side, and then the connection when the peer has ended as well.
    pub async fn finish(mut self, tls: &mut Tls) -> Result<()> {
        self.pair.end(tls).await?;
        self.give(tls).await?;
        self.until_ended(tls).await?;
        self.drop(tls).await
    }

    /// Drops the connection, and with it the transport.
    pub async fn drop(self, tls: &mut Tls) -> Result<()> {
        self.pair.drop(tls).await
    }

    async fn until(&mut self, tls: &mut Tls, what: &str, is_it: impl Fn(&Conversation) -> bool) -> Result<()> {
        let waited = within(async {
            while !is_it(self) {
                if let Some(error) = &self.error {
                    bail!("{error:?}");
                }
                ensure!(!self.ended, "the peer has ended");
                self.step(tls).await?;
            }
            Ok(())
        });
        let result = waited.await;
        result.map_err(|error| error.context(format!("waiting for {what}; so far: {:?}", self.events)))
    }

    /// Moves what can be moved, and where that is nothing, waits for the transport.
    pub async fn step(&mut self, tls: &mut Tls) -> Result<()> {
        self.give(tls).await?;
        if self.take(tls).await? || self.error.is_some() {
            return self.give(tls).await;
        }
        tokio::select! {
            ready = self.tcp.readable(), if self.inbox.is_empty() => {
                ready?;
                self.receive(tls).await?;
            }
            ready = self.tcp.writable(), if !self.outbox.is_empty() => {
                ready?;
                self.send()?;
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        self.take(tls).await?;
        // What came may be answered at once, and the test may not step again.
        self.give(tls).await
    }

    async fn receive(&mut self, tls: &mut Tls) -> Result<()> {
        let mut buffer = vec![0; 32 * 1024];
        match self.tcp.try_read(&mut buffer) {
            Ok(count @ 1..) => self.inbox.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // A peer that is gone may have sent a reset instead of an end.
            Ok(0) | Err(_) => self.pair.end_encrypted(tls).await?,
        }
        Ok(())
    }

    /// Gives the component what the transport brought, and takes what it tells. Says whether anything moved.
    async fn take(&mut self, tls: &mut Tls) -> Result<bool> {
        let mut moved = false;
        if !self.inbox.is_empty() && self.error.is_none() {
            match self.pair.write_encrypted(tls, &self.inbox).await? {
                Ok(taken) => {
                    self.inbox.drain(..taken as usize);
                    moved |= taken > 0;
                }
                Err(error) => self.error = Some(error),
            }
        }
        while let Some(event) = self.pair.next_event(tls).await? {
            self.events.push(event);
            moved = true;
        }
        while self.error.is_none() && !self.ended {
            match self.pair.read_cleartext(tls, 64 * 1024).await? {
                Ok(Cleartext::Data(bytes)) => self.cleartext.extend(bytes),
                Ok(Cleartext::End) => self.ended = true,
                Ok(Cleartext::Pending) => break,
                Err(error) => self.error = Some(error),
            }
            moved = true;
        }
        Ok(moved)
    }

    /// Gives the transport what the component has for it.
    pub async fn give(&mut self, tls: &mut Tls) -> Result<()> {
        loop {
            let bytes = self.pair.read_encrypted(tls, 64 * 1024).await?;
            if bytes.is_empty() {
                break;
            }
            self.sent.extend_from_slice(&bytes);
            self.outbox.extend(bytes);
        }
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        while !self.outbox.is_empty() {
            match self.tcp.try_write(&self.outbox) {
                Ok(written) => drop(self.outbox.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // What the peer said before it went is still to be read.
                Err(_) => self.outbox.clear(),
            }
        }
        Ok(())
    }

    /// Closes the transport without a word of TLS.
    pub async fn cut(mut self, tls: &mut Tls) -> Result<()> {
        self.tcp.shutdown().await?;
        self.drop(tls).await
    }
}
