//! JavaScript engines as hosts of components: Node, which is V8, and Bun, which is JavaScriptCore. jco makes JavaScript of a component.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::{
    npm::{self, Package},
    project::{self, Project},
    step::Step,
    tools::Tool,
};

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// V8
    Node,
    /// JavaScriptCore
    Bun,
}

impl Engine {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Bun => "bun",
        }
    }

    /// The program, which is fetched if it is missing. `GUEST_TLS_NODE` and `GUEST_TLS_BUN` name others.
    pub(crate) fn program(self, project: &Project) -> Result<PathBuf> {
        match self {
            Self::Node => Tool::NODE.program(project),
            Self::Bun => {
                if let Some(path) = env::var_os("GUEST_TLS_BUN").map(PathBuf::from) {
                    ensure!(path.is_file(), "GUEST_TLS_BUN says {}, and there is no such file", path.display());
                    return Ok(path);
                }
                let package = npm::for_this_machine("bun")?;
                let folder = npm::install(project, "bun", &[(package, BUN_VERSION)])?;
                Ok(folder.join("node_modules").join(package).join("bin/bun"))
            }
        }
    }
}

/// Makes JavaScript of a component, in a folder of its own below `target/js`, and gives the module's path.
pub(crate) fn transpile(project: &Project, component: &Path) -> Result<PathBuf> {
    let packages = npm::install(project, "jco", JCO)?.join("node_modules");
    let name = component.file_stem().and_then(|name| name.to_str()).context("the component's name is not UTF-8")?;
    let js = project.target.join("js");
    let folder = js.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    // Where the modules find the shim of WASI.
    project::symlink(&packages, &js.join("node_modules"))?;
    let mut jco = Command::new(Engine::Node.program(project)?);
    jco.arg(packages.join("@bytecodealliance/jco/dist/jco.js")).arg("transpile").arg("--quiet");
    jco.arg(component).arg("--out-dir").arg(&folder);
    Step::new(format!("jco: {name}"), jco).run()?;
    Ok(folder.join(format!("{name}.js")))
}

/// jco, and what its modules import.
const JCO: &[Package] = &[("@bytecodealliance/jco", "1.35"), ("@bytecodealliance/preview2-shim", "0.26")];

const BUN_VERSION: &str = "1.4";
