//! JavaScript engines as hosts of components: Node and Deno, which are V8, and Bun, which is JavaScriptCore. jco makes JavaScript of a
//! component.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    npm,
    project::{self, Project},
    step::Step,
    tools::Tool,
};

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// V8
    Node,
    /// V8
    Deno,
    /// JavaScriptCore
    Bun,
}

impl Engine {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Deno => "deno",
            Self::Bun => "bun",
        }
    }

    /// The program, which is fetched if it is missing, and lies among the tools of tests then. `GUEST_TLS_NODE`, `GUEST_TLS_DENO` and
    /// `GUEST_TLS_BUN` name others.
    pub(crate) fn program(self, project: &Project) -> Result<PathBuf> {
        match self {
            Self::Node => Tool::NODE.program(project),
            Self::Deno => self.fetched(project, "deno"),
            Self::Bun => self.fetched(project, "bin/bun"),
        }
    }

    /// The command that runs a script.
    pub(crate) fn command(self, project: &Project) -> Result<Command> {
        let mut command = Command::new(self.program(project)?);
        if self == Self::Deno {
            command.args(["run", "--allow-all"]);
        }
        Ok(command)
    }

    fn fetched(self, project: &Project, file: &str) -> Result<PathBuf> {
        let variable = format!("GUEST_TLS_{}", self.name().to_uppercase());
        let path = match env::var_os(&variable).map(PathBuf::from) {
            Some(path) => {
                ensure!(path.is_file(), "{variable} says {}, and there is no such file", path.display());
                path
            }
            None => {
                let package = npm::for_this_machine(self.name())?;
                let folder = npm::install(project, self.name())?;
                folder.join("node_modules").join(package).join(file)
            }
        };
        let link = project.tools().join(self.name());
        project::symlink(&path, &link)?;
        Ok(link)
    }
}

/// Makes JavaScript of a component, in a folder of its own below `target/js`, and gives the module's path.
pub(crate) fn transpile(project: &Project, component: &Path) -> Result<PathBuf> {
    let name = component.file_stem().and_then(|name| name.to_str()).context("the component's name is not UTF-8")?;
    let js = project.target.join("js");
    let folder = js.join(name);
    // Where the modules find the shim of WASI.
    project::symlink(&packages(project)?, &js.join("node_modules"))?;
    transpile_to(project, component, &folder, &[])?;
    Ok(folder.join(format!("{name}.js")))
}

/// Makes JavaScript of a component in this folder, with these options of jco's.
pub(crate) fn transpile_to(project: &Project, component: &Path, folder: &Path, options: &[&str]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    let mut jco = Command::new(Engine::Node.program(project)?);
    jco.arg(packages(project)?.join("@bytecodealliance/jco/dist/jco.js")).args(["transpile", "--quiet"]);
    jco.args(options).arg(component).arg("--out-dir").arg(folder);
    Step::new(format!("jco: {}", component.display()), jco).run()?;
    Ok(())
}

/// The folder with jco and what its modules import.
fn packages(project: &Project) -> Result<PathBuf> {
    Ok(npm::install(project, "jco")?.join("node_modules"))
}
