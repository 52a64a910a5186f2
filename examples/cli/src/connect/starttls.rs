//! From a connection in the clear to the moment at which TLS begins, for protocols that begin in the clear.
//!
//! What the server says here is anybody's who is in between, so nothing of it is kept or believed but the word to go ahead. Each answer has
//! to come alone: who may speak before TLS could put words behind it that would be read as the server's own after it (CVE-2011-0411 and
//! its kin). There is no I/O in [`Conversation`], so all of it can be tested without a server.

use std::net::IpAddr;

use crate::arguments::Protocol;
use crate::failure::{Failure, Result};
use crate::net::Duplex;

mod ldap;
#[cfg(test)]
mod tests;
mod xmpp;

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
