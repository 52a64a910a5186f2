//! Options of which no context, connection or server can be made: every fault by its code.

use anyhow::{Result, ensure};
use host_tests::certificates::Kind;
use host_tests::host::Host;
use host_tests::peers::component::{context_options, good};
use host_tests::setup::Setup;
use host_tests::table::Row;
use host_tests::tls::{ContextOptions, Error, ErrorCode, PairOptions, ProtocolVersion};

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let contexts = CONTEXTS.into_iter().map(|(what, change, codes)| {
        Row::new("creation", format!("a context with {what}"), move || context(change, codes))
    });
    let pairs = PAIRS.into_iter().map(|(what, options, codes)| {
        Row::new("creation", format!("a connection: {what}"), move || pair(options(), codes))
    });
    let mut rows = contexts.chain(pairs).collect::<Vec<_>>();
    rows.push(Row::new("creation", "a server without a certificate [O2]", server_without_certificate));
    rows.push(Row::new("creation", "contexts by name [O15]", contexts_by_name));
    rows
}

type ContextRow = (&'static str, fn(&mut ContextOptions), &'static [ErrorCode]);

const CONTEXTS: [ContextRow; 19] = [
    ("nothing wrong", |_| {}, &[]),
    (
        "the key of another certificate [O1 O2]",
        |options| options.keys = vec![key(Kind::P384)],
        &[ErrorCode::ErrOsslX509KeyValuesMismatch],
    ),
    (
        "the key of another certificate of the same kind [O1 O2]",
        |options| options.keys = vec![Kind::P256.client().key.clone().into()],
        &[ErrorCode::ErrOsslX509KeyValuesMismatch],
    ),
    ("a key that is no key [O1]", |options| options.keys = vec![b"no key".to_vec()], &[ErrorCode::ErrTlsInvalidKey]),
    (
        "a certificate for a key [O1]",
        |options| options.keys = options.certificates.clone(),
        &[ErrorCode::ErrTlsInvalidKey],
    ),
    (
        "a certificate that is no certificate [O2]",
        |options| *options = ContextOptions { certificates: vec![b"none".to_vec()], ..ContextOptions::default() },
        &[ErrorCode::ErrTlsInvalidCertificate],
    ),
    (
        "an authority that is no certificate [O4]",
        |options| options.roots = vec![b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()],
        &[ErrorCode::ErrTlsInvalidCertificate],
    ),
    (
        "suites that protect nothing [O6 X4]",
        |options| options.ciphers = Some("RC4-MD5:NULL".into()),
        &[ErrorCode::ErrSslNoCipherMatch],
    ),
    (
        "suites of static RSA [O6 X2]",
        |options| options.ciphers = Some("AES128-GCM-SHA256".into()),
        &[ErrorCode::ErrSslNoCipherMatch],
    ),
    (
        "suites of CBC [O6 X3]",
        |options| options.ciphers = Some("ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA".into()),
        &[ErrorCode::ErrSslNoCipherMatch],
    ),
    (
        "suites of external PSKs [O6 X8]",
        |options| options.ciphers = Some("PSK-AES128-GCM-SHA256:ECDHE-PSK-CHACHA20-POLY1305".into()),
        &[ErrorCode::ErrSslNoCipherMatch],
    ),
    (
        "a key of an engine [O1 X9]",
        |options| options.keys = vec![b"engine:pkcs11:slot_0-id_1".to_vec()],
        &[ErrorCode::ErrTlsInvalidKey],
    ),
    ("no suites [O6]", |options| options.ciphers = Some(String::new()), &[ErrorCode::ErrSslNoCipherMatch]),
    (
        "suites of another version [O6 O10]",
        |options| {
            options.ciphers = Some("TLS_AES_128_GCM_SHA256".into());
            options.max_version = Some(ProtocolVersion::Tls12);
        },
        &[ErrorCode::ErrSslNoCipherMatch],
    ),
    (
        "an unknown group [O8]",
        |options| options.groups = Some("X448-and-a-half".into()),
        &[ErrorCode::ErrInvalidArgValue],
    ),
    (
        "no version between the lowest and the highest [O10]",
        |options| {
            options.min_version = Some(ProtocolVersion::Tls13);
            options.max_version = Some(ProtocolVersion::Tls12);
        },
        &[ErrorCode::ErrTlsInvalidProtocolVersion],
    ),
    (
        "suites by their IANA names",
        |options| options.ciphers = Some("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256".into()),
        &[],
    ),
    ("groups by OpenSSL's names", |options| options.groups = Some("secp521r1:prime256v1:secp384r1:X25519".into()), &[]),
    (
        "three things wrong at once",
        |options| {
            options.keys = vec![b"no key".to_vec()];
            options.ciphers = Some("NULL".into());
            options.groups = Some("none".into());
        },
        &[ErrorCode::ErrTlsInvalidKey, ErrorCode::ErrSslNoCipherMatch, ErrorCode::ErrInvalidArgValue],
    ),
];

