//! What is asked of one end of a connection, and what it says afterwards: the same words for the component and for every peer.

use std::fmt;
use std::sync::Arc;

use crate::certificates::{Identity, Kind};

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It connects.
    Client,
    /// It is connected to.
    Server,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// Which keys a suite of TLS 1.2 goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// ECDSA and EdDSA.
    Ecdsa,
    /// RSA.
    Rsa,
    /// Any: TLS 1.3.
    Any,
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The version that it belongs to.
    pub version: Version,
    /// Which certificates it goes with.
    pub authentication: Authentication,
    /// The IANA name.
    pub name: &'static str,
    /// OpenSSL's name.
    pub openssl: &'static str,
}

/// A key exchange group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name by which everyone knows it.
    pub name: &'static str,
    /// The name that OpenSSL prints.
    pub openssl: &'static str,
    /// The security-relevant bits that OpenSSL prints.
    pub bits: u32,
}

/// In which order the two ends of an exchange stop sending. What one end does, the other answers: see [`Turn::other`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// Sends all, ends at once, then reads to the end: a half-closed connection.
    #[default]
    First,
    /// Sends half, and the other half after the peer's end.
    Second,
    /// Sends all, and ends when as much has come in.
    WhenAllCame,
    /// Sends all, and ends after the peer's end.
    AfterPeer,
    /// Sends nothing, ends at the peer's end: for connections of which only the handshake matters.
    Silent,
}

/// All that one end of a connection is told.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Lowest and highest version.
    pub versions: (Version, Version),
    /// The suites, in order of preference. Empty: the end's own choice.
    pub suites: Vec<Suite>,
    /// The groups, in order of preference. Empty: the end's own choice.
    pub groups: Vec<Group>,
    /// The signature schemes that it takes, in order of preference, by OpenSSL's names. Empty: the end's own choice.
    pub sigalgs: Vec<&'static str>,
    /// Server: whether its order of suites wins over the client's.
    pub honor_cipher_order: bool,
    /// Client: whether the caller checks the server's name, and finds it good.
    pub skip_server_identity: bool,
    /// The end's certificate and key.
    pub identity: Option<Arc<Identity>>,
    /// Whom it trusts.
    pub roots: Vec<Arc<Identity>>,
    /// What it knows to be revoked, PEM.
    pub crls: Vec<String>,
    /// Whether whom it trusts may have been issued by somebody else.
    pub allow_partial_trust_chain: bool,
    /// Component: whether it takes what OpenSSL takes and webpki does not.
    pub compat: bool,
    /// Client: whom it wants to talk to.
    pub servername: String,
    /// Application protocols, in order of preference.
    pub alpn: Vec<&'static str>,
    /// Server: whether it wants a certificate.
    pub request_cert: bool,
    /// Whether a peer that does not verify ends the connection.
    pub reject_unauthorized: bool,
    /// How it stops sending.
    pub turn: Turn,
    /// How many bytes it sends, in each connection.
    pub bytes: usize,
    /// How many connections it has, one after another; a client offers the session of the one before. Only agents and OpenSSL's
    /// server have more than one.
    pub connections: usize,
}

/// What one end of a connection saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: Option<String>,
    /// The suite's IANA name, or where the end knows only that, OpenSSL's.
    pub suite: Option<String>,
    /// The group, by OpenSSL's name.
    pub group: Option<String>,
    /// The application protocol.
    pub alpn: Option<String>,
    /// The common name of the peer's certificate.
    pub peer_subject: Option<String>,
    /// Whether the peer's certificate verified.
    pub authorized: Option<bool>,
    /// Why not, by OpenSSL's names (K2).
    pub authorization_error: Option<String>,
    /// The name that the client asked for.
    pub servername: Option<String>,
    /// Key material by the label [`EXPORTER_LABEL`], in hexadecimal.
    pub exporter: Option<String>,
    /// What it sent.
    pub sent: Tally,
    /// What it received.
    pub received: Tally,
    /// Whether the peer ended by `close_notify`.
    pub ended: bool,
    /// Whether a session was resumed, where the end says so.
    pub resumed: Option<bool>,
    /// What went wrong.
    pub failure: Option<Failure>,
}

