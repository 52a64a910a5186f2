//! How many megabytes a second of processor time ureq and hyper get by the library's provider, beside the component: all in the stock
//! wasmtime, from the same `openssl s_server`. `cargo xtask programs` builds what it needs and starts it.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::cli;
use host_tests::pages::Pages;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("programs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<()> {
    let rounds: usize = std::env::args().nth(1).context("usage: programs ROUNDS")?.parse()?;
    let large = vec![0xa5; LARGE];
    let pages = Pages::start(&Kind::P256.server(), &[("small", b"small"), ("large", &large)], &[]).await?;
    let mut best = [[Duration::MAX; 2]; PROGRAMS.len()];
    for _ in 0..rounds {
        // In turns: what else the machine does comes to all.
        for (program, best) in PROGRAMS.iter().zip(&mut best) {
            for (page, best) in ["small", "large"].iter().zip(best) {
                *best = processor_time(program, &pages, page).await?.min(*best);
            }
        }
    }
    // Without what start, handshake and end take.
    let rate = |[small, large]: [Duration; 2]| LARGE as f64 / 1e6 / large.saturating_sub(small).as_secs_f64();
    println!("{:<16} {:>8} {:>8} {:>8} {:>14}", "program", "small", "large", "MB/s", "/ component");
    for (program, times) in PROGRAMS.iter().zip(best) {
        let [small, large] = times.map(|time| format!("{} ms", time.as_millis()));
        let (rate, ratio) = (rate(times), rate(times) / rate(best[0]));
        println!("{program:<16} {small:>8} {large:>8} {rate:>8.0} {ratio:>14.2}");
    }
    Ok(())
}

/// The processor time of wasmtime, in user and kernel mode, while a program gets a page.
async fn processor_time(program: &str, pages: &Pages, page: &str) -> Result<Duration> {
    let authority = Kind::P256.authority();
    let timed = cli::program(program, &[], &[(&authority.folder, "/ca")]);
    let timed = timed.as_std();
    let mut command = Command::new("bash");
    command.args(["-c", "TIMEFORMAT='%U %S'; time \"$@\" > /dev/null", "bash"]).arg(timed.get_program());
    command.args(timed.get_args()).env("LC_ALL", "C").env("RUST_BACKTRACE", "0");
    if program == PROGRAMS[0] {
        let address = format!("127.0.0.1:{}", pages.port);
        command.args(["connect", &address, "--ca", "/ca/certificate.pem", "--servername", "localhost", "--quiet"]);
    } else {
        command.args([&pages.url(page), "/ca/certificate.pem", "1"]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("bash does not start")?;
    let mut input = child.stdin.take().context("bash's input")?;
    // A program that reads no input may be over before that.
    let _ = input.write_all(format!("GET /{page} HTTP/1.0\r\n\r\n").as_bytes()).await;
    drop(input);
    let output = child.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{program} ended with {}: {said}", output.status);
    let times = said.lines().last().unwrap_or_default().split(' ').map(str::parse::<f64>);
    let times = times.collect::<Result<Vec<_>, _>>().with_context(|| format!("no times in {said:?}"))?;
    Ok(Duration::from_secs_f64(times.iter().sum()))
}

/// The first one has the component in it.
const PROGRAMS: [&str; 3] = ["guest-tls-cli", "ureq-get", "hyper-get"];

/// In bytes: a multiple of the 9 MB that the tests move, since a clock of milliseconds measures it.
const LARGE: usize = 90_000_000;
