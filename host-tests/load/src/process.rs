//! A server as the kernel sees it: its processes, their processor time and memory; and its end.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// A server that was started here, with all processes that it started. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What the processes of a server have in memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident pages; those that several processes share count once for each.
    pub(crate) rss: u64,
    /// Resident pages; a page that n processes share counts 1/n for each.
    pub(crate) pss: u64,
}

impl Server {
    /// Starts `command` on these processors, with its output in the file `log`.
    pub(crate) fn start(name: &str, command: &Command, processors: &str, log: PathBuf) -> Result<Server> {
        let file = fs::File::create(&log).with_context(|| format!("can't make {}", log.display()))?;
        let mut bound = bound(command, processors);
        bound.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = bound.spawn().with_context(|| format!("can't start {name}"))?;
        Ok(Server { child, name: name.to_string(), log })
    }

    /// What it has written so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for `ready` to give something.
    pub(crate) fn wait<T>(&mut self, mut ready: impl FnMut(&Server) -> Option<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at its start, {status}: {}", self.name, self.said().trim_end());
            }
            if let Some(found) = ready(self) {
                return Ok(found);
            }
            ensure!(started.elapsed() < START, "{} does not listen: {}", self.name, self.said().trim_end());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The processor time of all its processes since their start, in user and kernel mode.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let mut ticks = 0;
        for process in self.processes()? {
            ticks += process.ticks;
        }
        Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
    }

    /// The memory of all its processes.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for process in self.processes()? {
            let path = format!("/proc/{}/smaps_rollup", process.id);
            let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
            let field = |name: &str| -> Option<u64> {
                let line = text.lines().find_map(|line| line.strip_prefix(name))?;
                line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
            };
            memory.rss += field("Rss:").with_context(|| format!("{path} has no Rss"))?;
            memory.pss += field("Pss:").with_context(|| format!("{path} has no Pss"))?;
        }
        Ok(memory)
    }

    /// Is an error if it is gone.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended under load, {status}: {}", self.name, self.said().trim_end()),
        }
    }

    /// It and all that descend from it.
    fn processes(&self) -> Result<Vec<Process>> {
        let mut children: HashMap<u32, Vec<Process>> = HashMap::new();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").context("can't read /proc")?.flatten() {
            // Whatever is no process, or is one no more.
            let Some(process) = Process::read(&entry.path()) else { continue };
            if process.id == self.child.id() {
                found.push(process);
            } else {
                children.entry(process.parent).or_default().push(process);
            }
        }
        ensure!(!found.is_empty(), "{} is gone: {}", self.name, self.said().trim_end());
        let mut next = 0;
        while let Some(process) = found.get(next) {
            found.extend(children.remove(&process.id).unwrap_or_default());
            next += 1;
        }
        Ok(found)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let all = self.processes().unwrap_or_default();
        // Nothing can be done about a process that can't be ended; one that is gone is what is wanted.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let started = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if started.elapsed() > END {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            thread::sleep(Duration::from_millis(20));
        }
        for process in all {
            let same = Process::read(&PathBuf::from(format!("/proc/{}", process.id)))
                .is_some_and(|now| now.started == process.started);
            if let (true, Some(id)) = (same, i32::try_from(process.id).ok().and_then(Pid::from_raw)) {
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

/// Runs commands at once on these processors, until all have ended.
pub(crate) fn run(commands: &[Command], processors: &str) -> Result<Vec<Output>> {
    let mut children = Vec::new();
    for command in commands {
        let mut bound = bound(command, processors);
        bound.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        children.push(bound.spawn().with_context(|| format!("can't start {}", words(command)))?);
    }
    // What they write fits their pipes, or is read while the others still run.
    children
        .into_iter()
        .zip(commands)
        .map(|(child, command)| {
            let output = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}: {}: {}", words(command), output.status, said.trim_end());
            Ok(output)
        })
        .collect()
}

/// The command on these processors only. It is sent SIGTERM when this process ends, however that ends.
fn bound(command: &Command, processors: &str) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", processors]);
    bound.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bound.env(name, value);
        }
    }
    // An error that a host call gives the guest would carry a backtrace, which takes longer than most of what is measured.
    bound.env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    bound
}

fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

struct Process {
    id: u32,
    parent: u32,
    /// Its time in user and kernel mode, and since when it runs.
    ticks: u64,
    started: u64,
}

impl Process {
    /// Reads what `proc_pid_stat(5)` describes.
    fn read(folder: &std::path::Path) -> Option<Process> {
        let text = fs::read_to_string(folder.join("stat")).ok()?;
        // The second field is a name in brackets, which may have brackets and spaces itself.
        let (start, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let field = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
        let id = start.split_whitespace().next()?.parse().ok()?;
        let parent = u32::try_from(field(4)?).ok()?;
        Some(Process { id, parent, ticks: field(14)? + field(15)?, started: field(22)? })
    }
}

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// How long a server may take to end before it is killed.
const END: Duration = Duration::from_secs(3);

/// `USER_HZ`: what `/proc` counts time in is 1/100 s on every architecture that Debian has.
const TICKS: f64 = 100.0;
