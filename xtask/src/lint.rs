//! `cargo xtask lint`: the form.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Result, bail};

use crate::{
    project::Project,
    step::{Step, seconds},
    tools,
    wasm_std::{self, WasmStd},
};

/// Checks the form: rustfmt and lock files of all workspaces; clippy (natively, and of the library and the examples for wasm) and rustdoc of the main
/// one. Every warning is an error. Then asks OSV for advisories about all that is pinned; where it can't be reached, a line says so.
///
/// Where the wasm compiler is Debian's, so is its clippy (package rust-web-clippy), since rustup's belongs to another compiler. If that
/// package can't be had, `cargo check` with warnings as errors takes its place, and a line says so.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// Runs the command.
pub(crate) fn run(project: &Project, _: &Arguments) -> Result<ExitCode> {
    let wasm_std = WasmStd::ensure(project)?;
    let mut failed = Vec::new();
    for (name, command) in checks(project, &wasm_std) {
        println!("\n=== {name} ===");
        let started = std::time::Instant::now();
        let status = Step::new(&*name, command).stream(&mut |_| {})?;
        println!("{name}: {}, {}", if status.success() { "ok" } else { "failed" }, seconds(started.elapsed()));
        if !status.success() {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("lint: failed: {}", failed.join("; "));
    }
    println!("\nlint: ok");
    Ok(ExitCode::SUCCESS)
}

fn checks(project: &Project, wasm_std: &WasmStd) -> Vec<(String, Command)> {
    let cargo = |what: &str, folder: &str, arguments: &[&str]| {
        let mut cargo = project.cargo();
        cargo.current_dir(project.root.join(folder)).args(arguments);
        (if folder == "." { what.to_string() } else { format!("{what}, {folder}") }, cargo)
    };
    let format = |folder| cargo("rustfmt", folder, &["fmt", "--all", "--check"]);
    // Fails where a manifest of the workspace asks for what its lock file does not have.
    let lock = |folder| cargo("lock file", folder, &["update", "--workspace", "--locked"]);
    let mut clippy = project.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"]);

    let mut documentation = project.cargo();
    documentation.env("RUSTDOCFLAGS", "-Dwarnings").args(["doc", "--workspace", "--no-deps"]);

    let mut checks: Vec<_> = WORKSPACES.into_iter().flat_map(|folder| [format(folder), lock(folder)]).collect();
    checks.push(("clippy, native".to_string(), clippy));
    checks.extend(wasm(project, wasm_std).into_iter().map(|(name, command)| (name.to_string(), command)));
    checks.push(("rustdoc".to_string(), documentation));
    checks.push(("advisories".to_string(), advisories(&project.root)));
    checks
}

/// In Python, whose standard library has what it needs: HTTPS, JSON and TOML.
fn advisories(root: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg(root.join("xtask/advisories.py"));
    command
}

fn wasm(project: &Project, wasm_std: &WasmStd) -> Vec<(&'static str, Command)> {
    if wasm_std.is_debians()
        && let Err(error) = tools::apt_install(project, "clippy for Debian's compiler", &["rust-web-clippy"])
    {
        eprintln!("lint: no clippy for wasm, `cargo check` takes its place: {error:#}");
    }
    let check = |(name, folder, what): (&'static str, &str, &[&str])| {
        let clippy = wasm_std.clippy(project);
        let warnings: &[&str] = if clippy.is_some() { &["--", "-Dwarnings"] } else { &[] };
        let mut command = clippy.unwrap_or_else(|| {
            let mut check = wasm_std.cargo(project);
            wasm_std::add_rustflags(&mut check, "-Dwarnings");
            check.arg("check");
            check
        });
        command.current_dir(project.root.join(folder)).args(["--target", wasm_std::TARGET]);
        command.args(what).args(warnings);
        (name, command)
    };
    IN_WASM.into_iter().map(check).collect()
}

/// The workspaces of the repository.
const WORKSPACES: [&str; 9] = [
    ".",
    "examples/cli",
    "examples/postgres",
    "examples/wasi-tls",
    "fuzz",
    "host-tests/benches",
    "host-tests/ct",
    "host-tests/p3",
    "host-tests/programs",
];

/// What is for wasm: a name, a workspace, and what of it. The product is looked at as it is built, and the library as others build it.
const IN_WASM: [(&str, &str, &[&str]); 8] = [
    (
        "clippy, wasm",
        ".",
        &["-pguest-tls", "-pguest-tls-kernels", "-pguest-tls-p3", "--features", "guest-tls/component"],
    ),
    ("clippy, wasm, the library", ".", &["-pguest-tls", "-pguest-tls-kernels"]),
    ("clippy, wasm, portable", ".", &["-pguest-tls-kernels", "--features", "guest-tls-kernels/portable"]),
    ("clippy, examples/cli", "examples/cli", &[]),
    ("clippy, examples/postgres", "examples/postgres", &[]),
    ("clippy, examples/wasi-tls", "examples/wasi-tls", &[]),
    ("clippy, host-tests/p3", "host-tests/p3", &[]),
    ("clippy, host-tests/programs", "host-tests/programs", &["--workspace"]),
];

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// What OSV says of the first package that it is asked about, and what becomes of that: an exit code, and words of the last lines.
    const ANSWERS: [(&str, i32, &str); 6] = [
        (r#"{"id": "A-1", "summary": "it is bad"}"#, 1, "A-1: it is bad\n"),
        (
            r#"{"id": "A-1", "affected": [{"database_specific": {"informational": "unmaintained"}}]}"#,
            0,
            "notice: unmaintained",
        ),
        (r#"{"id": "A-1", "withdrawn": "2026-01-01T00:00:00Z"}"#, 0, " 0 with a known fault"),
        (r#"{"id": "A-1", "aliases": ["RUSTSEC-2023-0071"]}"#, 0, "(accepted: rsa"),
        ("this is no JSON", 0, "advisories: left out: "),
        ("", 0, "advisories: left out: "),
    ];

    #[test]
    fn a_known_fault_fails_and_a_database_that_cannot_be_asked_does_not() {
        for (answer, code, wanted) in ANSWERS {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("it has one");
            // Nobody waits for this thread: it ends with the test program.
            std::thread::spawn(move || listener.incoming().flatten().try_for_each(|tcp| serve(tcp, answer)));
            let (found, said) = asked(&format!("http://{address}"));
            assert_eq!(found, Some(code), "{answer}: {said}");
            assert!(said.contains(wanted), "{answer}: {said}, and not {wanted}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let (code, said) = asked(&format!("http://{closed}"));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("advisories: left out: "), "{said}");
    }

    fn asked(osv: &str) -> (Option<i32>, String) {
        let mut command = advisories(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
        let output = command.args(["--osv", osv]).env("no_proxy", "*").output().expect("python3 is there");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said.into_owned())
    }

    /// Answers a request as OSV does (https://google.github.io/osv.dev/api/): a list of advisories for each query, or one advisory.
    fn serve(tcp: TcpStream, answer: &str) -> std::io::Result<()> {
        let mut reader = BufReader::new(tcp);
        let (mut first, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line.trim().is_empty() {
                break;
            }
            first = if first.is_empty() { line } else { first };
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let queries = String::from_utf8_lossy(&body).matches("\"version\"").count();
        let (status, body) = match (first.starts_with("POST /v1/querybatch"), answer) {
            (_, "") => ("500 Internal Server Error", String::new()),
            (true, _) => {
                ("200 OK", format!(r#"{{"results": [{{"vulns": [{{"id": "A-1"}}]}}{}]}}"#, ", {}".repeat(queries - 1)))
            }
            (false, answer) => ("200 OK", answer.to_string()),
        };
        let length = body.len();
        write!(reader.get_mut(), "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }
}
