//! Putting components together.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    build, component,
    guest::{self, Built},
    project::{Project, write_if_changed},
    step::Step,
    wasm_std::WasmStd,
};

/// Writes what cargo built, without its names, to `NAME.socket.wasm` beside the product: with an import that is still open, so that `wac plug`
/// can be tried on it.
pub(crate) fn socket(project: &Project, built: &Built, name: &str) -> Result<PathBuf> {
    let wasm = fs::read(&built.path).with_context(|| format!("can't read {}", built.path.display()))?;
    let socket = project.component().with_file_name(format!("{name}.socket.wasm"));
    write_if_changed(&socket, &component::strip(&wasm, |_| false)?)?;
    Ok(socket)
}

/// Builds the command of an example, with guest-tls in it, and gives its path, `NAME.wasm`. The component has to be there.
pub(crate) fn command(
    project: &Project,
    wasm_std: &WasmStd,
    workspace: &str,
    package: &str,
    name: &str,
) -> Result<PathBuf> {
    let built = guest::build_command(project, wasm_std, &project.root.join(workspace), package, build::PROFILE)?;
    let output = project.component().with_file_name(format!("{name}.wasm"));
    plug(project, &socket(project, &built, name)?, &project.component(), &output)?;
    Ok(output)
}

/// Compiles the program that [`plug`] and [`no_config`] run.
pub(crate) fn build(project: &Project) -> Result<()> {
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "compose", "--profile", "xtask"]);
    Step::new("build: what puts components together", cargo).run()?;
    Ok(())
}

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
