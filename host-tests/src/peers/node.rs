//! Node's `tls`: one process of `node peers/node-peer.mjs` for all connections, and one of `node peers/node-judge.mjs` for those that
//! it judges.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::Listening;
use super::agent::{Agent, Answers, words};
use crate::exchange::{hex, payload_of};
use crate::paths;
use crate::setup::{Report, Setup};

/// A server that takes one connection.
pub async fn listen(setup: &Setup) -> Result<Listening> {
    let mut answers = peer().await?.order(json!({ "order": "listen", "setup": words(setup) })).await?;
    let port = answers.port().await?;
    Ok(Listening::elsewhere(port, async move { answers.report().await }))
}

/// A client.
pub async fn connect(setup: &Setup, port: u16) -> Result<Report> {
    let order = json!({ "order": "connect", "setup": words(setup), "port": port });
    peer().await?.order(order).await?.report().await
}

/// A server that takes one connection, and says all that Node says of it: see [`crate::judge`].
pub async fn listen_judging(setup: &Setup) -> Result<Judging> {
    let mut answers = judge().await?.order(json!({ "order": "listen", "setup": judged(setup) })).await?;
    Ok(Judging { port: answers.port().await?, answers })
}

/// A client, likewise.
pub async fn connect_judging(setup: &Setup, port: u16) -> Result<Value> {
    let order = json!({ "order": "connect", "setup": judged(setup), "port": port });
    Ok(judge().await?.order(order).await?.next().await?["view"].take())
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

async fn peer() -> Result<&'static Agent> {
    static NODE: OnceCell<Agent> = OnceCell::const_new();
    NODE.get_or_try_init(|| async { start("node-peer.mjs") }).await
}

async fn judge() -> Result<&'static Agent> {
    static NODE: OnceCell<Agent> = OnceCell::const_new();
    NODE.get_or_try_init(|| async { start("node-judge.mjs") }).await
}

fn start(script: &str) -> Result<Agent> {
    let mut command = Command::new(program());
    command.arg(format!("{}/peers/{script}", env!("CARGO_MANIFEST_DIR")));
    Agent::start(command)
}

/// As [`words`], with what this end is to say.
fn judged(setup: &Setup) -> Value {
    let mut words = words(setup);
    words["says"] = json!(hex(&payload_of(setup.turn, setup.bytes)));
    words
}
