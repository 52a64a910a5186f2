//! XMPP before TLS (RFC 6120). quick-xml reads the server's XML; what a stream must not have (section 11.1) ends it.
//!
//! What a server can make this cost is bounded: by the length of all that it says before TLS (see [`super`]), by
//! [`DEEPEST`] and by [`MOST_NAMESPACES`]. Attributes are not looked at, but for those that bind namespaces.

use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

use super::Answer;

/// Opens the stream.
pub(super) fn header(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' xmlns:stream='{STREAMS}'>",
        escape(domain)
    )
}

/// Asks for TLS.
pub(super) const START_TLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// How long the server's header and its features are, where both have come and STARTTLS is among these.
pub(super) fn features(bytes: &[u8]) -> Answer<Option<usize>> {
    let mut offered = false;
    walk(bytes, |path, name| match (path, name) {
        (0, (STREAMS, "stream")) => Ok(None),
        (0, (_, name)) => Err(format!("the server begins with <{name}>: expected an XMPP stream")),
        (1, (STREAMS, "features")) => Ok(Some(())),
        (1, (STREAMS, "error")) => {
            Err("the server answered with a stream error: it may not know this domain (--servername)".to_string())
        }
        (1, (_, name)) => Err(format!("the server says <{name}>: expected <stream:features>")),
        (2, (TLS, "starttls")) => {
            offered = true;
            Ok(None)
        }
        _ => Ok(None),
    })
    .and_then(|length| match length {
        Some(_) if !offered => {
            Err("the server does not offer STARTTLS (or somebody in between took it out of its list)".to_string())
        }
        length => Ok(length),
    })
}

/// How long the server's word to go ahead is, where it has come.
pub(super) fn proceed(bytes: &[u8]) -> Answer<Option<usize>> {
    // It is a child of the stream that was opened before.
    walk(bytes, |path, name| match (path, name) {
        (0, (TLS, "proceed")) => Ok(Some(())),
        (0, (_, name)) => Err(format!("the server answered <starttls/> with <{name}>: expected <proceed/>")),
        _ => Err("the server's <proceed/> has something in it".to_string()),
    })
}

/// Goes through elements with their depth, namespace and name, to the end of the one for which `visit` gives something: how many bytes
/// that is. `None` where more has to come.
fn walk(bytes: &[u8], mut visit: impl FnMut(usize, (&str, &str)) -> Answer<Option<()>>) -> Answer<Option<usize>> {
    let mut reader = NsReader::from_str(whole_characters(bytes)?);
    reader.resolver_mut().set_max_namespace_bindings(MOST_NAMESPACES);
    let mut depth = 0;
    let mut wanted = None;
    loop {
        let (namespace, event) = match reader.read_resolved_event() {
            Ok(event) => event,
            // Something is not closed: more has to come, as far as the limit of all that may come.
            Err(Error::Syntax(_) | Error::IllFormed(IllFormedError::UnclosedReference)) => return Ok(None),
            Err(error) => return Err(format!("the server's XML is wrong: {error}")),
        };
        let (start, empty) = match &event {
            Event::Start(start) => (start, false),
            Event::Empty(start) => (start, true),
            Event::End(_) => {
                depth -= 1;
                if wanted == Some(depth) {
                    return Ok(Some(reader.buffer_position() as usize));
                }
                continue;
            }
            Event::Decl(_) | Event::Text(_) | Event::CData(_) => continue,
            // What has to be declared to mean something can't be (section 11.1): there is no DTD.
            Event::GeneralRef(reference) if reference.is_char_ref() => continue,
            Event::GeneralRef(reference) if resolve_predefined_entity(reference).is_some() => continue,
            Event::Eof => return Ok(None),
            _ => return Err("the server's XML has what a stream may not have (RFC 6120 section 11.1)".to_string()),
        };
        if depth == DEEPEST {
            return Err(format!("the server's XML has elements more than {DEEPEST} deep"));
        }
        let namespace = match namespace {
            ResolveResult::Bound(Namespace(namespace)) => namespace,
            _ => "",
        };
        if visit(depth, (namespace, start.local_name().into_inner()))?.is_some() {
            if empty {
                return Ok(Some(reader.buffer_position() as usize));
            }
            wanted = Some(depth);
        }
        depth += usize::from(!empty);
    }
}

/// The text so far, without the first bytes of a character whose last ones have yet to come.
fn whole_characters(bytes: &[u8]) -> Answer<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => Err("the server's XML is not in UTF-8 (RFC 6120 section 11.6)".to_string()),
    }
}

const STREAMS: &str = "http://etherx.jabber.org/streams";

const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";

/// How deep elements may be in each other. Those of a server's features are four deep: stream, features, mechanisms, mechanism.
const DEEPEST: usize = 16;

/// How many namespaces may be bound at once. A stream has three or four.
const MOST_NAMESPACES: usize = 32;
