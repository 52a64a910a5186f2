//! The programs of the demo: servers in the background, and clients that send and receive.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::step::read_lines;

/// A server, which is ended with this value.
pub(super) struct Running {
    child: Guard,
    lines: Receiver<String>,
    said: Vec<String>,
    /// Held open: servers end with their input.
    _stdin: Option<ChildStdin>,
}

impl Running {
    /// Starts a server.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let mut child = Guard::spawn(&mut command)?;
        let (sender, lines) = mpsc::channel();
        read_lines(child.0.stdout.take(), sender.clone());
        read_lines(child.0.stderr.take(), sender);
        let stdin = child.0.stdin.take();
        Ok(Self { child, lines, said: Vec::new(), _stdin: stdin })
    }

    /// Waits for a line with this word, and returns what stands after it.
    pub(super) fn line_after(&mut self, word: &str) -> Result<String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).map_err(|error| {
                let why = match error {
                    RecvTimeoutError::Timeout => "it is silent",
                    RecvTimeoutError::Disconnected => "it has ended",
                };
                anyhow!("no server says `{word}`: {why}, after\n{}", self.said.join("\n"))
            })?;
            if let Some((_, rest)) = line.split_once(word) {
                return Ok(rest.trim().to_string());
            }
            self.said.push(line);
        }
    }

    /// Ends the server; an error if it had ended by itself.
    pub(super) fn end(mut self) -> Result<()> {
        let ended = self.child.0.try_wait()?;
        self.said.extend(self.lines.try_iter());
        ensure!(ended.is_none(), "a server has ended by itself, after\n{}", self.said.join("\n"));
        Ok(())
    }
}

/// What a client received, and what it said of the connection.
pub(super) struct Seen {
    pub(super) received: Vec<u8>,
    pub(super) said: String,
}

/// Runs a client: gives it `request`, reads until what came ends with `expected`, then ends its input, by which it ends.
pub(super) fn exchange(command: &mut Command, request: &[u8], expected: &[u8]) -> Result<Seen> {
    let mut client = Guard::spawn(command)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (client.0.stdin.take(), client.0.stdout.take(), client.0.stderr.take())
    else {
        bail!("a client has no pipes");
    };
    let request = request.to_vec();
    let sending = thread::spawn(move || stdin.write_all(&request).map(|()| stdin));
    let (chunks, said) = (read_chunks(stdout), read_chunks(stderr));
    let mut received = Vec::new();
    while !received.ends_with(expected) {
        match chunks.recv_timeout(PATIENCE) {
            Ok(chunk) => received.extend(chunk),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!("the client is silent, after {} bytes", received.len()),
        }
    }
    // Now its input ends. A client that ended early could not be given all of it, which what it said explains.
    drop(sending.join());
    let mut text = Vec::new();
    loop {
        match said.recv_timeout(PATIENCE) {
            Ok(chunk) => text.extend(chunk),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => bail!("the client does not end"),
        }
    }
    let said = String::from_utf8_lossy(&text).into_owned();
    let status = client.0.wait()?;
    ensure!(status.success(), "the client ended with {status}:\n{said}");
    Ok(Seen { received, said })
}

/// A program that does not outlive this value.
struct Guard(Child);

impl Guard {
    fn spawn(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_remove("RUST_BACKTRACE");
        let child =
            command.spawn().with_context(|| format!("can't start {}", command.get_program().to_string_lossy()))?;
        Ok(Self(child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // One that has ended can't be ended again.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bytes of a pipe as they come. The channel ends with the pipe.
fn read_chunks(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, chunks) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        while let Ok(count) = pipe.read(&mut buffer) {
            if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    chunks
}

/// How long a program may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
