//! The hash functions of the transcript: SHA-256 and SHA-384 (FIPS 180-4).

use core::marker::PhantomData;

use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
#[cfg(feature = "aes-gcm")]
use sha2::Sha384;
use sha2::{Digest, Sha256};

/// SHA-256.
pub(super) static SHA256: &dyn Hash = &Sha2::<Sha256>::new(HashAlgorithm::SHA256);

/// SHA-384.
#[cfg(feature = "aes-gcm")]
pub(super) static SHA384: &dyn Hash = &Sha2::<Sha384>::new(HashAlgorithm::SHA384);

/// A hash function of RustCrypto as rustls wants it.
struct Sha2<D> {
    algorithm: HashAlgorithm,
    digest: PhantomData<fn() -> D>,
}

impl<D> Sha2<D> {
    const fn new(algorithm: HashAlgorithm) -> Self {
        Self { algorithm, digest: PhantomData }
    }
}

impl<D: Digest + Clone + Send + Sync + 'static> Hash for Sha2<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }
}

/// A hash that takes more input.
struct Running<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}
