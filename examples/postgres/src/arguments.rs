//! The command line.

use std::fs;

use anyhow::{Context as _, Result, bail};
use lexopt::prelude::*;

use crate::session::Login;
use crate::tls::Credentials;

/// What is asked for.
pub(crate) struct Arguments {
    /// The server: a name or an IP address, which its certificate must be for.
    pub(crate) host: String,
    /// Its TCP port.
    pub(crate) port: u16,
    /// Whom to trust, and who we are, for TLS.
    pub(crate) credentials: Credentials,
    /// Who we are, for PostgreSQL.
    pub(crate) login: Login,
    /// One statement of SQL or several.
    pub(crate) query: String,
}

/// Reads the command line, and the files that it names. `None` where help is asked for.
pub(crate) fn parse() -> Result<Option<Arguments>> {
    let mut parser = lexopt::Parser::from_env();
    let (mut host, mut port) = ("localhost".to_string(), 5432);
    let (mut user, mut database, mut password, mut query) = (None, None, None, None);
    let mut credentials = Credentials::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("host") => host = parser.value()?.string()?,
            Long("port") => port = parser.value()?.parse().context("--port")?,
            Long("user") => user = Some(parser.value()?.string()?),
            Long("database") => database = Some(parser.value()?.string()?),
            Long("password") => password = Some(parser.value()?.string()?.into_bytes()),
            Long("password-file") => password = Some(without_newline(file("--password-file", &mut parser)?)),
            Long("ca") => credentials.ca = Some(file("--ca", &mut parser)?),
            Long("cert") => credentials.certificate = Some(file("--cert", &mut parser)?),
            Long("key") => credentials.key = Some(file("--key", &mut parser)?),
            Long("query") => query = Some(parser.value()?.string()?),
            Long("help") => return Ok(None),
            other => bail!("{}; {SEE_HELP}", other.unexpected()),
        }
    }
    if credentials.certificate.is_some() != credentials.key.is_some() {
        bail!("--cert and --key belong together: give both, or neither where the server wants no client certificate");
    }
    let user = user.with_context(|| format!("--user is missing; {SEE_HELP}"))?;
    let password = password.with_context(|| format!("--password-file is missing; {SEE_HELP}"))?;
    let query = query.with_context(|| format!("--query is missing; {SEE_HELP}"))?;
    // Strings of the protocol end at a NUL.
    if [&user, database.as_ref().unwrap_or(&user), &query].iter().any(|text| text.contains('\0')) {
        bail!("--user, --database and --query can't have a NUL in them");
    }
    let login = Login { database: database.unwrap_or_else(|| user.clone()), user, password };
    Ok(Some(Arguments { host, port, credentials, login, query }))
}

/// What `--help` says.
pub(crate) const HELP: &str = "\
Asks a PostgreSQL server over TLS, with SCRAM-SHA-256-PLUS, and prints the rows.

  --host NAME           the server, a name or an address that its certificate is for (default: localhost)
  --port NUMBER         its TCP port (default: 5432)
  --user NAME           who asks
  --database NAME       which database (default: that of the user's name)
  --password-file FILE  the user's password; an end of line after it does not count
  --password TEXT       the same, where it is no secret: others can read command lines
  --ca FILE             whom to trust, PEM (default: Mozilla's roots)
  --cert FILE           a client certificate with its chain, PEM
  --key FILE            its private key, PEM
  --query SQL           what to ask

Files have to be in a folder that the host opened for the command (wasmtime run --dir).
";

const SEE_HELP: &str = "--help lists all options";

/// The content of the file that the option `name` gives.
fn file(name: &str, parser: &mut lexopt::Parser) -> Result<Vec<u8>> {
    let path = parser.value()?;
    fs::read(&path).with_context(|| {
        let path = path.display();
        format!("{name}: can't read {path}: is it in a folder that the host opened (wasmtime run --dir)?")
    })
}

fn without_newline(mut text: Vec<u8>) -> Vec<u8> {
    while let Some(b'\n' | b'\r') = text.last() {
        text.pop();
    }
    text
}
