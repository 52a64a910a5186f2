//! Running a command so that a person sees that it goes on.
//!
//! In a terminal a long step has a spinner with its time and its last line of output. Elsewhere (CI, a log file) it prints a line when
//! it starts, one every [`REPORT_EVERY`] while it runs, and one when it ends.

use std::{
    io::{BufRead, BufReader, IsTerminal, Read, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// A command with the words that say what it does.
pub(crate) struct Step {
    label: String,
    command: Command,
    patience: Option<Patience>,
}

/// What a command printed and how it ended.
pub(crate) struct Outcome {
    /// Whether it exited with 0.
    pub(crate) success: bool,
    /// How it ended, for people.
    pub(crate) ending: String,
    /// Its standard output and standard error, as they came.
    pub(crate) lines: Vec<String>,
}

impl Step {
    /// A step that shows as `label`, which fits "label: done" and "label: still running".
    pub(crate) fn new(label: impl Into<String>, command: Command) -> Self {
        Self { label: label.into(), command, patience: None }
    }

    /// Ends the command when it has printed nothing for `silence`, and nothing in the folder `watched` has grown either.
    pub(crate) fn give_up_after(mut self, silence: Duration, watched: Option<PathBuf>) -> Self {
        self.patience = Some(Patience { silence, watched });
        self
    }

    /// Runs the command with its output held back; an error shows the end of it.
    pub(crate) fn run(self) -> Result<Outcome> {
        let label = self.label.clone();
        let outcome = self.attempt()?;
        if !outcome.success {
            bail!("{label}: failed, {}\n{}", outcome.ending, outcome.tail(usize::MAX));
        }
        Ok(outcome)
    }

    /// As [`Step::run`], but a command that fails is an answer too; only one that can't be started is an error.
    pub(crate) fn attempt(mut self) -> Result<Outcome> {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            self.command.spawn().with_context(|| format!("{}: can't start {}", self.label, describe(&self.command)))?;
        let lines = collect(child.stdout.take(), child.stderr.take());
        let mut progress = Progress::start(&self.label);
        let mut outcome = Outcome { success: false, ending: String::new(), lines: Vec::new() };
        let mut last_sign = Instant::now();
        let mut grown = 0;
        let status = loop {
            match lines.recv_timeout(POLL) {
                Ok(line) => {
                    last_sign = Instant::now();
                    progress.message(&line);
                    outcome.lines.push(line);
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // All output is read: only the end is left to wait for.
                Err(mpsc::RecvTimeoutError::Disconnected) => break child.wait()?,
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
            progress.tick();
            if let Some(patience) = &self.patience {
                let size = patience.watched.as_deref().map_or(0, folder_size);
                if size != grown {
                    (grown, last_sign) = (size, Instant::now());
                }
                if last_sign.elapsed() > patience.silence {
                    child.kill()?;
                    child.wait()?;
                    progress.end("gave up");
                    outcome.ending = format!("gave up after {} s without a sign of life", patience.silence.as_secs());
                    return Ok(outcome);
                }
            }
        };
        // What was printed last; a background process that holds the pipe open must not hold us.
        while let Ok(line) = lines.recv_timeout(POLL) {
            outcome.lines.push(line);
        }
        outcome.success = status.success();
        outcome.ending = status.to_string();
        progress.end(if status.success() { "done" } else { "failed" });
        Ok(outcome)
    }

    /// Runs the command with its output passed on, and gives each line of its standard output to `look`.
    pub(crate) fn stream(mut self, look: &mut dyn FnMut(&str)) -> Result<ExitStatus> {
        let terminal = std::io::stderr().is_terminal();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        // A terminal is cargo's own to draw its progress on; elsewhere we print, and so know when it is silent.
        self.command.stderr(if terminal { Stdio::inherit() } else { Stdio::piped() });
        let started = Instant::now();
        let mut child =
            self.command.spawn().with_context(|| format!("{}: can't start {}", self.label, describe(&self.command)))?;
        let (sender, lines) = mpsc::channel();
        forward(child.stdout.take(), std::io::stdout, sender.clone(), true);
        forward(child.stderr.take(), std::io::stderr, sender, false);
        let mut last_sign = Instant::now();
        loop {
            match lines.recv_timeout(POLL) {
                Ok(line) => {
                    last_sign = Instant::now();
                    line.iter().for_each(|line| look(line));
                }
                Err(mpsc::RecvTimeoutError::Timeout) if terminal || last_sign.elapsed() < REPORT_EVERY => {}
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    last_sign = Instant::now();
                    eprintln!("{}: still running, {}", self.label, seconds(started.elapsed()));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(child.wait()?)
    }
}

impl Outcome {
    /// The last `count` lines of the output, indented.
    pub(crate) fn tail(&self, count: usize) -> String {
        let skipped = self.lines.len().saturating_sub(count);
        let lines: Vec<_> = self.lines[skipped..].iter().map(|line| format!("    {line}")).collect();
        lines.join("\n")
    }
}

/// Runs a command that ends at once, and gives its standard output without the white space around it.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("can't start {}", describe(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed, {}\n{}",
            describe(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// A time for people.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} s", time.as_secs())
    }
}

struct Patience {
    silence: Duration,
    watched: Option<PathBuf>,
}

/// The visible side of a running step.
struct Progress {
    label: String,
    started: Instant,
    reported: Instant,
    last_line: String,
    spinner: Option<ProgressBar>,
}

impl Progress {
    fn start(label: &str) -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix}, {elapsed}  {wide_msg:.dim}");
            let spinner = ProgressBar::new_spinner().with_prefix(label.to_string());
            spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.enable_steady_tick(POLL);
            spinner
        });
        if spinner.is_none() {
            eprintln!("{label}");
        }
        Self {
            label: label.to_string(),
            started: Instant::now(),
            reported: Instant::now(),
            last_line: String::new(),
            spinner,
        }
    }

    fn message(&mut self, line: &str) {
        let line = line.trim();
        if let Some(spinner) = &self.spinner {
            spinner.set_message(line.to_string());
        } else {
            self.last_line = line.to_string();
            self.tick();
        }
    }

    fn tick(&mut self) {
        if self.spinner.is_none() && self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            eprintln!("{}: still running, {}: {}", self.label, seconds(self.started.elapsed()), self.last_line);
        }
    }

    fn end(&self, word: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        // A step of a blink is worth a line only where it failed.
        if word != "done" || self.started.elapsed() >= Duration::from_secs(1) {
            eprintln!("{}: {word}, {}", self.label, seconds(self.started.elapsed()));
        }
    }
}

