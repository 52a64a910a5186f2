//! Ways to private parsers for the fuzz targets in `fuzz/`: they are called, and what must hold of any bytes is asserted.

use super::client_hello::ClientHello;
use super::transcript::Transcript;
use crate::error::Direction;

pub use super::sessions::fuzzing::session;

/// Reads the body of a ClientHello.
pub fn client_hello(body: &[u8]) {
    if let Some(hello) = ClientHello::read(body) {
        let numbers = [&hello.versions, &hello.suites, &hello.groups, &hello.schemes];
        let items = hello.alpn.protocols().count() + numbers.map(Vec::len).iter().sum::<usize>();
        assert!(items <= body.len(), "there are no more items than bytes");
    }
}

/// Reads bytes of the transport, whole and in pieces: where they are cut must not matter.
pub fn transcript(direction: Direction, bytes: &[u8], piece: usize) {
    for is_server in [false, true] {
        let [mut whole, mut pieces] = [Transcript::new(is_server, true), Transcript::new(is_server, true)];
        whole.transport(direction, bytes);
        for piece in bytes.chunks(piece.max(1)) {
            pieces.transport(direction, piece);
        }
        assert_eq!(whole.client_hello, pieces.client_hello);
        assert_eq!(whole.requested_schemes, pieces.requested_schemes);
        assert_eq!(whole.ticket, pieces.ticket);
        assert_eq!(whole.finished(), pieces.finished());
        assert_eq!(whole.peer_finished(), pieces.peer_finished());
    }
}
