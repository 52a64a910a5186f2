//! ECDH on the NIST curves (RFC 8446 section 7.4.2), once for all curves.

use core::fmt;
use core::marker::PhantomData;

use elliptic_curve::sec1::{FromSec1Point, ModulusSize, Tag, ToSec1Point};
use elliptic_curve::{AffinePoint, Curve, CurveArithmetic, FieldBytesSize, Generate, PublicKey, SecretKey};
use guest_tls_kernels::p256 as kernel;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup};

use super::INVALID_KEY_SHARE;
use crate::provider::p256::{P256, kernel_key};
use crate::provider::random::Rng;

/// The group of one curve.
pub(in crate::provider) struct Ecdh<C> {
    name: NamedGroup,
    curve: PhantomData<fn() -> C>,
}

impl<C> Ecdh<C> {
    /// The curve `C`, which TLS calls `name`.
    pub(in crate::provider) const fn new(name: NamedGroup) -> Self {
        Self { name, curve: PhantomData }
    }
}

impl<C: Agreement> Ecdh<C> {
    /// [`SupportedKxGroup::start`] with a secret of ours.
    pub(in crate::provider) fn start_with(&self, secret: SecretKey<C>) -> Box<dyn ActiveKeyExchange> {
        let share = C::share(&secret);
        Box::new(Active { name: self.name, secret, share })
    }
}

impl<C: Agreement> SupportedKxGroup for Ecdh<C> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(self.start_with(SecretKey::try_generate_from_rng(&mut Rng)?))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

impl<C> fmt::Debug for Ecdh<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

/// Our half of one exchange. The secret is wiped when it is dropped.
struct Active<C: Curve> {
    name: NamedGroup,
    secret: SecretKey<C>,
    share: Vec<u8>,
}

impl<C: Agreement> ActiveKeyExchange for Active<C> {
    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        agree(&self.secret, peer_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        self.name
    }
}

/// The secret of our secret and the peer's share: the x coordinate of their product, with its leading zeros.
///
/// A share is the `UncompressedPointRepresentation` of RFC 8446 section 4.2.8.2 and nothing else: the encodings of
/// identity and of compressed points are refused here, what is not on the curve is refused by [`Agreement::agree`].
pub(in crate::provider) fn agree<C: Agreement>(
    secret: &SecretKey<C>,
    peer_share: &[u8],
) -> Result<SharedSecret, Error> {
    if peer_share.first() != Some(&u8::from(Tag::Uncompressed)) {
        return Err(INVALID_KEY_SHARE);
    }
    C::agree(secret, peer_share).ok_or(INVALID_KEY_SHARE)
}

/// A curve, and how it calculates.
pub(in crate::provider) trait Agreement: Curve {
    /// The public point of a secret, uncompressed.
    fn share(secret: &SecretKey<Self>) -> Vec<u8>;

    /// The x coordinate of the product; `None` where the point is not on the curve, its only check, the cofactor being
    /// one.
    fn agree(secret: &SecretKey<Self>, peer: &[u8]) -> Option<SharedSecret>;
}

impl Agreement for P256 {
    fn share(secret: &SecretKey<Self>) -> Vec<u8> {
        kernel_key(secret).public_key().to_uncompressed().to_vec()
    }

    fn agree(secret: &SecretKey<Self>, peer: &[u8]) -> Option<SharedSecret> {
        let shared = kernel_key(secret).diffie_hellman(&kernel::PublicKey::from_sec1(peer)?);
        Some(SharedSecret::from(shared.as_slice()))
    }
}

impl<C> Agreement for C
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn share(secret: &SecretKey<Self>) -> Vec<u8> {
        secret.public_key().to_sec1_point(false).as_bytes().to_vec()
    }

    fn agree(secret: &SecretKey<Self>, peer: &[u8]) -> Option<SharedSecret> {
        let shared = secret.diffie_hellman(&PublicKey::from_sec1_bytes(peer).ok()?);
        Some(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }
}
