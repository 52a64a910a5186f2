//! What Node asks by callbacks: an event, and an answer that may come later.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::conversation::Conversation;
use host_tests::paths;
use host_tests::peers::command::Peer;
use host_tests::peers::component::good_answer;
use host_tests::setup::Version;
use host_tests::table::Row;
use host_tests::tls::{Error, ErrorCode, Event, OcspRequest, Tls};

use super::{Guest, Serving, VERSIONS, only};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for version in VERSIONS {
        for row in ALPN {
            rows.push(Row::new(
                "questions",
                format!("the server asked for an application protocol answers {}, {version} [O16 K4]", row.what),
                move || row.run(version),
            ));
        }
        for answered in [true, false] {
            let what = if answered { "a response that OpenSSL gets" } else { "none" };
            rows.push(Row::new(
                "questions",
                format!("the server asked for an OCSP response staples {what}, {version} [S5]"),
                move || staple(version, answered),
            ));
            let what = if answered { "OpenSSL's staple" } else { "that there is none" };
            rows.push(Row::new("questions", format!("the client is told of {what}, {version} [O21 K9]"), move || {
                is_told_of_staple(version, answered)
            }));
        }
        rows.push(Row::new(
            "questions",
            format!("an answer that is an error ends the connection and not the server, {version} [O15 S2 S4 S5]"),
            move || abort(version),
        ));
    }
    rows
}

/// The answer to a client that offers `h2` and `http/1.1`.
struct Alpn {
    what: &'static str,
    answer: Option<&'static [u8]>,
    /// What the answer gives, and what OpenSSL says then.
    taken: Result<(), ErrorCode>,
    seen: &'static str,
}

const ALPN: &[Alpn] = &[
    Alpn { what: "the client's second", answer: Some(b"http/1.1"), taken: Ok(()), seen: "ALPN protocol: http/1.1" },
    Alpn { what: "none", answer: None, taken: Ok(()), seen: "SSL alert number 120" },
    Alpn {
        what: "one that the client does not know",
        answer: Some(b"h3"),
        taken: Err(ErrorCode::ErrInvalidArgValue),
        seen: "",
    },
];

impl Alpn {
    async fn run(&'static self, version: Version) -> Result<()> {
        let mut guest = Guest::server(version).await?;
        guest.options.alpn_event = true;
        let (mut serving, mut openssl, mut talk) = meet(guest, version, &["-alpn", "h2,http/1.1"]).await?;
        let tls = serving.tls();
        let Event::Alpn(offer) = talk.until_event(tls, |event| matches!(event, Event::Alpn(_))).await? else {
            anyhow::bail!("no question")
        };
        ensure!(offer.protocols == [b"h2".to_vec(), b"http/1.1".to_vec()], "{offer:?}");
        ensure!(offer.servername.as_deref() == Some(host_tests::setup::SERVER_NAME), "{offer:?}");
        waits(&mut talk, tls).await?;
        let taken = talk.pair.answer_alpn(tls, self.answer).await?;
        ensure!(
            taken.as_ref().map_err(|error| error.code) == self.taken.as_ref().map(|()| &()).map_err(|code| *code),
            "{taken:?}"
        );
        if self.taken.is_err() {
            return talk.drop(tls).await;
        }
        if self.answer.is_some() {
            talk.until_secure(tls).await?;
            ensure!(talk.pair.alpn_protocol(tls).await?.as_deref() == self.answer);
        } else {
            let error = talk.until_error(tls).await?;
            ensure!(error.code == ErrorCode::ErrSslNoApplicationProtocol, "{error:?}");
        }
        openssl.until(self.seen).await?;
        talk.drop(tls).await
    }
}

async fn staple(version: Version, answered: bool) -> Result<()> {
    let response = ocsp_response()?;
    let mut guest = Guest::server(version).await?;
    guest.options.ocsp_event = true;
    let (mut serving, mut openssl, mut talk) = meet(guest, version, &["-status"]).await?;
    let tls = serving.tls();
    let asked = |event: &Event| matches!(event, Event::OcspRequest(_));
    let Event::OcspRequest(OcspRequest { certificate, .. }) = talk.until_event(tls, asked).await? else {
        anyhow::bail!("no question")
    };
    waits(&mut talk, tls).await?;
    good_answer(talk.pair.answer_ocsp_request(tls, answered.then_some(&response[..])).await?)?;
    talk.until_secure(tls).await?;
    ensure!(
        certificate == talk.pair.certificates(tls).await?[0].raw,
        "the question is about the certificate that is shown"
    );
    openssl
        .until(if answered { "OCSP Response Status: successful" } else { "OCSP response: no response sent" })
        .await?;
    talk.drop(tls).await
}

