//! Handshakes: what is agreed on, and how they fail.

use super::fixtures::{self, CLIENT, OTHER, SERVER, context, with_identity, without_identity};
use super::pair::{Pair, events};
use crate::context::{ContextOptions, Version};
use crate::engine::{Connection, ConnectionOptions, Contexts, Event, Server};
use crate::error::{Direction, ErrorCode};

#[test]
fn every_version_and_group_agrees_and_names_itself() {
    for version in [Version::Tls12, Version::Tls13] {
        for (group, name, kind) in [
            ("X25519MLKEM768", "X25519MLKEM768", "KEM"),
            ("X25519", "X25519", "ECDH"),
            ("P-256", "prime256v1", "ECDH"),
            ("P-384", "secp384r1", "ECDH"),
            ("P-521", "secp521r1", "ECDH"),
        ] {
            if version == Version::Tls12 && kind == "KEM" {
                continue;
            }
            let mut pair = Pair::with(
                |context, _| {
                    context.groups = Some(group.into());
                    context.max_version = Some(version);
                },
                |_, _| {},
            );
            pair.handshake();
            for end in [&pair.client, &pair.server] {
                assert_eq!(end.protocol(), Some(version));
                let info = end.ephemeral_key_info().map(|info| (info.name, info.kind));
                assert_eq!(info, Some((name, kind)));
                assert_eq!(end.cipher().map(|cipher| cipher.version), Some(version));
            }
            assert!(pair.client.authorized());
            assert!(!pair.server.authorized(), "no certificate was asked for");
            assert_eq!(pair.server.authorization_error(), None);
            assert_eq!(pair.server.servername(), Some("server.test"));
            assert_eq!(pair.client.peer_certificates().len(), 1);
        }
    }
}

/// Who changes what; what the client and what the server ends with, and the alert that goes from one to the other.
type Refusal = (
    &'static str,
    fn(&mut ContextOptions, &mut ConnectionOptions),
    fn(&mut ContextOptions, &mut ConnectionOptions),
    ErrorCode,
    ErrorCode,
    &'static str,
);

#[test]
fn what_does_not_fit_ends_both_sides_with_its_code() {
    use ErrorCode::*;
    #[rustfmt::skip]
    let rows: &[Refusal] = &[
        ("no version in common", |c, _| c.max_version = Some(Version::Tls12), |s, _| s.min_version = Some(Version::Tls13),
            ErrSslTlsv1AlertProtocolVersion, ErrSslUnsupportedProtocol, "protocol_version"),
        ("no suite of 1.3 in common", |c, _| c.ciphers = Some("TLS_AES_128_GCM_SHA256".into()), |s, _| s.ciphers = Some("TLS_AES_256_GCM_SHA384".into()),
            ErrSslSslv3AlertHandshakeFailure, ErrSslNoSharedCipher, "handshake_failure"),
        ("only suites of 1.2 for another kind of key", |c, _| { c.ciphers = Some("ECDHE-RSA-AES128-GCM-SHA256".into()); c.max_version = Some(Version::Tls12) }, |_, _| {},
            ErrSslSslv3AlertHandshakeFailure, ErrSslNoSharedCipher, "handshake_failure"),
        ("no group in common", |c, _| c.groups = Some("P-384".into()), |s, _| s.groups = Some("X25519".into()),
            ErrSslSslv3AlertHandshakeFailure, ErrSslNoSuitableKeyShare, "handshake_failure"),
        ("no application protocol in common", |_, c| c.alpn_protocols = vec![b"h2".to_vec()], |_, s| s.alpn_protocols = vec![b"http/1.1".to_vec()],
            ErrSslTlsv1AlertNoApplicationProtocol, ErrSslNoApplicationProtocol, "no_application_protocol"),
        ("the certificate is for another name", |_, c| c.servername = Some("elsewhere.test".into()), |_, _| {},
            ErrTlsCertAltnameInvalid, ErrSslSslv3AlertBadCertificate, "bad_certificate"),
        ("the CA is not trusted", |c, _| c.cas.clear(), |_, _| {},
            UnableToVerifyLeafSignature, ErrSslTlsv1AlertUnknownCa, "unknown_ca"),
        ("a client certificate is missing, TLS 1.3", |_, _| {}, |_, s| s.request_cert = true,
            ErrSslTlsv13AlertCertificateRequired, ErrSslPeerDidNotReturnACertificate, "certificate_required"),
        ("a client certificate is missing, TLS 1.2", |c, _| c.max_version = Some(Version::Tls12), |_, s| s.request_cert = true,
            ErrSslSslv3AlertHandshakeFailure, ErrSslPeerDidNotReturnACertificate, "handshake_failure"),
        ("the client's CA is not trusted", |c, _| *c = with_identity(CLIENT), |s, o| { s.cas = vec![SERVER.0.to_vec()]; o.request_cert = true; },
            ErrSslTlsv1AlertUnknownCa, UnableToVerifyLeafSignature, "unknown_ca"),
    ];
    for (what, client, server, at_client, at_server, alert) in rows {
        let mut pair = Pair::with(client, server);
        pair.drive();
        let (client, server) = pair.errors();
        let seen = |error: Option<crate::Error>| {
            error.map(|error| (error.code, error.alert.map(|alert| alert.name()).unwrap_or("none")))
        };
        assert_eq!(seen(client.clone()), Some((*at_client, *alert)), "{what}, at the client");
        assert_eq!(seen(server.clone()), Some((*at_server, *alert)), "{what}, at the server");
        let directions = [client, server].map(|error| error.and_then(|error| error.alert).map(|alert| alert.direction));
        assert!(
            directions.contains(&Some(Direction::Sent)) && directions.contains(&Some(Direction::Received)),
            "{what}: one side sends the alert and the other receives it"
        );
    }
}

