//! `guest-tls serve` against the clients that people have: curl, `openssl s_client`, Node and rustls.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Identity, Kind, Request};
use host_tests::cli::{self, Running};
use host_tests::exchange::tally;
use host_tests::peers::Peer;
use host_tests::peers::rustls::client_config;
use host_tests::setup::{SERVER_NAME, Setup, Turn};
use host_tests::{paths, rows, table};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

fn main() {
    table::main(rows![
        "serve":
        curl_gets_files_over_tls_1_3_and_tls_1_2,
        curl_keeps_its_connection,
        head_tells_what_get_would,
        a_large_file_comes_as_it_is,
        parts_of_a_file,
        a_file_that_was_not_changed_is_not_sent,
        a_folder_is_its_index,
        nothing_leads_out_of_the_folder,
        what_begins_with_a_dot_is_not_served,
        names_may_be_encoded,
        only_get_and_head,
        content_of_a_request_is_no_request,
        requests_one_after_the_other_at_once,
        a_request_that_comes_in_pieces,
        old_and_odd_requests,
        limits_of_a_request,
        who_says_nothing_is_let_go,
        an_echo_of_ten_mebibytes,
        standard_streams,
        one_connection_has_the_standard_streams,
        clients_must_have_a_certificate,
        clients_may_have_a_certificate,
        certificates_by_name,
        an_application_protocol_in_common,
        sessions_are_resumed,
        without_tickets_an_instance_resumes_its_own_sessions,
        instances_with_the_same_ticket_keys_resume_each_others_sessions,
        who_knows_the_older_ticket_keys_takes_their_sessions,
        what_is_wrong_with_a_file_is_said,
        a_stop_waits_for_a_download,
        nobody_has_to_read_standard_error,
    ]);
}

async fn curl_gets_files_over_tls_1_3_and_tls_1_2() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    for (version, options) in [("TLSv1.3", &["--tlsv1.3"][..]), ("TLSv1.2", &["--tls-max", "1.2"])] {
        let got = server.curl(&[options, &["-D", "-", "/hello.txt"]].concat()).await?;
        let (head, body) = got.split_once("\r\n\r\n").context("no end of the head")?;
        ensure!(body == "Hello.\n", "{version}: {got}");
        ensure!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{version}: {got}");
        for line in [
            "Content-Type: text/plain; charset=utf-8",
            "Content-Length: 7",
            "Accept-Ranges: bytes",
            "X-Content-Type-Options: nosniff",
        ] {
            ensure!(head.lines().any(|other| other == line), "{version}: no {line} in {got}");
        }
        ensure!(head.contains("\r\nDate: ") && head.contains("\r\nLast-Modified: "), "{version}: {got}");
    }
    // curl offers h2 and http/1.1 by itself.
    let said = server.end().await?;
    for version in ["TLSv1.3, TLS_", "TLSv1.2, TLS_ECDHE_ECDSA_"] {
        let line = said.lines().find(|line| line.contains(version)).with_context(|| format!("no {version}: {said}"))?;
        ensure!(line.ends_with(", for server.test, ALPN http/1.1"), "{line}");
    }
    Ok(())
}

async fn curl_keeps_its_connection() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let got = server.curl(&["-w", "%{num_connects}\n", "/hello.txt", "/nothing", "/hello.txt"]).await?;
    ensure!(got == "Hello.\n1\n404 Not Found\n0\nHello.\n0\n", "{got}");
    server.end().await?;
    Ok(())
}

async fn head_tells_what_get_would() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let got = server.curl(&["-I", "/page.html"]).await?;
    ensure!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("\r\n\r\n"), "{got}");
    ensure!(got.contains("\r\nContent-Length: 20\r\n") && got.contains("\r\nContent-Type: text/html; "), "{got}");
    // A second request on the connection: what came after the head would be taken for its answer.
    let got = server
        .curl(&["-I", "-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null", "/hello.txt", "/nothing"])
        .await?;
    ensure!(got.ends_with("404 0\n"), "{got}");
    server.end().await?;
    Ok(())
}

async fn a_large_file_comes_as_it_is() -> Result<()> {
    let site = Site::new()?;
    let large = bytes(30 << 20);
    std::fs::write(site.folder.join("large.bin"), &large)?;
    let server = Server::of(&site).await?;
    let got = server.curl_bytes(&["/large.bin"]).await?;
    ensure!(tally(&got) == tally(&large), "{} bytes came", got.len());
    let got = server.curl_bytes(&["--tls-max", "1.2", "-r", "1000000-20999999", "/large.bin"]).await?;
    ensure!(tally(&got) == tally(&large[1_000_000..21_000_000]), "{} bytes came", got.len());
    server.end().await?;
    Ok(())
}

