//! Puts components together as `wac plug` does: `compose SOCKET PLUG OUTPUT`; and makes one to be plugged: see [`config`].
//!
//! What the first component imports and the second exports is wired; all other imports of both become those of the result, whose
//! exports are the first one's. Beyond `wac plug`, an interface that both name and that does not fit is an error: there it stays an
//! import, and is found out when somebody runs the result.

mod config;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, PackageId, plug};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compose: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let (output, component) = match &arguments[..] {
        [word, output, values @ ..] if word == "config" => (output, config::of_arguments(values)?),
        [socket, plug, output] => (output, compose(socket, plug).with_context(|| format!("{socket} with {plug}"))?),
        _ => bail!(
            "usage: compose SOCKET.wasm PLUG.wasm OUTPUT.wasm, where SOCKET imports what PLUG exports\n\
             or:    compose config OUTPUT.wasm [KEY=FILE]..., which makes a plug: a wasi:config/store with these values"
        ),
    };
    // What is the same stays as it is, so that what is made of it need not be made anew.
    if fs::read(output).is_ok_and(|old| old == component) {
        return Ok(());
    }
    fs::write(output, component).with_context(|| format!("can't write {output}"))
}

fn compose(socket: &str, plugged: &str) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let socket = register(&mut graph, "socket", socket)?;
    let plugged = register(&mut graph, "plug", plugged)?;
    plug(&mut graph, vec![plugged], socket)?;
    let wanted = &graph.types()[graph[socket].ty()].imports;
    let offered = &graph.types()[graph[plugged].ty()].exports;
    let offers = |import: &str| offered.keys().any(|export| without_version(export) == without_version(import));
    let open = graph.imports().map(|(name, _, _)| name).filter(|name| wanted.contains_key(*name) && offers(name));
    let open = open.collect::<Vec<_>>();
    ensure!(
        open.is_empty(),
        "{} is there, but of another version or with other types than the socket wants: build both from the same WIT",
        open.join(", ")
    );
    // It is validated, too.
    Ok(graph.encode(EncodeOptions::default())?)
}

fn register(graph: &mut CompositionGraph, name: &str, path: &str) -> Result<PackageId> {
    let package = Package::from_file(name, None, path, graph.types_mut());
    Ok(graph.register_package(package.with_context(|| format!("{path} is no component that can be read"))?)?)
}

/// `guest:tls/socket` of `guest:tls/socket@0.1.0`.
fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}
