//! `openssl s_server` and `openssl s_client`, a process for each connection.
//!
//! Both write what they know and what they receive to the same pipe: the bytes of the tests have their upper bit set, the rest
//! is text. Both stop at the first `close_notify`, from either side; and they know no way to say which side it was.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Listening;
use crate::exchange::{payload_of, tally};
use crate::setup::{EXPORTER_BYTES, EXPORTER_LABEL, Failure, Report, Role, SUITES, Setup, Turn, Version};

/// A server that takes one connection.
pub async fn listen(setup: &Setup) -> Result<Listening> {
    listen_with(setup, &[]).await
}

/// A client.
pub async fn connect(setup: &Setup, port: u16) -> Result<Report> {
    connect_with(setup, port, &[]).await
}

/// As [`listen`], with more of OpenSSL's options, which win over the setup.
pub async fn listen_with(setup: &Setup, more: &[&str]) -> Result<Listening> {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", &setup.connections.to_string()]);
    common(&mut command, setup);
    if setup.request_cert {
        command.args([if setup.reject_unauthorized { "-Verify" } else { "-verify" }, "5"]);
    }
    command.args(more);
    let mut process = Process::start(command)?;
    let port = process.port().await?;
    let setup = setup.clone();
    Ok(Listening::spawn(port, async move { process.talk(&setup, Role::Server).await }))
}

/// As [`connect`], likewise.
pub async fn connect_with(setup: &Setup, port: u16, more: &[&str]) -> Result<Report> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", &setup.servername]);
    command.args(["-verify_hostname", &setup.servername, "-nocommands"]);
    common(&mut command, setup);
    command.args(more);
    Process::start(command)?.talk(setup, Role::Client).await
}

fn common(command: &mut Command, setup: &Setup) {
    let (lowest, highest) = setup.versions;
    command.args(["-min_protocol", lowest.name(), "-max_protocol", highest.name()]);
    let names = |version: Version| {
        let suites = setup.suites.iter().filter(|suite| suite.version == version);
        suites.map(|suite| suite.openssl).collect::<Vec<_>>().join(":")
    };
    let (tls12, tls13) = (names(Version::Tls12), names(Version::Tls13));
    if !tls12.is_empty() {
        command.args(["-cipher", &tls12]);
    }
    if !tls13.is_empty() {
        command.args(["-ciphersuites", &tls13]);
    }
    if !setup.groups.is_empty() {
        let groups = setup.groups.iter().map(|group| group.name).collect::<Vec<_>>();
        command.args(["-groups", &groups.join(":")]);
    }
    if let Some(identity) = &setup.identity {
        let path = |path: &Path| path.display().to_string();
        command.args(["-cert", &path(&identity.certificate_path()), "-key", &path(&identity.key_path())]);
        if !identity.chain.is_empty() {
            command.args(["-cert_chain", &path(&identity.chain_path())]);
        }
    }
    command.args(["-no-CApath", "-no-CAstore"]);
    match setup.roots.as_slice() {
        [] => command.arg("-no-CAfile"),
        [root, ..] => command.arg("-CAfile").arg(root.certificate_path()),
    };
    if setup.reject_unauthorized {
        command.arg("-verify_return_error");
    }
    if !setup.alpn.is_empty() {
        command.args(["-alpn", &setup.alpn.join(",")]);
    }
    command.args(["-keymatexport", EXPORTER_LABEL, "-keymatexportlen", &EXPORTER_BYTES.to_string()]);
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// What it said so far.
    said: Said,
}

/// What comes out of the pipe: text of the program, and bytes of the peer.
#[derive(Default)]
struct Said {
    text: Vec<u8>,
    bytes: Vec<u8>,
}

