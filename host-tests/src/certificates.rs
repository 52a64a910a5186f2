//! Certificates and keys made on the fly by the `openssl` command, once for a process each.
//!
//! `openssl ca` is the one way in OpenSSL 3.0 to choose the start and the end of a certificate's validity.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::paths;
use crate::revocation::List;
use crate::setup::{self, Group, SERVER_NAME};

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// ECDSA on P-256
    P256,
    /// ECDSA on P-384
    P384,
    /// ECDSA on P-521
    P521,
    /// Ed25519
    Ed25519,
    /// RSA of 2048 bits
    Rsa2048,
    /// RSA of 4096 bits
    Rsa4096,
}

/// Every kind.
pub const KINDS: [Kind; 6] = [Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519, Kind::Rsa2048, Kind::Rsa4096];

/// A certificate with its chain and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The common name of the subject.
    pub name: String,
    /// The kind of its key.
    pub kind: Kind,
    /// The certificate, PEM.
    pub certificate: String,
    /// The certificates above it that are sent with it, PEM; without the root.
    pub chain: String,
    /// The private key, PEM.
    pub key: String,
    /// Whether it signed itself.
    pub is_root: bool,
    /// Where the three are as files: `certificate.pem`, `chain.pem`, `key.pem`.
    pub folder: PathBuf,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validity {
    /// Since yesterday, for years.
    #[default]
    Now,
    /// It was, and is no longer.
    Over,
    /// Not yet.
    Later,
}

/// What a certificate is to be.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The common name of its subject.
    pub name: &'a str,
    /// The names that it is for, as OpenSSL's configuration has them.
    pub alt_names: &'a str,
    /// The kind of its key.
    pub kind: Kind,
    /// Who signs it; nobody: it does so itself.
    pub issuer: Option<&'a Identity>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// When it is valid.
    pub validity: Validity,
    /// Its extensions, as OpenSSL's configuration has them, in place of the usual ones.
    pub extensions: Option<&'a str>,
}

impl Kind {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::P256 => "P-256",
            Kind::P384 => "P-384",
            Kind::P521 => "P-521",
            Kind::Ed25519 => "Ed25519",
            Kind::Rsa2048 => "RSA-2048",
            Kind::Rsa4096 => "RSA-4096",
        }
    }

    /// Whether it is RSA.
    pub fn is_rsa(self) -> bool {
        matches!(self, Kind::Rsa2048 | Kind::Rsa4096)
    }

    /// The curve of its key, where that is one of the groups.
    pub fn curve(self) -> Option<Group> {
        match self {
            Kind::P256 => Some(setup::P256),
            Kind::P384 => Some(setup::P384),
            Kind::P521 => Some(setup::P521),
            Kind::Ed25519 | Kind::Rsa2048 | Kind::Rsa4096 => None,
        }
    }

    /// A root with this kind of key, which issued [`Kind::server`] and [`Kind::client`].
    pub fn authority(self) -> Arc<Identity> {
        static AUTHORITIES: Cache = Cache::new();
        let name = format!("guest-tls test authority {}", self.name());
        AUTHORITIES.get(self, || Request { is_authority: true, ..Request::new(&name, self) }.issue())
    }

    /// A certificate for [`SERVER_NAME`], `localhost` and 127.0.0.1.
    pub fn server(self) -> Arc<Identity> {
        static SERVERS: Cache = Cache::new();
        SERVERS.get(self, || Request { issuer: Some(&self.authority()), ..Request::new(SERVER_NAME, self) }.issue())
    }

    /// A certificate of a client.
    pub fn client(self) -> Arc<Identity> {
        static CLIENTS: Cache = Cache::new();
        CLIENTS.get(self, || Request { issuer: Some(&self.authority()), ..Request::new("client.test", self) }.issue())
    }

    /// OpenSSL's options for such a key.
    fn algorithm(self) -> &'static [&'static str] {
        match self {
            Kind::P256 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Kind::P384 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Kind::P521 => &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
            Kind::Ed25519 => &["ED25519"],
            Kind::Rsa2048 => &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::Rsa4096 => &["RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
        }
    }

    /// The hash that such a key signs certificates with.
    fn hash(self) -> &'static str {
        match self {
            Kind::P256 | Kind::Rsa2048 => "sha256",
            Kind::P384 | Kind::Rsa4096 => "sha384",
            Kind::P521 => "sha512",
            Kind::Ed25519 => "default",
        }
    }
}

