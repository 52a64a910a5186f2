//! The command of examples/cli as people run it, in the stock wasmtime: `connect` against `openssl s_server`, rustls, and servers that
//! begin in the clear; `cert`, `ciphers` and `version` beside `openssl x509` and `openssl ciphers`.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Identity, Kind, Request, Validity};
use host_tests::cli::{self, Ended};
use host_tests::exchange::{payload_of, tally};
use host_tests::peers::command::Peer;
use host_tests::peers::rustls::server_config;
use host_tests::peers::{openssl, within};
use host_tests::postgres::{Postgres, Settings};
use host_tests::setup::{SERVER_NAME, Setup, Turn};
use host_tests::{paths, rows, table};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsAcceptor;

fn main() {
    table::main(rows![
        "cli":
        what_was_agreed_on_is_told,
        a_client_certificate_is_shown_and_its_lack_is_told,
        application_protocols_are_agreed_on,
        a_stapled_ocsp_response_is_told,
        a_certificate_that_is_not_accepted_is_code_4,
        insecure_goes_on_and_says_why,
        sessions_are_resumed,
        the_key_log_is_the_servers,
        ten_mebibytes_go_both_ways,
        who_has_said_all_still_hears,
        the_end_of_the_server_is_the_end,
        an_end_without_goodbye_is_an_error,
        certificates_are_printed_as_they_were_sent,
        a_server_that_is_not_there_or_says_nothing,
        what_is_wrong_with_a_file_is_code_3,
        what_is_wrong_with_the_command_line_is_code_2,
        cert_shows_what_openssl_shows,
        ciphers_are_those_of_openssl,
        completions_are_a_script,
        starttls_smtp,
        starttls_imap_and_pop3,
        starttls_ftp,
        starttls_postgres,
        starttls_xmpp,
        starttls_ldap,
        cleartext_behind_the_word_to_go_ahead_is_refused,
    ]);
}

async fn what_was_agreed_on_is_told() -> Result<()> {
    for (option, protocol) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let (server, port) = Peer::openssl_server(&Kind::P256.server(), &["-www", option]).await?;
        let told = json(&connect(port, &["--json"]).await?)?;
        ensure!(told["protocol"] == protocol && told["authorized"] == true && told["resumed"] == false, "{told}");
        ensure!(told["certificates"][0]["subject"][1]["value"] == SERVER_NAME, "{told}");
        // The same for people.
        let ended = cli::run(&folders(), &arguments(port, &[]), b"GET / HTTP/1.0\r\n\r\n").await?;
        ensure!(ended.code == 0 && ended.text().contains(&format!("Protocol  : {protocol}")), "{ended:?}");
        let cipher = told["cipher"]["name"].as_str().context("a cipher")?;
        for words in [protocol, cipher, "yes, for server.test", "O=guest-tls, CN=server.test"] {
            ensure!(ended.stderr.contains(words), "no {words:?} in {}", ended.stderr);
        }
        ensure!(ended.text().contains(told["cipher"]["openssl_name"].as_str().context("a cipher")?), "{ended:?}");
        drop(server);
    }
    Ok(())
}

async fn a_client_certificate_is_shown_and_its_lack_is_told() -> Result<()> {
    let client = Kind::P256.client();
    let root = Kind::P256.authority().certificate_path().display().to_string();
    for option in ["-tls1_3", "-tls1_2"] {
        let options = ["-www", option, "-Verify", "2", "-verify_return_error", "-CAfile", &root];
        let (server, port) = Peer::openssl_server(&Kind::P256.server(), &options).await?;
        let mut folders = folders();
        folders.push((&client.folder, "/own"));
        let own = ["--json", "--cert", "/own/certificate.pem", "--key", "/own/key.pem"];
        let told = json(&cli::run(&folders, &arguments(port, &own), b"").await?)?;
        ensure!(told["own_certificates"][0]["subject"][1]["value"] == "client.test", "{told}");
        let ended = connect(port, &["--json"]).await?;
        let wanted = if option == "-tls1_3" { "CERTIFICATE_REQUIRED" } else { "HANDSHAKE_FAILURE" };
        refused(&ended, 1, wanted)?;
        drop(server);
    }
    Ok(())
}

async fn application_protocols_are_agreed_on() -> Result<()> {
    let (server, port) = Peer::openssl_server(&Kind::P256.server(), &["-www", "-alpn", "h2,http/1.1"]).await?;
    let told = json(&connect(port, &["--json", "--alpn", "http/1.1,h2"]).await?)?;
    ensure!(told["alpn"] == "h2", "{told}");
    refused(&connect(port, &["--json", "--alpn", "smtp"]).await?, 1, "NO_APPLICATION_PROTOCOL")?;
    drop(server);
    Ok(())
}

