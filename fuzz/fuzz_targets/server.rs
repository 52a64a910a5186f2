//! A server's connection, fed with whatever a client may send.

#![no_main]

use guest_tls_fuzz::{Setup, feed, finish};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((setup, bytes)) = Setup::split(input) else { return };
    let mut server = setup.server();
    feed(&mut server, setup, bytes, None);
    finish(server, setup);
});
