//! What needs no connection: `ciphers`, `cert`, `version`, `completions`.

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::arguments::{Arguments, Cert, Ciphers, Completions};
use crate::bindings::guest::tls::certificate::{self, Certificate};
use crate::bindings::guest::tls::secure_context::{
    SecureContext, SecureContextOptions, default_max_version, default_min_version,
};
use crate::bindings::guest::tls::secure_pair::{Event, SecurePair, SecurePairOptions};
use crate::bindings::guest::tls::types::Error;
use crate::certificate::{Shown, columns};
use crate::failure::{Failure, Result, joined, version_name};
use crate::files;

/// Lists cipher suites in the order in which a client offers them.
pub(crate) fn ciphers(arguments: &Ciphers) -> Result<()> {
    let options = SecureContextOptions::new();
    if let Some(list) = &arguments.list {
        options.set_ciphers(list);
    }
    let context = SecureContext::create(options).map_err(|errors| Failure::usage(joined(&errors)))?;
    let offered = hello(&context)?.suites;
    let lines: Vec<_> =
        offered.iter().filter_map(|number| SUITES.iter().find(|suite| suite.number == *number)).collect();
    let width = lines.iter().map(|suite| suite.name.len()).max().unwrap_or(0);
    let line = |suite: &&Suite| {
        format!("{:width$}  {}  {:#06x}  {}\n", suite.name, suite.version, suite.number, suite.openssl)
    };
    print(&lines.iter().map(line).collect::<String>())
}

/// Shows certificates.
pub(crate) fn cert(arguments: &Cert) -> Result<()> {
    let certificates: Vec<_> = read(arguments)?.iter().map(|one| Shown::new(one, arguments.json)).collect();
    if arguments.json {
        let text = serde_json::to_string_pretty(&certificates);
        let text = text.map_err(|error| Failure::file(format!("{}: no JSON: {error}", arguments.file.display())))?;
        return print(&format!("{text}\n"));
    }
    let count = certificates.len();
    let text = certificates.iter().enumerate().map(|(index, certificate)| {
        format!("certificate {} of {count}\n{}", index + 1, columns(&certificate.all_lines(), 2))
    });
    print(&text.collect::<String>())
}

