//! Sessions: made by one end and resumed by the other, and refused where they must be.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use host_tests::certificates::Kind;
use host_tests::paths;
use host_tests::peers::command::Peer;
use host_tests::peers::component::good_answer;
use host_tests::setup::Version;
use host_tests::table::Row;
use host_tests::tls::{Event, NewSession};

use super::{Guest, Serving, VERSIONS, only};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for version in VERSIONS {
        for (what, arguments) in [("a ticket", &[][..]), ("an id", &["-no_ticket"][..])] {
            rows.push(Row::new(
                "sessions",
                format!("the component resumes at OpenSSL by {what}, {version} [O17 K8]"),
                move || as_client(version, arguments),
            ));
        }
        // What TLS 1.3 resumes by is a ticket.
        for case in CASES.iter().filter(|case| version == Version::Tls12 || !case.what.contains("by an id")) {
            rows.push(Row::new(
                "sessions",
                format!("OpenSSL's session at the component {}, {version} {}", case.what, case.ids),
                move || case.run(version),
            ));
        }
    }
    rows.push(Row::new("sessions", "OpenSSL gets no ticket of TLS 1.3 where there are to be none [O18]", no_tickets));
    rows
}

/// Counts the tickets that OpenSSL sees.
async fn no_tickets() -> Result<()> {
    let mut guest = Guest::server(Version::Tls13).await?;
    guest.options.no_tickets = true;
    let mut serving = guest.serve().await?;
    let mut openssl = Peer::openssl_client(&Kind::P256.authority(), serving.port, &[only(Version::Tls13), "-msg"])?;
    let mut talk = serving.accept().await?;
    talk.until_secure(serving.tls()).await?;
    talk.say(serving.tls(), b"said\n").await?;
    openssl.until("said").await?;
    ensure!(!openssl.text.contains("NewSessionTicket"), "{}", openssl.text);
    talk.drop(serving.tls()).await
}

/// Two connections to OpenSSL; the second resumes the first.
async fn as_client(version: Version, arguments: &[&str]) -> Result<()> {
    let identity = Kind::P256.server();
    let arguments = [&[only(version), "-naccept", "2"], arguments].concat();
    let (mut openssl, port) = Peer::openssl_server(&identity, &arguments).await?;
    let mut guest = Guest::client(version).await?;
    guest.options.session_event = true;
    let mut talk = guest.connect(port).await?;
    // In TLS 1.2 the session comes before the end of the handshake.
    let event = talk.until_event(&mut guest.tls, |event| matches!(event, Event::Session(_))).await?;
    ensure!(!talk.pair.is_session_reused(&mut guest.tls).await?, "the first is no resumption");
    let ticket = talk.pair.tls_ticket(&mut guest.tls).await?;
    let by_id = arguments.contains(&"-no_ticket") && version == Version::Tls12;
    ensure!(ticket.is_some() != by_id, "a ticket: {ticket:?}");
    ensure!(talk.pair.authorized(&mut guest.tls).await?);
    talk.say(&mut guest.tls, b"first\n").await?;
    openssl.until("first").await?;
    let Event::Session(session) = event else { anyhow::bail!("no session") };
    talk.finish(&mut guest.tls).await?;

    guest.options.session = Some(session);
    let mut talk = guest.connect(port).await?;
    talk.until_secure(&mut guest.tls).await?;
    ensure!(talk.pair.is_session_reused(&mut guest.tls).await?, "it was not resumed: {}", openssl.text);
    ensure!(talk.pair.authorized(&mut guest.tls).await?, "what was found out the first time holds");
    ensure!(!talk.pair.peer_certificates(&mut guest.tls).await?.is_empty(), "the certificates go with the session");
    talk.say(&mut guest.tls, b"second\n").await?;
    openssl.until("second").await?;
    talk.finish(&mut guest.tls).await?;
    let said = openssl.finish().await?;
    ensure!(said.contains("Reused session-id"), "OpenSSL says nothing of it: {said}");
    Ok(())
}

/// A session that `s_client` got and comes back with.
struct Case {
    what: &'static str,
    ids: &'static str,
    /// Changes the server before it starts.
    before: fn(&mut Guest),
    between: Between,
    resumed: bool,
}

/// What happens between the two connections.
#[derive(Clone, Copy)]
enum Between {
    Nothing,
    /// The server gets other ticket keys, this often.
    Rotations(u8),
    /// The second connection goes to another instance, that is changed like this.
    AnotherInstance(fn(&mut Guest)),
    /// The sessions outside are lost.
    Forgotten,
    /// The life of the session is over.
    Late,
}

const FLEET: [u8; 48] = [42; 48];

