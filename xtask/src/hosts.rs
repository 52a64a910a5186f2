//! `cargo xtask hosts`: the component in every host.

use std::{fs, os::unix::fs::PermissionsExt, process::ExitCode};

use anyhow::{Context, Result};

use crate::{
    build,
    engine::Engine,
    npm, package,
    project::{self, Project},
    pypi,
    step::Step,
    tools,
};

/// Lets the component meet OpenSSL in every host: wasmtime, Node, Deno, Bun, workerd, Chromium, Python; as client, and as server where the
/// host can listen. It ends with a table of what was seen, which is also written to target/artefacts/hosts.md.
///
/// What is missing is fetched: the JavaScript hosts from npm, Chromium from Debian, wasmtime for Python from PyPI.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only tests whose name contains this, such as `Deno`
    filter: Option<String>,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    build::step(project)?;
    set_up(project)?;
    let mut cargo = project.cargo();
    cargo.args(["test", "--package", "host-tests", "--test", "hosts", "--"]).args(&arguments.filter);
    let status = Step::new("hosts", cargo).stream(&mut |_| {})?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gets the hosts, and what the examples need. The component is there already.
pub(crate) fn set_up(project: &Project) -> Result<()> {
    package::component(project)?;
    for engine in [Engine::Node, Engine::Deno, Engine::Bun] {
        engine.program(project)?;
    }
    NPM.iter().try_for_each(|example| npm::ci(project, example))?;
    tools::apt_install(project, "a browser for examples/browser", &["chromium"])?;
    tools::apt_install(project, "what checks examples/deploy", &["shellcheck", "systemd"])?;
    python(project, "python", "python")?;
    python(project, "deploy", "python-deploy")
}

/// A Python with what an example needs, as a tool of this name.
fn python(project: &Project, example: &str, tool: &str) -> Result<()> {
    let requirements = project.root.join("examples").join(example).join("requirements.txt");
    let needs = fs::read_to_string(&requirements).with_context(|| format!("no {}", requirements.display()))?;
    let folder = pypi::environment(project, &needs)?;
    // Not a link: by its own path Python finds its environment.
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", folder.join("bin/python").display());
    let wrapper = project.tools().join(tool);
    project::write_if_changed(&wrapper, script.as_bytes())?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("can't make the tool {tool} executable"))
}

/// The examples with packages of npm.
const NPM: &[&str] = &["node", "node/test/programs", "workers", "browser"];
