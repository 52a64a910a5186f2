//! Node as the judge: the same connection between Node and Node, and with the component at either end and at both. What the ends
//! say of it must be the same, property by property, but for differences that are expected and have a reason.
//!
//! To compare one more property: a line in [`view::look`], and one in `peers/node-judge.mjs`.

pub mod view;
pub mod wire;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use crate::exchange::{Exchange, payload_of};
use crate::host::Host;
use crate::peers::component::{context_options, good, pair_options};
use crate::peers::{Peer, node, within};
use crate::pump::PairPump;
use crate::setup::{Role, Setup, Turn};
use crate::tls::{Pair, Tls};
use wire::{Record, Wire};

/// A connection that is tried in every pairing.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// What the client is told.
    pub client: Setup,
    /// What the server is told.
    pub server: Setup,
    /// Which end refuses the other's certificate, or that there is none.
    pub refuser: Option<Role>,
}

/// An end of a connection, in a pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Which end.
    pub role: Role,
    /// Who sits there.
    pub who: Peer,
    /// Who sits at the other end.
    pub other: Peer,
}

impl Seat {
    /// Who is the server.
    pub fn server(self) -> Peer {
        if self.role == Role::Server { self.who } else { self.other }
    }
}

/// A difference that is expected.
#[derive(Clone, Copy)]
pub struct Difference {
    /// The property, as in `cipher`, or one of its fields, as in `cipher.name`.
    pub property: &'static str,
    /// Why it is there.
    pub because: &'static str,
    /// In which case, in which seat it is there: in all of these, and in no other.
    pub is_there: fn(&Case, Seat) -> bool,
    /// Whether these two are that difference: what Node says opposite Node, and what is said in that seat.
    pub is: fn(&Value, &Value) -> bool,
}

impl Case {
    /// Tries it in every pairing. The error names all that is not as expected.
    pub async fn judge(&self, differences: &[Difference]) -> Result<()> {
        let reference = self.meet(Peer::Node, Peer::Node).await.context("node, with node")?;
        let mut wrong = reference.wrong.clone();
        for (client, server) in PAIRINGS {
            let what = || format!("{} as client, with {} as server", client.name(), server.name());
            let outcome = self.meet(client, server).await.with_context(what)?;
            wrong.extend(outcome.wrong.iter().map(|wrong| format!("{}: {wrong}", what())));
            for (seat, node, seen) in [
                (Seat { role: Role::Client, who: client, other: server }, &reference.client, &outcome.client),
                (Seat { role: Role::Server, who: server, other: client }, &reference.server, &outcome.server),
            ] {
                wrong.extend(self.compare(seat, node, seen, differences));
            }
        }
        if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
    }

    /// What is different between the reference's view and one in the same seat, and should not be; and what should be, and is not.
    pub fn compare(&self, seat: Seat, node: &Value, seen: &Value, differences: &[Difference]) -> Vec<String> {
        let mut expected =
            differences.iter().filter(|difference| (difference.is_there)(self, seat)).collect::<Vec<_>>();
        let (who, other) = (seat.who.name(), seat.other.name());
        let mut wrong = Vec::new();
        // Of a connection that failed, only that is known.
        let failed = [node, seen].iter().any(|view| !view["error"].is_null());
        let (node, seen) = (view::lines(node), view::lines(seen));
        let paths = node.keys().chain(seen.keys()).filter(|path| !failed || *path == "error").collect::<BTreeSet<_>>();
        let mut found = BTreeSet::new();
        for path in &paths {
            let (node, seen) = (node.get(*path).unwrap_or(&Value::Null), seen.get(*path).unwrap_or(&Value::Null));
            if node == seen {
                continue;
            }
            match expected.iter().position(|difference| difference.covers(path) && (difference.is)(node, seen)) {
                Some(at) => drop(found.insert(at)),
                None => wrong.push(format!(
                    "{who} as {}, with {other}: `{path}` is {seen}, and with node on both sides {node}",
                    seat.role
                )),
            }
        }
        let mut at = 0;
        expected.retain(|difference| {
            at += 1;
            let compared = !failed || difference.covers("error");
            compared && !found.contains(&(at - 1))
        });
        wrong.extend(expected.iter().map(|Difference { property, because, .. }| {
            format!("{who} as {}, with {other}: `{property}` is no longer different, {because}", seat.role)
        }));
        wrong
    }

