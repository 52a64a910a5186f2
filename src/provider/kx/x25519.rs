//! X25519 (RFC 7748) as RFC 8446 section 7.4.2 uses it.

use guest_tls_kernels::x25519::{public_key, x25519};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup};
use zeroize::Zeroizing;

use super::INVALID_KEY_SHARE;
use crate::provider::random;

/// The length of a share.
pub(super) const SHARE_LEN: usize = 32;

/// The group.
#[derive(Debug)]
pub(super) struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(KeyPair::generate()?))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Our half of one exchange. The secret is wiped when it is dropped.
pub(in crate::provider) struct KeyPair {
    secret: Zeroizing<[u8; 32]>,
    share: [u8; SHARE_LEN],
}

impl KeyPair {
    /// A fresh pair.
    pub(super) fn generate() -> Result<Self, Error> {
        Ok(Self::from_secret(random::secret()?))
    }

    /// The pair of a secret.
    pub(in crate::provider) fn from_secret(secret: Zeroizing<[u8; 32]>) -> Self {
        let share = public_key(&secret);
        Self { secret, share }
    }

    /// Our share.
    pub(super) fn share(&self) -> &[u8; SHARE_LEN] {
        &self.share
    }

    /// The secret that the peer gets as well.
    ///
    /// A share of small order gives a secret of zeros, whatever ours is: RFC 8446 section 7.4.2 has us abort.
    pub(super) fn agree(&self, peer_share: &[u8]) -> Result<Zeroizing<[u8; SHARE_LEN]>, Error> {
        let peer = <[u8; SHARE_LEN]>::try_from(peer_share).map_err(|_| INVALID_KEY_SHARE)?;
        let shared = x25519(&self.secret, &peer);
        // All of it is looked at, so that the time says nothing of a secret that is good.
        match shared.iter().fold(0, |any, byte| any | byte) {
            0 => Err(INVALID_KEY_SHARE),
            _ => Ok(shared),
        }
    }
}

impl ActiveKeyExchange for KeyPair {
    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        let shared = self.agree(peer_share)?;
        Ok(SharedSecret::from(shared.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        self.share()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
