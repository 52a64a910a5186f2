//! Bytes from an enemy: whatever comes, a connection ends with an error that has a name, and never with a panic.

use proptest::prelude::*;

use super::fixtures;
use super::pair::{Pair, cases, events};
use crate::context::Version;
use crate::engine::{Connection, Event, Server};
use crate::error::ErrorCode;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

#[test]
fn a_bit_flipped_anywhere_in_a_handshake_ends_it_or_changes_nothing() {
    for version in [Version::Tls12, Version::Tls13] {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let length = handshake_length(version, direction);
            // Every place is tried in the component by host-tests; here is a sample that takes seconds.
            for place in (0..length).step_by(7) {
                let mut pair = pair(version);
                wire(&mut pair, direction).flip = Some((place, 1 << (place % 8)));
                pair.drive();
                pair.client.end_encrypted();
                pair.server.end_encrypted();
                let ended = [pair.client.error().cloned(), pair.server.error().cloned()];
                assert!(
                    ended.iter().flatten().all(|error| error.code != ErrorCode::ErrInternalAssertion),
                    "{version} {direction:?} {place}: {ended:?}"
                );
                let secure = [&mut pair.client, &mut pair.server].map(|end| events(end).contains(&Event::Secure));
                assert!(
                    ended.iter().any(Option::is_some) || secure == [true, true],
                    "{version} {direction:?} {place}: neither an error nor a connection"
                );
            }
        }
    }
}

#[test]
fn a_handshake_cut_anywhere_is_truncated() {
    for version in [Version::Tls12, Version::Tls13] {
        for direction in [Direction::ToServer, Direction::ToClient] {
            let length = handshake_length(version, direction);
            for place in (0..length).step_by(31) {
                let mut pair = pair(version);
                wire(&mut pair, direction).cut = Some(place);
                pair.drive();
                let receiver = match direction {
                    Direction::ToServer => &mut pair.server,
                    Direction::ToClient => &mut pair.client,
                };
                receiver.end_encrypted();
                assert_eq!(
                    receiver.error().map(|error| error.code),
                    Some(ErrorCode::ErrSslUnexpectedEofWhileReading),
                    "{version} {direction:?} {place}"
                );
            }
        }
    }
}

#[test]
fn what_is_not_tls_is_told_so() {
    for bytes in
        [&b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n", &[0; 100], &[0xff; 100]]
    {
        for mut end in ends() {
            let taken = end.write_encrypted(bytes);
            assert_eq!(taken, Ok(bytes.len()), "the bytes are taken before the error is told");
            let code = end.error().map(|error| error.code);
            assert_eq!(code, Some(ErrorCode::ErrSslWrongVersionNumber), "{bytes:?}");
            assert!(!end.read_encrypted(usize::MAX).is_empty(), "an alert goes out");
            assert!(end.is_closed());
        }
    }
}

#[test]
fn an_endless_client_hello_is_not_kept() {
    // A handshake message of 16 MiB, in records of 16 KiB.
    let mut server = accept();
    let mut record = vec![22, 3, 1, 64, 0];
    record.extend([1, 0xff, 0xff, 0xff]);
    record.resize(5 + 16_384, 0);
    for _ in 0..20 {
        let _ = server.write_encrypted(&record);
        record[5..9].fill(0);
    }
    assert!(server.error().is_some(), "320 KiB of a ClientHello were taken");
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn bytes_at_random_end_the_connection_or_wait(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for mut end in ends() {
            let _ = end.write_encrypted(&bytes);
            end.end_encrypted();
            prop_assert!(end.error().is_some());
        }
    }

    #[test]
    fn records_at_random_end_the_connection_or_wait(
        kind in 19u8..26,
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8),
    ) {
        for mut end in ends() {
            for record in &records {
                let length = u16::try_from(record.len()).expect("short").to_be_bytes();
                let mut bytes = vec![kind, 3, 3, length[0], length[1]];
                bytes.extend(record);
                let _ = end.write_encrypted(&bytes);
            }
            end.end_encrypted();
            prop_assert!(end.error().is_some());
        }
    }
}

fn pair(version: Version) -> Pair {
    Pair::with(|context, _| context.max_version = Some(version), |_, _| {})
}

fn wire(pair: &mut Pair, direction: Direction) -> &mut super::pair::Wire {
    match direction {
        Direction::ToServer => &mut pair.to_server,
        Direction::ToClient => &mut pair.to_client,
    }
}

fn handshake_length(version: Version, direction: Direction) -> usize {
    let mut pair = pair(version);
    pair.handshake();
    wire(&mut pair, direction).sent
}

fn accept() -> Connection {
    Server::new(fixtures::server_context(), fixtures::server()).expect("right").accept().expect("there is no limit")
}

fn ends() -> [Connection; 2] {
    let client = Connection::new(fixtures::client_context(), fixtures::client()).expect("right");
    [client, accept()]
}
