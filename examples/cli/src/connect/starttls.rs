//! From a connection in the clear to the moment at which TLS begins, for protocols that begin in the clear.
//!
//! What the server says here is anybody's who is in between, so nothing of it is kept or believed but the word to go ahead. Each answer has
//! to come alone: who may speak before TLS could put words behind it that would be read as the server's own after it (CVE-2011-0411 and
//! its kin). There is no I/O in [`Conversation`], so all of it can be tested without a server.

use std::net::IpAddr;

use crate::arguments::Protocol;
use crate::failure::{Failure, Result};
use crate::net::Duplex;

/// Speaks the protocol until the server says that TLS may begin. `domain` is the name that the server is asked for where the protocol has
/// such a thing.
pub(crate) async fn upgrade(duplex: &Duplex, protocol: Protocol, domain: &str) -> Result<()> {
    let own = duplex.addresses().map(|(_, own)| own.ip());
    let mut conversation = Conversation::new(protocol, domain, own);
    let mut to_send = conversation.begin();
    loop {
        duplex.write_all(&to_send).await?;
        let received = duplex.read(CHUNK).await?;
        let received =
            received.ok_or_else(|| Failure::network("the server closed the connection before TLS could begin"))?;
        match conversation.receive(&received).map_err(Failure::network)? {
            Next::Wait => to_send.clear(),
            Next::Send(bytes) => to_send = bytes,
            Next::Tls => return Ok(()),
        }
    }
}

/// What there is to do after bytes of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Wait for more of them.
    Wait,
    /// Send this, then wait for more.
    Send(Vec<u8>),
    /// Begin with TLS. Nothing came behind the word to do so.
    Tls,
}

/// One conversation.
pub(crate) struct Conversation {
    state: State,
    /// What came and is not read yet.
    buffer: Vec<u8>,
    /// How many bytes came in all.
    total: usize,
    domain: String,
    own: Option<IpAddr>,
}

/// What the server is to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// RFC 5321 section 4.3.1: 220.
    SmtpGreeting,
    /// RFC 5321 section 4.1.1.1: 250 and a line for each extension, STARTTLS among them.
    SmtpExtensions,
    /// RFC 3207 section 4: 220.
    SmtpGo,
    /// RFC 9051 section 7.1: an untagged OK.
    ImapGreeting,
    /// RFC 9051 section 6.2.1: OK with our tag.
    ImapGo,
    /// RFC 1939 section 4: +OK.
    Pop3Greeting,
    /// RFC 2595 section 4: +OK.
    Pop3Go,
    /// RFC 959 section 5.4: 220, perhaps 120 before it.
    FtpGreeting,
    /// What comes after 120.
    FtpReady,
    /// RFC 4217 section 4: 234.
    FtpGo,
    /// PostgreSQL, message flow, "SSL Session Encryption": one byte.
    PostgresGo,
    /// RFC 6120 section 4.3.2: the features of the stream, STARTTLS among them.
    XmppFeatures,
    /// RFC 6120 section 5.4.2.3: proceed.
    XmppGo,
    /// RFC 4511 section 4.14.2: an ExtendedResponse.
    LdapGo,
}

type Answer<T> = std::result::Result<T, String>;

impl Conversation {
    /// A conversation that has not begun. `own` is our address, for protocols in which a client says who it is.
    pub(crate) fn new(protocol: Protocol, domain: &str, own: Option<IpAddr>) -> Conversation {
        let state = match protocol {
            Protocol::Smtp => State::SmtpGreeting,
            Protocol::Imap => State::ImapGreeting,
            Protocol::Pop3 => State::Pop3Greeting,
            Protocol::Ftp => State::FtpGreeting,
            Protocol::Postgres => State::PostgresGo,
            Protocol::Xmpp => State::XmppFeatures,
            Protocol::Ldap => State::LdapGo,
        };
        Conversation { state, buffer: Vec::new(), total: 0, domain: domain.to_string(), own }
    }

