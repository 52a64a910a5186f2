//! A session that comes back from outside, or in a ticket.

#![no_main]

use std::sync::LazyLock;

use guest_tls::engine::fuzzing;
use guest_tls_fuzz::{Resumption, feed, finish};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    fuzzing::session(input);
    for Resumption { setup, client_hello, .. } in &*RESUMPTIONS {
        let mut server = setup.server();
        feed(&mut server, *setup, client_hello, Some(input));
        finish(server, *setup);
    }
});

static RESUMPTIONS: LazyLock<[Resumption; 2]> = LazyLock::new(Resumption::of_both_versions);
