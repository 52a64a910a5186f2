//! What was agreed on, in the words of the contract.

use rustls::{CommonState, NamedGroup, SignatureScheme};

use crate::context::names::{group_names, suite_names};
use crate::context::{Version, sigalg_name};

/// A cipher suite (row K5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// OpenSSL's name.
    pub name: &'static str,
    /// IANA's name.
    pub standard_name: &'static str,
    /// The version that the suite belongs to.
    pub version: Version,
}

/// The key exchange (row K10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EphemeralKeyInfo {
    /// `ECDH`, or `KEM` for a hybrid.
    pub kind: &'static str,
    /// OpenSSL's name of the group.
    pub name: &'static str,
    /// The size of the classical key in bits.
    pub size: u32,
}

impl Cipher {
    pub(super) fn of(state: &CommonState) -> Option<Self> {
        let suite = state.negotiated_cipher_suite()?;
        let names = suite_names(suite.suite())?;
        Some(Self {
            name: names.openssl,
            standard_name: names.iana,
            version: Version::from_rustls(suite.version().version)?,
        })
    }
}

impl EphemeralKeyInfo {
    pub(super) fn of(state: &CommonState) -> Option<Self> {
        let group: NamedGroup = state.negotiated_key_exchange_group()?.name();
        let names = group_names(group)?;
        Some(Self { kind: names.kind, name: names.openssl, size: names.bits })
    }
}

/// OpenSSL's name of a signature scheme, as Node gives it: with a hash, or without one `UNDEF` (row K15).
pub(super) fn scheme_name(scheme: u16) -> String {
    match SignatureScheme::from(scheme) {
        SignatureScheme::ED25519 => "Ed25519+UNDEF".to_owned(),
        known => sigalg_name(known).map_or_else(|| format!("0x{scheme:04x}"), str::to_owned),
    }
}
