//! Contexts of files and options: what is taken, what is refused in which words, and what is told besides.

use proptest::prelude::*;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::error::ErrorCode;

const CERT: &[u8] = include_bytes!("../engine/tests/fixtures/server.pem");
const KEY: &[u8] = include_bytes!("../engine/tests/fixtures/server.key.pem");
const OTHER_KEY: &[u8] = include_bytes!("../engine/tests/fixtures/other.key.pem");
const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

fn options(certs: &[&[u8]], keys: &[&[u8]], cas: &[&[u8]]) -> ContextOptions {
    ContextOptions {
        certs: certs.iter().map(|cert| cert.to_vec()).collect(),
        keys: keys.iter().map(|key| key.to_vec().into()).collect(),
        cas: cas.iter().map(|ca| ca.to_vec()).collect(),
        ..ContextOptions::default()
    }
}

#[test]
fn files_that_do_not_do_are_told_by_what_is_wrong_with_them() {
    use ErrorCode::*;
    type Row = (
        &'static str,
        &'static [&'static [u8]],
        &'static [&'static [u8]],
        &'static [&'static [u8]],
        &'static [(ErrorCode, &'static str)],
    );
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("a certificate and its key", &[CERT], &[KEY], &[], &[]),
        ("nothing at all", &[], &[], &[], &[]),
        ("a certificate and another key", &[CERT], &[OTHER_KEY], &[], &[(ErrOsslX509KeyValuesMismatch, "Certificate 1 has no private key: the key given")]),
        ("a certificate without a key", &[CERT], &[], &[], &[(ErrOsslX509KeyValuesMismatch, "Certificate 1")]),
        ("a key without a certificate", &[], &[KEY], &[], &[(ErrOsslX509KeyValuesMismatch, "Private key 1")]),
        ("a key in place of a certificate", &[KEY], &[], &[], &[(ErrTlsInvalidCertificate, "found PRIVATE KEY")]),
        ("a certificate in place of a key", &[], &[CERT], &[], &[(ErrTlsInvalidKey, "found CERTIFICATE")]),
        ("an encrypted key", &[], &[ENCRYPTED], &[], &[(ErrMissingPassphrase, "no passphrase was given")]),
        ("no certificate", &[b"hello"], &[], &[], &[(ErrTlsInvalidCertificate, "neither PEM nor")]),
        ("no key", &[], &[b"hello"], &[], &[(ErrTlsInvalidKey, "neither PEM nor")]),
        ("PEM that does not end", &[b"-----BEGIN CERTIFICATE-----\nAAAA\n"], &[], &[], &[(ErrTlsInvalidCertificate, "no -----END line")]),
        ("PEM that is not base64", &[b"-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n"], &[], &[], &[(ErrTlsInvalidCertificate, "not base64")]),
        ("PEM with what is no certificate", &[b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], &[], &[], &[(ErrTlsInvalidCertificate, "Certificate 1 of the file, in line 1, is not a readable X.509 certificate")]),
        ("the second CA file is wrong", &[], &[], &[CERT, b"x"], &[(ErrTlsInvalidCertificate, "CA file 2 of 2")]),
        ("the second of two certificates is wrong", &[CERT, b"x"], &[KEY], &[], &[(ErrTlsInvalidCertificate, "File 2 of 2")]),
        ("all that is wrong is said", &[b"x"], &[b"x"], &[b"x"], &[(ErrTlsInvalidCertificate, "CA file"), (ErrTlsInvalidCertificate, "PEM"), (ErrTlsInvalidKey, "PEM")]),
    ];
    for (what, certs, keys, cas, expected) in rows {
        let errors = Context::new(&options(certs, keys, cas)).err().unwrap_or_default();
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, expected.iter().map(|row| row.0).collect::<Vec<_>>(), "{what}: {errors:?}");
        for (error, (_, text)) in errors.iter().zip(*expected) {
            assert!(error.message.contains(text), "{what}: {:?} does not say {text:?}", error.message);
        }
    }
}