#[test]
fn a_client_of_other_times_is_told_what_it_lacks() {
    let rsa_and_sha256 = [0, 13, 0, 4, 0, 2, 4, 1];
    for (what, version, extensions, code, alert) in [
        ("SSL 3.0", 0, &[][..], ErrorCode::ErrSslUnsupportedProtocol, "protocol_version"),
        ("TLS 1.0", 1, &[], ErrorCode::ErrSslUnsupportedProtocol, "protocol_version"),
        ("TLS 1.1", 2, &[], ErrorCode::ErrSslUnsupportedProtocol, "protocol_version"),
        ("TLS 1.2 with static RSA", 3, &rsa_and_sha256, ErrorCode::ErrSslNoSharedCipher, "handshake_failure"),
    ] {
        // No session, TLS_RSA_WITH_AES_128_GCM_SHA256, no compression.
        let mut body = [&[3, version][..], &[7; 32], &[0, 0, 2, 0, 0x9c, 1, 0]].concat();
        if !extensions.is_empty() {
            body.extend([&[0, extensions.len() as u8][..], extensions].concat());
        }
        let length = body.len() as u8;
        let hello = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
        let mut pair = Pair::with(|_, _| {}, |_, _| {});
        assert_eq!(pair.server.write_encrypted(&hello), Ok(hello.len()), "{what}");
        let error = pair.server.error().cloned().map(|error| (error.code, error.alert.map(|alert| alert.name())));
        assert_eq!(error, Some((code, Some(alert))), "{what}");
    }
}

#[test]
fn a_client_without_our_signature_scheme_is_told_so() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut pair = Pair::with(|context, _| context.max_version = Some(version), |_, _| {});
        // ecdsa_secp256r1_sha256 in the ClientHello becomes a scheme that nobody has.
        let mut hello = pair.client.read_encrypted(usize::MAX);
        let place = hello.windows(4).position(|pair| pair == [4, 3, 5, 3]).expect("the scheme is offered");
        hello[place] = 0xfe;
        assert_eq!(pair.server.write_encrypted(&hello), Ok(hello.len()));
        let error = pair.server.error().cloned().map(|error| (error.code, error.alert.map(|alert| alert.name())));
        let expected = (ErrorCode::ErrSslNoSuitableSignatureAlgorithm, Some("handshake_failure"));
        assert_eq!(error, Some(expected), "{version}");
        pair.drive();
        let code = pair.client.error().map(|error| error.code);
        assert_eq!(code, Some(ErrorCode::ErrSslSslv3AlertHandshakeFailure), "{version}");
    }
}