async fn a_stapled_ocsp_response_is_told() -> Result<()> {
    let (folder, issuer) = (scratch("ocsp")?, Kind::P256.authority());
    let identity = Kind::P256.server();
    let path = |path: PathBuf| path.display().to_string();
    let (issuer_path, issuer_key) = (path(issuer.certificate_path()), path(issuer.key_path()));
    let certificate = path(identity.certificate_path());
    std::fs::write(folder.join("index.txt"), "")?;
    let mut made = Command::new("openssl");
    made.current_dir(&folder).args(["ocsp", "-index", "index.txt", "-CA", &issuer_path, "-rsigner", &issuer_path]);
    made.args([
        "-rkey",
        &issuer_key,
        "-issuer",
        &issuer_path,
        "-cert",
        &certificate,
        "-ndays",
        "1",
        "-respout",
        "ocsp.der",
    ]);
    let made = made.output().await?;
    ensure!(made.status.success(), "openssl ocsp: {}", String::from_utf8_lossy(&made.stderr));
    let file = path(folder.join("ocsp.der"));
    let (server, port) = Peer::openssl_server(&identity, &["-www", "-status_file", &file]).await?;
    let told = json(&connect(port, &["--json", "--ocsp"]).await?)?;
    std::fs::write(folder.join("told.b64"), told["ocsp"]["response"].as_str().context("a response")?)?;
    let mut decode = Command::new("openssl");
    let decoded = decode.current_dir(&folder).args(["base64", "-d", "-A", "-in", "told.b64"]).output().await?;
    ensure!(decoded.stdout == std::fs::read(folder.join("ocsp.der"))?, "it is another response: {told}");
    drop(server);
    let (server, port) = Peer::openssl_server(&identity, &["-www"]).await?;
    let told = json(&connect(port, &["--json", "--ocsp"]).await?)?;
    ensure!(told["ocsp"]["stapled"] == false, "{told}");
    drop(server);
    Ok(())
}

async fn a_certificate_that_is_not_accepted_is_code_4() -> Result<()> {
    for (identity, more, wanted) in refusals() {
        let (server, port) = Peer::openssl_server(&identity, &["-www"]).await?;
        let ended = connect(port, &more).await?;
        refused(&ended, 4, wanted)?;
        drop(server);
    }
    Ok(())
}

async fn insecure_goes_on_and_says_why() -> Result<()> {
    for (identity, more, wanted) in refusals() {
        let (server, port) = Peer::openssl_server(&identity, &["-www"]).await?;
        let ended = connect(port, &[&["--insecure", "--json"], &more[..]].concat()).await?;
        let told = json(&ended)?;
        ensure!(told["authorized"] == false && told["authorization_error"]["code"] == wanted, "{wanted}: {told}");
        ensure!(ended.stderr.contains(wanted), "{wanted}: {}", ended.stderr);
        drop(server);
    }
    Ok(())
}

async fn sessions_are_resumed() -> Result<()> {
    for option in ["-tls1_3", "-tls1_2"] {
        let (server, port) = Peer::openssl_server(&Kind::P256.server(), &["-www", option]).await?;
        let told = json(&connect(port, &["--json", "--reconnect", "2"]).await?)?;
        let resumed: Vec<_> =
            told["reconnects"].as_array().context("reconnects")?.iter().map(|one| &one["resumed"]).collect();
        ensure!(told["session"] == true && resumed == [&Value::Bool(true), &Value::Bool(true)], "{told}");
        // The last one is for data.
        let ended = cli::run(&folders(), &arguments(port, &["--reconnect", "1"]), b"GET / HTTP/1.0\r\n\r\n").await?;
        ensure!(ended.text().contains("Reused, "), "s_server knows nothing of it: {ended:?}");
        drop(server);
    }
    Ok(())
}

