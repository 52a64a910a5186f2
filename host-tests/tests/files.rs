//! Files as other programs write them (rows O1 to O4): made by NSS, GnuTLS and OpenSSL, loaded by Node, and then by the component, which
//! serves OpenSSL with them or is served.

use std::path::PathBuf;
use std::process::Command;
use std::{fs, process};

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::host::Host;
use host_tests::paths;
use host_tests::peers::component::{connect_with, context_options, good, listen_with};
use host_tests::peers::{Peer, node};
use host_tests::setup::{Setup, Turn};
use host_tests::table::{self, Row};
use host_tests::tls::ContextOptions;
use serde_json::json;

fn main() {
    table::main([serving(), trusted(), bundles()].concat());
}

/// Makes files of an identity, in a folder of its own.
type Make = fn(&Identity, &Folder) -> Result<ContextOptions>;

/// What it is, whose key it has, and how it is made.
type ServingRow = (&'static str, Kind, Make);

#[rustfmt::skip]
const SERVING: [ServingRow; 5] = [
    ("a PKCS#12 file of NSS, in BER [O3]", Kind::P256, nss),
    ("a PKCS#12 file of NSS with an RSA key [O3]", Kind::Rsa2048, nss),
    ("a PKCS#12 file of GnuTLS [O3]", Kind::P384, gnutls_pfx),
    ("files that begin with a byte order mark [O1, O2]", Kind::P256, marked),
    ("X509 CERTIFICATE and TRUSTED CERTIFICATE as labels [O2]", Kind::P256, labelled),
];

/// certtool of GnuTLS 3.7 leaves the curve out of what it makes of a key in PKCS#8. OpenSSL and Node can't read such a key; its length and
/// its public key tell the curve.
const WITHOUT_CURVE: [ServingRow; 3] = [
    ("GnuTLS's key on P-256, a zero octet in front or not [O1]", Kind::P256, gnutls_key),
    ("GnuTLS's key on P-384 [O1]", Kind::P384, gnutls_key),
    ("GnuTLS's key on P-521 [O1]", Kind::P521, gnutls_key),
];

fn serving() -> Vec<Row> {
    let row = |(what, kind, make): ServingRow| {
        Row::new("files", format!("{what} serves OpenSSL, and Node loads it"), move || async move {
            let options = make(&kind.server(), &Folder::new()?)?;
            loads_in_node(&options).await?;
            serves_openssl(kind, &options).await
        })
    };
    let alone = |(what, kind, make): ServingRow| {
        Row::new("files", format!("{what} serves OpenSSL"), move || async move {
            serves_openssl(kind, &make(&kind.server(), &Folder::new()?)?).await
        })
    };
    SERVING.into_iter().map(row).chain(WITHOUT_CURVE.into_iter().map(alone)).collect()
}

async fn serves_openssl(kind: Kind, options: &ContextOptions) -> Result<()> {
    let server = Setup { turn: Turn::AfterPeer, ..Setup::server(kind) };
    let listening = listen_with(options, &server).await?;
    let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(kind) };
    let (client, server) = tokio::join!(Peer::OpenSsl.connect(&client, listening.port), listening.report());
    let (client, server) = (client?, server?);
    ensure!(client.authorized == Some(true) && client.failure.is_none(), "{client:?}");
    ensure!(server.failure.is_none(), "{server:?}");
    Ok(())
}

fn nss(identity: &Identity, folder: &Folder) -> Result<ContextOptions> {
    let (database, from, to) = (format!("sql:{}", folder.0.display()), folder.path("from.p12"), folder.path("to.p12"));
    let authority = identity.kind.authority();
    run(Command::new("openssl")
        .args(["pkcs12", "-export", "-name", "it", "-passout", "pass:word", "-out", &from])
        .args([
            "-in",
            &shown(identity.certificate_path()),
            "-inkey",
            &shown(identity.key_path()),
            "-certfile",
            &shown(authority.certificate_path()),
        ]))?;
    run(Command::new("certutil").args(["-N", "-d", &database, "--empty-password"]))?;
    run(Command::new("pk12util").args(["-i", &from, "-d", &database, "-W", "word"]))?;
    run(Command::new("pk12util").args(["-o", &to, "-n", "it", "-d", &database, "-W", PASSPHRASE]))?;
    with_pfx(&to)
}

