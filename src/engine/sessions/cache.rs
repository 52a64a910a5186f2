//! Sessions in the guest, by id: for clients of TLS 1.2 that know no tickets, and for servers that give none.

use std::collections::{HashMap, VecDeque};

use zeroize::Zeroizing;

/// A bounded map; the oldest goes first.
#[derive(Debug, Default)]
pub(super) struct Cache {
    sessions: HashMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    order: VecDeque<Vec<u8>>,
}

impl Cache {
    /// Keeps a session. `false` where it is too large to be kept.
    pub(super) fn put(&mut self, id: &[u8], session: Zeroizing<Vec<u8>>) -> bool {
        if session.len() > SESSION_MAX {
            return false;
        }
        if self.sessions.insert(id.to_vec(), session).is_none() {
            self.order.push_back(id.to_vec());
        }
        // Ids that were taken out stay in the order until their turn comes.
        while self.order.len() > SESSIONS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.sessions.remove(&oldest);
            }
        }
        true
    }

    /// A session, which stays.
    pub(super) fn get(&self, id: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.sessions.get(id).cloned()
    }

    /// A session, which goes.
    pub(super) fn take(&mut self, id: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.sessions.remove(id)
    }
}

/// Sessions of one server or context. One without a client certificate has some 200 bytes, one with a chain a few KiB.
const SESSIONS_MAX: usize = 1024;
/// The largest session, with a client's certificate chain in it.
pub(super) const SESSION_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut cache = Cache::default();
        let session = |byte: u8| Zeroizing::new(vec![byte]);
        for number in 0..=SESSIONS_MAX {
            assert!(cache.put(&number.to_be_bytes(), session(1)));
        }
        assert_eq!(cache.get(&0usize.to_be_bytes()), None);
        assert_eq!(cache.take(&1usize.to_be_bytes()), Some(session(1)));
        assert_eq!(cache.get(&1usize.to_be_bytes()), None);
        assert!(!cache.put(b"large", Zeroizing::new(vec![0; SESSION_MAX + 1])));
        assert!(cache.sessions.len() <= SESSIONS_MAX && cache.order.len() <= SESSIONS_MAX);
    }
}
