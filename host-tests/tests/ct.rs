//! The measurement of constant time finds what leaks, and measures what it says. What it finds of the product is for `cargo xtask ct`: a
//! machine that does ten other things has no say in that.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use host_tests::ct::{Effort, Finding, Guest, guest_path};
use host_tests::{rows, table};

fn main() {
    table::main(rows![
        "constant time":
        the_twins_that_leak_are_found,
        every_operation_goes_as_it_must,
        an_unknown_operation_is_an_error,
    ]);
}

async fn the_twins_that_leak_are_found() -> Result<()> {
    let mut found = 0;
    for finding in findings(true, 20_000)? {
        ensure!(finding.is_leak() && finding.is_expected(), "not found: {finding:?}");
        found += 1;
    }
    ensure!(found == 2, "there are {found} twins that leak");
    Ok(())
}

async fn every_operation_goes_as_it_must() -> Result<()> {
    let found = findings(false, FEW)?;
    ensure!(found.iter().all(|finding| finding.measurements == FEW && !finding.median.is_zero()), "{found:?}");
    Ok(())
}

async fn an_unknown_operation_is_an_error() -> Result<()> {
    match Guest::new(&guest_path())?.operations(&["x25518".to_string()]) {
        Err(error) if error.to_string().contains("x25519, ") => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// So many measurements of each operation that leaks, or of each that must not.
fn findings(leaks: bool, measurements: usize) -> Result<Vec<Finding>> {
    let mut guest = Guest::new(&guest_path())?;
    let operations = guest.operations(&[])?.into_iter().filter(|operation| operation.leaks == leaks);
    let effort = Effort { measurements, time: Duration::MAX };
    operations.map(|operation| guest.measure(&operation, effort)).collect()
}

/// Of an operation of which only the way through counts.
const FEW: usize = 5;
