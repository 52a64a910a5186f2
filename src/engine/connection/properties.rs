//! What a connection tells of itself.

use rustls::CommonState;
use rustls_pki_types::CertificateDer;

use super::super::sessions::{client, lock};
use super::super::{Cipher, EphemeralKeyInfo, details};
use super::{Closing, Connection, LastSession, READ_LIMIT, Side, Stage};
use crate::context::Version;
use crate::error::{Error, ErrorCode};

impl Connection {
    /// What ended the connection, where an error did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Whether nothing more will be sent or received.
    pub fn is_closed(&self) -> bool {
        let ended = self.error.is_some() || (self.closing == Closing::Sent && self.peer_has_closed);
        ended && !self.has_unsent()
    }

    /// Whether something of ours is not yet with the transport, also where it has to wait for the handshake or for an answer.
    pub fn has_unsent(&self) -> bool {
        if self.error.is_some() {
            // Only an alert still goes out.
            return self.wants_write();
        }
        let waits_for_handshake = !self.secure && (self.wrote_early || self.closing == Closing::Asked);
        waits_for_handshake || self.wants_write() || self.state().is_some_and(CommonState::wants_write)
    }

    /// Whether there are bytes for the transport.
    pub fn wants_write(&self) -> bool {
        let begins = matches!(self.stage, Stage::Start) && self.error.is_none();
        begins
            || !self.final_output.is_empty()
            || (self.held == 0 && self.state().is_some_and(CommonState::wants_write))
    }

    /// Whether the next [`write_encrypted`](Self::write_encrypted) would take bytes.
    pub fn wants_read(&self) -> bool {
        match &self.stage {
            Stage::Start | Stage::Hello(_) => self.error.is_none(),
            Stage::Asking(_) | Stage::Failed => false,
            Stage::Tls(_) => {
                self.error.is_none() && !self.peer_has_closed && self.readable < READ_LIMIT && self.held == 0
            }
        }
    }

    /// Whether the next [`read_cleartext`](Self::read_cleartext) has something to tell: data, the end or an error.
    pub fn is_readable(&self) -> bool {
        self.readable > 0 || self.error.is_some() || (self.peer_has_closed && !self.end_was_read)
    }

    /// Whether chain and name of the peer were verified (row K2).
    pub fn authorized(&self) -> bool {
        self.secure && self.verdict.is_good()
    }

    /// Why the peer was not verified (row K2).
    pub fn authorization_error(&self) -> Option<Error> {
        self.verdict.error()
    }

