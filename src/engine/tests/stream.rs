//! Bytes: that all arrive, in order, whatever the wire does, and never more than the limits are held.

use proptest::prelude::*;

use super::fixtures;
use super::pair::{Pair, cases, events, read_all};
use crate::context::Version;
use crate::engine::{Cleartext, Connection, Event, Server};
use crate::error::ErrorCode;

#[test]
fn each_side_closes_by_itself() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut pair = Pair::with(|context, _| context.max_version = Some(version), |_, _| {});
        pair.handshake();
        assert_eq!(pair.client.write_cleartext(b"question"), Ok(8));
        pair.client.end();
        let late = pair.client.write_cleartext(b"!").map_err(|error| error.code);
        assert_eq!(late, Err(ErrorCode::ErrStreamWriteAfterEnd));
        pair.drive();
        assert_eq!(read_all(&mut pair.server), (b"question".to_vec(), Ok(Cleartext::End)));
        assert!(!pair.server.is_closed());

        assert_eq!(pair.server.write_cleartext(b"answer"), Ok(6));
        pair.server.end();
        pair.drive();
        assert_eq!(read_all(&mut pair.client), (b"answer".to_vec(), Ok(Cleartext::End)));
        assert!(pair.client.is_closed() && pair.server.is_closed());

        pair.client.end_encrypted();
        assert_eq!(pair.client.error(), None, "an end after close_notify is no truncation");
    }
}

#[test]
fn a_transport_that_ends_without_close_notify_is_an_error() {
    let mut pair = Pair::plain();
    pair.handshake();
    assert_eq!(pair.server.write_cleartext(b"half"), Ok(4));
    pair.drive();
    pair.client.end_encrypted();
    assert_eq!(pair.client.read_cleartext(100), Ok(Cleartext::Data(b"half".to_vec())));
    let end = pair.client.read_cleartext(100).map_err(|error| error.code);
    assert_eq!(end, Err(ErrorCode::ErrSslUnexpectedEofWhileReading));
    assert!(pair.client.is_closed());

    let mut early = Pair::plain();
    early.server.end_encrypted();
    let end = early.server.read_cleartext(100).map_err(|error| error.code);
    assert_eq!(end, Err(ErrorCode::ErrSslUnexpectedEofWhileReading));
}

#[test]
fn what_is_written_before_the_handshake_goes_out_after_it() {
    let mut pair = Pair::plain();
    assert_eq!(pair.client.write_cleartext(b"early client"), Ok(12));
    pair.client.end();
    assert_eq!(pair.server.write_cleartext(b"early server"), Ok(12));
    pair.server.end();
    pair.handshake();
    assert_eq!(read_all(&mut pair.server), (b"early client".to_vec(), Ok(Cleartext::End)));
    assert_eq!(read_all(&mut pair.client), (b"early server".to_vec(), Ok(Cleartext::End)));
    assert!(pair.client.is_closed() && pair.server.is_closed());
}

#[test]
fn a_reader_that_does_not_read_holds_the_writer() {
    let mut pair = Pair::plain();
    pair.handshake();
    let mut written = 0;
    for _ in 0..1000 {
        written += pair.client.write_cleartext(&[7; 10_000]).expect("open");
        pair.step();
    }
    let held = written;
    assert!(held < 250_000, "{held} bytes were taken, and nobody reads");
    assert_eq!(pair.client.write_cleartext(&[7; 10_000]), Ok(0));
    assert!(!pair.server.wants_read());

    let mut read = 0;
    loop {
        let (data, _) = read_all(&mut pair.server);
        read += data.len();
        if !pair.step() {
            break;
        }
    }
    assert_eq!(read, held, "all arrives once somebody reads");
    assert!(pair.server.wants_read());
}

#[test]
fn before_the_client_hello_a_server_keeps_no_more_than_the_limit() {
    let server = Server::new(fixtures::server_context(), fixtures::server()).expect("right");
    let mut connection = server.accept().expect("there is no limit");
    let taken: usize = (0..100).map(|_| connection.write_cleartext(&[0; 10_000]).expect("open")).sum();
    assert_eq!(taken, 64 * 1024);
}

#[test]
fn what_comes_after_the_end_is_dropped() {
    let mut pair = Pair::plain();
    pair.handshake();
    pair.client.end();
    pair.drive();
    assert_eq!(pair.server.write_encrypted(&[23; 1000]), Ok(1000));
    assert_eq!(read_all(&mut pair.server), (Vec::new(), Ok(Cleartext::End)));
}

#[test]
fn bytes_of_the_transport_are_counted() {
    let mut pair = Pair::plain();
    pair.handshake();
    for (sender, receiver) in [(&pair.client, &pair.server), (&pair.server, &pair.client)] {
        assert!(sender.bytes_written() > 100);
        assert_eq!(sender.bytes_written(), receiver.bytes_read());
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn all_bytes_arrive_however_the_wire_cuts_them(
        step in 1usize..700,
        chunks in proptest::collection::vec(0usize..20_000, 0..6),
        tls12 in any::<bool>(),
    ) {
        let version = if tls12 { Version::Tls12 } else { Version::Tls13 };
        let mut pair = Pair::with(|context, _| context.max_version = Some(version), |_, _| {});
        pair.step = step;
        let sent: Vec<u8> = (0..chunks.iter().sum()).map(|place: usize| place as u8).collect();
        let mut rest = &sent[..];
        let mut received = Vec::new();
        let mut chunks = chunks.into_iter();
        let mut chunk = 0;
        loop {
            if chunk == 0 {
                chunk = chunks.next().unwrap_or(rest.len());
            }
            let taken = match rest.is_empty() {
                true => 0,
                false => write(&mut pair.client, &rest[..chunk.min(rest.len())]),
            };
            rest = &rest[taken..];
            chunk -= taken.min(chunk);
            if rest.is_empty() {
                pair.client.end();
            }
            let moved = pair.step();
            let (data, state) = read_all(&mut pair.server);
            received.extend(data);
            if state == Ok(Cleartext::End) {
                break;
            }
            prop_assert!(moved || taken > 0, "it stands still: {state:?}");
        }
        prop_assert_eq!(events(&mut pair.server), [Event::Secure]);
        prop_assert_eq!(received, sent);
    }
}

fn write(connection: &mut Connection, bytes: &[u8]) -> usize {
    connection.write_cleartext(bytes).expect("the connection is open")
}
