//! Compressed certificates (RFC 8879, row O26).
//!
//! zlib goes both ways, for 33 kB of the component. Brotli is only received, for 203 kB, of which 123 kB are the dictionary of RFC 7932:
//! the kept crate that compresses it is several times as large, and whoever offers Brotli also takes what is not compressed.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_COMPUTE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use rustls::CertificateCompressionAlgorithm;
use rustls::compress::{CertCompressor, CertDecompressor, CompressionFailed, CompressionLevel, DecompressionFailed};

/// A way to compress certificates (RFC 8879 section 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateCompression {
    /// zlib (RFC 1950): sent and received.
    Zlib,
    /// Brotli (RFC 7932): received only.
    Brotli,
}

/// What compresses our own certificates, in the order of preference.
pub(super) fn compressors(chosen: &[CertificateCompression]) -> Vec<&'static dyn CertCompressor> {
    let once = chosen.contains(&CertificateCompression::Zlib);
    once.then_some(&Zlib as &dyn CertCompressor).into_iter().collect()
}

/// What decompresses the peer's certificates, in the order of preference.
pub(super) fn decompressors(chosen: &[CertificateCompression]) -> Vec<&'static dyn CertDecompressor> {
    let mut decompressors: Vec<&'static dyn CertDecompressor> = Vec::new();
    for choice in chosen {
        let decompressor: &'static dyn CertDecompressor = match choice {
            CertificateCompression::Zlib => &Zlib,
            CertificateCompression::Brotli => &Brotli,
        };
        // Twice the same would be a malformed message.
        if decompressors.iter().all(|have| have.algorithm() != decompressor.algorithm()) {
            decompressors.push(decompressor);
        }
    }
    decompressors
}

#[derive(Debug)]
struct Zlib;

impl CertCompressor for Zlib {
    fn compress(&self, input: Vec<u8>, level: CompressionLevel) -> Result<Vec<u8>, CompressionFailed> {
        let level = match level {
            CompressionLevel::Interactive => LEVEL_INTERACTIVE,
            CompressionLevel::Amortized => LEVEL_AMORTIZED,
        };
        Ok(compress_to_vec_zlib(&input, level))
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zlib
    }
}

impl CertDecompressor for Zlib {
    fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<(), DecompressionFailed> {
        let flags =
            TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_COMPUTE_ADLER32 | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (status, read, written) = decompress(&mut DecompressorOxide::new(), input, output, 0, flags);
        exactly(status == TINFLStatus::Done && read == input.len() && written == output.len())
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Zlib
    }
}

#[derive(Debug)]
struct Brotli;

impl CertDecompressor for Brotli {
    fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<(), DecompressionFailed> {
        let allocator = StandardAlloc::default;
        // Strict: no windows beyond RFC 7932's 16 MiB.
        let mut state = BrotliState::new_strict(allocator(), allocator(), allocator());
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut room,
            &mut written,
            output,
            &mut total,
            &mut state,
        );
        exactly(matches!(result, BrotliResult::ResultSuccess) && left == 0 && room == 0)
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Brotli
    }
}

/// RFC 8879 section 4: what comes out must have the length that was said, and all of what came must have been used.
fn exactly(is_so: bool) -> Result<(), DecompressionFailed> {
    if is_so { Ok(()) } else { Err(DecompressionFailed) }
}

