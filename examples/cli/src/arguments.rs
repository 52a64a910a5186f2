//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::net::Target;

/// TLS on the command line, in WebAssembly: all cryptography and every parser of what peers send run in a sandbox of their own.
///
/// Files have to be in a folder that the host opened (wasmtime run --dir FOLDER), and the network has to be given (-S inherit-network,
/// and -S allow-ip-name-lookup for names).
#[derive(Parser)]
#[command(name = "guest-tls", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Connect(Connect),
    Serve(Serve),
    Proxy(Proxy),
    Ciphers(Ciphers),
    Cert(Cert),
    Completions(Completions),
    /// Print the version of this program and what its TLS speaks
    Version,
}

/// Connect to a server: standard input goes to it, what it says to standard output, and what was agreed on to standard error
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Connect {
    /// The server: HOST:PORT
    #[arg(value_name = "HOST:PORT", value_hint = ValueHint::Hostname)]
    pub(crate) to: Target,
    /// The name that is sent as SNI, and that the server's certificate must be for [default: HOST]
    #[arg(long, value_name = "NAME")]
    pub(crate) servername: Option<String>,
    /// Speak this protocol in the clear until it comes to TLS
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    pub(crate) starttls: Option<Protocol>,
    /// Go on where the server's certificate is not accepted, and say why it is not. Anybody can be in between then
    #[arg(long)]
    pub(crate) insecure: bool,
    /// After the first connection, connect this many times more, each time with the session of the one before
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) reconnect: u32,
    /// Append the secrets of the connection to this file (NSS key log format), for Wireshark. Who has it reads all
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) keylog: Option<PathBuf>,
    /// Ask for a stapled OCSP response, and say whether there was one
    #[arg(long)]
    pub(crate) ocsp: bool,
    /// Print the certificates that the server sent, in PEM
    #[arg(long)]
    pub(crate) showcerts: bool,
    /// Print what was agreed on as one JSON object, to standard output, and end without passing data on
    #[arg(long)]
    pub(crate) json: bool,
    /// Print nothing but what the server says, and errors
    #[arg(long, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// How long it may take to connect, and again for the handshake
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// TLS.
    #[command(flatten)]
    pub(crate) tls: Tls,
}

/// Serve files, echo, or standard input and output, over TLS
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Serve {
    /// Serve the files in this folder over HTTP/1.1
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath, group = "what")]
    pub(crate) www: Option<PathBuf>,
    /// Send back what comes [default]
    #[arg(long, group = "what")]
    pub(crate) echo: bool,
    /// Pass one connection's bytes to standard output, and standard input to it; then end
    #[arg(long, group = "what")]
    pub(crate) pipe: bool,
    /// What all servers have.
    #[command(flatten)]
    pub(crate) server: Server,
    /// TLS.
    #[command(flatten)]
    pub(crate) tls: Tls,
}

/// Take TLS off connections and pass them on to a back end; or, with --client, put TLS on
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Proxy {
    /// Where connections go: HOST:PORT
    #[arg(long, value_name = "HOST:PORT", value_hint = ValueHint::Hostname)]
    pub(crate) to: Target,
    /// Take connections in the clear, and speak TLS to the back end
    #[arg(long, conflicts_with_all = ["route", "sni", "client_ca", "client_cert", "ticket_keys", "session_timeout"])]
    pub(crate) client: bool,
    /// Where connections of clients that ask for this name go; may be given several times
    #[arg(long, value_name = "NAME=HOST:PORT", value_parser = route)]
    pub(crate) route: Vec<(String, Target)>,
    /// Answer PostgreSQL's SSLRequest before TLS begins, as its clients want it up to version 16
    #[arg(long, value_enum, value_name = "PROTOCOL", conflicts_with = "client")]
    pub(crate) starttls: Option<ServerProtocol>,
    /// Tell the back end who connected, by PROXY protocol version 2
    #[arg(long)]
    pub(crate) proxy_protocol: bool,
    /// Expect every connection to begin with a header of PROXY protocol version 1 or 2, and believe it. Only where nobody but a load
    /// balancer can connect
    #[arg(long)]
    pub(crate) accept_proxy_protocol: bool,
    /// How long a connection to the back end may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) connect_timeout: Duration,
    /// With --client: the name that the back end's certificate must be for, and that is sent as SNI [default: HOST of --to]
    #[arg(long, value_name = "NAME", requires = "client")]
    pub(crate) servername: Option<String>,
    /// With --client: go on where the back end's certificate is not accepted. Anybody can be in between then
    #[arg(long, requires = "client")]
    pub(crate) insecure: bool,
    /// What all servers have.
    #[command(flatten)]
    pub(crate) server: Server,
    /// TLS.
    #[command(flatten)]
    pub(crate) tls: Tls,
}

