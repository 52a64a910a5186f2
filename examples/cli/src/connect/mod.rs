//! `guest-tls connect`: what was agreed on, then standard input to the server and what it says to standard output.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::arguments::Connect;
use crate::bindings::guest::tls::secure_context::SecureContext;
use crate::bindings::guest::tls::secure_pair::{Event, SecurePair, SecurePairOptions};
use crate::bindings::guest::tls::types::{Direction, Error};
use crate::certificate::to_pem;
use crate::failure::{Failure, Result, code_name, joined};
use crate::files;
use crate::inspect::print;
use crate::net::{self, Duplex};
use crate::relay::{Stopped, relay};
use crate::runtime::timeout;
use crate::tls::Tls;

use self::summary::{Context, Summary};

mod starttls;
mod summary;

/// Runs the command.
pub(crate) async fn run(arguments: Connect) -> Result<()> {
    if arguments.timeout.is_zero() {
        return Err(Failure::usage("--timeout is 0: expected more than that, in seconds"));
    }
    // First the files: where one is wrong, nobody need be asked.
    let context = files::client_context(&arguments.tls)?;
    let keylog = arguments.keylog.as_deref().map(KeyLog::open).transpose()?;
    let mut client = Client { arguments, context, keylog, session: None };

    let (mut tls, mut first) = client.connect().await?;
    client.tell(&first.text());
    for count in 2..=client.arguments.reconnect.saturating_add(1) {
        client.leave(&mut tls, &mut first).await?;
        drop(tls);
        let next = client.connect().await;
        let (next, summary) = next.map_err(|failure| failure.context(format_args!("connection {count}")))?;
        client.tell(&format!("connection {count}: {}\n", summary.line()));
        tls = next;
        first.reconnects.push(summary);
    }
    if !client.arguments.json && !client.arguments.showcerts {
        return pass_on(tls).await;
    }
    // What the server has against our certificate it says after the handshake, in TLS 1.3.
    client.leave(&mut tls, &mut first).await?;
    let text = match client.arguments.json {
        true => serde_json::to_string_pretty(&first).map_err(|error| Failure::network(format!("no JSON: {error}")))?,
        false => tls.pair().peer_certificates().iter().map(to_pem).collect::<String>().trim_end().to_string(),
    };
    print(&format!("{text}\n"))
}

/// What all connections have in common.
struct Client {
    arguments: Connect,
    context: SecureContext,
    keylog: Option<KeyLog>,
    /// Of the connection before.
    session: Option<Vec<u8>>,
}

impl Client {
    /// A connection whose handshake is done, and what is to be said of it.
    async fn connect(&mut self) -> Result<(Tls, Summary)> {
        let Connect { to, starttls, timeout: limit, ocsp, showcerts, .. } = &self.arguments;
        let servername = self.arguments.servername.as_deref().unwrap_or(&to.host);
        // The options may be wrong, too, and that is better known before.
        let pair = self.pair(servername)?;
        let open = async {
            let duplex = net::connect(to).await?;
            if let Some(protocol) = starttls {
                let upgraded = starttls::upgrade(&duplex, *protocol, servername).await;
                upgraded.map_err(|failure| failure.context(format_args!("no TLS with {to}")))?;
            }
            Ok::<Duplex, Failure>(duplex)
        };
        let late =
            || Failure::network(format!("no connection to {to} within {} seconds (--timeout)", limit.as_secs_f64()));
        let duplex = timeout(*limit, open).await.ok_or_else(late)??;
        let address = duplex.addresses().map(|(remote, _)| remote.to_string());

        let mut tls = Tls::new(duplex, pair, Vec::new());
        let mut response = None;
        let mut log = Ok(());
        let done = tls.handshake(|_, event| match event {
            Event::OcspResponse(stapled) => response = stapled,
            Event::Keylog(line) => {
                if let (Some(keylog), Ok(())) = (&mut self.keylog, &log) {
                    log = keylog.write(&line);
                }
            }
            _ => {}
        });
        done.await.map_err(|failure| failure.context(format_args!("no TLS with {to}")))?;
        log?;
        let pair = tls.pair();
        if let Some(error) = pair.authorization_error() {
            // Even where nothing else is to be said.
            tell!("guest-tls: the server's certificate is not accepted, and --insecure goes on: {}", reason(&error));
        }
        let context = Context {
            server: to.to_string(),
            address,
            servername,
            with_pem: *showcerts,
            ocsp: ocsp.then_some(response.as_deref()),
        };
        let summary = Summary::new(pair, context);
        Ok((tls, summary))
    }

