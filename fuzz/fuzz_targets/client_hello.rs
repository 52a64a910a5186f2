//! The own readers of the handshake: a ClientHello, and the messages that pass on the transport.

#![no_main]

use guest_tls::Direction;
use guest_tls::engine::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    fuzzing::client_hello(input);
    // A recorded stream has a record's and a message's header before the ClientHello.
    fuzzing::client_hello(input.get(9..).unwrap_or_default());
    for direction in [Direction::Sent, Direction::Received] {
        fuzzing::transcript(direction, input, input.len() % 40);
    }
});
