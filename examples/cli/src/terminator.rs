//! The server side of TLS: contexts that follow their files, and handshakes.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::Path;
use std::rc::Rc;

use crate::arguments::{self, ClientCertificate, Switch};
use crate::bindings::guest::tls::secure_pair::SecurePairOptions;
use crate::bindings::guest::tls::server::Server;
use crate::counters::Counters;
use crate::failure::{Failure, Result, joined};
use crate::files::{self, ServerContexts};
use crate::net::Duplex;
use crate::tls::Tls;

/// Makes TLS of connections, by certificates that can change.
pub(crate) struct Terminator {
    tls: Rc<arguments::Tls>,
    server: Rc<arguments::Server>,
    counters: Rc<Counters>,
    tls_server: Server,
    /// What the files were when they were looked at last.
    seen: Cell<u64>,
    ticket_keys: RefCell<Vec<Vec<u8>>>,
}

impl Terminator {
    /// Reads the files. `alpn` is offered where the command line says nothing else.
    pub(crate) fn new(
        tls: Rc<arguments::Tls>,
        server: Rc<arguments::Server>,
        counters: Rc<Counters>,
        alpn: &[&str],
    ) -> Result<Terminator> {
        let seen = fingerprint(&tls, &server);
        let contexts = files::server_contexts(&tls, &server)?;
        let options = SecurePairOptions::new();
        let chosen = tls.alpn.iter().map(String::as_str);
        let alpn: Vec<_> = if tls.alpn.is_empty() { alpn.to_vec() } else { chosen.collect() };
        if !alpn.is_empty() {
            options.set_alpn_protocols(&alpn.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>());
        }
        options.set_request_cert(!server.client_ca.is_empty());
        // A certificate that does not verify is refused in both cases; where it is optional, so is having one.
        options.set_reject_unauthorized(server.client_cert == ClientCertificate::Require);
        options.set_tickets(server.tickets == Switch::On);
        options.set_handshake_timeout(server.handshake_timeout.as_millis().try_into().unwrap_or(u32::MAX));
        let tls_server = Server::create(&contexts.own, options).map_err(|errors| Failure::file(joined(&errors)))?;
        let terminator =
            Terminator { tls, server, counters, tls_server, seen: Cell::new(seen), ticket_keys: RefCell::default() };
        terminator.follow(contexts)?;
        terminator.counters.loaded();
        Ok(terminator)
    }

    /// Reads the files again where one of them has changed, or in any case. Connections that are open keep what they have; where a file is
    /// wrong, all keep what they have. Says whether something was read.
    pub(crate) fn reload(&self, in_any_case: bool) -> Result<bool> {
        let seen = fingerprint(&self.tls, &self.server);
        if self.seen.replace(seen) == seen && !in_any_case {
            return Ok(false);
        }
        let followed = files::server_contexts(&self.tls, &self.server).and_then(|contexts| self.follow(contexts));
        self.counters.reload(followed.is_ok());
        followed.map(|()| true)
    }

    /// Goes through the handshake of a connection, of which these bytes have come already.
    pub(crate) async fn handshake(&self, duplex: Duplex, incoming: Vec<u8>) -> Result<Tls> {
        let pair = self.tls_server.accept_pair().map_err(|error| Failure::tls(&error))?;
        let mut tls = Tls::new(duplex, pair, incoming);
        let done = tls.handshake(|_, _| {}).await;
        if let Some(error) = tls.pair().error() {
            self.counters.failure(&error);
        }
        done?;
        if let (ClientCertificate::Optional, Some(error)) = (self.server.client_cert, tls.pair().authorization_error())
        {
            let shown = !tls.pair().peer_certificates().is_empty();
            if shown {
                self.counters.failure(&error);
                tls.pair().abort("the client's certificate is not accepted");
                return Err(tls.failed(&error).await);
            }
        }
        self.counters.handshake(tls.pair());
        Ok(tls)
    }

    fn follow(&self, contexts: ServerContexts) -> Result<()> {
        let wrong = |error: crate::bindings::guest::tls::types::Error| Failure::file(error.message);
        self.tls_server.set_secure_context(&contexts.own).map_err(wrong)?;
        for (name, context) in &contexts.by_name {
            let added = self.tls_server.add_context(name, context);
            added.map_err(|error| wrong(error).context(format_args!("--sni {name}")))?;
        }
        let mut known = self.ticket_keys.borrow_mut();
        if *known != contexts.ticket_keys {
            // The one that is set last seals; those before it are taken for the life of a session.
            for keys in contexts.ticket_keys.iter().rev() {
                self.tls_server.set_ticket_keys(keys).map_err(wrong)?;
            }
            *known = contexts.ticket_keys;
        }
        Ok(())
    }
}

/// Changes when one of the files does. By what is in them: times are coarse, and links that are swapped keep theirs.
fn fingerprint(tls: &arguments::Tls, server: &arguments::Server) -> u64 {
    let lists = [&tls.cert, &tls.key, &tls.ca, &tls.crl, &server.client_ca];
    let single = [&tls.pfx, &tls.passphrase_file, &server.ticket_keys];
    let paths = lists.into_iter().flatten().chain(single.into_iter().flatten());
    let paths = paths.chain(server.sni.iter().flat_map(|sni| [&sni.cert, &sni.key]));
    let mut hasher = DefaultHasher::new();
    paths.for_each(|path: &std::path::PathBuf| content(path).hash(&mut hasher));
    hasher.finish()
}

/// What is in a file; of one that can't be read, nothing: who reads it next says why.
fn content(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}
