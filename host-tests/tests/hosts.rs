//! The same component in every host, as client of OpenSSL's server and, where the host can listen, as server to OpenSSL's client; with a
//! table of what was seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::hosts::Host;
use host_tests::paths;
use host_tests::peers::{openssl, within};
use host_tests::setup::{Report, Role, SERVER_NAME, Setup, Turn};
use host_tests::table::{self, Row, Summary};

fn main() {
    let seen = Seen::default();
    let summary = Summary::default();
    let mut rows = Vec::new();
    for host in Host::ALL {
        for cell in Cell::ALL {
            for &role in cell.roles() {
                if let Some(why) = host.cannot(role) {
                    summary.cannot(host.name(), why);
                    continue;
                }
                let seen = seen.clone();
                rows.push(Row::new(host.name(), cell.sentence(role), move || {
                    let seen = seen.clone();
                    async move {
                        let result = cell.run(host, role).await;
                        seen.note(host, cell, result.is_ok());
                        result
                    }
                }));
            }
        }
    }
    let arguments = table::arguments();
    let conclusion = libtest_mimic::run(&arguments, table::trials(rows, &summary));
    print!("{summary}");
    // A part of it would say of the rest that it was not tried.
    if !arguments.list && arguments.filter.is_none() {
        let table = seen.table();
        println!("\n{table}");
        let folder = paths::target().join("artefacts");
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join("hosts.md"), table));
        if let Err(error) = written {
            eprintln!("the table can't be written to {}: {error}", folder.display());
        }
    }
    conclusion.exit();
}

/// What a host is tried for: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Client,
    Server,
    MutualTls,
    Resumed,
    Alpn,
    Bulk,
}

impl Cell {
    const ALL: [Cell; 6] = [Cell::Client, Cell::Server, Cell::MutualTls, Cell::Resumed, Cell::Alpn, Cell::Bulk];

    fn title(self) -> &'static str {
        match self {
            Cell::Client => "client",
            Cell::Server => "server",
            Cell::MutualTls => "mTLS",
            Cell::Resumed => "resumed",
            Cell::Alpn => "ALPN",
            Cell::Bulk => "10 MiB both ways",
        }
    }

    fn roles(self) -> &'static [Role] {
        match self {
            Cell::Client => &[Role::Client],
            Cell::Server => &[Role::Server],
            _ => &[Role::Client, Role::Server],
        }
    }

    fn sentence(self, role: Role) -> String {
        match self {
            Cell::Client => format!("a {role} meets OpenSSL [M4 O23 K1]"),
            Cell::Server => format!("a {role} meets OpenSSL [M3 S1 S9]"),
            Cell::MutualTls => format!("a {role} meets OpenSSL, both with certificates"),
            Cell::Resumed => format!("a {role} resumes a session with OpenSSL"),
            Cell::Alpn => format!("a {role} and OpenSSL agree on an application protocol"),
            Cell::Bulk => format!("a {role} and OpenSSL send each other 10 MiB at the same time"),
        }
    }

    async fn run(self, host: Host, role: Role) -> Result<()> {
        let (client, server) = self.setups();
        let (host_saw, openssl_saw) = match role {
            Role::Client => as_client(host, &client, &server).await?,
            Role::Server => as_server(host, &client, &server).await?,
        };
        let bytes = client.bytes;
        ensure!(host_saw.failure.is_none(), "{}: {:?}", host.name(), host_saw.failure);
        ensure!(openssl_saw.failure.is_none(), "OpenSSL: {:?}", openssl_saw.failure);
        for (who, saw) in [(host.name(), &host_saw), ("OpenSSL", &openssl_saw)] {
            ensure!(saw.protocol.as_deref() == Some("TLSv1.3"), "{who}: the version is {:?}", saw.protocol);
            ensure!(saw.suite.is_some(), "{who}: no suite");
        }
        ensure!(host_saw.suite == openssl_saw.suite, "suites: {:?} and {:?}", host_saw.suite, openssl_saw.suite);
        ensure!(host_saw.sent.bytes == bytes, "{} sent {} of {bytes} bytes", host.name(), host_saw.sent.bytes);
        let arrived = |what: &str, sent: &_, received: &_| -> Result<()> {
            ensure!(sent == received, "{what}: {sent:?} was sent, {received:?} came");
            Ok(())
        };
        // OpenSSL's server says what it received in all of its connections.
        if client.connections == 1 {
            arrived("to OpenSSL", &host_saw.sent, &openssl_saw.received)?;
        }
        arrived("from OpenSSL", &openssl_saw.sent, &host_saw.received)?;
        ensure!(host_saw.exporter.is_some(), "{}: no exporter", host.name());
        if client.connections == 1 {
            ensure!(host_saw.exporter == openssl_saw.exporter, "the exporters differ");
        }
        if role == Role::Client {
            ensure!(host_saw.authorized == Some(true), "the server's certificate: {:?}", host_saw.authorization_error);
            ensure!(host_saw.peer_subject.as_deref() == Some(SERVER_NAME), "subject {:?}", host_saw.peer_subject);
        } else {
            ensure!(host_saw.servername.as_deref() == Some(SERVER_NAME), "SNI {:?}", host_saw.servername);
        }
        match self {
            Cell::MutualTls => {
                let (of_client, server_saw) = match role {
                    Role::Client => (&client.identity, &openssl_saw),
                    Role::Server => (&client.identity, &host_saw),
                };
                let name = of_client.as_ref().map(|identity| identity.name.as_str());
                ensure!(server_saw.peer_subject.as_deref() == name, "the client is {:?}", server_saw.peer_subject);
                ensure!(server_saw.authorized == Some(true), "it is not trusted: {:?}", server_saw.authorization_error);
            }
            Cell::Resumed => {
                ensure!(host_saw.resumed == Some(true), "{}: not resumed", host.name());
                ensure!(openssl_saw.resumed == Some(true), "OpenSSL: not resumed");
            }
            Cell::Alpn => {
                for (who, saw) in [(host.name(), &host_saw), ("OpenSSL", &openssl_saw)] {
                    ensure!(saw.alpn.as_deref() == Some("postgresql"), "{who}: {:?}", saw.alpn);
                }
            }
            Cell::Client | Cell::Server => {
                ensure!(host_saw.resumed == Some(false), "resumed, and there was no session")
            }
            Cell::Bulk => {}
        }
        Ok(())
    }

    fn setups(self) -> (Setup, Setup) {
        let kind = Kind::P256;
        let mut client = Setup { turn: Turn::WhenAllCame, ..Setup::client(kind) };
        let mut server = Setup { turn: Turn::AfterPeer, ..Setup::server(kind) };
        match self {
            Cell::MutualTls => {
                client.identity = Some(kind.client());
                server.roots = vec![kind.authority()];
                server.request_cert = true;
            }
            Cell::Resumed => (client.connections, server.connections) = (2, 2),
            Cell::Alpn => {
                client.alpn = vec!["h2", "postgresql"];
                server.alpn = vec!["postgresql", "http/1.1"];
            }
            Cell::Bulk => (client.bytes, server.bytes) = (10 << 20, 10 << 20),
            Cell::Client | Cell::Server => {}
        }
        (client, server)
    }
}

