//! The figures of one terminator.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::hold::Held;
use crate::place::Place;
use crate::process::{self, Memory, Server};
use crate::terminators::{Backend, Terminator};

/// What is measured, and for how long.
#[derive(Debug)]
pub(crate) struct Plan {
    /// How long each figure is measured.
    pub(crate) time: Duration,
    /// At how many idle connections memory is looked at, ascending.
    pub(crate) idle: Vec<usize>,
}

/// What was measured of a terminator.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: String,
    /// The cipher suite that it and OpenSSL's client agree on by themselves.
    pub(crate) cipher: String,
    /// In the order of [`LOADS`].
    pub(crate) work: Vec<Result<Work>>,
    /// With idle connections.
    pub(crate) idle: Result<Idle>,
}

/// How a terminator is with idle connections.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Without any, then in the order of [`Plan::idle`].
    pub(crate) memory: Vec<Memory>,
    /// [`REQUESTS`] beside the most idle connections.
    pub(crate) work: Work,
    /// A request over one idle connection after the other.
    pub(crate) woken: Work,
}

/// What a terminator did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// In the load's unit.
    pub(crate) amount: f64,
    /// How long it took.
    pub(crate) time: Duration,
    /// How much processor time it took the terminator.
    pub(crate) processor_time: Duration,
}

/// Something that is asked of a terminator, time and again.
#[derive(Debug)]
pub(crate) struct Load {
    /// What.
    pub(crate) name: &'static str,
    /// What is counted.
    pub(crate) unit: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// New connections: full handshakes or resumed ones, with a request over each or none.
    Connections { resumed: bool, request: bool },
    /// The small file over connections that are kept.
    Requests,
    /// The big file, with this cipher suite or whichever it becomes.
    Bytes { cipher: Option<&'static str> },
}

impl Plan {
    /// A plan for terminators that may open so many files each.
    pub(crate) fn new(time: Duration, idle: &[usize], open_files: usize) -> Plan {
        // Two files a connection, and a few besides; stunnel lets 125/256 of its files be connections.
        let most = open_files / 25 * 12;
        let mut idle: Vec<_> = idle.iter().map(|count| *count.min(&most)).collect();
        idle.dedup();
        Plan { time, idle }
    }
}

impl Figures {
    /// Measures all of a terminator. A figure that can't be had is in the place of the figure; a terminator that can't be started is
    /// an error.
    pub(crate) fn measure(place: &Place, backend: &Backend, terminator: &Terminator, plan: &Plan) -> Result<Figures> {
        let name = terminator.name();
        let version = terminator.version()?;
        // An instance of its own: what connections before have left in the memory would be counted too.
        let idle = Idle::measure(place, backend, terminator, plan);
        let (mut server, address) = terminator.start(place, backend)?;
        let cipher = agreed_cipher(place, address, None)?;
        let mut work = Vec::new();
        for load in &LOADS {
            let done = load.apply(place, &server, address, plan.time);
            let done = done.and_then(|done| server.check().map(|()| done));
            match &done {
                Ok(done) => {
                    eprintln!("{name}: {}: {:.0} {}/s of its processor time", load.name, done.rate(), load.unit)
                }
                Err(error) => eprintln!("{name}: {}: {error:#}", load.name),
            }
            work.push(done);
        }
        Ok(Figures { name, version, cipher, work, idle })
    }

