//! The library in programs for WebAssembly that are not ours to compile: ureq's and hyper's HTTPS by our provider, built by a plain
//! `cargo build --target wasm32-wasip2`, run by the stock wasmtime, against `openssl s_server`.
//!
//! How fast they are is said by `cargo xtask programs`; here is looked at what makes them so: the vectors in their code.

use std::collections::HashMap;
use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::exchange::payload_of;
use host_tests::pages::Pages;
use host_tests::peers::within;
use host_tests::setup::Turn;
use host_tests::{cli, paths, rows, table};
use tokio::process::Command;
use wasmparser::{KnownCustom, Name, Operator, Parser, Payload};

fn main() {
    table::main(rows![
        "libraries":
        nine_megabytes_arrive_as_they_were_sent,
        handshakes_of_both_versions_follow_each_other,
        an_authority_that_is_not_known_is_refused,
        vectors_are_in_a_program_that_was_built_without_flags,
        a_program_exports_nothing_of_the_component,
        no_c_is_compiled,
        the_readme_shows_the_program_as_it_is,
    ]);
}

async fn nine_megabytes_arrive_as_they_were_sent() -> Result<()> {
    let page = payload_of(Turn::First, 9_000_000);
    let pages = Pages::start(&Kind::P256.server(), &[("page", &page)], &[]).await?;
    for program in PROGRAMS {
        let got = get(program, &pages.url("page"), &Kind::P256.authority(), 1).await?;
        let (code, stderr) = (got.status.code(), String::from_utf8_lossy(&got.stderr));
        ensure!(code == Some(0), "{program} ended with {code:?}: {stderr}");
        ensure!(got.stdout == page, "{program} got {} bytes, which are others", got.stdout.len());
    }
    Ok(())
}

async fn handshakes_of_both_versions_follow_each_other() -> Result<()> {
    for (kind, option) in [(Kind::P256, "-tls1_3"), (Kind::Rsa2048, "-tls1_3"), (Kind::Rsa2048, "-tls1_2")] {
        let pages = Pages::start(&kind.server(), &[("page", b"here")], &[option]).await?;
        for program in PROGRAMS {
            let got = get(program, &pages.url("page"), &kind.authority(), 3).await?;
            let stderr = String::from_utf8_lossy(&got.stderr);
            ensure!(got.stdout == b"hereherehere", "{program}, {}, {option}: {stderr}", kind.name());
        }
    }
    Ok(())
}

async fn an_authority_that_is_not_known_is_refused() -> Result<()> {
    let pages = Pages::start(&Kind::P256.server(), &[("page", b"here")], &[]).await?;
    for program in PROGRAMS {
        let got = get(program, &pages.url("page"), &Kind::P384.authority(), 1).await?;
        let stderr = String::from_utf8_lossy(&got.stderr);
        ensure!(got.status.code() == Some(1) && got.stdout.is_empty(), "{program}: {:?}, {stderr}", got.status);
        ensure!(stderr.contains("UnknownIssuer"), "{program} says {stderr}");
    }
    Ok(())
}

async fn vectors_are_in_a_program_that_was_built_without_flags() -> Result<()> {
    for program in PROGRAMS {
        let wasm = read(program)?;
        let functions = functions(&wasm)?;
        // An instruction that is a function of its own is called for each vector, which takes as long as the twin.
        let calls: Vec<_> = functions.keys().filter(|name| name.contains("core_arch")).collect();
        ensure!(calls.is_empty(), "in {program} these were not inlined: {calls:?}");
        for (kernel, least) in KERNELS {
            // What is generic is there more than once.
            let parts: Vec<&str> = kernel.split("::").collect();
            let found = functions.iter().filter(|(name, _)| parts.iter().all(|part| name.contains(part)));
            let most = found.map(|(_, count)| *count).max();
            let most = most.with_context(|| format!("{program} has no function {kernel}"))?;
            ensure!(
                most >= least,
                "{kernel} in {program} has {most} instructions on vectors, at least {least} are due"
            );
        }
    }
    Ok(())
}

async fn a_program_exports_nothing_of_the_component() -> Result<()> {
    for program in PROGRAMS {
        let wasm = read(program)?;
        let (mut depth, mut exports, mut imports) = (0, Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(&wasm) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) if depth > 0 => depth -= 1,
                Payload::ComponentExportSection(section) if depth == 0 => {
                    exports.extend(section.into_iter().map(|export| export.map(|export| export.name.name.to_string())))
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    imports.extend(section.into_iter().map(|import| import.map(|import| import.name.name.to_string())))
                }
                _ => {}
            }
        }
        let exports = exports.into_iter().collect::<Result<Vec<_>, _>>()?;
        ensure!(
            exports.len() == 1 && exports[0].starts_with("wasi:cli/run@"),
            "{program} exports {exports:?}, and should be a command and nothing else"
        );
        let imports = imports.into_iter().collect::<Result<Vec<_>, _>>()?;
        // Where the component's own feature is on, libc's are sealed, and `println!` traps.
        ensure!(
            imports.iter().any(|name| name.starts_with("wasi:cli/stdout@")),
            "{program} has no standard output: it imports {imports:?}"
        );
    }
    Ok(())
}