fn gnutls_pfx(identity: &Identity, folder: &Folder) -> Result<ContextOptions> {
    let (to, authority) = (folder.path("to.p12"), identity.kind.authority());
    run(Command::new("certtool").args(["--to-p12", "--outder", "--p12-name", "it", "--password", PASSPHRASE]).args([
        "--outfile",
        &to,
        "--load-privkey",
        &shown(identity.key_path()),
        "--load-certificate",
        &shown(identity.certificate_path()),
        "--load-ca-certificate",
        &shown(authority.certificate_path()),
    ]))?;
    with_pfx(&to)
}

fn gnutls_key(identity: &Identity, folder: &Folder) -> Result<ContextOptions> {
    let to = folder.path("key.pem");
    run(Command::new("certtool").args([
        "--key-info",
        "--no-text",
        "--infile",
        &shown(identity.key_path()),
        "--outfile",
        &to,
    ]))?;
    let key = fs::read(to)?;
    ensure!(key.starts_with(b"-----BEGIN EC PRIVATE KEY-----"), "{}", String::from_utf8_lossy(&key));
    Ok(ContextOptions {
        certificates: vec![identity.full_chain().into()],
        keys: vec![key],
        ..ContextOptions::default()
    })
}

fn marked(identity: &Identity, _: &Folder) -> Result<ContextOptions> {
    let marked = |file: &str| format!("\u{feff}{file}").into_bytes();
    Ok(ContextOptions {
        certificates: vec![marked(&identity.full_chain())],
        keys: vec![marked(&identity.key)],
        roots: vec![marked(&identity.kind.authority().certificate)],
        ..ContextOptions::default()
    })
}

fn labelled(identity: &Identity, folder: &Folder) -> Result<ContextOptions> {
    let to = folder.path("trusted.pem");
    let from = shown(identity.certificate_path());
    run(Command::new("openssl").args(["x509", "-in", &from, "-trustout", "-setalias", "it", "-out", &to]))?;
    Ok(ContextOptions {
        certificates: vec![fs::read(to)?],
        keys: vec![identity.key.clone().into()],
        roots: vec![identity.kind.authority().certificate.replace(" CERTIFICATE", " X509 CERTIFICATE").into()],
        ..ContextOptions::default()
    })
}

/// What `openssl x509` writes behind the authority's certificate, and whether servers and clients are then trusted.
#[rustfmt::skip]
const TRUSTED: [(&str, &[&str], [bool; 2]); 7] = [
    ("nothing said", &["-setalias", "it"], [true, true]),
    ("trusted for servers", &["-addtrust", "serverAuth"], [true, false]),
    ("trusted for clients", &["-addtrust", "clientAuth"], [false, true]),
    ("trusted for e-mail", &["-addtrust", "emailProtection"], [false, false]),
    ("trusted for all", &["-addtrust", "anyExtendedKeyUsage"], [true, true]),
    ("rejected for servers", &["-addreject", "serverAuth"], [false, true]),
    ("trusted and rejected for clients", &["-addtrust", "clientAuth", "-addreject", "clientAuth"], [false, false]),
];

