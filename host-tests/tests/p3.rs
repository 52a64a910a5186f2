//! guest-tls-p3, composed into programs that the stock `wasmtime run` runs, without `-S tls` and without any `-W`: an unmodified client of the
//! standard `wasi:tls` (examples/wasi-tls), and the program host-tests/p3, which does from within what is tested here.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command as Blocking, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::peers::command::Peer;
use host_tests::peers::rustls::server_config;
use host_tests::setup::Setup;
use host_tests::{paths, rows, table};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

fn main() {
    table::main(rows![
        "p3":
        the_standard_client_reaches_openssl_with_a_private_authority,
        the_authority_can_be_plugged_in_for_good,
        without_configuration_the_roots_are_mozillas,
        another_authority_is_refused_and_told,
        another_name_is_refused_and_told,
        trust_anchors_that_are_none_are_told,
        ten_mebibytes_go_both_ways_as_they_are,
        a_connector_that_is_dropped_gives_errors_and_no_trap,
        a_direction_is_set_up_once,
        connect_wants_both_directions,
        a_cancelled_connect_ends_its_connection,
        a_consumer_may_leave_early,
        a_cut_connection_is_an_error_and_no_end,
        a_closed_connection_is_an_end,
        two_thousand_connections_are_open_at_once,
        a_client_with_a_context_shows_its_certificate,
        a_client_without_a_certificate_is_told_why,
        a_server_takes_openssl_and_checks_its_certificate,
        a_server_tells_why_a_handshake_failed,
        client_and_server_of_one_instance_meet,
        a_server_over_streams_asks_no_questions,
    ]);
}

async fn the_standard_client_reaches_openssl_with_a_private_authority() -> Result<()> {
    let (mut server, port) = Peer::openssl_server(&Kind::P256.server(), &["-rev"]).await?;
    let output = client(port, "server.test").ca(&Kind::P256.authority()).run(b"hello\n").await?;
    same(&output.good()?, "olleh\n")?;
    server.until("CONNECTION CLOSED").await
}

/// By `compose config`, as README says: no host has to know.
async fn the_authority_can_be_plugged_in_for_good() -> Result<()> {
    let authority = Kind::P256.authority();
    let folder = paths::scratch()?;
    let (config, tls, composed) = (folder.join("ca.wasm"), folder.join("tls.wasm"), folder.join("composed.wasm"));
    let pem = format!("tls.ca={}", authority.certificate_path().display());
    compose(&["config".into(), config.clone().into(), pem.into()])?;
    compose(&[component("guest-tls-p3.config.wasm").into(), config.into(), tls.clone().into()])?;
    compose(&[component("wasi-tls.socket.wasm").into(), tls.into(), composed.clone().into()])?;
    let (mut server, port) = Peer::openssl_server(&Kind::P256.server(), &["-rev"]).await?;
    let run = Run::new(composed).arguments(&["127.0.0.1", &port.to_string(), "server.test"]);
    let output = run.run(b"hello\n").await?;
    same(&output.good()?, "olleh\n")?;
    server.until("CONNECTION CLOSED").await
}

async fn without_configuration_the_roots_are_mozillas() -> Result<()> {
    let (server, port) = Peer::openssl_server(&Kind::P256.server(), &[]).await?;
    let run = Run::new(compiled("wasi-tls.wasm")?).arguments(&["127.0.0.1", &port.to_string(), "server.test"]);
    run.run(b"").await?.refused("no TLS with server.test: UNABLE_TO_VERIFY_LEAF_SIGNATURE")?;
    drop(server);
    Ok(())
}

async fn another_authority_is_refused_and_told() -> Result<()> {
    let (mut server, port) = Peer::openssl_server(&Kind::P256.server(), &[]).await?;
    let output = client(port, "server.test").ca(&Kind::P384.authority()).run(b"").await?;
    output.refused("no TLS with server.test: UNABLE_TO_VERIFY_LEAF_SIGNATURE")?;
    // The alert still goes out.
    server.until("alert unknown ca").await
}