async fn the_key_log_is_the_servers() -> Result<()> {
    for option in ["-tls1_3", "-tls1_2"] {
        let folder = scratch(option)?;
        let of_server = folder.join("server.txt").display().to_string();
        let options = ["-www", option, "-keylogfile", &of_server];
        let (server, port) = Peer::openssl_server(&Kind::P256.server(), &options).await?;
        std::fs::write(folder.join("client.txt"), "# was here before\n")?;
        let mut folders = folders();
        folders.push((&folder, "/log"));
        let ended = cli::run(&folders, &arguments(port, &["--json", "--keylog", "/log/client.txt"]), b"").await?;
        json(&ended)?;
        drop(server);
        let lines = |name: &str| -> Result<Vec<String>> {
            let text = std::fs::read_to_string(folder.join(name))?;
            let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_lowercase).collect();
            lines.sort();
            Ok(lines)
        };
        let (ours, theirs) = (lines("client.txt")?, lines("server.txt")?);
        ensure!(!ours.is_empty() && ours == theirs, "{ours:#?} and {theirs:#?}");
        ensure!(std::fs::read_to_string(folder.join("client.txt"))?.starts_with("# was"), "it was not appended");
    }
    Ok(())
}

async fn ten_mebibytes_go_both_ways() -> Result<()> {
    const BYTES: usize = 10 << 20;
    // s_server ends with the client, so the client has to wait for what is sent to it: its input stays open until that is there.
    let setup = Setup { bytes: BYTES, turn: Turn::AfterPeer, ..Setup::server(Kind::P256) };
    let listening = within(openssl::listen(&setup)).await?;
    let payload = payload_of(Turn::WhenAllCame, BYTES);
    let mut child = cli::wasmtime(&folders()).args(arguments(listening.port, &["--quiet"])).spawn()?;
    let (mut input, mut output) = (child.stdin.take().context("input")?, child.stdout.take().context("output")?);
    let sent = payload.clone();
    let feeding = tokio::spawn(async move { input.write_all(&sent).await.map(|()| input) });
    let mut came = vec![0; BYTES];
    tokio::time::timeout(Duration::from_secs(60), output.read_exact(&mut came)).await??;
    drop(feeding.await??);
    let report = listening.report().await?;
    let ended = child.wait_with_output().await?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    ensure!(report.received == tally(&payload), "the server received {:?}", report.received);
    ensure!(tally(&came) == tally(&payload_of(Turn::AfterPeer, BYTES)), "something else came");
    Ok(())
}

async fn who_has_said_all_still_hears() -> Result<()> {
    let port = of_rustls(async |mut tls| {
        let mut all = Vec::new();
        // To the client's close_notify; only then something is said.
        tls.read_to_end(&mut all).await?;
        tls.write_all(&all.repeat(200_000)).await?;
        tls.shutdown().await?;
        Ok(())
    })
    .await?;
    let ended = cli::run(&folders(), &arguments(port, &["--quiet"]), b"hello").await?;
    ensure!(ended.code == 0 && ended.stdout == b"hello".repeat(200_000), "code {}: {}", ended.code, ended.stderr);
    ensure!(ended.stderr.is_empty(), "{}", ended.stderr);
    Ok(())
}

/// Standard input stays open, as at a terminal or behind a program that goes on. First as others do it, then as we do.
async fn the_end_of_the_server_is_the_end() -> Result<()> {
    let authority = Kind::P256.authority().certificate_path().display().to_string();
    for (how, closes, input) in [
        ("close_notify and the end of TCP", true, 0),
        ("close_notify alone", false, 0),
        ("close_notify to who is talking, and nothing is read", false, 16 << 20),
    ] {
        let server = async || {
            of_rustls(async move |mut tls| {
                tls.write_all(b"hello").await?;
                if closes {
                    tls.shutdown().await?;
                } else {
                    tls.get_mut().1.send_close_notify();
                    tls.flush().await?;
                }
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(())
            })
            .await
        };
        for client in ["openssl s_client -quiet", "openssl s_client -brief", "openssl s_client", "gnutls-cli", "ours"] {
            // It waits in its write for as long as nobody reads.
            if client == "gnutls-cli" && input > 0 {
                continue;
            }
            let port = server().await?;
            let mut command = match client {
                "ours" => {
                    let mut ours = cli::wasmtime(&folders());
                    ours.args(arguments(port, &["--quiet"]));
                    ours
                }
                "gnutls-cli" => {
                    let mut gnutls = Command::new(client);
                    let name = format!("--verify-hostname={SERVER_NAME}");
                    gnutls.args(["--x509cafile", &authority, &name, "-p", &port.to_string(), "127.0.0.1"]);
                    gnutls
                }
                openssl => {
                    let mut words = openssl.split(' ');
                    let mut openssl = Command::new(words.next().context("no program")?);
                    openssl.args(words).args(["-connect", &format!("127.0.0.1:{port}")]);
                    openssl
                }
            };
            command.kill_on_drop(true).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().with_context(|| client.to_string())?;
            let mut stdin = child.stdin.take().context("input")?;
            // Who ends does not read it all.
            let feeding = tokio::spawn(async move {
                let _ = stdin.write_all(&vec![b'x'; input]).await;
                stdin
            });
            let ended = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
            let ended = ended.with_context(|| format!("{client} goes on after {how}"))??;
            drop(feeding.await?);
            let said = String::from_utf8_lossy(&ended.stdout);
            ensure!(ended.status.success() && said.contains("hello"), "{client} after {how}: {ended:?}");
        }
    }
    Ok(())
}

