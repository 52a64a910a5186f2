//! A client and a server with a wire between them that can be cut, delayed and changed.

use std::sync::Arc;

use proptest::test_runner::Config as ProptestConfig;

use super::fixtures::{client, client_context, server, server_context};
use crate::context::{Context, ContextOptions};
use crate::engine::{Cleartext, Connection, ConnectionOptions, Event};
use crate::error::Error;

/// Two ends and what is under way between them.
pub(super) struct Pair {
    pub(super) client: Connection,
    pub(super) server: Connection,
    /// Bytes at most that one step carries in each direction.
    pub(super) step: usize,
    /// What was carried so far, for either direction.
    pub(super) to_server: Wire,
    pub(super) to_client: Wire,
}

/// One direction.
#[derive(Default)]
pub(super) struct Wire {
    /// Sent and not yet taken.
    pub(super) under_way: Vec<u8>,
    /// How many bytes came out of the sender so far.
    pub(super) sent: usize,
    /// Changes the byte at this place by this mask.
    pub(super) flip: Option<(usize, u8)>,
    /// Loses all from this place on.
    pub(super) cut: Option<usize>,
}

impl Pair {
    /// The ends with the contexts and options of the fixtures.
    pub(super) fn plain() -> Self {
        Self::new(client_context(), client(), server_context(), server())
    }

    /// The ends with the fixtures' credentials, each changed.
    pub(super) fn with(
        client_options: impl FnOnce(&mut ContextOptions, &mut ConnectionOptions),
        server_options: impl FnOnce(&mut ContextOptions, &mut ConnectionOptions),
    ) -> Self {
        let (mut context, mut options) = (super::fixtures::without_identity(), client());
        client_options(&mut context, &mut options);
        let (mut server_context, mut server_connection) =
            (super::fixtures::with_identity(super::fixtures::SERVER), server());
        server_options(&mut server_context, &mut server_connection);
        Self::new(
            super::fixtures::context(&context),
            options,
            super::fixtures::context(&server_context),
            server_connection,
        )
    }

    /// The ends with these contexts and options.
    pub(super) fn new(
        client_context: Arc<Context>,
        client: ConnectionOptions,
        server_context: Arc<Context>,
        server: ConnectionOptions,
    ) -> Self {
        Self {
            client: Connection::new(client_context, client).expect("the client's options are right"),
            server: Connection::new(server_context, server).expect("the server's options are right"),
            step: usize::MAX,
            to_server: Wire::default(),
            to_client: Wire::default(),
        }
    }

    /// Carries what there is, once each way. Says whether anything moved.
    pub(super) fn step(&mut self) -> bool {
        let forth = self.to_server.carry(&mut self.client, &mut self.server, self.step);
        let back = self.to_client.carry(&mut self.server, &mut self.client, self.step);
        forth | back
    }

    /// Steps until nothing moves.
    pub(super) fn drive(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < STEPS_MAX, "the two ends never come to rest");
        }
    }

    /// Drives, and asserts that both ends have finished the handshake.
    pub(super) fn handshake(&mut self) {
        self.drive();
        assert_eq!(self.client.error(), None);
        assert_eq!(self.server.error(), None);
        assert_eq!(events(&mut self.client), [Event::Secure]);
        assert_eq!(events(&mut self.server), [Event::Secure]);
    }

    /// What ended either side.
    pub(super) fn errors(&self) -> (Option<Error>, Option<Error>) {
        (self.client.error().cloned(), self.server.error().cloned())
    }
}

impl Wire {
    fn carry(&mut self, from: &mut Connection, to: &mut Connection, step: usize) -> bool {
        let room = WIRE_MAX.saturating_sub(self.under_way.len());
        let mut bytes = from.read_encrypted(step.min(room));
        let moved = !bytes.is_empty();
        if let Some((place, mask)) = self.flip
            && let Some(byte) = place.checked_sub(self.sent).and_then(|at| bytes.get_mut(at))
        {
            *byte ^= mask;
        }
        if let Some(place) = self.cut {
            bytes.truncate(place.saturating_sub(self.sent));
        }
        self.sent += bytes.len();
        self.under_way.extend(bytes);
        let length = self.under_way.len().min(step);
        let taken = to.write_encrypted(&self.under_way[..length]).unwrap_or(length);
        self.under_way.drain(..taken);
        moved | (taken > 0)
    }
}

/// All events that wait.
pub(super) fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.next_event()).collect()
}

/// All cleartext that waits, and what comes after it.
pub(super) fn read_all(connection: &mut Connection) -> (Vec<u8>, Result<Cleartext, Error>) {
    let mut data = Vec::new();
    loop {
        match connection.read_cleartext(1000) {
            Ok(Cleartext::Data(more)) => data.extend(more),
            other => return (data, other),
        }
    }
}

/// A configuration of proptest that needs no files, so that the tests also run in wasm.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What a wire holds, in bytes, as a socket's buffers do.
const WIRE_MAX: usize = 64 * 1024;
const STEPS_MAX: usize = 1_000_000;