/// List the cipher suites that are spoken, or those that a list of OpenSSL's kind leaves
#[derive(Args)]
pub(crate) struct Ciphers {
    /// A list in the language of OpenSSL's cipher lists, such as ECDHE+CHACHA20 [default: what is spoken by default]
    pub(crate) list: Option<String>,
}

/// Show a certificate, a chain, or what is in a PKCS#12 file
#[derive(Args)]
pub(crate) struct Cert {
    /// PEM with any number of certificates, DER with one, or PKCS#12
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The passphrase of the PKCS#12 file: the first line of this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Print a JSON array, with an object for each certificate
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print a script that completes this command line in a shell
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Who we are, whom we trust, what we speak.
#[derive(Args, Clone)]
#[command(next_help_heading = "TLS")]
pub(crate) struct Tls {
    /// Our certificate with its chain, PEM, leaf first; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) cert: Vec<PathBuf>,
    /// The private key of a certificate, PEM; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) key: Vec<PathBuf>,
    /// Our certificate, its chain and its key, PKCS#12
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["cert", "key", "ca"])]
    pub(crate) pfx: Option<PathBuf>,
    /// The passphrase of the private key or of the PKCS#12 file: the first line of this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Whom to trust to issue servers' certificates, PEM; may be given several times [default: Mozilla's roots]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Vec<PathBuf>,
    /// Revocation lists, PEM; every certificate of the peer's chain then needs one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) crl: Vec<PathBuf>,
    /// The lowest version to speak
    #[arg(long, value_enum, value_name = "VERSION", default_value = "1.2")]
    pub(crate) min_version: Version,
    /// The highest version to speak
    #[arg(long, value_enum, value_name = "VERSION", default_value = "1.3")]
    pub(crate) max_version: Version,
    /// Cipher suites, as OpenSSL's cipher lists have them; those of TLS 1.3 by name in the same list
    #[arg(long, value_name = "LIST")]
    pub(crate) ciphers: Option<String>,
    /// Key exchange groups in order of preference, such as X25519MLKEM768:X25519:P-256
    #[arg(long, value_name = "LIST")]
    pub(crate) groups: Option<String>,
    /// Signature schemes in order of preference, such as ecdsa_secp256r1_sha256:ed25519
    #[arg(long, value_name = "LIST")]
    pub(crate) sigalgs: Option<String>,
    /// Application protocols in order of preference, such as h2,http/1.1
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) alpn: Vec<String>,
}

