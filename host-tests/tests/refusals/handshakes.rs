//! Handshakes that come to nothing: the code, the alert and the words at both ends; and a server that goes on.

use anyhow::{Result, ensure};
use host_tests::certificates::{Kind, Request};
use host_tests::exchange::Echo;
use host_tests::peers::Peer;
use host_tests::service::Service;
use host_tests::setup::{Failure, P384, Report, Role, SUITES, Setup, Suite, Turn, Version, X25519};
use host_tests::table::Row;

/// All rows, for each peer and each version.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for refusal in refusals() {
        for peer in PEERS {
            for version in [Version::Tls12, Version::Tls13] {
                let group = format!("the component as {}", refusal.component);
                let name = format!("{} with {}, {version}", refusal.what, peer.name());
                let refusal = refusal.clone();
                let shows = refusal.shows();
                rows.push(Row::new(group, name, move || refusal.clone().run(peer, version)).shows(&shows));
            }
        }
    }
    rows
}

/// One thing that is refused.
#[derive(Clone)]
struct Refusal {
    what: &'static str,
    /// The rows of the contract that are about it.
    ids: &'static str,
    /// Which end the component is.
    component: Role,
    /// What is unusual about the two ends.
    change: fn(Version, &mut Setup, &mut Setup),
    /// What the component says.
    ours: Says,
    /// What the other says.
    theirs: Says,
    /// Where it is different.
    except: Vec<(Peer, Version, Says, Says)>,
}

/// What one end says.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// This code, with this alert, and OpenSSL's words.
    Code(&'static str, u8, Option<&'static str>),
    /// This code, without an alert.
    NoAlert(&'static str),
    /// That this alert came or went; its code is its own.
    Alert(u8),
    /// Anything, or nothing.
    Anything,
}

impl Refusal {
    /// What it shows; of a server also that it says what went wrong, and goes on.
    fn shows(&self) -> String {
        let server = if self.component == Role::Server { " S2" } else { "" };
        format!("{}{server}", self.ids)
    }

    async fn run(self, peer: Peer, version: Version) -> Result<()> {
        let (mut client, mut server) = (Setup::client(Kind::P256), Setup::server(Kind::P256));
        for end in [&mut client, &mut server] {
            end.versions = (version, version);
            end.turn = Turn::Silent;
        }
        (self.change)(version, &mut client, &mut server);
        let exception = self.except.iter().find(|(other, at, ..)| (*other, *at) == (peer, version));
        let (ours, theirs) = exception.map_or((self.ours, self.theirs), |(_, _, ours, theirs)| (*ours, *theirs));
        match self.component {
            Role::Client => {
                let (own, seen) = host_tests::meeting::meet(Peer::Component, &client, peer, &server).await?;
                ours.holds("the component", &own)?;
                theirs.holds(peer.name(), &seen)
            }
            Role::Server => {
                let mut service = Service::start(&server, Echo::default).await?;
                let seen = peer.connect(&client, service.port).await?;
                let own = service.next().await?;
                ours.holds("the component", &own)?;
                theirs.holds(peer.name(), &seen)?;
                serves_the_next(&mut service, &server).await
            }
        }
    }
}

impl Says {
    fn holds(self, who: &str, report: &Report) -> Result<()> {
        let Failure { code, message, reason, alert } = match (&report.failure, self) {
            (_, Says::Anything) => return Ok(()),
            (Some(failure), _) => failure,
            (None, _) => anyhow::bail!("{who} says that nothing went wrong, not {self:?}: {report:?}"),
        };
        let holds = match self {
            Says::Code(wanted, number, words) => {
                code == wanted && *alert == Some(number) && words.is_none_or(|words| reason.as_deref() == Some(words))
            }
            Says::NoAlert(wanted) => code == wanted && alert.is_none(),
            Says::Alert(number) => *alert == Some(number),
            Says::Anything => true,
        };
        ensure!(holds, "{who} does not say {self:?}, but {code}, alert {alert:?}, {reason:?}: {message}");
        Ok(())
    }
}

