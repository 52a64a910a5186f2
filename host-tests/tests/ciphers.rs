//! Cipher lists: what the component selects by them, and what the installed OpenSSL does (row O6).
//!
//! The component is asked through its ClientHello. Where a list leaves the order open, the component has ChaCha20-Poly1305 first and
//! OpenSSL AES-256; so the order is compared among the suites with ChaCha20 and among those with AES.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use host_tests::hello::hello;
use host_tests::host::Host;
use host_tests::setup::{SUITES, Version};
use host_tests::table::{self, Row};
use host_tests::tls::{ContextOptions, ErrorCode, ProtocolVersion};

fn main() {
    let lists = LISTS.lines().filter_map(|row| row.split_once(" => ")).map(|(list, _)| list);
    let compared = lists.map(|list| {
        Row::new("cipher lists", format!("{list:?} selects what OpenSSL selects by it [O6]"), move || compare(list))
    });
    let tls13 = TLS13.map(|(list, suites)| {
        Row::new(
            "cipher lists",
            format!("{list:?} gives {} suites of both versions [O6]", suites.len()),
            move || async move {
                let mut tls = Host::shared()?.instance().await?;
                let options = ContextOptions { ciphers: Some(list.into()), ..ContextOptions::default() };
                let found = hello(&mut tls, &options).await?.suites;
                ensure!(found == suites, "{found:?}, not {suites:?}");
                Ok(())
            },
        )
    });
    table::main(compared.chain(tls13).collect());
}

async fn compare(list: &'static str) -> Result<()> {
    let expected = openssl(list)?;
    let mut tls = Host::shared()?.instance().await?;
    let options = ContextOptions {
        ciphers: Some(list.into()),
        max_version: Some(ProtocolVersion::Tls12),
        ..ContextOptions::default()
    };
    let found = match tls.context(&options).await? {
        Ok(_) => Ok(hello(&mut tls, &options).await?.suites),
        Err(errors) => Err(errors.iter().map(|error| error.code).collect::<Vec<_>>()),
    };
    let is_same = match (&found, &expected) {
        (Ok(found), Ok(expected)) => [true, false].into_iter().all(|chacha| {
            let of = |suites: &[&'static str]| {
                suites.iter().filter(|name| name.contains("CHACHA20") == chacha).copied().collect::<Vec<_>>()
            };
            of(found) == of(expected)
        }),
        (Err(found), Err(expected)) => found.contains(expected),
        _ => false,
    };
    ensure!(is_same, "the component: {found:?}; OpenSSL: {expected:?}");
    Ok(())
}

/// The suites of TLS 1.2 that OpenSSL selects and the component has.
fn openssl(list: &str) -> Result<Result<Vec<&'static str>, ErrorCode>> {
    let output = Command::new("openssl").args(["ciphers", "-s", "-tls1_2", list]).output();
    let output = output.context("the openssl command does not start")?;
    let (names, errors) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    if errors.contains("invalid command") {
        return Ok(Err(ErrorCode::ErrSslInvalidCommand));
    }
    ensure!(output.status.success() || errors.contains("no cipher match"), "openssl ciphers: {errors}");
    let ours = |name: &str| {
        SUITES.iter().find(|suite| suite.version == Version::Tls12 && suite.openssl == name).map(|suite| suite.openssl)
    };
    let suites = names.trim().split(':').filter_map(ours).collect::<Vec<_>>();
    Ok(if suites.is_empty() { Err(ErrorCode::ErrSslNoCipherMatch) } else { Ok(suites) })
}

const LISTS: &str = include_str!("../../src/context/tests/cipher-lists.txt");

/// Lists with names of TLS 1.3, and all suites that a client offers, in its order.
const TLS13: [(&str, &[&str]); 4] = [
    (
        "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256",
        &["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"],
    ),
    ("TLS_AES_128_GCM_SHA256:aRSA+CHACHA20", &["TLS_AES_128_GCM_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]),
    (
        "aRSA+CHACHA20",
        &[
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_128_GCM_SHA256",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ],
    ),
    (
        "aRSA+CHACHA20:!TLS_AES_256_GCM_SHA384",
        &["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
    ),
];