async fn an_end_without_goodbye_is_an_error() -> Result<()> {
    let port = of_rustls(async |mut tls| {
        tls.write_all(b"the first half").await?;
        tls.flush().await?;
        // The end of TCP alone.
        tls.get_mut().0.shutdown().await?;
        Ok(())
    })
    .await?;
    let ended = connect(port, &["--quiet"]).await?;
    ensure!(ended.code == 1 && ended.stdout == b"the first half", "{ended:?}");
    ensure!(ended.stderr.contains("ERR_SSL_UNEXPECTED_EOF_WHILE_READING"), "{}", ended.stderr);
    Ok(())
}

async fn certificates_are_printed_as_they_were_sent() -> Result<()> {
    let issuer =
        Request { issuer: Some(&Kind::P256.authority()), is_authority: true, ..Request::new("between", Kind::P256) };
    let identity = Request { issuer: Some(&issuer.issue()), ..Request::new(SERVER_NAME, Kind::P256) }.issue();
    let chain = identity.chain_path().display().to_string();
    let (server, port) = Peer::openssl_server(&identity, &["-www", "-cert_chain", &chain]).await?;
    let ended = connect(port, &["--showcerts"]).await?;
    ensure!(ended.code == 0 && ended.text() == identity.full_chain(), "{ended:?}");
    drop(server);
    Ok(())
}

async fn a_server_that_is_not_there_or_says_nothing() -> Result<()> {
    refused(&connect(free_port()?, &[]).await?, 1, "no connection to 127.0.0.1:")?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    refused(&connect(port, &["--timeout", "0.5"]).await?, 1, "ERR_TLS_HANDSHAKE_TIMEOUT")?;
    refused(&connect(port, &["--timeout", "0.5", "--starttls", "smtp"]).await?, 1, "within 0.5 seconds")
}

async fn what_is_wrong_with_a_file_is_code_3() -> Result<()> {
    let (server, client, other) = (Kind::P256.server(), Kind::P256.client(), Kind::P384.client());
    let folders =
        [(server.folder.as_path(), "/ca"), (client.folder.as_path(), "/own"), (other.folder.as_path(), "/other")];
    for (arguments, wanted) in [
        (&["connect", "127.0.0.1:1", "--ca", "/ca/nothing.pem"][..], "can't read /ca/nothing.pem"),
        (&["connect", "127.0.0.1:1", "--ca", "/elsewhere.pem"], "--dir"),
        (&["connect", "127.0.0.1:1", "--ca", "/ca/key.pem"], "/ca/key.pem: "),
        (&["connect", "127.0.0.1:1", "--pfx", "/ca/key.pem"], "/ca/key.pem: "),
        (&["connect", "127.0.0.1:1", "--cert", "/own/certificate.pem", "--key", "/other/key.pem"], "key"),
        (&["connect", "127.0.0.1:1", "--keylog", "/elsewhere.txt"], "can't write /elsewhere.txt"),
        (&["cert", "/own/nothing.pem"], "can't read /own/nothing.pem"),
        (&["cert", "/own/key.pem"], "/own/key.pem: there is no certificate in it, only PRIVATE KEY"),
        (&["cert", "/own/ca.cnf"], "/own/ca.cnf: neither PEM"),
    ] {
        refused(&cli::run(&folders, arguments, b"").await?, 3, wanted)?;
    }
    Ok(())
}

async fn what_is_wrong_with_the_command_line_is_code_2() -> Result<()> {
    for (arguments, wanted) in [
        (&["connect"][..], "HOST:PORT"),
        (&["connect", "localhost"], "`localhost` is no HOST:PORT"),
        (&["connect", "localhost:1", "--starttls", "gopher"], "gopher"),
        (&["connect", "localhost:1", "--timeout", "0"], "--timeout is 0"),
        (&["connect", "localhost:1", "--servername", "a b"], "a b"),
        (&["connect", "localhost:1", "--conect"], "--conect"),
        (&["ciphers", "nonsense"], "nonsense"),
        (&["conect"], "connect"),
    ] {
        refused(&cli::run(&[], arguments, b"").await?, 2, wanted)?;
    }
    let help = cli::run(&[], &["connect", "--help"], b"").await?;
    ensure!(help.code == 0 && help.text().contains("--starttls"), "{help:?}");
    Ok(())
}