async fn parts_of_a_file() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    // hello.txt has 7 bytes.
    for (range, status, part, body) in [
        ("bytes=0-0", 206, "bytes 0-0/7", "H"),
        ("bytes=1-4", 206, "bytes 1-4/7", "ello"),
        ("bytes=5-", 206, "bytes 5-6/7", ".\n"),
        ("bytes=-3", 206, "bytes 4-6/7", "o.\n"),
        ("bytes=-99", 206, "bytes 0-6/7", "Hello.\n"),
        ("Bytes=3-99", 206, "bytes 3-6/7", "lo.\n"),
        ("bytes=0-18446744073709551615", 206, "bytes 0-6/7", "Hello.\n"),
        ("bytes=7-", 416, "bytes */7", "416 Range Not Satisfiable\n"),
        ("bytes=-0", 416, "bytes */7", "416 Range Not Satisfiable\n"),
        // Those that are none, or several, are as good as not there.
        ("bytes=4-1", 200, "", "Hello.\n"),
        ("bytes=0-1,3-4", 200, "", "Hello.\n"),
        ("bytes=+1-3", 200, "", "Hello.\n"),
        ("bytes=-", 200, "", "Hello.\n"),
        ("lines=0-1", 200, "", "Hello.\n"),
        ("bytes=0-99999999999999999999", 200, "", "Hello.\n"),
    ] {
        let header = format!("Range: {range}");
        let got = server.curl(&["-H", &header, "-D", "-", "/hello.txt"]).await?;
        let (head, came) = got.split_once("\r\n\r\n").context("no end of the head")?;
        ensure!(head.starts_with(&format!("HTTP/1.1 {status} ")) && came == body, "{range}: {got}");
        let field = head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap_or_default();
        ensure!(field == part, "{range}: {got}");
    }
    let modified = server.header("/hello.txt", "Last-Modified").await?;
    for (date, body) in
        [(modified.as_str(), "ello"), ("Sun, 06 Nov 1994 08:49:37 GMT", "Hello.\n"), ("\"tag\"", "Hello.\n")]
    {
        let header = format!("If-Range: {date}");
        let got = server.curl(&["-r", "1-4", "-H", &header, "/hello.txt"]).await?;
        ensure!(got == body, "{date}: {got}");
    }
    server.end().await?;
    Ok(())
}

async fn a_file_that_was_not_changed_is_not_sent() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let modified = server.header("/hello.txt", "Last-Modified").await?;
    for (header, status) in [
        (format!("If-Modified-Since: {modified}"), 304),
        ("If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT".to_string(), 304),
        ("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT".to_string(), 200),
        ("If-Modified-Since: yesterday".to_string(), 200),
        ("If-None-Match: *".to_string(), 304),
        ("If-None-Match: \"tag\"".to_string(), 200),
    ] {
        let got =
            server.curl(&["-H", &header, "-w", "%{http_code} %{num_connects}\n", "/hello.txt", "/hello.txt"]).await?;
        let body = if status == 200 { "Hello.\n" } else { "" };
        ensure!(got == format!("{body}{status} 1\n{body}{status} 0\n"), "{header}: {got}");
    }
    server.end().await?;
    Ok(())
}

async fn a_folder_is_its_index() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    for (path, wanted) in [
        ("/", "<p>The index.</p>\n200 "),
        ("/sub/", "<p>Below.</p>\n200 "),
        ("/sub/?query", "<p>Below.</p>\n200 "),
        ("/empty/", "404 Not Found\n404 "),
        ("/hello.txt/", "404 Not Found\n404 "),
        ("/sub?a=b", "301 Moved Permanently\n301 /sub/?a=b"),
        ("/with%20space", "301 Moved Permanently\n301 /with%20space/"),
        // Not to another host.
        ("//sub", "301 Moved Permanently\n301 /sub/"),
    ] {
        let got = server.curl(&["--path-as-is", "-w", "%{http_code} %header{location}", path]).await?;
        ensure!(got == wanted, "{path}: {got}");
    }
    server.end().await?;
    Ok(())
}

async fn nothing_leads_out_of_the_folder() -> Result<()> {
    let site = Site::new()?;
    // Beside the folder, where the host lets the program read.
    std::fs::write(site.root.join("secret.txt"), "secret")?;
    std::os::unix::fs::symlink("../secret.txt", site.folder.join("link.txt"))?;
    std::os::unix::fs::symlink("..", site.folder.join("up"))?;
    std::os::unix::fs::symlink("hello.txt", site.folder.join("inside.txt"))?;
    let server = Server::of(&site).await?;
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "//../secret.txt",
        "/./../secret.txt",
        "/link.txt",
        "/up/secret.txt",
        "/secret.txt%00.html",
        "/hello.txt%00",
        "/..;/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/site/../secret.txt",
    ] {
        let got = server.curl(&["--path-as-is", "-w", "%{http_code}", path]).await?;
        ensure!(!got.contains("secret") && (got.ends_with("\n404") || got.ends_with("\n400")), "{path}: {got}");
    }
    let got = server.curl(&["/inside.txt"]).await?;
    ensure!(got == "Hello.\n", "a link inside: {got}");
    server.end().await?;
    Ok(())
}

