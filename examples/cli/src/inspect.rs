//! What needs no connection: `ciphers`, `cert`, `version`.

use crate::arguments::{Cert, Ciphers};
use crate::failure::Result;

/// Lists cipher suites.
pub(crate) fn ciphers(_: &Ciphers) -> Result<()> {
    Ok(())
}

/// Shows certificates.
pub(crate) fn cert(_: &Cert) -> Result<()> {
    Ok(())
}

/// Says what this is.
pub(crate) fn version() -> Result<()> {
    println!("guest-tls {}", env!("CARGO_PKG_VERSION"));
    Ok(())
}