#[test]
fn where_the_unauthorized_are_not_rejected_the_handshake_tells() {
    use ErrorCode::*;
    type Change = fn(&mut ContextOptions, &mut ConnectionOptions);
    type Row = (&'static str, Change, Change, Option<ErrorCode>, Option<ErrorCode>);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("another name", |_, c| c.servername = Some("elsewhere.test".into()), |_, _| {}, Some(ErrTlsCertAltnameInvalid), None),
        ("another CA", |c, _| c.cas = vec![SERVER.0.to_vec()], |_, _| {}, Some(UnableToVerifyLeafSignature), None),
        ("no client certificate", |_, _| {}, |_, s| s.request_cert = true, None, Some(UnableToGetIssuerCert)),
        ("another CA of the client", |c, _| *c = with_identity(CLIENT), |s, o| { s.cas = vec![SERVER.0.to_vec()]; o.request_cert = true; }, None, Some(UnableToVerifyLeafSignature)),
        ("a good client certificate", |c, _| *c = with_identity(CLIENT), |_, s| s.request_cert = true, None, None),
    ];
    for (what, client, server, at_client, at_server) in rows {
        let mut pair = Pair::with(
            |context, options| {
                options.reject_unauthorized = false;
                client(context, options);
            },
            |context, options| {
                options.reject_unauthorized = false;
                server(context, options);
            },
        );
        pair.handshake();
        let code = |error: Option<crate::Error>| error.map(|error| error.code);
        assert_eq!(code(pair.client.authorization_error()), *at_client, "{what}");
        assert_eq!(code(pair.server.authorization_error()), *at_server, "{what}");
        assert_eq!(pair.client.authorized(), at_client.is_none(), "{what}");
        let shown = !pair.server.peer_certificates().is_empty();
        assert_eq!(pair.server.authorized(), shown && at_server.is_none(), "{what}");
    }
}

#[test]
fn the_server_picks_the_application_protocol() {
    let alpn = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    for (client, server, expected) in [
        (vec!["h2", "http/1.1"], vec!["http/1.1", "h2"], Some("http/1.1")),
        (vec!["h2"], vec!["h2"], Some("h2")),
        (vec!["h2"], vec![], None),
        (vec![], vec!["h2"], None),
    ] {
        let mut pair = Pair::with(
            |_, options| options.alpn_protocols = alpn(&client),
            |_, options| options.alpn_protocols = alpn(&server),
        );
        pair.handshake();
        for end in [&pair.client, &pair.server] {
            assert_eq!(end.alpn_protocol(), expected.map(str::as_bytes));
        }
    }
}

#[test]
fn a_server_takes_the_context_of_the_name() {
    let mut server = Server::new(fixtures::server_context(), fixtures::server()).expect("right");
    server.contexts_mut().add("*.test", context(&with_identity(OTHER))).expect("right");
    for (name, expected) in [("other.test", "other.test"), ("127.0.0.1", "server.test")] {
        let mut pair = Pair::plain();
        pair.client = Connection::new(
            fixtures::client_context(),
            ConnectionOptions { servername: Some(name.into()), ..ConnectionOptions::default() },
        )
        .expect("right");
        pair.server = server.accept().expect("there is no limit");
        pair.handshake();
        assert!(pair.client.authorized(), "{name} got the certificate of {expected}");
    }
}

#[test]
fn the_sni_event_holds_the_handshake_until_it_is_answered() {
    for (answer, authorized) in [(Some(OTHER), true), (None, false)] {
        let mut pair = Pair::with(
            |_, options| {
                options.servername = Some("other.test".into());
                options.reject_unauthorized = false;
            },
            |_, options| options.sni_event = true,
        );
        pair.drive();
        assert_eq!(events(&mut pair.server), [Event::Sni(Some("other.test".into()))]);
        assert_eq!(pair.server.write_encrypted(b"more"), Ok(0), "it waits");
        assert_eq!(pair.server.read_encrypted(usize::MAX), b"", "it waits");

        let answer = answer.map(|identity| context(&with_identity(identity)));
        assert_eq!(pair.server.answer_sni(answer), Ok(()));
        pair.handshake();
        assert_eq!(pair.client.authorized(), authorized);
        let again = pair.server.answer_sni(None).map_err(|error| error.code);
        assert_eq!(again, Err(ErrorCode::ErrInvalidState));
    }
}