    /// What the client says first: nothing where the server begins.
    pub(crate) fn begin(&self) -> Vec<u8> {
        match self.state {
            State::PostgresGo => SSL_REQUEST.to_vec(),
            State::LdapGo => LDAP_START_TLS.to_vec(),
            State::XmppFeatures => xmpp::header(&self.domain).into_bytes(),
            _ => Vec::new(),
        }
    }

    /// Takes what the server says, in pieces of any size. An error says what is wrong with it.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Answer<Next> {
        self.total += bytes.len();
        if self.total > MOST {
            return Err(format!("the server says more than {MOST} bytes before TLS"));
        }
        self.buffer.extend_from_slice(bytes);
        let Some((length, next)) = self.answer()? else { return Ok(Next::Wait) };
        let rest = self.buffer.len() - length;
        if rest > 0 {
            return Err(match next {
                Next::Tls => format!(
                    "{rest} bytes in the clear came behind the server's word to begin TLS: somebody may be in between and want them to be \
                     read as if they were protected"
                ),
                _ => format!("the server says {rest} bytes more than it was asked for"),
            });
        }
        self.buffer.clear();
        Ok(next)
    }

    /// The length of the answer that is expected and what follows from it, where all of it has come.
    fn answer(&mut self) -> Answer<Option<(usize, Next)>> {
        match self.state {
            State::SmtpGreeting => {
                let Some(reply) = Reply::read(&self.buffer, Kind::Smtp)? else { return Ok(None) };
                reply.expect(220, "its greeting")?;
                self.state = State::SmtpExtensions;
                Ok(Some((reply.length, Next::Send(format!("EHLO {}\r\n", self.literal()).into_bytes()))))
            }
            State::SmtpExtensions => {
                let Some(reply) = Reply::read(&self.buffer, Kind::Smtp)? else { return Ok(None) };
                reply.expect(250, "EHLO")?;
                if !reply.lines.iter().skip(1).any(|line| line.trim_ascii_end().eq_ignore_ascii_case("STARTTLS")) {
                    return Err("the server does not offer STARTTLS (or somebody in between took it out of its list)"
                        .to_string());
                }
                self.state = State::SmtpGo;
                Ok(Some((reply.length, Next::Send(b"STARTTLS\r\n".to_vec()))))
            }
            State::SmtpGo => {
                let Some(reply) = Reply::read(&self.buffer, Kind::Smtp)? else { return Ok(None) };
                reply.expect(220, "STARTTLS")?;
                Ok(Some((reply.length, Next::Tls)))
            }
            State::FtpGreeting | State::FtpReady => {
                let Some(reply) = Reply::read(&self.buffer, Kind::Ftp)? else { return Ok(None) };
                if reply.code == 120 && self.state == State::FtpGreeting {
                    // It will be ready in some minutes, and says so.
                    self.state = State::FtpReady;
                    self.buffer.drain(..reply.length);
                    return self.answer();
                }
                reply.expect(220, "its greeting")?;
                self.state = State::FtpGo;
                Ok(Some((reply.length, Next::Send(b"AUTH TLS\r\n".to_vec()))))
            }
            State::FtpGo => {
                let Some(reply) = Reply::read(&self.buffer, Kind::Ftp)? else { return Ok(None) };
                reply.expect(234, "AUTH TLS")?;
                Ok(Some((reply.length, Next::Tls)))
            }
            State::ImapGreeting => {
                let Some((line, length)) = line(&self.buffer)? else { return Ok(None) };
                match line.split(' ').nth(1).map(str::to_ascii_uppercase).as_deref() {
                    Some("OK") if line.starts_with("* ") => {}
                    // RFC 9051 section 7.1.4: TLS can't begin any more.
                    Some("PREAUTH") => {
                        return Err(format!(
                            "the server says that we are logged in already, so that TLS can't begin (or somebody in between does): {}",
                            printable(line)
                        ));
                    }
                    _ => return Err(unexpected("its greeting", "* OK", line)),
                }
                self.state = State::ImapGo;
                Ok(Some((length, Next::Send(format!("{IMAP_TAG} STARTTLS\r\n").into_bytes()))))
            }
            State::ImapGo => {
                let mut read = 0;
                while let Some((line, length)) = line(&self.buffer[read..])? {
                    read += length;
                    if line.starts_with("* ") {
                        // What it says of itself in passing. A farewell comes with the end of the connection.
                        continue;
                    }
                    let answer =
                        line.strip_prefix(IMAP_TAG).and_then(|rest| rest.strip_prefix(' ')).unwrap_or_default();
                    if !answer.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case("OK")) {
                        return Err(unexpected("STARTTLS", &format!("{IMAP_TAG} OK"), line));
                    }
                    return Ok(Some((read, Next::Tls)));
                }
                Ok(None)
            }
            State::Pop3Greeting | State::Pop3Go => {
                let Some((line, length)) = line(&self.buffer)? else { return Ok(None) };
                let asked = if self.state == State::Pop3Go { "STLS" } else { "its greeting" };
                if line.split(' ').next() != Some("+OK") {
                    return Err(unexpected(asked, "+OK", line));
                }
                if self.state == State::Pop3Go {
                    return Ok(Some((length, Next::Tls)));
                }
                self.state = State::Pop3Go;
                Ok(Some((length, Next::Send(b"STLS\r\n".to_vec()))))
            }
            State::PostgresGo => match self.buffer.first() {
                None => Ok(None),
                Some(b'S') => Ok(Some((1, Next::Tls))),
                Some(b'N') => {
                    Err("the server answered N to SSLRequest: it has no TLS (or somebody in between says so)"
                        .to_string())
                }
                // Its text is nothing to show: anybody may have written it (CVE-2024-10977).
                Some(b'E') => {
                    Err("the server answered SSLRequest with an error, such as that it has too many clients"
                        .to_string())
                }
                Some(other) => Err(format!(
                    "the server answered SSLRequest with the byte {other:#04x}: expected S, and it may not be PostgreSQL"
                )),
            },
            State::XmppFeatures => {
                let Some(length) = xmpp::features(&self.buffer)? else { return Ok(None) };
                self.state = State::XmppGo;
                Ok(Some((length, Next::Send(xmpp::START_TLS.as_bytes().to_vec()))))
            }
            State::XmppGo => Ok(xmpp::proceed(&self.buffer)?.map(|length| (length, Next::Tls))),
            State::LdapGo => Ok(ldap::response(&self.buffer)?.map(|length| (length, Next::Tls))),
        }
    }

    /// Who we are, as SMTP has it of a client without a name (RFC 5321 section 4.1.3).
    fn literal(&self) -> String {
        match self.own {
            Some(IpAddr::V4(address)) => format!("[{address}]"),
            Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
            None => "localhost".to_string(),
        }
    }
}

