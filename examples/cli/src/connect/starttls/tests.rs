//! What servers say before TLS, good and bad, in pieces of any size.

use super::*;

/// What servers say, part by part: each part is the whole answer to what the client said before it.
const GOOD: &[(Protocol, &[&[u8]])] = &[
    (
        Protocol::Smtp,
        &[
            b"220-mail.test ESMTP\r\n220 ready\r\n",
            b"250-mail.test\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n",
            b"220 Go ahead\r\n",
        ],
    ),
    (Protocol::Imap, &[b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", b"* CAPABILITY IMAP4rev1\r\na1 ok begin\r\n"]),
    (Protocol::Pop3, &[b"+OK ready <1@pop.test>\r\n", b"+OK\r\n"]),
    (Protocol::Ftp, &[b"220-Welcome\r\n 220 not the end\r\nanything\r\n220 ready\r\n", b"234 AUTH TLS successful\r\n"]),
    (Protocol::Postgres, &[b"S"]),
    (
        Protocol::Xmpp,
        &[
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
              version='1.0'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>\
              </stream:features>",
            b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ],
    ),
    (
        Protocol::Xmpp,
        &[
            // Text is nobody's business, and comes in characters of more than one byte, references and CDATA as well.
            "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>\u{1f600} <stream:features><a>\u{e9}&amp;&#233;<![CDATA[<]]></a>\
              <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
                .as_bytes(),
            b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'></proceed>",
        ],
    ),
    // As OpenLDAP says it, and as Active Directory does, with long lengths and the name of the operation.
    (Protocol::Ldap, &[b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"]),
    (
        Protocol::Ldap,
        &[b"\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037"],
    ),
];

/// What servers say that can't be followed by TLS, and words of the error.
const BAD: &[(Protocol, &[&[u8]], &str)] = &[
    (Protocol::Smtp, &[b"554 No SMTP service here\r\n"], "expected 220"),
    (Protocol::Smtp, &[b"220 a\r\n", b"250-a\r\n250 SIZE\r\n"], "does not offer STARTTLS"),
    // The name of the server is no extension.
    (Protocol::Smtp, &[b"220 a\r\n", b"250 STARTTLS\r\n"], "does not offer STARTTLS"),
    (Protocol::Smtp, &[b"220 a\r\n", b"250-a\r\n250 STARTTLS\r\n", b"454 not now\r\n"], "`454 not now`: expected 220"),
    (Protocol::Smtp, &[b"220-a\r\n250 b\r\n"], "began with 220"),
    (Protocol::Smtp, &[b"220 a\n"], "carriage return"),
    (Protocol::Smtp, &[b"HTTP/1.1 400 Bad Request\r\n"], "three digits"),
    (Protocol::Smtp, &[b"220 a\r\n250 b\r\n"], "more than it was asked for"),
    (Protocol::Imap, &[b"* PREAUTH welcome\r\n"], "logged in already"),
    (Protocol::Imap, &[b"* BYE go away\r\n"], "expected * OK"),
    (Protocol::Imap, &[b"* OK\r\n", b"a1 BAD what\r\n"], "expected a1 OK"),
    (Protocol::Imap, &[b"* OK\r\n", b"a11 OK what\r\n"], "expected a1 OK"),
    (Protocol::Pop3, &[b"-ERR busy\r\n"], "expected +OK"),
    (Protocol::Pop3, &[b"+OK\r\n", b"-ERR no TLS\r\n"], "answered STLS"),
    (Protocol::Pop3, &[b"+OKAY\r\n"], "expected +OK"),
    (Protocol::Ftp, &[b"220 a\r\n", b"530 first log in\r\n"], "expected 234"),
    (Protocol::Postgres, &[b"N"], "has no TLS"),
    (Protocol::Postgres, &[b"E"], "an error"),
    (Protocol::Postgres, &[b"H"], "0x48"),
    (Protocol::Ldap, &[b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00"], "result code 2"),
    (Protocol::Ldap, &[b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00"], "another request"),
    (Protocol::Ldap, &[b"\x30\x80"], "length"),
    (Protocol::Ldap, &[b"\x30\x84\xff\xff\xff\xff"], "at most"),
    (Protocol::Ldap, &[b"HTTP"], "it may not be LDAP"),
    (Protocol::Xmpp, &[b"<html>"], "expected an XMPP stream"),
    (
        Protocol::Xmpp,
        &[b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>"],
        "does not offer STARTTLS",
    ),
    (
        Protocol::Xmpp,
        // By another namespace it is something else.
        &[b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features><starttls xmlns='x'/></stream:features>"],
        "does not offer STARTTLS",
    ),
    (Protocol::Xmpp, &[b"<!DOCTYPE a [<!ENTITY b 'c'>]><stream/>"], "may not have"),
    (Protocol::Xmpp, &[STREAM, b"<stream:features>&b;"], "may not have"),
    (Protocol::Xmpp, &[STREAM, b"<?a?>"], "may not have"),
    (Protocol::Xmpp, &[STREAM, b"<!-- a -->"], "may not have"),
    (Protocol::Xmpp, &[STREAM, b"<stream:features>\xff"], "not in UTF-8"),
    (Protocol::Xmpp, &[STREAM, b"<stream:features></stream:stream>"], "XML is wrong"),
];

#[test]
fn servers_that_go_ahead() {
    for (protocol, parts) in GOOD {
        assert_eq!(talk(*protocol, parts), Ok(true), "{protocol:?}");
    }
}

#[test]
fn servers_that_do_not() {
    for (protocol, parts, wanted) in BAD {
        let error = talk(*protocol, parts).expect_err(wanted);
        assert!(error.contains(wanted), "{protocol:?}: {error}, and not {wanted}");
    }
}

#[test]
fn bytes_come_in_any_pieces() {
    for (protocol, parts) in GOOD {
        let mut conversation = begun(*protocol);
        for (index, part) in parts.iter().enumerate() {
            let (last, first) = part.split_last().expect("no part is empty");
            for byte in first {
                assert_eq!(conversation.receive(&[*byte]), Ok(Next::Wait), "{protocol:?}");
            }
            let next = conversation.receive(&[*last]);
            assert_eq!(next == Ok(Next::Tls), index + 1 == parts.len(), "{protocol:?}: {next:?}");
        }
    }
}

/// CVE-2011-0411 and its kin.
#[test]
fn nothing_may_come_behind_the_word_to_go_ahead() {
    for (protocol, parts) in GOOD {
        for injected in [&b"\r\n"[..], b"x", b"250 ok\r\n", b"<a/>", b"\0", b"\x16\x03\x03"] {
            let last = [parts[parts.len() - 1], injected].concat();
            let parts = [&parts[..parts.len() - 1], &[&last[..]]].concat();
            let error = talk(*protocol, &parts).expect_err("it has to be refused");
            assert!(error.contains("bytes in the clear came behind"), "{protocol:?}: {error}");
        }
    }
}

/// Every byte of every answer as every other byte: there is an end to it, and TLS is begun on the word of the server only.
#[test]
fn any_byte_may_be_wrong() {
    for (protocol, parts) in GOOD {
        for (index, part) in parts.iter().enumerate() {
            for at in 0..part.len() {
                for byte in 0..=u8::MAX {
                    let mut changed = part.to_vec();
                    changed[at] = byte;
                    let mut parts = parts.to_vec();
                    parts[index] = &changed;
                    // Whatever it says: it says it.
                    let _ = talk(*protocol, &parts);
                }
            }
        }
    }
}

#[test]
fn there_is_an_end_to_what_a_server_may_say() {
    for (protocol, bytes) in [
        (Protocol::Smtp, &b"220-a\r\n"[..]),
        (Protocol::Smtp, b"a"),
        (Protocol::Imap, b"* OK\r\n"),
        (Protocol::Pop3, b"+"),
        (Protocol::Ftp, b"120 a\r\n"),
        (Protocol::Xmpp, b" "),
        (Protocol::Xmpp, b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>"),
    ] {
        let mut conversation = begun(protocol);
        let ended = (0..=MOST).any(|_| conversation.receive(bytes).is_err());
        assert!(ended, "{protocol:?} goes on for ever");
    }
}

/// RUSTSEC-2026-0194 and -0195: attributes and namespaces without end, each time that a few bytes have come.
#[test]
fn xml_costs_no_more_than_its_length() {
    let many = |element: fn(usize) -> String| {
        (0..).map(element).scan(0, |length, part| {
            *length += part.len();
            (*length < 15 * 1024).then_some(part)
        })
    };
    let deep = many(|_| "<a>".to_string()).collect::<String>();
    let namespaces = many(|index| format!(" xmlns:a{index}='b'")).collect::<String>();
    let nested = many(|index| format!("<a xmlns:a{index}='b'>")).collect::<String>();
    let attributes = many(|index| format!(" a{index}=''")).collect::<String>();
    for (features, wanted) in [
        (deep, Some("more than 16 deep")),
        (format!("<a{namespaces}>"), Some("namespace")),
        (nested, Some("more than 16 deep")),
        (format!("<a{attributes}/>"), None),
    ] {
        let begun_at = std::time::Instant::now();
        let mut conversation = begun(Protocol::Xmpp);
        let said = [STREAM, b"<stream:features>", features.as_bytes()].concat();
        let answers: Answer<Vec<_>> = said.chunks(64).map(|bytes| conversation.receive(bytes)).collect();
        match (answers, wanted) {
            (Ok(_), None) => {}
            (Err(error), Some(wanted)) => assert!(error.contains(wanted), "{error}, and not {wanted}"),
            (answers, wanted) => panic!("{answers:?}, and not {wanted:?}"),
        }
        assert!(begun_at.elapsed().as_secs() < 5, "{} bytes took {:?}", said.len(), begun_at.elapsed());
    }
}

#[test]
fn what_is_said_of_us() {
    let mut conversation = Conversation::new(Protocol::Smtp, "a.test", Some(std::net::Ipv6Addr::LOCALHOST.into()));
    assert_eq!(conversation.receive(b"220 a\r\n"), Ok(Next::Send(b"EHLO [IPv6:::1]\r\n".to_vec())));
    let header = Conversation::new(Protocol::Xmpp, "a'><b", None).begin();
    let header = String::from_utf8(header).expect("it is text");
    assert!(header.contains("to='a&apos;&gt;&lt;b'"), "{header}");
}

fn begun(protocol: Protocol) -> Conversation {
    Conversation::new(protocol, "a.test", None)
}

/// Whether TLS can begin after these answers.
fn talk(protocol: Protocol, parts: &[&[u8]]) -> Answer<bool> {
    let mut conversation = begun(protocol);
    for part in parts {
        if conversation.receive(part)? == Next::Tls {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How a server opens a stream.
const STREAM: &[u8] = b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>";