#[test]
fn options_that_do_not_do_are_refused() {
    use ErrorCode::*;
    type Row = (&'static str, fn(&mut ConnectionOptions), &'static [ErrorCode]);
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("a client without a name", |_| {}, &[ErrTlsRequiredServerName]),
        ("a client with what is no name", |o| o.servername = Some("a b".into()), &[ErrTlsRequiredServerName]),
        ("an empty application protocol", |o| { o.servername = Some("a".into()); o.alpn_protocols = vec![vec![]]; }, &[ErrInvalidArgValue]),
        ("an application protocol that is too long", |o| { o.servername = Some("a".into()); o.alpn_protocols = vec![vec![0; 256]]; }, &[ErrInvalidArgValue]),
        ("too many application protocols", |o| { o.servername = Some("a".into()); o.alpn_protocols = vec![vec![0; 255]; 257]; }, &[ErrInvalidArgValue]),
        ("a server without a certificate", |o| o.is_server = true, &[ErrTlsInvalidCertificate]),
    ];
    for (what, change, expected) in rows {
        let mut options = ConnectionOptions::default();
        change(&mut options);
        let got = Connection::new(fixtures::client_context(), options)
            .map(|_| ())
            .map_err(|errors| errors.iter().map(|error| error.code).collect::<Vec<_>>());
        assert_eq!(got, Err(expected.to_vec()), "{what}");
    }
    let mut contexts = Contexts::new(fixtures::server_context());
    let refused = contexts.add("a.test", context(&without_identity())).map_err(|error| error.code);
    assert_eq!(refused, Err(ErrTlsInvalidCertificate));
}

#[test]
fn both_ends_export_the_same_key_material() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut pair = Pair::with(|context, _| context.max_version = Some(version), |_, _| {});
        let early = pair.client.export_keying_material(32, b"EXPERIMENTAL", None);
        assert_eq!(early.map_err(|error| error.code), Err(ErrorCode::ErrInvalidState));
        pair.handshake();
        let export = |end: &Connection, length, context| {
            end.export_keying_material(length, b"EXPERIMENTAL", context).map_err(|error| error.code)
        };
        for context in [None, Some(&b""[..]), Some(&b"context"[..])] {
            let at_client = export(&pair.client, 48, context);
            assert_eq!(at_client.as_ref().map(Vec::len), Ok(48));
            assert_eq!(at_client, export(&pair.server, 48, context));
        }
        for length in [0, 8161] {
            assert_eq!(export(&pair.client, length, None), Err(ErrorCode::ErrInvalidArgValue));
        }
    }
}

#[test]
fn more_names_of_authorities_than_fit_are_left_out() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut pair = Pair::with(
            |context, _| {
                *context = with_identity(CLIENT);
                context.max_version = Some(version);
            },
            |context, options| {
                context.cas = vec![fixtures::CA.to_vec(); 3000];
                options.request_cert = true;
            },
        );
        pair.handshake();
        assert!(pair.server.authorized(), "{version}");
    }
}

#[test]
fn records_obey_the_limit_that_is_set_before_the_handshake() {
    for version in [Version::Tls12, Version::Tls13] {
        for limited in [true, false] {
            let mut pair = Pair::with(|context, _| context.max_version = Some(version), |_, _| {});
            let mut longest = [0; 2];
            if limited {
                assert!(pair.client.set_max_send_fragment(512) && pair.server.set_max_send_fragment(512));
            }
            for end in [&mut pair.client, &mut pair.server] {
                assert_eq!(end.write_cleartext(&[7; 3000]), Ok(3000));
            }
            for _ in 0..5 {
                for place in [0, 1] {
                    let (from, to) = match place {
                        0 => (&mut pair.client, &mut pair.server),
                        _ => (&mut pair.server, &mut pair.client),
                    };
                    let bytes = from.read_encrypted(usize::MAX);
                    longest[place] = longest[place].max(longest_record(&bytes));
                    assert_eq!(to.write_encrypted(&bytes), Ok(bytes.len()));
                }
            }
            let secure = [&mut pair.client, &mut pair.server].map(|end| events(end).contains(&Event::Secure));
            assert_eq!(secure, [true, true], "{version}");
            // What protection adds is 17 bytes in TLS 1.3, and 24 in TLS 1.2.
            let obeyed = longest.map(|longest| longest <= 512 + 24);
            assert_eq!(obeyed, [limited; 2], "{version}: {longest:?}");
        }
    }
}

/// The content of the longest record, in bytes.
fn longest_record(mut bytes: &[u8]) -> usize {
    let mut longest = 0;
    while let [_, _, _, high, low, ..] = *bytes {
        let length = usize::from(u16::from_be_bytes([high, low]));
        longest = longest.max(length);
        bytes = &bytes[5 + length..];
    }
    longest
}
