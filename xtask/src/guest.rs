//! Building components: the product, and guests that are built to be measured or as examples, which have workspaces of their own.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::{
    project::Project,
    step::Step,
    wasm_std::{self, WasmStd},
};

/// A component that cargo built.
pub(crate) struct Built {
    /// Where it is. It has its names, whatever the profile says.
    pub(crate) path: PathBuf,
    /// What cargo had to say.
    pub(crate) lines: Vec<String>,
}

/// Builds the component of `package`, a cdylib in the workspace at `workspace`.
///
/// The profiles are those of `.cargo/config.toml`, which holds in workspaces below the root too. What is compiled lies in one folder,
/// so that dependencies that are the same are compiled once.
pub(crate) fn build(
    project: &Project,
    wasm_std: &WasmStd,
    workspace: &Path,
    package: &str,
    profile: &str,
) -> Result<Built> {
    // Said here and not in the manifest: for a library that is also an rlib cargo leaves out the link-time optimisation, and whoever depends
    // on one that is a cdylib writes another file of the same name.
    let library = ["--lib", "--crate-type", "cdylib"];
    // The library itself exports nothing: that is for those who link it.
    let features: &[&str] = if package == PRODUCT { &["--features", "component"] } else { &[] };
    let what = [&library, features].concat();
    let folder = wasm_std.target_folder(project);
    compile(project, wasm_std, workspace, package, profile, &what, &folder, &package.replace('-', "_"))
}

/// As [`build`], but of a command: `package` is a program of its name.
///
/// Commands have a folder of their own: cargo works in a folder one at a time, and the last step of the component has one thread.
pub(crate) fn build_command(
    project: &Project,
    wasm_std: &WasmStd,
    workspace: &Path,
    package: &str,
    profile: &str,
) -> Result<Built> {
    let folder = wasm_std.target_folder(project).join("commands");
    compile(project, wasm_std, workspace, package, profile, &["--bin", package], &folder, package)
}

/// Builds a program of `package` as a stranger does, for `release` and without a flag: neither ours nor the user's, nor a profile of ours.
pub(crate) fn build_plain(project: &Project, wasm_std: &WasmStd, workspace: &Path, package: &str) -> Result<PathBuf> {
    let mut cargo = wasm_std.cargo_without_flags(project);
    cargo.current_dir(workspace);
    cargo.args(["build", "--release", "--locked", "--package", package, "--target", wasm_std::TARGET]);
    Step::new(format!("build: {package} for {}, without flags", wasm_std::TARGET), cargo).run()?;
    Ok(wasm_std.plain_target_folder(project).join(wasm_std::TARGET).join("release").join(format!("{package}.wasm")))
}

#[allow(clippy::too_many_arguments, reason = "what `cargo rustc` is told, for two callers")]
fn compile(
    project: &Project,
    wasm_std: &WasmStd,
    workspace: &Path,
    package: &str,
    profile: &str,
    what: &[&str],
    target: &Path,
    name: &str,
) -> Result<Built> {
    let mut cargo = wasm_std.cargo(project);
    cargo.current_dir(workspace).env("CARGO_TARGET_DIR", target);
    cargo.args(["rustc", "--package", package]).args(what);
    cargo.args(["--target", wasm_std::TARGET, "--profile", profile]);
    cargo.env(format!("CARGO_PROFILE_{}_STRIP", profile.to_uppercase().replace('-', "_")), "false");
    // ring is C: clang compiles it, with the same vectors as all of Rust.
    let variables = [("CC", "clang"), ("AR", "llvm-ar"), ("CFLAGS", "-msimd128")];
    cargo.envs(variables.map(|(name, value)| (format!("{name}_{}", wasm_std::TARGET.replace('-', "_")), value)));
    let outcome = Step::new(format!("build: {package} for {}, profile {profile}", wasm_std::TARGET), cargo).run()?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let path = target.join(wasm_std::TARGET).join(folder).join(format!("{name}.wasm"));
    ensure!(path.is_file(), "cargo built {package}, but there is no {}", path.display());
    Ok(Built { path, lines: outcome.lines })
}

/// The package of the component.
const PRODUCT: &str = "guest-tls";