    fn pair(&self, servername: &str) -> Result<SecurePair> {
        let options = SecurePairOptions::new();
        options.set_servername(servername);
        if !self.arguments.tls.alpn.is_empty() {
            let protocols: Vec<Vec<u8>> = self.arguments.tls.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
            options.set_alpn_protocols(&protocols);
        }
        options.set_reject_unauthorized(!self.arguments.insecure);
        options.set_request_ocsp(self.arguments.ocsp);
        options.set_keylog(self.keylog.is_some());
        options.set_handshake_timeout(u32::try_from(self.arguments.timeout.as_millis()).unwrap_or(u32::MAX).max(1));
        if let Some(session) = &self.session {
            options.set_session(session);
        }
        SecurePair::create(&self.context, options).map_err(|errors| Failure::usage(joined(&errors)))
    }

    /// Ends a connection on which nothing is to be said, and keeps its session. In TLS 1.3 both that and what the server has against our
    /// certificate come after the handshake.
    async fn leave(&mut self, tls: &mut Tls, first: &mut Summary) -> Result<()> {
        let goodbye = async {
            tls.end().await?;
            // What it says before it ends is for nobody.
            while tls.read(CHUNK).await?.is_some() {}
            Ok(())
        };
        // A server that does not say goodbye has no more to tell, either.
        if let Some(Err(failure)) = timeout(GOODBYE, goodbye).await
            && let Some(error) = tls.pair().error()
            && error.alert.as_ref().is_some_and(|alert| matches!(alert.direction, Direction::Received))
        {
            return Err(failure);
        }
        self.session = tls.pair().session();
        let last = match first.reconnects.last_mut() {
            Some(last) => last,
            None => first,
        };
        last.session = self.session.is_some();
        Ok(())
    }

    /// For people.
    fn tell(&self, text: &str) {
        if !self.arguments.quiet && !self.arguments.json {
            eprint!("{text}");
        }
    }
}

/// Standard input to the server, and what it says to standard output, until the server has ended: as with `openssl s_client`, standard
/// input need not end for that.
async fn pass_on(mut tls: Tls) -> Result<()> {
    let standard = Duplex::standard_for_answers();
    let done = relay(&mut tls, &standard, Duration::ZERO, |_| {}).await;
    // What was said before the end is to be there, whatever that was.
    let written = standard.flush().await;
    match done {
        Err(Stopped::Plain(broken)) => Err(Failure::network(format!("standard input or output failed: {broken}"))),
        // What a server did not take after it had said all is no failure.
        Err(stopped) if !(standard.is_over() && matches!(stopped, Stopped::Idle | Stopped::Transport(_))) => {
            Err(stopped.into())
        }
        _ => written.map_err(|broken| Failure::network(format!("standard output failed: {broken}"))),
    }
}

/// A file for the secrets of connections, in the format of NSS.
struct KeyLog {
    file: File,
    name: String,
}

impl KeyLog {
    fn open(path: &Path) -> Result<KeyLog> {
        let name = path.display().to_string();
        let file = OpenOptions::new().append(true).create(true).open(path);
        match file {
            Ok(file) => Ok(KeyLog { file, name }),
            Err(error) => Err(Failure::file(format!(
                "can't write {name}: {error}: is it in a folder that the host opened (wasmtime run --dir)?"
            ))),
        }
    }

    fn write(&mut self, line: &str) -> Result<()> {
        // One write for a line: others may append to the same file.
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| Failure::file(format!("can't write {}: {error}", self.name)))
    }
}

fn reason(error: &Error) -> String {
    format!("{}: {}", code_name(error.code), error.message)
}

const CHUNK: usize = 16 * 1024;

/// How long a server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