async fn what_begins_with_a_dot_is_not_served() -> Result<()> {
    let site = Site::new()?;
    std::fs::write(site.folder.join(".env"), "secret")?;
    std::fs::create_dir_all(site.folder.join(".git"))?;
    std::fs::write(site.folder.join(".git/config"), "secret")?;
    std::fs::create_dir_all(site.folder.join(".well-known"))?;
    std::fs::write(site.folder.join(".well-known/security.txt"), "public")?;
    let server = Server::of(&site).await?;
    for path in ["/.env", "/.git/config", "/%2egit/config", "/sub/.well-known/x"] {
        let got = server.curl(&["-w", "%{http_code}", path]).await?;
        ensure!(got == "404 Not Found\n404", "{path}: {got}");
    }
    let got = server.curl(&["/.well-known/security.txt"]).await?;
    ensure!(got == "public", "{got}");
    server.end().await?;
    Ok(())
}

async fn names_may_be_encoded() -> Result<()> {
    let site = Site::new()?;
    std::fs::write(site.folder.join("grün & blau?.txt"), "colours")?;
    let server = Server::of(&site).await?;
    let got = server.curl(&["/gr%C3%BCn%20%26%20blau%3F.txt"]).await?;
    ensure!(got == "colours", "{got}");
    for path in ["/%", "/%4", "/%zz", "/%ff"] {
        let got = server.curl(&["-w", "%{http_code}", path]).await?;
        ensure!(got == "400 Bad Request\n400", "{path}: {got}");
    }
    server.end().await?;
    Ok(())
}

async fn only_get_and_head() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    for method in ["OPTIONS", "DELETE", "TRACE", "PROPFIND", "get"] {
        let got = server.curl(&["-X", method, "-D", "-", "/hello.txt"]).await?;
        ensure!(got.starts_with("HTTP/1.1 405 ") && got.contains("\r\nAllow: GET, HEAD\r\n"), "{method}: {got}");
    }
    let upload = site.root.join("upload");
    std::fs::write(&upload, bytes(1 << 20))?;
    let upload = upload.display().to_string();
    let got = server.curl(&["-T", &upload, "-w", "%{http_code}", "/hello.txt"]).await?;
    ensure!(got.ends_with("405 Method Not Allowed\n405"), "{got}");
    server.end().await?;
    Ok(())
}

async fn content_of_a_request_is_no_request() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let hidden = "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n";
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", hidden.len()), 413),
        (format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", hidden.len()), 405),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_string(), 413),
        ("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\nContent-Length: 0\r\n\r\n".to_string(), 413),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_string(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 42\r\n\r\n".to_string(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 42\r\n\r\n".to_string(), 400),
    ] {
        let got = server.ask(&[&head, hidden]).await?;
        ensure!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{got}");
        ensure!(got.matches("HTTP/1.1").count() == 1 && got.contains("\r\nConnection: close\r\n"), "{head}{got}");
    }
    server.end().await?;
    Ok(())
}

async fn requests_one_after_the_other_at_once() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let mut requests = String::new();
    for index in 0..300 {
        let path = ["/hello.txt", "/page.html", "/nothing"][index % 3];
        requests += &format!("{} {path} HTTP/1.1\r\nHost: x\r\n\r\n", ["GET", "GET", "HEAD"][index % 3]);
    }
    requests += "GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let got = server.ask(&[&requests]).await?;
    let count = |what: &str| got.matches(what).count();
    ensure!((count("HTTP/1.1 200 OK\r\n"), count("HTTP/1.1 404 Not Found\r\n")) == (201, 100), "{got}");
    ensure!((count("\r\n\r\nHello.\n"), count("\r\n\r\n<p>A whole page.</p>")) == (101, 100), "{got}");
    ensure!(count("\r\n\r\n404") == 0 && count("Connection: close\r\n") == 1, "{got}");
    server.end().await?;
    Ok(())
}

async fn a_request_that_comes_in_pieces() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let request = "\r\nGET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let pieces: Vec<&str> = (0..request.len()).map(|at| &request[at..=at]).collect();
    let got = server.ask(&pieces).await?;
    ensure!(got.starts_with("HTTP/1.1 200 OK\r\n") && got.ends_with("\r\n\r\nHello.\n"), "{got}");
    server.end().await?;
    Ok(())
}