    /// What could not be measured, and why.
    pub(crate) fn failures(&self) -> Vec<String> {
        let loads = LOADS.iter().zip(&self.work).map(|(load, work)| (load.name, work.as_ref().err()));
        let all = loads.chain([("idle connections", self.idle.as_ref().err())]);
        all.filter_map(|(what, error)| Some(format!("{}: {what}: {:#}", self.name, error?))).collect()
    }
}

impl Idle {
    /// Measures a fresh instance. At the end the idle connections have to answer a request, or at least, where time runs out, to be open.
    fn measure(place: &Place, backend: &Backend, terminator: &Terminator, plan: &Plan) -> Result<Idle> {
        let name = terminator.name();
        let (mut server, address) = terminator.start(place, backend)?;
        let mut held = Held::new(address, &place.folder.join("ca.pem"))?;
        thread::sleep(SETTLE);
        let mut memory = vec![server.memory()?];
        for count in &plan.idle {
            held.grow(*count).map_err(|error| server.check().err().unwrap_or(error))?;
            thread::sleep(SETTLE);
            let now = server.memory()?;
            eprintln!("{name}: {count} idle connections: {:.1} MB", now.pss as f64 / 1e6);
            memory.push(now);
        }
        let work = REQUESTS.apply(place, &server, address, plan.time)?;
        work.say(name, &REQUESTS, &format!(", beside {} idle ones", held.count()));
        let (before, started) = (server.processor_time()?, Instant::now());
        let amount = held.ask(plan.time)? as f64;
        let (time, processor_time) = (started.elapsed(), server.processor_time()?.saturating_sub(before));
        server.check()?;
        let woken = Work { amount, time, processor_time };
        eprintln!(
            "{name}: {amount} of {} idle connections woken: {:.0}/s of its processor time",
            held.count(),
            woken.rate()
        );
        Ok(Idle { memory, work, woken })
    }
}

impl Work {
    /// The amount for each second of the terminator's processor time.
    pub(crate) fn rate(&self) -> f64 {
        self.amount / self.processor_time.as_secs_f64()
    }

    fn say(&self, name: &str, load: &Load, beside: &str) {
        eprintln!("{name}: {}{beside}: {:.0} {}/s of its processor time", load.name, self.rate(), load.unit);
    }

    /// How many processors the terminator was busy on: below 1, it had to wait for the load.
    pub(crate) fn busy(&self) -> f64 {
        self.processor_time.as_secs_f64() / self.time.as_secs_f64()
    }
}

impl Load {
    fn apply(&self, place: &Place, server: &Server, address: SocketAddr, time: Duration) -> Result<Work> {
        let seconds = time.as_secs().to_string();
        let mut commands = Vec::new();
        match self.kind {
            Kind::Connections { resumed, request } => {
                for _ in 0..CLIENTS {
                    let mut command = Command::new("openssl");
                    command.args(["s_time", "-tls1_3", "-time", &seconds, "-connect", &address.to_string()]);
                    command.arg(if resumed { "-reuse" } else { "-new" });
                    if request {
                        command.args(["-www", "/small"]);
                    }
                    commands.push(command);
                }
            }
            Kind::Requests => commands.push(wrk(50, &seconds, address, "small")),
            Kind::Bytes { cipher } => {
                let mut command = wrk(4, &seconds, address, "big");
                if let Some(cipher) = cipher {
                    // Wrk has no option for the cipher suites of TLS 1.3; its OpenSSL reads this file.
                    let configuration = openssl_configuration(place, cipher)?;
                    let agreed = agreed_cipher(place, address, Some(&configuration))?;
                    ensure!(agreed == cipher, "the cipher suite was to be {cipher}, and became {agreed}");
                    command.env("OPENSSL_CONF", configuration);
                }
                commands.push(command);
            }
        }
        let (before, started) = (server.processor_time()?, Instant::now());
        let outputs = process::run(&commands, &place.load_processors())?;
        let (time, processor_time) = (started.elapsed(), server.processor_time()?.saturating_sub(before));
        let amounts = outputs.iter().map(|output| match self.kind {
            Kind::Connections { resumed, .. } => connections(output, resumed),
            Kind::Requests => wrk_counts(output).map(|(requests, _)| requests),
            Kind::Bytes { .. } => wrk_counts(output).map(|(_, bytes)| bytes / 1e6),
        });
        let amount = amounts.sum::<Result<f64>>()?;
        ensure!(amount > 0.0 && !processor_time.is_zero(), "nothing was done in {time:?}");
        Ok(Work { amount, time, processor_time })
    }
}

/// The cipher suite that `openssl s_client` gets, with this configuration of OpenSSL's or its own.
fn agreed_cipher(place: &Place, address: SocketAddr, configuration: Option<&Path>) -> Result<String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_3", "-servername", "localhost", "-verify_return_error", "-CAfile"]);
    command.args([&place.path("ca.pem"), "-connect", &address.to_string()]);
    if let Some(configuration) = configuration {
        command.env("OPENSSL_CONF", configuration);
    }
    let output = process::run(&[command], &place.load_processors())?;
    let said = output.iter().map(|output| String::from_utf8_lossy(&output.stdout)).collect::<String>();
    let suite = said.lines().find_map(|line| Some(line.split_once("Cipher is ")?.1.trim().to_string()));
    suite.with_context(|| format!("s_client names no cipher suite: {said}"))
}