    /// The peer's certificate and those above it, each the issuer of the one before: to the trust anchor where they are verified,
    /// else as far as what was sent and the context's CAs link up (row K7). Empty where no certificate came.
    pub fn peer_certificate_chain(&self) -> Vec<CertificateDer<'static>> {
        self.verdict.chain()
    }

    /// The name that the client asked for by SNI (row K4): none where it wants an IP address.
    pub fn servername(&self) -> Option<&str> {
        self.servername.as_deref()
    }

    /// The application protocol that was agreed on (row K4).
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.state()?.alpn_protocol()
    }

    /// The cipher suite that was agreed on (row K5).
    pub fn cipher(&self) -> Option<Cipher> {
        Cipher::of(self.state()?)
    }

    /// The version that was agreed on (row K6).
    pub fn protocol(&self) -> Option<Version> {
        Version::from_rustls(self.state()?.protocol_version()?)
    }

    /// The key exchange (row K10).
    pub fn ephemeral_key_info(&self) -> Option<EphemeralKeyInfo> {
        EphemeralKeyInfo::of(self.state()?)
    }

    /// The peer's certificates as it sent them, leaf first (row K7).
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.state().and_then(CommonState::peer_certificates).unwrap_or_default()
    }

    /// Key material bound to this connection (row K12; RFC 5705, RFC 8446 section 7.5).
    pub fn export_keying_material(
        &self,
        length: usize,
        label: &[u8],
        context: Option<&[u8]>,
    ) -> Result<Vec<u8>, Error> {
        if !EXPORT_LENGTHS.contains(&length) {
            return Err(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!("{length} bytes of key material were asked for; expected 1 to {}.", EXPORT_LENGTHS.end()),
            ));
        }
        match &self.stage {
            _ if self.secure && !self.is_bound() => Err(Error::new(
                ErrorCode::ErrInvalidState,
                "This connection has no extended master secret, so that another connection may have the same keys: nothing can be bound to it (RFC 7627 section 5.4).",
            )),
            Stage::Tls(tls) if self.secure => {
                tls.export_keying_material(vec![0; length], label, context).map_err(|_| {
                    Error::new(
                        ErrorCode::ErrInvalidArgValue,
                        "No key material can be exported for this label and context.",
                    )
                })
            }
            _ => {
                Err(Error::new(ErrorCode::ErrInvalidState, "Key material can be exported once the handshake is done."))
            }
        }
    }

    /// Bytes that came from the transport (row K17).
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Bytes that were given to the transport (row K17).
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Whether the handshake is still to be done, or its last messages are held for an answer.
    pub fn is_handshaking(&self) -> bool {
        !self.secure || self.held > 0
    }

    /// Whether the handshake resumed a session (row K8).
    pub fn is_session_reused(&self) -> bool {
        self.reused
    }

    /// Client: the session that was made last, for [`ConnectionOptions::session`](super::super::ConnectionOptions::session) (row K8).
    pub fn session(&mut self) -> Option<&[u8]> {
        let Side::Client { last, .. } = &mut self.side else {
            return None;
        };
        *last = match last.take().map(|last| *last) {
            Some(LastSession::Made(session)) => client::keep(session).map(LastSession::Kept).map(Box::new),
            kept => kept.map(Box::new),
        };
        match last.as_deref() {
            Some(LastSession::Kept(name)) => Some(name),
            _ => None,
        }
    }

    /// Client: the ticket that came last, as it came (row K8).
    pub fn tls_ticket(&self) -> Option<&[u8]> {
        self.transcript.ticket.as_deref()
    }

    /// The certificates that we showed, leaf first (row K7); empty where we showed none.
    pub fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let shown = match &self.side {
            // A client shows them only when it is asked.
            Side::Client { side, .. } => lock(&side.shown).clone(),
            Side::Server { open, .. } => open.as_ref().and_then(|(side, _)| lock(&side.shown).clone()),
        };
        shown.map(|shown| shown.cert.clone()).unwrap_or_default()
    }

    /// The content of our last Finished message (row K11, RFC 5929 section 3). None in TLS 1.2 without extended master secret, where
    /// it is not bound to the connection (RFC 9266 section 5).
    pub fn finished(&self) -> Option<&[u8]> {
        self.transcript.finished().filter(|_| self.is_bound())
    }

    /// The content of the peer's last Finished message, as [`finished`](Self::finished) has ours (row K11).
    pub fn peer_finished(&self) -> Option<&[u8]> {
        self.transcript.peer_finished().filter(|_| self.is_bound())
    }

    /// Whether no other connection has the same keys: in TLS 1.2 only extended master secret sees to it (RFC 7627 section 1).
    fn is_bound(&self) -> bool {
        self.protocol() != Some(Version::Tls12) || self.transcript.extended_master_secret
    }

    /// The signature schemes in common, in the server's order, by OpenSSL's names (row K15). A client knows them when the server
    /// asked for a certificate.
    pub fn shared_sigalgs(&self) -> Vec<String> {
        let ours = self.contexts.choose(self.servername.as_deref()).provider().signature_verification_algorithms;
        let ours: Vec<u16> = ours.supported_schemes().into_iter().map(u16::from).collect();
        let theirs = match &self.side {
            Side::Client { .. } => &self.transcript.requested_schemes,
            Side::Server { .. } => &self.client_schemes,
        };
        let (server, client) = if self.options.is_server { (&ours, theirs) } else { (theirs, &ours) };
        server.iter().filter(|scheme| client.contains(scheme)).map(|scheme| details::scheme_name(*scheme)).collect()
    }
}

/// What the exporter of TLS 1.3 gives at most with SHA-256: 255 blocks of 32 bytes (RFC 5869 section 2.3).
const EXPORT_LENGTHS: std::ops::RangeInclusive<usize> = 1..=8160;