async fn old_and_odd_requests() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    for (request, wanted) in [
        ("GET /hello.txt HTTP/1.0\r\n\r\n", "200 OK"),
        ("GET https://server.test/hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200 OK"),
        ("GET https://server.test HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive, Close\r\n\r\n", "200 OK"),
        ("GET /hello.txt HTTP/1.1\r\nConnection: close\r\n\r\n", "400 Bad Request"),
        ("GET /hello.txt HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400 Bad Request"),
        ("GET hello.txt HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"),
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"),
        ("GET /hello.txt HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "400 Bad Request"),
        ("GET /hello.txt\r\n\r\n", "400 Bad Request"),
        ("GET /hello.txt FTP/1.1\r\n\r\n", "400 Bad Request"),
        ("\x16\x03\x01\r\n\r\n", "400 Bad Request"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported"),
        ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        let got = server.ask(&[request]).await?;
        ensure!(got.starts_with(&format!("HTTP/1.1 {wanted}\r\n")), "{request}{got}");
        ensure!(got.contains("\r\nConnection: close\r\n"), "{request}{got}");
    }
    let kept = "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let got = server.ask(&[kept, kept, "GET /hello.txt HTTP/1.0\r\n\r\n"]).await?;
    ensure!(got.matches("\r\nConnection: keep-alive\r\n").count() == 2 && got.matches("Hello.").count() == 3, "{got}");
    server.end().await?;
    Ok(())
}

async fn limits_of_a_request() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let begin = "GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let (many, more) = ("A: b\r\n".repeat(62), "A: b\r\n".repeat(63));
    let large = |bytes| format!("{begin}A: {}\r\n\r\n", "b".repeat(bytes - begin.len() - 7));
    for (request, status) in [
        (format!("{begin}{many}\r\n"), 200),
        (format!("{begin}{more}\r\n"), 431),
        (large(16 * 1024), 200),
        (large(16 * 1024 + 1), 431),
        (large(1024 * 1024), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(17_000)), 414),
    ] {
        let got = server.ask(&[&request]).await?;
        let start: String = request.chars().take(80).collect();
        ensure!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{} bytes, {start}: {got}", request.len());
    }
    server.end().await?;
    Ok(())
}

async fn who_says_nothing_is_let_go() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(&site, &["--www", "/site", "--idle-timeout", "1", "--handshake-timeout", "1"]).await?;
    // Before the handshake, after it, after an answer, and within a request.
    let begun = Instant::now();
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port)).await?;
    tcp.read_to_end(&mut Vec::new()).await?;
    ensure!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for (said, wanted) in
        [("", ""), ("GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"), ("GET /hello.txt HT", "")]
    {
        let begun = Instant::now();
        let got = server.ask(&[said]).await?;
        let took = begun.elapsed();
        ensure!(got.starts_with(wanted) && got.is_empty() == wanted.is_empty(), "{said}: {got}");
        ensure!(took > Duration::from_millis(900) && took < Duration::from_secs(10), "{said}: {took:?}");
    }
    server.end().await?;
    Ok(())
}

async fn an_echo_of_ten_mebibytes() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(&site, &["--echo"]).await?;
    for peer in [Peer::Rustls, Peer::Node] {
        let setup = Setup { bytes: 10 << 20, turn: Turn::WhenAllCame, ..Setup::client(Kind::P256) };
        let report = peer.connect(&setup, server.port).await?;
        ensure!(report.failure.is_none() && report.sent.bytes == 10 << 20, "{}: {report:?}", peer.name());
        ensure!(report.received == report.sent, "{}: {report:?}", peer.name());
    }
    server.end().await?;
    Ok(())
}

async fn standard_streams() -> Result<()> {
    let site = Site::new()?;
    let mut server = Server::start(&site, &["--pipe"]).await?;
    let (ours, theirs) = (bytes(3_000_000), bytes(2_000_001));
    let mut stdin = server.running.stdin.take().context("no standard input")?;
    let sent = ours.clone();
    let feed = tokio::spawn(async move {
        stdin.write_all(&sent).await?;
        stdin.shutdown().await
    });
    let mut connection = server.connect().await?;
    let port = server.port;
    let came = tokio::spawn(server.running.ended());
    let (mut reader, mut writer) = tokio::io::split(&mut connection);
    let mut got = Vec::new();
    let write = async {
        writer.write_all(&theirs).await?;
        writer.shutdown().await
    };
    let (read, written) = tokio::join!(reader.read_to_end(&mut got), write);
    read?;
    written?;
    feed.await??;
    ensure!(tally(&got) == tally(&ours), "{} bytes came from standard input", got.len());
    let ended = came.await??;
    ensure!(ended.code == 0 && tally(&ended.stdout) == tally(&theirs), "{}: {}", ended.code, ended.stderr);
    ensure!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "it still listens");
    Ok(())
}

