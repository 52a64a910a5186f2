//! A peer that is driven by hand: a command of which a test reads the text and writes the input.

use std::ffi::OsStr;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::within;
use crate::certificates::Identity;

/// A running command. It ends with this.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: mpsc::UnboundedReceiver<Vec<u8>>,
    /// What it has said so far, errors among it.
    pub text: String,
    name: String,
}

impl Peer {
    /// Starts a command.
    pub fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Peer> {
        let name = program.as_ref().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
        let (sender, output) = mpsc::unbounded_channel();
        tokio::spawn(hand_on(child.stdout.take().context("its output")?, sender.clone()));
        tokio::spawn(hand_on(child.stderr.take().context("its errors")?, sender));
        let input = child.stdin.take();
        Ok(Peer { child, input, output, text: String::new(), name })
    }

    /// `openssl s_server` with this certificate, and more arguments; and its port.
    pub async fn openssl_server(identity: &Identity, arguments: &[&str]) -> Result<(Peer, u16)> {
        let (certificate, key) = (identity.certificate_path(), identity.key_path());
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let usual = ["s_server", "-accept", "127.0.0.1:0", "-cert", &certificate, "-key", &key];
        let mut peer = Peer::start("openssl", &[&usual, arguments].concat())?;
        peer.until("ACCEPT ").await?;
        peer.until("\n").await?;
        let line = peer.text.lines().find(|line| line.starts_with("ACCEPT ")).unwrap_or_default().to_string();
        let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok());
        Ok((peer, port.with_context(|| format!("no port in {line:?}"))?))
    }

    /// `openssl s_client` that trusts this root, and more arguments.
    pub fn openssl_client(root: &Identity, port: u16, arguments: &[&str]) -> Result<Peer> {
        let root = root.certificate_path().display().to_string();
        let address = format!("127.0.0.1:{port}");
        let usual = ["s_client", "-connect", &address, "-CAfile", &root, "-servername", crate::setup::SERVER_NAME];
        Peer::start("openssl", &[&usual, arguments].concat())
    }

    /// Waits until it has said this.
    pub async fn until(&mut self, words: &str) -> Result<()> {
        let name = self.name.clone();
        let waited = within(async {
            while !self.text.contains(words) {
                match self.output.recv().await {
                    Some(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                    None => bail!("it has ended"),
                }
            }
            Ok(())
        });
        let result = waited.await;
        result.with_context(|| format!("waiting for {name} to say {words:?}; it said:\n{}", self.text))
    }

    /// Waits until it has said this and then ` .`, and gives what stands between.
    pub async fn word_after(&mut self, words: &str) -> Result<String> {
        self.until(words).await?;
        loop {
            let rest = self.text.split_once(words).map(|(_, rest)| rest).unwrap_or_default();
            if let Some((word, _)) = rest.split_once(" .") {
                return Ok(word.to_string());
            }
            let bytes = within(async { self.output.recv().await.context("it has ended") }).await?;
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Writes to its input.
    pub async fn say(&mut self, words: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input was closed")?;
        input.write_all(words.as_bytes()).await?;
        Ok(input.flush().await?)
    }

    /// Closes its input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Closes its input and waits for its end. Gives all that it said.
    pub async fn finish(mut self) -> Result<String> {
        self.close_input();
        within(async {
            while let Some(bytes) = self.output.recv().await {
                self.text.push_str(&String::from_utf8_lossy(&bytes));
            }
            self.child.wait().await?;
            Ok(())
        })
        .await
        .with_context(|| format!("waiting for the end of {}; it said:\n{}", self.name, self.text))?;
        Ok(self.text)
    }
}

async fn hand_on(mut from: impl AsyncRead + Unpin, to: mpsc::UnboundedSender<Vec<u8>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.send(buffer[..count].to_vec()).is_err() {
            break;
        }
    }
}
