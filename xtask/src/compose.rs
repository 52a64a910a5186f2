//! Putting components together.

use std::path::Path;

use anyhow::Result;

use crate::{project::Project, step::Step};

/// Wires what the component `socket` imports to what `plug` exports, as `wac plug` does, and writes the result to `output`.
pub(crate) fn plug(project: &Project, socket: &Path, plug: &Path, output: &Path) -> Result<()> {
    let mut cargo = project.cargo();
    // The profile of xtask, so that what both have in common is compiled once.
    cargo.args(["run", "--quiet", "--package", "compose", "--profile", "xtask", "--"]).args([socket, plug, output]);
    Step::new(format!("compose: {}", output.display()), cargo).run()?;
    Ok(())
}

/// Makes a component that is an empty configuration, a `wasi:config/store` without values, and writes it to `output`.
pub(crate) fn no_config(project: &Project, output: &Path) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "--package", "compose", "--profile", "xtask", "--", "config"]).arg(output);
    Step::new(format!("compose: {}", output.display()), cargo).run()?;
    Ok(())
}