async fn one_connection_has_the_standard_streams() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(&site, &["--pipe"]).await?;
    // Who does not get through the handshake does not count.
    let failed = server.s_client(&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "").await?;
    ensure!(!failed.contains("Cipher is ECDHE"), "{failed}");
    let mut first = server.connect().await?;
    first.write_all(b"first").await?;
    let mut second = server.connect().await?;
    // The end comes without close_notify: nothing was said.
    let end = second.read(&mut [0; 16]).await;
    ensure!(!matches!(end, Ok(1..)), "the second one got something: {end:?}");
    first.shutdown().await?;
    let ended = server.running.stop().await?;
    ensure!(ended.code == 0 && ended.stdout == b"first", "{ended:?}");
    ensure!(ended.stderr.contains("another connection has the standard streams"), "{}", ended.stderr);
    Ok(())
}

async fn clients_must_have_a_certificate() -> Result<()> {
    let site = Site::new()?;
    let server = Server::start(&site, &["--www", "/site", "--client-ca", "/ca/certificate.pem"]).await?;
    // RFC 8446 section 4.4.2.4, RFC 5246 section 7.4.6.
    for (version, alert) in [("-tls1_3", "alert certificate required"), ("-tls1_2", "alert handshake failure")] {
        let got = server.s_client(&[version], GET).await?;
        ensure!(got.contains(alert) && !got.contains("Hello."), "{version}, none: {got}");
        let own = certificate(&Kind::P384.client());
        let got = server.s_client(&with(&own, version), GET).await?;
        ensure!(got.contains("Hello."), "{version}: {got}");
        let other = certificate(&Kind::P256.client());
        let got = server.s_client(&with(&other, version), GET).await?;
        ensure!(got.contains("alert unknown ca") && !got.contains("Hello."), "{version}, another authority: {got}");
    }
    let said = server.end().await?;
    let lines = said.lines().filter(|line| line.ends_with(", client O=guest-tls, CN=client.test")).count();
    ensure!(lines == 2, "{said}");
    Ok(())
}

async fn clients_may_have_a_certificate() -> Result<()> {
    let site = Site::new()?;
    let options = ["--www", "/site", "--client-ca", "/ca/certificate.pem", "--client-cert", "optional"];
    let server = Server::start(&site, &options).await?;
    for version in ["-tls1_3", "-tls1_2"] {
        let got = server.s_client(&[version], GET).await?;
        ensure!(got.contains("Hello."), "{version}, none: {got}");
        let own = certificate(&Kind::P384.client());
        let got = server.s_client(&with(&own, version), GET).await?;
        ensure!(got.contains("Hello."), "{version}: {got}");
        // One that does not verify is worse than none.
        let other = certificate(&Kind::P256.client());
        let got = server.s_client(&with(&other, version), GET).await?;
        ensure!(!got.contains("Hello."), "{version}, another authority: {got}");
    }
    let said = server.end().await?;
    ensure!(said.matches("client O=guest-tls, CN=client.test").count() == 2, "{said}");
    Ok(())
}

async fn certificates_by_name() -> Result<()> {
    let site = Site::new()?;
    let authority = Kind::P384.authority();
    let issue = |name: &str, alt_names: &str| {
        Request { alt_names, issuer: Some(&authority), ..Request::new(name, Kind::P384) }.issue()
    };
    let (wild, exact) = (issue("wild", "DNS:*.wild.test"), issue("exact", "DNS:exact.wild.test"));
    for (identity, name) in [(wild, "wild.pem"), (exact, "exact.pem")] {
        // Certificate and key in one file.
        std::fs::write(site.root.join(name), format!("{}{}", identity.full_chain(), identity.key))?;
    }
    let options = ["--www", "/site", "--sni", "*.wild.test=/root/wild.pem", "--sni", "exact.wild.test=/root/exact.pem"];
    let server = Server::start(&site, &options).await?;
    for (asked, subject) in [
        ("a.wild.test", "CN = wild"),
        ("B.WILD.test", "CN = wild"),
        ("exact.wild.test", "CN = exact"),
        ("b.a.wild.test", "CN = server.test"),
        ("wild.test", "CN = server.test"),
        ("server.test", "CN = server.test"),
    ] {
        for version in ["-tls1_3", "-tls1_2"] {
            let got = server.s_client_for(Some(asked), &[version], GET).await?;
            let line = got.lines().find(|line| line.starts_with("subject=")).with_context(|| got.clone())?;
            ensure!(line.ends_with(subject) && got.contains("Hello."), "{asked}, {version}: {got}");
        }
    }
    let got = server.s_client_for(None, &[], GET).await?;
    ensure!(got.contains("CN = server.test\n") && got.contains("Hello."), "no name: {got}");
    server.end().await?;
    Ok(())
}