/// The same server, in the same instance, takes a client that is as it wants it.
async fn serves_the_next(service: &mut Service, server: &Setup) -> Result<()> {
    let client = Setup {
        identity: server.request_cert.then(|| Kind::P256.client()),
        alpn: server.alpn.clone(),
        turn: Turn::First,
        servername: "localhost".to_string(),
        reject_unauthorized: false,
        ..Setup::client(Kind::P256)
    };
    let seen = Peer::Node.connect(&client, service.port).await?;
    let own = service.next().await?;
    let good = seen.failure.is_none() && own.failure.is_none() && seen.ended && seen.sent == seen.received;
    ensure!(good, "the next connection: {seen:?}\n{own:?}");
    Ok(())
}

fn refusals() -> Vec<Refusal> {
    use Role::{Client, Server};
    let eof = "ERR_SSL_UNEXPECTED_EOF_WHILE_READING";
    vec![
        refusal("a server with a certificate for another name", "K2 O13 O14", Client, |_, _, server| {
            server.identity = Some(signed("DNS:other.test"));
        })
        .ours(Says::Code("ERR_TLS_CERT_ALTNAME_INVALID", 42, None))
        .theirs(Says::Alert(42)),
        refusal("a client that does not find its name", "", Server, |_, _, server| {
            server.identity = Some(signed("DNS:other.test"));
        })
        .ours(Says::Code("ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", 42, Some("sslv3 alert bad certificate")))
        .theirs(Says::Alert(42))
        // Node looks at the certificate after the handshake, and then just leaves.
        .except(Peer::Node, Says::NoAlert(eof), Says::Anything)
        .except(Peer::OpenSsl, Says::Code("ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", 42, None), Says::Anything),
        refusal("a server of an unknown authority", "K2 O4 O13", Client, |_, client, _| {
            client.roots = vec![Kind::P384.authority()]
        })
        .ours(Says::Code("UNABLE_TO_VERIFY_LEAF_SIGNATURE", 48, None))
        .theirs(Says::Alert(48)),
        refusal("a client that does not know the authority", "", Server, |_, client, _| {
            client.roots = vec![Kind::P384.authority()];
        })
        .ours(Says::Code("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", 48, Some("tlsv1 alert unknown ca")))
        .theirs(Says::Alert(48))
        .except(Peer::Node, Says::NoAlert(eof), Says::Anything)
        .except(Peer::OpenSsl, Says::Code("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", 48, None), Says::Anything),
        refusal("a server that wants another version", "O10", Client, |version, _, server| {
            server.versions = (other(version), other(version));
        })
        .ours(Says::Code("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", 70, Some("tlsv1 alert protocol version")))
        .theirs(Says::Anything),
        refusal("a client that wants another version", "O10", Server, |version, client, _| {
            client.versions = (other(version), other(version));
        })
        .ours(Says::Code("ERR_SSL_UNSUPPORTED_PROTOCOL", 70, Some("unsupported protocol")))
        .theirs(Says::Alert(70)),
        refusal("a server that has none of the suites", "O6", Client, |version, client, server| {
            client.suites = vec![suite(version, "CHACHA20")];
            server.suites = vec![suite(version, "AES_128")];
        })
        .ours(Says::Code("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", 40, Some("sslv3 alert handshake failure")))
        .theirs(Says::Anything),
        refusal("a client that has none of the suites", "O6", Server, |version, client, server| {
            client.suites = vec![suite(version, "CHACHA20")];
            server.suites = vec![suite(version, "AES_128")];
        })
        .ours(Says::Code("ERR_SSL_NO_SHARED_CIPHER", 40, Some("no shared cipher")))
        .theirs(Says::Alert(40)),
        refusal("a server that has none of the groups", "O8", Client, |_, client, server| {
            client.groups = vec![X25519];
            server.groups = vec![P384];
        })
        .ours(Says::Code("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", 40, Some("sslv3 alert handshake failure")))
        .theirs(Says::Anything),
        refusal("a client that has none of the groups", "O8", Server, |_, client, server| {
            client.groups = vec![X25519];
            server.groups = vec![P384];
        })
        .ours(Says::Code("ERR_SSL_NO_SUITABLE_KEY_SHARE", 40, Some("no suitable key share")))
        .theirs(Says::Alert(40)),
        refusal("a server that has none of the application protocols", "O16", Client, |_, client, server| {
            client.alpn = vec!["h2"];
            server.alpn = vec!["http/1.1"];
        })
        .ours(Says::Code(
            "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
            120,
            Some("tlsv1 alert no application protocol"),
        ))
        .theirs(Says::Anything),
        refusal("a client that has none of the application protocols", "O16", Server, |_, client, server| {
            client.alpn = vec!["h2"];
            server.alpn = vec!["http/1.1"];
        })
        .ours(Says::Code("ERR_SSL_NO_APPLICATION_PROTOCOL", 120, None))
        .theirs(Says::Alert(120)),
        refusal("a server that misses our certificate", "", Client, |_, _, server| ask(server))
            .ours(Says::Code(
                "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
                116,
                Some("tlsv13 alert certificate required"),
            ))
            .theirs(Says::Anything)
            .except_at(Peer::OpenSsl, Version::Tls12, Says::Code("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", 40, None))
            .except_at(Peer::Node, Version::Tls12, Says::Code("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", 40, None)),
        refusal("a client without a certificate", "O12 O13", Server, |_, _, server| ask(server))
            .ours(Says::Code(
                "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE",
                116,
                Some("peer did not return a certificate"),
            ))
            .theirs(Says::Alert(116))
            // 116 is of TLS 1.3.
            .in_version(
                Version::Tls12,
                Says::Code("ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", 40, Some("peer did not return a certificate")),
                Says::Alert(40),
            ),
        refusal("a server that does not know our authority", "", Client, |_, client, server| {
            client.identity = Some(Kind::P384.client());
            ask(server);
        })
        .ours(Says::Code("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", 48, Some("tlsv1 alert unknown ca")))
        .theirs(Says::Anything)
        .except(Peer::Node, Says::NoAlert(eof), Says::Anything),
        refusal("a client of an unknown authority", "K2 O4 O12 O13", Server, |_, client, server| {
            client.identity = Some(Kind::P384.client());
            ask(server);
        })
        .ours(Says::Code("UNABLE_TO_VERIFY_LEAF_SIGNATURE", 48, None))
        .theirs(Says::Alert(48)),
    ]
}

