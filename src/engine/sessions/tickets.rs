//! Sessions that the client keeps, sealed (RFC 5077, RFC 8446 section 4.6.1).
//!
//! A ticket is `name ‖ salt ‖ ciphertext ‖ tag`. The 48 bytes of keys (row O19) are a name of 16 bytes, which says by which keys a
//! ticket was sealed, and a secret of 32. Each ticket has an AEAD key of its own, HMAC-SHA-256(secret, salt): with 32 random bytes
//! of salt no key serves twice, however many tickets a fleet makes, so the nonce can be zero.

use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::GetRandomFailed;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode};
use crate::provider::{random, seal};

/// 48 bytes as keys of tickets (row O19). Error: `ErrInvalidArgValue` for any other length.
pub(crate) fn ticket_keys(bytes: &[u8]) -> Result<Zeroizing<[u8; TICKET_KEYS_LEN]>, Error> {
    bytes.try_into().map(Zeroizing::new).map_err(|_| {
        Error::new(
            ErrorCode::ErrInvalidArgValue,
            format!("The ticket keys have {} bytes; expected exactly {TICKET_KEYS_LEN} of randomness.", bytes.len()),
        )
    })
}

/// The keys of tickets: those that seal and open, and those before, which only open.
#[derive(Debug)]
pub(super) struct Tickets {
    current: Option<Keys>,
    before: Option<Keys>,
    /// Whether the current ones were given, so that they stay until others are given.
    given: bool,
}

struct Keys {
    bytes: Zeroizing<[u8; TICKET_KEYS_LEN]>,
    /// When they became, or ceased to be, the current ones, in seconds since 1970.
    since: u64,
}

impl Tickets {
    pub(super) fn new(keys: Option<&[u8; TICKET_KEYS_LEN]>) -> Self {
        let current = keys.map(|keys| Keys { bytes: Zeroizing::new(*keys), since: 0 });
        Self { given: current.is_some(), current, before: None }
    }

    /// The current keys, which are made where there are none, and made anew when they served for the lifetime of a session and
    /// for six hours.
    pub(super) fn keys(&mut self, now: u64, lifetime: u32) -> Result<Zeroizing<[u8; TICKET_KEYS_LEN]>, Error> {
        self.current(now, lifetime).map(|keys| keys.bytes.clone()).map_err(|GetRandomFailed| {
            Error::new(
                ErrorCode::ErrInternalAssertion,
                "The host has no random bytes to give, so there are no ticket keys.",
            )
        })
    }

    /// Other keys.
    pub(super) fn set(&mut self, keys: &[u8; TICKET_KEYS_LEN], now: u64) {
        if self.current.as_ref().is_some_and(|current| *current.bytes == *keys) {
            self.given = true;
            return;
        }
        self.rotate(Zeroizing::new(*keys), now);
        self.given = true;
    }

    /// Seals `plain`. `None` without randomness: the client then gets no ticket.
    pub(super) fn seal(&mut self, plain: &[u8], now: u64, lifetime: u32) -> Option<Vec<u8>> {
        let keys = self.current(now, lifetime).ok()?;
        let mut salt = [0; SALT_LEN];
        random::fill(&mut salt).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + SALT_LEN + plain.len() + seal::TAG_LEN);
        ticket.extend_from_slice(keys.name());
        ticket.extend_from_slice(&salt);
        ticket.extend_from_slice(plain);
        let (head, text) = ticket.split_at_mut(NAME_LEN + SALT_LEN);
        let tag = seal::seal(&keys.key_of(&salt), head, text);
        ticket.extend_from_slice(&tag);
        Some(ticket)
    }

    /// Opens a ticket. `None` where its keys are not ours (any more), or where it was changed.
    pub(super) fn open(&mut self, ticket: &[u8], now: u64, lifetime: u32) -> Option<Zeroizing<Vec<u8>>> {
        let (name, rest) = ticket.split_at_checked(NAME_LEN)?;
        let (salt, sealed) = rest.split_first_chunk::<SALT_LEN>()?;
        let before = self.before.as_ref().filter(|keys| now.saturating_sub(keys.since) <= u64::from(lifetime));
        // The name is no secret: it stands in the ticket.
        let keys = self.current.as_ref().into_iter().chain(before).find(|keys| keys.name() == name)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let length = seal::open(&keys.key_of(salt), &ticket[..NAME_LEN + SALT_LEN], &mut text).ok()?;
        text.truncate(length);
        Some(text)
    }

    fn current(&mut self, now: u64, lifetime: u32) -> Result<&Keys, GetRandomFailed> {
        let serve = u64::from(lifetime).max(SERVE_MIN);
        let old = |keys: &Keys| !self.given && now.saturating_sub(keys.since) >= serve;
        if self.current.as_ref().is_none_or(old) {
            let mut bytes = Zeroizing::new([0; TICKET_KEYS_LEN]);
            random::fill(bytes.as_mut_slice())?;
            self.rotate(bytes, now);
        }
        self.current.as_ref().ok_or(GetRandomFailed)
    }

    fn rotate(&mut self, bytes: Zeroizing<[u8; TICKET_KEYS_LEN]>, now: u64) {
        let before = self.current.replace(Keys { bytes, since: now });
        self.before = before.map(|keys| Keys { since: now, ..keys });
    }
}

