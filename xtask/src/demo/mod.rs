//! `cargo xtask demo`: the main job, shown.

mod process;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use self::process::Running;
use crate::{
    build, cli, component,
    project::Project,
    step,
    tools::{self, Tool},
    wasm_std::WasmStd,
};

/// Builds the command of examples/cli with the component in it, and shows it at work in the stock wasmtime: TLS over real TCP on
/// 127.0.0.1, as server and as client, with itself and with openssl.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Show the proxy of examples/cli instead: PostgreSQL and an HTTP server behind it, psql and curl in front
    #[arg(long)]
    proxy: bool,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    if arguments.proxy {
        return proxy(project);
    }
    // Only what this needs: a newcomer waits for it.
    let wasm_std = WasmStd::ensure(project)?;
    let openssl = Tool::OPENSSL.program(project)?;
    let wasmtime = Tool::WASMTIME.program(project)?;
    let command = cli::from_nothing(project, &wasm_std)?;
    Demo { folder: credentials(project, &openssl)?, openssl, wasmtime, command }.run(project)?;
    println!("demo: ok");
    Ok(ExitCode::SUCCESS)
}

/// Shows the proxy, by a program of host-tests.
fn proxy(project: &Project) -> Result<ExitCode> {
    let wasm_std = build::step(project)?;
    cli::compiled(project, &wasm_std)?;
    Tool::POSTGRES.program(project)?;
    tools::apt_install(project, "a client for the demo", &["curl"])?;
    // The same profile as the tests', so that both use the same compiled dependencies.
    let mut cargo = project.cargo();
    cargo.args(["run", "--package", "host-tests", "--bin", "demo-proxy"]);
    let status = cargo.status().context("can't start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The programs, and the folder with keys, certificates and what is sent.
struct Demo {
    folder: PathBuf,
    openssl: PathBuf,
    wasmtime: PathBuf,
    command: PathBuf,
}

impl Demo {
    fn run(&self, project: &Project) -> Result<()> {
        println!("\nTLS in a WebAssembly component, in the stock wasmtime, over TCP on 127.0.0.1");
        let component = project.component();
        let wasm = fs::read(&component).with_context(|| format!("can't read {}", component.display()))?;
        let imports: Vec<_> = component::interface(&wasm)?.imports.into_iter().collect();
        println!("component: {}, {} bytes", component.display(), build::grouped(wasm.len()));
        println!("imports:   {}", imports.join(", "));
        println!("keys:      {}, made by openssl", self.folder.display());

        // Both sides show a certificate and verify the other's.
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--cert", "server.pem", "--key", "server.key"];
        let mut server = Running::start(self.guest(&[&arguments[..], &["--client-ca", "ca.pem", "--echo"]].concat()))?;
        let address = server.line_after("listening on ")?;
        self.meet("the component, and a server in another instance of it", self.guest_client(&address), ECHO)?;
        let mut client = Command::new(&self.openssl);
        client.args(["s_client", "-connect", &address, "-servername", NAME, "-brief", "-nocommands"]);
        client.args(["-CAfile", "ca.pem", "-cert", "client.pem", "-key", "client.key", "-verify_return_error"]);
        self.meet("openssl s_client, and the component as server", client, ECHO)?;
        server.end()?;

        let mut server = Command::new(&self.openssl);
        server.args(["s_server", "-accept", "127.0.0.1:0", "-cert", "server.pem", "-key", "server.key", "-WWW"]);
        server.args(["-CAfile", "ca.pem", "-Verify", "1", "-verify_return_error"]).current_dir(&self.folder);
        let mut server = Running::start(server)?;
        let address = server.line_after("ACCEPT ")?;
        self.meet("the component, and openssl s_server", self.guest_client(&address), FILE)?;
        server.end()
    }

    /// The command of examples/cli in wasmtime: it sees the folder with the keys, the network, and nothing else.
    fn guest(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.wasmtime);
        command.args(["run", "--allow-precompiled", "-Sinherit-network", "--dir=."]).arg(&self.command).args(arguments);
        command.current_dir(&self.folder);
        command
    }

    fn guest_client(&self, address: &str) -> Command {
        let credentials = ["--ca", "ca.pem", "--cert", "client.pem", "--key", "client.key"];
        self.guest(&[&["connect", address, "--servername", NAME], &credentials[..]].concat())
    }

    /// Lets a client send `request` and compares what it received with [`PAYLOAD`]; prints what the client says of the connection.
    fn meet(&self, title: &str, mut client: Command, request: &str) -> Result<()> {
        println!("\n{title}");
        let request = fs::read(self.folder.join(request)).with_context(|| format!("can't read {request}"))?;
        let expected = fs::read(self.folder.join(PAYLOAD)).context("can't read what is to be received")?;
        let started = Instant::now();
        let seen = process::exchange(client.current_dir(&self.folder), &request, &expected)
            .with_context(|| title.to_string())?;
        let facts: Vec<_> = seen.said.lines().filter(|line| FACTS.iter().any(|fact| line.starts_with(fact))).collect();
        facts.iter().for_each(|fact| println!("    {fact}"));
        let verified = facts.iter().any(|fact| VERIFIED.contains(fact));
        ensure!(verified, "{title}: the client does not say that it verified the server:\n{}", seen.said);
        ensure!(seen.received.ends_with(&expected), "{title}: the bytes that came are not those that were sent");
        println!(
            "    {} bytes came back, each as it was sent, in {}",
            build::grouped(expected.len()),
            step::seconds(started.elapsed())
        );
        Ok(())
    }
}

/// Makes an authority and the certificates that it issues, by openssl, as people do; and what is sent.
fn credentials(project: &Project, openssl: &Path) -> Result<PathBuf> {
    let folder = project.target.join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    let key = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(openssl);
        step::output(command.current_dir(&folder).args(key).args(arguments)).map(drop)
    };
    run(&["-subj", "/CN=demo authority", "-keyout", "ca.key", "-out", "ca.pem"])?;
    for (name, subject) in [("server", NAME), ("client", "client.test")] {
        let (alternative, subject) = (format!("subjectAltName=DNS:{subject}"), format!("/CN={subject}"));
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        let issued = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
        let own = ["-subj", &subject, "-addext", &alternative, "-keyout", &key, "-out", &certificate];
        run(&[&issued[..], &own].concat())?;
    }
    // Bytes of every value, in an order that no record boundary repeats.
    let payload: Vec<u8> = (0..BYTES).map(|index| ((index * index) >> 7) as u8).collect();
    fs::write(folder.join(PAYLOAD), payload)?;
    fs::write(folder.join(FILE), format!("GET /{PAYLOAD} HTTP/1.0\r\n\r\n"))?;
    Ok(folder)
}

/// The name in the server's certificate.
const NAME: &str = "server.test";

/// What the client receives.
const PAYLOAD: &str = "payload.bin";

/// What it sends to a server that echoes: the same.
const ECHO: &str = PAYLOAD;

/// What it sends to a server that has files: a request.
const FILE: &str = "request.http";

const BYTES: usize = 1 << 20;

/// How the lines begin that are shown, of the command's client and of `openssl s_client -brief`.
const FACTS: &[&str] = &[
    "protocol ",
    "cipher ",
    "group ",
    "verified ",
    "Protocol version:",
    "Ciphersuite:",
    "Verification:",
    "Server Temp Key:",
    "Peer Temp Key:",
    "Negotiated TLS1.3 group:",
];

/// What both say of a server that they verified.
const VERIFIED: &[&str] = &["verified  yes, for server.test", "Verification: OK"];