async fn another_name_is_refused_and_told() -> Result<()> {
    let (_server, port) = Peer::openssl_server(&Kind::P256.server(), &[]).await?;
    let output = client(port, "other.test").ca(&Kind::P256.authority()).run(b"").await?;
    output.refused("ERR_TLS_CERT_ALTNAME_INVALID: Hostname/IP does not match certificate's altnames: Host: other.test.")
}

async fn trust_anchors_that_are_none_are_told() -> Result<()> {
    let (_server, port) = Peer::openssl_server(&Kind::P256.server(), &[]).await?;
    let output = client(port, "server.test").config("no certificate").run(b"").await?;
    output.refused("ERR_TLS_INVALID_CERTIFICATE: The trust anchors of the configuration, \"tls.ca\":")
}

/// The client's standard streams are the only ends: OpenSSL's at the other side.
async fn ten_mebibytes_go_both_ways_as_they_are() -> Result<()> {
    let (there, back) = (payload(1), payload(2));
    let identity = Kind::P256.server();
    let mut openssl = Command::new("openssl");
    openssl.args(["s_server", "-naccept", "1", "-accept", "127.0.0.1:0"]);
    openssl.arg("-cert").arg(identity.certificate_path()).arg("-key").arg(identity.key_path());
    let mut openssl = piped(openssl)?;
    let mut server_out = BufReader::new(openssl.stdout.take().context("standard output")?);
    let port = port_of(&mut server_out).await?;
    let mut run = client(port, "server.test").ca(&Kind::P256.authority()).start()?;
    let mut client_in = run.stdin.take().context("standard input")?;
    let mut client_out = run.stdout.take().context("standard output")?;
    let mut server_in = openssl.stdin.take().context("standard input")?;
    let (mut arrived_there, mut arrived_back) = (Vec::new(), vec![0; back.len()]);
    within(async {
        tokio::try_join!(
            client_in.write_all(&there),
            server_in.write_all(&back),
            collect(&mut server_out, &mut arrived_there, there.len()),
            client_out.read_exact(&mut arrived_back),
        )?;
        drop(client_in);
        let mut rest = Vec::new();
        client_out.read_to_end(&mut rest).await?;
        ensure!(rest.is_empty(), "{} bytes more came", rest.len());
        ensure!(run.wait().await?.success(), "the client failed");
        Ok(())
    })
    .await?;
    let hash = |bytes: &[u8]| Sha256::digest(bytes);
    ensure!(hash(&arrived_there) == hash(&there), "what the server got is something else");
    ensure!(hash(&arrived_back) == hash(&back), "what the client got is something else");
    openssl.kill().await?;
    Ok(())
}