impl Process {
    fn start(mut command: Command) -> Result<Process> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("the openssl command does not start")?;
        let input = child.stdin.take().context("openssl's input")?;
        let output = child.stdout.take().context("openssl's output")?;
        Ok(Process { child, input, output, said: Said::default() })
    }

    /// The port of a server, from its line `ACCEPT 127.0.0.1:34567`.
    async fn port(&mut self) -> Result<u16> {
        loop {
            let text = self.said.text();
            if let Some((line, _)) = text.split_once("ACCEPT ").and_then(|(_, rest)| rest.split_once('\n')) {
                let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
                return port.with_context(|| format!("no port in {line:?}"));
            }
            if self.read().await? == 0 {
                bail!("s_server has ended: {}", self.errors().await?);
            }
        }
    }

    async fn talk(mut self, setup: &Setup, role: Role) -> Result<Report> {
        let bytes = if setup.turn == Turn::Silent { 0 } else { setup.bytes };
        let mut input = Some(self.input);
        let payload = payload_of(setup.turn, bytes);
        let mut to_send = payload.as_slice();
        let mut connections = 1;
        // A client ends when its input does, a server at the client's end: its own input must stay open until then.
        let ends_itself = role == Role::Client && setup.turn != Turn::AfterPeer && setup.turn != Turn::Silent;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if ends_itself && to_send.is_empty() && self.said.bytes.len() >= bytes {
                input = None;
            }
            // A server that has something to write before the handshake never says what came of it.
            let begun = self.said.text().matches("CIPHER is ").count();
            let may_write = role == Role::Client || begun > 0;
            if role == Role::Server && begun > connections {
                connections = begun;
                to_send = &payload;
            }
            let write = async {
                match &mut input {
                    Some(input) if may_write && !to_send.is_empty() => input.write(to_send).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                written = write => match written {
                    Ok(count) => to_send = &to_send[count..],
                    // It has ended: what it says about that comes below.
                    Err(_) => to_send = &[],
                },
                read = self.output.read(&mut buffer) => match read? {
                    0 => break,
                    count => self.said.add(&buffer[..count]),
                },
            }
        }
        drop(input);
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().context("openssl's errors")?;
        stderr.read_to_string(&mut errors).await?;
        self.child.wait().await?;
        let sent = tally(&payload[..bytes - to_send.len()]);
        Ok(report(&self.said, &errors, role, sent))
    }

    async fn read(&mut self) -> Result<usize> {
        let mut buffer = [0; 4096];
        let count = self.output.read(&mut buffer).await?;
        self.said.add(&buffer[..count]);
        Ok(count)
    }

    async fn errors(&mut self) -> Result<String> {
        let mut errors = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut errors).await?;
        }
        Ok(errors)
    }
}

impl Said {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let kept = if byte.is_ascii() { &mut self.text } else { &mut self.bytes };
            kept.push(*byte);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

fn report(said: &Said, errors: &str, role: Role, sent: crate::setup::Tally) -> Report {
    let text = said.text();
    let after = |label: &str| {
        let found = text.lines().find_map(|line| line.trim_start().strip_prefix(label));
        found.map(|rest| rest.trim().to_string())
    };
    let name = match role {
        Role::Client => text.split_once("Cipher is ").and_then(|(_, rest)| rest.lines().next()).map(str::to_string),
        Role::Server => after("CIPHER is "),
    };
    let suite = SUITES.iter().find(|suite| Some(suite.openssl) == name.as_deref());
    let group = after("Server Temp Key: ").map(|line| {
        let words = line.split(", ").collect::<Vec<_>>();
        let name = if words[0] == "ECDH" { words.get(1).copied().unwrap_or("") } else { words[0] };
        name.to_string()
    });
    let verified = match role {
        Role::Client => after("Verify return code: ").or_else(|| after("Verification: ")),
        // It says nothing of a certificate that is good.
        Role::Server => errors.lines().find_map(|line| line.strip_prefix("verify error:")).map(str::to_string),
    };
    let subject = match role {
        Role::Client => text.lines().find(|line| line.trim_start().starts_with("0 s:")),
        Role::Server => text.lines().find(|line| line.starts_with("subject=")),
    };
    Report {
        protocol: suite.map(|suite| suite.version.name().to_string()),
        suite: suite.map(|suite| suite.name.to_string()),
        group: group.filter(|_| role == Role::Client),
        alpn: after("ALPN protocol: ").or_else(|| after("ALPN protocols selected: ")),
        peer_subject: subject.and_then(common_name),
        authorized: match (role, &verified) {
            (Role::Client, verdict) => verdict.as_deref().map(is_good),
            (Role::Server, verdict) => Some(subject.is_some() && verdict.is_none()),
        },
        authorization_error: verified.filter(|line| !is_good(line)),
        exporter: after("Keying material: ").map(|hex| hex.to_lowercase()),
        sent,
        received: tally(&said.bytes),
        resumed: Some(text.contains("Reused, ") || text.contains("Reused session-id")),
        ended: text.contains("closed") || text.contains("DONE") || errors.contains("DONE"),
        failure: failure(errors),
        ..Report::default()
    }
}

/// Whether these are the words for a good certificate.
fn is_good(verdict: &str) -> bool {
    verdict.starts_with("0 ") || verdict == "OK"
}

/// What `error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:….c:1600:SSL alert number 48` says.
fn failure(errors: &str) -> Option<Failure> {
    let line = errors.lines().find(|line| line.contains(":error:") && line.contains(":SSL routines:"))?;
    let words = line.split(':').collect::<Vec<_>>();
    let reason = words.get(5).map(|reason| reason.to_string());
    let alert = line.split_once("SSL alert number ").and_then(|(_, number)| number.trim().parse().ok());
    let code = reason.as_deref().map(|reason| format!("ERR_SSL_{}", reason.to_uppercase().replace(' ', "_")));
    Some(Failure { code: code.unwrap_or_default(), message: line.to_string(), reason, alert })
}

fn common_name(line: &str) -> Option<String> {
    let (_, name) = line.split_once("CN = ").or_else(|| line.split_once("CN="))?;
    Some(name.split(',').next().unwrap_or(name).trim().to_string())
}