async fn cert_shows_what_openssl_shows() -> Result<()> {
    let folder = scratch("cert")?;
    let (identity, root) = (Kind::Rsa2048.server(), Kind::Rsa2048.authority());
    std::fs::write(folder.join("chain.pem"), format!("a chain\n{}{}", identity.certificate, root.certificate))?;
    std::fs::write(folder.join("passphrase"), "correct horse\n")?;
    let (certificate, key) = (identity.certificate_path(), identity.key_path());
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let openssl = async |arguments: &[&str]| -> Result<String> {
        let output = Command::new("openssl").current_dir(&folder).args(arguments).output().await?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    openssl(&["x509", "-in", &certificate, "-outform", "DER", "-out", "one.der"]).await?;
    let pass = "pass:correct horse";
    openssl(&["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-passout", pass, "-out", "one.p12"]).await?;
    let asked = [
        "x509",
        "-in",
        &certificate,
        "-noout",
        "-fingerprint",
        "-sha256",
        "-serial",
        "-nameopt",
        "sep_comma_plus_space",
        "-subject",
    ];
    let said = openssl(&asked).await?;
    let of = |label: &str| said.lines().find_map(|line| line.strip_prefix(label)).map(str::to_string);
    let fingerprint = of("sha256 Fingerprint=").context("a fingerprint")?;
    let (serial, subject) = (of("serial=").context("a serial number")?, of("subject=").context("a subject")?);
    let folders = [(folder.as_path(), "/in")];
    for (file, count) in [("/in/chain.pem", 2), ("/in/one.der", 1), ("/in/one.p12", 1)] {
        let ended = cli::run(&folders, &["cert", file, "--passphrase-file", "/in/passphrase"], b"").await?;
        let text = ended.text();
        ensure!(ended.code == 0 && text.contains(&format!("certificate {count} of {count}\n")), "{file}: {ended:?}");
        for words in [&fingerprint, &serial, &subject, "RSA 2048 bit", "DNS:server.test"] {
            ensure!(text.contains(words), "{file}: no {words:?} in {text}");
        }
        let ended = cli::run(&folders, &["cert", file, "--passphrase-file", "/in/passphrase", "--json"], b"").await?;
        let told = json(&ended)?;
        ensure!(told[0]["fingerprint_sha256"] == fingerprint && told[0]["pem"] == identity.certificate, "{told}");
        ensure!(told[count - 1]["valid_to"] == "2099-12-31T23:59:59Z" && told[0]["valid_now"] == true, "{told}");
    }
    refused(&cli::run(&folders, &["cert", "/in/one.p12"], b"").await?, 3, "/in/one.p12: ")
}

async fn ciphers_are_those_of_openssl() -> Result<()> {
    let all = cli::run(&[], &["ciphers"], b"").await?.text();
    ensure!(all.lines().count() == 9, "{all}");
    let output = Command::new("openssl").args(["ciphers", "-stdname", "ALL"]).output().await?;
    let known = String::from_utf8(output.stdout)?;
    for line in all.lines() {
        let [name, version, _, openssl] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            anyhow::bail!("{line:?} has not four columns");
        };
        let of_openssl = known.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found = of_openssl.into_iter().any(|words| words[0] == name && words[2] == openssl && words[3] == version);
        ensure!(found, "openssl has no such line: {line}");
    }
    let some = cli::run(&[], &["ciphers", "ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"], b"").await?.text();
    let names: Vec<_> = some.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(names == ["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"], "{some}");
    let version = cli::run(&[], &["version"], b"").await?.text();
    for words in ["TLSv1.2 to TLSv1.3", "X25519MLKEM768", "ed25519", "TLS_CHACHA20_POLY1305_SHA256"] {
        ensure!(version.contains(words) && !version.contains("0x"), "{version}");
    }
    Ok(())
}

async fn completions_are_a_script() -> Result<()> {
    let script = cli::run(&[], &["completions", "bash"], b"").await?;
    ensure!(script.code == 0 && script.text().contains("--starttls"), "{script:?}");
    let path = scratch("completions")?.join("guest-tls.bash");
    std::fs::write(&path, script.stdout)?;
    let checked = Command::new("bash").arg("-n").arg(&path).output().await?;
    ensure!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    Ok(())
}

