//! Real programs on the drop-in for Node's `tls`: packages of npm that nobody here wrote, unchanged, under `node --import guest-tls/register`.
//!
//! Each is a script in `examples/node/test/programs`, which is a server or a client. Both say what they see; and where the TLS is ours, a
//! counter at the end of the process says how many handshakes the component did. There must be as many as the program makes connections, and
//! none where the TLS is Node's own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, bail, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::exchange::payload_of;
use host_tests::peers::command::Peer;
use host_tests::peers::{node, within};
use host_tests::postgres::{self, Postgres, Settings};
use host_tests::rows;
use host_tests::setup::{SERVER_NAME, Turn};
use host_tests::table::{self, Row};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

fn main() {
    let mut all = Vec::new();
    for program in programs() {
        let program = Arc::new(program);
        for (client, server, words) in MEETINGS {
            all.push(program.row(words, move |side| Process::of(side, client, server, node::program())));
        }
        if let Some(other) = other_node()
            && other.version >= program.oldest_node
        {
            let words = format!("both ours, on Node {}", other.version);
            all.push(program.row(&words, move |side| Process::of(side, Tls::Ours, Tls::Ours, other.path.clone())));
        }
    }
    all.extend(rows! {
        "pg":
        pg_asks_postgresql,
        pg_asks_postgresql_that_speaks_tls_1_2,
    });
    all.extend(rows! {
        "strangers":
        curl_gets_a_page_of_express,
        curl_speaks_http_1_and_2_with_an_http2_server,
        openssl_gets_a_page_of_express,
    });
    all.extend(rows! {
        "refused":
        fetch_trusts_nobody_but_the_known_authorities,
        a_server_that_wants_a_certificate_refuses_curl_without,
        express_goes_on_after_clients_that_speak_no_tls,
    });
    table::main(all);
}

/// Whose TLS a process uses.
#[derive(Clone, Copy, PartialEq)]
enum Tls {
    Ours,
    Nodes,
}

const MEETINGS: [(Tls, Tls, &str); 3] = [
    (Tls::Nodes, Tls::Ours, "server ours, client Node's own"),
    (Tls::Ours, Tls::Nodes, "server Node's own, client ours"),
    (Tls::Ours, Tls::Ours, "both ours"),
];

/// A program, and what is to be seen when it runs.
struct Program {
    name: &'static str,
    /// The scripts: of the client, and of the server.
    scripts: [&'static str; 2],
    /// Options of Node's, for both.
    options: &'static [&'static str],
    /// For both, beside `CA`, `CERT` and `KEY`.
    environment: Vec<(&'static str, String)>,
    /// The oldest version of Node that the package runs on.
    oldest_node: u32,
    handshakes: u64,
    /// How many of them resume a session.
    resumed: u64,
    /// How many bodies of a mebibyte the two tell of, all of them the same one.
    bodies: usize,
    /// What must be in what they say; there may be more.
    client_sees: Value,
    server_sees: Vec<Value>,
}

impl Program {
    /// One that makes one connection of TLS 1.3 with a client certificate, and carries one body up and down.
    fn new(name: &'static str) -> Program {
        Program {
            name,
            scripts: [name, name],
            options: &[],
            environment: Vec::new(),
            oldest_node: 20,
            handshakes: 1,
            resumed: 0,
            bodies: 2,
            client_sees: server_is_good(),
            server_sees: vec![client_is_good(Value::Null)],
        }
    }

    fn row(self: &Arc<Self>, words: &str, process: impl Fn(Side) -> Process + Send + Sync + 'static) -> Row {
        let program = Arc::clone(self);
        let process = Arc::new(process);
        Row::new(self.name, words, move || {
            let (program, process) = (Arc::clone(&program), Arc::clone(&process));
            async move {
                prepare()?;
                program.run(&*process).await
            }
        })
    }

