//! The example `https`: its server with curl, its client with `openssl s_server` and with its server.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

#[tokio::test]
async fn curl_gets_pages_and_posts() -> Result<()> {
    let (_server, url) = serve().await?;
    let http2 = has_http2().await?;
    let page = curl(&[&url, "--http1.1"]).await?;
    ensure!(page.starts_with("GET / over HTTP/1.1, TLS_CHACHA20_POLY1305_SHA256, X25519"), "{page}");
    if http2 {
        let page = curl(&[&url, "--http2"]).await?;
        ensure!(page.starts_with("GET / over HTTP/2.0, "), "{page}");
    }
    let page = curl(&[&url, "--tls-max", "1.2"]).await?;
    ensure!(page.contains("TLS_ECDHE_ECDSA_WITH_"), "{page}");
    // A body that is larger than all buffers together, both ways.
    let body = "0123456789abcdef".repeat(1 << 16);
    let file = host_tests::paths::scratch()?.join("body");
    std::fs::write(&file, &body)?;
    let back = curl(&[&url, "--data-binary", &format!("@{}", file.display())]).await?;
    ensure!(back == body, "{} bytes came back", back.len());
    // Two requests over one connection, and two connections at once.
    let (twice, once) = ([url.as_str(), &url], [url.as_str()]);
    let (one, two) = tokio::join!(curl(&twice), curl(&once));
    ensure!(one?.lines().count() == 2 && two?.lines().count() == 1, "a request was lost");
    Ok(())
}

#[tokio::test]
async fn it_gets_a_page_from_itself_by_http2() -> Result<()> {
    let (_server, url) = serve().await?;
    let (head, page) = get(&format!("{url}path?query")).await?;
    ensure!(head.starts_with("HTTP/2.0 200"), "{head}");
    ensure!(page.starts_with("GET /path over HTTP/2.0, TLS_CHACHA20_POLY1305_SHA256, X25519MLKEM768"), "{page}");
    Ok(())
}

#[tokio::test]
async fn it_gets_a_page_from_openssl() -> Result<()> {
    let server = Kind::P256.server();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert"]).arg(server.certificate_path());
    command.arg("-key").arg(server.key_path());
    let (_process, mut lines) = start(command)?;
    let port = loop {
        let line = lines.next_line().await?.context("openssl ended before it listened")?;
        if let Some((_, address)) = line.split_once("ACCEPT ") {
            break address.rsplit(':').next().context("no port")?.trim().to_string();
        }
    };
    let (head, page) = get(&format!("https://localhost:{port}/")).await?;
    ensure!(head.starts_with("HTTP/1.0 200"), "{head}");
    ensure!(page.contains("New, TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256"), "{page}");
    Ok(())
}

#[tokio::test]
async fn it_does_not_trust_a_server_that_it_does_not_know() -> Result<()> {
    let (_server, url) = serve().await?;
    let output = example()?.arg("get").arg(component()).arg(&url).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && errors.contains("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "{errors}");
    Ok(())
}

#[tokio::test]
#[cfg(unix)]
async fn what_was_compiled_is_kept_where_its_user_alone_can_write() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    // Below the target folder, others may write.
    let parent = std::env::temp_dir().join(format!("guest-tls-user-{}", std::process::id()));
    let folder = parent.join("guest-tls-wasmtime");
    // Nobody listens there: the component is compiled before that shows.
    let run = async || -> Result<()> {
        let mut command = example()?;
        command.env("XDG_CACHE_HOME", &parent).arg("get").arg(component()).arg("https://127.0.0.1:1/");
        ensure!(!command.kill_on_drop(true).output().await?.status.success(), "there was a page");
        Ok(())
    };
    run().await?;
    ensure!(std::fs::metadata(&folder)?.permissions().mode() & 0o777 == 0o700, "others may use it");
    let modules = || -> Result<Vec<PathBuf>> {
        let versions = std::fs::read_dir(folder.join("modules"))?.collect::<Result<Vec<_>, _>>()?;
        let files = versions.iter().flat_map(|version| std::fs::read_dir(version.path())).flatten();
        let files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
        Ok(files.into_iter().filter(|file| file.extension().is_none()).collect())
    };
    let kept = modules()?;
    ensure!(kept.len() == 1, "{kept:?}");
    // Where others may write, nothing is read and nothing is kept.
    std::fs::remove_file(&kept[0])?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))?;
    run().await?;
    ensure!(modules()?.is_empty(), "it was kept where others can write");
    Ok(std::fs::remove_dir_all(&parent)?)
}

/// The example's server, and its address.
async fn serve() -> Result<(Child, String)> {
    let server = Kind::P256.server();
    let mut command = example()?;
    command.arg("serve").arg(component()).arg(server.certificate_path()).arg(server.key_path()).arg("0");
    let (process, mut lines) = start(command)?;
    let url = tokio::time::timeout(PATIENCE, lines.next_line()).await??.context("the server has ended")?;
    Ok((process, url))
}

/// What the example's client says of a page, and the page.
async fn get(url: &str) -> Result<(String, String)> {
    let mut command = example()?;
    command.arg("get").arg(component()).arg(url).arg(Kind::P256.authority().certificate_path()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await??;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{}", said(&output.stderr));
    Ok((said(&output.stderr), said(&output.stdout)))
}

async fn curl(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "60", "--cacert"]);
    command.arg(Kind::P256.authority().certificate_path()).args(arguments);
    let output = command.output().await.context("no curl: apt-get install curl")?;
    ensure!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn has_http2() -> Result<bool> {
    let output = Command::new("curl").arg("--version").output().await.context("no curl: apt-get install curl")?;
    Ok(String::from_utf8_lossy(&output.stdout).contains("HTTP2"))
}

/// Starts a program that ends with the test, and gives its lines.
fn start(mut command: Command) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.spawn()?;
    let output = process.stdout.take().context("it is piped")?;
    Ok((process, BufReader::new(output).lines()))
}

/// The example, which keeps what it compiled below the target folder.
fn example() -> Result<Command> {
    let mut command = Command::new(program()?);
    command.env("XDG_CACHE_HOME", host_tests::paths::target().join("user-cache"));
    Ok(command)
}

/// The example, which cargo builds together with the tests, in the folder beside theirs.
fn program() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("a test lies in target/debug/deps")?;
    Ok(folder.join("examples/https"))
}

fn component() -> PathBuf {
    host_tests::host::component_path()
}

/// How long a program may take to compile the component and to answer.
const PATIENCE: Duration = Duration::from_secs(60);