/// What everything that listens has.
#[derive(Args, Clone)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// Listen on this address, such as 0.0.0.0:443, or [::]:443 for IPv6 alone; port 0 for one that is free
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Another certificate for clients that ask for this name, whose left-most label may be `*`. PEM; the key may be in the same file.
    /// May be given several times
    #[arg(long, value_name = "NAME=CERT[,KEY]", value_parser = Sni::from_str)]
    pub(crate) sni: Vec<Sni>,
    /// Ask clients for a certificate that one of these issued, PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) client_ca: Vec<PathBuf>,
    /// Whether clients may do without a certificate
    #[arg(long, value_enum, value_name = "WHETHER", requires = "client_ca", default_value = "require")]
    pub(crate) client_cert: ClientCertificate,
    /// Whether sessions are in tickets, which clients keep. Where not, they are in memory here, and no other instance resumes them
    #[arg(long, value_enum, value_name = "WHETHER", default_value = "on")]
    pub(crate) tickets: Switch,
    /// The keys of session tickets, 48 bytes each: the first one seals, and all are taken. Instances that share it resume each other's
    /// sessions [default: random]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ticket_keys: Option<PathBuf>,
    /// How long a session may be resumed
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) session_timeout: Duration,
    /// How many connections there may be at once; more are closed at once. Each takes eleven of the host's handles, and two of its files
    #[arg(long, value_name = "N", default_value_t = 8_000)]
    pub(crate) max_connections: usize,
    /// How many handles the host allows. wasmtime ends a program that takes more: for more than some 9,000 connections give it
    /// -S max-component-handles=N, and the same N here
    #[arg(long, value_name = "N", default_value_t = HOST_HANDLES)]
    pub(crate) host_handles: u64,
    /// How long a handshake may take
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) handshake_timeout: Duration,
    /// How long a connection may say nothing; 0 for ever
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub(crate) idle_timeout: Duration,
    /// How often to see whether certificates, keys or ticket keys changed; 0 for never
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) reload_every: Duration,
    /// Serve counters (/metrics) and health (/healthz) over HTTP on this address. Not for the public
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// Let whoever reaches --admin reload (POST /-/reload) and end the program (POST /-/quit)
    #[arg(long, requires = "admin")]
    pub(crate) lifecycle: bool,
    /// Stop when standard input ends
    #[arg(long)]
    pub(crate) until_stdin_ends: bool,
    /// How long open connections may go on after a stop was asked for
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) grace: Duration,
}

/// A certificate for a name.
#[derive(Clone, Debug)]
pub(crate) struct Sni {
    /// A DNS name, whose left-most label may be `*`.
    pub(crate) name: String,
    /// PEM, leaf first.
    pub(crate) cert: PathBuf,
    /// PEM; may be the same file.
    pub(crate) key: PathBuf,
}

impl FromStr for Sni {
    type Err = String;

    fn from_str(text: &str) -> Result<Sni, String> {
        let (name, files) = text.split_once('=').ok_or("expected NAME=CERT or NAME=CERT,KEY")?;
        let (cert, key) = files.split_once(',').unwrap_or((files, files));
        Ok(Sni { name: name.to_string(), cert: cert.into(), key: key.into() })
    }
}

/// A protocol that begins in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// RFC 3207
    Smtp,
    /// RFC 9051
    Imap,
    /// RFC 2595
    Pop3,
    /// RFC 4217
    Ftp,
    /// `SSLRequest`
    Postgres,
    /// RFC 6120
    Xmpp,
    /// RFC 4511
    Ldap,
}

/// A protocol whose beginning in the clear a proxy speaks for its back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerProtocol {
    /// `SSLRequest`
    Postgres,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// RFC 5246
    #[value(name = "1.2")]
    Tls12,
    /// RFC 8446
    #[value(name = "1.3")]
    Tls13,
}

/// Whether clients may do without a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientCertificate {
    /// They have to show one
    Require,
    /// They may
    Optional,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// They may
    On,
    /// They may not
    Off,
}

fn route(text: &str) -> Result<(String, Target), String> {
    let (name, target) = text.split_once('=').ok_or("expected NAME=HOST:PORT")?;
    Ok((name.to_ascii_lowercase(), target.parse()?))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let expected = |_| "expected a number of seconds, such as 30 or 0.5".to_string();
    Duration::try_from_secs_f64(text.parse().map_err(|_| expected(()))?).map_err(|_| expected(()))
}

/// How many handles wasmtime allows where nobody says otherwise.
pub(crate) const HOST_HANDLES: u64 = 100_000;

const EXIT_CODES: &str = "\
Exit codes: 0 good; 1 the network or TLS failed; 2 the command line is wrong; 3 a file can't be read or is wrong; \
4 the peer's certificate is not accepted";