#[test]
fn a_pfx_stands_beside_all_others_and_so_do_its_authorities() {
    let pfx = SecretFile {
        file: include_bytes!("tests/fixtures/modern.p12").to_vec().into(),
        passphrase: Some("Grüße".as_bytes().to_vec().into()),
    };
    let alone = ContextOptions { pfxs: vec![pfx.clone()], ..ContextOptions::default() };
    let context = Context::new(&alone).expect("the file is good");
    let others = Context::new(&ContextOptions::default()).expect("the defaults are good");
    assert_eq!(context.roots().anchors().len(), others.roots().anchors().len() + 1);
    assert!(!context.identities().is_empty());

    // As in Node, it stands beside all the others: its authorities beside those of `ca`, and no more of Mozilla's.
    let all = ContextOptions { pfxs: vec![pfx.clone(), pfx], ..options(&[CERT], &[KEY], &[fixture!("ca.pem")]) };
    let context = Context::new(&all).expect("they go together");
    assert_eq!(context.roots().certificates().len(), 3);
    assert!(context.roots().are_own() && context.warnings().is_empty());
}

#[test]
fn a_ca_that_can_not_be_read_is_left_out_with_a_warning_that_says_which() {
    let ca = std::str::from_utf8(fixture!("ca.pem")).expect("it is text");
    let not_base64 = ca.replacen('\n', "\n!", 1);
    let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let half = &ca[..ca.len() / 2];
    let long = [ca, &not_x509.repeat(20)].concat();
    let lines = ca.lines().count();
    #[rustfmt::skip]
    let rows: [(&str, String, usize, Vec<String>); 6] = [
        ("two good ones", [ca, ca].concat(), 2, vec![]),
        ("the second is no base64", [ca, &not_base64, ca].concat(), 2, vec![format!("CA file 1 of 1: The file with the certificate is not readable PEM: the section that begins in line {} has text between its lines that is not base64. It is not trusted; the others of the file are.", lines + 1)]),
        ("the second is no certificate", [ca, not_x509, ca].concat(), 2, vec![format!("CA file 1 of 1: Certificate 2 of the file, in line {}, is not a readable X.509 certificate. It is not trusted; the others of the file are.", lines + 1)]),
        ("the first is no certificate", [not_x509, ca].concat(), 1, vec!["CA file 1 of 1: Certificate 1 of the file, in line 1, is not a readable X.509 certificate. It is not trusted; the others of the file are.".into()]),
        ("the second has no end", [ca, half, "\n", ca].concat(), 2, vec![format!("CA file 1 of 1: The file with the certificate is not readable PEM: the section that begins in line {} has no -----END line. It is not trusted; the others of the file are.", lines + 1)]),
        ("webpki reads one as no anchor", [ca, std::str::from_utf8(fixture!("no-anchor.pem")).expect("it is text")].concat(), 1, vec![format!("CA file 1 of 1: Certificate 2 of the file, in line {} (\"CN=ca\"), can't be a trust anchor: it is of version 2, and only versions 1 and 3 are read (RFC 5280 section 4.1.2.1). It is not trusted; the others of the file are.", lines + 1)]),
    ];
    for (what, file, count, warnings) in rows {
        let context = Context::new(&options(&[], &[], &[file.as_bytes()])).expect(what);
        assert_eq!(context.roots().anchors().len(), count, "{what}");
        assert_eq!(context.warnings(), warnings, "{what}");
    }
    let context = Context::new(&options(&[], &[], &[long.as_bytes()])).expect("one is good");
    assert_eq!(context.warnings().len(), 9);
    assert!(context.warnings()[8].contains("12 more are left out"), "{:?}", context.warnings());
}