fn collect(
    stdout: Option<impl Read + Send + 'static>,
    stderr: Option<impl Read + Send + 'static>,
) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    read_lines(stdout, sender.clone());
    read_lines(stderr, sender);
    receiver
}

/// Sends each line of a pipe, on a thread of its own. The channel's end is the pipe's.
pub(crate) fn read_lines(pipe: Option<impl Read + Send + 'static>, sender: mpsc::Sender<String>) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
}

/// Copies a pipe line by line to a stream of ours; sends each line, or `None` for one that nobody looks at.
fn forward<W: Write>(
    pipe: Option<impl Read + Send + 'static>,
    to: impl Fn() -> W + Send + 'static,
    sender: mpsc::Sender<Option<String>>,
    looked_at: bool,
) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            // Nobody may listen any more (`| head`); the command's end still counts.
            let _ = to().write_all(&line).and_then(|()| to().flush());
            let _ = sender.send(looked_at.then(|| String::from_utf8_lossy(&line).trim_end().to_string()));
            line.clear();
        }
    });
}

fn describe(command: &Command) -> String {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

fn folder_size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// How often a step without a terminal says that it still runs.
const REPORT_EVERY: Duration = Duration::from_secs(15);

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_and_failure_is_seen() -> Result<()> {
        let outcome = Step::new("test", shell("echo one; echo two >&2; echo three; exit 3")).attempt()?;
        assert!(!outcome.success);
        assert!(outcome.ending.contains('3'), "{}", outcome.ending);
        assert_eq!(outcome.lines.len(), 3);
        assert!(Step::new("test", shell("exit 0")).run()?.lines.is_empty());
        assert!(
            Step::new("test", shell("echo why; exit 1"))
                .run()
                .is_err_and(|error| error.to_string().contains("    why"))
        );
        assert!(output(&mut shell("exit 1")).is_err());
        assert_eq!(output(&mut shell("echo ' a '"))?, "a");
        Ok(())
    }

    #[test]
    fn a_silent_command_is_ended() -> Result<()> {
        let started = Instant::now();
        let outcome =
            Step::new("test", shell("exec sleep 60")).give_up_after(Duration::from_millis(300), None).attempt()?;
        assert!(!outcome.success);
        assert!(outcome.ending.contains("gave up"));
        assert!(started.elapsed() < Duration::from_secs(20));
        Ok(())
    }

    #[test]
    fn a_streamed_command_shows_its_lines() -> Result<()> {
        let mut lines = Vec::new();
        let status = Step::new("test", shell("echo seen; exit 4")).stream(&mut |line| lines.push(line.to_string()))?;
        assert_eq!((status.code(), lines), (Some(4), vec!["seen".to_string()]));
        Ok(())
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }
}
