//! Two ends meet over TCP, and what they saw must agree.

use anyhow::{Result, bail};

use crate::certificates::Kind;
use crate::peers::Peer;
use crate::setup::{Group, Report, Role, SERVER_NAME, Setup, Suite, Tally, Turn, Version};

/// One cell of the matrix: who meets whom, and over what.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// The client.
    pub client: Peer,
    /// The server.
    pub server: Peer,
    /// The only suite of both, and by it the only version.
    pub suite: Suite,
    /// The only group of both.
    pub group: Group,
    /// The server's certificate.
    pub certificate: Kind,
}

impl Cell {
    /// All cells of these two.
    pub fn all(client: Peer, server: Peer) -> Vec<Cell> {
        let mut cells = Vec::new();
        for suite in crate::setup::SUITES {
            for group in crate::setup::GROUPS {
                for certificate in crate::certificates::KINDS {
                    let hybrid_fits = !group.is_hybrid() || suite.version == Version::Tls13;
                    if hybrid_fits && suite.takes(certificate) {
                        cells.push(Cell { client, server, suite, group, certificate });
                    }
                }
            }
        }
        cells
    }

    /// Who meets whom.
    pub fn meeting(&self) -> String {
        format!("{} to {}", self.client.name(), self.server.name())
    }

    /// Over what.
    pub fn name(&self) -> String {
        let Cell { suite, group, certificate, .. } = self;
        format!("{} {} {} {}", suite.version, suite.openssl, group.name, certificate.name())
    }

    /// Why one of the two can't do it.
    pub fn cannot(&self) -> Option<&'static str> {
        let setup = self.setup(Role::Client);
        let client = self.client.cannot(Role::Client, &setup, self.certificate);
        client.or_else(|| self.server.cannot(Role::Server, &setup, self.certificate))
    }

    /// Why the one can't go on sending after the other has ended.
    pub fn cannot_half_close(&self) -> Option<&'static str> {
        self.client.cannot_half_close().or_else(|| self.server.cannot_half_close())
    }

    /// The rows of the contract that it shows: none where the component meets itself.
    pub fn shows(&self) -> String {
        let shown = match (self.client, self.server) {
            (Peer::Component, Peer::Component) => return String::new(),
            // A trusted authority, and so a verified peer.
            (Peer::Component, _) => "O4 K2",
            // A certificate and its key.
            (_, Peer::Component) => "O1 O2",
            _ => return String::new(),
        };
        // Either end is told its suite, group and version, and both must see these.
        let always = "M6 O6 O8 O10 K1 K5 K6 K10 K12";
        let half_close = if self.cannot_half_close().is_none() { " K19" } else { "" };
        format!("{always} {shown}{half_close}")
    }

    /// Lets them meet: a mebibyte each way, an end each way, and all that both saw must be right.
    pub async fn run(&self) -> Result<()> {
        let (client, server) =
            meet(self.client, &self.setup(Role::Client), self.server, &self.setup(Role::Server)).await?;
        let mut wrong = Vec::new();
        let version = Some(self.suite.version.name().to_string());
        for (role, report) in [(Role::Client, &client), (Role::Server, &server)] {
            let mut expect = |what: &str, is_right: bool, saw: &dyn std::fmt::Debug| {
                if !is_right {
                    wrong.push(format!("the {role}'s {what}: {saw:?}"));
                }
            };
            expect("failure", report.failure.is_none(), &report.failure);
            expect("view of the peer's end", report.ended, &report.ended);
            expect("version", report.protocol == version, &report.protocol);
            expect("suite", report.suite.as_deref() == Some(self.suite.name), &report.suite);
            let peer = if role == Role::Client { self.client } else { self.server };
            let says_group = peer.says_group(role);
            let group = says_group.then_some(self.group.openssl);
            expect("group", report.group.as_deref() == group, &report.group);
            let says_exporter = report.exporter.is_some();
            expect("exporter", says_exporter && report.exporter == client.exporter, &report.exporter);
        }
        let mut expect = |what: &str, is_right: bool, saw: &dyn std::fmt::Debug| {
            if !is_right {
                wrong.push(format!("{what}: {saw:?}"));
            }
        };
        expect(
            "the client's authorized",
            client.authorized == Some(true),
            &(client.authorized, &client.authorization_error),
        );
        expect("the server's subject", client.peer_subject.as_deref() == Some(SERVER_NAME), &client.peer_subject);
        expect("to the server", arrived(&client.sent, &server.received), &(&client.sent, &server.received));
        expect("to the client", arrived(&server.sent, &client.received), &(&server.sent, &client.received));
        if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
    }

    /// The group; and where the peer wants it, the certificate's curve after it: in TLS 1.2, OpenSSL only takes certificates on
    /// curves that are among the groups (RFC 8422 section 5.1).
    fn groups(&self) -> Vec<Group> {
        let mut groups = vec![self.group];
        if self.suite.version == Version::Tls12 {
            groups.extend(self.certificate.curve().filter(|curve| *curve != self.group));
        }
        groups
    }

    fn setup(&self, role: Role) -> Setup {
        let setup = match role {
            Role::Client => Setup::client(self.certificate),
            Role::Server => Setup::server(self.certificate),
        };
        // Whoever ends first must change from cell to cell; who can't half-close has an order of its own.
        let is_even = (self.suite.name.len() + self.group.name.len() + self.certificate.name().len()).is_multiple_of(2);
        let client = match (self.cannot_half_close(), is_even) {
            (Some(_), _) => Turn::WhenAllCame,
            (None, true) => Turn::First,
            (None, false) => Turn::Second,
        };
        Setup {
            versions: (self.suite.version, self.suite.version),
            suites: vec![self.suite],
            groups: self.groups(),
            turn: if role == Role::Client { client } else { client.other() },
            bytes: BYTES,
            ..setup
        }
    }
}

/// Lets a client and a server meet, and gives what they report.
pub async fn meet(client: Peer, client_setup: &Setup, server: Peer, server_setup: &Setup) -> Result<(Report, Report)> {
    let listening = server.listen(server_setup).await?;
    let port = listening.port;
    match tokio::join!(client.connect(client_setup, port), listening.report()) {
        (Ok(client), Ok(server)) => Ok((client, server)),
        (Err(client), Ok(server)) => bail!("{client:#}\nthe server saw {server:?}"),
        (Ok(client), Err(server)) => bail!("{server:#}\nthe client saw {client:?}"),
        (Err(client), Err(server)) => bail!("{client:#}\n{server:#}"),
    }
}

fn arrived(sent: &Tally, received: &Tally) -> bool {
    sent == received && sent.bytes == BYTES
}

/// What goes over every connection, each way.
const BYTES: usize = 1 << 20;
