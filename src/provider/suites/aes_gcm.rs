//! The suites with AES-GCM, which a build may leave out by the feature `aes-gcm`.

use guest_tls_kernels::{Aes128Gcm, Aes256Gcm};
use rustls::crypto::cipher::{Tls12AeadAlgorithm, Tls13AeadAlgorithm};
use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm};
use rustls::{CipherSuite, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::{ECDSA_SCHEMES, RSA_SCHEMES, Tls12Aead, Tls13Aead};
use crate::provider::hash::{SHA256, SHA384};
use crate::provider::hmac::{HKDF_SHA256, HKDF_SHA384, PRF_SHA256, PRF_SHA384};

/// `TLS_AES_256_GCM_SHA384` of TLS 1.3 (RFC 8446 appendix B.4).
pub static TLS13_AES_256_GCM_SHA384: SupportedCipherSuite = SupportedCipherSuite::Tls13(&Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        hash_provider: SHA384,
        confidentiality_limit: AES_GCM_LIMIT,
    },
    hkdf_provider: HKDF_SHA384,
    aead_alg: TLS13_AES_256,
    quic: None,
});

/// `TLS_AES_128_GCM_SHA256` of TLS 1.3, which every implementation has (RFC 8446 section 9.1).
pub static TLS13_AES_128_GCM_SHA256: SupportedCipherSuite = SupportedCipherSuite::Tls13(&Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        hash_provider: SHA256,
        confidentiality_limit: AES_GCM_LIMIT,
    },
    hkdf_provider: HKDF_SHA256,
    aead_alg: TLS13_AES_128,
    quic: None,
});

/// `TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384` of TLS 1.2 (RFC 5289).
pub static TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: SupportedCipherSuite =
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            hash_provider: SHA384,
            confidentiality_limit: AES_GCM_LIMIT,
        },
        prf_provider: PRF_SHA384,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA_SCHEMES,
        aead_alg: TLS12_AES_256,
    });

/// `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384` of TLS 1.2 (RFC 5289).
pub static TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: SupportedCipherSuite =
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            hash_provider: SHA384,
            confidentiality_limit: AES_GCM_LIMIT,
        },
        prf_provider: PRF_SHA384,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA_SCHEMES,
        aead_alg: TLS12_AES_256,
    });

/// `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256` of TLS 1.2 (RFC 5289).
pub static TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            hash_provider: SHA256,
            confidentiality_limit: AES_GCM_LIMIT,
        },
        prf_provider: PRF_SHA256,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: ECDSA_SCHEMES,
        aead_alg: TLS12_AES_128,
    });

/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` of TLS 1.2 (RFC 5289).
pub static TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: SupportedCipherSuite =
    SupportedCipherSuite::Tls12(&Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            hash_provider: SHA256,
            confidentiality_limit: AES_GCM_LIMIT,
        },
        prf_provider: PRF_SHA256,
        kx: KeyExchangeAlgorithm::ECDHE,
        sign: RSA_SCHEMES,
        aead_alg: TLS12_AES_128,
    });

static TLS13_AES_256: &dyn Tls13AeadAlgorithm = &Tls13Aead::<Aes256Gcm>::NEW;
static TLS13_AES_128: &dyn Tls13AeadAlgorithm = &Tls13Aead::<Aes128Gcm>::NEW;
static TLS12_AES_256: &dyn Tls12AeadAlgorithm = &Tls12Aead::<Aes256Gcm>::NEW;
static TLS12_AES_128: &dyn Tls12AeadAlgorithm = &Tls12Aead::<Aes128Gcm>::NEW;

/// Records under one AES-GCM key.
const AES_GCM_LIMIT: u64 = 1 << 24;