/// Python's aiosmtpd.
async fn starttls_smtp() -> Result<()> {
    let (_server, port) = python(SMTP).await?;
    let said = talk(port, &["--starttls", "smtp"], b"EHLO a.test\r\nNOOP\r\n", "250 OK\r\n").await?;
    // It is offered no longer: it has begun.
    ensure!(said.contains("250") && !said.contains("STARTTLS"), "{said}");
    Ok(())
}

/// Dovecot, as Debian has it.
async fn starttls_imap_and_pop3() -> Result<()> {
    let folder = scratch("dovecot")?;
    let (imap, pop3) = (free_port()?, free_port()?);
    let (certificate, key) = files_of(&Kind::P256.server());
    // Its sockets need a short path.
    let base = std::env::temp_dir().join(format!("guest-tls-dovecot-{}", std::process::id()));
    std::fs::create_dir_all(&base)?;
    let base_path = base.display();
    let configuration = format!(
        "base_dir = {base_path}\nstate_dir = {base_path}\nlog_path = {base_path}/log\nprotocols = imap pop3\nlisten = 127.0.0.1\n\
         ssl = required\nssl_cert = <{certificate}\nssl_key = <{key}\nssl_dh =\npassdb {{\n  driver = static\n  args = password=x\n}}\n\
         service imap-login {{\n  inet_listener imap {{\n    port = {imap}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n\
         service pop3-login {{\n  inet_listener pop3 {{\n    port = {pop3}\n  }}\n  inet_listener pop3s {{\n    port = 0\n  }}\n}}\n"
    );
    let file = folder.join("dovecot.conf");
    std::fs::write(&file, configuration)?;
    let server = Server::start(&base, "dovecot", &["-F", "-c", &file.display().to_string()])?;
    server.listens(imap).await?;
    server.listens(pop3).await?;
    let said = talk(imap, &["--starttls", "imap"], b"a CAPABILITY\r\n", "a OK").await?;
    ensure!(said.contains("AUTH=PLAIN") && !said.contains("STARTTLS"), "{said}");
    talk(pop3, &["--starttls", "pop3"], b"CAPA\r\n", "USER").await?;
    server.stop().await
}

/// Python's pyftpdlib.
async fn starttls_ftp() -> Result<()> {
    let (_server, port) = python(FTP).await?;
    // Protection of the data connection can be set by TLS only (RFC 4217 section 9).
    talk(port, &["--starttls", "ftp"], b"PBSZ 0\r\n", "200 PBSZ=0 successful").await?;
    Ok(())
}

async fn starttls_postgres() -> Result<()> {
    let server = Postgres::start(&Settings::new(Kind::P256.server())).await?;
    let startup = b"\0\0\0\x14\0\x03\0\0user\0alice\0\0";
    talk(server.port, &["--starttls", "postgres"], startup, "requires a valid client certificate").await?;
    server.stop().await;
    let server = Postgres::start(&Settings::default()).await?;
    refused(&connect(server.port, &["--starttls", "postgres"]).await?, 1, "answered N to SSLRequest")?;
    server.stop().await;
    Ok(())
}

