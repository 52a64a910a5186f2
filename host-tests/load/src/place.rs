//! The machine and the folder: processors, limits, certificates, files.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Where everything happens.
#[derive(Debug)]
pub(crate) struct Place {
    /// Has the certificates, the configurations, what the servers write, and [`Place::www`].
    pub(crate) folder: PathBuf,
    /// How many files a process may have open; a connection through a terminator takes two.
    pub(crate) open_files: usize,
    /// How many processors there are.
    pub(crate) processors: usize,
    /// How many programs wanted a processor in the last minute, before all this.
    pub(crate) load_average: String,
    /// Whether this is root, whose servers would otherwise become someone who can't read the folder.
    pub(crate) root: bool,
}

impl Place {
    /// Makes the folder with all that is read from it, and lets this process and what it starts open as many files as it may.
    pub(crate) fn make(folder: &Path) -> Result<Place> {
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(folder.join("www")).with_context(|| format!("can't make {}", folder.display()))?;
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).context("can't raise the limit of open files")?;
        let open_files = limit.current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1 << 20).min(1 << 20);
        let root = rustix::process::geteuid().is_root();
        let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load_average = load_average.split_whitespace().next().unwrap_or("unknown").to_string();
        let processors = thread::available_parallelism()?.get();
        let place = Place { folder, open_files, processors, load_average, root };
        place.make_certificates()?;
        fs::write(place.www().join("small"), [b'x'; SMALL])?;
        let mut big = BufWriter::new(fs::File::create(place.www().join("big"))?);
        for number in 0..BIG / 8 {
            // Bytes that don't repeat, in case anyone compresses.
            big.write_all(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())?;
        }
        big.flush()?;
        Ok(place)
    }

    /// The folder that the back end serves: `small` and `big`.
    pub(crate) fn www(&self) -> PathBuf {
        self.folder.join("www")
    }

    /// The path of a file in the folder, as text for configurations.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The processors for the servers, as `taskset` wants them: the last one. One that the load leaves alone makes them equal: one
    /// processor for each, however many threads it has.
    pub(crate) fn server_processors(&self) -> String {
        (self.processors - 1).to_string()
    }

    /// The processors for the load and the back end: all others, where there are others.
    pub(crate) fn load_processors(&self) -> String {
        format!("0-{}", self.processors.saturating_sub(2))
    }

    /// An authority, `ca.pem`, and what it issued for localhost on P-256: `cert.pem`, `key.pem`, and both in one for hitch.
    fn make_certificates(&self) -> Result<()> {
        let p256 = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"];
        let authority = ["-subj", "/CN=load test authority", "-addext", "keyUsage=critical,keyCertSign"];
        self.openssl(&[&p256[..], &authority, &["-keyout", "ca.key", "-out", "ca.pem"]].concat())?;
        let server = [
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "keyUsage=critical,digitalSignature",
            "-addext",
            "extendedKeyUsage=serverAuth",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
        ];
        self.openssl(&[&p256[..], &server, &["-keyout", "key.pem", "-out", "cert.pem"]].concat())?;
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| fs::read_to_string(self.folder.join(name)));
        Ok(fs::write(self.folder.join("both.pem"), key? + &certificate?)?)
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        let output = command.output().context("can't start openssl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "openssl {}: {}\n{said}", arguments.join(" "), output.status);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is deleted by the next run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The size of the small file in bytes: an answer of an API, or a redirection.
pub(crate) const SMALL: usize = 512;

/// The size of the big file in bytes.
pub(crate) const BIG: u64 = 64 << 20;
