//! What a connection is made of, beside its context.

use rustls_pki_types::ServerName;

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
    /// Server: whether to wait at the ClientHello for [`answer_sni`](super::Connection::answer_sni) (row O15).
    /// Default: false.
    pub sni_event: bool,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            is_server: false,
            servername: None,
            alpn_protocols: Vec::new(),
            request_cert: false,
            reject_unauthorized: true,
            sni_event: false,
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

const ALPN_LENGTHS: std::ops::RangeInclusive<usize> = 1..=255;
/// What the extension holds, less its own length.
const ALPN_LIST_MAX: usize = 65_533;