/// The host as client of OpenSSL's server: what each of them saw.
async fn as_client(host: Host, client: &Setup, server: &Setup) -> Result<(Report, Report)> {
    let listening = openssl::listen(server).await?;
    let (host_saw, openssl_saw) = tokio::join!(within(host.connect(client, listening.port)), listening.report());
    Ok((host_saw.with_context(|| format!("{} as client", host.name()))?, openssl_saw.context("OpenSSL as server")?))
}

/// The host as server to OpenSSL's client, likewise.
async fn as_server(host: Host, client: &Setup, server: &Setup) -> Result<(Report, Report)> {
    let listening = within(host.listen(server)).await.with_context(|| format!("{} as server", host.name()))?;
    let port = listening.port;
    let connect = async {
        if client.connections == 1 {
            return openssl::connect(client, port).await;
        }
        let session = tempfile(port);
        let name = session.display().to_string();
        openssl::connect_with(client, port, &["-sess_out", &name]).await?;
        let second = openssl::connect_with(client, port, &["-sess_in", &name]).await;
        let _ = std::fs::remove_file(&session);
        second
    };
    let (openssl_saw, host_saw) = tokio::join!(within(connect), listening.report());
    Ok((host_saw.with_context(|| format!("{} as server", host.name()))?, openssl_saw.context("OpenSSL as client")?))
}

fn tempfile(port: u16) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("guest-tls-session-{}-{port}", std::process::id()))
}

/// What was seen of each host: whether all that was tried was well.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<(&'static str, Cell), bool>>>);

impl Seen {
    fn note(&self, host: Host, cell: Cell, good: bool) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = seen.entry((host.name(), cell)).or_insert(true);
        *all &= good;
    }

    /// In Markdown, a line a host.
    fn table(&self) -> String {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = String::from("| host |");
        Cell::ALL.iter().for_each(|cell| table.extend([" ", cell.title(), " |"]));
        table.push_str("\n|---|");
        table.push_str(&"---|".repeat(Cell::ALL.len()));
        for host in Host::ALL {
            let _ = write!(table, "\n| {} |", host.name());
            for cell in Cell::ALL {
                let impossible = cell.roles().iter().filter_map(|role| host.cannot(*role)).collect::<Vec<_>>();
                let word = match (seen.get(&(host.name(), cell)), impossible.as_slice()) {
                    (Some(false), _) => "failed".to_string(),
                    (Some(true), []) => "yes".to_string(),
                    (Some(true), [why, ..]) => format!("yes, as client: {why}"),
                    (None, [why, ..]) if impossible.len() == cell.roles().len() => format!("no: {why}"),
                    (None, _) => "not tried".to_string(),
                };
                let _ = write!(table, " {word} |");
            }
        }
        table.push('\n');
        table
    }
}