/// How replies of three digits are continued.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Every line has the code (RFC 5321 section 4.2.1).
    Smtp,
    /// The first and the last line have it (RFC 959 section 4.2).
    Ftp,
}

/// A reply of three digits.
struct Reply {
    code: u16,
    /// The text of each line, without the code.
    lines: Vec<String>,
    /// How many bytes it has.
    length: usize,
}

impl Reply {
    /// The first reply, where all of it has come.
    fn read(bytes: &[u8], kind: Kind) -> Answer<Option<Reply>> {
        let mut reply = Reply { code: 0, lines: Vec::new(), length: 0 };
        while let Some((line, length)) = line(&bytes[reply.length..])? {
            if reply.lines.len() == MOST_LINES {
                return Err(format!("a reply of the server has more than {MOST_LINES} lines"));
            }
            let first = reply.lines.is_empty();
            reply.length += length;
            let code = code(line);
            if first {
                reply.code =
                    code.map(|(code, _)| code).ok_or_else(|| unexpected("us", "a code of three digits", line))?;
            }
            match code {
                Some((code, last)) if code == reply.code => {
                    reply.lines.push(line.get(4..).unwrap_or_default().to_string());
                    if last {
                        return Ok(Some(reply));
                    }
                }
                _ if kind == Kind::Ftp => reply.lines.push(line.to_string()),
                _ => return Err(unexpected("us", &format!("a line of a reply that began with {}", reply.code), line)),
            }
        }
        Ok(None)
    }

