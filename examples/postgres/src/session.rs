//! PostgreSQL's protocol, version 3 (its documentation, chapter 55), over a stream that is encrypted. Messages and SCRAM are those of
//! the crate `postgres-protocol`, which has no I/O.

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Header, Message, RowDescriptionBody};
use postgres_protocol::message::frontend;

use crate::binding::Binding;
use crate::table::Plain;
use crate::tls::Stream;

/// Who we are, for PostgreSQL.
pub(crate) struct Login {
    /// The name of the role.
    pub(crate) user: String,
    /// Where to log in.
    pub(crate) database: String,
    /// Its password.
    pub(crate) password: Vec<u8>,
}

/// A session that is ready for queries.
pub(crate) struct Session<'a> {
    stream: &'a Stream,
    /// What came and is no whole message yet.
    received: BytesMut,
    /// How long a message may be, in bytes.
    limit: usize,
}

/// What a statement gave.
#[derive(Default)]
pub(crate) struct Rows {
    /// The columns; empty where the statement gives no rows.
    pub(crate) columns: Vec<Column>,
    /// The values as text; `None` is NULL.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// What the server says of it, for example `SELECT 2`.
    pub(crate) tag: String,
}

/// A column of a result.
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Whether its values are numbers.
    pub(crate) is_number: bool,
}

/// Logs in by SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677). No other way is gone, whatever the server asks for: each of them would work through
/// somebody in between as well, and the server would not have to know the password.
pub(crate) fn start<'a>(stream: &'a Stream, login: &Login, binding: Binding) -> Result<Session<'a>> {
    let mut session = Session { stream, received: BytesMut::new(), limit: START_LIMIT };
    session.send(|out| {
        let parameters = [
            ("user", login.user.as_str()),
            ("database", login.database.as_str()),
            ("application_name", "guest-tls"),
            ("client_encoding", "UTF8"),
        ];
        frontend::startup_message(parameters, out)
    })?;
    session.authenticate(&login.password, binding).context("no login")?;
    loop {
        match session.next()? {
            Message::ReadyForQuery(_) => break,
            Message::BackendKeyData(_) => {}
            _ => bail!("the server sent a message that does not belong to the start of a session"),
        }
    }
    session.limit = MESSAGE_LIMIT;
    Ok(session)
}

impl Session<'_> {
    /// Sends statements, and gives what each of them gave to `show` as soon as it is complete.
    pub(crate) fn query(&mut self, query: &str, mut show: impl FnMut(Rows) -> std::io::Result<()>) -> Result<()> {
        self.send(|out| frontend::query(query, out))?;
        let mut rows = Rows::default();
        loop {
            match self.next()? {
                Message::RowDescription(description) => rows.columns = columns(&description)?,
                Message::DataRow(row) => {
                    let value = |range: Option<std::ops::Range<usize>>| {
                        Ok(range.map(|range| String::from_utf8_lossy(&row.buffer()[range]).into_owned()))
                    };
                    rows.rows.push(row.ranges().map(value).collect()?);
                }
                Message::CommandComplete(complete) => {
                    rows.tag = complete.tag()?.to_string();
                    show(std::mem::take(&mut rows))?;
                }
                Message::EmptyQueryResponse => {}
                Message::ReadyForQuery(_) => return Ok(()),
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                    bail!("COPY from and to the client is not supported: use SELECT and INSERT")
                }
                _ => bail!("the server sent a message that does not belong to a query"),
            }
        }
    }

    /// Ends the session and the connection.
    pub(crate) fn end(mut self) {
        // The server rolls back and closes in any case.
        let _ = self.send(|out| {
            frontend::terminate(out);
            Ok(())
        });
        self.stream.end();
    }

    fn authenticate(&mut self, password: &[u8], binding: Binding) -> Result<()> {
        let mechanisms = match self.next()? {
            Message::AuthenticationSasl(body) => {
                body.mechanisms().map(|name| Ok(name.to_string())).collect::<Vec<_>>()?
            }
            other => bail!(
                "the server wants {}, and only {SCRAM_SHA_256_PLUS} is spoken here: let pg_hba.conf say scram-sha-256, and set the \
                 password anew with password_encryption = scram-sha-256",
                wanted(&other)
            ),
        };
        ensure!(
            mechanisms.iter().any(|mechanism| mechanism == SCRAM_SHA_256_PLUS),
            "the server offers {} without channel binding: someone may be between us and it, or it does not have TLS itself",
            mechanisms.join(", ")
        );
        let mut scram = ScramSha256::new(password, ChannelBinding::tls_server_end_point(binding.data));
        self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256_PLUS, scram.message(), out))?;
        let Message::AuthenticationSaslContinue(body) = self.next()? else { bail!(OUT_OF_TURN) };
        scram.update(body.data()).context("the server's first message of SCRAM is wrong")?;
        self.send(|out| frontend::sasl_response(scram.message(), out))?;
        let Message::AuthenticationSaslFinal(body) = self.next()? else { bail!(OUT_OF_TURN) };
        scram.finish(body.data()).context("the server does not prove that it knows the password")?;
        let Message::AuthenticationOk = self.next()? else { bail!(OUT_OF_TURN) };
        Ok(())
    }

    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<()> {
        let mut out = BytesMut::new();
        write(&mut out).context("a message can't be made")?;
        self.stream.write(&out)
    }

    /// The next message that matters. Notices are printed, errors are errors.
    fn next(&mut self) -> Result<Message> {
        loop {
            match self.receive()? {
                Message::NoticeResponse(notice) => eprintln!("{}", Notice::read(notice.fields())?),
                Message::ErrorResponse(error) => bail!("{}", Notice::read(error.fields())?),
                Message::ParameterStatus(_) | Message::NotificationResponse(_) => {}
                message => return Ok(message),
            }
        }
    }

    fn receive(&mut self) -> Result<Message> {
        loop {
            // Before the parser makes room for a message, its length must be one that we want.
            if let Some(header) = Header::parse(&self.received)? {
                let length = header.len() as usize;
                ensure!(
                    length <= self.limit,
                    "the server announces a message of {length} bytes, and {} are the limit here",
                    self.limit
                );
            }
            if let Some(message) = Message::parse(&mut self.received).context("the server's message is wrong")? {
                return Ok(message);
            }
            match self.stream.read()? {
                Some(bytes) => self.received.extend_from_slice(&bytes),
                None => bail!("the server ended the connection"),
            }
        }
    }
}