/// What went wrong at one end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The end's own code for it, where it has codes: Node's names.
    pub code: String,
    /// What it says to people.
    pub message: String,
    /// OpenSSL's words for it.
    pub reason: Option<String>,
    /// The alert's number, where there was one.
    pub alert: Option<u8>,
}

/// Bytes and their SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub bytes: usize,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Setup {
    /// A client of a server of this kind of certificate.
    pub fn client(kind: Kind) -> Setup {
        Setup { roots: vec![kind.authority()], ..Setup::default() }
    }

    /// A server with this kind of certificate.
    pub fn server(kind: Kind) -> Setup {
        Setup { identity: Some(kind.server()), turn: Turn::First.other(), ..Setup::default() }
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            versions: (Version::Tls12, Version::Tls13),
            suites: Vec::new(),
            groups: Vec::new(),
            sigalgs: Vec::new(),
            honor_cipher_order: true,
            skip_server_identity: false,
            identity: None,
            roots: Vec::new(),
            crls: Vec::new(),
            allow_partial_trust_chain: false,
            compat: false,
            servername: SERVER_NAME.to_string(),
            alpn: Vec::new(),
            request_cert: false,
            reject_unauthorized: true,
            turn: Turn::First,
            bytes: 1024,
            connections: 1,
        }
    }
}

impl Turn {
    /// What the other end does.
    pub fn other(self) -> Turn {
        match self {
            Turn::First => Turn::Second,
            Turn::Second => Turn::First,
            Turn::WhenAllCame => Turn::AfterPeer,
            Turn::AfterPeer => Turn::WhenAllCame,
            Turn::Silent => Turn::Silent,
        }
    }
}

impl Version {
    /// As Node and OpenSSL write it.
    pub fn name(self) -> &'static str {
        match self {
            Version::Tls12 => "TLSv1.2",
            Version::Tls13 => "TLSv1.3",
        }
    }
}

impl Suite {
    /// Whether a certificate of this kind goes with it.
    pub fn takes(self, kind: Kind) -> bool {
        match self.authentication {
            Authentication::Any => true,
            Authentication::Rsa => kind.is_rsa(),
            Authentication::Ecdsa => !kind.is_rsa(),
        }
    }
}

impl Group {
    /// Whether it is one of TLS 1.3 only.
    pub fn is_hybrid(self) -> bool {
        self == X25519_MLKEM768
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Client => "client",
            Role::Server => "server",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        self.alert.map_or(Ok(()), |alert| write!(f, " (alert {alert})"))
    }
}

/// Every suite that the component has.
pub const SUITES: [Suite; 9] = [
    suite(Version::Tls13, Authentication::Any, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    suite(Version::Tls13, Authentication::Any, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    suite(Version::Tls13, Authentication::Any, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    suite(
        Version::Tls12,
        Authentication::Ecdsa,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    suite(
        Version::Tls12,
        Authentication::Ecdsa,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    suite(
        Version::Tls12,
        Authentication::Ecdsa,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    suite(
        Version::Tls12,
        Authentication::Rsa,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
    suite(Version::Tls12, Authentication::Rsa, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    suite(Version::Tls12, Authentication::Rsa, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
];

/// Every group that the component has.
pub const GROUPS: [Group; 5] = [X25519_MLKEM768, X25519, P256, P384, P521];

/// The hybrid of X25519 and ML-KEM-768.
pub const X25519_MLKEM768: Group = Group { name: "X25519MLKEM768", openssl: "X25519MLKEM768", bits: 253 };
/// X25519
pub const X25519: Group = Group { name: "X25519", openssl: "X25519", bits: 253 };
/// NIST P-256
pub const P256: Group = Group { name: "P-256", openssl: "prime256v1", bits: 256 };
/// NIST P-384
pub const P384: Group = Group { name: "P-384", openssl: "secp384r1", bits: 384 };
/// NIST P-521
pub const P521: Group = Group { name: "P-521", openssl: "secp521r1", bits: 521 };

/// The name of the servers.
pub const SERVER_NAME: &str = "server.test";

/// The label by which every end exports [`EXPORTER_BYTES`] of key material, without a context.
pub const EXPORTER_LABEL: &str = "EXPORTER-guest-tls-test";

/// The length of the exported key material.
pub const EXPORTER_BYTES: usize = 32;

const fn suite(version: Version, authentication: Authentication, name: &'static str, openssl: &'static str) -> Suite {
    Suite { version, authentication, name, openssl }
}