async fn is_told_of_staple(version: Version, stapled: bool) -> Result<()> {
    let response = ocsp_response()?;
    let file = folder().join("response.der");
    let path = file.display().to_string();
    let arguments = if stapled { &["-status_file", &path][..] } else { &[] };
    let identity = Kind::P256.server();
    let arguments = [&[only(version), "-naccept", "1"], arguments].concat();
    let (_openssl, port) = Peer::openssl_server(&identity, &arguments).await?;
    let mut guest = Guest::client(version).await?;
    guest.options.request_ocsp = true;
    let mut talk = guest.connect(port).await?;
    let told = talk.until_event(&mut guest.tls, |event| matches!(event, Event::OcspResponse(_))).await?;
    ensure!(told == Event::OcspResponse(stapled.then_some(response)), "{told:?}");
    talk.until_secure(&mut guest.tls).await?;
    talk.drop(&mut guest.tls).await
}

async fn abort(version: Version) -> Result<()> {
    let mut guest = Guest::server(version).await?;
    guest.options.sni_event = true;
    let (mut serving, mut openssl, mut talk) = meet(guest, version, &[]).await?;
    talk.until_event(serving.tls(), |event| matches!(event, Event::Sni(_))).await?;
    talk.pair.abort(serving.tls(), "the database is down").await?;
    let Error { code, message, alert, .. } = talk.until_error(serving.tls()).await?;
    ensure!(code == ErrorCode::AbortErr && message.contains("the database is down"), "{code:?} {message}");
    ensure!(alert.is_some_and(|alert| alert.description == 80));
    openssl.until("SSL alert number 80").await?;
    talk.drop(serving.tls()).await?;

    let mut openssl = Peer::openssl_client(&Kind::P256.authority(), serving.port, &[only(version)])?;
    let mut talk = serving.accept().await?;
    talk.until_event(serving.tls(), |event| matches!(event, Event::Sni(_))).await?;
    good_answer(talk.pair.answer_sni(serving.tls(), None).await?)?;
    talk.until_secure(serving.tls()).await?;
    openssl.until("Verify return code: 0").await?;
    talk.drop(serving.tls()).await
}

/// A server, and `s_client` that connects to it.
async fn meet(guest: Guest, version: Version, arguments: &[&str]) -> Result<(Serving, Peer, Conversation)> {
    let mut serving = guest.serve().await?;
    let arguments = [&[only(version)], arguments].concat();
    let openssl = Peer::openssl_client(&Kind::P256.authority(), serving.port, &arguments)?;
    let talk = serving.accept().await?;
    Ok((serving, openssl, talk))
}

/// While a question waits, nothing happens.
async fn waits(talk: &mut Conversation, tls: &mut Tls) -> Result<()> {
    for _ in 0..5 {
        talk.step(tls).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ensure!(talk.sent.is_empty() && talk.error.is_none(), "it did not wait: {talk:?}");
    Ok(())
}

/// A response about the server's certificate, by the `openssl ocsp` command: once for a process.
fn ocsp_response() -> Result<Vec<u8>> {
    static MADE: std::sync::OnceLock<std::result::Result<Vec<u8>, String>> = std::sync::OnceLock::new();
    let made = MADE.get_or_init(|| make_response().map_err(|error| format!("{error:#}")));
    made.clone().map_err(anyhow::Error::msg)
}

fn make_response() -> Result<Vec<u8>> {
    let (leaf, root) = (Kind::P256.server(), Kind::P256.authority());
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    let issuer = issuer_of(&leaf, &root)?;
    std::fs::write(folder.join("issuer.pem"), &issuer.certificate)?;
    std::fs::write(folder.join("issuer.key"), &issuer.key)?;
    std::fs::write(folder.join("index.txt"), "")?;
    let out = Command::new("openssl")
        .args(["ocsp", "-index", "index.txt", "-CA", "issuer.pem", "-rsigner", "issuer.pem", "-rkey", "issuer.key"])
        .args(["-issuer", "issuer.pem", "-cert"])
        .arg(leaf.certificate_path())
        .args(["-respout", "response.der", "-ndays", "1"])
        .current_dir(&folder)
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    std::fs::read(folder.join("response.der")).context("no response")
}

/// Who signed the leaf.
fn issuer_of<'a>(leaf: &Identity, root: &'a Identity) -> Result<&'a Identity> {
    ensure!(leaf.chain.is_empty(), "the leaf is signed by the root");
    Ok(root)
}

fn folder() -> PathBuf {
    paths::target().join("host-tests").join(format!("ocsp-{}", std::process::id()))
}