async fn an_application_protocol_in_common() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    let got = server.s_client(&["-alpn", "h2,http/1.1"], GET).await?;
    ensure!(got.contains("ALPN protocol: http/1.1\n") && got.contains("Hello."), "{got}");
    let got = server.s_client(&[], GET).await?;
    ensure!(got.contains("No ALPN negotiated\n") && got.contains("Hello."), "{got}");
    let got = server.s_client(&["-alpn", "h2"], GET).await?;
    ensure!(got.contains("alert no application protocol") && !got.contains("Hello."), "{got}");
    server.end().await?;
    let server = Server::start(&site, &["--echo", "--alpn", "second,first"]).await?;
    let got = server.s_client(&["-alpn", "first,second"], "").await?;
    ensure!(got.contains("ALPN protocol: second\n"), "{got}");
    server.end().await?;
    Ok(())
}

async fn sessions_are_resumed() -> Result<()> {
    let site = Site::new()?;
    let server = Server::of(&site).await?;
    for version in ["-tls1_3", "-tls1_2"] {
        let session = site.root.join("session").display().to_string();
        ensure!(!is_resumed(&server.s_client(&[version, "-sess_out", &session], GET).await?)?, "{version}");
        ensure!(is_resumed(&server.s_client(&[version, "-sess_in", &session], GET).await?)?, "{version}");
    }
    let said = server.end().await?;
    ensure!(said.matches(", resumed, ").count() == 2, "{said}");
    Ok(())
}

async fn without_tickets_an_instance_resumes_its_own_sessions() -> Result<()> {
    let site = Site::new()?;
    std::fs::write(site.root.join("keys"), bytes(48))?;
    let options = ["--www", "/site", "--ticket-keys", "/root/keys"];
    let sealed = Server::start(&site, &options).await?;
    let off = [&options[..], &["--tickets", "off"]].concat();
    let (one, other) = (Server::start(&site, &off).await?, Server::start(&site, &off).await?);
    let session = site.root.join("session").display().to_string();
    for (from, to, resumes) in [(&one, &one, true), (&one, &other, false), (&sealed, &one, false)] {
        from.s_client(&["-tls1_2", "-sess_out", &session], GET).await?;
        let got = to.s_client(&["-tls1_2", "-sess_in", &session], GET).await?;
        ensure!(is_resumed(&got)? == resumes, "{got}");
    }
    // TLS 1.3 has nothing but tickets (RFC 8446 section 4.6.1): there is no session to write.
    std::fs::remove_file(&session)?;
    one.s_client(&["-tls1_3", "-sess_out", &session], GET).await?;
    ensure!(!Path::new(&session).exists(), "a session of TLS 1.3 came without tickets");
    for server in [sealed, one, other] {
        server.end().await?;
    }
    Ok(())
}

async fn instances_with_the_same_ticket_keys_resume_each_others_sessions() -> Result<()> {
    let site = Site::new()?;
    std::fs::write(site.root.join("keys"), bytes(48))?;
    let options = ["--www", "/site", "--ticket-keys", "/root/keys"];
    let (one, other) = (Server::start(&site, &options).await?, Server::start(&site, &options).await?);
    let stranger = Server::of(&site).await?;
    for version in ["-tls1_3", "-tls1_2"] {
        for (from, to, resumes) in [(&one, &other, true), (&other, &one, true), (&one, &stranger, false)] {
            let session = site.root.join("session").display().to_string();
            from.s_client(&[version, "-sess_out", &session], GET).await?;
            let got = to.s_client(&[version, "-sess_in", &session], GET).await?;
            ensure!(is_resumed(&got)? == resumes && got.contains("Hello."), "{version}: {got}");
        }
    }
    for server in [one, other, stranger] {
        server.end().await?;
    }
    Ok(())
}

async fn who_knows_the_older_ticket_keys_takes_their_sessions() -> Result<()> {
    let site = Site::new()?;
    let (old, new) = (bytes(48), bytes(96)[48..].to_vec());
    std::fs::write(site.root.join("old"), &old)?;
    std::fs::write(site.root.join("both"), [&new[..], &old].concat())?;
    std::fs::write(site.root.join("new"), &new)?;
    let start = async |keys| Server::start(&site, &["--www", "/site", "--ticket-keys", keys]).await;
    let (before, between, after) = (start("/root/old").await?, start("/root/both").await?, start("/root/new").await?);
    let session = site.root.join("session").display().to_string();
    before.s_client(&["-sess_out", &session], GET).await?;
    ensure!(is_resumed(&between.s_client(&["-sess_in", &session], GET).await?)?, "it does not know the older key");
    between.s_client(&["-sess_out", &session], GET).await?;
    ensure!(is_resumed(&after.s_client(&["-sess_in", &session], GET).await?)?, "it does not seal with the newer key");
    for server in [before, between, after] {
        server.end().await?;
    }
    Ok(())
}