async fn no_c_is_compiled() -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(WORKSPACE).args(["tree", "--locked", "--workspace", "--target", "wasm32-wasip2"]);
    cargo.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let output = within(async { Ok(cargo.output().await?) }).await?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo tree: {stderr}");
    let text = String::from_utf8_lossy(&output.stdout);
    let crates: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    for known in ["guest-tls", "rustls", "ureq", "hyper"] {
        ensure!(crates.contains(&known), "cargo tree names no {known}:\n{text}");
    }
    for unwanted in ["ring", "aws-lc-rs", "aws-lc-sys", "openssl-sys", "cc", "cmake"] {
        ensure!(!crates.contains(&unwanted), "{unwanted} is compiled:\n{text}");
    }
    Ok(())
}

async fn the_readme_shows_the_program_as_it_is() -> Result<()> {
    let readme = include_str!("../../README.md");
    let program = include_str!("../programs/ureq/src/main.rs");
    let example = program.split("// [example]\n").nth(1).context("the marks are there")?;
    ensure!(readme.contains(example.trim()), "README.md has another example than host-tests/programs/ureq/src/main.rs");
    let manifest = include_str!("../programs/ureq/Cargo.toml");
    let dependencies = manifest.split_once("[dependencies]\n").context("the program has dependencies")?.1;
    let elsewhere = dependencies.replace("path = \"../../..\"", "git = \"https://github.com/guest-tls/guest-tls\"");
    ensure!(elsewhere != dependencies, "host-tests/programs/ureq/Cargo.toml names guest-tls in another way");
    ensure!(readme.contains(elsewhere.trim()), "README.md has other dependencies than host-tests/programs/ureq");
    Ok(())
}

/// Runs a program until it ends.
async fn get(program: &str, url: &str, authority: &Identity, count: usize) -> Result<std::process::Output> {
    let mut command = cli::program(program, &[], &[(&authority.folder, "/ca")]);
    command.args([url, "/ca/certificate.pem", &count.to_string()]).stdin(Stdio::null());
    within(async { command.output().await.context("can't start wasmtime: `cargo xtask setup` gets it") }).await
}

fn read(program: &str) -> Result<Vec<u8>> {
    let path = paths::target().join(format!("components/{program}.wasm"));
    fs::read(&path).with_context(|| format!("can't read {}: `cargo xtask programs` builds it", path.display()))
}

/// How many instructions on vectors each function has, by its name.
fn functions(wasm: &[u8]) -> Result<HashMap<String, usize>> {
    let mut functions = HashMap::new();
    // A component has other modules beside the program's, which have names too: each ends with its own.
    let (mut imported, mut counts) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } => (imported, counts) = (0, Vec::new()),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import?.ty, wasmparser::TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => {
                let mut count = 0;
                for operator in body.get_operators_reader()? {
                    count += usize::from(is_on_vectors(&operator?));
                }
                counts.push(count);
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Name(names) = section.as_known() else { continue };
                for subsection in names {
                    let Name::Function(names) = subsection? else { continue };
                    for name in names {
                        let name = name?;
                        let own = name.index.checked_sub(imported).and_then(|index| counts.get(index as usize));
                        functions.extend(own.map(|count| (name.name.to_string(), *count)));
                    }
                }
            }
            _ => {}
        }
    }
    ensure!(!functions.is_empty(), "the program has no names of functions");
    Ok(functions)
}

fn is_on_vectors(operator: &Operator<'_>) -> bool {
    let name = format!("{operator:?}");
    ["V128", "I8x16", "I16x8", "I32x4", "I64x2"].iter().any(|prefix| name.starts_with(prefix))
}

/// Kernels by parts of their names, and how many instructions on vectors each has at least.
const KERNELS: [(&str, usize); 8] = [
    ("chacha20::xor_pair", 200),
    ("poly1305::polynomial", 200),
    ("aes::xor_batch", 300),
    ("ghash::add_product", 20),
    ("x25519::field::product", 100),
    ("p256::pair::product", 100),
    ("p256::pair::reduce", 50),
    ("rsa::rows::add_rows", 20),
];

/// What is built from `host-tests/programs`.
const PROGRAMS: [&str; 2] = ["ureq-get", "hyper-get"];

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/programs");