    fn expect(&self, code: u16, asked: &str) -> Answer<()> {
        if self.code == code {
            return Ok(());
        }
        let text = self.lines.first().map_or("", String::as_str);
        Err(unexpected(asked, &code.to_string(), &format!("{} {text}", self.code)))
    }
}

/// The code of a line, and whether it is the last one of its reply.
fn code(line: &str) -> Option<(u16, bool)> {
    let bytes = line.as_bytes();
    let digits = bytes.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match bytes.get(3) {
        None | Some(b' ') => Some((code, true)),
        Some(b'-') => Some((code, false)),
        Some(_) => None,
    }
}

/// The first line without its end, and how long it is with it, where all of it has come.
fn line(bytes: &[u8]) -> Answer<Option<(&str, usize)>> {
    let Some(end) = bytes.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        if bytes.len() >= LONGEST_LINE {
            return Err(format!("a line of the server is longer than {LONGEST_LINE} bytes"));
        }
        return Ok(None);
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or("a line of the server ends without a carriage return")?;
    if line.contains(&b'\0') || line.contains(&b'\r') {
        return Err("a line of the server has a NUL or a carriage return in it".to_string());
    }
    let line = std::str::from_utf8(line).map_err(|_| "a line of the server is not UTF-8")?;
    Ok(Some((line, end + 1)))
}

fn unexpected(asked: &str, wanted: &str, said: &str) -> String {
    format!("the server answered {asked} with `{}`: expected {wanted}", printable(said))
}

/// What a peer says, so that it can do nothing to a terminal.
fn printable(said: &str) -> String {
    let short: String = said.chars().take(200).collect();
    crate::certificate::printable(&short)
}

/// RFC 6120. The XML of a server is read by quick-xml; what a stream may not have (section 11.1) ends it.
mod xmpp {
    use quick_xml::NsReader;
    use quick_xml::errors::Error;
    use quick_xml::escape::escape;
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
        let mut reader = NsReader::from_reader(bytes);
        let mut depth = 0;
        let mut wanted = None;
        loop {
            let (namespace, event) = match reader.read_resolved_event() {
                Ok(event) => event,
                // Something is not closed: more has to come, as far as the limit of all that may come.
                Err(Error::Syntax(_)) => return Ok(None),
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
                Event::Decl(_) | Event::Text(_) => continue,
                Event::Eof => return Ok(None),
                _ => return Err("the server's XML has what a stream may not have (RFC 6120 section 11.1)".to_string()),
            };
            let namespace = match namespace {
                ResolveResult::Bound(Namespace(namespace)) => String::from_utf8_lossy(namespace).into_owned(),
                _ => String::new(),
            };
            let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
            if visit(depth, (&namespace, &name))?.is_some() {
                if empty {
                    return Ok(Some(reader.buffer_position() as usize));
                }
                wanted = Some(depth);
            }
            depth += usize::from(!empty);
        }
    }

    const STREAMS: &str = "http://etherx.jabber.org/streams";

    const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
}

/// RFC 4511, and as much of BER as its section 5.1 leaves.
mod ldap {
    use super::{Answer, printable};