async fn what_is_wrong_with_a_file_is_said() -> Result<()> {
    let site = Site::new()?;
    std::fs::write(site.root.join("short"), bytes(47))?;
    std::fs::write(site.root.join("bad.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")?;
    let own = ["--cert", "/own/certificate.pem", "--key", "/own/key.pem"];
    for (options, code, wanted) in [
        (&[&own[..], &["--www", "/nowhere"]].concat(), 3, "--www /nowhere: "),
        (&[&own[..], &["--www", "/site/hello.txt"]].concat(), 3, "--www /site/hello.txt: "),
        (&[&own[..], &["--ticket-keys", "/root/short"]].concat(), 3, "/root/short: ticket keys are 48 random bytes"),
        (&vec!["--cert", "/root/bad.pem", "--key", "/own/key.pem"], 3, "/root/bad.pem: "),
        (&vec!["--cert", "/own/certificate.pem", "--key", "/own/none.pem"], 3, "can't read /own/none.pem: "),
        (&vec![], 2, "a server needs a certificate"),
        (&[&own[..], &["--www", "/site", "--echo"]].concat(), 2, "cannot be used with"),
        (&[&own[..], &["--pipe", "--until-stdin-ends"]].concat(), 2, "standard input is what --pipe sends"),
    ] {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], &options[..]].concat();
        let ended = cli::run(&site.folders(), &arguments, b"").await?;
        ensure!(ended.code == code && ended.stderr.contains(wanted), "{options:?}: {}: {}", ended.code, ended.stderr);
    }
    Ok(())
}

async fn a_stop_waits_for_a_download() -> Result<()> {
    let site = Site::new()?;
    let large = bytes(20 << 20);
    std::fs::write(site.folder.join("large.bin"), &large)?;
    let server = Server::start(&site, &["--www", "/site", "--grace", "30"]).await?;
    // One that has nothing to say, and one that reads slowly at first.
    let idle = server.connect().await?;
    let mut busy = server.connect().await?;
    busy.write_all(b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    let mut got = vec![0; 1000];
    busy.read_exact(&mut got).await?;
    let begun = Instant::now();
    let ended = tokio::spawn(server.running.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    busy.read_to_end(&mut got).await?;
    let body = got.windows(4).position(|end| end == b"\r\n\r\n").context("no end of the head")? + 4;
    ensure!(tally(&got[body..]) == tally(&large), "{} bytes came", got.len() - body);
    let ended = ended.await??;
    ensure!(ended.code == 0 && begun.elapsed() < Duration::from_secs(20), "{:?}: {}", begun.elapsed(), ended.stderr);
    drop(idle);
    Ok(())
}

async fn nobody_has_to_read_standard_error() -> Result<()> {
    let site = Site::new()?;
    let mut command = cli::wasmtime(&site.folders());
    command.args(["serve", "--listen", "127.0.0.1:0", "--www", "/site", "--until-stdin-ends"]);
    let mut child = command.args(["--cert", "/own/certificate.pem", "--key", "/own/key.pem"]).spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("no standard error")?).lines();
    let line = stderr.next_line().await?.context("it says nothing")?;
    let port = line.rsplit(':').next().unwrap_or_default().parse()?;
    drop(stderr);
    // Each of them would be told there.
    for _ in 0..3 {
        let got = ask(port, &["GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]).await?;
        ensure!(got.ends_with("Hello.\n"), "{got}");
    }
    drop(child.stdin.take());
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait()).await.context("it does not end")??;
    ensure!(ended.code() == Some(0), "{ended}");
    Ok(())
}

/// A folder that is served, within one that the program may read.
struct Site {
    root: PathBuf,
    folder: PathBuf,
    own: Arc<Identity>,
    ca: Arc<Identity>,
}

impl Site {
    fn new() -> Result<Site> {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = paths::scratch()?.join(format!("site-{count}"));
        let folder = root.join("site");
        for name in ["sub", "empty", "with space"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        for (name, content) in [
            ("hello.txt", "Hello.\n"),
            ("page.html", "<p>A whole page.</p>"),
            ("index.html", "<p>The index.</p>\n"),
            ("sub/index.html", "<p>Below.</p>\n"),
        ] {
            std::fs::write(folder.join(name), content)?;
        }
        Ok(Site { root, folder, own: Kind::P256.server(), ca: Kind::P384.authority() })
    }

    fn folders(&self) -> Vec<(&Path, &'static str)> {
        vec![
            (&self.root, "/root"),
            (&self.folder, "/site"),
            (&self.own.folder, "/own"),
            // Whom clients have their certificates from.
            (&self.ca.folder, "/ca"),
        ]
    }
}

/// A server in a process of its own, with a certificate of P-256.
struct Server {
    running: Running,
    port: u16,
    root: PathBuf,
}

impl Server {
    /// One that serves the site.
    async fn of(site: &Site) -> Result<Server> {
        // By the folder around it, so that the rest of that is within reach of the program, and nothing but its care is in between.
        Server::start(site, &["--www", "/root/site"]).await
    }

    async fn start(site: &Site, options: &[&str]) -> Result<Server> {
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0"];
        arguments.extend(["--cert", "/own/certificate.pem", "--key", "/own/key.pem"]);
        if !options.contains(&"--pipe") {
            arguments.push("--until-stdin-ends");
        }
        arguments.extend(options);
        let mut running = Running::start(&site.folders(), &arguments)?;
        let port = running.port().await?;
        Ok(Server { running, port, root: site.root.clone() })
    }

    /// Stops it, and gives what it said.
    async fn end(self) -> Result<String> {
        let ended = self.running.stop().await?;
        ensure!(ended.code == 0, "exit code {}: {}", ended.code, ended.stderr);
        Ok(ended.stderr)
    }

    /// What curl prints when it gets these; those that begin with a slash and are no files are paths of ours.
    async fn curl(&self, arguments: &[&str]) -> Result<String> {
        Ok(String::from_utf8(self.curl_bytes(arguments).await?)?)
    }

    async fn curl_bytes(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut curl = Command::new("curl");
        let authority = Kind::P256.authority().certificate_path();
        curl.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", "--cacert"]).arg(authority);
        curl.args(["--resolve", &format!("{SERVER_NAME}:{}:127.0.0.1", self.port)]);
        let root = self.root.display().to_string();
        for argument in arguments {
            let is_path = argument.starts_with('/') && *argument != "/dev/null" && !argument.starts_with(&root);
            match is_path {
                true => curl.arg(format!("https://{SERVER_NAME}:{}{argument}", self.port)),
                false => curl.arg(argument),
            };
        }
        let output = curl.stdin(Stdio::null()).kill_on_drop(true).output().await.context("curl does not start")?;
        let wrong = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "curl {arguments:?}: {}: {wrong}\n{}", output.status, self.running.said());
        Ok(output.stdout)
    }

    /// A field of the head of what is at a path.
    async fn header(&self, path: &str, name: &str) -> Result<String> {
        let head = self.curl(&["-I", path]).await?;
        let value = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Ok(value.with_context(|| format!("no {name} in {head}"))?.to_string())
    }

    /// A connection of rustls.
    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        connect(self.port).await
    }

    /// All that the server says when it is told this, piece by piece.
    async fn ask(&self, pieces: &[&str]) -> Result<String> {
        ask(self.port, pieces).await.with_context(|| self.running.said())
    }

    async fn s_client(&self, options: &[&str], input: &str) -> Result<String> {
        self.s_client_for(Some(SERVER_NAME), options, input).await
    }

    /// All that `openssl s_client` prints, when it asks for this name and is given this to send.
    async fn s_client_for(&self, name: Option<&str>, options: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port), "-nocommands"]);
        match name {
            Some(name) => command.args(["-servername", name]),
            None => command.arg("-noservername"),
        };
        if !input.is_empty() {
            // It would go at the end of its input; the answer is not there then.
            command.arg("-ign_eof");
        }
        command.args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("openssl does not start")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        // Where the handshake failed, nobody reads it.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let output = output.context("s_client does not end")??;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