type PairRow = (&'static str, fn() -> PairOptions, &'static [ErrorCode]);

const PAIRS: [PairRow; 8] = [
    ("a client of a name", || named("server.test"), &[]),
    ("a client of an address", || named("127.0.0.1"), &[]),
    ("a client of an address of IPv6", || named("::1"), &[]),
    ("a client without a name [O14]", PairOptions::default, &[ErrorCode::ErrTlsRequiredServerName]),
    ("a client of what is no name [O14]", || named("no name at all"), &[ErrorCode::ErrTlsRequiredServerName]),
    (
        "an application protocol without a letter [O16]",
        || PairOptions { alpn: vec![Vec::new()], ..named("server.test") },
        &[ErrorCode::ErrInvalidArgValue],
    ),
    (
        "an application protocol of 256 letters [O16]",
        || PairOptions { alpn: vec![vec![b'a'; 256]], ..named("server.test") },
        &[ErrorCode::ErrInvalidArgValue],
    ),
    ("a server without a name", || PairOptions { is_server: true, ..PairOptions::default() }, &[]),
];

async fn context(change: fn(&mut ContextOptions), codes: &[ErrorCode]) -> Result<()> {
    let mut options = usual();
    change(&mut options);
    let mut tls = Host::shared()?.instance().await?;
    same(tls.context(&options).await?, codes)
}

async fn pair(options: PairOptions, codes: &[ErrorCode]) -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&usual()).await?)?;
    same(tls.pair(context, &options).await?, codes)
}

async fn server_without_certificate() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&context_options(&Setup::client(Kind::P256))).await?)?;
    let options = PairOptions { is_server: true, ..PairOptions::default() };
    same(tls.pair(context, &options).await?, &[ErrorCode::ErrTlsInvalidCertificate])?;
    same(tls.server(context, &PairOptions::default()).await?, &[ErrorCode::ErrTlsInvalidCertificate])
}

async fn contexts_by_name() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(&usual()).await?)?;
    let empty = good(tls.context(&ContextOptions::default()).await?)?;
    let server = good(tls.server(context, &PairOptions::default()).await?)?;
    for (hostname, context, code) in [
        ("a.test", context, None),
        ("*.a.test", context, None),
        ("", context, Some(ErrorCode::ErrTlsRequiredServerName)),
        ("no name at all", context, Some(ErrorCode::ErrTlsRequiredServerName)),
        ("a.*.test", context, Some(ErrorCode::ErrTlsRequiredServerName)),
        ("a.test", empty, Some(ErrorCode::ErrTlsInvalidCertificate)),
    ] {
        let added = server.add_context(&mut tls, hostname, context).await?.err().map(|error| error.code);
        ensure!(added == code, "{hostname}: {added:?}, not {code:?}");
    }
    let replaced = server.set_secure_context(&mut tls, empty).await?.err().map(|error| error.code);
    ensure!(replaced == Some(ErrorCode::ErrTlsInvalidCertificate), "{replaced:?}");
    let replaced = server.set_secure_context(&mut tls, context).await?.err();
    ensure!(replaced.is_none(), "{replaced:?}");
    Ok(())
}

/// Whether the errors are these, and have words for people.
fn same<T>(created: Result<T, Vec<Error>>, codes: &[ErrorCode]) -> Result<()> {
    let errors = created.err().unwrap_or_default();
    let found = errors.iter().map(|error| error.code).collect::<Vec<_>>();
    let all = found.iter().all(|code| codes.contains(code)) && codes.iter().all(|code| found.contains(code));
    ensure!(all, "{errors:?}, not {codes:?}");
    ensure!(errors.iter().all(|error| error.message.len() > 10), "an error without words: {errors:?}");
    Ok(())
}

fn usual() -> ContextOptions {
    context_options(&Setup::server(Kind::P256))
}

fn named(name: &str) -> PairOptions {
    PairOptions { servername: Some(name.to_string()), ..PairOptions::default() }
}

fn key(kind: Kind) -> Vec<u8> {
    kind.server().key.clone().into()
}
