//! The cipher suites: three of TLS 1.3 (RFC 8446 appendix B.4) and the six ECDHE AEAD suites of TLS 1.2 (RFC 5289,
//! RFC 7905).
//!
//! ChaCha20-Poly1305 stands first because wasm has no AES instruction: constant-time AES is several times slower. Without
//! the feature `aes-gcm` it stands alone, and what only AES-GCM needs drops out of the component.
//!
//! A key protects no more than `confidentiality_limit` records; before that, rustls changes it (1.3) or closes (1.2).
//! For AES-GCM that is 2^24 full records, just below the 2^24.5 of RFC 8446 section 5.5, and keeps an attacker's
//! advantage below 2^-60 ([AEAD limits] section 5.1.1 with records of 2^14 bytes). For ChaCha20-Poly1305 the sequence
//! number ends first (section 5.2.1 there). There is no limit of failed decryptions as RFC 9147 section 4.5.3 has it
//! for DTLS: over TCP the first failure ends the connection.
//!
//! [AEAD limits]: https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-aead-limits

#[cfg(feature = "aes-gcm")]
mod aes_gcm;

use guest_tls_kernels::ChaCha20Poly1305;
use rustls::crypto::cipher::{Tls12AeadAlgorithm, Tls13AeadAlgorithm};
use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm};
use rustls::{CipherSuite, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::hash::SHA256;
use super::hmac::{HKDF_SHA256, PRF_SHA256};
use super::tls12::Tls12Aead;
use super::tls13::Tls13Aead;

#[cfg(feature = "aes-gcm")]
pub use aes_gcm::*;

/// All suites in our order of preference.
pub static ALL: &[SupportedCipherSuite] = &[
    TLS13_CHACHA20_POLY1305_SHA256,
    #[cfg(feature = "aes-gcm")]
    TLS13_AES_256_GCM_SHA384,
    #[cfg(feature = "aes-gcm")]
    TLS13_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    #[cfg(feature = "aes-gcm")]
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    #[cfg(feature = "aes-gcm")]
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    #[cfg(feature = "aes-gcm")]
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    #[cfg(feature = "aes-gcm")]
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// `TLS_CHACHA20_POLY1305_SHA256` of TLS 1.3 (RFC 8446 appendix B.4).
pub static TLS13_CHACHA20_POLY1305_SHA256: SupportedCipherSuite = SupportedCipherSuite::Tls13(&Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        hash_provider: SHA256,
        confidentiality_limit: CHACHA20_LIMIT,
    },
    hkdf_provider: HKDF_SHA256,
    aead_alg: TLS13_CHACHA20,
    quic: None,
});

/// `TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256` of TLS 1.2 (RFC 7905).
pub static TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            hash_provider: SHA256,
            confidentiality_limit: CHACHA20_LIMIT,
        },
        prf_provider: PRF_SHA256,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA_SCHEMES,
        aead_alg: TLS12_CHACHA20,
    });

/// `TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256` of TLS 1.2 (RFC 7905).
pub static TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            hash_provider: SHA256,
            confidentiality_limit: CHACHA20_LIMIT,
        },
        prf_provider: PRF_SHA256,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA_SCHEMES,
        aead_alg: TLS12_CHACHA20,
    });

/// What signs in an `ECDHE_ECDSA` suite: ECDSA, and EdDSA too (RFC 8422 section 2).
static ECDSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
];

/// What signs in an `ECDHE_RSA` suite; PSS too (RFC 8446 section 4.2.3).
static RSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

static TLS13_CHACHA20: &dyn Tls13AeadAlgorithm = &Tls13Aead::<ChaCha20Poly1305>::NEW;
static TLS12_CHACHA20: &dyn Tls12AeadAlgorithm = &Tls12Aead::<ChaCha20Poly1305>::NEW;

/// Records under one ChaCha20-Poly1305 key: as many as there are sequence numbers.
const CHACHA20_LIMIT: u64 = u64::MAX;
