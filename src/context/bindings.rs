//! What sessions are bound to (row O18): a session may not be a way around what a context asks of its peers.

use sha2::{Digest, Sha256};

use super::ContextOptions;
use crate::verify::VerifyOptions;

/// Digests of what a context trusts and of who it is.
#[derive(Debug)]
pub(super) struct Bindings {
    server: [u8; 32],
    client: [u8; 32],
}

impl Bindings {
    pub(super) fn new(options: &ContextOptions) -> Self {
        let mut trust = Sha256::new();
        add_all(&mut trust, &options.cas);
        add_all(&mut trust, &options.crls);
        add(&mut trust, options.sigalgs.as_deref().unwrap_or_default().as_bytes());
        trust.update([u8::from(options.allow_partial_trust_chain), u8::from(options.compat)]);
        add_all(&mut trust, options.pfxs.iter().map(|pfx| &pfx.file[..]));
        // Who we say that we are does not belong to a server's sessions: the members of a fleet may have certificates of their own.
        let mut server = trust.clone();
        add(&mut server, &options.session_id_context);
        let mut client = trust;
        add_all(&mut client, &options.certs);
        Self { server: server.finalize().into(), client: client.finalize().into() }
    }

    /// The session context id, and what clients are verified against.
    pub(super) fn server(&self) -> [u8; 32] {
        self.server
    }

    /// What servers are verified against and by which rules, and who we say that we are.
    pub(super) fn client(&self, options: VerifyOptions) -> [u8; 32] {
        let VerifyOptions { reject_unauthorized, danger_skip_server_identity } = options;
        let mut digest = Sha256::new_with_prefix(self.client);
        digest.update([u8::from(reject_unauthorized), u8::from(danger_skip_server_identity)]);
        digest.finalize().into()
    }
}

fn add_all(digest: &mut Sha256, files: impl IntoIterator<Item = impl AsRef<[u8]>>) {
    let mut count = 0_u64;
    for file in files {
        add(digest, file.as_ref());
        count += 1;
    }
    digest.update(count.to_be_bytes());
}

fn add(digest: &mut Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}
