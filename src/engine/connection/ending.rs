//! How a connection fails: by which error, and with which alert for the peer.
//!
//! rustls sends most alerts by itself; here it is seen which one went out, one that is due is added where rustls has none, and one
//! that is not what the RFC has is replaced while records are in the clear. An error never claims an alert that was not sent.

use std::io::{self, Write};

use rustls::server::AcceptedAlert;
use rustls::{CommonState, Error as TlsError, ProtocolVersion};

use super::{Connection, RECORD_HEADER};
use crate::error::{Alert, Direction, Error, Role, from_rustls};
use crate::provider::observer;

impl Connection {
    /// Ends the connection by rustls' error.
    pub(super) fn fail(&mut self, error: &TlsError) {
        let output = self.take_tls(usize::MAX);
        self.fail_with(error, output);
    }

    /// The same, by what rustls' acceptor has for the client.
    pub(super) fn fail_accepting(&mut self, error: &TlsError, mut alert: AcceptedAlert) {
        let mut output = Vec::new();
        // Writing to a Vec does not fail.
        let _ = alert.write_all(&mut output);
        // An alert is answered by none (RFC 8446 section 6.2); to rustls it is just no ClientHello.
        match self.transcript.received_alert {
            Some(received) => self.fail_with(&TlsError::AlertReceived(received.into()), output),
            None => self.fail_with(error, output),
        }
    }

    fn fail_with(&mut self, error: &TlsError, output: Vec<u8>) {
        let verdict = match error {
            TlsError::InvalidCertificate(_) if self.options.reject_unauthorized => self.verdict.error(),
            _ => None,
        };
        let offered = self.offers_tls13.then_some(ProtocolVersion::TLSv1_3);
        let error = verdict.unwrap_or_else(|| {
            from_rustls(
                error,
                Role {
                    is_server: self.options.is_server,
                    heard_tls: self.heard_tls,
                    version: self.state().and_then(CommonState::protocol_version).or(offered),
                    said: self.transcript.sent_alert.or(clear_alert(&output).copied()),
                },
            )
        });
        self.end_by(error, output);
    }

    /// Ends the connection by this error, after `output`, which rustls still had for the transport. An alert in the error that is
    /// to be sent goes out unless rustls sent one under protection. The error then names the one that did go out, if any.
    pub(super) fn end_by(&mut self, mut error: Error, mut output: Vec<u8>) {
        if self.error.is_some() {
            return;
        }
        let due = error.alert.filter(|alert| alert.direction == Direction::Sent).map(|alert| alert.description);
        if let (Some(due), None, Some(said)) = (due, self.transcript.sent_alert, clear_alert_mut(&mut output)) {
            *said = due;
        }
        self.transcript.transport(Direction::Sent, &output);
        self.final_output.extend(output);
        if let (Some(due), None) = (due, self.transcript.sent_alert) {
            self.send_alert(due);
        }
        if error.alert.is_none_or(|alert| alert.direction == Direction::Sent) {
            let sent = |description| Alert { direction: Direction::Sent, description };
            error.alert = self.transcript.sent_alert.map(sent);
        }
        self.error = Some(error);
        self.tell_trace();
    }

    /// Sends a fatal alert, protected where our records are. Where our side has ended already, nothing is sent.
    fn send_alert(&mut self, description: u8) {
        let instead = move |content_type, _: &[u8]| {
            (content_type == rustls::ContentType::Alert).then(|| vec![ALERT_LEVEL_FATAL, description])
        };
        // rustls has one alert that can be asked for, which becomes this one.
        let asked = self.drive(|tls| observer::rewriting(instead, || tls.send_close_notify()));
        let mut output = self.take_tls(usize::MAX);
        match asked {
            None => output.extend(fatal_alert(description)),
            Some(()) if self.transcript.sent_alert.is_some() => {}
            Some(()) => {
                if let Some(record) = output.last_chunk_mut::<ALERT_RECORD>() {
                    *record = fatal_alert(description);
                }
            }
        }
        self.transcript.transport(Direction::Sent, &output);
        self.final_output.extend(output);
    }

    /// At most `max` bytes of what rustls has for the transport.
    pub(super) fn take_tls(&mut self, max: usize) -> Vec<u8> {
        let mut out = Limited { bytes: Vec::new(), max };
        self.drive(|tls| {
            while tls.wants_write() && out.bytes.len() < max {
                // Writing to a `Limited` does not fail.
                match tls.write_tls(&mut out) {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        });
        out.bytes
    }
}

/// Takes at most `max` bytes in all.
struct Limited {
    bytes: Vec<u8>,
    max: usize,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.max - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A record with a fatal alert in the clear (RFC 8446 sections 5.1 and 6).
fn fatal_alert(description: u8) -> [u8; ALERT_RECORD] {
    [21, 3, 3, 0, 2, ALERT_LEVEL_FATAL, description]
}

/// The description of a fatal alert at the end of these records, the last of which is in the clear.
fn clear_alert(records: &[u8]) -> Option<&u8> {
    match records.last_chunk::<ALERT_RECORD>() {
        Some([21, _, _, 0, 2, ALERT_LEVEL_FATAL, description]) => Some(description),
        _ => None,
    }
}

/// The same, to be changed.
fn clear_alert_mut(records: &mut [u8]) -> Option<&mut u8> {
    clear_alert(records)?;
    records.last_mut()
}

const ALERT_LEVEL_FATAL: u8 = 2;
/// The length of a record with an alert in the clear.
const ALERT_RECORD: usize = RECORD_HEADER + 2;