impl<'a> Request<'a> {
    /// A valid certificate that signs itself and is for the servers of the tests.
    pub fn new(name: &'a str, kind: Kind) -> Request<'a> {
        let alt_names = "DNS:server.test,DNS:localhost,IP:127.0.0.1";
        Request { name, alt_names, kind, issuer: None, is_authority: false, validity: Validity::Now, extensions: None }
    }

    /// Makes it. Panics with OpenSSL's words if that fails: no test can do without.
    pub fn issue(&self) -> Arc<Identity> {
        let folder = new_folder();
        write(&folder, "key.pem", &openssl(&folder, &[&["genpkey", "-algorithm"], self.kind.algorithm()].concat()));
        write(&folder, "ca.cnf", &self.configuration());
        write(&folder, "index.txt", "");
        openssl(&folder, &["req", "-new", "-config", "ca.cnf", "-key", "key.pem", "-out", "request.pem"]);
        let signer = self.issuer.map_or_else(|| folder.clone(), |issuer| issuer.folder.clone());
        let signer_key = signer.join("key.pem").display().to_string();
        let signer_certificate = signer.join("certificate.pem").display().to_string();
        let (from, to) = self.validity.times();
        let mut arguments =
            vec!["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "request.pem", "-out", "certificate.pem"];
        arguments.extend(["-startdate", from, "-enddate", to, "-extensions", "extensions", "-keyfile", &signer_key]);
        match self.issuer {
            Some(_) => arguments.extend(["-cert", &signer_certificate]),
            None => arguments.push("-selfsign"),
        }
        openssl(&folder, &arguments);
        let chain = self.issuer.map_or_else(String::new, Identity::sent_by_its_subjects);
        write(&folder, "chain.pem", &chain);
        let read = |name| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (certificate, key) = (read("certificate.pem"), read("key.pem"));
        let is_root = self.issuer.is_none();
        Arc::new(Identity { name: self.name.to_string(), kind: self.kind, certificate, chain, key, is_root, folder })
    }

    fn configuration(&self) -> String {
        let Request { name, alt_names, .. } = self;
        let hash = self.issuer.map_or(self.kind, |issuer| issuer.kind).hash();
        let extensions = if let Some(extensions) = self.extensions {
            extensions.to_string()
        } else if self.is_authority {
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash"
                .to_string()
        } else {
            format!(
                "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                 extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={alt_names}"
            )
        };
        format!(
            "[req]\nprompt=no\ndistinguished_name=name\n[name]\nO=guest-tls\nCN={name}\n\
             [ca]\ndefault_ca=ca_default\n[ca_default]\nnew_certs_dir=.\ndatabase=index.txt\nrand_serial=yes\n\
             default_md={hash}\npolicy=policy\nunique_subject=no\nemail_in_dn=no\n\
             [policy]\nO=supplied\nCN=supplied\n[extensions]\n{extensions}\n"
        )
    }
}

impl Identity {
    /// The certificate and what is sent with it, PEM.
    pub fn full_chain(&self) -> String {
        format!("{}{}", self.certificate, self.chain)
    }

    /// A list of what it revoked, PEM (RFC 5280 section 5).
    pub fn revocation_list(&self, revoked: &[&Identity], validity: Validity) -> String {
        let (from, to) = validity.times();
        List { from, to, revoked, ..List::default() }.by(self)
    }

    /// The same certificate of version 1, which has no extensions. Its issuer must be the one that it had.
    pub fn of_version_1(&self, issuer: Option<&Identity>) -> Arc<Identity> {
        let folder = new_folder();
        write(&folder, "key.pem", &self.key);
        let subject = format!("/O=guest-tls/CN={}", self.name);
        openssl(&folder, &["req", "-new", "-key", "key.pem", "-subj", &subject, "-out", "request.pem"]);
        let (signer, key) = match issuer {
            Some(issuer) => (issuer.certificate_path(), issuer.key_path()),
            None => (self.certificate_path(), folder.join("key.pem")),
        };
        let (signer, key) = (signer.display().to_string(), key.display().to_string());
        let mut arguments = vec!["x509", "-req", "-in", "request.pem", "-days", "3650", "-out", "certificate.pem"];
        match issuer {
            Some(_) => arguments.extend(["-CA", &signer, "-CAkey", &key, "-set_serial", "1"]),
            None => arguments.extend(["-signkey", &key]),
        }
        openssl(&folder, &arguments);
        let certificate = fs::read_to_string(folder.join("certificate.pem"));
        let certificate = certificate.unwrap_or_else(|error| panic!("certificate.pem: {error}"));
        let chain = issuer.map_or_else(String::new, Identity::sent_by_its_subjects);
        write(&folder, "chain.pem", &chain);
        let (name, key) = (self.name.clone(), self.key.clone());
        Arc::new(Identity { name, kind: self.kind, certificate, chain, key, is_root: issuer.is_none(), folder })
    }

    /// The path of its certificate.
    pub fn certificate_path(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The path of its key.
    pub fn key_path(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// The path of its chain.
    pub fn chain_path(&self) -> PathBuf {
        self.folder.join("chain.pem")
    }

    /// The same certificate, sent with other ones.
    pub fn with_chain(&self, chain: String) -> Arc<Identity> {
        self.variant(chain, self.key.clone())
    }

    /// The same certificate with a key that is not its own.
    pub fn with_key_of(&self, other: &Identity) -> Arc<Identity> {
        self.variant(self.chain.clone(), other.key.clone())
    }

    fn variant(&self, chain: String, key: String) -> Arc<Identity> {
        let folder = new_folder();
        write(&folder, "certificate.pem", &self.certificate);
        write(&folder, "chain.pem", &chain);
        write(&folder, "key.pem", &key);
        let Identity { name, kind, certificate, is_root, .. } = self;
        let (name, certificate) = (name.clone(), certificate.clone());
        Arc::new(Identity { name, kind: *kind, certificate, chain, key, is_root: *is_root, folder })
    }

    /// What those whom it issued send with their own certificates: itself and what is above it, but no root.
    fn sent_by_its_subjects(&self) -> String {
        if self.is_root { String::new() } else { self.full_chain() }
    }
}

impl Validity {
    fn times(self) -> (&'static str, &'static str) {
        match self {
            Validity::Now => ("20240101000000Z", "20991231235959Z"),
            Validity::Over => ("20230101000000Z", "20231231235959Z"),
            Validity::Later => ("20980101000000Z", "20991231235959Z"),
        }
    }
}

/// One identity for a kind, made when it is first asked for.
struct Cache(OnceLock<Mutex<HashMap<Kind, Slot>>>);

type Slot = Arc<OnceLock<Arc<Identity>>>;

impl Cache {
    const fn new() -> Cache {
        Cache(OnceLock::new())
    }

    fn get(&self, kind: Kind, make: impl FnOnce() -> Arc<Identity>) -> Arc<Identity> {
        let slot = match self.0.get_or_init(Mutex::default).lock() {
            Ok(mut slots) => Arc::clone(slots.entry(kind).or_default()),
            Err(_) => panic!("a certificate could not be made before"),
        };
        Arc::clone(slot.get_or_init(make))
    }
}

pub(crate) fn new_folder() -> PathBuf {
    static ALL: OnceLock<PathBuf> = OnceLock::new();
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let all = ALL.get_or_init(|| paths::scratch().unwrap_or_else(|error| panic!("a folder for certificates: {error}")));
    let folder = all.join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap_or_else(|error| panic!("{name} in {}: {error}", folder.display()));
}

/// What the command prints. Panics with its words if it fails.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = output(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {} in {}: {said}", arguments.join(" "), folder.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether the command succeeds, and all that it says.
pub(crate) fn verdict(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = output(folder, arguments);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn output(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("the openssl command does not start: {error}"))
}
