//! How long sessions live, whose they are, and the keys of their tickets (rows O18, O19).

use std::fmt;

use zeroize::Zeroizing;

use super::secret::Secret;
use crate::engine::{self, TICKET_KEYS_LEN};
use crate::error::{Error, ErrorCode};

/// What a context says about sessions.
pub(super) struct Sessions {
    /// In seconds.
    pub(super) timeout: u32,
    pub(super) ticket_keys: Option<Zeroizing<[u8; TICKET_KEYS_LEN]>>,
}

impl Sessions {
    /// The settings of these options, or all that is wrong with them.
    pub(super) fn new(
        timeout: Option<u32>,
        id_context: &[u8],
        ticket_keys: Option<&Secret>,
    ) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        if !(1..=MAX_TIMEOUT).contains(&timeout) {
            errors.push(Error::new(
                ErrorCode::ErrOutOfRange,
                format!("The session timeout is {timeout} s; expected 1 to {MAX_TIMEOUT} s, which is seven days and the most that RFC 8446 section 4.6.1 allows."),
            ));
        }
        if id_context.len() > MAX_ID_CONTEXT {
            errors.push(Error::new(
                ErrorCode::ErrSslSslSessionIdContextTooLong,
                format!("The session id context has {} bytes; expected at most {MAX_ID_CONTEXT}.", id_context.len()),
            ));
        }
        let keys = match ticket_keys.map(|given| engine::ticket_keys(given)).transpose() {
            Ok(keys) => keys,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        match errors.is_empty() {
            true => Ok(Self { timeout, ticket_keys: keys }),
            false => Err(errors),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Node's default, in seconds.
const DEFAULT_TIMEOUT: u32 = 300;
/// Seven days in seconds.
const MAX_TIMEOUT: u32 = 7 * 24 * 60 * 60;
/// `SSL_MAX_SSL_SESSION_ID_LENGTH`
const MAX_ID_CONTEXT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// What it is about, timeout, length of the context, length of the keys, and the timeout or what is wrong.
    type SettingsRow = (&'static str, Option<u32>, usize, Option<usize>, Result<u32, &'static [ErrorCode]>);

    #[test]
    fn settings_are_within_their_bounds_or_told() {
        use ErrorCode::*;
        #[rustfmt::skip]
        let rows: [SettingsRow; 10] = [
            ("the defaults", None, 0, None, Ok(300)),
            ("the shortest life", Some(1), 0, None, Ok(1)),
            ("the longest life", Some(604_800), 0, None, Ok(604_800)),
            ("no life", Some(0), 0, None, Err(&[ErrOutOfRange])),
            ("a life of more than seven days", Some(604_801), 0, None, Err(&[ErrOutOfRange])),
            ("the longest context", None, 32, None, Ok(300)),
            ("a context that is too long", None, 33, None, Err(&[ErrSslSslSessionIdContextTooLong])),
            ("keys of tickets", None, 0, Some(48), Ok(300)),
            ("too few bytes of keys", None, 0, Some(47), Err(&[ErrInvalidArgValue])),
            ("all of it wrong", Some(0), 33, Some(49), Err(&[ErrOutOfRange, ErrSslSslSessionIdContextTooLong, ErrInvalidArgValue])),
        ];
        for (what, timeout, context, keys, expected) in rows {
            let keys = keys.map(|length| Secret::from(vec![7; length]));
            match (Sessions::new(timeout, &vec![1; context], keys.as_ref()), expected) {
                (Ok(found), Ok(seconds)) => {
                    assert_eq!(found.timeout, seconds, "{what}");
                    assert_eq!(found.ticket_keys.map(|keys| *keys), keys.map(|_| [7; 48]), "{what}");
                }
                (Err(errors), Err(codes)) => {
                    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), codes, "{what}");
                }
                (found, _) => panic!("{what}: {found:?}"),
            }
        }
    }
}
