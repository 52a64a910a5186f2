//! What contexts are made of: keys and PKCS#12 files in every form that OpenSSL writes, several identities, signature schemes,
//! groups, versions; over the component, against OpenSSL.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::hello::hello;
use host_tests::host::Host;
use host_tests::peers::Peer;
use host_tests::peers::component::{connect_with, context_options, good, listen_with};
use host_tests::setup::{Report, Role, SUITES, Setup, Suite, Turn, Version};
use host_tests::table::{self, Row};
use host_tests::tls::{ContextOptions, Error, ErrorCode, ProtocolVersion};

fn main() {
    table::main([keys(), pfxs(), identities(), refused(), spoken()].concat());
}

/// A name, the key's kind, and what follows `openssl` to make the file.
type Form = (&'static str, Kind, &'static [&'static str]);

#[rustfmt::skip]
const KEYS: [Form; 16] = [
    ("in PKCS#1", Kind::Rsa2048, &["rsa", "-traditional"]),
    ("in PKCS#1 in DER", Kind::Rsa2048, &["rsa", "-traditional", "-outform", "DER"]),
    ("in SEC1", Kind::P384, &["ec"]),
    ("in SEC1 in DER", Kind::P256, &["ec", "-outform", "DER"]),
    ("in PKCS#8 in DER", Kind::Ed25519, &["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"]),
    ("in PKCS#8 with OpenSSL's default encryption", Kind::P256, &["pkcs8", "-topk8", WORD]),
    ("in encrypted PKCS#8 in DER", Kind::Rsa2048, &["pkcs8", "-topk8", "-outform", "DER", WORD]),
    ("in PKCS#8 with AES-128 and HMAC-SHA1", Kind::P256, &["pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", WORD]),
    ("in PKCS#8 with AES-192 and HMAC-SHA384", Kind::P521, &["pkcs8", "-topk8", "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA384", WORD]),
    ("in PKCS#8 with 3DES and HMAC-SHA512", Kind::P256, &["pkcs8", "-topk8", "-v2", "des3", "-v2prf", "hmacWithSHA512", WORD]),
    ("in PKCS#8 with scrypt", Kind::Ed25519, &["pkcs8", "-topk8", "-scrypt", WORD]),
    ("in PKCS#8 with PKCS#12's 3DES", Kind::P256, &["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", WORD]),
    ("in traditional encryption with AES-128", Kind::P256, &["ec", "-aes128", WORD]),
    ("in traditional encryption with AES-192", Kind::P256, &["ec", "-aes192", WORD]),
    ("in traditional encryption with AES-256", Kind::Rsa2048, &["rsa", "-traditional", "-aes256", WORD]),
    ("in traditional encryption with 3DES", Kind::P256, &["ec", "-des3", WORD]),
];

#[rustfmt::skip]
const PFXS: [Form; 9] = [
    ("with OpenSSL's defaults", Kind::P256, &[]),
    ("of RSA", Kind::Rsa2048, &[]),
    ("with 3DES and RC2 of 40 bit", Kind::P256, &["-legacy"]),
    ("with 3DES", Kind::Rsa2048, &["-legacy", "-descert"]),
    ("with RC2 of 128 bit", Kind::P256, &["-legacy", "-keypbe", "PBE-SHA1-RC2-128", "-certpbe", "PBE-SHA1-RC2-128"]),
    ("with AES-128 and a MAC with SHA-512", Kind::Ed25519, &["-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC", "-macalg", "sha512"]),
    ("with 3DES of two keys", Kind::P256, &["-legacy", "-keypbe", "PBE-SHA1-2DES", "-certpbe", "PBE-SHA1-2DES"]),
    ("without a MAC", Kind::P256, &["-nomac"]),
    ("with nothing encrypted", Kind::P256, &["-keypbe", "NONE", "-certpbe", "NONE"]),
];

fn keys() -> Vec<Row> {
    let row = |(form, kind, arguments): Form| {
        Row::new("keys", format!("a {} key {form} serves OpenSSL [O1]", kind.name()), move || async move {
            let identity = kind.server();
            let options = ContextOptions {
                certificates: vec![identity.full_chain().into()],
                keys: vec![key(&identity, arguments)?],
                passphrase: Some(PASSPHRASE.into()),
                ..ContextOptions::default()
            };
            serves(&options, kind, Setup::client(kind)).await
        })
    };
    KEYS.into_iter().map(row).collect()
}

fn pfxs() -> Vec<Row> {
    let serving = |(form, kind, arguments): Form| {
        Row::new("PKCS#12", format!("a PKCS#12 file {form} serves OpenSSL [O3]"), move || async move {
            serves(&with_pfx(&pfx(&kind.server(), arguments)?), kind, Setup::client(kind)).await
        })
    };
    let asking = |(form, kind, arguments): Form| {
        Row::new(
            "PKCS#12",
            format!("a PKCS#12 file {form} is a client's, and its CA is trusted [O3]"),
            move || async move {
                let server = Setup {
                    roots: vec![kind.authority()],
                    request_cert: true,
                    turn: Turn::AfterPeer,
                    ..Setup::server(kind)
                };
                let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(kind) };
                let listening = Peer::OpenSsl.listen(&server).await?;
                // No roots: what is trusted is in the file.
                let options = with_pfx(&pfx(&kind.client(), arguments)?);
                let (client, server) =
                    tokio::join!(connect_with(&options, &client, listening.port), listening.report());
                let (client, server) = (client?, server?);
                good_ends(&client, &server)?;
                ensure!(client.authorized == Some(true), "{client:?}");
                ensure!(server.peer_subject.as_deref() == Some("client.test"), "{server:?}");
                Ok(())
            },
        )
    };
    let beside = Row::new("PKCS#12", "a PKCS#12 file serves beside a key, its certificate and a CA [O3]", || async {
        for kind in [Kind::P256, Kind::Rsa2048] {
            let options = ContextOptions {
                pfxs: vec![usual_pfx(&[])?],
                passphrase: word(),
                roots: vec![Kind::P384.authority().certificate.clone().into()],
                ..with_identity(&Kind::Rsa2048.server())
            };
            // Suites of TLS 1.2 say which kind of certificate a client takes.
            serves(&options, kind, of_tls12(kind)).await?;
        }
        Ok(())
    });
    PFXS.into_iter().map(serving).chain(PFXS.into_iter().step_by(3).map(asking)).chain([beside]).collect()
}

/// A client of TLS 1.2 that takes certificates of this kind alone.
fn of_tls12(kind: Kind) -> Setup {
    let of_kind = |suite: &Suite| suite.version == Version::Tls12 && suite.takes(kind);
    Setup {
        versions: (Version::Tls12, Version::Tls12),
        suites: SUITES.into_iter().filter(of_kind).collect(),
        ..Setup::client(kind)
    }
}

/// An RSA and an ECDSA certificate side by side: each client trusts the authority of one of them only.
fn identities() -> Vec<Row> {
    let kinds = [(Kind::Rsa2048, "RSA"), (Kind::P256, "ECDSA")];
    let row = |(kind, name): (Kind, &str)| {
        Row::new(
            "identities",
            format!("of two certificates, a client of TLS 1.2 with {name} suites gets the {name} one [O2]"),
            move || async move {
                let identities = [Kind::P256.server(), Kind::Rsa2048.server()];
                let options = ContextOptions {
                    certificates: identities.iter().map(|identity| identity.full_chain().into()).collect(),
                    // In the other order: they are matched by their public keys.
                    keys: identities.iter().rev().map(|identity| identity.key.clone().into()).collect(),
                    ..ContextOptions::default()
                };
                serves(&options, kind, of_tls12(kind)).await
            },
        )
    };
    let mut rows: Vec<_> = kinds.into_iter().map(row).collect();
    rows.push(Row::new(
        "identities",
        "a file with several keys, one of them encrypted, serves with each [O1, O2]",
        || async {
            let identities = [Kind::P256.server(), Kind::Rsa2048.server()];
            let (ecdsa, rsa) =
                (key(&identities[0], &["ec", "-aes256", WORD])?, key(&identities[1], &["rsa", "-traditional"])?);
            for kind in [Kind::P256, Kind::Rsa2048] {
                let options = ContextOptions {
                    certificates: identities.iter().map(|identity| identity.full_chain().into()).collect(),
                    keys: vec![[&ecdsa[..], &rsa].concat()],
                    passphrase: Some(PASSPHRASE.into()),
                    // What the client then verifies with is what tells the two apart.
                    sigalgs: Some(if kind == Kind::P256 { "ECDSA+SHA256" } else { "rsa_pss_rsae_sha256" }.into()),
                    ..ContextOptions::default()
                };
                serves(&options, kind, Setup::client(kind)).await?;
            }
            Ok(())
        },
    ));
    rows
}

/// A name with its rows' ids, a change of good options, and every code that it leads to.
type Refused = (&'static str, fn(&mut ContextOptions) -> Result<()>, &'static [ErrorCode], &'static str);

#[rustfmt::skip]
const REFUSED: [Refused; 31] = [
    ("nothing wrong [O1]", |_| Ok(()), &[], ""),
    ("an encrypted key without its passphrase [O1]", |o| { o.keys = vec![encrypted(&["pkcs8", "-topk8", WORD])?]; Ok(()) }, &[ErrorCode::ErrMissingPassphrase], "no passphrase was given"),
    ("an encrypted key in DER without its passphrase [O1]", |o| { o.keys = vec![encrypted(&["pkcs8", "-topk8", "-outform", "DER", WORD])?]; Ok(()) }, &[ErrorCode::ErrMissingPassphrase], "no passphrase was given"),
    ("a traditionally encrypted key without its passphrase [O1]", |o| { o.keys = vec![encrypted(&["ec", "-aes128", WORD])?]; Ok(()) }, &[ErrorCode::ErrMissingPassphrase], "no passphrase was given"),
    ("an encrypted key with another passphrase [O1]", |o| { o.passphrase = other(); o.keys = vec![encrypted(&["pkcs8", "-topk8", WORD])?]; Ok(()) }, &[ErrorCode::ErrOsslBadDecrypt], "passphrase"),
    ("an scrypt key with another passphrase [O1]", |o| { o.passphrase = other(); o.keys = vec![encrypted(&["pkcs8", "-topk8", "-scrypt", WORD])?]; Ok(()) }, &[ErrorCode::ErrOsslBadDecrypt], "passphrase"),
    ("a traditionally encrypted key with another passphrase [O1]", |o| { o.passphrase = other(); o.keys = vec![encrypted(&["ec", "-aes128", WORD])?]; Ok(()) }, &[ErrorCode::ErrOsslBadDecrypt], "passphrase"),
    ("a key in a cipher that is not supported [O1]", |o| { o.passphrase = word(); o.keys = vec![encrypted(&["pkcs8", "-topk8", "-v2", "camellia-256-cbc", WORD])?]; Ok(()) }, &[ErrorCode::ErrTlsInvalidKey], "not supported"),
    ("a key with more iterations than are allowed [O1]", |o| { o.passphrase = word(); o.keys = vec![encrypted(&["pkcs8", "-topk8", "-iter", "4200000", WORD])?]; Ok(()) }, &[ErrorCode::ErrTlsInvalidKey], "steps of key derivation"),
    ("a PKCS#12 file with another passphrase [O3]", |o| { *o = with_pfx(&usual_pfx(&[])?); o.passphrase = other(); Ok(()) }, &[ErrorCode::ErrOsslPkcs12MacVerifyFailure], "passphrase"),
    ("a PKCS#12 file without its passphrase [O3]", |o| { *o = with_pfx(&usual_pfx(&[])?); o.passphrase = None; Ok(()) }, &[ErrorCode::ErrOsslPkcs12MacVerifyFailure], "passphrase"),
    ("an old PKCS#12 file with another passphrase [O3]", |o| { *o = with_pfx(&usual_pfx(&["-legacy"])?); o.passphrase = other(); Ok(()) }, &[ErrorCode::ErrOsslPkcs12MacVerifyFailure], "passphrase"),
    ("a PKCS#12 file without a MAC, with another passphrase [O3]", |o| { *o = with_pfx(&usual_pfx(&["-nomac"])?); o.passphrase = other(); Ok(()) }, &[ErrorCode::ErrOsslPkcs12MacVerifyFailure], "passphrase"),
    ("a PKCS#12 file without a key [O3]", |o| { *o = with_pfx(&usual_pfx(&["-nokeys"])?); Ok(()) }, &[ErrorCode::ErrTlsInvalidPfx], "no private key"),
    ("what is no PKCS#12 file [O3]", |o| { *o = with_pfx(b"no"); Ok(()) }, &[ErrorCode::ErrTlsInvalidPfx], "not a PKCS#12 file"),
    ("a cipher list that leaves nothing [O6]", |o| { o.ciphers = Some("ALL:!ECDHE".into()); Ok(()) }, &[ErrorCode::ErrSslNoCipherMatch], "selects no cipher suite"),
    ("a cipher list that is none [O6]", |o| { o.ciphers = Some("ALL:@STRONG".into()); Ok(()) }, &[ErrorCode::ErrSslInvalidCommand], "@STRENGTH"),
    ("a security level that is not supported [O6]", |o| { o.ciphers = Some("ALL:@SECLEVEL=4".into()); Ok(()) }, &[ErrorCode::ErrInvalidArgValue], "security levels above 2"),
    ("signature schemes that are not supported [O7]", |o| { o.sigalgs = Some("RSA+SHA1:ed448:ed25519".into()); Ok(()) }, &[ErrorCode::ErrInvalidArgValue], "RSA+SHA1"),
    ("groups that are not supported [O8]", |o| { o.groups = Some("ffdhe2048:P-256".into()); Ok(()) }, &[ErrorCode::ErrInvalidArgValue], "ffdhe2048"),
    ("parameters of 1024 bit [O9]", |o| { o.dhparam = Some(openssl(&["dhparam", "-dsaparam", "1024"])?); Ok(()) }, &[ErrorCode::ErrSslDhKeyTooSmall], "1024 bits"),
    ("what are no parameters [O9]", |o| { o.dhparam = Some(b"no".to_vec()); Ok(()) }, &[ErrorCode::ErrInvalidArgValue], "dhparam"),
    ("the method of TLS 1.1 [O10]", |o| { o.secure_protocol = Some("TLSv1_1_method".into()); Ok(()) }, &[ErrorCode::ErrTlsInvalidProtocolMethod], "not supported: TLS 1.1"),
    ("the method of SSL 3.0 [O10]", |o| { o.secure_protocol = Some("SSLv3_method".into()); Ok(()) }, &[ErrorCode::ErrTlsInvalidProtocolMethod], "not supported: SSL 3.0"),
    ("a method that is none [O10]", |o| { o.secure_protocol = Some("any".into()); Ok(()) }, &[ErrorCode::ErrTlsInvalidProtocolMethod], "Unknown method: any"),
    ("a method beside a version [O10]", |o| { o.secure_protocol = Some("TLS_method".into()); o.min_version = Some(ProtocolVersion::Tls12); Ok(()) }, &[ErrorCode::ErrTlsProtocolVersionConflict], "conflicts"),
    ("sessions without a life [O18]", |o| { o.session_timeout = Some(0); Ok(()) }, &[ErrorCode::ErrOutOfRange], "604800"),
    ("sessions of more than seven days [O18]", |o| { o.session_timeout = Some(604_801); Ok(()) }, &[ErrorCode::ErrOutOfRange], "604800"),
    ("a session id context of 33 bytes [O18]", |o| { o.session_id_context = Some(vec![1; 33]); Ok(()) }, &[ErrorCode::ErrSslSslSessionIdContextTooLong], "33 bytes"),
    ("ticket keys of 47 bytes [O19]", |o| { o.ticket_keys = Some(vec![1; 47]); Ok(()) }, &[ErrorCode::ErrInvalidArgValue], "47 bytes"),
    ("many things wrong at once [O1, O6, O7, O9, O10, O19]", |o| {
        o.keys = vec![encrypted(&["ec", "-aes128", WORD])?];
        o.ciphers = Some("NULL".into());
        o.sigalgs = Some("MD5".into());
        o.dhparam = Some(b"no".to_vec());
        o.secure_protocol = Some("any".into());
        o.ticket_keys = Some(Vec::new());
        Ok(())
    }, &[ErrorCode::ErrMissingPassphrase, ErrorCode::ErrSslNoCipherMatch, ErrorCode::ErrInvalidArgValue, ErrorCode::ErrTlsInvalidProtocolMethod], ""),
];

fn refused() -> Vec<Row> {
    let row = |(what, change, codes, text): Refused| {
        Row::new("creation", format!("a context with {what}"), move || async move {
            let mut options = with_identity(&Kind::P256.server());
            change(&mut options)?;
            let mut tls = Host::shared()?.instance().await?;
            let errors = tls.context(&options).await?.err().unwrap_or_default();
            let found: Vec<_> = errors.iter().map(|error| error.code).collect();
            let all = found.iter().all(|code| codes.contains(code)) && codes.iter().all(|code| found.contains(code));
            ensure!(all, "{errors:?}, not {codes:?}");
            ensure!(
                codes.is_empty() || errors.iter().any(|error| error.message.contains(text)),
                "{errors:?}: not {text:?}"
            );
            ensure!(errors.iter().all(has_reason), "OpenSSL's words are missing: {errors:?}");
            Ok(())
        })
    };
    REFUSED.into_iter().map(row).collect()
}

/// What a context speaks, and says of itself.
fn spoken() -> Vec<Row> {
    vec![
        Row::new("policy", "signature schemes are offered in the order of the list [O7]", || async {
            let list = "rsa_pss_rsae_sha512:ECDSA+SHA256:ed25519";
            let options = ContextOptions { sigalgs: Some(list.into()), ..ContextOptions::default() };
            let schemes = hello(&mut Host::shared()?.instance().await?, &options).await?.schemes;
            ensure!(schemes == ["RSA_PSS_SHA512", "ECDSA_NISTP256_SHA256", "ED25519"], "{schemes:?}");
            Ok(())
        }),
        Row::new("policy", "a server signs only by the schemes of the list [O7]", || async {
            // OpenSSL's client takes both; the server's key is of the other kind.
            let options = ContextOptions { sigalgs: Some("ed25519".into()), ..with_identity(&Kind::P256.server()) };
            let setup = Setup { turn: Turn::AfterPeer, ..Setup::server(Kind::P256) };
            let listening = listen_with(&options, &setup).await?;
            let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(Kind::P256) };
            let (client, server) = tokio::join!(Peer::OpenSsl.connect(&client, listening.port), listening.report());
            let code = server?.failure.map(|failure| failure.code);
            ensure!(code.as_deref() == Some("ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM"), "{code:?}");
            let alert = client?.failure.and_then(|failure| failure.alert);
            ensure!(alert == Some(40), "{alert:?}");
            Ok(())
        }),
        Row::new("policy", "a client takes no signature by a scheme that is not in the list [O7]", || async {
            let server = Setup { turn: Turn::AfterPeer, ..Setup::server(Kind::P384) };
            let listening = Peer::OpenSsl.listen(&server).await?;
            let setup = Setup { turn: Turn::WhenAllCame, ..Setup::client(Kind::P384) };
            let options = ContextOptions { sigalgs: Some("ECDSA+SHA256:ed25519".into()), ..context_options(&setup) };
            let (client, server) = tokio::join!(connect_with(&options, &setup, listening.port), listening.report());
            ensure!(client?.failure.is_some(), "the client went on");
            let reason = server?.failure.and_then(|failure| failure.reason);
            ensure!(reason.as_deref() == Some("no suitable signature algorithm"), "{reason:?}");
            Ok(())
        }),
        Row::new("policy", "groups are offered in the order of the list [O8]", || async {
            let options = ContextOptions { groups: Some("P-384:?x448/X25519".into()), ..ContextOptions::default() };
            let groups = hello(&mut Host::shared()?.instance().await?, &options).await?.groups;
            ensure!(groups == ["secp384r1", "X25519"], "{groups:?}");
            Ok(())
        }),
        Row::new("policy", "parameters of 3072 bit are taken, with a warning, and are not used [O9]", || async {
            let dhparam = Some(openssl(&["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072"])?);
            let options = ContextOptions { dhparam, ..with_identity(&Kind::P256.server()) };
            let mut tls = Host::shared()?.instance().await?;
            let warnings = good(tls.context(&options).await?)?.warnings(&mut tls).await?;
            ensure!(warnings.len() == 1 && warnings[0].contains("dhparam"), "{warnings:?}");
            let usual = good(tls.context(&with_identity(&Kind::P256.server())).await?)?.warnings(&mut tls).await?;
            ensure!(usual.is_empty(), "{usual:?}");
            serves(&options, Kind::P256, Setup::client(Kind::P256)).await
        }),
        Row::new("policy", "TLSv1_2_method speaks TLS 1.2 with OpenSSL [O10]", || async {
            let options = ContextOptions {
                secure_protocol: Some("TLSv1_2_method".into()),
                ..with_identity(&Kind::P256.server())
            };
            let client = Setup { turn: Turn::WhenAllCame, ..Setup::client(Kind::P256) };
            let (client, server) = serve(&options, Kind::P256, client).await?;
            good_ends(&client, &server)?;
            ensure!(server.protocol.as_deref() == Some("TLSv1.2"), "{server:?}");
            Ok(())
        }),
        Row::new("policy", "Suite B speaks its suites, groups and schemes [O6]", || async {
            let options = ContextOptions { ciphers: Some("SUITEB128".into()), ..ContextOptions::default() };
            let hello = hello(&mut Host::shared()?.instance().await?, &options).await?;
            let tls12 = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"];
            ensure!(hello.suites.ends_with(&tls12) && hello.suites.len() == 5, "{hello:?}");
            ensure!(hello.groups == ["secp256r1", "secp384r1"], "{hello:?}");
            ensure!(hello.schemes == ["ECDSA_NISTP256_SHA256", "ECDSA_NISTP384_SHA384"], "{hello:?}");
            Ok(())
        }),
        Row::new("policy", "the defaults are what a context speaks without options [M1, M9]", || async {
            let mut tls = Host::shared()?.instance().await?;
            let (ciphers, groups, min, max) = tls.defaults().await?;
            ensure!((min, max) == (ProtocolVersion::Tls12, ProtocolVersion::Tls13), "{min:?}, {max:?}");
            let without = hello(&mut tls, &ContextOptions::default()).await?;
            ensure!(without.suites.join(":") == ciphers, "{without:?}, not {ciphers}");
            let with = ContextOptions { ciphers: Some(ciphers), groups: Some(groups), ..ContextOptions::default() };
            let with = hello(&mut tls, &with).await?;
            ensure!(with == without, "{with:?}, not {without:?}");
            let mut sorted: Vec<_> = without.suites.iter().map(|name| name.to_lowercase()).collect();
            sorted.sort();
            ensure!(tls.ciphers().await? == sorted, "{sorted:?}");
            Ok(())
        }),
    ]
}

/// Whether OpenSSL's client, which verifies, gets through to a server with these options.
async fn serves(options: &ContextOptions, kind: Kind, client: Setup) -> Result<()> {
    let client = Setup { turn: Turn::WhenAllCame, ..client };
    let (client, server) = serve(options, kind, client).await?;
    good_ends(&client, &server)?;
    ensure!(client.authorized == Some(true), "{client:?}");
    Ok(())
}

async fn serve(options: &ContextOptions, kind: Kind, client: Setup) -> Result<(Report, Report)> {
    let setup = Setup { turn: Turn::AfterPeer, ..Setup::server(kind) };
    let listening = listen_with(options, &setup).await?;
    let (client, server) = tokio::join!(Peer::OpenSsl.connect(&client, listening.port), listening.report());
    Ok((client?, server?))
}

fn good_ends(client: &Report, server: &Report) -> Result<()> {
    for (role, report) in [(Role::Client, client), (Role::Server, server)] {
        ensure!(report.failure.is_none() && report.protocol.is_some(), "the {role}: {report:?}");
    }
    ensure!(client.sent == server.received && server.sent == client.received, "{client:?}\n{server:?}");
    Ok(())
}

fn with_identity(identity: &Identity) -> ContextOptions {
    ContextOptions {
        certificates: vec![identity.full_chain().into()],
        keys: vec![identity.key.clone().into()],
        ..ContextOptions::default()
    }
}

fn with_pfx(pfx: &[u8]) -> ContextOptions {
    ContextOptions { pfxs: vec![pfx.to_vec()], passphrase: word(), ..ContextOptions::default() }
}

/// The identity's key in another form.
fn key(identity: &Identity, arguments: &[&str]) -> Result<Vec<u8>> {
    let path = identity.key_path().display().to_string();
    let (command, options) = arguments.split_first().context("a command of openssl")?;
    openssl(&[&[*command, "-in", &path], options].concat())
}

fn encrypted(arguments: &[&str]) -> Result<Vec<u8>> {
    key(&Kind::P256.server(), arguments)
}

/// The identity with its authority in a PKCS#12 file.
fn pfx(identity: &Identity, arguments: &[&str]) -> Result<Vec<u8>> {
    let path = |path: std::path::PathBuf| path.display().to_string();
    let authority = path(identity.kind.authority().certificate_path());
    let (certificate, key) = (path(identity.certificate_path()), path(identity.key_path()));
    let files = ["pkcs12", "-export", "-in", &certificate, "-inkey", &key, "-certfile", &authority, WORD];
    openssl(&[&files, arguments].concat())
}

fn usual_pfx(arguments: &[&str]) -> Result<Vec<u8>> {
    pfx(&Kind::P256.server(), arguments)
}

/// What OpenSSL writes. [`WORD`] stands for the passphrase.
fn openssl(arguments: &[&str]) -> Result<Vec<u8>> {
    let password = format!("pass:{PASSPHRASE}");
    let arguments: Vec<_> = arguments
        .iter()
        .flat_map(|argument| if *argument == WORD { vec!["-passout", &password] } else { vec![*argument] })
        .collect();
    let output = Command::new("openssl").args(&arguments).output().context("the openssl command does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl {}: {said}", arguments.join(" "));
    Ok(output.stdout)
}

/// Whether an error has OpenSSL's words, where OpenSSL has words for it.
fn has_reason(error: &Error) -> bool {
    let expected = match error.code {
        ErrorCode::ErrOsslBadDecrypt => Some("bad decrypt"),
        ErrorCode::ErrOsslPkcs12MacVerifyFailure => Some("mac verify failure"),
        ErrorCode::ErrSslNoCipherMatch => Some("no cipher match"),
        ErrorCode::ErrSslInvalidCommand => Some("invalid command"),
        ErrorCode::ErrSslDhKeyTooSmall => Some("dh key too small"),
        ErrorCode::ErrSslSslSessionIdContextTooLong => Some("ssl session id context too long"),
        _ => None,
    };
    error.reason.as_deref() == expected
}

fn word() -> Option<Vec<u8>> {
    Some(PASSPHRASE.into())
}

fn other() -> Option<Vec<u8>> {
    Some("another".into())
}

const PASSPHRASE: &str = "Grüße";
/// Stands for the option with the passphrase.
const WORD: &str = "{passphrase}";
