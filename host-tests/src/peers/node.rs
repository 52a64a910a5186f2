//! Node's `tls`: one process of `node peers/node-peer.mjs` for all connections, and one of `node peers/node-judge.mjs` for those that
//! it judges.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{OnceCell, mpsc};

use super::Listening;
use crate::exchange::{hex, payload_of};
use crate::paths;
use crate::setup::{Failure, Report, Setup, Tally};

/// A server that takes one connection.
pub async fn listen(setup: &Setup) -> Result<Listening> {
    let mut answers = Node::peer().await?.order(json!({ "order": "listen", "setup": words(setup) })).await?;
    let port = answers.port().await?;
    Ok(Listening::new(port, async move { answers.report().await }))
}

/// A client.
pub async fn connect(setup: &Setup, port: u16) -> Result<Report> {
    let order = json!({ "order": "connect", "setup": words(setup), "port": port });
    Node::peer().await?.order(order).await?.report().await
}

/// A server that takes one connection, and says all that Node says of it: see [`crate::judge`].
pub async fn listen_judging(setup: &Setup) -> Result<Judging> {
    let mut answers = Node::judge().await?.order(json!({ "order": "listen", "setup": judged(setup) })).await?;
    Ok(Judging { port: answers.port().await?, answers })
}

/// A client, likewise.
pub async fn connect_judging(setup: &Setup, port: u16) -> Result<Value> {
    let order = json!({ "order": "connect", "setup": judged(setup), "port": port });
    Ok(Node::judge().await?.order(order).await?.next().await?["view"].take())
}

/// A server that waits for one connection.
pub struct Judging {
    /// Its port on 127.0.0.1.
    pub port: u16,
    answers: Answers,
}

impl Judging {
    /// What Node says of the connection, when it is over.
    pub async fn view(mut self) -> Result<Value> {
        Ok(self.answers.next().await?["view"].take())
    }
}

