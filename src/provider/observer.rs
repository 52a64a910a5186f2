//! Lets the engine see the handshake messages and alerts that pass through record protection.
//!
//! rustls keeps them to itself, and the contract promises some of what is in them: the Finished messages (row K11), the peer's
//! signature schemes (row K15), tickets (row K8) and a trace (row K18). Record protection is ours, so they can be seen here.
//! A suite is a `static` that all connections share, hence a thread's variable: a connection is driven on one thread, by one call
//! after another.

use std::cell::RefCell;

use rustls::ContentType;
use rustls::crypto::cipher::OutboundChunks;

use crate::error::Direction;

/// What happened at record protection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// TLS 1.3: from now on the peer's records are protected by new keys.
    ReadKeys,
    /// The content of a protected record that is no application data.
    Content {
        /// Which way it went.
        direction: Direction,
        /// `handshake` or `alert`; `change_cipher_spec` does not pass here.
        content_type: ContentType,
        /// The content in the clear.
        content: Vec<u8>,
    },
}

/// Gives what a record is to say in place of its content, or `None` to leave it.
type Rewrite = Box<dyn FnMut(ContentType, &[u8]) -> Option<Vec<u8>>>;

/// Runs `call`, and gives what passed through record protection in it.
pub(crate) fn during<R>(call: impl FnOnce() -> R) -> (R, Vec<Seen>) {
    let before = SEEN.replace(Some(Vec::new()));
    let result = call();
    (result, SEEN.replace(before).unwrap_or_default())
}

/// Runs `call`, in which `rewrite` may change what protected records say: rustls sends no alert of the caller's choice, so that one
/// that it does send has to become that one.
pub(crate) fn rewriting<R>(
    rewrite: impl FnMut(ContentType, &[u8]) -> Option<Vec<u8>> + 'static,
    call: impl FnOnce() -> R,
) -> R {
    let before = REWRITE.replace(Some(Box::new(rewrite)));
    let result = call();
    REWRITE.set(before);
    result
}

/// Notes what a record that we protect says, unless it is application data, and gives what it says in place of its content.
// Not copied into the encrypters of all suites.
#[inline(never)]
pub(super) fn sent(content_type: ContentType, content: &OutboundChunks<'_>) -> Option<Vec<u8>> {
    if content_type == ContentType::ApplicationData {
        return None;
    }
    let content = content.to_vec();
    let rewritten =
        REWRITE.with_borrow_mut(|rewrite| rewrite.as_mut().and_then(|rewrite| rewrite(content_type, &content)));
    let said = rewritten.as_ref().unwrap_or(&content).clone();
    push(Seen::Content { direction: Direction::Sent, content_type, content: said });
    rewritten
}

/// Notes the content of a record of the peer, unless it is application data or nobody looks. rustls bounds how much comes in one
/// call: a handshake message has at most 64 KiB, and what it reads at once is no more.
#[inline(never)]
pub(super) fn received(content_type: ContentType, content: &[u8]) {
    if content_type != ContentType::ApplicationData {
        push(Seen::Content { direction: Direction::Received, content_type, content: content.to_vec() });
    }
}

/// Notes that there are new keys for the peer's records.
pub(super) fn read_keys() {
    push(Seen::ReadKeys);
}

fn push(what: Seen) {
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen {
            seen.push(what);
        }
    });
}

thread_local! {
    static SEEN: RefCell<Option<Vec<Seen>>> = const { RefCell::new(None) };
    static REWRITE: RefCell<Option<Rewrite>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(byte: u8) -> Option<Vec<u8>> {
        sent(ContentType::Handshake, &OutboundChunks::Single(&[byte]))
    }

    fn contents(seen: Vec<Seen>) -> Vec<u8> {
        let content = |seen| match seen {
            Seen::Content { content, .. } => content,
            Seen::ReadKeys => Vec::new(),
        };
        seen.into_iter().flat_map(content).collect()
    }

    #[test]
    fn what_is_noted_in_a_call_is_seen_by_its_caller_only() {
        handshake(1);
        let (inner, seen) = during(|| {
            handshake(2);
            sent(ContentType::ApplicationData, &OutboundChunks::Single(&[8]));
            received(ContentType::ApplicationData, &[9]);
            let (_, inner) = during(|| handshake(3));
            handshake(4);
            inner
        });
        assert_eq!((contents(inner), contents(seen)), (vec![3], vec![2, 4]));
    }

    #[test]
    fn what_is_rewritten_is_noted_as_it_goes_out() {
        let double = |_, content: &[u8]| (content == [2]).then(|| vec![2, 2]);
        let (said, seen) = during(|| rewriting(double, || [1, 2].map(handshake)));
        assert_eq!(said, [None, Some(vec![2, 2])]);
        assert_eq!(contents(seen), [1, 2, 2]);
        assert_eq!(handshake(2), None, "only in that call");
    }
}
