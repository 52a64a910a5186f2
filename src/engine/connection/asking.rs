//! A server's questions between the ClientHello and its answer: what Node asks by callbacks, in Node's order.

use std::sync::Arc;

use rustls::ProtocolVersion;
use rustls::server::Accepted;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::super::client_hello::ClientHello;
use super::super::{ConnectionOptions, Contexts};
use super::Event;
use crate::context::Context;

/// A ClientHello, and what the answers so far make of it.
pub(super) struct Asking {
    pub(super) accepted: Accepted,
    pub(super) hello: ClientHello,
    /// What is asked now.
    pub(super) question: Question,
    /// The context, once it is known.
    pub(super) context: Option<Arc<Context>>,
    /// The session that came from outside: its id and data.
    pub(super) session: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
    /// The one protocol to agree on, where the caller chose it.
    pub(super) alpn: Option<Vec<u8>>,
    /// The OCSP response to staple (RFC 6066 section 8).
    pub(super) staple: Option<Vec<u8>>,
}

/// In the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Which context (row O15)?
    Sni,
    /// What is kept under this id (row S4)?
    ResumeSession(Vec<u8>),
    /// Which application protocol (row O16)?
    Alpn,
    /// Which OCSP response (row S5)?
    Ocsp,
    /// No more.
    Nothing,
}

impl Asking {
    /// Begins. `hello` is what rustls accepted, read by ourselves.
    pub(super) fn new(accepted: Accepted, hello: ClientHello) -> Self {
        Self { accepted, hello, question: Question::Sni, context: None, session: None, alpn: None, staple: None }
    }

    /// The event for the question now, or `None` where the caller does not want to be asked it and it has its default.
    pub(super) fn ask(&mut self, options: &ConnectionOptions, contexts: &Contexts) -> Option<Event> {
        let name = self.accepted.client_hello().server_name().map(str::to_owned);
        match &self.question {
            Question::Sni if options.sni_event => Some(Event::Sni(name)),
            Question::Sni => {
                self.context = Some(contexts.choose(name.as_deref()).clone());
                None
            }
            Question::ResumeSession(id) => Some(Event::ResumeSession(id.clone())),
            Question::Alpn if options.alpn_event && !self.hello.alpn.is_empty() => Some(Event::Alpn {
                servername: name,
                protocols: self.hello.alpn.protocols().map(<[u8]>::to_vec).collect(),
            }),
            Question::Ocsp if options.ocsp_event && self.hello.wants_staple => {
                let identity = self.identity()?;
                let certificate = identity.cert.first()?.to_vec();
                Some(Event::OcspRequest { certificate, issuer: self.issuer_of(&identity) })
            }
            Question::Alpn | Question::Ocsp | Question::Nothing => None,
        }
    }

    /// Goes on to the next question.
    pub(super) fn next(&mut self, options: &ConnectionOptions) {
        self.question = match &self.question {
            Question::Sni => match self.session_id().filter(|_| options.session_events) {
                Some(id) => Question::ResumeSession(id),
                None => Question::Alpn,
            },
            Question::ResumeSession(_) => Question::Alpn,
            Question::Alpn => Question::Ocsp,
            Question::Ocsp | Question::Nothing => Question::Nothing,
        };
    }

    /// Whether the client offers this application protocol.
    pub(super) fn offers_protocol(&self, protocol: &[u8]) -> bool {
        self.hello.alpn.protocols().any(|offered| offered == protocol)
    }

    /// By what the client asks to resume a session, in the version that will be spoken.
    fn session_id(&self) -> Option<Vec<u8>> {
        let tls13 = ProtocolVersion::TLSv1_3;
        match self.context.as_ref()?.speaks(tls13) && self.hello.offers(tls13.into()) {
            true => self.hello.psk_identity.clone(),
            false => Some(self.hello.session_id.clone()).filter(|id| !id.is_empty()),
        }
    }

    /// The identity that will be shown.
    fn identity(&self) -> Option<Arc<CertifiedKey>> {
        self.context.as_ref()?.identities().resolve_for_client(&self.accepted.client_hello())
    }

    /// The certificate after the leaf in the chain, as Node gives it.
    fn issuer_of(&self, identity: &CertifiedKey) -> Option<Vec<u8>> {
        identity.cert.get(1).map(|issuer| issuer.to_vec())
    }
}