/// What a script of Node's prints as JSON, when it is given this as its input.
pub async fn run(script: &str, input: &Value) -> Result<Value> {
    let program = program();
    let mut command = Command::new(&program);
    command.args(["--input-type=module", "--eval", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let started = command.kill_on_drop(true).spawn();
    let mut child = started
        .with_context(|| format!("{} does not start (cargo xtask setup, or GUEST_TLS_NODE)", program.display()))?;
    let mut stdin = child.stdin.take().context("node's input")?;
    stdin.write_all(input.to_string().as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("node ended with {}", output.status))
}

/// The program: `GUEST_TLS_NODE`, or the one that `cargo xtask setup` puts among the tools.
pub fn program() -> PathBuf {
    match std::env::var_os("GUEST_TLS_NODE") {
        Some(path) => path.into(),
        None => paths::target().join("tools/node"),
    }
}

/// A running process. It ends with its input, so at the latest with this process.
struct Node {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    _child: Child,
}

/// Who waits for which answers.
type Waiting = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Value>>>>;

/// The answers to one order.
struct Answers(mpsc::UnboundedReceiver<Value>);

impl Node {
    async fn peer() -> Result<&'static Node> {
        static NODE: OnceCell<Node> = OnceCell::const_new();
        NODE.get_or_try_init(|| Node::start(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node-peer.mjs"))).await
    }

    async fn judge() -> Result<&'static Node> {
        static NODE: OnceCell<Node> = OnceCell::const_new();
        NODE.get_or_try_init(|| Node::start(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/node-judge.mjs"))).await
    }

    async fn start(script: &str) -> Result<Node> {
        let program = program();
        let mut command = Command::new(&program);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let started = command.spawn();
        let mut child = started
            .with_context(|| format!("{} does not start (cargo xtask setup, or GUEST_TLS_NODE)", program.display()))?;
        let input = child.stdin.take().context("node's input")?;
        let output = child.stdout.take().context("node's output")?;
        let waiting = Waiting::default();
        tokio::spawn(hand_out(BufReader::new(output), Arc::clone(&waiting)));
        Ok(Node { input: input.into(), waiting, next: AtomicU64::new(0), _child: child })
    }

    async fn order(&self, mut order: Value) -> Result<Answers> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::unbounded_channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        order["id"] = json!(id);
        self.input.lock().await.write_all(format!("{order}\n").as_bytes()).await.context("node is gone")?;
        Ok(Answers(answers))
    }
}

impl Answers {
    async fn next(&mut self) -> Result<Value> {
        let answer = self.0.recv().await.context("node is gone")?;
        match &answer["fault"] {
            Value::Null => Ok(answer),
            fault => bail!("node: {fault}"),
        }
    }

    async fn port(&mut self) -> Result<u16> {
        let answer = self.next().await?;
        Ok(answer["port"].as_u64().with_context(|| format!("no port: {answer}"))? as u16)
    }

    async fn report(&mut self) -> Result<Report> {
        let answer = self.next().await?;
        let said = &answer["report"];
        let text = |name: &str| said[name].as_str().map(str::to_string);
        let failure = &said["failure"];
        let failure = failure.is_object().then(|| Failure {
            code: failure["code"].as_str().unwrap_or_default().to_string(),
            message: failure["message"].as_str().unwrap_or_default().to_string(),
            reason: failure["reason"].as_str().map(str::to_string),
            alert: failure["alert"].as_u64().map(|alert| alert as u8),
        });
        Ok(Report {
            protocol: text("protocol"),
            suite: text("suite"),
            group: text("group"),
            alpn: text("alpn"),
            peer_subject: text("peerSubject"),
            authorized: said["authorized"].as_bool(),
            authorization_error: text("authorizationError"),
            servername: text("servername"),
            exporter: text("exporter"),
            sent: tally(&said["sent"]),
            received: tally(&said["received"]),
            ended: said["ended"].as_bool().unwrap_or(false),
            failure,
        })
    }
}

async fn hand_out(output: BufReader<tokio::process::ChildStdout>, waiting: Waiting) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
        let Some(id) = answer["id"].as_u64() else { continue };
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = answer["port"].is_null();
        if let Some(sender) = waiting.get(&id) {
            // A test that no longer waits has failed already.
            let _ = sender.send(answer);
        }
        if is_last {
            waiting.remove(&id);
        }
    }
    // Whoever still waits is told by the end of the channel.
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// The setup in the words of Node's options.
fn words(setup: &Setup) -> Value {
    let ciphers = setup.suites.iter().map(|suite| suite.openssl).collect::<Vec<_>>();
    let groups = setup.groups.iter().map(|group| group.openssl).collect::<Vec<_>>();
    let roots = setup.roots.iter().map(|root| &root.certificate).collect::<Vec<_>>();
    json!({
        "certificate": setup.identity.as_ref().map(|identity| identity.full_chain()),
        "key": setup.identity.as_ref().map(|identity| &identity.key),
        "roots": (!roots.is_empty()).then_some(roots),
        "crls": (!setup.crls.is_empty()).then_some(&setup.crls),
        "allowPartialTrustChain": setup.allow_partial_trust_chain,
        "minVersion": setup.versions.0.name(),
        "maxVersion": setup.versions.1.name(),
        "ciphers": (!ciphers.is_empty()).then(|| ciphers.join(":")),
        "groups": (!groups.is_empty()).then(|| groups.join(":")),
        "sigalgs": (!setup.sigalgs.is_empty()).then(|| setup.sigalgs.join(":")),
        "honorCipherOrder": setup.honor_cipher_order,
        "skipServerIdentity": setup.skip_server_identity,
        "servername": setup.servername,
        "alpn": setup.alpn,
        "requestCert": setup.request_cert,
        "rejectUnauthorized": setup.reject_unauthorized,
        "turn": format!("{:?}", setup.turn),
        "bytes": setup.bytes,
    })
}

/// As [`words`], with what this end is to say.
fn judged(setup: &Setup) -> Value {
    let mut words = words(setup);
    words["says"] = json!(hex(&payload_of(setup.turn, setup.bytes)));
    words
}

fn tally(said: &Value) -> Tally {
    Tally {
        bytes: said["bytes"].as_u64().unwrap_or(0) as usize,
        sha256: said["sha256"].as_str().unwrap_or_default().to_string(),
    }
}
