//! A certificate as people read it, and whether it is for a host.

#![no_main]

use guest_tls::certificate::{Certificate, check_server_identity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    assert_eq!(Certificate::new(input).raw, input);
    let der = Certificate::parse(input).map_or_else(|_| input.to_vec(), |certificate| certificate.raw);
    for host in ["server.test", "a.b.example.com", "127.0.0.1", "::1", "", ".", "*.test", "grüße.test"] {
        let _ = check_server_identity(host, &der);
    }
});