fn refusal(
    what: &'static str,
    ids: &'static str,
    component: Role,
    change: fn(Version, &mut Setup, &mut Setup),
) -> Refusal {
    Refusal { what, ids, component, change, ours: Says::Anything, theirs: Says::Anything, except: Vec::new() }
}

impl Refusal {
    fn ours(self, ours: Says) -> Refusal {
        Refusal { ours, ..self }
    }

    fn theirs(self, theirs: Says) -> Refusal {
        Refusal { theirs, ..self }
    }

    fn except(mut self, peer: Peer, ours: Says, theirs: Says) -> Refusal {
        self.except.extend([Version::Tls12, Version::Tls13].map(|version| (peer, version, ours, theirs)));
        self
    }

    fn in_version(mut self, version: Version, ours: Says, theirs: Says) -> Refusal {
        self.except.extend(PEERS.map(|peer| (peer, version, ours, theirs)));
        self
    }

    fn except_at(mut self, peer: Peer, version: Version, ours: Says) -> Refusal {
        self.except.push((peer, version, ours, self.theirs));
        self
    }
}

/// A server that wants a certificate from the authority of P-256.
fn ask(server: &mut Setup) {
    server.request_cert = true;
    server.roots = vec![Kind::P256.authority()];
}

/// A certificate of the known authority for these names.
fn signed(alt_names: &str) -> std::sync::Arc<host_tests::certificates::Identity> {
    Request { alt_names, issuer: Some(&Kind::P256.authority()), ..Request::new("other.test", Kind::P256) }.issue()
}

fn suite(version: Version, cipher: &str) -> Suite {
    let fits = |suite: &&Suite| suite.version == version && suite.takes(Kind::P256) && suite.name.contains(cipher);
    SUITES.iter().find(fits).copied().unwrap_or(SUITES[0])
}

fn other(version: Version) -> Version {
    match version {
        Version::Tls12 => Version::Tls13,
        Version::Tls13 => Version::Tls12,
    }
}

const PEERS: [Peer; 3] = [Peer::OpenSsl, Peer::Node, Peer::Rustls];
