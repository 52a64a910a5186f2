//! `cargo xtask npm`: the npm package `guest-tls`.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{build, engine, npm, project::Project, step::Step};

/// Makes the npm package: builds the component, makes JavaScript of it by jco in examples/node/lib/component, and packs
/// target/npm/guest-tls-VERSION.tgz, for `npm install`.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Runs the command.
pub(crate) fn run(project: &Project, _: &Arguments) -> Result<ExitCode> {
    build::step(project)?;
    component(project)?;
    let folder = project.target.join("npm");
    fs::create_dir_all(&folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(project.root.join("examples/node")).args(["pack", "--silent", "--pack-destination"]).arg(&folder);
    let packed = Step::new("npm: pack", npm).run()?;
    let name = packed.lines.last().context("npm packed, and did not say what")?;
    println!("{}", folder.join(name.trim()).display());
    Ok(ExitCode::SUCCESS)
}

/// Makes JavaScript of the component that was built, in the package's folder, unless that was done.
pub(crate) fn component(project: &Project) -> Result<()> {
    let component = project.component();
    let folder = project.root.join("examples/node/lib/component");
    let bytes = fs::read(&component).with_context(|| format!("no component at {}", component.display()))?;
    // What the folder was made of is kept: jco takes its time.
    let made_of = project.target.join("npm/made-of");
    let made_by = [npm::folder(project, "jco")?, npm::folder(project, "esbuild")?];
    let inline = project.root.join("examples/node/inline.mjs");
    let inline = fs::read_to_string(&inline).with_context(|| format!("can't read {}", inline.display()))?;
    let how = format!("{made_by:?} {TRANSPILE:?} {MINIFY:?}\n{inline}");
    let whole = [how.as_bytes(), &bytes].concat();
    let is_there = MADE.iter().all(|name| folder.join(name).is_file());
    if is_there && fs::read(&made_of).is_ok_and(|old| old == whole) {
        return Ok(());
    }
    engine::transpile_to(project, &component, &folder, TRANSPILE)?;
    let mut esbuild = Command::new(esbuild(project)?);
    esbuild.current_dir(&folder).args(MINIFY);
    Step::new("esbuild: guest-tls.js", esbuild).run()?;
    // The component's WebAssembly as JavaScript too, for bundlers.
    let mut node = engine::Engine::Node.command(project)?;
    node.current_dir(project.root.join("examples/node")).arg("inline.mjs");
    Step::new("node: inline.mjs", node).run()?;
    crate::project::write_if_changed(&made_of, &whole)?;
    Ok(())
}

/// Makes JavaScript small. `GUEST_TLS_ESBUILD` names another one.
fn esbuild(project: &Project) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("GUEST_TLS_ESBUILD") {
        return Ok(path.into());
    }
    let package = npm::for_this_machine("esbuild")?;
    let folder = npm::install(project, "esbuild")?;
    Ok(folder.join("node_modules").join(package).join("bin/esbuild"))
}

/// The last file of each step.
const MADE: [&str; 2] = ["guest-tls.js", "inline.mjs"];

/// Options of jco's.
const TRANSPILE: &[&str] = &["--instantiation", "sync", "--name", "guest-tls"];

/// Options of esbuild's. jco's JavaScript asks the environment in each call whether it is to be debugged, which takes an eighth of a
/// handshake in Node.
const MINIFY: &[&str] = &[
    "guest-tls.js",
    "--minify",
    "--format=esm",
    "--log-level=warning",
    "--define:globalThis.process.env.JCO_DEBUG=undefined",
    "--outfile=guest-tls.js",
    "--allow-overwrite",
];