    async fn run(&self, process: &impl Fn(Side) -> Process) -> Result<()> {
        let (server, client) = (process(Side::Server), process(Side::Client));
        let mut listening = server.start(self, None).await.context("the server")?;
        let port = listening.port().await?;
        let mut calling = client.start(self, Some(port)).await.context("the client")?;
        let mut said = Vec::new();
        within(calling.say(1, &mut said)).await.context("the client")?;
        contains(&said[0], &self.client_sees).context("what the client saw")?;
        calling.finish(&client, self).await.context("the client")?;

        let mut seen = Vec::new();
        within(listening.say(self.server_sees.len(), &mut seen)).await.context("the server")?;
        for (seen, expected) in seen.iter().zip(&self.server_sees) {
            contains(seen, expected).context("what the server saw")?;
        }
        listening.finish(&server, self).await.context("the server")?;

        said.extend(seen);
        self.check_bodies(&said)
    }

    fn check_bodies(&self, said: &[Value]) -> Result<()> {
        let mut bodies = Vec::new();
        said.iter().for_each(|said| find_bodies(said, &mut bodies));
        ensure!(bodies.len() == self.bodies, "they tell of {} bodies, not of {}: {said:?}", bodies.len(), self.bodies);
        for (bytes, sha256) in &bodies {
            ensure!(*bytes == MEBIBYTE && sha256 == &bodies[0].1, "the bodies are not the same mebibyte: {bodies:?}");
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

/// What a client says of a server that it has verified.
fn server_is_good() -> Value {
    json!({ "protocol": "TLSv1.3", "alpn": null, "authorized": true, "peer": "server.test" })
}

/// What a server says of a client that it has verified, with this protocol by ALPN.
fn client_is_good(alpn: Value) -> Value {
    json!({ "protocol": "TLSv1.3", "alpn": alpn, "authorized": true, "peer": "client.test" })
}

fn programs() -> Vec<Program> {
    let root = Kind::P256.authority().certificate_path().display().to_string();
    let [first, again] = [false, true].map(|resumed| {
        let mut seen = client_is_good(Value::Null);
        seen["resumed"] = json!(resumed);
        seen
    });
    let https = |name, options, protocol| {
        let on = |mut seen: Value| {
            seen["protocol"] = json!(protocol);
            seen
        };
        Program {
            scripts: ["https", "https"],
            options,
            handshakes: 4,
            resumed: 1,
            bodies: 8,
            client_sees: json!({
                "kept": on(server_is_good()), "reused": [false, true, true],
                // Node's own does not know the certificate of a session that it resumed.
                "closed": [on(server_is_good()), { "protocol": protocol, "authorized": true, "resumed": true }],
                "global": on(server_is_good()),
            }),
            server_sees: [&first, &first, &again, &first].map(|seen| on(seen.clone())).into(),
            ..Program::new(name)
        }
    };
    let stream = json!({
        "status": 200, "connection": { "encrypted": true, "alpn": "h2", "authorized": true, "protocol": "TLSv1.3" },
    });
    let h2 = json!({ "session": { "alpn": "h2", "encrypted": true } });
    let undici = |version: &str| json!({ "requests": [{ "status": 200, "version": version }, { "status": 200, "version": version }] });
    vec![
        https("https", &[], "TLSv1.3"),
        https("https, TLS 1.2", &["--tls-max-v1.2"], "TLSv1.2"),
        Program {
            scripts: ["fetch", "http2"],
            environment: vec![("NODE_EXTRA_CA_CERTS", root)],
            client_sees: json!({ "status": 200 }),
            // fetch has no option for a certificate.
            server_sees: vec![json!({ "protocol": "TLSv1.3", "alpn": "http/1.1", "authorized": false, "peer": null })],
            ..Program::new("fetch")
        },
        Program {
            scripts: ["undici", "http2"],
            oldest_node: 23,
            bodies: 4,
            client_sees: undici("1.1"),
            server_sees: vec![client_is_good(json!("http/1.1"))],
            ..Program::new("undici")
        },
        Program {
            scripts: ["undici", "http2"],
            environment: vec![("H2", "1".to_string())],
            oldest_node: 23,
            bodies: 4,
            client_sees: undici("2.0"),
            server_sees: vec![h2.clone(), client_is_good(json!("h2"))],
            ..Program::new("undici, HTTP/2")
        },
        Program {
            client_sees: json!({
                "view": { "secure": true, "hostname": SERVER_NAME, "protocol": "TLSv1.3", "authorized": true, "peer": "client.test" },
                "reused": true,
            }),
            ..Program::new("express")
        },
        Program {
            bodies: 4,
            client_sees: json!({
                "protocol": "TLSv1.3", "alpn": "h2", "authorized": true, "peer": "server.test",
                "session": { "alpn": "h2", "encrypted": true }, "streams": [stream, stream, stream],
            }),
            server_sees: vec![h2, client_is_good(json!("h2"))],
            ..Program::new("http2")
        },
        Program {
            client_sees: json!({ "authorized": true, "peer": "server.test", "text": "hello", "closed": 1000 }),
            server_sees: vec![client_is_good(Value::Null), json!({ "closed": 1000, "reason": "enough" })],
            ..Program::new("ws")
        },
        Program {
            client_sees: json!({ "accepted": ["to@server.test"] }),
            server_sees: vec![
                json!({ "protocol": "TLSv1.3", "authorized": true, "peer": "client.test", "servername": SERVER_NAME }),
                json!({ "mail": { "secure": true, "from": "from@client.test" } }),
            ],
            scripts: ["smtp", "smtp"],
            ..Program::new("nodemailer and smtp-server")
        },
        Program {
            scripts: ["mqtt", "mqtt"],
            client_sees: json!({ "protocol": "TLSv1.3", "authorized": true, "peer": "server.test", "topic": "body" }),
            server_sees: vec![client_is_good(Value::Null), json!({ "left": "test" })],
            ..Program::new("mqtt and aedes")
        },
        Program {
            scripts: ["proxy", "proxy"],
            handshakes: 2,
            server_sees: vec![
                json!({ "proxy": { "protocol": "TLSv1.3", "alpn": "http/1.1", "peer": null } }),
                json!({ "connect": "server.test:443" }),
                json!({ "origin": client_is_good(Value::Null) }),
            ],
            ..Program::new("https-proxy-agent, TLS in TLS")
        },
        Program {
            scripts: ["grpc", "grpc"],
            client_sees: json!({}),
            server_sees: vec![json!({ "type": "ssl", "peer": "client.test" })],
            ..Program::new("grpc-js")
        },
    ]
}

async fn pg_asks_postgresql() -> Result<()> {
    ask_postgresql(None, "TLSv1.3").await
}

async fn pg_asks_postgresql_that_speaks_tls_1_2() -> Result<()> {
    ask_postgresql(Some("TLSv1.2"), "TLSv1.2").await
}

/// By `SSLRequest`, with a client certificate, and with a password that is bound to the connection.
async fn ask_postgresql(max_protocol_version: Option<&'static str>, protocol: &str) -> Result<()> {
    prepare()?;
    let settings = Settings { max_protocol_version, ..Settings::new(Kind::P256.server()) };
    let server = Postgres::start(&settings).await?;
    let role = postgres::client(postgres::USER, &Kind::P256.authority());
    let program = Program {
        environment: vec![
            ("CERT", role.certificate_path().display().to_string()),
            ("KEY", role.key_path().display().to_string()),
            ("PGHOST", "127.0.0.1".to_string()),
            ("PGPORT", server.port.to_string()),
            ("PGUSER", postgres::USER.to_string()),
            ("PGPASSWORD", postgres::PASSWORD.to_string()),
            ("PGDATABASE", postgres::DATABASE.to_string()),
        ],
        ..Program::new("pg")
    };
    let process = Process::of(Side::Client, Tls::Ours, Tls::Nodes, node::program());
    let mut client = process.start(&program, Some(server.port)).await?;
    let mut said = Vec::new();
    within(client.say(1, &mut said)).await?;
    let seen_by_server = json!({ "ssl": true, "version": protocol, "client_dn": "/O=guest-tls/CN=alice" });
    let mechanism = "SCRAM-SHA-256-PLUS";
    let connection = json!({ "protocol": protocol, "authorized": true, "peer": SERVER_NAME });
    contains(&said[0], &connection)?;
    contains(&said[0], &json!({ "mechanism": mechanism, "tls": seen_by_server }))?;
    client.finish(&process, &program).await?;
    program.check_bodies(&said)?;
    server.stop().await;
    Ok(())
}

async fn curl_gets_a_page_of_express() -> Result<()> {
    let server = Server::start("express").await?;
    let page = server.curl(&["--http1.1"], "").await?;
    let view = serde_json::from_slice(&page).context("the page")?;
    contains(&view, &json!({ "secure": true, "hostname": SERVER_NAME, "protocol": "TLSv1.3", "peer": "client.test" }))?;
    server.finish(1).await
}

async fn curl_speaks_http_1_and_2_with_an_http2_server() -> Result<()> {
    let server = Server::start("http2").await?;
    let body = payload_of(Turn::WhenAllCame, MEBIBYTE as usize);
    let file = Kind::P256.client().folder.join(format!("body-{}", server.port));
    std::fs::write(&file, &body)?;
    for (version, name) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let upload = format!("@{}", file.display());
        let echoed = server.curl(&[version, "--data-binary", &upload], "%{http_version}").await?;
        let (echoed, told) = echoed.split_at(echoed.len().saturating_sub(name.len()));
        ensure!(echoed == body, "curl {version} got {} bytes, or other ones", echoed.len());
        ensure!(told == name.as_bytes(), "curl {version} used HTTP/{}", String::from_utf8_lossy(told));
    }
    server.finish(2).await
}

async fn openssl_gets_a_page_of_express() -> Result<()> {
    let server = Server::start("express").await?;
    let client = Kind::P256.client();
    let [cert, key] = [client.certificate_path(), client.key_path()].map(|path| path.display().to_string());
    let more = ["-cert", &cert, "-key", &key, "-verify_return_error", "-quiet", "-ign_eof"];
    let mut openssl = Peer::openssl_client(&Kind::P256.authority(), server.port, &more)?;
    openssl.say(&format!("GET / HTTP/1.1\r\nHost: {SERVER_NAME}\r\nConnection: close\r\n\r\n")).await?;
    openssl.until("\r\n\r\n{").await?;
    let said = openssl.finish().await?;
    let page = said.split_once("\r\n\r\n{").and_then(|(_, page)| page.split_once('}'));
    let (page, _) = page.with_context(|| format!("no page in {said}"))?;
    let view = serde_json::from_str(&format!("{{{page}}}"))?;
    contains(&view, &json!({ "secure": true, "protocol": "TLSv1.3", "authorized": true, "peer": "client.test" }))?;
    server.finish(1).await
}

async fn fetch_trusts_nobody_but_the_known_authorities() -> Result<()> {
    let server = Server::start("http2").await?;
    let program = Program { scripts: ["fetch", "http2"], handshakes: 0, ..Program::new("fetch") };
    let mut codes = Vec::new();
    for tls in [Tls::Ours, Tls::Nodes] {
        let process = Process::of(Side::Client, tls, tls, node::program());
        let mut client = process.start(&program, Some(server.port)).await?;
        within(client.say(1, &mut codes)).await?;
        client.failing(1).finish(&process, &program).await?;
    }
    ensure!(codes[0] == json!({ "failure": "UNABLE_TO_VERIFY_LEAF_SIGNATURE" }), "fetch says {}", codes[0]);
    ensure!(codes[0] == codes[1], "fetch says {}, and with Node's own TLS {}", codes[0], codes[1]);
    server.failing(2).finish(0).await
}

async fn a_server_that_wants_a_certificate_refuses_curl_without() -> Result<()> {
    let server = Server::start("https").await?;
    let error = match server.curl_as(None, &[], "").await {
        Ok(page) => bail!("curl got {} bytes", page.len()),
        Err(error) => error.to_string(),
    };
    ensure!(error.contains("certificate required"), "curl says {error}");
    server.failing(1).finish(0).await
}

async fn express_goes_on_after_clients_that_speak_no_tls() -> Result<()> {
    let server = Server::start("express").await?;
    let half_a_hello = [0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    for bytes in [b"".as_slice(), b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n", &half_a_hello, &[0xff; 300]] {
        let mut client = TcpStream::connect(("127.0.0.1", server.port)).await?;
        client.write_all(bytes).await?;
        client.shutdown().await?;
        let mut answer = Vec::new();
        within(async { Ok(client.read_to_end(&mut answer).await?) }).await?;
        let is_alert = answer.is_empty() || answer.starts_with(&[21, 3, 3, 0, 2, 2]);
        ensure!(is_alert, "after {bytes:?} it answers {answer:?}, which is no fatal alert");
    }
    server.curl(&[], "").await?;
    server.failing(4).finish(1).await
}

/// A server with our TLS, for clients that are no programs of Node's.
struct Server {
    running: Running,
    process: Process,
    port: u16,
}

impl Server {
    async fn start(script: &'static str) -> Result<Server> {
        prepare()?;
        let process = Process::of(Side::Server, Tls::Ours, Tls::Ours, node::program());
        let mut running = process.start(&Program::new(script), None).await?;
        let port = running.port().await?;
        Ok(Server { running, process, port })
    }

    /// What curl gets, with a client certificate, and after that what it is to say.
    async fn curl(&self, arguments: &[&str], says: &str) -> Result<Vec<u8>> {
        self.curl_as(Some(&Kind::P256.client()), arguments, says).await
    }

    async fn curl_as(&self, client: Option<&Identity>, arguments: &[&str], says: &str) -> Result<Vec<u8>> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--resolve"]);
        command.arg(format!("{SERVER_NAME}:{}:127.0.0.1", self.port));
        command.arg("--cacert").arg(Kind::P256.authority().certificate_path()).args(["--write-out", says]);
        if let Some(client) = client {
            command.arg("--cert").arg(client.certificate_path()).arg("--key").arg(client.key_path());
        }
        command.args(arguments).arg(format!("https://{SERVER_NAME}:{}/", self.port)).kill_on_drop(true);
        let output = within(async { command.output().await.context("curl does not start") }).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(output.stdout)
    }

    fn failing(self, failed: u64) -> Server {
        Server { running: self.running.failing(failed), ..self }
    }

    async fn finish(self, handshakes: u64) -> Result<()> {
        let program = Program { handshakes, ..Program::new("") };
        self.running.finish(&self.process, &program).await
    }
}

/// A process of Node's to be.
struct Process {
    node: PathBuf,
    side: Side,
    tls: Tls,
}

impl Process {
    fn of(side: Side, client: Tls, server: Tls, node: PathBuf) -> Process {
        Process { node, side, tls: if side == Side::Client { client } else { server } }
    }

    /// Starts the program's server, or its client for a port.
    async fn start(&self, program: &Program, port: Option<u16>) -> Result<Running> {
        let [client, server] = program.scripts;
        let (script, identity) = match self.side {
            Side::Client => (client, Kind::P256.client()),
            Side::Server => (server, Kind::P256.server()),
        };
        let mut command = Command::new(&self.node);
        command.args(program.options);
        if self.tls == Tls::Ours {
            command.arg("--import").arg(package().join("lib/register.mjs"));
        }
        command.arg(folder().join(format!("{script}.mjs")));
        match port {
            Some(port) => command.args(["client", &port.to_string()]),
            None => command.arg("server"),
        };
        command.env("CA", Kind::P256.authority().certificate_path());
        command.env("CERT", identity.certificate_path()).env("KEY", identity.key_path());
        command.env("GUEST_TLS_STATISTICS", "1").env_remove("NODE_OPTIONS").env_remove("NODE_EXTRA_CA_CERTS");
        command.envs(program.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let started = command.spawn();
        let mut child = started.with_context(|| format!("{} does not start", self.node.display()))?;
        let mut stderr = child.stderr.take().context("its errors")?;
        let errors = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await?;
            Ok(text)
        });
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        Ok(Running { child, input, lines, errors, failed: 0 })
    }
}

/// A process of Node's.
struct Running {
    child: Child,
    /// A server ends with its input.
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    errors: JoinHandle<Result<String>>,
    /// How many handshakes are to fail.
    failed: u64,
}

impl Running {
    async fn port(&mut self) -> Result<u16> {
        let mut said = Vec::new();
        within(self.say(1, &mut said)).await?;
        Ok(said[0]["port"].as_u64().with_context(|| format!("no port in {}", said[0]))? as u16)
    }

