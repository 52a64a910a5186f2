//! What was agreed on, for people and for programs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::bindings::guest::tls::secure_pair::SecurePair;
use crate::bindings::guest::tls::types::Error;
use crate::certificate::{Shown, columns, printable};
use crate::failure::{code_name, version_name};

/// One connection. The README documents each field of this as JSON.
#[derive(Serialize)]
pub(crate) struct Summary {
    server: String,
    address: Option<String>,
    servername: String,
    protocol: Option<&'static str>,
    cipher: Option<Cipher>,
    group: Option<Group>,
    alpn: Option<String>,
    resumed: bool,
    /// Whether it left a session that can be resumed.
    pub(crate) session: bool,
    authorized: bool,
    authorization_error: Option<Refusal>,
    certificates: Vec<Shown>,
    own_certificates: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ocsp: Option<Ocsp>,
    /// The connections that came after this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reconnects: Vec<Summary>,
}

#[derive(Serialize)]
struct Cipher {
    name: String,
    openssl_name: String,
}

#[derive(Serialize)]
struct Group {
    name: String,
    kind: String,
    bits: u32,
}

#[derive(Serialize)]
struct Refusal {
    code: String,
    message: String,
}

#[derive(Serialize)]
struct Ocsp {
    stapled: bool,
    /// DER, in Base64.
    response: Option<String>,
}

/// What is not in the pair.
pub(crate) struct Context<'a> {
    /// As it was asked for.
    pub(crate) server: String,
    /// Where it was found.
    pub(crate) address: Option<String>,
    /// The name that its certificate had to be for.
    pub(crate) servername: &'a str,
    /// Whether certificates are to be there in PEM.
    pub(crate) with_pem: bool,
    /// What the server stapled, where it was asked.
    pub(crate) ocsp: Option<Option<&'a [u8]>>,
}

impl Summary {
    /// Of a connection whose handshake is done.
    pub(crate) fn new(pair: &SecurePair, context: Context<'_>) -> Summary {
        let certificates = pair.peer_certificates();
        Summary {
            server: context.server,
            address: context.address,
            servername: context.servername.to_string(),
            protocol: pair.protocol().map(version_name),
            cipher: pair.cipher().map(|cipher| Cipher { name: cipher.standard_name, openssl_name: cipher.name }),
            group: pair.ephemeral_key_info().map(|key| Group { name: key.name, kind: key.kind, bits: key.size }),
            alpn: pair.alpn_protocol().map(|protocol| String::from_utf8_lossy(&protocol).into_owned()),
            resumed: pair.is_session_reused(),
            session: pair.session().is_some(),
            authorized: pair.authorized(),
            authorization_error: pair.authorization_error().map(|error| Refusal::of(&error)),
            certificates: certificates.iter().map(|one| Shown::new(one, context.with_pem)).collect(),
            own_certificates: pair.certificates().iter().map(|one| Shown::new(one, false)).collect(),
            ocsp: context.ocsp.map(|response| Ocsp {
                stapled: response.is_some(),
                response: response.map(|response| STANDARD.encode(response)),
            }),
            reconnects: Vec::new(),
        }
    }

    /// For people: several lines.
    pub(crate) fn text(&self) -> String {
        let at = self.address.as_ref().filter(|address| **address != self.server);
        let mut lines = vec![
            ("server", at.map_or_else(|| self.server.clone(), |address| format!("{} at {address}", self.server))),
            ("protocol", self.protocol.unwrap_or_default().to_string()),
        ];
        lines.extend(self.cipher.as_ref().map(|cipher| ("cipher", cipher.name.clone())));
        lines.extend(self.group.as_ref().map(|group| ("group", group.name.clone())));
        lines.push(("ALPN", self.alpn.as_deref().map_or_else(|| "none".to_string(), printable)));
        lines.push(("session", if self.resumed { "resumed" } else { "new" }.to_string()));
        if let Some(ocsp) = &self.ocsp {
            let size = ocsp.response.as_ref().map(|response| STANDARD.decode(response).map_or(0, |der| der.len()));
            lines.push((
                "OCSP",
                size.map_or_else(|| "nothing stapled".to_string(), |size| format!("stapled, {size} bytes")),
            ));
        }
        lines.push((
            "verified",
            match &self.authorization_error {
                Some(error) => format!("NO: {}: {}", error.code, printable(&error.message)),
                None => format!("yes, for {}", self.servername),
            },
        ));
        let mut text = columns(&lines, 0);
        for (what, certificates) in
            [("server's certificate", &self.certificates), ("own certificate", &self.own_certificates)]
        {
            for (index, certificate) in certificates.iter().enumerate() {
                text += &format!("{what} {index}\n{}", columns(&certificate.lines(), 2));
            }
        }
        text
    }

    /// For people: what differs from the connection before it.
    pub(crate) fn line(&self) -> String {
        let cipher = self.cipher.as_ref().map_or("", |cipher| &cipher.name);
        format!(
            "{}, {}, {cipher}",
            if self.resumed { "session resumed" } else { "new session" },
            self.protocol.unwrap_or_default()
        )
    }
}

impl Refusal {
    fn of(error: &Error) -> Refusal {
        Refusal { code: code_name(error.code), message: error.message.clone() }
    }
}
