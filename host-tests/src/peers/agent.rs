//! Programs that carry out orders: a process of Node's for its own `tls`, and one for each host of the component that is not Rust.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::setup::{Failure, Report, Setup, Tally};

/// A running program that takes orders as `peers/orders.mjs` says. It ends with its input, so at the latest with this process.
pub struct Agent {
    program: String,
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    _child: Child,
}

/// Who waits for which answers.
type Waiting = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Value>>>>;

/// The answers to one order.
pub struct Answers {
    program: String,
    answers: mpsc::UnboundedReceiver<Value>,
}

impl Agent {
    /// Starts the program.
    pub fn start(mut command: Command) -> Result<Agent> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let program = command.as_std().get_program().display().to_string();
        let mut child =
            command.spawn().with_context(|| format!("{program} does not start (cargo xtask setup gets it)"))?;
        let input = child.stdin.take().with_context(|| format!("{program}'s input"))?;
        let output = child.stdout.take().with_context(|| format!("{program}'s output"))?;
        let waiting = Waiting::default();
        tokio::spawn(hand_out(BufReader::new(output), Arc::clone(&waiting)));
        Ok(Agent { program, input: input.into(), waiting, next: AtomicU64::new(0), _child: child })
    }

    /// Gives an order, such as `{"order": "connect", "setup": …, "port": …}`.
    pub async fn order(&self, mut order: Value) -> Result<Answers> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::unbounded_channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        order["id"] = json!(id);
        let program = self.program.clone();
        let written = self.input.lock().await.write_all(format!("{order}\n").as_bytes()).await;
        written.with_context(|| format!("{program} is gone"))?;
        Ok(Answers { program, answers })
    }
}

impl Answers {
    /// The next one. Error: an order that could not be carried out.
    pub async fn next(&mut self) -> Result<Value> {
        let answer = self.answers.recv().await.with_context(|| format!("{} is gone", self.program))?;
        match &answer["fault"] {
            Value::Null => Ok(answer),
            fault => bail!("{}: {fault}", self.program),
        }
    }

    /// The port of a server.
    pub async fn port(&mut self) -> Result<u16> {
        let answer = self.next().await?;
        Ok(answer["port"].as_u64().with_context(|| format!("no port: {answer}"))? as u16)
    }

    /// What was seen of the connection, when it is over.
    pub async fn report(&mut self) -> Result<Report> {
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
            resumed: said["resumed"].as_bool(),
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
pub fn words(setup: &Setup) -> Value {
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
        "connections": setup.connections,
    })
}

fn tally(said: &Value) -> Tally {
    Tally {
        bytes: said["bytes"].as_u64().unwrap_or(0) as usize,
        sha256: said["sha256"].as_str().unwrap_or_default().to_string(),
    }
}
