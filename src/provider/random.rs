//! The one source of randomness of the provider: keys, nonces, blinding and salts all come from [`fill`].
//!
//! In production it is the operating system's generator, which on `wasm32-wasip2` is `wasi:random`.
//! Tests can put a reproducible stream in its place with `with_seed`. That function, and the branch in [`fill`] that
//! looks for it, exist only under `cfg(test)` and `cfg(fuzzing)`: a production build holds neither.

use core::fmt;

use rsa::rand_core::{TryCryptoRng, TryRng};
use rustls::crypto::{GetRandomFailed, SecureRandom};
use zeroize::Zeroizing;

#[cfg(any(test, fuzzing))]
pub use seeded::with_seed;

/// Fills `bytes` with random bytes fit for keys (RFC 8446 appendix C.1).
///
/// # Errors
/// [`GetRandomFailed`] when the host has no randomness to give; `bytes` must then not be used.
pub fn fill(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    #[cfg(any(test, fuzzing))]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes).map_err(|_| GetRandomFailed)
}

/// `N` random bytes that are wiped when they are dropped.
pub(super) fn secret<const N: usize>() -> Result<Zeroizing<[u8; N]>, GetRandomFailed> {
    let mut bytes = Zeroizing::new([0; N]);
    fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// [`fill`] as rustls wants it.
#[derive(Debug)]
pub(super) struct Random;

impl SecureRandom for Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        fill(bytes)
    }
}

/// [`fill`] as the RustCrypto crates want it.
pub(super) struct Rng;

impl TryRng for Rng {
    type Error = Unavailable;

    fn try_next_u32(&mut self) -> Result<u32, Unavailable> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Unavailable> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        fill(bytes).map_err(|_| Unavailable)
    }
}

impl TryCryptoRng for Rng {}

/// The host had no randomness to give.
#[derive(Debug)]
pub(super) struct Unavailable;

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host gave no randomness")
    }
}

impl core::error::Error for Unavailable {}

impl From<Unavailable> for rustls::Error {
    fn from(_: Unavailable) -> Self {
        GetRandomFailed.into()
    }
}

/// The reproducible stream of tests: SHA-256 over the seed and a counter.
#[cfg(any(test, fuzzing))]
mod seeded {
    use std::cell::RefCell;

    use sha2::{Digest, Sha256};

    /// Runs `work` with a randomness that depends on `seed` alone; for tests, so that a handshake is reproducible.
    ///
    /// It holds for this thread and until `work` returns or panics. A seed within a seed starts its own stream, and the
    /// outer one continues afterwards.
    pub fn with_seed<T>(seed: u64, work: impl FnOnce() -> T) -> T {
        let _restore = Restore(STREAM.replace(Some(Stream::new(seed))));
        work()
    }

    /// Fills `bytes` from the stream; false when no seed is set.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        STREAM.with_borrow_mut(|stream| match stream {
            Some(stream) => {
                stream.fill(bytes);
                true
            }
            None => false,
        })
    }

    struct Stream {
        seed: u64,
        counter: u64,
    }

    impl Stream {
        fn new(seed: u64) -> Self {
            Self { seed, counter: 0 }
        }

        fn fill(&mut self, bytes: &mut [u8]) {
            for chunk in bytes.chunks_mut(32) {
                let block = Sha256::new()
                    .chain_update(self.seed.to_be_bytes())
                    .chain_update(self.counter.to_be_bytes())
                    .finalize();
                self.counter += 1;
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
        }
    }

    /// Puts the former stream back, also when a test panics.
    struct Restore(Option<Stream>);

    impl Drop for Restore {
        fn drop(&mut self) {
            STREAM.set(self.0.take());
        }
    }

    std::thread_local! {
        static STREAM: RefCell<Option<Stream>> = const { RefCell::new(None) };
    }
}