impl Keys {
    fn name(&self) -> &[u8] {
        &self.bytes[..NAME_LEN]
    }

    fn key_of(&self, salt: &[u8; SALT_LEN]) -> Zeroizing<[u8; 32]> {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes[NAME_LEN..]).expect("HMAC takes keys of any length");
        mac.update(LABEL);
        mac.update(salt);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("since", &self.since).finish_non_exhaustive()
    }
}

/// A name of 16 bytes and a secret of 32 (row O19).
pub const TICKET_KEYS_LEN: usize = 48;
const NAME_LEN: usize = 16;
/// How long keys that were not given serve at least, in seconds: contexts of shorter sessions share them.
const SERVE_MIN: u64 = 6 * 60 * 60;
const SALT_LEN: usize = 32;
/// Sets the keys of this format apart from others that might be made of the same secret.
const LABEL: &[u8] = b"guest-tls ticket 1";

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: u32 = 300;

    #[test]
    fn tickets_open_by_their_keys_for_their_time() {
        type Change = fn(&mut Tickets, &mut Vec<u8>);
        let other = |byte: u8| [byte; TICKET_KEYS_LEN];
        #[rustfmt::skip]
        let rows: [(&str, Change, u64, bool); 8] = [
            ("at once", |_, _| (), 0, true),
            ("with keys of a fleet, at any time: the session has an age of its own", |_, _| (), 1 << 40, true),
            ("after a rotation", |tickets, _| tickets.set(&[9; 48], 10), 10 + 300, true),
            ("too long after a rotation", |tickets, _| tickets.set(&[9; 48], 10), 11 + 300, false),
            ("after two rotations", |tickets, _| { tickets.set(&[8; 48], 10); tickets.set(&[9; 48], 11); }, 12, false),
            ("after the same keys were given again, twice", |tickets, _| { tickets.set(&[7; 48], 10); tickets.set(&[7; 48], 11); }, 12, true),
            ("changed in one bit", |_, ticket| ticket[NAME_LEN + SALT_LEN] ^= 1, 0, false),
            ("of another salt", |_, ticket| ticket[NAME_LEN] ^= 1, 0, false),
        ];
        for (what, change, now, expected) in rows {
            let mut tickets = Tickets::new(Some(&other(7)));
            let mut ticket = tickets.seal(b"session", 0, LIFETIME).expect("there is randomness");
            change(&mut tickets, &mut ticket);
            let opened = tickets.open(&ticket, now, LIFETIME);
            assert_eq!(opened.as_deref().map(Vec::as_slice), expected.then_some(&b"session"[..]), "{what}");
        }
    }

    #[test]
    fn keys_that_were_not_given_are_renewed() {
        let mut tickets = Tickets::new(None);
        let first = tickets.seal(b"a", 1000, LIFETIME).expect("there is randomness");
        let due = 1000 + SERVE_MIN;
        let keys = tickets.keys(due - 1, LIFETIME).expect("there is randomness");
        assert_ne!(tickets.keys(due, LIFETIME).expect("there is randomness"), keys);
        assert!(tickets.open(&first, due, LIFETIME).is_some(), "the keys before still open");
        assert!(tickets.open(&first, due + 301, LIFETIME).is_none(), "but not for ever");
    }

    #[test]
    fn a_fleet_opens_each_others_tickets() {
        let [mut one, mut two] = [Tickets::new(Some(&[1; 48])), Tickets::new(None)];
        let ticket = one.seal(b"a", 0, LIFETIME).expect("there is randomness");
        assert!(two.open(&ticket, 0, LIFETIME).is_none());
        two.set(&[1; 48], 0);
        assert!(two.open(&ticket, 0, LIFETIME).is_some());
    }

    #[test]
    fn no_prefix_of_a_ticket_opens() {
        let mut tickets = Tickets::new(Some(&[7; 48]));
        let ticket = tickets.seal(b"session", 0, LIFETIME).expect("there is randomness");
        for length in 0..ticket.len() {
            assert!(tickets.open(&ticket[..length], 0, LIFETIME).is_none(), "{length} bytes");
        }
    }
}
