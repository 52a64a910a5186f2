//! The write that is under way.
//!
//! `poll_write` of tokio-rustls encrypts in place, offers the records to the transport and is Ready. Here the guest encrypts, in another
//! thread. So a write has two steps: the first poll hands the bytes over and is Pending, and a later one finds them offered to the
//! transport and is Ready. What was encrypted can't be taken back, since the next record counts on it: whoever gives a write up
//! between the two steps, and then writes the same bytes, is told that they are written. A flush after that is the end of it: what is
//! written then is new, whatever it begins with.

use std::io::IoSlice;

use super::buffer::Buffer;

/// What became of the bytes of the last write.
#[derive(Default)]
pub(super) enum Write {
    /// There is none under way.
    #[default]
    Idle,
    /// They wait for the guest. Nothing was done yet, so they can be replaced.
    Queued(Vec<u8>),
    /// The guest has them in hand.
    InGuest,
    /// The guest took these, and the transport was offered what became of them. The writer was not told yet.
    Offered(Buffer),
}

impl Write {
    /// Whether the guest has or had these bytes.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self, Write::InGuest | Write::Offered(_))
    }

    /// Queues at most `room` bytes of these slices, in place of what was queued before. Says whether that is something new.
    pub(super) fn queue(&mut self, slices: &[IoSlice<'_>], room: usize) -> bool {
        if let Write::Queued(queued) = self
            && front(queued, slices) == queued.len()
        {
            return false;
        }
        let mut bytes = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum::<usize>().min(room));
        for slice in slices {
            bytes.extend_from_slice(&slice[..slice.len().min(room - bytes.len())]);
        }
        *self = Write::Queued(bytes);
        true
    }

    /// Forgets what is queued: its write was given up.
    pub(super) fn withdraw(&mut self) {
        if let Write::Queued(_) = self {
            *self = Write::Idle;
        }
    }

    /// Forgets what was offered: the transport has all of it, and its write was given up.
    pub(super) fn settle(&mut self) {
        if let Write::Offered(_) = self {
            *self = Write::Idle;
        }
    }

    /// Takes what is queued, for the guest.
    pub(super) fn hand_over(&mut self) -> Vec<u8> {
        match std::mem::take(self) {
            Write::Queued(bytes) => {
                *self = Write::InGuest;
                bytes
            }
            other => {
                *self = other;
                Vec::new()
            }
        }
    }

    /// The guest has taken so many of these.
    pub(super) fn done(&mut self, mut bytes: Vec<u8>, taken: usize) {
        *self = match taken {
            0 => Write::Queued(bytes),
            _ => {
                bytes.truncate(taken);
                Write::Offered(Buffer::new(bytes))
            }
        };
    }

    /// How many bytes at the front of these slices are written; none if that is to be seen. Bytes that are not those of the write before
    /// are a write of their own.
    pub(super) fn written(&mut self, slices: &[IoSlice<'_>]) -> Option<usize> {
        let Write::Offered(offered) = self else {
            return None;
        };
        let count = front(offered.bytes(), slices);
        offered.take(count);
        if count == 0 || offered.is_empty() {
            *self = Write::Idle;
        }
        (count > 0).then_some(count)
    }
}

/// How many bytes the two have at their fronts, as far as the shorter one goes; none where they differ.
fn front(bytes: &[u8], slices: &[IoSlice<'_>]) -> usize {
    let mut count = 0;
    for slice in slices {
        let len = slice.len().min(bytes.len() - count);
        if slice[..len] != bytes[count..count + len] {
            return 0;
        }
        count += len;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_is_begun_again_counts_once() {
        for (taken, given, written, then) in [
            ("abc", &["abc"][..], Some(3), "idle"),
            ("abc", &["abcdef"], Some(3), "idle"),
            ("abc", &["ab"], Some(2), "offered"),
            ("abc", &["", "a", "bc", "d"], Some(3), "idle"),
            ("abc", &["abx"], None, "idle"),
            ("abc", &["xyz"], None, "idle"),
            ("abc", &["ab", "x"], None, "idle"),
        ] {
            let mut write = Write::default();
            write.done(taken.into(), taken.len());
            let slices = given.iter().map(|slice| IoSlice::new(slice.as_bytes())).collect::<Vec<_>>();
            assert_eq!(write.written(&slices), written, "{given:?} after {taken:?}");
            let now = if matches!(write, Write::Idle) { "idle" } else { "offered" };
            assert_eq!(now, then, "{given:?} after {taken:?}");
        }
    }

    #[test]
    fn after_a_flush_the_same_bytes_are_a_new_write() {
        let slices = [IoSlice::new(b"abc")];
        for (flushes, expected) in [(false, Some(3)), (true, None)] {
            let mut write = Write::default();
            write.done(b"abc".to_vec(), 3);
            if flushes {
                write.settle();
            }
            assert_eq!(write.written(&slices), expected, "flushed: {flushes}");
        }
    }

    #[test]
    fn what_the_guest_does_not_have_yet_can_be_replaced_and_withdrawn() {
        let mut write = Write::default();
        assert!(write.queue(&[IoSlice::new(b"abc")], 100));
        assert!(!write.queue(&[IoSlice::new(b"abcd")], 100), "the same again is nothing new");
        assert!(write.queue(&[IoSlice::new(b"xy"), IoSlice::new(b"zzz")], 3));
        assert_eq!(write.hand_over(), b"xyz");
        assert!(write.is_begun() && write.hand_over().is_empty());
        write.withdraw();
        assert!(write.is_begun(), "what the guest has can't be withdrawn");
        write.settle();
        assert!(write.is_begun(), "what the guest has in hand was not offered");
        write.done(b"xyz".to_vec(), 0);
        write.settle();
        assert!(matches!(write, Write::Queued(_)), "nothing was taken");
        write.withdraw();
        assert!(matches!(write, Write::Idle));
    }
}