/// Prosody, as Debian has it.
async fn starttls_xmpp() -> Result<()> {
    let folder = scratch("prosody")?;
    let port = free_port()?;
    let (certificate, key) = files_of(&Kind::P256.server());
    let path = folder.display();
    let configuration = format!(
        "run_as_root = true\ndaemonize = false\npidfile = \"{path}/pid\"\ndata_path = \"{path}\"\nlog = \"{path}/log\"\n\
         interfaces = {{ \"127.0.0.1\" }}\nc2s_ports = {{ {port} }}\ns2s_ports = {{}}\nhttp_ports = {{}}\nhttps_ports = {{}}\n\
         modules_enabled = {{ \"tls\", \"saslauth\" }}\nmodules_disabled = {{ \"s2s\" }}\nc2s_require_encryption = true\n\
         ssl = {{ certificate = \"{certificate}\", key = \"{key}\" }}\nVirtualHost \"{SERVER_NAME}\"\n"
    );
    let file = folder.join("prosody.cfg.lua");
    std::fs::write(&file, configuration)?;
    let server = Server::start(&folder, "prosody", &["--config", &file.display().to_string(), "-F"])?;
    server.listens(port).await?;
    let header = format!(
        "<stream:stream to='{SERVER_NAME}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    );
    let said = talk(port, &["--starttls", "xmpp"], header.as_bytes(), "</stream:features>").await?;
    ensure!(said.contains("mechanism") && !said.contains("starttls"), "{said}");
    // A domain that it does not serve.
    let ended = connect(port, &["--starttls", "xmpp", "--servername", "localhost"]).await?;
    refused(&ended, 1, "stream error")?;
    server.stop().await
}

/// OpenLDAP, as Debian has it.
async fn starttls_ldap() -> Result<()> {
    let folder = scratch("slapd")?;
    let port = free_port()?;
    let (certificate, key) = files_of(&Kind::P256.server());
    let path = folder.display();
    let file = folder.join("slapd.conf");
    std::fs::write(
        &file,
        format!("pidfile {path}/pid\nTLSCertificateFile {certificate}\nTLSCertificateKeyFile {key}\n"),
    )?;
    let url = format!("ldap://127.0.0.1:{port}");
    let server = Server::start(&folder, "slapd", &["-h", &url, "-f", &file.display().to_string(), "-d", "0"])?;
    server.listens(port).await?;
    // Who are we: nobody (RFC 4532).
    let who = b"\x30\x1e\x02\x01\x02\x77\x19\x80\x171.3.6.1.4.1.4203.1.11.3";
    let said = talk(port, &["--starttls", "ldap"], who, "\x02\x01\x02\x78").await?;
    ensure!(said.starts_with('\x30'), "{said:?}");
    server.stop().await
}

/// CVE-2011-0411 and its kin, over TCP.
async fn cleartext_behind_the_word_to_go_ahead_is_refused() -> Result<()> {
    for (protocol, answers) in INJECTED {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let peer = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await?;
            for (index, answer) in answers.iter().enumerate() {
                if index > 0 {
                    ensure!(tcp.read(&mut [0; 1024]).await? > 0, "the client has gone");
                }
                tcp.write_all(answer).await?;
            }
            // Nothing of TLS comes any more.
            let mut rest = Vec::new();
            let _ = tcp.read_to_end(&mut rest).await;
            ensure!(rest.is_empty(), "the client goes on: {rest:?}");
            Ok(())
        });
        refused(&connect(port, &["--starttls", protocol]).await?, 1, "bytes in the clear came behind")?;
        within(async { peer.await? }).await.context(*protocol)?;
    }
    Ok(())
}

/// Certificates that are not accepted, with what to ask for them, and OpenSSL's name of why.
fn refusals() -> Vec<(Arc<Identity>, Vec<&'static str>, &'static str)> {
    let authority = Kind::P256.authority();
    let of = |validity| Request { issuer: Some(&authority), validity, ..Request::new(SERVER_NAME, Kind::P256) }.issue();
    vec![
        (Kind::P384.server(), vec![], "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
        (Request::new(SERVER_NAME, Kind::P256).issue(), vec![], "DEPTH_ZERO_SELF_SIGNED_CERT"),
        (of(Validity::Over), vec![], "CERT_HAS_EXPIRED"),
        (of(Validity::Later), vec![], "CERT_NOT_YET_VALID"),
        (Kind::P256.server(), vec!["--servername", "other.test"], "ERR_TLS_CERT_ALTNAME_INVALID"),
    ]
}

/// The folder of the authority of P-256.
fn folders() -> Vec<(&'static Path, &'static str)> {
    static AUTHORITY: std::sync::OnceLock<Arc<Identity>> = std::sync::OnceLock::new();
    vec![(&AUTHORITY.get_or_init(|| Kind::P256.authority()).folder, "/ca")]
}

/// `connect` to a server with the certificate of P-256. What is given last wins.
fn arguments(port: u16, more: &[&str]) -> Vec<&'static str> {
    let mut arguments =
        vec!["connect".to_string(), format!("127.0.0.1:{port}"), "--ca".into(), "/ca/certificate.pem".into()];
    if !more.contains(&"--servername") {
        arguments.extend(["--servername".into(), SERVER_NAME.into()]);
    }
    arguments.extend(more.iter().map(|word| (*word).to_string()));
    // They are few, and the tests end.
    arguments.into_iter().map(|word| &*word.leak()).collect()
}

/// Connects and says nothing.
async fn connect(port: u16, more: &[&str]) -> Result<Ended> {
    cli::run(&folders(), &arguments(port, more), b"").await
}

/// Says something and waits until the server has answered this; then ends.
async fn talk(port: u16, more: &[&str], say: &[u8], wanted: &str) -> Result<String> {
    let mut child = cli::wasmtime(&folders()).args(arguments(port, more)).spawn()?;
    let (mut input, mut output) = (child.stdin.take().context("input")?, child.stdout.take().context("output")?);
    input.write_all(say).await?;
    let mut said = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&said).into_owned();
            if text.contains(wanted) {
                return Ok(Some(text));
            }
            if output.read_buf(&mut said).await? == 0 {
                return Ok(None);
            }
        }
    };
    let answered = within(read).await;
    drop((input, output));
    let ended = within(async { Ok(child.wait_with_output().await?) }).await?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    answered?.with_context(|| {
        format!("the server never said {wanted:?}, but {:?}; {stderr}", String::from_utf8_lossy(&said))
    })
}

