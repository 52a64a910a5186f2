//! Starts a PostgreSQL server, and runs the command of examples/postgres against it: `postgres COMMAND.wasm [QUERY]`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use host_tests::certificates::Kind;
use host_tests::postgres::{self, DATABASE, PASSWORD, Postgres, Settings, USER};
use host_tests::wasi::Program;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("postgres: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<u8> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().context("usage: postgres COMMAND.wasm [QUERY]")?;
    let query = arguments.next();
    let program = Program::load(Path::new(&path))?;
    let authority = Kind::P256.authority();
    let server = Postgres::start(&Settings::new(Kind::P256.server())).await?;
    let client = postgres::client(USER, &authority);
    std::fs::write(client.folder.join("password"), PASSWORD)?;

    let port = server.port.to_string();
    let query = query.as_deref().unwrap_or(QUERY);
    let options = ["--host", "127.0.0.1", "--port", &port, "--user", USER, "--database", DATABASE];
    let files = ["--password-file", "/own/password", "--ca", "/ca/certificate.pem"];
    let identity = ["--cert", "/own/certificate.pem", "--key", "/own/key.pem"];
    let arguments = [&options[..], &files, &identity, &["--query", query]].concat();
    println!("postgres.wasm {}\n", arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
    let folders = [(authority.folder.clone(), "/ca"), (client.folder.clone(), "/own")];
    let output = program.output(&folders, &arguments).await;
    let server_said = server.log();
    server.stop().await;

    let output = output?;
    eprint!("{}", output.stderr);
    print!("{}", String::from_utf8_lossy(&output.stdout));
    println!("\nThe server's log:");
    server_said.lines().filter(|line| line.contains("connection auth")).for_each(|line| println!("{line}"));
    Ok(output.code)
}

/// A word as one writes it in a shell.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character));
    if plain { word.to_string() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// What the server knows of our connection.
const QUERY: &str = "select version, cipher, client_dn, current_user from pg_stat_ssl where pid = pg_backend_pid()";
