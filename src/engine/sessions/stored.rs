//! What a server keeps of a session: rustls' own state, and what the session is bound to.

use zeroize::Zeroizing;

use super::super::reader::Reader;
use crate::error::{Error, ErrorCode};

/// A session as it is kept, in a ticket, in the guest or outside. rustls' part holds the secret and the server name, to which it
/// binds the session itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The context's id and what clients are verified against: [`Context::session_binding`](crate::context::Context).
    pub(super) binding: [u8; BINDING_LEN],
    /// When it was made, in seconds since 1970.
    pub(super) created: u64,
    /// When the full handshake was from which it follows.
    pub(super) authenticated: u64,
    /// What was found out about the client.
    pub(super) client: Client,
    /// What rustls made.
    pub(super) value: Zeroizing<Vec<u8>>,
}

/// What a server found out about its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Client {
    /// It was not asked for a certificate.
    NotAsked,
    /// Its certificate was verified.
    Authorized,
    /// It was asked, and was not verified.
    Unauthorized(Error),
}

impl Stored {
    /// As bytes.
    pub(super) fn write(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + self.value.len() + 200));
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.binding);
        bytes.extend_from_slice(&self.created.to_be_bytes());
        bytes.extend_from_slice(&self.authenticated.to_be_bytes());
        match &self.client {
            Client::NotAsked => bytes.push(0),
            Client::Authorized => bytes.push(1),
            Client::Unauthorized(error) => {
                bytes.push(2);
                for text in [error.code.name(), &error.message] {
                    let text = &text.as_bytes()[..text.len().min(TEXT_MAX)];
                    bytes.extend_from_slice(&(text.len() as u16).to_be_bytes());
                    bytes.extend_from_slice(text);
                }
            }
        }
        bytes.extend_from_slice(&self.value);
        bytes
    }

    /// From bytes. `None` where they are not of this format.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != FORMAT {
            return None;
        }
        let binding = reader.array()?;
        let created = reader.u64()?;
        let authenticated = reader.u64()?;
        let client = match reader.u8()? {
            0 => Client::NotAsked,
            1 => Client::Authorized,
            2 => {
                let name = reader.vector16()?;
                let message = reader.vector16()?;
                let code = ErrorCode::ALL.iter().find(|code| code.name().as_bytes() == name)?;
                Client::Unauthorized(Error::new(*code, String::from_utf8_lossy(message)))
            }
            _ => return None,
        };
        Some(Self { binding, created, authenticated, client, value: Zeroizing::new(reader.rest().to_vec()) })
    }
}

/// The length of a SHA-256.
pub(in super::super) const BINDING_LEN: usize = 32;
/// The first byte; another format gets another.
const FORMAT: u8 = 1;
const HEAD: usize = 1 + BINDING_LEN + 8 + 8 + 1;
/// A message that is longer is cut: tickets travel in every ClientHello.
const TEXT_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(client: Client) -> Stored {
        Stored { binding: [3; 32], created: 77, authenticated: 55, client, value: Zeroizing::new(b"rustls".to_vec()) }
    }

    #[test]
    fn what_was_written_is_read() {
        let error = Error::new(ErrorCode::CertHasExpired, "Since yesterday.");
        for client in [Client::NotAsked, Client::Authorized, Client::Unauthorized(error)] {
            let stored = stored(client);
            assert_eq!(Stored::read(&stored.write()), Some(stored));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_session_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
            let _ = Stored::read(&bytes);
            let mut with_head = stored(Client::Unauthorized(Error::new(ErrorCode::CertHasExpired, "x"))).write();
            with_head.truncate(cut);
            with_head.extend_from_slice(&bytes);
            let _ = Stored::read(&with_head);
        }
    }
}