    /// How long the server's answer is, where it has come and says that TLS may begin.
    pub(super) fn response(bytes: &[u8]) -> Answer<Option<usize>> {
        let Some((message, length)) = element(bytes, SEQUENCE, "LDAPMessage")? else { return Ok(None) };
        let (id, rest) = whole(message, INTEGER, "messageID")?;
        let (response, controls) = whole(rest, EXTENDED_RESPONSE, "ExtendedResponse")?;
        if id != [1] {
            return Err("the server says that it ends the connection, or answers another request than ours".to_string());
        }
        let (code, rest) = whole(response, ENUMERATED, "resultCode")?;
        let (_, rest) = whole(rest, OCTET_STRING, "matchedDN")?;
        let (diagnostic, _) = whole(rest, OCTET_STRING, "diagnosticMessage")?;
        if !controls.is_empty() {
            whole(controls, CONTROLS, "controls")?;
        }
        match code {
            [0] => Ok(Some(length)),
            [code] => Err(format!(
                "the server answered StartTLS with the result code {code} (RFC 4511 appendix A): {}",
                printable(&String::from_utf8_lossy(diagnostic))
            )),
            _ => Err("the server's result code is no number that LDAP has".to_string()),
        }
    }

    /// An element that has to be complete, and what is behind it.
    fn whole<'a>(bytes: &'a [u8], tag: u8, name: &str) -> Answer<(&'a [u8], &'a [u8])> {
        let cut = || format!("the server's answer is cut short at {name}");
        let (content, length) = element(bytes, tag, name)?.ok_or_else(cut)?;
        Ok((content, &bytes[length..]))
    }

    /// The content of the first element, and how long it is with its header. `None` where more has to come.
    fn element<'a>(bytes: &'a [u8], tag: u8, name: &str) -> Answer<Option<(&'a [u8], usize)>> {
        let (Some(found), Some(first)) = (bytes.first(), bytes.get(1)) else {
            return match bytes.first() {
                Some(found) if *found != tag => Err(other(*found, tag, name)),
                _ => Ok(None),
            };
        };
        if *found != tag {
            return Err(other(*found, tag, name));
        }
        let (header, length) = match first {
            0..=0x7f => (2, usize::from(*first)),
            // Active Directory has lengths of four bytes for everything.
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let Some(digits) = bytes.get(2..2 + count) else { return Ok(None) };
                (2 + count, digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
            }
            _ => return Err(format!("the length of the server's {name} is none that LDAP has (RFC 4511 section 5.1)")),
        };
        if length > super::MOST {
            return Err(format!("the server's {name} has {length} bytes: expected at most {}", super::MOST));
        }
        Ok(bytes.get(header..header + length).map(|content| (content, header + length)))
    }

    fn other(found: u8, tag: u8, name: &str) -> String {
        format!("the server says a BER tag of {found:#04x}: expected {tag:#04x} for {name}, and it may not be LDAP")
    }

    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const ENUMERATED: u8 = 0x0a;
    const OCTET_STRING: u8 = 0x04;
    const EXTENDED_RESPONSE: u8 = 0x78;
    const CONTROLS: u8 = 0xa0;
}

/// A length of 8 and the code 80877103.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// An ExtendedRequest with messageID 1 and the name 1.3.6.1.4.1.1466.20037.
const LDAP_START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// What our one command in IMAP is known by.
const IMAP_TAG: &str = "a1";

/// How much is read at once.
const CHUNK: usize = 4096;

/// How many bytes a server may say before TLS.
const MOST: usize = 16 * 1024;

/// How many bytes a line may have, its end included: RFC 5321 section 4.5.3.1.5 allows 512, and some servers say more.
const LONGEST_LINE: usize = 2048;