async fn a_connector_that_is_dropped_gives_errors_and_no_trap() -> Result<()> {
    let server = Rustls::echo().await?;
    let said = tests(&["drop", &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    let given_up = "ABORT_ERR: The connection was given up: its handle was dropped before the handshake, or the handshake was cancelled.";
    let wanted = format!(
        "one direction: 0 bytes, {given_up}\nits cleartext: 1 not taken\nboth: 0 bytes, {given_up}, {given_up}\n{GOOD}"
    );
    same(&said, &wanted)
}

async fn a_direction_is_set_up_once() -> Result<()> {
    let server = Rustls::echo().await?;
    let said = tests(&["twice", &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    let again = "again: 0 bytes, ERR_INVALID_STATE: This direction was set up before: a connection has one stream to send and one to \
                 receive.\nits input: 1 not taken\n";
    same(&said, &format!("{again}{again}then: 0 bytes, well\nsent: well\n{GOOD}"))
}

async fn connect_wants_both_directions() -> Result<()> {
    let server = Rustls::echo().await?;
    let said = tests(&["unset", &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    let missing = |what: &str| {
        format!("ERR_INVALID_STATE: `{what}` was not called: both directions are set up before the handshake.")
    };
    let (send, receive) = (missing("send"), missing("receive"));
    same(&said, &format!("nothing: {send}\nsend only: {receive}\nits records: 0 bytes, {receive}\n{GOOD}"))
}

async fn a_cancelled_connect_ends_its_connection() -> Result<()> {
    let server = Rustls::echo().await?;
    // Takes connections and says nothing. That our end ends it is seen at this one.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let silent = listener.local_addr()?.port().to_string();
    let ended = tokio::spawn(async move {
        for _ in 0..10 {
            let (mut tcp, _) = listener.accept().await?;
            let mut said = Vec::new();
            // Reset or closed: it is over.
            let _ = tcp.read_to_end(&mut said).await;
        }
        Ok::<_, std::io::Error>(())
    });
    let said = tests(&["cancel", &silent, &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    let given_up = "ABORT_ERR: The connection was given up: its handle was dropped before the handshake, or the handshake was cancelled.";
    same(&said, &format!("{}{GOOD}", format!("cancelled: {given_up}, {given_up}\n").repeat(10)))?;
    within(async { Ok(ended.await??) }).await
}

async fn a_consumer_may_leave_early() -> Result<()> {
    let (server, endless) = (Rustls::echo().await?, Rustls::endless().await?);
    let run = tests(&["early", &endless.port(), &server.port()]).ca(&Kind::P256.authority());
    let said = run.run(b"").await?.good()?;
    same(&said, &format!("left: 0\nsent: well\nreceived: well\nleft: 1\nleft: 2\nleft: 3\n{GOOD}"))
}

async fn a_cut_connection_is_an_error_and_no_end() -> Result<()> {
    let server = Rustls::cut().await?;
    let said = tests(&["read", &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    same(
        &said,
        "read: 100000 bytes\nreceived: ERR_SSL_UNEXPECTED_EOF_WHILE_READING: The transport ended without close_notify: what was received \
         may have been cut short.\n",
    )
}

async fn a_closed_connection_is_an_end() -> Result<()> {
    let server = Rustls::closing().await?;
    let said = tests(&["read", &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    same(&said, "read: 100000 bytes\nreceived: well\n")
}

async fn two_thousand_connections_are_open_at_once() -> Result<()> {
    let server = Rustls::echo().await?;
    let said = tests(&["many", "2000", &server.port()]).ca(&Kind::P256.authority()).run(b"").await?.good()?;
    same(&said, "open: 2000\nechoed: 2000\nended: 2000\n")
}

async fn a_client_with_a_context_shows_its_certificate() -> Result<()> {
    let authority = Kind::P256.authority();
    let ca = authority.certificate_path().display().to_string();
    for (max, version) in [("1.3", "Tls13"), ("1.2", "Tls12")] {
        let more = ["-Verify", "2", "-verify_return_error", "-CAfile", &ca, "-alpn", "two,one", "-rev"];
        let (mut server, port) = Peer::openssl_server(&Kind::P256.server(), &more).await?;
        let run = tests(&["client", &port.to_string()]).of(&authority, Some(&Kind::P256.client()));
        let said = run.variable("ALPN", "one,two").variable("MAX", max).run(b"").await?.good()?;
        for wanted in [
            &format!("ProtocolVersion::{version}"),
            "authorized: true\n",
            "alpn: Some(\"two\")\n",
            "peer: Some(\"server.test\")\n",
            "servername: Some(\"server.test\")\n",
            "answer: \"olleh\\n\"\nsent: well\nreceived: well\nclosed: true\n",
        ] {
            ensure!(said.contains(wanted), "{max}: no {wanted:?} in\n{said}");
        }
        server.until("CONNECTION CLOSED").await?;
        let heard = &server.text;
        ensure!(heard.contains("Verification: OK") && heard.contains("CN = client.test"), "{max}: {heard}");
    }
    Ok(())
}

async fn a_client_without_a_certificate_is_told_why() -> Result<()> {
    let authority = Kind::P256.authority();
    let ca = authority.certificate_path().display().to_string();
    let more = ["-Verify", "2", "-verify_return_error", "-CAfile", &ca, "-tls1_2"];
    let (_server, port) = Peer::openssl_server(&Kind::P256.server(), &more).await?;
    let output = tests(&["client", &port.to_string()]).of(&authority, None).run(b"").await?;
    output.refused("ErrorCode::ErrSslSslv3AlertHandshakeFailure")
}

async fn a_server_takes_openssl_and_checks_its_certificate() -> Result<()> {
    let authority = Kind::P256.authority();
    let own = Kind::P256.client();
    let run = tests(&["serve"]).of(&authority, Some(&Kind::P256.server()));
    let mut server = Serving::start(run.variable("ALPN", "one,two").variable("VERIFY", "1")).await?;
    let (certificate, key) = (own.certificate_path().display().to_string(), own.key_path().display().to_string());
    let more = ["-cert", &certificate, "-key", &key, "-alpn", "two,one", "-verify_return_error", "-no_ign_eof"];
    let mut client = Peer::openssl_client(&authority, server.port, &more)?;
    client.say("hello\n").await?;
    client.until("hello\n").await?;
    client.finish().await?;
    let said = server.finish().await?;
    for wanted in [
        "connections: 1\n",
        "authorized: true\n",
        "alpn: Some(\"one\")\n",
        "servername: Some(\"server.test\")\n",
        "peer: Some(\"client.test\")\n",
        "echoed: 6 bytes\nsent: well\nreceived: well\nconnections: 0\n",
    ] {
        ensure!(said.contains(wanted), "no {wanted:?} in\n{said}");
    }
    Ok(())
}

async fn a_server_tells_why_a_handshake_failed() -> Result<()> {
    let authority = Kind::P256.authority();
    let run = tests(&["serve"]).of(&authority, Some(&Kind::P256.server())).variable("VERIFY", "1");
    let mut server = Serving::start(run).await?;
    let mut client = Peer::openssl_client(&authority, server.port, &["-verify_return_error"])?;
    client.until("alert certificate required").await?;
    let said = server.finish().await?;
    let why = "ErrorCode::ErrSslPeerDidNotReturnACertificate";
    ensure!(said.matches(why).count() == 3, "the handshake and both directions should tell {why}:\n{said}");
    Ok(())
}

async fn client_and_server_of_one_instance_meet() -> Result<()> {
    let run = tests(&["both", "10485760"]).of(&Kind::P256.authority(), Some(&Kind::P256.server()));
    let said = run.variable("ALPN", "one").run(b"").await?.good()?;
    let wanted = "echoed: 10485760 bytes, heard: 10485760 bytes, as they were sent\nsent: well\nreceived: well\nits sent: well\n\
                  its received: well\n";
    ensure!(said.ends_with(wanted) && said.contains("alpn: Some(\"one\")\n"), "{said}");
    Ok(())
}

async fn a_server_over_streams_asks_no_questions() -> Result<()> {
    let run = tests(&["questions"]).of(&Kind::P256.authority(), Some(&Kind::P256.server()));
    let said = run.run(b"").await?.good()?;
    let named = ["set-sni-event", "set-alpn-event", "set-session-events", "set-ocsp-event"];
    ensure!(said.lines().count() == 4, "{said}");
    for (line, name) in said.lines().zip(named) {
        ensure!(line.contains(&format!("`{name}` was called: a connection over streams asks no questions")), "{line}");
    }
    Ok(())
}

/// A run of the stock program.
struct Run {
    program: PathBuf,
    options: Vec<OsString>,
    arguments: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// The client of examples/wasi-tls, whose configuration the host gives.
fn client(port: u16, name: &str) -> Run {
    let program = compiled("wasi-tls.config.wasm").unwrap_or_else(|error| panic!("{error:#}"));
    Run::new(program).arguments(&["127.0.0.1", &port.to_string(), name])
}

/// The program of host-tests/p3, likewise.
fn tests(arguments: &[&str]) -> Run {
    let program = compiled("p3-tests.config.wasm").unwrap_or_else(|error| panic!("{error:#}"));
    Run::new(program).arguments(arguments).option("config")
}

impl Run {
    fn new(program: PathBuf) -> Run {
        Run { program, options: Vec::new(), arguments: Vec::new() }
    }

    fn arguments(mut self, arguments: &[&str]) -> Run {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    fn option(mut self, option: impl Into<OsString>) -> Run {
        self.options.extend(["-S".into(), option.into()]);
        self
    }

    /// What the configuration says to be trusted.
    fn config(self, pem: &str) -> Run {
        self.option("config").option(format!("config-var=tls.ca={pem}"))
    }

    /// Trusts this authority, by configuration.
    fn ca(self, authority: &Identity) -> Run {
        self.config(&authority.certificate)
    }

    fn variable(mut self, name: &str, value: &str) -> Run {
        self.options.extend(["--env".into(), format!("{name}={value}").into()]);
        self
    }

    /// Trusts this authority, by a context, and shows this certificate.
    fn of(self, authority: &Identity, identity: Option<&Identity>) -> Run {
        let run = self.variable("CA", &authority.certificate);
        match identity {
            Some(identity) => run.variable("CERT", &identity.full_chain()).variable("KEY", &identity.key),
            None => run,
        }
    }

    fn start(&self) -> Result<Child> {
        let mut command = Command::new(wasmtime());
        command.args(["run", "--allow-precompiled", "-S", "inherit-network"]).args(&self.options);
        command.arg(&self.program).args(&self.arguments);
        piped(command)
    }

    /// Runs it to its end with this as standard input.
    async fn run(&self, input: &[u8]) -> Result<Output> {
        let mut child = self.start()?;
        let mut stdin = child.stdin.take().context("standard input")?;
        stdin.write_all(input).await?;
        drop(stdin);
        let output = within(async { Ok(child.wait_with_output().await?) }).await?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }
}

impl Output {
    /// What it said, where it went well.
    fn good(self) -> Result<String> {
        ensure!(self.code == Some(0) && self.stderr.lines().all(|line| line.ends_with("MB/s each way")), "{self:?}");
        Ok(self.stdout)
    }

    /// Checks that it failed by itself, without a trap, and said why.
    fn refused(&self, why: &str) -> Result<()> {
        ensure!(
            self.code == Some(1) && self.stderr.contains(why) && !self.stderr.contains("trap"),
            "no {why:?}: {self:?}"
        );
        Ok(())
    }
}

/// The program as a server.
struct Serving {
    port: u16,
    child: Child,
    output: BufReader<tokio::process::ChildStdout>,
}

impl Serving {
    async fn start(run: Run) -> Result<Serving> {
        let mut child = run.start()?;
        let mut output = BufReader::new(child.stdout.take().context("standard output")?);
        let mut line = String::new();
        within(async { Ok(output.read_line(&mut line).await?) }).await?;
        let port = line.trim().strip_prefix("port: ").and_then(|port| port.parse().ok());
        Ok(Serving { port: port.with_context(|| format!("no port in {line:?}"))?, child, output })
    }

    /// All that it says to its end.
    async fn finish(&mut self) -> Result<String> {
        let mut said = String::new();
        within(async { Ok(self.output.read_to_string(&mut said).await?) }).await?;
        ensure!(within(async { Ok(self.child.wait().await?) }).await?.success(), "it failed: {said}");
        Ok(said)
    }
}

/// A server of rustls with ring, any number of connections.
struct Rustls {
    port: u16,
    accepting: JoinHandle<Result<()>>,
}

type Stream = tokio_rustls::server::TlsStream<TcpStream>;

impl Rustls {
    /// Gives back what it gets.
    async fn echo() -> Result<Rustls> {
        Self::serve(async |stream| {
            let (mut read, mut write) = tokio::io::split(stream);
            tokio::io::copy(&mut read, &mut write).await?;
            Ok(write.shutdown().await?)
        })
        .await
    }

    /// Sends without end.
    async fn endless() -> Result<Rustls> {
        Self::serve(async |mut stream| {
            loop {
                stream.write_all(&[7; 16 * 1024]).await?;
            }
        })
        .await
    }

    /// Sends some bytes and ends the TCP connection without a word.
    async fn cut() -> Result<Rustls> {
        Self::serve(async |mut stream| {
            stream.write_all(&[7; SOME]).await?;
            stream.flush().await?;
            Ok(stream.get_mut().0.shutdown().await?)
        })
        .await
    }

    /// Sends some bytes and ends well.
    async fn closing() -> Result<Rustls> {
        Self::serve(async |mut stream| {
            stream.write_all(&[7; SOME]).await?;
            Ok(stream.shutdown().await?)
        })
        .await
    }

    async fn serve<F>(talk: impl Fn(Stream) -> F + Clone + Send + 'static) -> Result<Rustls>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let config = server_config(&Setup { identity: Some(Kind::P256.server()), ..Setup::default() })?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        // The usual backlog of 128 is too short for thousands at once.
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(4096)?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await?;
                let (acceptor, talk) = (acceptor.clone(), talk.clone());
                tokio::spawn(async move {
                    // What becomes of a connection is seen at its other end.
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let _ = talk(stream).await;
                    }
                });
            }
        });
        Ok(Rustls { port, accepting })
    }

    fn port(&self) -> String {
        self.port.to_string()
    }
}

impl Drop for Rustls {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A component that `cargo xtask p3` made.
fn component(name: &str) -> PathBuf {
    paths::target().join("components").join(name)
}

/// The stock program.
fn wasmtime() -> PathBuf {
    std::env::var_os("GUEST_TLS_WASMTIME").map_or_else(|| paths::target().join("tools/wasmtime"), PathBuf::from)
}

/// The same, compiled once for all rows.
fn compiled(name: &'static str) -> Result<PathBuf> {
    static COMPILED: OnceLock<std::sync::Mutex<std::collections::HashMap<&'static str, PathBuf>>> = OnceLock::new();
    let mut compiled =
        COMPILED.get_or_init(Default::default).lock().map_err(|_| anyhow!("compiling has failed before"))?;
    if let Some(path) = compiled.get(name) {
        return Ok(path.clone());
    }
    let path = paths::scratch()?.join(name).with_extension("cwasm");
    let output = Blocking::new(wasmtime()).arg("compile").arg("-o").arg(&path).arg(component(name)).output();
    let output = output.with_context(|| format!("{} does not start: cargo xtask setup", wasmtime().display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} (cargo xtask p3 makes it): {said}");
    compiled.insert(name, path.clone());
    Ok(path)
}

fn compose(arguments: &[OsString]) -> Result<()> {
    let output = Blocking::new(paths::target().join("xtask/compose")).args(arguments).output().context("compose")?;
    ensure!(output.status.success(), "compose {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn piped(mut command: Command) -> Result<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().with_context(|| format!("{:?} does not start", command.as_std().get_program()))
}

/// The port of `s_server`, from its line `ACCEPT 127.0.0.1:34567`.
async fn port_of(output: &mut (impl AsyncBufRead + Unpin)) -> Result<u16> {
    let mut line = String::new();
    while !line.starts_with("ACCEPT ") {
        line.clear();
        ensure!(output.read_line(&mut line).await? > 0, "s_server has ended");
    }
    line.trim().rsplit(':').next().and_then(|port| port.parse().ok()).with_context(|| format!("no port in {line:?}"))
}

/// The bytes of the peer, which have their upper bit set, from between `s_server`'s text.
async fn collect(output: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>, count: usize) -> std::io::Result<usize> {
    let mut buffer = vec![0; 64 * 1024];
    while bytes.len() < count {
        match output.read(&mut buffer).await? {
            0 => break,
            got => bytes.extend(buffer[..got].iter().filter(|byte| !byte.is_ascii())),
        }
    }
    Ok(bytes.len())
}

async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.with_context(|| format!("not done after {PATIENCE:?}"))?
}

/// Ten mebibytes, each with its upper bit set.
fn payload(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 | 0x80
    };
    (0..10 << 20).map(|_| next()).collect()
}

fn same(said: &str, wanted: &str) -> Result<()> {
    ensure!(said == wanted, "said:\n{said}\nwanted:\n{wanted}");
    Ok(())
}

/// What a good connection says at the end, to see that the instance is whole.
const GOOD: &str = "good: \"hello\\n\", then 0 bytes\nsent: well\nreceived: well\n";

/// In bytes.
const SOME: usize = 100_000;

/// For what takes a few seconds where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(120);