    /// Adds the next lines that it prints.
    async fn say(&mut self, lines: usize, said: &mut Vec<Value>) -> Result<()> {
        for _ in 0..lines {
            let Some(line) = self.lines.next_line().await? else {
                bail!("it has ended after {said:?}, and says: {}", (&mut self.errors).await??);
            };
            said.push(serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))?);
        }
        Ok(())
    }

    fn failing(self, failed: u64) -> Running {
        Running { failed, ..self }
    }

    /// Waits for its end: it must have said nothing else but how many handshakes the component did, if it was the component at all.
    async fn finish(mut self, process: &Process, program: &Program) -> Result<()> {
        self.input = None;
        let status = within(async { Ok(self.child.wait().await?) }).await.context("waiting for its end")?;
        let errors = (&mut self.errors).await??;
        ensure!(status.success(), "it ended with {status}, and says: {errors}");
        let [client, server] = match process.side {
            Side::Client => [program.handshakes, 0],
            Side::Server => [0, program.handshakes],
        };
        let expected = match process.tls {
            Tls::Ours => {
                let counts =
                    json!({ "client": client, "server": server, "resumed": program.resumed, "failed": self.failed });
                Some(counts)
            }
            Tls::Nodes => None,
        };
        let counts = errors.lines().find_map(|line| line.strip_prefix("guest-tls: "));
        let counts = counts.map(serde_json::from_str::<Value>).transpose()?;
        ensure!(
            counts == expected,
            "the component's handshakes are {counts:?}, and should be {expected:?}; it says: {errors}"
        );
        ensure!(errors.lines().count() == usize::from(expected.is_some()), "it says: {errors}");
        Ok(())
    }
}