/// What the server says of an error, or to be noticed.
#[derive(Default)]
struct Notice {
    severity: String,
    code: String,
    message: String,
    more: Vec<String>,
}

impl Notice {
    fn read(mut fields: ErrorFields<'_>) -> Result<Notice> {
        let mut notice = Notice::default();
        while let Some(field) = fields.next()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'S' => notice.severity = value,
                b'C' => notice.code = value,
                b'M' => notice.message = value,
                b'D' => notice.more.push(format!("detail: {value}")),
                b'H' => notice.more.push(format!("hint: {value}")),
                b'P' => notice.more.push(format!("at character {value} of the query")),
                _ => {}
            }
        }
        Ok(notice)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Notice { severity, code, message, more } = self;
        write!(f, "the server says {} {}: {}", Plain(severity), Plain(code), Plain(message))?;
        more.iter().try_for_each(|more| write!(f, "; {}", Plain(more)))
    }
}

fn columns(description: &RowDescriptionBody) -> Result<Vec<Column>> {
    let column = |field: postgres_protocol::message::backend::Field<'_>| {
        Ok(Column { name: field.name().to_string(), is_number: NUMBERS.contains(&field.type_oid()) })
    };
    Ok(description.fields().map(column).collect()?)
}

/// What a message asks of us, where it is not SASL.
fn wanted(message: &Message) -> &'static str {
    match message {
        Message::AuthenticationOk => "no password",
        Message::AuthenticationCleartextPassword => "the password itself",
        Message::AuthenticationMd5Password(_) => "an MD5 of the password",
        Message::AuthenticationGss | Message::AuthenticationKerberosV5 | Message::AuthenticationSspi => "Kerberos",
        _ => "something else",
    }
}

const OUT_OF_TURN: &str = "the server sent a message that does not belong to SCRAM at this point";

/// In bytes: a message before the server has shown who it is.
const START_LIMIT: usize = 64 << 10;

/// In bytes: more than a row that PostgreSQL's text functions make, less than what would fill the memory of a 32-bit guest.
const MESSAGE_LIMIT: usize = 512 << 20;

/// The types int8, int2, int4, oid, float4, float8 and numeric, by their numbers in `pg_type`.
const NUMBERS: [u32; 7] = [20, 21, 23, 26, 700, 701, 1700];
