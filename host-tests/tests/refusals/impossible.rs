//! What cannot be, asked for by OpenSSL on the wire: it is refused by an alert, or passed over where the connection does not need it.

use anyhow::{Result, ensure};
use host_tests::certificates::Kind;
use host_tests::peers::{component, openssl, within};
use host_tests::setup::{Report, Role, Setup, Turn};
use host_tests::table::Row;

/// Each of it, asked for by a client and by a server.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, ids, options, as_server, as_client) in IMPOSSIBLE {
        for (role, outcome) in [(Role::Server, as_server), (Role::Client, as_client)] {
            let name = format!("{what}, to the component as {role}");
            rows.push(Row::new("what cannot be", name, move || run(role, options, outcome)).shows(ids));
        }
    }
    rows
}

/// What becomes of it.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The component ends the connection: its code, the alert that it sends, OpenSSL's words.
    Refused(&'static str, u8, &'static str),
    /// OpenSSL does so: the component's code for its alert, the alert, OpenSSL's words.
    Told(&'static str, u8, &'static str),
    /// The connection comes about without it.
    PassedOver,
}

type Impossible = (&'static str, &'static str, &'static [&'static str], Outcome, Outcome);

const IMPOSSIBLE: [Impossible; 9] = [
    (
        "TLS 1.0",
        "X1",
        &["-min_protocol", "TLSv1", "-max_protocol", "TLSv1", ANY_SUITE, "ALL:@SECLEVEL=0"],
        NO_VERSION,
        TOLD_VERSION,
    ),
    (
        "TLS 1.1",
        "X1",
        &["-min_protocol", "TLSv1.1", "-max_protocol", "TLSv1.1", ANY_SUITE, "ALL:@SECLEVEL=0"],
        NO_VERSION,
        TOLD_VERSION,
    ),
    (
        "key exchange by static RSA",
        "X2",
        &[TLS12[0], TLS12[1], ANY_SUITE, "AES128-GCM-SHA256:AES256-GCM-SHA384"],
        NO_SUITE,
        TOLD_SUITE,
    ),
    (
        "suites of CBC",
        "X3",
        &[TLS12[0], TLS12[1], ANY_SUITE, "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES256-SHA"],
        NO_SUITE,
        TOLD_SUITE,
    ),
    ("suites without encryption", "X4", &[TLS12[0], TLS12[1], ANY_SUITE, "eNULL:@SECLEVEL=0"], NO_SUITE, TOLD_SUITE),
    ("finite-field DHE", "X7", &[TLS12[0], TLS12[1], ANY_SUITE, "DHE-RSA-AES128-GCM-SHA256"], NO_SUITE, TOLD_SUITE),
    (
        "suites of external PSKs",
        "X8",
        &[TLS12[0], TLS12[1], ANY_SUITE, "PSK-AES128-GCM-SHA256", "-psk", "0123"],
        NO_SUITE,
        TOLD_SUITE,
    ),
    ("an external PSK beside certificates", "X8", &["-psk", "0123"], Outcome::PassedOver, Outcome::PassedOver),
    ("NPN", "X5", &[TLS12[0], TLS12[1], "-nextprotoneg", "h2,http/1.1"], Outcome::PassedOver, Outcome::PassedOver),
];

const TLS12: [&str; 2] = ["-max_protocol", "TLSv1.2"];

const ANY_SUITE: &str = "-cipher";

const NO_VERSION: Outcome = Outcome::Refused("ERR_SSL_UNSUPPORTED_PROTOCOL", 70, "tlsv1 alert protocol version");

const TOLD_VERSION: Outcome = Outcome::Told("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", 70, "unsupported protocol");

const NO_SUITE: Outcome = Outcome::Refused("ERR_SSL_NO_SHARED_CIPHER", 40, "sslv3 alert handshake failure");

const TOLD_SUITE: Outcome = Outcome::Told("ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", 40, "no shared cipher");

async fn run(component_is: Role, options: &'static [&'static str], outcome: Outcome) -> Result<()> {
    // OpenSSL takes an RSA key for all of it.
    let turn = if matches!(outcome, Outcome::PassedOver) { Turn::WhenAllCame } else { Turn::Silent };
    let client = Setup { turn, ..Setup::client(Kind::Rsa2048) };
    let server = Setup { turn: turn.other(), ..Setup::server(Kind::Rsa2048) };
    let (ours, theirs) = match component_is {
        Role::Server => {
            let listening = within(component::listen(&server)).await?;
            let theirs = within(openssl::connect_with(&client, listening.port, options)).await?;
            (listening.report().await?, theirs)
        }
        Role::Client => {
            let listening = within(openssl::listen_with(&server, options)).await?;
            let ours = within(component::connect(&client, listening.port)).await?;
            (ours, listening.report().await?)
        }
    };
    outcome.holds(&ours, &theirs)
}

impl Outcome {
    fn holds(self, ours: &Report, theirs: &Report) -> Result<()> {
        let (code, alert, words) = match self {
            Outcome::Refused(code, alert, words) | Outcome::Told(code, alert, words) => (code, alert, words),
            Outcome::PassedOver => {
                let is_good = ours.failure.is_none() && theirs.failure.is_none() && ours.ended;
                let is_whole = ours.received == theirs.sent && ours.sent == theirs.received && ours.sent.bytes > 0;
                ensure!(is_good && is_whole && ours.alpn.is_none(), "{ours:?}\n{theirs:?}");
                return Ok(());
            }
        };
        let failure = ours.failure.clone().unwrap_or_default();
        ensure!(failure.code == code && failure.alert == Some(alert), "the component says {failure}, not {self:?}");
        ensure!(!failure.message.is_empty(), "the component has no words for {failure:?}");
        let theirs = theirs.failure.clone().unwrap_or_default();
        ensure!(theirs.reason.as_deref() == Some(words), "openssl says {theirs}, not {self:?}");
        Ok(())
    }
}