#[test]
fn files_may_begin_with_a_byte_order_mark() {
    let marked = |file: &[u8]| [b"\xef\xbb\xbf", file].concat();
    let with_marks = options(&[&marked(CERT)], &[&marked(KEY)], &[&marked(CERT)]);
    let context = Context::new(&ContextOptions { dhparam: Some(marked(fixture!("dh-3072.pem"))), ..with_marks });
    assert_eq!(context.expect("they are good").roots().certificates().len(), 1);
    // UTF-16, as PowerShell's `>` writes it, is read by nobody, and is told.
    let utf16 = |file: &[u8]| -> Vec<u8> {
        [&[0xff, 0xfe][..], &file.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<_>>()].concat()
    };
    let errors = Context::new(&options(&[&utf16(CERT)], &[&utf16(KEY)], &[&utf16(CERT)])).expect_err("UTF-16");
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|error| error.message.contains("UTF-16: save it as ASCII or UTF-8")), "{errors:?}");
}

#[test]
fn old_and_openssl_s_own_labels_are_read_and_their_trust_is_honoured() {
    let old = String::from_utf8_lossy(fixture!("ca.pem")).replace(" CERTIFICATE", " X509 CERTIFICATE");
    let both = |one: &[u8], other: &[u8]| [one, other].concat();
    // The anchors for servers' and for clients' chains.
    #[rustfmt::skip]
    let rows: [(&str, &[u8], [usize; 2]); 6] = [
        ("X509 CERTIFICATE", old.as_bytes(), [1, 1]),
        ("trusted for servers", fixture!("ca.for-servers.pem"), [1, 0]),
        ("not trusted for servers", fixture!("ca.not-for-servers.pem"), [0, 1]),
        ("not trusted for servers, before a plain copy", &both(fixture!("ca.not-for-servers.pem"), fixture!("ca.pem")), [0, 2]),
        ("not trusted for servers, after a plain copy", &both(fixture!("ca.pem"), fixture!("ca.not-for-servers.pem")), [0, 2]),
        ("no CA, and trusted for clients", fixture!("p256.trusted.pem"), [0, 1]),
    ];
    for (what, file, expected) in rows {
        let context = Context::new(&options(&[], &[], &[file])).expect(what);
        assert_eq!([context.roots(), context.client_roots()].map(|roots| roots.anchors().len()), expected, "{what}");
        assert!(context.roots().are_own() && context.client_roots().are_own(), "{what}");
    }
}

#[test]
fn a_ca_is_rejected_by_its_name_and_key_whoever_signed_the_certificate() {
    let context = Context::new(&options(&[], &[], &[fixture!("ca.not-for-servers.pem")])).expect("it is good");
    let der = |pem: &[u8]| CertificateDer::from_pem_slice(pem).expect("it is PEM").to_vec();
    let ca = der(fixture!("ca.pem"));
    // Of an ECDSA signature (r, s), another one is (r, n - s): the bytes differ, and it is as good.
    let mut signed_anew = ca.clone();
    *signed_anew.last_mut().expect("it has bytes") ^= 1;
    for (what, certificate, expected) in [
        ("itself", ca, true),
        ("the same with another signature", signed_anew, true),
        ("another one", der(fixture!("p256.cert.pem")), false),
    ] {
        let certificate = CertificateDer::from(certificate);
        assert_eq!(context.roots().rejects(&certificate), expected, "{what}");
        assert!(!context.client_roots().rejects(&certificate), "{what}, for clients");
    }
}

#[test]
fn options_without_effect_are_told() {
    let options = ContextOptions { dhparam: Some(b"auto".to_vec()), ..ContextOptions::default() };
    let context = Context::new(&options).expect("auto is good");
    assert!(context.warnings()[0].contains("dhparam"), "{:?}", context.warnings());
    assert!(Context::new(&ContextOptions::default()).expect("the defaults are good").warnings().is_empty());
}

