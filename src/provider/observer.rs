//! Lets the engine see the handshake messages and alerts that pass through record protection.
//!
//! rustls keeps them to itself, and the contract promises some of what is in them: the Finished messages (row K11), the peer's
//! signature schemes (row K15), tickets (row K8) and a trace (row K18). Record protection is ours, so they can be seen here.
//! A suite is a `static` that all connections share, hence a thread's variable: a connection is driven on one thread, by one call
//! after another.

use std::cell::RefCell;

use rustls::ContentType;

use crate::error::Direction;

/// The content of a protected record that is no application data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which way it went.
    pub(crate) direction: Direction,
    /// `handshake` or `alert`; `change_cipher_spec` does not pass here.
    pub(crate) content_type: ContentType,
    /// The content in the clear.
    pub(crate) content: Vec<u8>,
}

/// Runs `call`, and gives what passed through record protection in it.
pub(crate) fn during<R>(call: impl FnOnce() -> R) -> (R, Vec<Seen>) {
    let before = SEEN.replace(Some(Vec::new()));
    let result = call();
    (result, SEEN.replace(before).unwrap_or_default())
}

/// Notes the content of a record, unless it is application data or nobody looks. rustls bounds how much comes in one call: a
/// handshake message has at most 64 KiB, and what it reads at once is no more.
pub(super) fn note(direction: Direction, content_type: ContentType, content: impl FnOnce() -> Vec<u8>) {
    if content_type == ContentType::ApplicationData {
        return;
    }
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen {
            seen.push(Seen { direction, content_type, content: content() });
        }
    });
}

thread_local! {
    static SEEN: RefCell<Option<Vec<Seen>>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_in_a_call_is_seen_by_its_caller_only() {
        let handshake = |byte: u8| note(Direction::Sent, ContentType::Handshake, || vec![byte]);
        handshake(1);
        let (inner, seen) = during(|| {
            handshake(2);
            note(Direction::Received, ContentType::ApplicationData, || unreachable!("not looked at"));
            let ((), inner) = during(|| handshake(3));
            handshake(4);
            inner
        });
        let contents = |seen: Vec<Seen>| seen.into_iter().flat_map(|seen| seen.content).collect::<Vec<_>>();
        assert_eq!((contents(inner), contents(seen)), (vec![3], vec![2, 4]));
    }
}
