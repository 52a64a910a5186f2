//! The back end and the TLS terminators, each with one worker, all with the same certificate.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::process::Server;

/// What stands in front of the back end.
#[derive(Debug)]
pub(crate) enum Terminator {
    /// A thread for each connection.
    Stunnel,
    /// One process that polls.
    Hitch,
    /// One process that polls; its `stream` module, which like the others knows nothing of HTTP.
    Nginx,
    /// The proxy of examples/cli.
    GuestTls {
        /// The stock program.
        wasmtime: PathBuf,
        /// The composed and precompiled component.
        component: PathBuf,
    },
}

/// A plain HTTP server: nginx.
#[derive(Debug)]
pub(crate) struct Backend {
    address: SocketAddr,
    // Lives as long as this.
    _server: Server,
}

impl Terminator {
    /// Its name in options and tables.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Terminator::Stunnel => "stunnel",
            Terminator::Hitch => "hitch",
            Terminator::Nginx => "nginx",
            Terminator::GuestTls { .. } => "guest-tls",
        }
    }

    /// What it is, with its version.
    pub(crate) fn version(&self) -> Result<String> {
        let (program, option) = match self {
            Terminator::Stunnel => ("stunnel", "-version"),
            Terminator::Hitch => ("hitch", "--version"),
            Terminator::Nginx => ("nginx", "-v"),
            Terminator::GuestTls { wasmtime, .. } => {
                return Ok(format!("guest-tls in {}", first_line(&wasmtime.to_string_lossy(), "--version")?));
            }
        };
        first_line(program, option)
    }

    /// Starts it before the back end, and gives where it listens.
    pub(crate) fn start(&self, place: &Place, backend: &Backend) -> Result<(Server, SocketAddr)> {
        let to = backend.address;
        let (certificate, key) = (place.path("cert.pem"), place.path("key.pem"));
        let listen = free_address()?;
        let mut command;
        match self {
            Terminator::Stunnel => {
                let configuration = format!(
                    "foreground = yes\npid =\nsyslog = no\ndebug = err\n[load]\naccept = {listen}\nconnect = {to}\n\
                     cert = {certificate}\nkey = {key}\nsslVersionMin = TLSv1.2\nTIMEOUTidle = {IDLE}\n"
                );
                command = Command::new("stunnel");
                command.arg(configuration_file(place, "stunnel.conf", &configuration)?);
            }
            Terminator::Hitch => {
                let user = if place.root { "user = \"nobody\"\n" } else { "" };
                let configuration = format!(
                    "frontend = \"[{}]:{}\"\nbackend = \"[{}]:{}\"\npem-file = \"{}\"\n{user}workers = 1\nbacklog = {BACKLOG}\n\
                     tls-protos = TLSv1.2 TLSv1.3\ndaemon = off\nocsp-dir = \"\"\nlog-level = 0\n",
                    listen.ip(),
                    listen.port(),
                    to.ip(),
                    to.port(),
                    place.path("both.pem")
                );
                command = Command::new("hitch");
                command.arg(format!("--config={}", configuration_file(place, "hitch.conf", &configuration)?));
            }
            Terminator::Nginx => {
                let server = format!(
                    "stream {{ server {{ listen {listen} ssl backlog={BACKLOG}; proxy_pass {to}; proxy_timeout {IDLE}s;\n\
                     ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3; }} }}\n"
                );
                command = nginx(place, "terminator", &format!("load_module {STREAM};\n"), &server)?;
            }
            Terminator::GuestTls { wasmtime, component } => {
                command = Command::new(wasmtime);
                command
                    .args([
                        "run",
                        "--allow-precompiled",
                        "-S",
                        "inherit-network",
                        "-S",
                        &format!("max-component-handles={HANDLES}"),
                        "--dir",
                    ])
                    .arg(&place.folder);
                command.arg(component).args(["proxy", "--listen", "127.0.0.1:0", "--to", &to.to_string()]);
                command.args(["--cert", &certificate, "--key", &key]);
                command.args(["--idle-timeout", &IDLE.to_string(), "--host-handles", HANDLES]);
                // Each has two files. What it tries of the host's handles stays in its memory: no more than any figure is of.
                command.args(["--max-connections", &(place.open_files / 2).min(MOST).to_string()]);
            }
        }
        let log = place.folder.join(format!("{}.log", self.name()));
        let mut server = Server::start(self.name(), &command, &place.server_processors(), log)?;
        let address = match self {
            Terminator::GuestTls { .. } => server.wait(|server| {
                let said = server.said();
                let line = said.lines().find_map(|line| line.strip_prefix("listening on "))?;
                line.trim().parse().ok()
            })?,
            _ => server.wait(|_| listens(listen))?,
        };
        Ok((server, address))
    }
}

impl Backend {
    /// Starts it.
    pub(crate) fn start(place: &Place) -> Result<Backend> {
        let address = free_address()?;
        let mut paths = String::new();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            paths += &format!("{name}_temp_path {};\n", place.path(&format!("backend-{name}")));
        }
        let server = format!(
            "http {{ access_log off; sendfile on; {paths}keepalive_timeout {IDLE}s; keepalive_requests 1000000000;\n\
             client_header_timeout {IDLE}s; server {{ listen {address} backlog={BACKLOG}; root {}; }} }}\n",
            place.www().display()
        );
        let command = nginx(place, "backend", "", &server)?;
        let log = place.folder.join("backend.log");
        let mut server = Server::start("the back end", &command, &place.load_processors(), log)?;
        server.wait(|_| listens(address))?;
        Ok(Backend { address, _server: server })
    }
}

/// An nginx with one worker.
fn nginx(place: &Place, name: &str, modules: &str, server: &str) -> Result<Command> {
    let user = if place.root { "user root;\n" } else { "" };
    // A few files are none of connections.
    let connections = place.open_files - 64;
    let configuration = format!(
        "{modules}{user}worker_processes 1;\ndaemon off;\npid {};\nerror_log stderr warn;\n\
         events {{ worker_connections {connections}; }}\n{server}",
        place.path(&format!("{name}.pid"))
    );
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c", &configuration_file(place, &format!("{name}.conf"), &configuration)?]);
    Ok(command)
}

fn configuration_file(place: &Place, name: &str, text: &str) -> Result<String> {
    let path = place.path(name);
    fs::write(&path, text).with_context(|| format!("can't write {path}"))?;
    Ok(path)
}

/// An address that is free now: these servers can't say which port they have got.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?.local_addr()?)
}

fn listens(address: SocketAddr) -> Option<SocketAddr> {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok().map(|_| address)
}

/// The first line that names a version.
fn first_line(program: &str, option: &str) -> Result<String> {
    let output = Command::new(program).arg(option).output().with_context(|| format!("can't start {program}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.contains('.')).unwrap_or(program);
    let line = line.rsplit("] ").next().unwrap_or(line).trim_start_matches("nginx version: ");
    Ok(line.split(" on ").next().unwrap_or(line).to_string())
}

/// A connection has eleven handles (sockets, streams, what is waited for); of 100,000, which is wasmtime's own limit for a store, there are
/// too few for 10,000 connections.
const HANDLES: &str = "1000000";

/// How many connections the proxy may have: more than `--idle` is by default.
const MOST: usize = 12_000;

/// For how many seconds a connection may be idle: longer than any run.
const IDLE: u32 = 3600;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Where Debian has nginx's module for TCP.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
