//! X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): ML-KEM-768 and X25519 side by side, ML-KEM first in everything.
//!
//! | | ML-KEM-768 | X25519 | together |
//! |---|---|---|---|
//! | client's share | encapsulation key, 1184 | 32 | 1216 |
//! | server's share | ciphertext, 1088 | 32 | 1120 |
//! | secret | 32 | 32 | 64 |

use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, ProtocolVersion};

use super::{INVALID_KEY_SHARE, mlkem, x25519};

/// The group.
#[derive(Debug)]
pub(super) struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mlkem = mlkem::KeyPair::generate()?;
        let x25519 = x25519::KeyPair::generate()?;
        let share = [mlkem.encapsulation_key().as_ref(), x25519.share()].concat();
        Ok(Box::new(Active { mlkem, x25519, share }))
    }

    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (encapsulation_key, client_x25519) = split(client_share, mlkem::ENCAPSULATION_KEY_LEN)?;
        let x25519 = x25519::KeyPair::generate()?;
        let classical = x25519.agree(client_x25519)?;
        let (ciphertext, post_quantum) = mlkem::encapsulate(encapsulation_key)?;
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [ciphertext.as_slice(), x25519.share()].concat(),
            secret: secret(&post_quantum, &classical),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// The client's half of one exchange.
struct Active {
    mlkem: mlkem::KeyPair,
    x25519: x25519::KeyPair,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, server_x25519) = split(server_share, mlkem::CIPHERTEXT_LEN)?;
        let classical = self.x25519.agree(server_x25519)?;
        let post_quantum = self.mlkem.decapsulate(ciphertext)?;
        Ok(secret(&post_quantum, &classical))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.x25519.share()))
    }

    fn complete_hybrid_component(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        Box::new(self.x25519).complete(server_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

/// The two parts of a share, of which the first has `mlkem_len` bytes.
fn split(share: &[u8], mlkem_len: usize) -> Result<(&[u8], &[u8]), Error> {
    match share.len() == mlkem_len + x25519::SHARE_LEN {
        true => Ok(share.split_at(mlkem_len)),
        false => Err(INVALID_KEY_SHARE),
    }
}

/// The two secrets in a row. rustls wipes them when they are dropped.
fn secret(post_quantum: &mlkem::Secret, classical: &[u8; x25519::SHARE_LEN]) -> SharedSecret {
    SharedSecret::from([post_quantum.as_slice(), classical].concat())
}