/// A CA of `BEGIN TRUSTED CERTIFICATE`: OpenSSL's verdict on a server's and a client's certificate, and the component's.
fn trusted() -> Vec<Row> {
    let row = |(what, arguments, expected): (&str, &'static [&'static str], [bool; 2])| {
        Row::new("trust", format!("a CA that is {what} is trusted as by OpenSSL [O4]"), move || async move {
            let kind = Kind::P256;
            let folder = Folder::new()?;
            let ca = folder.path("ca.pem");
            let from = shown(kind.authority().certificate_path());
            run(Command::new("openssl").args(["x509", "-in", &from, "-trustout", "-out", &ca]).args(arguments))?;
            let openssl = [(kind.server(), "sslserver"), (kind.client(), "sslclient")].map(|(identity, purpose)| {
                let mut verify = Command::new("openssl");
                verify.args(["verify", "-CAfile", &ca, "-purpose", purpose, &shown(identity.certificate_path())]);
                verify.output().is_ok_and(|output| output.status.success())
            });
            ensure!(openssl == expected, "OpenSSL says {openssl:?}");

            let roots = vec![fs::read(ca)?];
            let server = Setup { turn: Turn::AfterPeer, reject_unauthorized: false, ..Setup::server(kind) };
            let client = Setup { turn: Turn::WhenAllCame, reject_unauthorized: false, ..Setup::client(kind) };
            let listening = Peer::OpenSsl.listen(&server).await?;
            let options = ContextOptions { roots: roots.clone(), ..context_options(&client) };
            let (report, peer) = tokio::join!(connect_with(&options, &client, listening.port), listening.report());
            peer?;
            let of_server = report?.authorized;

            let server = Setup { request_cert: true, ..server };
            let client = Setup { identity: Some(kind.client()), reject_unauthorized: true, ..client };
            let options = ContextOptions { roots, ..context_options(&server) };
            let listening = listen_with(&options, &server).await?;
            let (peer, report) = tokio::join!(Peer::OpenSsl.connect(&client, listening.port), listening.report());
            peer?;
            let of_client = report?.authorized;
            ensure!([of_server, of_client] == expected.map(Some), "{of_server:?} and {of_client:?}, not {expected:?}");
            Ok(())
        })
    };
    TRUSTED.into_iter().map(row).collect()
}

fn bundles() -> Vec<Row> {
    vec![Row::new(
        "bundles",
        "of a bundle in which one CA can't be read, the others are trusted, and it is told [O4]",
        || async {
            let kind = Kind::P256;
            let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
            let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(kind) };
            let bundle =
                [kind.authority().certificate.as_str(), broken, Kind::Rsa2048.authority().certificate.as_str()]
                    .concat();
            let options = ContextOptions { roots: vec![bundle.into()], ..context_options(&client) };
            loads_in_node(&options).await?;
            let mut tls = Host::shared()?.instance().await?;
            let warnings = good(tls.context(&options).await?)?.warnings(&mut tls).await?;
            ensure!(warnings.len() == 1 && warnings[0].contains("Certificate 2 of the file, in line "), "{warnings:?}");
            // The one before it, and the one behind it, where Node stops.
            for kind in [kind, Kind::Rsa2048] {
                let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(kind) };
                let listening = Peer::OpenSsl.listen(&Setup { turn: Turn::AfterPeer, ..Setup::server(kind) }).await?;
                let (report, peer) = tokio::join!(connect_with(&options, &client, listening.port), listening.report());
                peer?;
                let report = report?;
                ensure!(report.authorized == Some(true), "{}: {report:?}", kind.name());
            }
            Ok(())
        },
    )]
}

/// Whether Node makes a secure context of the same files.
async fn loads_in_node(options: &ContextOptions) -> Result<()> {
    let files = |files: &[Vec<u8>]| files.iter().map(|file| json!(file)).collect::<Vec<_>>();
    let passphrase = options.passphrase.as_ref().map(|word| String::from_utf8_lossy(word).into_owned());
    let input = json!({
        "cert": files(&options.certificates), "key": files(&options.keys), "pfx": files(&options.pfxs), "ca": files(&options.roots),
        "passphrase": passphrase,
    });
    let said = node::run(NODE, &input).await?;
    ensure!(said == json!("good"), "Node says {said}");
    Ok(())
}

const NODE: &str = r#"
import { createSecureContext } from 'node:tls';
import { readFileSync } from 'node:fs';
const { passphrase, ...lists } = JSON.parse(readFileSync(0));
const options = passphrase === null ? {} : { passphrase };
for (const [name, files] of Object.entries(lists)) {
  if (files.length > 0) options[name] = files.map((file) => Buffer.from(file));
}
let said = 'good';
try {
  createSecureContext(options);
} catch (error) {
  said = `${error.code}: ${error.message}`;
}
console.log(JSON.stringify(said));
"#;

fn with_pfx(path: &str) -> Result<ContextOptions> {
    Ok(ContextOptions { pfxs: vec![fs::read(path)?], passphrase: Some(PASSPHRASE.into()), ..ContextOptions::default() })
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} does not start (cargo xtask setup)"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn shown(path: PathBuf) -> String {
    path.display().to_string()
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("files-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = paths::scratch()?.join(name);
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> String {
        shown(self.0.join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const PASSPHRASE: &str = "Grüße";