fn refused(ended: &Ended, code: i32, wanted: &str) -> Result<()> {
    ensure!(ended.code == code && ended.stdout.is_empty(), "code {} and not {code}: {ended:?}", ended.code);
    ensure!(ended.stderr.contains(wanted), "no {wanted:?} in {}", ended.stderr);
    Ok(())
}

/// What a command that went well says as JSON.
fn json(ended: &Ended) -> Result<Value> {
    ensure!(ended.code == 0, "code {}: {}", ended.code, ended.stderr);
    serde_json::from_slice(&ended.stdout).with_context(|| format!("no JSON: {}", ended.text()))
}

/// A server of rustls for one connection, of which this is made.
async fn of_rustls<F>(
    serve: impl FnOnce(tokio_rustls::server::TlsStream<TcpStream>) -> F + Send + 'static,
) -> Result<u16>
where
    F: Future<Output = Result<()>> + Send,
{
    let acceptor = TlsAcceptor::from(Arc::new(server_config(&Setup::server(Kind::P256))?));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await?;
        serve(acceptor.accept(tcp).await?).await
    });
    Ok(port)
}

/// A folder of this process.
fn scratch(name: &str) -> Result<PathBuf> {
    let folder = paths::scratch()?.join(format!("cli{name}"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A port that nobody has now, for servers that can't choose one by themselves.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn files_of(identity: &Identity) -> (String, String) {
    (identity.certificate_path().display().to_string(), identity.key_path().display().to_string())
}

/// A server of Python, which says its port, and ends with its input.
async fn python(script: &str) -> Result<(Peer, u16)> {
    let (certificate, key) = files_of(&Kind::P256.server());
    // Debian's own: its packages are there.
    let mut server = Peer::start("/usr/bin/python3", &["-c", script, &certificate, &key])?;
    let port = server.word_after("port ").await?.parse()?;
    Ok((server, port))
}

/// A server that is a command. It ends with this, and with this process in any case: it is a pipe that its shell waits for.
struct Server(Child);

impl Server {
    /// Starts it. The folder is removed at its end.
    fn start(folder: &Path, program: &str, arguments: &[&str]) -> Result<Server> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT])
            .arg(folder)
            .arg(program)
            .args(arguments)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Server(command.spawn()?))
    }

    /// Waits until it listens.
    async fn listens(&self, port: u16) -> Result<()> {
        let connected = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        within(connected).await.context("the server does not start (is its package of Debian's installed?)")
    }

    /// Ends it.
    async fn stop(mut self) -> Result<()> {
        self.0.stdin.take();
        within(async { Ok(self.0.wait().await.map(drop)?) }).await
    }
}

/// Runs a command until standard input ends; then the folder `$0` is removed.
const SCRIPT: &str = r#"exec 3<&0
"$@" 3<&- </dev/null &
server=$!
read -r _ <&3
kill "$server"
wait "$server"
rm -rf "$0""#;

/// What servers say, answer by answer, with more behind the last one.
const INJECTED: &[(&str, &[&[u8]])] = &[
    ("smtp", &[b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"]),
    ("imap", &[b"* OK a\r\n", b"a1 OK go\r\n* OK injected\r\n"]),
    ("pop3", &[b"+OK a\r\n", b"+OK go\r\n+OK injected\r\n"]),
    ("ftp", &[b"220 a\r\n", b"234 go\r\n230 injected\r\n"]),
    ("postgres", &[b"", b"SR\0\0\0\x08\0\0\0\0"]),
    ("ldap", &[b"", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x00"]),
];

const SMTP: &str = r#"
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP
class Handler: pass
async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), tls_context=context, loop=loop), "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], ".", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"#;

const FTP: &str = r#"
import os, sys, threading
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer
class Handler(TLS_FTPHandler):
    authorizer = DummyAuthorizer()
    certfile, keyfile = sys.argv[1], sys.argv[2]
    # More than 75 characters: it comes in an answer of two lines.
    banner = "a server for a test, which has so much to say that it does not fit into one line"
server = FTPServer(("127.0.0.1", 0), Handler)
print("port", server.address[1], ".", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
"#;
