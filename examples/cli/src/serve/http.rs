//! Files over HTTP/1.1 (RFC 9110, RFC 9112): GET and HEAD, one range, and whether a file was changed since. A request with content gets an
//! answer and the connection's end, so that nobody takes its content for a request.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use httparse::Header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::failure::{Failure, Result};
use crate::runtime::{after, now, timeout};
use crate::serve::folder::{File, Folder, Found};
use crate::serve::peer::{CHUNK, Peer};

/// Answers requests, one after the other, until the client goes or a request is not to be understood.
pub(super) async fn serve(mut peer: Peer, folder: &Folder) -> Result<()> {
    let mut received = Vec::new();
    loop {
        let (answer, keep, is_head) = match next(&mut peer, &mut received).await? {
            Next::Gone => return peer.end().await,
            Next::Refused(status) => (Answer::status(status), Keep::Close, false),
            Next::Request(request) => {
                let keep = if peer.is_last() { Keep::Close } else { request.keep };
                (request.answer(folder), keep, request.method == Method::Head)
            }
        };
        answer.send(&mut peer, keep, is_head).await?;
        if keep == Keep::Close {
            return hang_up(peer).await;
        }
    }
}

/// What a client says next.
enum Next {
    Request(Request),
    /// What it said is no request that we take; this status says why.
    Refused(Status),
    /// Nothing, and so it may be for ever.
    Gone,
}

async fn next(peer: &mut Peer, received: &mut Vec<u8>) -> Result<Next> {
    let mut deadline = after(HEAD_TIME);
    loop {
        match Request::parse(received) {
            Ok(Some((request, length))) => {
                received.drain(..length);
                return Ok(Next::Request(request));
            }
            Ok(None) if received.len() < HEAD => {}
            Ok(None) => return Ok(Next::Refused(if line(received).is_none() { URI_TOO_LONG } else { HEAD_TOO_LARGE })),
            Err(status) => return Ok(Next::Refused(status)),
        }
        let room = HEAD - received.len();
        let read = if received.is_empty() {
            let read = peer.read_next(room).await;
            deadline = after(HEAD_TIME);
            read
        } else {
            match timeout(Duration::from_nanos(deadline.saturating_sub(now())), peer.read(room)).await {
                Some(read) => read,
                None => return Ok(Next::Refused(REQUEST_TIMEOUT)),
            }
        };
        match read? {
            Some(bytes) => received.extend(bytes),
            None => return Ok(Next::Gone),
        }
    }
}

/// Ends the connection. A close before the client has sent all that it wants to would reset it, and the last answer with it.
async fn hang_up(mut peer: Peer) -> Result<()> {
    peer.end().await?;
    let rest = async {
        let mut bytes = 0;
        while let Ok(Some(more)) = peer.read(CHUNK).await {
            bytes += more.len();
            if bytes > REST {
                break;
            }
        }
    };
    let _ = timeout(REST_TIME, rest).await;
    Ok(())
}

/// A request whose head is right.
struct Request {
    method: Method,
    keep: Keep,
    /// Whether content comes after the head.
    has_content: bool,
    /// The parts of the path, without empty ones.
    path: Vec<String>,
    /// Whether there is a slash at its end.
    is_folder: bool,
    query: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_range: Option<String>,
    range: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Other,
}

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// It goes on, as HTTP/1.1 takes for granted.
    Alive,
    /// It goes on, which HTTP/1.0 has to be told.
    AliveIfTold,
    Close,
}