/// How many lines a reply may have.
const MOST_LINES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// What servers say, part by part: each part is the whole answer to what the client said before it.
    const GOOD: &[(Protocol, &[&[u8]])] = &[
        (
            Protocol::Smtp,
            &[
                b"220-mail.test ESMTP\r\n220 ready\r\n",
                b"250-mail.test\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n",
                b"220 Go ahead\r\n",
            ],
        ),
        (Protocol::Imap, &[b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"* CAPABILITY IMAP4rev1\r\na1 ok begin\r\n"]),
        (Protocol::Pop3, &[b"+OK ready <1@pop.test>\r\n", b"+OK\r\n"]),
        (Protocol::Ftp, &[b"220-Welcome\r\n 220 not the end\r\nanything\r\n220 ready\r\n", b"234 AUTH TLS successful\r\n"]),
        (Protocol::Postgres, &[b"S"]),
        (
            Protocol::Xmpp,
            &[
                b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
                  version='1.0'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
                  </stream:features>",
                b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            ],
        ),
        // As OpenLDAP says it, and as Active Directory does, with long lengths and the name of the operation.
        (Protocol::Ldap, &[b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"]),
        (
            Protocol::Ldap,
            &[b"\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037"],
        ),
    ];

    /// What servers say that can't be followed by TLS, and words of the error.
    const BAD: &[(Protocol, &[&[u8]], &str)] = &[
        (Protocol::Smtp, &[b"554 No SMTP service here\r\n"], "expected 220"),
        (Protocol::Smtp, &[b"220 a\r\n", b"250-a\r\n250 SIZE\r\n"], "does not offer STARTTLS"),
        // The name of the server is no extension.
        (Protocol::Smtp, &[b"220 a\r\n", b"250 STARTTLS\r\n"], "does not offer STARTTLS"),
        (Protocol::Smtp, &[b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"454 not now\r\n"], "`454 not now`: expected 220"),
        (Protocol::Smtp, &[b"220-a\r\n250 b\r\n"], "began with 220"),
        (Protocol::Smtp, &[b"220 a\n"], "carriage return"),
        (Protocol::Smtp, &[b"HTTP/1.1 400 Bad Request\r\n"], "three digits"),
        (Protocol::Smtp, &[b"220 a\r\n250 b\r\n"], "more than it was asked for"),
        (Protocol::Imap, &[b"* PREAUTH welcome\r\n"], "logged in already"),
        (Protocol::Imap, &[b"* BYE go away\r\n"], "expected * OK"),
        (Protocol::Imap, &[b"* OK\r\n", b"a1 BAD what\r\n"], "expected a1 OK"),
        (Protocol::Imap, &[b"* OK\r\n", b"a11 OK what\r\n"], "expected a1 OK"),
        (Protocol::Pop3, &[b"-ERR busy\r\n"], "expected +OK"),
        (Protocol::Pop3, &[b"+OK\r\n", b"-ERR no TLS\r\n"], "answered STLS"),
        (Protocol::Pop3, &[b"+OKAY\r\n"], "expected +OK"),
        (Protocol::Ftp, &[b"220 a\r\n", b"530 first log in\r\n"], "expected 234"),
        (Protocol::Postgres, &[b"N"], "has no TLS"),
        (Protocol::Postgres, &[b"E"], "an error"),
        (Protocol::Postgres, &[b"H"], "0x48"),
        (Protocol::Ldap, &[b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"], "result code 2"),
        (Protocol::Ldap, &[b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00"], "another request"),
        (Protocol::Ldap, &[b"\x30\x80"], "length"),
        (Protocol::Ldap, &[b"\x30\x84\xff\xff\xff\xff"], "at most"),
        (Protocol::Ldap, &[b"HTTP"], "it may not be LDAP"),
        (Protocol::Xmpp, &[b"<html>"], "expected an XMPP stream"),
        (
            Protocol::Xmpp,
            &[b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>"],
            "does not offer STARTTLS",
        ),
        (
            Protocol::Xmpp,
            // By another namespace it is something else.
            &[b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features><starttls xmlns='x'/></stream:features>"],
            "does not offer STARTTLS",
        ),
        (Protocol::Xmpp, &[b"<!DOCTYPE a [<!ENTITY b 'c'>]><stream/>"], "may not have"),
    ];

    #[test]
    fn servers_that_go_ahead() {
        for (protocol, parts) in GOOD {
            assert_eq!(talk(*protocol, parts), Ok(true), "{protocol:?}");
        }
    }

    #[test]
    fn servers_that_do_not() {
        for (protocol, parts, wanted) in BAD {
            let error = talk(*protocol, parts).expect_err(wanted);
            assert!(error.contains(wanted), "{protocol:?}: {error}, and not {wanted}");
        }
    }

    #[test]
    fn bytes_come_in_any_pieces() {
        for (protocol, parts) in GOOD {
            let mut conversation = begun(*protocol);
            for (index, part) in parts.iter().enumerate() {
                let (last, first) = part.split_last().expect("no part is empty");
                for byte in first {
                    assert_eq!(conversation.receive(&[*byte]), Ok(Next::Wait), "{protocol:?}");
                }
                let next = conversation.receive(&[*last]);
                assert_eq!(next == Ok(Next::Tls), index + 1 == parts.len(), "{protocol:?}: {next:?}");
            }
        }
    }

    /// CVE-2011-0411 and its kin.
    #[test]
    fn nothing_may_come_behind_the_word_to_go_ahead() {
        for (protocol, parts) in GOOD {
            for injected in [&b"\r\n"[..], b"x", b"250 ok\r\n", b"<a/>", b"\0", b"\x16\x03\x03"] {
                let last = [parts[parts.len() - 1], injected].concat();
                let parts = [&parts[..parts.len() - 1], &[&last[..]]].concat();
                let error = talk(*protocol, &parts).expect_err("it has to be refused");
                assert!(error.contains("bytes in the clear came behind"), "{protocol:?}: {error}");
            }
        }
    }

    /// Every byte of every answer as every other byte: there is an end to it, and TLS is begun on the word of the server only.
    #[test]
    fn any_byte_may_be_wrong() {
        for (protocol, parts) in GOOD {
            for (index, part) in parts.iter().enumerate() {
                for at in 0..part.len() {
                    for byte in 0..=u8::MAX {
                        let mut changed = part.to_vec();
                        changed[at] = byte;
                        let mut parts = parts.to_vec();
                        parts[index] = &changed;
                        // Whatever it says: it says it.
                        let _ = talk(*protocol, &parts);
                    }
                }
            }
        }
    }

    #[test]
    fn there_is_an_end_to_what_a_server_may_say() {
        for (protocol, bytes) in [
            (Protocol::Smtp, &b"220-a\r\n"[..]),
            (Protocol::Smtp, b"a"),
            (Protocol::Imap, b"* OK\r\n"),
            (Protocol::Pop3, b"+"),
            (Protocol::Ftp, b"120 a\r\n"),
            (Protocol::Xmpp, b" "),
            (Protocol::Xmpp, b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>"),
        ] {
            let mut conversation = begun(protocol);
            let ended = (0..=MOST).any(|_| conversation.receive(bytes).is_err());
            assert!(ended, "{protocol:?} goes on for ever");
        }
    }

    #[test]
    fn what_is_said_of_us() {
        let mut conversation = Conversation::new(Protocol::Smtp, "a.test", Some(std::net::Ipv6Addr::LOCALHOST.into()));
        assert_eq!(conversation.receive(b"220 a\r\n"), Ok(Next::Send(b"EHLO [IPv6:::1]\r\n".to_vec())));
        let header = Conversation::new(Protocol::Xmpp, "a'><b", None).begin();
        let header = String::from_utf8(header).expect("it is text");
        assert!(header.contains("to='a&apos;&gt;&lt;b'"), "{header}");
    }

    fn begun(protocol: Protocol) -> Conversation {
        Conversation::new(protocol, "a.test", None)
    }

    /// Whether TLS can begin after these answers.
    fn talk(protocol: Protocol, parts: &[&[u8]]) -> Answer<bool> {
        let mut conversation = begun(protocol);
        for part in parts {
            if conversation.receive(part)? == Next::Tls {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
