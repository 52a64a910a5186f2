//! Failures, each with the alert that it is said to have: the claim of one end is what the other end receives.

use rustls::ContentType;

use super::fixtures::{self, CLIENT, SERVER};
use super::pair::Pair;
use crate::context::{ContextOptions, Version};
use crate::engine::{Connection, ConnectionOptions};
use crate::error::{Direction, Error, ErrorCode};
use crate::provider::observer;

/// What is done to a handshake.
enum Tamper {
    Nothing,
    /// Changes the body of the first message of this type in the clear.
    Clear(u8, Edit),
    /// Changes the body of a message of this type before it is protected: the first, or the second that there is.
    Protected(u8, usize, Edit),
    /// Changes bytes of the transport: those of the client, or of the server, in its first flight or in its second.
    Bytes(End, usize, Edit),
}

type Edit = fn(&mut Vec<u8>);
type Change = fn(&mut ContextOptions, &mut ConnectionOptions);

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Client,
    Server,
}

/// What it is about; the versions; what client and server have; what is done; who fails by which code and alert.
type Row = (&'static str, &'static [Version], Change, Change, Tamper, End, ErrorCode, &'static str);

#[test]
fn the_alert_that_is_claimed_is_the_one_on_the_wire() {
    use End::{Client, Server};
    use ErrorCode::*;
    use Tamper::{Bytes, Clear, Nothing, Protected};
    const BOTH: &[Version] = &[Version::Tls12, Version::Tls13];
    const TLS12: &[Version] = &[Version::Tls12];
    const TLS13: &[Version] = &[Version::Tls13];
    fn plain(_: &mut ContextOptions, _: &mut ConnectionOptions) {}
    fn asks(_: &mut ContextOptions, options: &mut ConnectionOptions) {
        options.request_cert = true;
    }
    fn with_certificate(context: &mut ContextOptions, _: &mut ConnectionOptions) {
        context.certs = vec![CLIENT.0.to_vec()];
        context.keys = vec![CLIENT.1.to_vec().into()];
    }
    #[rustfmt::skip]
    let rows: &[Row] = &[
        // What the two ends have.
        ("no suite in common", TLS13, |c, _| c.ciphers = Some("TLS_AES_128_GCM_SHA256".into()), |s, _| s.ciphers = Some("TLS_AES_256_GCM_SHA384".into()), Nothing, Server, ErrSslNoSharedCipher, "handshake_failure"),
        ("no group in common", BOTH, |c, _| c.groups = Some("P-384".into()), |s, _| s.groups = Some("X25519".into()), Nothing, Server, ErrSslNoSuitableKeyShare, "handshake_failure"),
        ("no version in common, the server being newer", TLS12, plain, |s, _| s.min_version = Some(Version::Tls13), Nothing, Server, ErrSslUnsupportedProtocol, "protocol_version"),
        ("no version in common, the server being older", TLS13, |c, _| c.min_version = Some(Version::Tls13), |s, _| s.max_version = Some(Version::Tls12), Nothing, Server, ErrSslUnsupportedProtocol, "protocol_version"),
        ("no application protocol in common", BOTH, |_, c| c.alpn_protocols = vec![b"a".to_vec()], |_, s| s.alpn_protocols = vec![b"b".to_vec()], Nothing, Server, ErrSslNoApplicationProtocol, "no_application_protocol"),
        ("the certificate is for another name", BOTH, |_, c| c.servername = Some("other.test".into()), plain, Nothing, Client, ErrTlsCertAltnameInvalid, "bad_certificate"),
        ("the server's CA is not trusted", BOTH, |c, _| c.cas = vec![SERVER.0.to_vec()], plain, Nothing, Client, UnableToVerifyLeafSignature, "unknown_ca"),
        ("the client's CA is not trusted", BOTH, with_certificate, |s, o| { asks(s, o); s.cas = vec![SERVER.0.to_vec()] }, Nothing, Server, UnableToVerifyLeafSignature, "unknown_ca"),
        ("no client certificate", TLS12, plain, asks, Nothing, Server, ErrSslPeerDidNotReturnACertificate, "handshake_failure"),
        ("no client certificate", TLS13, plain, asks, Nothing, Server, ErrSslPeerDidNotReturnACertificate, "certificate_required"),
        ("no extended master secret from the client", TLS12, plain, |s, _| s.require_ems = true, Clear(1, |hello| rename_extension(hello, 23)), Server, ErrSslMissingExtension, "handshake_failure"),
        ("no extended master secret from the server", TLS12, |c, _| c.require_ems = true, |_, _| {}, Clear(2, |hello| remove_extension(hello, 23)), Client, ErrSslMissingExtension, "handshake_failure"),
        // The ClientHello.
        ("a client that has fallen back", TLS12, plain, plain, Clear(1, |hello| { let at = 37 + usize::from(hello[34]); hello[at..at + 2].copy_from_slice(&[0x56, 0]) }), Server, ErrSslInappropriateFallback, "inappropriate_fallback"),
        ("a message that is no ClientHello comes first", BOTH, plain, plain, Bytes(Client, 0, |bytes| *bytes = record(22, &[20, 0, 0, 0])), Server, ErrSslUnexpectedMessage, "unexpected_message"),
        ("application data comes first", BOTH, plain, plain, Bytes(Client, 0, |bytes| *bytes = record(23, b"hello")), Server, ErrSslUnexpectedMessage, "unexpected_message"),
        ("a warning comes first", BOTH, plain, plain, Bytes(Client, 0, |bytes| *bytes = record(21, &[1, 90])), Server, ErrSslUnexpectedMessage, "unexpected_message"),
        ("change_cipher_spec comes first", BOTH, plain, plain, Bytes(Client, 0, |bytes| *bytes = record(20, &[1])), Server, ErrSslUnexpectedMessage, "unexpected_message"),
        ("what comes first is not TLS", BOTH, plain, plain, Bytes(Client, 0, |bytes| *bytes = b"GET / HTTP/1.1\r\n\r\n".to_vec()), Server, ErrSslWrongVersionNumber, "decode_error"),
        ("a ClientHello that is cut", BOTH, plain, plain, Clear(1, |hello| hello.truncate(60)), Server, ErrSslDecodeError, "decode_error"),
        ("an extension twice", BOTH, plain, plain, Clear(1, |hello| { append_extension(hello, 13, &[0, 2, 4, 3]) }), Server, ErrSslIllegalParameter, "illegal_parameter"),
        ("pre_shared_key is not last", BOTH, plain, plain, Clear(1, |hello| { append_extension(hello, 41, PSK); append_extension(hello, 0xfafa, &[]) }), Server, ErrSslIllegalParameter, "illegal_parameter"),
        ("only compression that we don't have", BOTH, plain, plain, Clear(1, |hello| { let at = 34 + 1 + usize::from(hello[34]); let at = at + 2 + usize::from(hello[at + 1]); hello[at + 1] = 9 }), Server, ErrSslIllegalParameter, "illegal_parameter"),
        ("no signature schemes", TLS12, |c, _| c.max_version = Some(Version::Tls12), plain, Clear(1, |hello| rename_extension(hello, 13)), Server, ErrSslMissingExtension, "handshake_failure"),
        ("no signature schemes", TLS13, plain, plain, Clear(1, |hello| rename_extension(hello, 13)), Server, ErrSslMissingExtension, "missing_extension"),
        ("no key share", TLS13, plain, plain, Clear(1, |hello| rename_extension(hello, 51)), Server, ErrSslMissingExtension, "missing_extension"),
        // The server's first flight.
        ("a suite that was not offered", BOTH, plain, plain, Clear(2, |hello| { let at = 35 + usize::from(hello[34]); hello[at..at + 2].copy_from_slice(&[0xfa, 0xfa]) }), Client, ErrSslIllegalParameter, "illegal_parameter"),
        ("compression that was not offered", BOTH, plain, plain, Clear(2, |hello| { let at = 35 + usize::from(hello[34]); hello[at + 2] = 1 }), Client, ErrSslIllegalParameter, "illegal_parameter"),
        ("a ServerHello that is cut", BOTH, plain, plain, Clear(2, |hello| hello.truncate(36)), Client, ErrSslDecodeError, "decode_error"),
        ("a version that was not offered", TLS12, |c, _| c.max_version = Some(Version::Tls12), plain, Clear(2, |hello| hello[1] = 2), Client, ErrSslUnsupportedProtocol, "protocol_version"),
        ("an extension that was not offered", BOTH, plain, plain, Clear(2, |hello| append_extension(hello, 0xfafa, &[])), Client, ErrSslIllegalParameter, "unsupported_extension"),
        ("a key share of no group", TLS13, plain, plain, Clear(2, |hello| rename_key_share(hello)), Client, ErrSslIllegalParameter, "illegal_parameter"),
        ("the mark of a downgrade", TLS13, plain, |s, _| s.max_version = Some(Version::Tls12), Clear(2, |hello| hello[26..34].copy_from_slice(b"DOWNGRD\x01")), Client, ErrSslIllegalParameter, "illegal_parameter"),
        ("ServerHelloDone comes first", TLS12, plain, plain, Bytes(Server, 0, |bytes| *bytes = record(22, &[14, 0, 0, 0])), Client, ErrSslUnexpectedMessage, "unexpected_message"),
        ("a server that sends no certificate", TLS12, plain, plain, Clear(11, |body| *body = vec![0, 0, 0]), Client, ErrSslPeerDidNotReturnACertificate, "decode_error"),
        ("a server that sends no certificate", TLS13, plain, plain, Protected(11, 0, |body| *body = vec![0, 0, 0, 0]), Client, ErrSslPeerDidNotReturnACertificate, "decode_error"),
        ("a certificate that can't be read", TLS12, plain, plain, Clear(11, |body| *body = vec![0, 0, 5, 0, 0, 2, 0x30, 0]), Client, CertUntrusted, "bad_certificate"),
        ("a certificate that can't be read", TLS13, plain, plain, Protected(11, 0, |body| *body = vec![0, 0, 0, 7, 0, 0, 2, 0x30, 0, 0, 0]), Client, CertUntrusted, "bad_certificate"),
        ("a certificate that can't be read, and need not be good", TLS13, |_, c| c.reject_unauthorized = false, plain, Protected(11, 0, |body| *body = vec![0, 0, 0, 7, 0, 0, 2, 0x30, 0, 0, 0]), Client, ErrSslDecodeError, "bad_certificate"),
        ("a wrong signature of the key exchange", TLS12, plain, plain, Clear(12, flip_last), Client, ErrSslBadSignature, "decrypt_error"),
        ("a wrong signature of the server", TLS13, plain, plain, Protected(15, 0, flip_last), Client, ErrSslBadSignature, "decrypt_error"),
        ("another extension in EncryptedExtensions", TLS13, plain, plain, Protected(8, 0, |body| *body = vec![0, 4, 0xfa, 0xfa, 0, 0]), Client, ErrSslIllegalParameter, "unsupported_extension"),
        ("EncryptedExtensions that are cut", TLS13, plain, plain, Protected(8, 0, |body| *body = vec![0, 9]), Client, ErrSslDecodeError, "decode_error"),
        ("a wrong Finished of the server", TLS12, plain, plain, Protected(20, 1, flip_last), Client, ErrSslDigestCheckFailed, "decrypt_error"),
        ("a wrong Finished of the server", TLS13, plain, plain, Protected(20, 0, flip_last), Client, ErrSslDigestCheckFailed, "decrypt_error"),
        // The client's second flight.
        ("a wrong Finished of the client", TLS12, plain, plain, Protected(20, 0, flip_last), Server, ErrSslDigestCheckFailed, "decrypt_error"),
        ("a wrong Finished of the client", TLS13, plain, plain, Protected(20, 1, flip_last), Server, ErrSslDigestCheckFailed, "decrypt_error"),
        ("a wrong signature of the client", TLS12, with_certificate, asks, Clear(15, flip_last), Server, ErrSslBadSignature, "decrypt_error"),
        ("a wrong signature of the client", TLS13, with_certificate, asks, Protected(15, 1, flip_last), Server, ErrSslBadSignature, "decrypt_error"),
        ("a key exchange that is no point", TLS12, |c, _| c.groups = Some("P-256".into()), plain, Clear(16, |body| body.truncate(3)), Server, ErrSslDecodeError, "decode_error"),
        ("a record that was changed on its way", BOTH, plain, plain, Bytes(Client, 1, flip_last), Server, ErrSslDecryptionFailedOrBadRecordMac, "bad_record_mac"),
        ("a record of the server that was changed on its way", TLS13, plain, plain, Bytes(Server, 0, flip_last), Client, ErrSslDecryptionFailedOrBadRecordMac, "bad_record_mac"),
        ("a protected record with the type of a handshake outside", TLS13, plain, plain, Bytes(Server, 0, |bytes| { let at = last_record(bytes); bytes[at] = 22 }), Client, ErrSslUnexpectedMessage, "unexpected_message"),
        ("a protected record of another version", TLS13, plain, plain, Bytes(Server, 0, |bytes| { let at = last_record(bytes); bytes[at + 2] = 4 }), Client, ErrSslUnexpectedMessage, "unexpected_message"),
    ];
    let (mut failures, mut wrong) = (0, Vec::new());
    for (what, versions, client, server, tamper, failing, code, alert) in rows {
        for version in *versions {
            let what = format!("{version}: {what}");
            let pair = Pair::with(
                |context, options| {
                    context.max_version = Some(*version);
                    client(context, options);
                },
                server,
            );
            let Run { client, server, clear } = run(pair, tamper);
            let (failed, other) = match failing {
                End::Client => (client, server),
                End::Server => (server, client),
            };
            let claimed = failed.as_ref().map(|failed| (failed.code, alert_of(failed, Direction::Sent)));
            let received = other.as_ref().and_then(|error| alert_of(error, Direction::Received));
            let clear = clear[*failing as usize].unwrap_or(alert);
            if (claimed, received, clear) != (Some((*code, Some(*alert))), Some(*alert), *alert) {
                wrong.push(format!("{what}: {failed:?}; the other end received {received:?}, in the clear: {clear}"));
            }
            failures += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(failures >= 40, "{failures} failures");
}

#[test]
fn no_alert_is_claimed_where_none_went_out() {
    type Ending = fn(&mut Pair);
    #[rustfmt::skip]
    let rows: [(&str, Ending, ErrorCode); 2] = [
        ("the transport ended", |pair| pair.client.end_encrypted(), ErrorCode::ErrSslUnexpectedEofWhileReading),
        ("the transport failed", |pair| pair.client.transport_failed("reset"), ErrorCode::Econnreset),
    ];
    for (what, end, code) in rows {
        let mut pair = Pair::plain();
        pair.handshake();
        end(&mut pair);
        let error = pair.client.error().cloned().map(|error| (error.code, error.alert));
        assert_eq!(error, Some((code, None)), "{what}");
        assert!(pair.client.read_encrypted(usize::MAX).is_empty(), "{what}");
    }
}

#[test]
fn close_notify_before_the_handshake_is_done_ends_it_at_once() {
    use ErrorCode::ErrSslUnexpectedEofWhileReading;
    let close_notify = record(21, &[1, 0]);
    let client = Connection::new(fixtures::client_context(), fixtures::client()).expect("right");
    let server = Connection::new(fixtures::server_context(), fixtures::server()).expect("right");
    for (what, mut end) in [("client", client), ("server", server)] {
        let hello = end.read_encrypted(usize::MAX);
        assert_eq!(hello.is_empty(), what == "server");
        for byte in &close_notify {
            let _ = end.write_encrypted(&[*byte]);
        }
        let error = end.error().cloned().unwrap_or_else(|| panic!("the {what} waits on"));
        let seen = (error.code, alert_of(&error, Direction::Received));
        assert_eq!(seen, (ErrSslUnexpectedEofWhileReading, Some("close_notify")), "{what}");
        assert!(end.read_encrypted(usize::MAX).is_empty(), "{what}: an alert is answered by none");
        assert!(end.is_closed());
    }
}

/// How a handshake ended.
struct Run {
    client: Option<Error>,
    server: Option<Error>,
    /// The alert in the clear at the end of what either end sent.
    clear: [Option<&'static str>; 2],
}

fn run(mut pair: Pair, tamper: &Tamper) -> Run {
    let mut seen = 0;
    match tamper {
        Tamper::Protected(kind, nth, edit) => {
            let (kind, nth, edit) = (*kind, *nth, *edit);
            let rewrite = move |content_type, content: &[u8]| {
                let here =
                    (content_type == ContentType::Handshake).then(|| edit_messages(content, kind, edit)).flatten();
                seen += usize::from(here.is_some());
                here.filter(|_| seen == nth + 1)
            };
            observer::rewriting(rewrite, || carry(&mut pair, tamper))
        }
        _ => carry(&mut pair, tamper),
    }
}

fn carry(pair: &mut Pair, tamper: &Tamper) -> Run {
    let mut clear = [None; 2];
    let mut done = false;
    for flight in 0..10 {
        for end in [End::Client, End::Server] {
            let (from, to) = match end {
                End::Client => (&mut pair.client, &mut pair.server),
                End::Server => (&mut pair.server, &mut pair.client),
            };
            let mut bytes = from.read_encrypted(usize::MAX);
            if bytes.is_empty() {
                continue;
            }
            if let Some([21, 3, 3, 0, 2, 2, description]) = bytes.last_chunk::<7>() {
                clear[end as usize] = Some(crate::error::alert_name(*description));
            }
            match tamper {
                Tamper::Bytes(whose, nth, edit) if (*whose, *nth) == (end, flight) => edit(&mut bytes),
                Tamper::Clear(kind, edit) if !done => {
                    if let Some(edited) = edit_records(&bytes, *kind, *edit) {
                        (bytes, done) = (edited, true);
                    }
                }
                _ => {}
            }
            let _ = to.write_encrypted(&bytes);
        }
    }
    let (client, server) = pair.errors();
    Run { client, server, clear }
}

fn alert_of(error: &Error, direction: Direction) -> Option<&'static str> {
    error.alert.filter(|alert| alert.direction == direction).map(|alert| alert.name())
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &u16::try_from(content.len()).expect("short").to_be_bytes(), content].concat()
}

/// Changes the first message of this type in the records that are in the clear. `None` where there is none.
fn edit_records(mut bytes: &[u8], kind: u8, edit: Edit) -> Option<Vec<u8>> {
    let mut edited = Vec::new();
    let mut done = false;
    while let [content_type, _, _, high, low, ..] = *bytes {
        let (whole, rest) = bytes.split_at(5 + usize::from(u16::from_be_bytes([high, low])));
        bytes = rest;
        match content_type {
            // What follows is protected.
            20 => {
                edited.extend([whole, bytes].concat());
                bytes = &[];
            }
            22 if !done => match edit_messages(&whole[5..], kind, edit) {
                Some(content) => {
                    edited.extend(record(22, &content));
                    done = true;
                }
                None => edited.extend(whole),
            },
            _ => edited.extend(whole),
        }
    }
    done.then_some(edited)
}

/// The same for the messages of one record.
fn edit_messages(mut content: &[u8], kind: u8, edit: Edit) -> Option<Vec<u8>> {
    let mut edited = Vec::new();
    let mut done = false;
    while let [this, a, b, c, ..] = *content {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let (body, rest) = content[4..].split_at_checked(length)?;
        let mut body = body.to_vec();
        if this == kind && !done {
            edit(&mut body);
            done = true;
        }
        edited.push(this);
        edited.extend(&(body.len() as u32).to_be_bytes()[1..]);
        edited.extend(body);
        content = rest;
    }
    done.then_some(edited)
}

#[expect(clippy::ptr_arg, reason = "an `Edit` may change the length")]
fn flip_last(bytes: &mut Vec<u8>) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

/// Where the last record of these begins.
fn last_record(bytes: &[u8]) -> usize {
    let (mut at, mut last) = (0, 0);
    while at < bytes.len() {
        last = at;
        at += 5 + usize::from(u16::from_be_bytes([bytes[at + 3], bytes[at + 4]]));
    }
    last
}

/// Where the length of a hello's extensions stands: in a ClientHello after lists of suites and compression methods, in a
/// ServerHello after one of each.
fn extensions_at(hello: &[u8]) -> usize {
    let after_session = 35 + usize::from(hello[34]);
    let total = |at: usize| at + 2 + usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    let of_server = after_session + 3;
    if total(of_server) == hello.len() {
        return of_server;
    }
    let after_suites = total(after_session);
    after_suites + 1 + usize::from(hello[after_suites])
}

fn append_extension(hello: &mut Vec<u8>, kind: u16, content: &[u8]) {
    let at = extensions_at(hello);
    hello.extend(kind.to_be_bytes());
    hello.extend((content.len() as u16).to_be_bytes());
    hello.extend(content);
    let length = (hello.len() - at - 2) as u16;
    hello[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Where the extension of this type begins.
fn find_extension(hello: &[u8], kind: u16) -> usize {
    let mut at = extensions_at(hello) + 2;
    while u16::from_be_bytes([hello[at], hello[at + 1]]) != kind {
        at += 4 + usize::from(u16::from_be_bytes([hello[at + 2], hello[at + 3]]));
    }
    at
}

/// Gives an extension a type that nobody knows, so that it is not there.
fn rename_extension(hello: &mut [u8], kind: u16) {
    let at = find_extension(hello, kind);
    hello[at..at + 2].copy_from_slice(&[0xfa, 0xfa]);
}

fn remove_extension(hello: &mut Vec<u8>, kind: u16) {
    let (start, at) = (extensions_at(hello), find_extension(hello, kind));
    let length = 4 + usize::from(u16::from_be_bytes([hello[at + 2], hello[at + 3]]));
    hello.drain(at..at + length);
    let length = (hello.len() - start - 2) as u16;
    hello[start..start + 2].copy_from_slice(&length.to_be_bytes());
}

/// Names a group that nobody has in a ServerHello's key share.
fn rename_key_share(hello: &mut [u8]) {
    let at = find_extension(hello, 51);
    hello[at + 4..at + 6].copy_from_slice(&[0xfa, 0xfa]);
}

/// An identity of one byte, and its binder.
const PSK: &[u8] = &[
    0, 7, 0, 1, 9, 0, 0, 0, 0, 0, 33, 32, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2,
    3, 4, 5, 6, 7, 8,
];