impl Request {
    /// The request at the beginning of these bytes, and its length; `None` where there is more to come.
    fn parse(bytes: &[u8]) -> std::result::Result<Option<(Request, usize)>, Status> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
            Err(httparse::Error::Version) if line(bytes).is_some_and(names_http) => return Err(VERSION_NOT_SUPPORTED),
            Err(_) => return Err(BAD_REQUEST),
        };
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(BAD_REQUEST);
        };
        let method = match method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let headers = Headers(parsed.headers);
        // RFC 9112 section 3.2
        if headers.count("host") > 1 || (minor == 1 && headers.count("host") == 0) {
            return Err(BAD_REQUEST);
        }
        let has_content = headers.announce_content()?;
        // Where it is another method, its target may have another form.
        let target = if method == Method::Other { Target::default() } else { Target::parse(target)? };
        let keep = match minor {
            _ if has_content || headers.lists("connection", "close") => Keep::Close,
            1 => Keep::Alive,
            _ if headers.lists("connection", "keep-alive") => Keep::AliveIfTold,
            _ => Keep::Close,
        };
        let request = Request {
            method,
            keep,
            has_content,
            path: target.path,
            is_folder: target.is_folder,
            query: target.query,
            if_none_match: headers.text("if-none-match"),
            if_modified_since: headers.text("if-modified-since").and_then(|date| httpdate::parse_http_date(&date).ok()),
            if_range: headers.text("if-range"),
            range: headers.text("range"),
        };
        Ok(Some((request, length)))
    }

    fn answer(&self, folder: &Folder) -> Answer {
        if self.method == Method::Other {
            return Answer::status(METHOD_NOT_ALLOWED).with("Allow", "GET, HEAD");
        }
        if self.has_content {
            return Answer::status(CONTENT_TOO_LARGE);
        }
        match folder.find(&self.path, self.is_folder) {
            Ok(Found::File(file)) => self.file(file),
            Ok(Found::Folder) => self.with_slash(),
            Ok(Found::Nothing) => Answer::status(NOT_FOUND),
            Ok(Found::Forbidden) => Answer::status(FORBIDDEN),
            Err(_) => Answer::status(INTERNAL_ERROR),
        }
    }

    /// Where a folder is, as its own links need it. Made of the parts, so that it can't lead to another host.
    fn with_slash(&self) -> Answer {
        let path: String = self.path.iter().map(|name| format!("/{}", utf8_percent_encode(name, &IN_PATH))).collect();
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        Answer::status(MOVED_PERMANENTLY).with("Location", format!("{path}/{query}"))
    }

    fn file(&self, file: File) -> Answer {
        let modified = file.modified.map(httpdate::fmt_http_date);
        let about = |answer: Answer| match &modified {
            Some(modified) => answer.with("Last-Modified", modified),
            None => answer,
        };
        if self.is_known(&file) {
            return about(Answer { status: NOT_MODIFIED, headers: String::new(), content: Content::None });
        }
        // RFC 9110 section 13.1.5: the part is of use to the client if the file is still the one that it has another part of.
        let is_same = self.if_range.as_ref().is_none_or(|date| Some(date) == modified.as_ref());
        let part = self.range.as_ref().filter(|_| self.method == Method::Get && is_same);
        let size = file.size;
        let about_file =
            |answer: Answer| about(answer).with("Content-Type", file.media_type).with("Accept-Ranges", "bytes");
        match part.and_then(|part| range(part, size)) {
            None => {
                let answer = about_file(Answer { status: OK, headers: String::new(), content: Content::None });
                Answer { content: Content::File { file, start: 0, length: size }, ..answer }
            }
            Some(Range::Part { start, length }) => {
                let answer =
                    about_file(Answer { status: PARTIAL_CONTENT, headers: String::new(), content: Content::None })
                        .with("Content-Range", format!("bytes {start}-{}/{size}", start + length - 1));
                Answer { content: Content::File { file, start, length }, ..answer }
            }
            Some(Range::Outside) => {
                Answer::status(RANGE_NOT_SATISFIABLE).with("Content-Range", format!("bytes */{size}"))
            }
        }
    }

    /// Whether the client has the file as it is (RFC 9110 sections 13.1.2 and 13.1.3). Ours have no entity tags.
    fn is_known(&self, file: &File) -> bool {
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => tags == "*",
            (None, Some(since)) => file.modified.is_some_and(|modified| modified <= since),
            (None, None) => false,
        }
    }
}

/// The header fields of a request.
struct Headers<'a>(&'a [Header<'a>]);

impl<'a> Headers<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    fn count(&self, name: &str) -> usize {
        self.all(name).count()
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(std::str::from_utf8(self.all(name).next()?).ok()?.trim().to_string())
    }

    /// Whether a field that is a list has this word.
    fn lists(&self, name: &str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|other| other.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether content comes after the head (RFC 9112 section 6.3).
    fn announce_content(&self) -> std::result::Result<bool, Status> {
        let mut content = self.count("transfer-encoding") > 0;
        for length in self.all("content-length") {
            if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
                return Err(BAD_REQUEST);
            }
            content |= length.iter().any(|digit| *digit != b'0');
        }
        Ok(content)
    }
}

/// What a request asks for.
#[derive(Default)]
struct Target {
    path: Vec<String>,
    is_folder: bool,
    query: Option<String>,
}

impl Target {
    /// A path (origin-form, RFC 9112 section 3.2.1), or a URI (absolute-form, section 3.2.2).
    fn parse(target: &str) -> std::result::Result<Target, Status> {
        let target = match target.split_once("://") {
            Some(("http" | "https", rest)) => &rest[rest.find(['/', '?']).unwrap_or(rest.len())..],
            _ if target.starts_with('/') => target,
            _ => return Err(BAD_REQUEST),
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_string())),
            None => (target, None),
        };
        let names =
            path.split('/').filter(|name| !name.is_empty()).map(decoded).collect::<std::result::Result<_, _>>()?;
        Ok(Target { path: names, is_folder: path.is_empty() || path.ends_with('/'), query })
    }
}

/// A part of a path without its percent-encoding. What it encodes has to be a name, not a path.
fn decoded(name: &str) -> std::result::Result<String, Status> {
    let escapes = name.split('%').skip(1);
    let is_escape = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !escapes.into_iter().all(is_escape) {
        return Err(BAD_REQUEST);
    }
    let name = percent_decode_str(name).decode_utf8().map_err(|_| BAD_REQUEST)?;
    if name.contains(['/', '\\']) || name.contains(char::is_control) {
        return Err(BAD_REQUEST);
    }
    Ok(name.into_owned())
}

