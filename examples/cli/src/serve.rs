//! `guest-tls serve`.

use crate::arguments::Serve;
use crate::failure::Result;

/// Runs the command.
pub(crate) async fn run(_: Serve) -> Result<()> {
    Ok(())
}
