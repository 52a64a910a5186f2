//! A client and a server in one instance, joined in memory: every byte between them goes through the test's hands.

use anyhow::{Result, ensure};

use crate::certificates::Kind;
use crate::peers::component::{context_options, good, pair_options};
use crate::setup::{Role, Setup};
use crate::tls::{Cleartext, Context, Error, Event, Pair, Tls};

/// Contexts for any number of links.
#[derive(Clone, Debug)]
pub struct Ends {
    client: (Context, Setup),
    server: (Context, Setup),
}

/// Two connections that talk to each other.
#[derive(Debug)]
pub struct Link {
    /// The client.
    pub client: End,
    /// The server.
    pub server: End,
}

/// One of the two.
#[derive(Debug)]
pub struct End {
    /// The connection.
    pub pair: Pair,
    /// What was not yet taken by it.
    pub inbox: Vec<u8>,
    /// What it has read.
    pub cleartext: Vec<u8>,
    /// Whether its handshake is done.
    pub secure: bool,
    /// Whether it has seen the other's end.
    pub ended: bool,
    /// Whether its transport was ended.
    pub cut: bool,
    /// What ended it, where an error did.
    pub error: Option<Error>,
}

impl Ends {
    /// Contexts for these setups.
    pub async fn new(tls: &mut Tls, client: Setup, server: Setup) -> Result<Ends> {
        let client_context = good(tls.context(&context_options(&client)).await?)?;
        let server_context = good(tls.context(&context_options(&server)).await?)?;
        Ok(Ends { client: (client_context, client), server: (server_context, server) })
    }

    /// The usual ones, with a certificate on P-256.
    pub async fn usual(tls: &mut Tls) -> Result<Ends> {
        Ends::new(tls, Setup::client(Kind::P256), Setup::server(Kind::P256)).await
    }

    /// Two connections at their beginning.
    pub async fn link(&self, tls: &mut Tls) -> Result<Link> {
        let client = good(tls.pair(self.client.0, &pair_options(&self.client.1, Role::Client)).await?)?;
        let server = good(tls.pair(self.server.0, &pair_options(&self.server.1, Role::Server)).await?)?;
        Ok(Link { client: End::new(client), server: End::new(server) })
    }
}

impl Link {
    /// Moves all that can be moved. `carry` gets what goes from the named end, and gives what arrives.
    pub async fn drive(&mut self, tls: &mut Tls, mut carry: impl FnMut(Role, Vec<u8>) -> Vec<u8>) -> Result<()> {
        loop {
            let to_server = self.client.take(tls).await?;
            let to_client = self.server.take(tls).await?;
            let mut moved = !to_server.is_empty() || !to_client.is_empty();
            if !to_server.is_empty() {
                self.server.inbox.extend(carry(Role::Client, to_server));
            }
            if !to_client.is_empty() {
                self.client.inbox.extend(carry(Role::Server, to_client));
            }
            moved |= self.client.give(tls).await?;
            moved |= self.server.give(tls).await?;
            if !moved {
                return Ok(());
            }
        }
    }

    /// Moves all that can be moved, unchanged.
    pub async fn drive_well(&mut self, tls: &mut Tls) -> Result<()> {
        self.drive(tls, |_, bytes| bytes).await
    }

    /// Ends both transports, and moves what that leads to.
    pub async fn cut(&mut self, tls: &mut Tls) -> Result<()> {
        for end in [&mut self.client, &mut self.server] {
            end.cut = true;
            end.pair.end_encrypted(tls).await?;
        }
        self.drive_well(tls).await
    }

    /// Sends a few bytes each way, ends both sides, and is an error if anything is not as it should be.
    pub async fn finish_well(mut self, tls: &mut Tls) -> Result<()> {
        self.drive_well(tls).await?;
        self.say_and_end(tls).await?;
        self.drive_well(tls).await?;
        for (role, end) in [(Role::Client, &self.client), (Role::Server, &self.server)] {
            ensure!(end.is_good(), "a connection that was not disturbed is not good at the {role}: {end:?}");
            ensure!(end.pair.is_closed(tls).await?, "the {role} is not closed after both ends");
        }
        self.drop(tls).await
    }

    /// Both ends say [`WORDS`] and end.
    pub async fn say_and_end(&mut self, tls: &mut Tls) -> Result<()> {
        for end in [&mut self.client, &mut self.server] {
            match end.pair.write_cleartext(tls, WORDS).await? {
                Ok(taken) => ensure!(taken == WORDS.len() as u64, "a few bytes were not taken, but {taken}"),
                Err(error) => end.error = Some(error),
            }
            end.pair.end(tls).await?;
        }
        Ok(())
    }

    /// Drops both connections.
    pub async fn drop(self, tls: &mut Tls) -> Result<()> {
        self.client.pair.drop(tls).await?;
        self.server.pair.drop(tls).await
    }
}

impl End {
    /// An end that was not yet driven.
    pub fn new(pair: Pair) -> End {
        let (inbox, cleartext) = (Vec::new(), Vec::new());
        End { pair, inbox, cleartext, secure: false, ended: false, cut: false, error: None }
    }

    /// Whether its handshake is done, [`WORDS`] have come and then the end, and no error.
    pub fn is_good(&self) -> bool {
        self.secure && self.ended && self.error.is_none() && self.cleartext == WORDS
    }

    /// What it has for the other.
    pub async fn take(&mut self, tls: &mut Tls) -> Result<Vec<u8>> {
        self.pair.read_encrypted(tls, CHUNK).await
    }

    /// Gives it what is in its inbox, and reads what it has; says whether anything moved.
    pub async fn give(&mut self, tls: &mut Tls) -> Result<bool> {
        let mut moved = false;
        if self.error.is_none() && !self.inbox.is_empty() {
            match self.pair.write_encrypted(tls, &self.inbox).await? {
                Ok(taken) => {
                    self.inbox.drain(..taken as usize);
                    moved |= taken > 0;
                }
                Err(error) => self.error = Some(error),
            }
        }
        while let Some(event) = self.pair.next_event(tls).await? {
            self.secure |= matches!(event, Event::Secure);
            moved = true;
        }
        while !self.ended {
            match self.pair.read_cleartext(tls, CHUNK).await? {
                Ok(Cleartext::Data(bytes)) => self.cleartext.extend(bytes),
                Ok(Cleartext::End) => self.ended = true,
                Ok(Cleartext::Pending) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
            moved = true;
        }
        Ok(moved)
    }
}

/// What is said over a link that must be good.
pub const WORDS: &[u8] = b"the quick brown fox";

const CHUNK: u64 = 64 * 1024;