    async fn meet(&self, client: Peer, server: Peer) -> Result<Outcome> {
        let (client_setup, server_setup) = self.setups();
        let (server_port, seen_by_server) = listen(server, &server_setup).await?;
        let wire = Wire::to(server_port).await?;
        let seen_by_client = connect(client, &client_setup, wire.port);
        let (client, server) = tokio::try_join!(async { seen_by_client.await.context("the client") }, async {
            seen_by_server.await.context("the server")
        },)?;
        let record = within(wire.record()).await.context("the wire")?;
        let wrong = disagreements(&client, &server, &record);
        Ok(Outcome { client: client.view, server: server.view, wrong })
    }

    fn setups(&self) -> (Setup, Setup) {
        let client = Setup { turn: CLIENTS, bytes: BYTES, ..self.client.clone() };
        let server = Setup { turn: CLIENTS.other(), bytes: BYTES, ..self.server.clone() };
        (client, server)
    }
}

impl Difference {
    fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.property).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// What the two ends of a connection saw.
struct Outcome {
    client: Value,
    server: Value,
    /// Where they do not agree with each other, or with the wire.
    wrong: Vec<String>,
}

/// What one end saw.
struct Seen {
    view: Value,
    /// Bytes that it read from and wrote to the wire, where it counts them.
    bytes: Option<(u64, u64)>,
}

/// What the two ends say that can't be, whoever they are.
fn disagreements(client: &Seen, server: &Seen, record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    if [client, server].iter().any(|end| !end.view["error"].is_null()) {
        return wrong;
    }
    for (one, other) in view::SECRETS {
        for (one, other) in [(&client.view[one], &server.view[other]), (&client.view[other], &server.view[one])] {
            if one != other {
                wrong.push(format!("the client's and the server's {one:?} differ: {other:?}"));
            }
        }
    }
    if [CLIENTS, CLIENTS.other()].iter().any(|turn| record.shows(&payload_of(*turn, BYTES))) {
        wrong.push("what is said can be read from the wire".to_string());
    }
    let (from_client, from_server) = (record.from_client.len() as u64, record.from_server.len() as u64);
    for (end, expected) in [(client, (from_server, from_client)), (server, (from_client, from_server))] {
        if end.bytes.is_some_and(|bytes| bytes != expected) {
            wrong.push(format!("bytes read and written: {:?}, and {expected:?} on the wire", end.bytes));
        }
    }
    wrong
}

async fn listen(peer: Peer, setup: &Setup) -> Result<(u16, impl Future<Output = Result<Seen>> + use<>)> {
    let server = if peer == Peer::Node {
        Server::Node(within(node::listen_judging(setup)).await?)
    } else {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (tls, pair) = start(setup, Role::Server).await?;
        Server::Component(listener, Box::new(tls), pair)
    };
    let port = match &server {
        Server::Node(judging) => judging.port,
        Server::Component(listener, ..) => listener.local_addr()?.port(),
    };
    let turn = setup.turn;
    Ok((port, async move {
        match server {
            Server::Node(judging) => Ok(Seen { view: within(judging.view()).await?, bytes: None }),
            Server::Component(listener, tls, pair) => {
                let (tcp, _) = within(async { Ok(listener.accept().await?) }).await?;
                talk(turn, *tls, pair, tcp).await
            }
        }
    }))
}

enum Server {
    Node(node::Judging),
    Component(TcpListener, Box<Tls>, Pair),
}

async fn connect(peer: Peer, setup: &Setup, port: u16) -> Result<Seen> {
    if peer == Peer::Node {
        return Ok(Seen { view: within(node::connect_judging(setup, port)).await?, bytes: None });
    }
    let (tls, pair) = start(setup, Role::Client).await?;
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    talk(setup.turn, tls, pair, tcp).await
}

async fn start(setup: &Setup, role: Role) -> Result<(Tls, Pair)> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(setup)).await?)?;
    let pair = good(tls.pair(context, &pair_options(setup, role)).await?)?;
    Ok((tls, pair))
}

async fn talk(turn: Turn, mut tls: Tls, pair: Pair, tcp: TcpStream) -> Result<Seen> {
    let mut pump = PairPump::new(pair, tcp, Exchange::new(turn, BYTES));
    within(pump.run(&mut tls)).await?;
    let bytes = (pair.bytes_read(&mut tls).await?, pair.bytes_written(&mut tls).await?);
    Ok(Seen { view: view::look(&mut tls, pair).await?, bytes: Some(bytes) })
}

/// Beside Node with Node, which is the reference.
const PAIRINGS: [(Peer, Peer); 3] =
    [(Peer::Component, Peer::Node), (Peer::Node, Peer::Component), (Peer::Component, Peer::Component)];

const CLIENTS: Turn = Turn::WhenAllCame;

/// What each end says: enough that it can't be on the wire by chance.
const BYTES: usize = 64;
