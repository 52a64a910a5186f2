//! Signature schemes: which ones the peer may sign with, and which ones we sign with (row O7).

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::sign::{Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};

use crate::error::{Error, ErrorCode};

/// Reads a list of signature schemes with `:` between: IANA's names, or OpenSSL's, which name a key and a hash. A name with `?`
/// before it is passed over where it is not known, as in OpenSSL 3.3.
pub(super) fn parse(list: &str) -> Result<Vec<SignatureScheme>, Vec<Error>> {
    let (mut schemes, mut errors) = (Vec::new(), Vec::new());
    for item in list.split(':').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, may_be_unknown) = match item.strip_prefix('?') {
            Some(name) => (name, true),
            None => (item, false),
        };
        match by_name(name) {
            Some(scheme) if schemes.contains(&scheme) => {}
            Some(scheme) => schemes.push(scheme),
            None if may_be_unknown => {}
            None => errors.push(invalid(format!(
                "The list of signature algorithms has {name:?}, which is not supported; expected names with `:` between, of {}, or for example ECDSA+SHA256, RSA-PSS+SHA256, RSA+SHA256.",
                NAMES.map(|(_, iana, _)| iana).join(", ")
            ))),
        }
    }
    match (schemes.is_empty(), errors.is_empty()) {
        (_, false) => Err(errors),
        (true, true) => {
            Err(vec![invalid("The list of signature algorithms is empty; leave it out for the default.".into())])
        }
        (false, true) => Ok(schemes),
    }
}

/// OpenSSL's name of a scheme that is supported.
pub(crate) fn sigalg_name(scheme: SignatureScheme) -> Option<&'static str> {
    NAMES.iter().find(|(known, ..)| *known == scheme).map(|(_, _, openssl)| *openssl)
}

