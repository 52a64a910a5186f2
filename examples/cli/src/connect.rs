//! `guest-tls connect`.

use crate::arguments::Connect;
use crate::failure::Result;

/// Runs the command.
pub(crate) async fn run(_: Connect) -> Result<()> {
    Ok(())
}