async fn connect(port: u16) -> Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(client_config(&Setup::client(Kind::P256))?));
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from(SERVER_NAME)?.to_owned(), tcp).await?)
}

async fn ask(port: u16, pieces: &[&str]) -> Result<String> {
    let mut connection = connect(port).await?;
    let (mut reader, mut writer) = tokio::io::split(&mut connection);
    let mut got = Vec::new();
    let write = async {
        for piece in pieces {
            // It may have said all that it will, and gone.
            if writer.write_all(piece.as_bytes()).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
    };
    let talk = async { tokio::join!(reader.read_to_end(&mut got), write) };
    let (read, ()) = tokio::time::timeout(Duration::from_secs(60), talk).await.context("there is no end")?;
    // An end without close_notify would be an error here.
    read.with_context(|| String::from_utf8_lossy(&got).into_owned())?;
    Ok(String::from_utf8(got)?)
}

/// The options of a client with this certificate.
fn certificate(identity: &Identity) -> [String; 4] {
    let path = |path: PathBuf| path.display().to_string();
    ["-cert".to_string(), path(identity.certificate_path()), "-key".to_string(), path(identity.key_path())]
}

fn with<'a>(options: &'a [String], more: &'a str) -> Vec<&'a str> {
    options.iter().map(String::as_str).chain([more]).collect()
}

/// Whether s_client says that its session was resumed; an error where it has none.
fn is_resumed(said: &str) -> Result<bool> {
    ensure!(said.contains("Hello."), "nothing came: {said}");
    let line = said.lines().find(|line| line.contains(", Cipher is ")).with_context(|| said.to_string())?;
    ensure!(!line.contains("(NONE)"), "{said}");
    Ok(line.starts_with("Reused, "))
}

/// So many bytes that look like nothing in particular.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..count).map(next).collect()
}

const GET: &str = "GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