/// Of `algorithms`, those of these schemes, in their order. Certificates may still be signed by all.
///
/// rustls keeps them for as long as the program runs, so each list that differs is kept once, and not once a context.
pub(super) fn restrict(
    algorithms: WebPkiSupportedAlgorithms,
    schemes: &[SignatureScheme],
) -> WebPkiSupportedAlgorithms {
    static KEPT: Mutex<Vec<Mapping>> = Mutex::new(Vec::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |mapping: &&Mapping| mapping.iter().map(|(scheme, _)| scheme).eq(schemes);
    let mapping = kept.iter().find(same).copied().unwrap_or_else(|| {
        let of = |scheme| algorithms.mapping.iter().find(|(have, _)| have == scheme).copied();
        let mapping: Mapping = Vec::leak(schemes.iter().filter_map(of).collect());
        kept.push(mapping);
        mapping
    });
    WebPkiSupportedAlgorithms { mapping, ..algorithms }
}

/// A key that only signs by some schemes, in an order of its own.
#[derive(Debug)]
pub(super) struct Restricted {
    pub(super) key: Arc<dyn SigningKey>,
    pub(super) schemes: Arc<[SignatureScheme]>,
}

impl SigningKey for Restricted {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.schemes
            .iter()
            .filter(|scheme| offered.contains(scheme))
            .find_map(|scheme| self.key.choose_scheme(&[*scheme]))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        self.key.public_key()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

fn by_name(name: &str) -> Option<SignatureScheme> {
    // OpenSSL has two words for the same there.
    let name = match name.split_once('+') {
        Some((key, hash)) if key.eq_ignore_ascii_case("PSS") => format!("RSA-PSS+{hash}"),
        _ => name.to_owned(),
    };
    NAMES
        .iter()
        .find(|(_, iana, openssl)| name.eq_ignore_ascii_case(iana) || name.eq_ignore_ascii_case(openssl))
        .map(|(scheme, ..)| *scheme)
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::ErrInvalidArgValue, message)
}

type Mapping = &'static [(SignatureScheme, &'static [&'static dyn SignatureVerificationAlgorithm])];

/// The schemes by IANA's and by OpenSSL's name.
const NAMES: [(SignatureScheme, &str, &str); 10] = [
    (SignatureScheme::ECDSA_NISTP256_SHA256, "ecdsa_secp256r1_sha256", "ECDSA+SHA256"),
    (SignatureScheme::ECDSA_NISTP384_SHA384, "ecdsa_secp384r1_sha384", "ECDSA+SHA384"),
    (SignatureScheme::ECDSA_NISTP521_SHA512, "ecdsa_secp521r1_sha512", "ECDSA+SHA512"),
    (SignatureScheme::ED25519, "ed25519", "ed25519"),
    (SignatureScheme::RSA_PSS_SHA256, "rsa_pss_rsae_sha256", "RSA-PSS+SHA256"),
    (SignatureScheme::RSA_PSS_SHA384, "rsa_pss_rsae_sha384", "RSA-PSS+SHA384"),
    (SignatureScheme::RSA_PSS_SHA512, "rsa_pss_rsae_sha512", "RSA-PSS+SHA512"),
    (SignatureScheme::RSA_PKCS1_SHA256, "rsa_pkcs1_sha256", "RSA+SHA256"),
    (SignatureScheme::RSA_PKCS1_SHA384, "rsa_pkcs1_sha384", "RSA+SHA384"),
    (SignatureScheme::RSA_PKCS1_SHA512, "rsa_pkcs1_sha512", "RSA+SHA512"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_give_schemes_or_say_each_name_that_is_wrong() {
        use SignatureScheme as S;
        let all: Vec<_> = NAMES.iter().map(|(scheme, ..)| *scheme).collect();
        let all_names = NAMES.map(|(_, iana, _)| iana).join(":");
        type Row<'a> = (&'a str, Result<&'a [S], &'static [&'static str]>);
        #[rustfmt::skip]
        let rows: [Row<'_>; 12] = [
            (&all_names, Ok(&all)),
            ("ECDSA+SHA256:rsa_pss_rsae_sha256:ed25519", Ok(&[S::ECDSA_NISTP256_SHA256, S::RSA_PSS_SHA256, S::ED25519])),
            ("RSA+SHA512:RSA-PSS+SHA384:PSS+SHA512", Ok(&[S::RSA_PKCS1_SHA512, S::RSA_PSS_SHA384, S::RSA_PSS_SHA512])),
            ("ecdsa+sha384:ED25519", Ok(&[S::ECDSA_NISTP384_SHA384, S::ED25519])),
            ("ed25519:ed25519:Ed25519", Ok(&[S::ED25519])),
            ("?ed448:ed25519", Ok(&[S::ED25519])),
            ("ed448:ed25519:RSA+SHA1", Err(&["\"ed448\"", "\"RSA+SHA1\""])),
            ("rsa_pss_pss_sha256", Err(&["\"rsa_pss_pss_sha256\""])),
            ("RSA", Err(&["\"RSA\""])),
            ("ed25519,ed448", Err(&["\"ed25519,ed448\""])),
            ("?ed448", Err(&["empty"])),
            ("", Err(&["empty"])),
        ];
        for (list, expected) in rows {
            match (parse(list), expected) {
                (Ok(schemes), Ok(expected)) => assert_eq!(schemes, expected, "{list}"),
                (Err(errors), Err(texts)) => {
                    assert_eq!(errors.len(), texts.len(), "{list}: {errors:?}");
                    for (error, text) in errors.iter().zip(texts) {
                        assert_eq!(error.code, ErrorCode::ErrInvalidArgValue, "{list}");
                        assert!(error.message.contains(text), "{list}: {error}");
                    }
                }
                (found, _) => panic!("{list}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_list_restricts_and_orders_what_is_verified_and_is_kept_once() {
        let all = crate::provider::crypto_provider().signature_verification_algorithms;
        let schemes = [SignatureScheme::RSA_PSS_SHA384, SignatureScheme::ECDSA_NISTP256_SHA256];
        let (one, two) = (restrict(all, &schemes), restrict(all, &schemes));
        assert_eq!(one.supported_schemes(), schemes);
        assert!(std::ptr::eq(one.mapping, two.mapping));
        assert_eq!(restrict(all, &schemes[1..]).supported_schemes(), schemes[1..]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_list_gives_schemes_or_errors(list in ".{0,60}") {
            match parse(&list) {
                Ok(schemes) => prop_assert!(!schemes.is_empty()),
                Err(errors) => prop_assert!(!errors.is_empty()),
            }
        }
    }
}