#[test]
fn secrets_are_not_shown() {
    let secret = SecretFile { file: KEY.to_vec().into(), passphrase: Some(b"open sesame".to_vec().into()) };
    let options = ContextOptions {
        ticket_keys: Some(vec![0x5a; 48].into()),
        keys: vec![secret],
        certs: vec![CERT.to_vec()],
        ..ContextOptions::default()
    };
    let context = Context::new(&options).expect("they are good");
    for shown in [format!("{:?}", options.keys), format!("{:?}", options.ticket_keys), format!("{context:?}")] {
        assert!(!shown.contains("90, 90") && !shown.contains("45, 45") && !shown.contains("sesame"), "{shown}");
    }
}

/// The first word of a message that Rust's debug output has and English has not: a name like `MaximumPathDepthExceeded`, or a
/// variant with its content.
fn debug_word(message: &str) -> Option<&str> {
    let humps = |word: &str| {
        let letters: Vec<_> = word.chars().collect();
        let starts = |pair: &&[char]| pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase();
        letters.first().is_some_and(char::is_ascii_uppercase)
            && letters.iter().all(char::is_ascii_alphanumeric)
            && letters.windows(2).filter(starts).count() > 1
    };
    let words = message.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '#');
    words
        .into_iter()
        .find(|word| humps(word))
        .or(["Some(", "Ok(", "Err(", " { ", "[("].into_iter().find(|text| message.contains(text)))
}

/// Every kind of file that is broken in every place that has a sentence of its own.
#[test]
fn no_message_about_a_file_is_debug_output() {
    assert_eq!(debug_word("It is MaximumPathDepthExceeded."), Some("MaximumPathDepthExceeded"));
    assert_eq!(debug_word("It is TrailingData(Certificate)."), Some("TrailingData"));
    assert_eq!(debug_word("It is PEM, OpenSSL's `keyCertSign`, of PKCS#12 (RFC 5280 section 4.1)."), None);
    let files: [&[u8]; 12] = [
        CERT,
        KEY,
        ENCRYPTED,
        b"hello",
        fixture!("modern.p12"),
        fixture!("nss.p12"),
        fixture!("no-encryption.p12"),
        fixture!("rsa.encrypted.der"),
        fixture!("ca.for-servers.pem"),
        fixture!("no-anchor.pem"),
        fixture!("rc4.p12"),
        fixture!("dh-1024.pem"),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for file in files {
        let halves = [
            file.to_vec(),
            file[..file.len() / 2].to_vec(),
            [file, b"x"].concat(),
            file.iter().rev().copied().collect(),
        ];
        for file in halves {
            let secret =
                || SecretFile { file: file.clone().into(), passphrase: Some("Grüße".as_bytes().to_vec().into()) };
            let all = ContextOptions {
                certs: vec![file.clone()],
                keys: vec![secret()],
                pfxs: vec![secret()],
                cas: vec![file.clone()],
                dhparam: Some(file.clone()),
                ..ContextOptions::default()
            };
            seen.extend(Context::new(&all).err().into_iter().flatten().map(|error| error.message));
        }
    }
    assert!(seen.len() > 25, "{seen:#?}");
    for message in seen {
        assert_eq!(debug_word(&message), None, "{message}");
        assert!(message.ends_with('.') && !message.contains(".."), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_files_make_a_context_or_errors(
        file in proptest::collection::vec(any::<u8>(), 0..200),
        place in 0usize..800,
        byte: u8,
        list in "[a-zA-Z0-9:, _-]{0,40}",
    ) {
        let mut changed = CERT.to_vec();
        if let Some(at) = changed.get_mut(place) {
            *at = byte;
        }
        for cert in [&file[..], &changed] {
            let mut options = options(&[cert], &[&file], &[cert]);
            options.ciphers = Some(list.clone());
            options.groups = Some(list.clone());
            let errors = Context::new(&options).err().unwrap_or_default();
            prop_assert!(!errors.is_empty());
            for Error { message, .. } in &errors {
                prop_assert_eq!(debug_word(message).filter(|word| !list.contains(*word)), None, "{}", message);
            }
        }
    }
}
