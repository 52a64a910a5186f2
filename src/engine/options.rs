//! What a connection is made of, beside its context.

use std::time::Duration;

use rustls_pki_types::ServerName;

use super::sessions;
use crate::error::{Error, ErrorCode};

/// Options of a connection. The default is a client without a name, which has to be set.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// Whether this end is the server (row M5). Default: false.
    pub is_server: bool,
    /// Client: the name that the certificate must be for, and that is sent as SNI unless it is an IP address (row O14).
    pub servername: Option<String>,
    /// The application protocols in order of preference (row O16). Default: none.
    pub alpn_protocols: Vec<Vec<u8>>,
    /// Server: whether to ask for a certificate (row O12). Default: false.
    pub request_cert: bool,
    /// Whether a peer that is not authorized ends the connection (row O13). Default: true.
    pub reject_unauthorized: bool,
    /// Client: whether the caller checks by itself that the certificate is for the server that it wants, after the handshake and
    /// before it says or believes anything; the chain is checked in any case (row O22). Default: false.
    pub danger_skip_server_identity: bool,
    /// Server: whether to wait at the ClientHello for [`answer_sni`](super::Connection::answer_sni) (row O15).
    /// Default: false.
    pub sni_event: bool,
    /// Server: whether to ask the caller which of the client's application protocols to speak (row O16). Default: false.
    pub alpn_event: bool,
    /// Server: whether sessions are kept by the caller (rows S3, S4), and not in tickets or in the guest. Default: false.
    pub session_events: bool,
    /// Server: whether to ask the caller for an OCSP response to staple (row S5). Default: false.
    pub ocsp_event: bool,
    /// Server: whether clients get tickets, and theirs are taken. Default: true.
    pub tickets: bool,
    /// Client: the session to resume (row O17). Default: none.
    pub session: Option<Vec<u8>>,
    /// Client: whether to tell of each session that can be resumed (row K8). Default: false.
    pub session_event: bool,
    /// Client: whether to tell of the stapled OCSP response (row O21). Default: false.
    pub request_ocsp: bool,
    /// Whether to tell the secrets of the connection, for a key log file (row S6). Default: false.
    pub key_log: bool,
    /// Whether to tell of each handshake message and alert (row K18). Default: false.
    pub trace: bool,
    /// How long a handshake may take (row O20). Default: 120 s.
    pub handshake_timeout: Duration,
    /// How many bytes of cleartext, and of records, may wait for the transport, each. Default: 64 KiB.
    pub buffer_limit: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            is_server: false,
            servername: None,
            alpn_protocols: Vec::new(),
            request_cert: false,
            reject_unauthorized: true,
            danger_skip_server_identity: false,
            sni_event: false,
            alpn_event: false,
            session_events: false,
            ocsp_event: false,
            tickets: true,
            session: None,
            session_event: false,
            request_ocsp: false,
            key_log: false,
            trace: false,
            handshake_timeout: Duration::from_secs(120),
            buffer_limit: 64 * 1024,
        }
    }
}

impl ConnectionOptions {
    /// All that is wrong with them.
    pub(super) fn check(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        if !self.is_server {
            errors.extend(self.server_name().err());
        }
        if self.session.as_ref().is_some_and(|session| !sessions::client::is_name(session)) {
            errors.push(Error::new(
                ErrorCode::ErrInvalidArgValue,
                "The session to resume is none that `session` gave: those have 32 bytes, and are good in the same instance only.",
            ));
        }
        if !BUFFER_LIMITS.contains(&self.buffer_limit) {
            errors.push(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!(
                    "A buffer limit of {} bytes was given; expected {} to {}.",
                    self.buffer_limit,
                    BUFFER_LIMITS.start(),
                    BUFFER_LIMITS.end()
                ),
            ));
        }
        for protocol in &self.alpn_protocols {
            if !ALPN_LENGTHS.contains(&protocol.len()) {
                errors.push(Error::new(
                    ErrorCode::ErrInvalidArgValue,
                    format!(
                        "An application protocol of {} bytes was given; expected 1 to 255 (RFC 7301 section 3.1).",
                        protocol.len()
                    ),
                ));
            }
        }
        let listed: usize = self.alpn_protocols.iter().map(|name| name.len() + 1).sum();
        if listed > ALPN_LIST_MAX {
            errors.push(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!("The application protocols take {listed} bytes together; at most {ALPN_LIST_MAX} fit (RFC 7301 section 3.1)."),
            ));
        }
        errors
    }

    /// The server's name as a client needs it.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, Error> {
        let name = self.servername.as_deref().ok_or_else(|| {
            Error::new(
                ErrorCode::ErrTlsRequiredServerName,
                "A client needs the server's name, to check the certificate against: set servername to a DNS name or an IP address.",
            )
        })?;
        ServerName::try_from(name.to_owned()).map_err(|_| {
            Error::new(
                ErrorCode::ErrTlsRequiredServerName,
                format!("The server name {name:?} is neither a DNS name nor an IP address."),
            )
        })
    }
}

/// A record at least; at most what a proxy of many connections can afford for one.
const BUFFER_LIMITS: std::ops::RangeInclusive<usize> = 16 * 1024..=16 * 1024 * 1024;
const ALPN_LENGTHS: std::ops::RangeInclusive<usize> = 1..=255;
/// What the extension holds, less its own length.
const ALPN_LIST_MAX: usize = 65_533;
