//! The provider's policy as a snapshot: a change of it must be seen, and meant.

use rustls::CipherSuite::*;
use rustls::{NamedGroup, ProtocolVersion, SignatureScheme, SupportedCipherSuite};

use crate::provider::crypto_provider;

#[test]
fn cipher_suites() {
    let suites: Vec<_> = crypto_provider()
        .cipher_suites
        .iter()
        .map(|suite| {
            let limit = match suite {
                SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
                SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
            };
            (suite.version().version, suite.suite(), limit)
        })
        .collect();
    let (tls12, tls13) = (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3);
    assert_eq!(
        suites,
        [
            (tls13, TLS13_CHACHA20_POLY1305_SHA256, u64::MAX),
            (tls13, TLS13_AES_256_GCM_SHA384, 1 << 24),
            (tls13, TLS13_AES_128_GCM_SHA256, 1 << 24),
            (tls12, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, u64::MAX),
            (tls12, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, u64::MAX),
            (tls12, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 1 << 24),
            (tls12, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, 1 << 24),
            (tls12, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 1 << 24),
            (tls12, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 1 << 24),
        ]
    );
}

#[test]
fn groups() {
    let groups: Vec<_> = crypto_provider()
        .kx_groups
        .iter()
        .map(|group| {
            (
                group.name(),
                group.usable_for_version(ProtocolVersion::TLSv1_2),
                group.usable_for_version(ProtocolVersion::TLSv1_3),
            )
        })
        .collect();
    assert_eq!(
        groups,
        [
            (NamedGroup::X25519MLKEM768, false, true),
            (NamedGroup::X25519, true, true),
            (NamedGroup::secp256r1, true, true),
            (NamedGroup::secp384r1, true, true),
            (NamedGroup::secp521r1, true, true),
        ]
    );
}

#[test]
fn signature_schemes() {
    let algorithms = crypto_provider().signature_verification_algorithms;
    assert_eq!(
        algorithms.supported_schemes(),
        [
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ]
    );
    assert_eq!(algorithms.all.len(), 19);
    for (scheme, behind) in algorithms.mapping {
        for algorithm in *behind {
            let listed = algorithms.all.iter().any(|other| {
                other.public_key_alg_id() == algorithm.public_key_alg_id()
                    && other.signature_alg_id() == algorithm.signature_alg_id()
            });
            assert!(listed, "{scheme:?} has an algorithm that certificates have not");
        }
    }
}
