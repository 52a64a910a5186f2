//! Shows `guest-tls proxy`, run by the stock wasmtime: PostgreSQL and an HTTP server that speak no TLS stand behind it, `psql` with
//! `sslmode=verify-full` and curl in front.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::cli::{self, Running};
use host_tests::paths;
use host_tests::postgres::{DATABASE, PASSWORD, Postgres, Settings, USER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => {
            println!("demo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("demo: failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let folder = paths::scratch()?.join("demo");
    std::fs::create_dir_all(&folder)?;
    let server = Kind::P256.server();
    std::fs::write(folder.join("cert.pem"), server.full_chain())?;
    std::fs::write(folder.join("key.pem"), &server.key)?;
    let authority = Kind::P256.authority().certificate_path().display().to_string();

    println!("PostgreSQL and an HTTP server, both without TLS");
    let postgres = Postgres::start(&Settings { cleartext: true, ..Settings::default() }).await?;
    let http = http().await?;
    let mut database = proxy(&folder, postgres.port, &["--starttls", "postgres"]).await?;
    let mut web = proxy(&folder, http, &["--alpn", "http/1.1"]).await?;

    let (database_port, web_port) = (database.port().await?, web.port().await?);
    let (host, query) = ("localhost", "select inet_client_addr() as \"PostgreSQL's client\", version()");
    let target = format!(
        "host={host} port={database_port} dbname={DATABASE} user={USER} sslmode=verify-full sslrootcert={authority}"
    );
    println!("\npsql '{target}' -c '\\conninfo' -c '{query}'");
    show(Command::new("psql").args([&target, "-c", "\\conninfo", "-c", query]).env("PGPASSWORD", PASSWORD)).await?;

    let url = format!("https://{host}:{web_port}/");
    println!("\ncurl -v --cacert {authority} {url}");
    show(Command::new("curl").args(["-sSv", "--cacert", &authority, &url])).await?;

    for (name, running) in [("PostgreSQL", &mut database), ("HTTP", &mut web)] {
        println!("\nCounters of the proxy before {name}");
        let metrics = format!("http://127.0.0.1:{}/metrics", running.admin().await?);
        let output = Command::new("curl").args(["-sS", &metrics]).output().await?;
        ensure!(output.status.success(), "no counters: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter(|line| !line.starts_with('#')).for_each(|line| println!("    {line}"));
        ensure!(
            text.contains("guest_tls_handshakes_total{version=\"TLSv1.3\""),
            "nobody came to the proxy before {name}"
        );
    }
    for running in [database, web] {
        let ended = running.stop().await?;
        ensure!(ended.code == 0, "a proxy ended badly: {}", ended.stderr);
    }
    postgres.stop().await;
    Ok(())
}

async fn proxy(folder: &Path, back: u16, more: &[&str]) -> Result<Running> {
    let to = format!("127.0.0.1:{back}");
    let own = ["proxy", "--listen", "127.0.0.1:0", "--to", &to, "--cert", "/cert.pem", "--key", "/key.pem"];
    let arguments = [&own[..], &["--admin", "127.0.0.1:0", "--until-stdin-ends"], more].concat();
    println!("wasmtime run -S inherit-network … guest-tls-cli.cwasm {}", arguments.join(" "));
    cli::Running::start(&[(folder, "/")], &arguments)
}

/// Runs a command and prints what it says.
async fn show(command: &mut Command) -> Result<()> {
    let output = command.output().await.context("it can't be started")?;
    let said = [output.stdout, output.stderr].concat();
    // Of curl what it says of TLS and of the answer.
    let said = String::from_utf8_lossy(&said);
    let lines = said.lines().filter(|line| {
        !line.starts_with("* ") || line.contains("SSL") || line.contains("ALPN") || line.contains("subject:")
    });
    lines.for_each(|line| println!("    {line}"));
    ensure!(output.status.success(), "it ended with {}", output.status);
    Ok(())
}

/// An HTTP server that says the same to all.
async fn http() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let _ = tcp.read(&mut request).await?;
                let body = "hello from a server without TLS\n";
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                tcp.write_all(format!("{head}{body}").as_bytes()).await
            });
        }
    });
    Ok(port)
}
