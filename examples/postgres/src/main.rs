//! Asks a PostgreSQL server, over TLS in WebAssembly: `postgres --host db.example --user alice --password-file password --query 'select 1'`.
//!
//! The command opens TCP by `wasi:sockets` and gives the connection's streams to guest-tls, another component: keys and TLS are in that
//! one, which has no network and no files, and the protocol of PostgreSQL is in this one, which has no cryptography of TLS.
//!
//! * [`arguments`]: the command line.
//! * [`tcp`]: a connection as two streams.
//! * [`tls`]: from `SSLRequest` to a stream of cleartext.
//! * [`binding`]: what binds the password to this TLS connection.
//! * [`session`]: start-up, authentication and queries.
//! * [`table`]: rows as text.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result};

mod arguments;
mod binding;
mod session;
mod table;
mod tcp;
mod tls;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "guest-tls:postgres/client",
        // The streams of our sockets are those that guest-tls takes: one type for both.
        with: {
            "wasi:io/error@0.2.12": wasip2::io::error,
            "wasi:io/poll@0.2.12": wasip2::io::poll,
            "wasi:io/streams@0.2.12": wasip2::io::streams,
        },
        generate_all,
    });
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postgres: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(arguments) = arguments::parse()? else {
        print!("{}", arguments::HELP);
        return Ok(());
    };
    let tcp = tcp::connect(&arguments.host, arguments.port)
        .with_context(|| format!("no connection to {} port {}", arguments.host, arguments.port))?;
    let stream = tls::start(tcp, &arguments.host, &arguments.credentials)?;
    let binding = binding::tls_server_end_point(&stream.server_certificate()?)?;
    let hash = binding.hash;
    let mut session = session::start(&stream, &arguments.login, binding)?;
    // Only now is all of it true: the server has proved that it knows the password, too, and sees the same connection.
    eprintln!("{}; SCRAM-SHA-256-PLUS, tls-server-end-point by {hash}", stream.summary());

    let mut out = BufWriter::new(std::io::stdout().lock());
    session.query(&arguments.query, |result| write!(out, "{}", table::Table(&result)))?;
    out.flush()?;
    session.end();
    Ok(())
}