/// A part of a file.
enum Range {
    Part {
        start: u64,
        length: u64,
    },
    /// There is no such part.
    Outside,
}

/// The one range that is asked for (RFC 9110 section 14.1.2). What is none, or is several, counts as nothing.
fn range(text: &str, size: u64) -> Option<Range> {
    let (unit, text) = text.split_once('=')?;
    let (first, last) = text.split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
    let (first, last) = (first.trim(), last.trim());
    let (start, end) = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        // So many at the end.
        (true, false) => (size - number(last)?.min(size), size),
        (false, true) => (number(first)?, size),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, size.min(last.saturating_add(1)))
        }
    };
    Some(if start < end { Range::Part { start, length: end - start } } else { Range::Outside })
}

/// What is said to a request.
struct Answer {
    status: Status,
    /// Lines with their ends.
    headers: String,
    content: Content,
}

enum Content {
    /// None, and no length either: that of the file would be meant.
    None,
    Text(String),
    File {
        file: File,
        start: u64,
        length: u64,
    },
}

impl Answer {
    fn status(status: Status) -> Answer {
        let answer = Answer { status, headers: String::new(), content: Content::Text(format!("{status}\n")) };
        answer.with("Content-Type", "text/plain; charset=utf-8")
    }

    fn with(mut self, name: &str, value: impl std::fmt::Display) -> Answer {
        // A string takes whatever is written.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        self
    }

    async fn send(self, peer: &mut Peer, keep: Keep, is_head: bool) -> Result<()> {
        let length = match &self.content {
            Content::None => None,
            Content::Text(text) => Some(text.len() as u64),
            Content::File { length, .. } => Some(*length),
        };
        let Answer { status, mut headers, content } = self.with("Date", httpdate::fmt_http_date(SystemTime::now()));
        headers += "X-Content-Type-Options: nosniff\r\n";
        if let Some(length) = length {
            headers += &format!("Content-Length: {length}\r\n");
        }
        headers += match keep {
            Keep::Alive => "",
            Keep::AliveIfTold => "Connection: keep-alive\r\n",
            Keep::Close => "Connection: close\r\n",
        };
        let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
        match content {
            Content::Text(text) if !is_head => bytes.extend(text.into_bytes()),
            Content::File { file, mut start, mut length } if !is_head => {
                // What fits goes with the head, in one record.
                while length > 0 {
                    let part = file.read(start, length.min((CHUNK - bytes.len()) as u64))?;
                    if part.is_empty() {
                        // Without close_notify, so that the client does not take it for the end.
                        return Err(Failure::network("a file became shorter while it was sent"));
                    }
                    (start, length) = (start + part.len() as u64, length - part.len() as u64);
                    bytes.extend(part);
                    if length > 0 {
                        peer.write_all(&bytes).await?;
                        bytes.clear();
                    }
                }
            }
            _ => {}
        }
        peer.write_all(&bytes).await
    }
}

/// The first line, where it is complete. Empty ones before it are skipped (RFC 9112 section 2.2).
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.trim_ascii_start();
    Some(bytes[..bytes.iter().position(|byte| *byte == b'\n')?].trim_ascii_end())
}

/// Whether it ends as the first line of a request does, in whatever version.
fn names_http(line: &[u8]) -> bool {
    line.rsplit(|byte| *byte == b' ').next().is_some_and(|version| version.starts_with(b"HTTP/"))
}

/// As it stands in the first line of an answer.
type Status = &'static str;

const OK: Status = "200 OK";
const PARTIAL_CONTENT: Status = "206 Partial Content";
const MOVED_PERMANENTLY: Status = "301 Moved Permanently";
const NOT_MODIFIED: Status = "304 Not Modified";
const BAD_REQUEST: Status = "400 Bad Request";
const FORBIDDEN: Status = "403 Forbidden";
const NOT_FOUND: Status = "404 Not Found";
const METHOD_NOT_ALLOWED: Status = "405 Method Not Allowed";
const REQUEST_TIMEOUT: Status = "408 Request Timeout";
const CONTENT_TOO_LARGE: Status = "413 Content Too Large";
const URI_TOO_LONG: Status = "414 URI Too Long";
const RANGE_NOT_SATISFIABLE: Status = "416 Range Not Satisfiable";
const HEAD_TOO_LARGE: Status = "431 Request Header Fields Too Large";
const INTERNAL_ERROR: Status = "500 Internal Server Error";
const VERSION_NOT_SUPPORTED: Status = "505 HTTP Version Not Supported";

/// What may stand in a part of a path as it is (RFC 3986 section 2.3).
const IN_PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The longest head of a request.
const HEAD: usize = 16 * 1024;

/// How many header fields a request may have.
const HEADERS: usize = 64;

/// How long the head of a request may take, once it has begun.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How much a client may still send after the last answer, and for how long.
const REST: usize = 1024 * 1024;
const REST_TIME: Duration = Duration::from_secs(2);
