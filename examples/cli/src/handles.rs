//! Whether the host has handles enough for as many connections as there may be.
//!
//! Sockets, streams, and what is waited for are handles of the host's. wasmtime traps a program that takes more of them than it may have
//! (`-S max-component-handles`), and a trap cuts all connections: whoever opened enough of them could end the program. A program can
//! neither ask for that number nor catch the trap. So the connections have to fit into the number that it was told (`--host-handles`),
//! and as many handles as they need are taken, and given back, before the first one comes: where the host allows fewer than it
//! was said to, the program ends then.

use wasip2::sockets::instance_network::instance_network;

use crate::arguments::{HOST_HANDLES, Server};
use crate::failure::{Failure, Result};

/// Refuses more connections than there are handles for.
///
/// # Errors
///
/// A wrong command line: `--max-connections` needs more handles than `--host-handles` says that there are.
pub(crate) fn check(server: &Server) -> Result<()> {
    let admin = if server.admin.is_some() { ADMIN } else { 0 };
    let own = OWN + PER_NAME * (server.sni.len() as u64 + 1);
    // No number from a command line makes this wrap: a usize has 32 bits here.
    let taken = PER_CONNECTION * server.max_connections as u64 + admin;
    let (needed, allowed) = (taken + own, server.host_handles);
    if needed > allowed {
        let most = allowed.saturating_sub(own + admin) / PER_CONNECTION;
        return Err(Failure::usage(format!(
            "--max-connections {} needs {needed} handles of the host, and it allows {allowed}: expected at most {most} connections, or \
             wasmtime run -S max-component-handles={needed} and --host-handles {needed}",
            server.max_connections
        )));
    }
    if allowed != HOST_HANDLES {
        tell!(
            "guest-tls: trying whether the host allows {needed} handles; if not, it ends the program here (wasmtime run -S \
             max-component-handles={needed})"
        );
    }
    // Those that are this program's own are there already, or are part of what a reload needs.
    let tried: Vec<_> = (0..taken).map(|_| instance_network()).collect();
    drop(tried);
    Ok(())
}

/// A connection to each side with its socket, two streams, and what is waited for on each of them; and TLS. While the connection to the back
/// end comes about, it has fewer.
const PER_CONNECTION: u64 = 5 + 5 + 1;

/// All connections to `--admin`, and their port.
const ADMIN: u64 = (crate::admin::CONNECTIONS as u64 + 1) * 5 + 2;

/// The contexts of a certificate: those that are in use, and those that are to follow when files are read again.
const PER_NAME: u64 = 4;

/// The port, folders and files, standard streams, timers, connections that are closed at once, and what is there for the length of a call.
const OWN: u64 = 200;