/// Another Node than the tests' own: the system's.
struct OtherNode {
    path: PathBuf,
    version: u32,
}

fn other_node() -> Option<&'static OtherNode> {
    static OTHER: OnceLock<Option<OtherNode>> = OnceLock::new();
    let find = || {
        let version = |path: &Path| {
            let output = std::process::Command::new(path).arg("--version").output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            text.strip_prefix('v')?.split('.').next()?.parse::<u32>().ok()
        };
        let path = PathBuf::from("node");
        let number =
            version(&path).filter(|number| *number >= OLDEST_NODE && Some(*number) != version(&node::program()))?;
        Some(OtherNode { path, version: number })
    };
    OTHER.get_or_init(find).as_ref()
}

/// Gets the packages by `npm ci`, unless they are there; and looks for the component.
fn prepare() -> Result<()> {
    let wanted = [package().join("lib/component/guest-tls.js"), folder().join("node_modules")];
    let missing = wanted.iter().find(|path| !path.exists());
    missing.map_or(Ok(()), |missing| bail!("{} is not there: `cargo xtask hosts` makes it", missing.display()))
}

/// The npm package.
fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/node")
}

fn folder() -> PathBuf {
    package().join("test/programs")
}

/// Whether all of `expected` is in `seen`.
fn contains(seen: &Value, expected: &Value) -> Result<()> {
    let is_in = match (seen, expected) {
        (Value::Object(seen), Value::Object(expected)) => {
            for (name, expected) in expected {
                contains(seen.get(name).unwrap_or(&Value::Null), expected).with_context(|| name.clone())?;
            }
            true
        }
        (Value::Array(seen), Value::Array(expected)) => {
            ensure!(seen.len() == expected.len(), "{} instead of {} values", seen.len(), expected.len());
            seen.iter().zip(expected).try_for_each(|(seen, expected)| contains(seen, expected))?;
            true
        }
        (seen, expected) => seen == expected,
    };
    ensure!(is_in, "{seen} instead of {expected}");
    Ok(())
}

/// The digests of bodies in what was said.
fn find_bodies(said: &Value, bodies: &mut Vec<(u64, String)>) {
    match said {
        Value::Object(said) => {
            if let (Some(bytes), Some(sha256)) = (said.get("bytes"), said.get("sha256")) {
                bodies.push((bytes.as_u64().unwrap_or(0), sha256.as_str().unwrap_or_default().to_string()));
            }
            said.values().for_each(|said| find_bodies(said, bodies));
        }
        Value::Array(said) => said.iter().for_each(|said| find_bodies(said, bodies)),
        _ => {}
    }
}

const MEBIBYTE: u64 = 1 << 20;

const OLDEST_NODE: u32 = 20;
