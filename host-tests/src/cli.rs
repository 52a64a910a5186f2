//! The command of examples/cli, as people run it: by the stock program of wasmtime, in a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use crate::paths;

/// A command that goes on until it is told to stop, or dropped.
pub struct Running {
    /// The process of wasmtime.
    pub child: Child,
    /// Its standard input.
    pub stdin: Option<ChildStdin>,
    said: watch::Receiver<String>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// wasmtime with the command: it has the network, and sees these folders of ours under these names of its own, to read and to write.
pub fn wasmtime(folders: &[(&Path, &str)]) -> Command {
    program("guest-tls-cli", &[], folders)
}

/// As [`fn@wasmtime`], with any program of target/components that is compiled for this machine, and more options of `wasmtime run`.
pub fn program(name: &str, options: &[&str], folders: &[(&Path, &str)]) -> Command {
    let program =
        std::env::var_os("GUEST_TLS_WASMTIME").map_or_else(|| paths::target().join("tools/wasmtime"), PathBuf::from);
    let mut command = Command::new(program);
    command.args(["run", "--allow-precompiled", "-Sinherit-network,allow-ip-name-lookup"]).args(options);
    for (folder, name) in folders {
        command.arg(format!("--dir={}::{name}", folder.display()));
    }
    command.arg(paths::target().join(format!("components/{name}.cwasm")));
    // A backtrace of the host for each connection that is reset costs more than the connection.
    command.env("RUST_BACKTRACE", "0");
    command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the command to its end with this standard input.
pub async fn run(folders: &[(&Path, &str)], arguments: &[&str], stdin: &[u8]) -> Result<Ended> {
    let mut child =
        wasmtime(folders).args(arguments).spawn().context("can't start wasmtime: `cargo xtask setup` gets it")?;
    let mut input = child.stdin.take().context("no standard input")?;
    let bytes = stdin.to_vec();
    // Who does not read it all is free to.
    let feeding = tokio::spawn(async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut input, &bytes).await;
    });
    let output =
        tokio::time::timeout(LIMIT, child.wait_with_output()).await.context("the command takes too long")??;
    feeding.abort();
    let code = output.status.code().context("wasmtime was ended by a signal")?;
    Ok(Ended { code, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() })
}

impl Running {
    /// Starts the command. What it says on standard output is in [`Self::stop`]'s answer.
    pub fn start(folders: &[(&Path, &str)], arguments: &[&str]) -> Result<Running> {
        Running::start_with(&[], folders, arguments)
    }

    /// As [`Self::start`], with more options of `wasmtime run`.
    pub fn start_with(options: &[&str], folders: &[(&Path, &str)], arguments: &[&str]) -> Result<Running> {
        let mut wasmtime = program("guest-tls-cli", options, folders);
        let mut child =
            wasmtime.args(arguments).spawn().context("can't start wasmtime: `cargo xtask setup` gets it")?;
        let stdin = child.stdin.take();
        let stderr = child.stderr.take().context("no standard error")?;
        let (sender, said) = watch::channel(String::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                sender.send_modify(|said| {
                    said.push_str(&line);
                    said.push('\n');
                });
            }
        });
        Ok(Running { child, stdin, said })
    }

    /// Waits until standard error has a line that begins with this, and gives the rest of it.
    pub async fn line(&mut self, start: &str) -> Result<String> {
        let found = |said: &str| said.lines().find_map(|line| line.strip_prefix(start)).map(str::to_string);
        let said = tokio::time::timeout(LIMIT, self.said.wait_for(|said| found(said).is_some())).await;
        let line = said.ok().and_then(|said| found(&said.ok()?));
        line.with_context(|| format!("the command never said `{start}`; it said:\n{}", self.said()))
    }

    /// The port on which it listens.
    pub async fn port(&mut self) -> Result<u16> {
        self.port_after("listening on 127.0.0.1:").await
    }

    /// The port of its counters.
    pub async fn admin(&mut self) -> Result<u16> {
        self.port_after("admin on 127.0.0.1:").await
    }

    async fn port_after(&mut self, start: &str) -> Result<u16> {
        let port = self.line(start).await?;
        port.trim().parse().with_context(|| format!("`{port}` is no port"))
    }

    /// What it said on standard error until now.
    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Closes standard input, which ends a command with `--until-stdin-ends`, and waits for the end.
    pub async fn stop(mut self) -> Result<Ended> {
        drop(self.stdin.take());
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub async fn ended(mut self) -> Result<Ended> {
        let mut stdout = Vec::new();
        let mut output = self.child.stdout.take().context("no standard output")?;
        let ended = async {
            output.read_to_end(&mut stdout).await?;
            self.child.wait().await
        };
        let status = tokio::time::timeout(LIMIT, ended).await.context("the command does not end")??;
        // Whoever collects its lines ends with the pipe.
        let _ =
            tokio::time::timeout(Duration::from_secs(5), async { while self.said.changed().await.is_ok() {} }).await;
        let code = status.code().context("wasmtime was ended by a signal")?;
        Ok(Ended { code, stdout, stderr: self.said() })
    }
}

impl Ended {
    /// What it wrote to standard output, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

const LIMIT: Duration = Duration::from_secs(60);
