//! A client's connection, fed with whatever a server may send.

#![no_main]

use guest_tls_fuzz::{Setup, feed, finish};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((setup, bytes)) = Setup::split(input) else { return };
    let mut client = setup.client(None);
    feed(&mut client, setup, bytes, None);
    finish(client, setup);
});