/// Says what this is, and what it speaks.
pub(crate) fn version() -> Result<()> {
    let context =
        SecureContext::create(SecureContextOptions::new()).map_err(|errors| Failure::network(joined(&errors)))?;
    let hello = hello(&context)?;
    let names = |numbers: &[u16], names: &[(u16, &str)]| {
        let name = |number: &u16| {
            let known = names.iter().find(|(known, _)| known == number);
            known.map_or_else(|| format!("{number:#06x}"), |(_, name)| (*name).to_string())
        };
        numbers.iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let suites: Vec<_> = SUITES.iter().map(|suite| (suite.number, suite.name)).collect();
    // What only signals something is no suite (RFC 5746 section 3.3).
    let spoken: Vec<u16> = hello.suites.into_iter().filter(|number| *number != SIGNAL).collect();
    let lines = [
        ("versions", format!("{} to {}", version_name(default_min_version()), version_name(default_max_version()))),
        ("ciphers", names(&spoken, &suites)),
        ("groups", names(&hello.groups, &GROUPS)),
        ("signatures", names(&hello.schemes, &SCHEMES)),
    ];
    print(&format!("guest-tls {}\n{}", env!("CARGO_PKG_VERSION"), columns(&lines, 0)))
}

/// Prints what a shell completes by.
pub(crate) fn completions(arguments: &Completions) -> Result<()> {
    // First as a whole: clap_complete panics where it can't write.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "guest-tls", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// The certificates of a file, in its order.
fn read(arguments: &Cert) -> Result<Vec<Certificate>> {
    let name = arguments.file.display();
    let file = files::read(&arguments.file)?;
    if file.windows(PEM.len()).any(|window| window == PEM) {
        let blocks =
            pem::parse_many(&file).map_err(|error| Failure::file(format!("{name}: not readable as PEM: {error}")))?;
        let labels: Vec<&str> = blocks.iter().map(pem::Pem::tag).collect();
        let certificates = blocks
            .iter()
            .filter(|block| matches!(block.tag(), "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE"));
        let certificates: Vec<_> = certificates
            .enumerate()
            .map(|(index, block)| {
                let wrong =
                    |error: Error| Failure::file(format!("{name}: certificate {}: {}", index + 1, error.message));
                certificate::parse(block.contents()).map_err(wrong)
            })
            .collect::<Result<_>>()?;
        if certificates.is_empty() {
            return Err(Failure::file(format!("{name}: there is no certificate in it, only {}", labels.join(", "))));
        }
        return Ok(certificates);
    }
    match certificate::parse(&file) {
        Ok(certificate) => Ok(vec![certificate]),
        Err(no_certificate) => {
            let passphrase = files::passphrase(arguments.passphrase_file.as_deref())?;
            from_pkcs12(&file, passphrase.as_deref()).map_err(|no_pkcs12| {
                Failure::file(format!(
                    "{name}: neither PEM, nor a certificate in DER ({}), nor usable PKCS#12 ({no_pkcs12})",
                    no_certificate.message
                ))
            })
        }
    }
}

/// What a PKCS#12 file has a server show, found out by being its client: a handshake in memory. It shows as well that the key and the
/// certificate belong together.
fn from_pkcs12(file: &[u8], passphrase: Option<&[u8]>) -> std::result::Result<Vec<Certificate>, String> {
    let of_server = SecureContextOptions::new();
    of_server.add_pfx(file, passphrase);
    let of_server = SecureContext::create(of_server).map_err(|errors| joined(&errors))?;
    let options = SecurePairOptions::new();
    options.set_is_server(true);
    let server = SecurePair::create(&of_server, options).map_err(|errors| joined(&errors))?;

    let of_client = SecureContext::create(SecureContextOptions::new()).map_err(|errors| joined(&errors))?;
    let options = SecurePairOptions::new();
    options.set_servername("localhost");
    options.set_reject_unauthorized(false);
    let client = SecurePair::create(&of_client, options).map_err(|errors| joined(&errors))?;
    loop {
        let moved = carry(&client, &server)? | carry(&server, &client)?;
        while let Some(event) = client.next_event() {
            if matches!(event, Event::Secure) {
                return Ok(client.peer_certificates());
            }
        }
        if !moved {
            let error = server.error().or_else(|| client.error());
            return Err(error.map_or_else(|| "a handshake with it does not end".to_string(), |error| error.message));
        }
    }
}

/// Carries what one side has for the other one. Says whether it had anything.
fn carry(from: &SecurePair, to: &SecurePair) -> std::result::Result<bool, String> {
    let bytes = from.read_encrypted(ENOUGH);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let taken = to.write_encrypted(rest).map_err(|error| error.message)?;
        if taken == 0 {
            return Err("a side of a handshake does not take what the other one says".to_string());
        }
        rest = &rest[taken as usize..];
    }
    Ok(!bytes.is_empty())
}

/// What a client offers (RFC 8446 section 4.1.2), in its order.
#[derive(Default)]
struct Hello {
    suites: Vec<u16>,
    groups: Vec<u16>,
    schemes: Vec<u16>,
}

/// What a client of this context offers: its own ClientHello says so.
fn hello(context: &SecureContext) -> Result<Hello> {
    let options = SecurePairOptions::new();
    options.set_servername("localhost");
    let client = SecurePair::create(context, options).map_err(|errors| Failure::network(joined(&errors)))?;
    let record = client.read_encrypted(ENOUGH);
    parse_hello(&record).ok_or_else(|| Failure::network("the ClientHello of guest-tls is not readable"))
}

/// Reads a ClientHello in one record.
fn parse_hello(record: &[u8]) -> Option<Hello> {
    // Type, version and length of the record; type and length of the message; version; random.
    let (_, rest) = record.split_at_checked(5 + 4 + 2 + 32)?;
    let (_session, rest) = vector(rest, 1)?;
    let (suites, rest) = vector(rest, 2)?;
    let (_compression, rest) = vector(rest, 1)?;
    let (mut extensions, _) = vector(rest, 2)?;
    let mut hello = Hello { suites: numbers(suites), ..Hello::default() };
    while let Some((kind, rest)) = extensions.split_first_chunk::<2>() {
        let (content, rest) = vector(rest, 2)?;
        match u16::from_be_bytes(*kind) {
            SUPPORTED_GROUPS => hello.groups = numbers(vector(content, 2)?.0),
            SIGNATURE_ALGORITHMS => hello.schemes = numbers(vector(content, 2)?.0),
            _ => {}
        }
        extensions = rest;
    }
    Some(hello)
}

/// A vector with a length of so many bytes before it, and what is behind it.
fn vector(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(width)?;
    rest.split_at_checked(length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Failure::network(format!("standard output failed: {error}")))
}

/// A cipher suite by its names (IANA's registry of TLS cipher suites).
struct Suite {
    number: u16,
    name: &'static str,
    openssl: &'static str,
    version: &'static str,
}

const fn suite(number: u16, name: &'static str, openssl: &'static str, version: &'static str) -> Suite {
    Suite { number, name, openssl, version }
}

const SUITES: [Suite; 9] = [
    suite(0x1301, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", "TLSv1.3"),
    suite(0x1302, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", "TLSv1.3"),
    suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3"),
    suite(0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2"),
    suite(0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "TLSv1.2"),
    suite(0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "TLSv1.2"),
    suite(0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "TLSv1.2"),
    suite(0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "TLSv1.2"),
    suite(0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "TLSv1.2"),
];

/// IANA's registry of TLS supported groups, by the names that `--groups` takes.
const GROUPS: [(u16, &str); 5] =
    [(23, "P-256"), (24, "P-384"), (25, "P-521"), (29, "X25519"), (0x11ec, "X25519MLKEM768")];

/// IANA's registry of TLS signature schemes.
const SCHEMES: [(u16, &str); 10] = [
    (0x0401, "rsa_pkcs1_sha256"),
    (0x0501, "rsa_pkcs1_sha384"),
    (0x0601, "rsa_pkcs1_sha512"),
    (0x0403, "ecdsa_secp256r1_sha256"),
    (0x0503, "ecdsa_secp384r1_sha384"),
    (0x0603, "ecdsa_secp521r1_sha512"),
    (0x0804, "rsa_pss_rsae_sha256"),
    (0x0805, "rsa_pss_rsae_sha384"),
    (0x0806, "rsa_pss_rsae_sha512"),
    (0x0807, "ed25519"),
];

/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV.
const SIGNAL: u16 = 0x00ff;

const SUPPORTED_GROUPS: u16 = 10;

const SIGNATURE_ALGORITHMS: u16 = 13;

/// More than one flight of a handshake has.
const ENOUGH: u64 = 1 << 20;

const PEM: &[u8] = b"-----BEGIN ";