/// miniz's levels go from 0 to 10. rustls keeps what it compressed where a server's chain is the same for all.
const LEVEL_INTERACTIVE: u8 = 1;
const LEVEL_AMORTIZED: u8 = 9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"guest-tls guest-tls guest-tls";

    #[test]
    fn what_was_compressed_comes_out_and_nothing_else_does() {
        let zlib = Zlib.compress(TEXT.to_vec(), CompressionLevel::Amortized).expect("zlib takes all");
        assert!(zlib.len() < TEXT.len());
        let longer = [&zlib[..], &[0]].concat();
        let mut changed = zlib.clone();
        *changed.last_mut().expect("it has a checksum") ^= 1;
        type Row<'a> = (&'static str, &'static dyn CertDecompressor, &'a [u8], usize, bool);
        #[rustfmt::skip]
        let rows: [Row<'_>; 13] = [
            ("our own zlib", &Zlib, &zlib, TEXT.len(), true),
            ("another's zlib", &Zlib, NODE_ZLIB, TEXT.len(), true),
            ("another's Brotli", &Brotli, NODE_BROTLI, TEXT.len(), true),
            ("less was said than there is", &Zlib, &zlib, TEXT.len() - 1, false),
            ("more was said than there is", &Zlib, &zlib, TEXT.len() + 1, false),
            ("something follows", &Zlib, &longer, TEXT.len(), false),
            ("it is cut short", &Zlib, &zlib[..zlib.len() - 1], TEXT.len(), false),
            ("its checksum is wrong", &Zlib, &changed, TEXT.len(), false),
            ("nothing", &Zlib, &[], 0, false),
            ("less Brotli was said than there is", &Brotli, NODE_BROTLI, TEXT.len() - 1, false),
            ("more Brotli was said than there is", &Brotli, NODE_BROTLI, TEXT.len() + 1, false),
            ("Brotli is cut short", &Brotli, &NODE_BROTLI[..NODE_BROTLI.len() - 1], TEXT.len(), false),
            ("no Brotli", &Brotli, &[], 0, false),
        ];
        for (what, decompressor, input, length, good) in rows {
            let mut output = vec![0; length];
            let result = decompressor.decompress(input, &mut output);
            assert_eq!(result.is_ok(), good, "{what}");
            assert!(!good || output == TEXT, "{what}");
        }
    }

    #[test]
    fn an_algorithm_is_offered_once() {
        use CertificateCompression::{Brotli, Zlib};
        let names = |chosen: &[CertificateCompression]| {
            let of = |algorithm| match algorithm {
                CertificateCompressionAlgorithm::Zlib => "zlib",
                CertificateCompressionAlgorithm::Brotli => "brotli",
                _ => "?",
            };
            let compress: Vec<_> = compressors(chosen).iter().map(|one| of(one.algorithm())).collect();
            let decompress: Vec<_> = decompressors(chosen).iter().map(|one| of(one.algorithm())).collect();
            (compress, decompress)
        };
        assert_eq!(names(&[]), (vec![], vec![]));
        assert_eq!(names(&[Zlib]), (vec!["zlib"], vec!["zlib"]));
        assert_eq!(names(&[Brotli]), (vec![], vec!["brotli"]));
        assert_eq!(names(&[Brotli, Zlib, Brotli, Zlib]), (vec!["zlib"], vec!["brotli", "zlib"]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn zlib_gives_back_what_it_took(input in proptest::collection::vec(any::<u8>(), 0..2000)) {
            for level in [CompressionLevel::Interactive, CompressionLevel::Amortized] {
                let compressed = Zlib.compress(input.clone(), level).expect("zlib takes all");
                let mut output = vec![0; input.len()];
                prop_assert!(Zlib.decompress(&compressed, &mut output).is_ok());
                prop_assert_eq!(&output, &input);
            }
        }

        #[test]
        fn any_bytes_fill_the_output_or_fail(input in proptest::collection::vec(any::<u8>(), 0..200), length in 0usize..2000) {
            for decompressor in [&Zlib as &dyn CertDecompressor, &Brotli] {
                // That it comes back at all is what is asked here: no panic, and never more than there is room for.
                let _ = decompressor.decompress(&input, &mut vec![0; length]);
            }
        }
    }

    /// `TEXT`, compressed by Node.
    const NODE_ZLIB: &[u8] = &[
        0x78, 0x9c, 0x4b, 0x2f, 0x4d, 0x2d, 0x2e, 0xd1, 0x2d, 0xc9, 0x29, 0x56, 0x48, 0xc7, 0x64, 0x01, 0x00, 0xa8,
        0x9e, 0x0b, 0x39,
    ];
    const NODE_BROTLI: &[u8] = &[
        0x1b, 0x1c, 0x00, 0xf8, 0x1d, 0x89, 0x71, 0x2c, 0x89, 0xfb, 0x6f, 0x11, 0xca, 0x33, 0xb6, 0xba, 0x06, 0x69,
        0x99, 0xa3, 0x53, 0x65, 0x73, 0x31, 0x54, 0x28, 0x40, 0x76, 0x2f, 0x00,
    ];
}
