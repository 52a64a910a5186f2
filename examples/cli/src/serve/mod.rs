//! `guest-tls serve`: files over HTTP, an echo, or the standard streams, over TLS.

use std::cell::Cell;
use std::fmt::Write as _;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::arguments::{self, Serve, Server};
use crate::bindings::guest::tls::certificate::Certificate;
use crate::bindings::guest::tls::secure_pair::SecurePair;
use crate::counters::Counters;
use crate::failure::{Failure, Result, version_name};
use crate::listen::Service;
use crate::net::Duplex;
use crate::serve::folder::Folder;
use crate::serve::peer::Peer;
use crate::terminator::Terminator;

mod folder;
mod http;
mod peer;

/// Runs the command.
pub(crate) async fn run(arguments: Serve) -> Result<()> {
    if arguments.pipe && arguments.server.until_stdin_ends {
        return Err(Failure::usage("standard input is what --pipe sends: it can't be for --until-stdin-ends, too"));
    }
    let (content, alpn): (_, &[&str]) = match &arguments.www {
        Some(path) => (Content::Files(Folder::open(path)?), &["http/1.1"]),
        None if arguments.pipe => (Content::StandardStreams(Pipe::default()), &[]),
        None => (Content::Echo, &[]),
    };
    let (server, tls): (Rc<Server>, Rc<arguments::Tls>) = (arguments.server.into(), arguments.tls.into());
    let counters = Counters::new();
    let terminator = Terminator::new(tls, server.clone(), counters.clone(), alpn)?;
    let content = Rc::new(content);
    let service = Service::new(server, counters, Some(terminator));
    service
        .run({
            let content = content.clone();
            move |service, duplex| content.clone().talk(service, duplex)
        })
        .await?;
    match &*content {
        Content::StandardStreams(pipe) => pipe.result.take().unwrap_or(Ok(())),
        _ => Ok(()),
    }
}

/// What clients get.
enum Content {
    /// What they send.
    Echo,
    /// Files, over HTTP/1.1.
    Files(Folder),
    /// Our standard input; and what they send goes to our standard output.
    StandardStreams(Pipe),
}

/// The one connection that has the standard streams.
#[derive(Default)]
struct Pipe {
    /// Whether there was one.
    taken: Cell<bool>,
    /// How it ended.
    result: Cell<Option<Result<()>>>,
}

impl Content {
    /// A connection, from its beginning to its end.
    async fn talk(self: Rc<Self>, service: Rc<Service>, duplex: Duplex) {
        let who = duplex.addresses().map_or_else(|| "somebody".to_string(), |(remote, _)| remote.to_string());
        if let Err(failure) = self.try_talk(&service, duplex, &who).await {
            service.say(format_args!("{who}: {failure}"));
        }
    }

    async fn try_talk(&self, service: &Rc<Service>, duplex: Duplex, who: &str) -> Result<()> {
        let terminator = service.terminator.as_ref().ok_or_else(|| Failure::usage("a server needs a certificate"))?;
        let handshake = async {
            let tls = terminator.handshake(duplex, Vec::new()).await?;
            service.say(format_args!("{who}: {}", description(tls.pair())));
            Result::Ok(Peer::new(tls, service.clone()))
        };
        match self {
            Content::Echo => echo(handshake.await?).await,
            Content::Files(folder) => http::serve(handshake.await?, folder).await,
            Content::StandardStreams(pipe) => {
                // Those that are still in their handshake when the one is over must not keep the program from its end.
                let Either::Left((handshake, _)) = select(pin!(handshake), pin!(service.stopped())).await else {
                    return Ok(());
                };
                let mut peer = handshake?;
                if pipe.taken.replace(true) {
                    return Err(Failure::network("another connection has the standard streams"));
                }
                let done = peer.relay(&Duplex::standard()).await;
                pipe.result.set(Some(done));
                service.stop();
                Ok(())
            }
        }
    }
}

async fn echo(mut peer: Peer) -> Result<()> {
    while let Some(bytes) = peer.read(peer::CHUNK).await? {
        peer.write_all(&bytes).await?;
    }
    peer.end().await
}

/// What was agreed on, and with whom, in one line. What the client chose freely can't forge another one.
fn description(pair: &SecurePair) -> String {
    let mut line = pair.protocol().map_or("", version_name).to_string();
    if let Some(cipher) = pair.cipher() {
        line += &format!(", {}", cipher.standard_name);
    }
    if let Some(key) = pair.ephemeral_key_info() {
        line += &format!(", {}", key.name);
    }
    if pair.is_session_reused() {
        line += ", resumed";
    }
    if let Some(name) = pair.servername() {
        line += &format!(", for {name}");
    }
    if let Some(protocol) = pair.alpn_protocol() {
        line += &format!(", ALPN {}", String::from_utf8_lossy(&protocol).escape_debug());
    }
    if let Some(certificate) = pair.peer_certificates().first() {
        line += &format!(", client {}", subject(certificate));
    }
    line
}

fn subject(certificate: &Certificate) -> String {
    let mut subject = String::new();
    for attribute in &certificate.subject {
        let separator = if subject.is_empty() { "" } else { ", " };
        // A string takes whatever is written.
        let _ = write!(subject, "{separator}{}={}", attribute.name, attribute.value.escape_debug());
    }
    subject
}