const CASES: &[Case] = &[
    Case { what: "is resumed by a ticket", ids: "[O18 K8]", before: |_| (), between: Between::Nothing, resumed: true },
    Case {
        what: "is resumed by an id in the guest",
        ids: "[O18]",
        before: |guest| guest.options.no_tickets = true,
        between: Between::Nothing,
        resumed: true,
    },
    Case {
        what: "is resumed from outside",
        ids: "[S3 S4]",
        before: |guest| guest.options.session_events = true,
        between: Between::Nothing,
        resumed: true,
    },
    Case {
        what: "is resumed from outside in another instance",
        ids: "[S3 S4]",
        before: |guest| guest.options.session_events = true,
        between: Between::AnotherInstance(|guest| guest.options.session_events = true),
        resumed: true,
    },
    Case {
        what: "is not resumed where it was forgotten outside",
        ids: "[S4]",
        before: |guest| guest.options.session_events = true,
        between: Between::Forgotten,
        resumed: false,
    },
    Case {
        what: "is not resumed by another instance",
        ids: "[O19]",
        before: |_| (),
        between: Between::AnotherInstance(|_| ()),
        resumed: false,
    },
    Case {
        what: "is resumed by another instance with the same ticket keys",
        ids: "[O19 S8]",
        before: fleet,
        between: Between::AnotherInstance(fleet),
        resumed: true,
    },
    Case {
        what: "is not resumed by another instance of another context id",
        ids: "[O18 O19]",
        before: fleet,
        between: Between::AnotherInstance(|guest| {
            fleet(guest);
            guest.context.session_id_context = Some(b"other".to_vec());
        }),
        resumed: false,
    },
    Case {
        what: "is resumed after one rotation of ticket keys",
        ids: "[S8]",
        before: |_| (),
        between: Between::Rotations(1),
        resumed: true,
    },
    Case {
        what: "is not resumed after two rotations of ticket keys",
        ids: "[S8]",
        before: |_| (),
        between: Between::Rotations(2),
        resumed: false,
    },
    Case {
        what: "is not resumed when its life is over",
        ids: "[O18]",
        before: |guest| guest.context.session_timeout = Some(1),
        between: Between::Late,
        resumed: false,
    },
];

fn fleet(guest: &mut Guest) {
    guest.context.ticket_keys = Some(FLEET.to_vec());
}

impl Case {
    async fn run(&'static self, version: Version) -> Result<()> {
        let file = session_file(self.what, version);
        let path = file.display().to_string();
        let mut guest = Guest::server(version).await?;
        (self.before)(&mut guest);
        let mut serving = guest.serve().await?;
        let mut outside = Vec::new();
        let said = connect(&mut serving, version, &["-sess_out", &path], &mut outside).await?;
        ensure!(said.contains("New, "), "{said}");
        match self.between {
            Between::Nothing => {}
            Between::Forgotten => outside.clear(),
            Between::Late => tokio::time::sleep(std::time::Duration::from_millis(2100)).await,
            Between::Rotations(times) => {
                for byte in 0..times {
                    good_answer(serving.server.set_ticket_keys(serving.tls(), &[byte; 48]).await?)?;
                    let keys = good_answer(serving.server.ticket_keys(serving.tls()).await?)?;
                    ensure!(keys == [byte; 48], "the keys are {keys:?}");
                }
            }
            Between::AnotherInstance(change) => {
                let mut guest = Guest::server(version).await?;
                change(&mut guest);
                serving = guest.serve().await?;
            }
        }
        let said = connect(&mut serving, version, &["-sess_in", &path], &mut outside).await?;
        let reused = said.contains("Reused, ");
        ensure!(reused == self.resumed, "OpenSSL says that it was reused: {reused}");
        std::fs::remove_file(&file)?;
        Ok(())
    }
}

/// One connection of `s_client`, and what it says. Both ends must agree on whether a session was resumed.
async fn connect(
    serving: &mut Serving,
    version: Version,
    arguments: &[&str],
    outside: &mut Vec<NewSession>,
) -> Result<String> {
    let root = Kind::P256.authority();
    let mut openssl = Peer::openssl_client(&root, serving.port, &[&[only(version)], arguments].concat())?;
    let mut talk = serving.accept().await?;
    let tls = serving.tls();
    let secure = |event: &Event| *event == Event::Secure;
    loop {
        let is_due = |event: &Event| secure(event) || matches!(event, Event::NewSession(_) | Event::ResumeSession(_));
        match talk.until_event(tls, is_due).await? {
            Event::NewSession(session) => {
                outside.push(session);
                good_answer(talk.pair.answer_new_session(tls).await?)?;
            }
            Event::ResumeSession(id) => {
                let found = outside.iter().find(|session| session.id == id);
                let data = found.map(|session| session.data.as_slice());
                good_answer(talk.pair.answer_resume_session(tls, data).await?)?;
            }
            _ => break,
        }
    }
    talk.say(tls, b"welcome\n").await?;
    openssl.until("welcome").await?;
    let reused = talk.pair.is_session_reused(tls).await?;
    openssl.close_input();
    talk.until_ended(tls).await?;
    talk.finish(tls).await?;
    let said = openssl.finish().await?;
    ensure!(said.contains("Reused, ") == reused, "the component says that it was reused: {reused}");
    ensure!(said.contains("Verify return code: 0"), "{said}");
    Ok(said)
}

fn session_file(what: &str, version: Version) -> PathBuf {
    let folder = paths::target().join("host-tests");
    folder.join(format!("session-{}-{version}-{}.pem", what.replace(' ', "-"), std::process::id()))
}
