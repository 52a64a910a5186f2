//! `cargo xtask load`: the proxy of examples/cli under load, beside others.

use std::{
    fs,
    path::PathBuf,
    process::{self, Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{
    build, cli,
    project::{Project, write_if_changed},
    readme,
    step::Step,
    tools,
    tools::Tool,
};

/// Measures the proxy of examples/cli under load, beside stunnel, hitch and nginx on this machine.
///
/// New connections, requests, bytes for each second of the server's own processor time, and memory with idle connections. The tables are
/// written to standard output and to target/artefacts/proxy.md. Takes five minutes. The others and what makes the load (wrk, openssl) are
/// Debian's, and are installed with apt-get if they are missing, without their services. Nothing leaves 127.0.0.1; what is started is
/// ended. A figure that can't be measured is a failure. Other programs that run meanwhile spoil the figures.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A second a figure, and 500 idle connections at most: about a minute
    #[arg(long)]
    quick: bool,
    /// Only these of stunnel, hitch, nginx and guest-tls
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// How long each figure is measured, at most 8
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// At how many idle connections memory is measured; so many as the limit of open files (`ulimit -Hn`) allows
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    idle: Vec<usize>,
    /// The compiled proxy; default: that of `cargo xtask cli`, which is built
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Put the tables into SCALE.md
    #[arg(long)]
    write: bool,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    tools::apt_install(project, "servers and load", PACKAGES)?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--package", "load"]);
    Step::new("build: what measures", cargo).run()?;

    // Whatever its end, also the harness is ended with this program.
    let mut harness = Command::new("setpriv");
    harness.args(["--pdeathsig", "TERM"]).arg(project.target.join("debug/load"));
    harness.arg("--folder").arg(scratch(project)?);
    let output = project.target.join("artefacts/proxy.md");
    harness.arg("--output").arg(&output);
    let component = match &arguments.component {
        Some(component) => component.clone(),
        None => cli::compiled(project, &build::step(project)?)?,
    };
    harness.arg("--wasmtime").arg(Tool::WASMTIME.program(project)?).arg("--component").arg(component);
    let quick: &[&str] = if arguments.quick { &["--seconds=1", "--idle=100,500"] } else { &[] };
    harness.args(quick.iter().filter(|option| {
        let given = if option.starts_with("--idle") { !arguments.idle.is_empty() } else { arguments.seconds.is_some() };
        !given
    }));
    harness.args(arguments.seconds.map(|seconds| format!("--seconds={seconds}")));
    harness.args(arguments.idle.iter().map(|count| format!("--idle={count}")));
    harness.args(arguments.only.iter().map(|name| format!("--only={name}")));
    let status = harness.status().context("can't start setpriv")?;
    if arguments.write && status.success() {
        let scale = project.root.join(SCALE);
        let text = fs::read_to_string(&scale).with_context(|| format!("can't read {SCALE}"))?;
        let tables = fs::read_to_string(&output).with_context(|| format!("can't read {}", output.display()))?;
        write_if_changed(&scale, readme::between(SCALE, &text, [BEGIN, END], &tables)?.as_bytes())?;
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A folder of this process's. Those of processes that are gone are deleted.
fn scratch(project: &Project) -> Result<PathBuf> {
    let all = project.target.join("load");
    fs::create_dir_all(&all).with_context(|| format!("can't make the folder {}", all.display()))?;
    for entry in fs::read_dir(&all)?.flatten() {
        if !PathBuf::from("/proc").join(entry.file_name()).exists() {
            // Another process may be doing the same: that it is gone is all we want.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(all.join(process::id().to_string()))
}

/// What is measured besides ours, and what measures.
const PACKAGES: &[&str] = &["stunnel4", "hitch", "nginx-light", "libnginx-mod-stream", "wrk", "openssl", "util-linux"];

const SCALE: &str = "SCALE.md";

const BEGIN: &str = "<!-- `cargo xtask load --write` makes what follows -->\n\n";

const END: &str = "\n<!-- to here -->\n";
