//! What the connections of a server have in common (row M3).

use std::sync::Arc;

use super::contexts::require_certificate;
use super::{Connection, ConnectionOptions, Contexts};
use crate::context::Context;
use crate::error::Error;

/// Contexts by name, and the options of every connection.
#[derive(Debug)]
pub struct Server {
    contexts: Contexts,
    options: ConnectionOptions,
}

impl Server {
    /// A server, or all that is wrong with the options.
    pub fn new(context: Arc<Context>, options: ConnectionOptions) -> Result<Self, Vec<Error>> {
        let options = ConnectionOptions { is_server: true, ..options };
        let mut errors = options.check();
        if !options.sni_event {
            errors.extend(require_certificate(&context).err());
        }
        match errors.is_empty() {
            true => Ok(Self { contexts: Contexts::new(context), options }),
            false => Err(errors),
        }
    }

    /// The contexts, to be changed while running: connections that are open keep theirs (row S7).
    pub fn contexts_mut(&mut self) -> &mut Contexts {
        &mut self.contexts
    }

    /// A connection at its beginning.
    pub fn accept(&self) -> Connection {
        Connection::accept(self.contexts.clone(), self.options.clone())
    }
}
