//! Packages of PyPI, each set in a virtual environment of its own.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{
    project::{self, Project},
    step::{self, Step},
    tools,
};

/// Gets these requirements, in the form of requirements.txt with a hash for each file, unless they are there: the folder of the environment, with
/// its programs in `bin`.
///
/// Environment: GUEST_TLS_PYTHON, the path of the Python that it is for (default: `python3` of PATH).
pub(crate) fn environment(project: &Project, requirements: &str) -> Result<PathBuf> {
    let folder = folder(project, requirements)?;
    let _lock = project.lock("setup")?;
    if folder.is_dir() {
        return Ok(folder);
    }
    // It counts when the last step is done. Its scripts know where it was made, and are not used: `python -m` is.
    let unfinished = folder.with_extension("unfinished");
    // Debian has this part of Python in a package of its own.
    let python = python()?;
    if step::output(Command::new(&python).args(["-c", "import ensurepip"])).is_err() {
        tools::apt_install(project, "Python's virtual environments", &["python3-venv"])?;
    }
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "--clear"]).arg(&unfinished);
    Step::new("python: a virtual environment", venv).run()?;
    let list = unfinished.join("requirements.txt");
    fs::write(&list, requirements).with_context(|| format!("can't write {}", list.display()))?;
    let mut pip = Command::new(unfinished.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"]);
    pip.arg(&list);
    // What has no wheel is built by the versions of the list, and not by the newest. Without hashes, which pip wants of
    // a build's own requirements then, and these can have none.
    let versions = unfinished.join("constraints.txt");
    fs::write(&versions, pins(requirements)).with_context(|| format!("can't write {}", versions.display()))?;
    pip.env("PIP_CONSTRAINT", &versions);
    Step::new("python: fetching packages from PyPI", pip).run()?;
    fs::rename(&unfinished, &folder).with_context(|| format!("can't move {}", unfinished.display()))?;
    Ok(folder)
}

/// Where the environment with these requirements is, if it is there.
pub(crate) fn folder(project: &Project, requirements: &str) -> Result<PathBuf> {
    let key = project::key(&[requirements, &python()?.display().to_string()]);
    Ok(project.cache.join("venv").join(key))
}

/// The packages and versions of requirements, without options and hashes.
fn pins(requirements: &str) -> String {
    let pinned = requirements.lines().filter(|line| !line.starts_with([' ', '-', '#']));
    pinned.map(|line| format!("{}\n", line.trim_end_matches(['\\', ' ']))).collect()
}

fn python() -> Result<PathBuf> {
    let base = env::var_os("GUEST_TLS_PYTHON").map(PathBuf::from).or_else(|| project::program("python3"));
    base.context("there is no python3: install it, or set GUEST_TLS_PYTHON to its path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_without_hashes() {
        let list = "# a list\n--only-binary :all:\na==1 \\\n    --hash=sha256:00\nb==2 ; os_name == 'nt' \\\n    --hash=sha256:11\nc==3\n";
        assert_eq!(pins(list), "a==1\nb==2 ; os_name == 'nt'\nc==3\n");
    }
}
