//! A compressed certificate of a peer (RFC 8879): the first two bytes are the length that it says to have.

#![no_main]

use guest_tls::context::{CertificateCompression, Context, ContextOptions};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

fuzz_target!(|input: &[u8]| {
    let Some((length, compressed)) = input.split_first_chunk() else { return };
    let mut certificate = vec![0; u16::from_be_bytes(*length).into()];
    for decompressor in CONTEXT.cert_decompressors() {
        let _ = decompressor.decompress(compressed, &mut certificate);
    }
});

static CONTEXT: LazyLock<Context> = LazyLock::new(|| {
    let certificate_compression = vec![CertificateCompression::Zlib, CertificateCompression::Brotli];
    Context::new(&ContextOptions { certificate_compression, ..ContextOptions::default() })
        .expect("the options are right")
});
