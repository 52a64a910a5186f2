//! `cargo xtask`: everything that is done to this repository, in one program.
//!
//! Each command sets up what it needs first, so that a fresh clone needs no preparation:
//!
//! ```text
//! cargo xtask demo     # the main job
//! cargo xtask test     # all tests
//! ```
//!
//! One file per command ([`setup`], [`build`], [`wit`], [`demo`], [`mod@test`], [`rows`] with [`readme`], [`lint`], [`fuzz`], [`mod@bench`],
//! [`ct`], [`load`], [`differential`], [`package`], [`hosts`], [`postgres`], [`cli`], [`p3`], [`programs`]); what they share is in [`project`] (where things are), [`step`] (running a
//! command with progress), [`wasm_std`], [`tools`], [`npm`] and [`pypi`] (getting what is missing), [`guest`] (building components to measure, and
//! examples), [`compose`] (putting components together), [`engine`] (running components in JavaScript engines),
//! [`libraries`] (the components with each standard library) and [`component`] (reading
//! WebAssembly).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build;
mod cli;
mod component;
mod compose;
mod ct;
mod demo;
mod differential;
mod engine;
mod fuzz;
mod guest;
mod hosts;
mod libraries;
mod lint;
mod load;
mod npm;
mod p3;
mod package;
mod postgres;
mod programs;
mod project;
mod pypi;
mod readme;
mod rows;
mod setup;
mod step;
mod test;
mod tools;
mod wasm_std;
mod wit;

/// The commands of the guest-tls repository. Each one sets up what it needs first.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Arguments),
    Bench(bench::Arguments),
    Build(build::Arguments),
    Wit(wit::Arguments),
    Demo(demo::Arguments),
    Test(test::Arguments),
    Rows(rows::Arguments),
    Lint(lint::Arguments),
    Fuzz(fuzz::Arguments),
    Ct(ct::Arguments),
    Differential(differential::Arguments),
    Npm(package::Arguments),
    Hosts(hosts::Arguments),
    Postgres(postgres::Arguments),
    Cli(cli::Arguments),
    P3(p3::Arguments),
    Load(load::Arguments),
    Programs(programs::Arguments),
}

fn main() -> ExitCode {
    run(Arguments::parse().command).unwrap_or_else(|error| {
        // Without the backtrace that anyhow would add: these errors are for people.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let project = project::Project::find()?;
    match command {
        Command::Setup(arguments) => setup::run(&project, &arguments),
        Command::Bench(arguments) => bench::run(&project, &arguments),
        Command::Build(arguments) => build::run(&project, &arguments),
        Command::Wit(arguments) => wit::run(&project, &arguments),
        Command::Demo(arguments) => demo::run(&project, &arguments),
        Command::Test(arguments) => test::run(&project, &arguments),
        Command::Rows(arguments) => rows::run(&project, &arguments),
        Command::Lint(arguments) => lint::run(&project, &arguments),
        Command::Fuzz(arguments) => fuzz::run(&project, &arguments),
        Command::Ct(arguments) => ct::run(&project, &arguments),
        Command::Differential(arguments) => differential::run(&project, &arguments),
        Command::Npm(arguments) => package::run(&project, &arguments),
        Command::Hosts(arguments) => hosts::run(&project, &arguments),
        Command::Postgres(arguments) => postgres::run(&project, &arguments),
        Command::Cli(arguments) => cli::run(&project, &arguments),
        Command::P3(arguments) => p3::run(&project, &arguments),
        Command::Load(arguments) => load::run(&project, &arguments),
        Command::Programs(arguments) => programs::run(&project, &arguments),
    }
}
