//! Guests that are not the product: components that are built to be measured, each in a workspace of its own.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::{
    project::Project,
    step::Step,
    wasm_std::{self, WasmStd},
};

/// Builds the component of `package`, a cdylib in the workspace at `workspace`, and gives its path.
///
/// The profiles are those of `.cargo/config.toml`, which holds in workspaces below the root too. What is compiled lies beside the
/// product's, so that dependencies that are the same are compiled once.
pub(crate) fn build(
    project: &Project,
    wasm_std: &WasmStd,
    workspace: &Path,
    package: &str,
    profile: &str,
) -> Result<PathBuf> {
    let mut cargo = wasm_std.cargo(project);
    cargo.current_dir(workspace);
    // Only the cdylib: for a library that is also an rlib cargo leaves out the link-time optimisation.
    cargo.args(["rustc", "--package", package, "--lib", "--crate-type", "cdylib"]);
    cargo.args(["--target", wasm_std::TARGET, "--profile", profile]);
    // ring is C: clang compiles it, with the same vectors as all of Rust.
    let variables = [("CC", "clang"), ("AR", "llvm-ar"), ("CFLAGS", "-msimd128")];
    cargo.envs(variables.map(|(name, value)| (format!("{name}_{}", wasm_std::TARGET.replace('-', "_")), value)));
    Step::new(format!("build: {package} for {}, profile {profile}", wasm_std::TARGET), cargo).run()?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let name = format!("{}.wasm", package.replace('-', "_"));
    let component = wasm_std.target_folder(project).join(wasm_std::TARGET).join(folder).join(name);
    ensure!(component.is_file(), "cargo built {package}, but there is no {}", component.display());
    Ok(component)
}
