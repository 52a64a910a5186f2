//! `guest-tls proxy`.

use crate::arguments::Proxy;
use crate::failure::Result;

/// Runs the command.
pub(crate) async fn run(_: Proxy) -> Result<()> {
    Ok(())
}
