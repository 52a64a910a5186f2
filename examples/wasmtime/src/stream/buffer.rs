//! Bytes that are taken from their front.

/// Bytes that are taken from their front. An empty one holds no memory.
#[derive(Default)]
pub(super) struct Buffer {
    all: Vec<u8>,
    taken: usize,
}

impl Buffer {
    pub(super) fn new(bytes: Vec<u8>) -> Buffer {
        Buffer { all: bytes, taken: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.all[self.taken..]
    }

    pub(super) fn len(&self) -> usize {
        self.all.len() - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            *self = Buffer::default();
        }
    }

    pub(super) fn append(&mut self, bytes: Vec<u8>) {
        if self.is_empty() {
            *self = Buffer::new(bytes);
        } else {
            self.all.drain(..self.taken);
            self.taken = 0;
            self.all.extend_from_slice(&bytes);
        }
    }
}