/// A file with OpenSSL's configuration in which this is the one cipher suite of TLS 1.3.
fn openssl_configuration(place: &Place, cipher: &str) -> Result<std::path::PathBuf> {
    let path = place.folder.join(format!("{cipher}.cnf"));
    let text = format!(
        "openssl_conf = all\n[all]\nssl_conf = tls\n[tls]\nsystem_default = it\n[it]\nCiphersuites = {cipher}\n"
    );
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(path)
}

fn wrk(connections: u32, seconds: &str, address: SocketAddr, file: &str) -> Command {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--timeout", "30s", "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), &format!("https://{address}/{file}")]);
    command
}

/// How many connections `s_time` made. It writes a `*` for each full handshake and an `r` for each resumed one; the others of the two
/// are an error.
fn connections(output: &Output, resumed: bool) -> Result<f64> {
    let text = String::from_utf8_lossy(&output.stdout);
    // Its marks are a line of their own.
    let marks =
        text.lines().filter(|line| !line.is_empty() && line.bytes().all(|byte| matches!(byte, b'*' | b'r' | b't')));
    let marks: String = marks.collect();
    let of = |mark| marks.matches(mark).count();
    let (full, again) = (of('*'), of('r'));
    let (meant, other) = if resumed { (again, full) } else { (full, again) };
    ensure!(other == 0, "{full} full handshakes and {again} resumed ones where all were to be of one kind");
    let counted: usize = text
        .lines()
        .find_map(|line| line.split_once(" connections in ")?.0.trim().parse().ok())
        .with_context(|| format!("openssl s_time gave no count: {text}"))?;
    ensure!(counted == meant, "openssl s_time counts {counted} connections, and shows {meant}");
    Ok(meant as f64)
}

/// The requests that `wrk` completed, and the bytes that it read.
fn wrk_counts(output: &Output) -> Result<(f64, f64)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let bad = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    if let Some(line) = bad {
        bail!("wrk: {}", line.trim());
    }
    let counts = || -> Option<(f64, f64)> {
        let (requests, rest) = text.lines().find_map(|line| line.split_once(" requests in "))?;
        let (number, unit) = rest.split_once(", ")?.1.strip_suffix(" read")?.split_at_checked(rest_of_number(rest)?)?;
        let factor = match unit {
            "B" => 1.0,
            "KB" => 1024.0,
            "MB" => 1024.0 * 1024.0,
            "GB" => 1024.0 * 1024.0 * 1024.0,
            _ => return None,
        };
        Some((requests.trim().parse().ok()?, number.parse::<f64>().ok()? * factor))
    };
    counts().with_context(|| format!("wrk gave no counts: {text}"))
}

/// How many characters the number after the comma has.
fn rest_of_number(rest: &str) -> Option<usize> {
    rest.split_once(", ")?.1.find(|letter: char| letter.is_ascii_alphabetic())
}

/// What is asked of every terminator, in this order.
pub(crate) const LOADS: [Load; 7] = [
    Load { name: "full handshakes", unit: "connections", kind: Kind::Connections { resumed: false, request: false } },
    Load {
        name: "full handshakes, a request each",
        unit: "connections",
        kind: Kind::Connections { resumed: false, request: true },
    },
    Load {
        name: "resumed handshakes, a request each",
        unit: "connections",
        kind: Kind::Connections { resumed: true, request: true },
    },
    REQUESTS,
    Load { name: "bulk, suite as agreed", unit: "MB", kind: Kind::Bytes { cipher: None } },
    Load { name: "bulk, AES-128-GCM", unit: "MB", kind: Kind::Bytes { cipher: Some("TLS_AES_128_GCM_SHA256") } },
    Load {
        name: "bulk, ChaCha20-Poly1305",
        unit: "MB",
        kind: Kind::Bytes { cipher: Some("TLS_CHACHA20_POLY1305_SHA256") },
    },
];

/// What a terminator does most of its time.
pub(crate) const REQUESTS: Load =
    Load { name: "requests on 50 kept connections", unit: "requests", kind: Kind::Requests };

/// How many `s_time`s there are at once, each with one connection at a time.
pub(crate) const CLIENTS: usize = 16;

/// How long a server is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);
