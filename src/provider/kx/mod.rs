//! Key exchange: the groups, in our order of preference.
//!
//! The post-quantum hybrid stands first and is what a client sends a share of. Its X25519 half goes out as a second
//! share at no cost, so that a server without ML-KEM needs no second round trip.

pub(super) mod ecdh;
pub(super) mod mlkem;
pub(super) mod x25519;

mod hybrid;

use p384::NistP384;
use p521::NistP521;
use rustls::crypto::SupportedKxGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

use super::p256::P256;
use ecdh::Ecdh;

/// All groups in our order of preference.
pub static ALL: &[&dyn SupportedKxGroup] = &[X25519MLKEM768, X25519, SECP256R1, SECP384R1, SECP521R1];

/// X25519 with ML-KEM-768, of TLS 1.3 only (draft-ietf-tls-ecdhe-mlkem): safe as long as one of the two is.
pub static X25519MLKEM768: &dyn SupportedKxGroup = &hybrid::X25519MlKem768;

/// X25519 (RFC 7748, RFC 8446 section 4.2.8.2).
pub static X25519: &dyn SupportedKxGroup = &x25519::X25519;

/// ECDH on P-256 (RFC 8446 section 4.2.8.2), which every implementation has (section 9.1).
pub static SECP256R1: &dyn SupportedKxGroup = &Ecdh::<P256>::new(NamedGroup::secp256r1);

/// ECDH on P-384 (RFC 8446 section 4.2.8.2).
pub static SECP384R1: &dyn SupportedKxGroup = &Ecdh::<NistP384>::new(NamedGroup::secp384r1);

/// ECDH on P-521 (RFC 8446 section 4.2.8.2).
pub static SECP521R1: &dyn SupportedKxGroup = &Ecdh::<NistP521>::new(NamedGroup::secp521r1);

/// The peer's share cannot be used: `illegal_parameter` (RFC 8446 section 4.2.8).
const INVALID_KEY_SHARE: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
