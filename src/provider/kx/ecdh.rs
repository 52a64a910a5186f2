//! ECDH on the NIST curves (RFC 8446 section 7.4.2), once for all curves.

use core::fmt;
use core::marker::PhantomData;

use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, Tag, ToSec1Point};
use p256::elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytesSize, Generate, NonZeroScalar, PublicKey, SecretKey,
};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup};
use zeroize::Zeroizing;

use super::INVALID_KEY_SHARE;
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

impl<C> Ecdh<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    /// [`SupportedKxGroup::start`] with a secret of ours.
    pub(in crate::provider) fn start_with(&self, secret: SecretKey<C>) -> Box<dyn ActiveKeyExchange> {
        let share = secret.public_key().to_sec1_point(false).as_bytes().to_vec();
        Box::new(Active { name: self.name, secret, share })
    }
}

impl<C> SupportedKxGroup for Ecdh<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = Zeroizing::new(NonZeroScalar::<C>::try_generate_from_rng(&mut Rng)?);
        Ok(self.start_with(SecretKey::from(&*secret)))
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
struct Active<C: CurveArithmetic> {
    name: NamedGroup,
    secret: SecretKey<C>,
    share: Vec<u8>,
}

impl<C> ActiveKeyExchange for Active<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
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
pub(in crate::provider) fn agree<C>(secret: &SecretKey<C>, peer_share: &[u8]) -> Result<SharedSecret, Error>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let shared = secret.diffie_hellman(&public_key(peer_share)?);
    Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
}

/// The point of a peer's share: `UncompressedPointRepresentation` of RFC 8446 section 4.2.8.2 and nothing else.
///
/// The crate refuses what is not on the curve; the cofactor is one, so that no further check is due. The encodings of
/// identity and of compressed points are refused here, before that.
fn public_key<C>(share: &[u8]) -> Result<PublicKey<C>, Error>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    if share.first() != Some(&u8::from(Tag::Uncompressed)) {
        return Err(INVALID_KEY_SHARE);
    }
    PublicKey::from_sec1_bytes(share).map_err(|_| INVALID_KEY_SHARE)
}
