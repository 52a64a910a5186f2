//! `cargo xtask build`: the component.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};

use crate::{
    component::{self, Interface, Item},
    guest,
    project::{Project, write_if_changed},
    setup,
    wasm_std::WasmStd,
};

/// Builds the component, target/components/guest-tls.wasm, and prints its size, imports, exports and largest parts.
///
/// Beside it guest-tls.names.wasm is the same with the functions' names, for profilers and backtraces.
/// It is an error if the component is too large or imports what it should not.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Cargo's profile to build with
    #[arg(long, default_value = PROFILE)]
    profile: String,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let wasm_std = WasmStd::ensure(project)?;
    let built = Built::new(project, &wasm_std, &arguments.profile, &project.components())?;
    built.lines.iter().for_each(|line| eprintln!("{line}"));
    print!("{}", built.report()?);
    built.check()?;
    Ok(ExitCode::SUCCESS)
}

/// Sets up all and builds the component, as a step of another command: prints one line when there was nothing to do.
pub(crate) fn step(project: &Project) -> Result<WasmStd> {
    let wasm_std = setup::everything(project)?;
    product(project, &wasm_std)?;
    Ok(wasm_std)
}

/// Builds the component, as a step of another command that has set up what it needs.
pub(crate) fn product(project: &Project, wasm_std: &WasmStd) -> Result<()> {
    product_in(project, wasm_std, &project.components())
}

/// As [`product`], written to the folder `place`.
pub(crate) fn product_in(project: &Project, wasm_std: &WasmStd, place: &Path) -> Result<()> {
    let built = Built::new(project, wasm_std, PROFILE, place)?;
    println!("{}", built.summary());
    built.check()
}

/// A built component.
struct Built {
    path: String,
    changed: bool,
    /// The size of the component that is shipped.
    size: usize,
    interface: Interface,
    /// The component with its names.
    named: Vec<u8>,
    /// What cargo had to say, if there is a warning in it.
    lines: Vec<String>,
}

impl Built {
    /// Builds it, and writes it to the folder `place`.
    fn new(project: &Project, wasm_std: &WasmStd, profile: &str, place: &Path) -> Result<Self> {
        let guest::Built { path: output, lines } =
            guest::build(project, wasm_std, &project.root, "guest-tls", profile)?;
        let lines = if lines.iter().any(|line| line.starts_with("warning")) { lines } else { Vec::new() };
        // One build gives both files: cargo leaves the names in, we take them out.
        let wasm = fs::read(&output)
            .with_context(|| format!("cargo built the component, but can't read {}", output.display()))?;
        let named = component::strip(&wasm, |name| !name.starts_with(".debug_"))?;
        let shipped = component::strip(&wasm, |_| false)?;
        let path = place.join("guest-tls.wasm");
        let changed = write_if_changed(&path, &shipped)?;
        write_if_changed(&path.with_extension("names.wasm"), &named)?;
        let path = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
        Ok(Self { path, changed, size: shipped.len(), interface: component::interface(&shipped)?, named, lines })
    }

    fn summary(&self) -> String {
        format!("build: {}, {} bytes{}", self.path, grouped(self.size), if self.changed { "" } else { ", unchanged" })
    }

    fn report(&self) -> Result<String> {
        let items = component::items(&self.named)?;
        let mut report = format!("{}\n", self.summary());
        for (title, names) in [("imports", &self.interface.imports), ("exports", &self.interface.exports)] {
            report += &format!("\n{title}\n");
            for name in names {
                report += &format!("  {name}\n");
            }
        }
        let crates = component::by_origin(&items);
        report += &format!("\nlargest crates ({} in all)\n", crates.len());
        for (origin, bytes) in crates.into_iter().take(LARGEST_CRATES) {
            report += &self.row(bytes, origin);
        }
        report += &format!("\nlargest functions and data ({} in all)\n", items.len());
        for item in items.iter().take(LARGEST_ITEMS) {
            report += &self.row(item.bytes, &shortened(&item.name));
        }
        Ok(report
            + &self.row(
                self.size.saturating_sub(sum(&items)),
                "everything else: types, tables, the frame of the component",
            ))
    }

    fn row(&self, bytes: usize, name: &str) -> String {
        format!("  {:>9}  {:>5.1} %  {name}\n", grouped(bytes), bytes as f64 * 100.0 / self.size as f64)
    }

    /// Checks the promises about size and imports; an error names all that are broken.
    fn check(&self) -> Result<()> {
        let mut broken = Vec::new();
        if self.size >= TOO_LARGE {
            let (size, limit) = (grouped(self.size), grouped(TOO_LARGE));
            broken.push(format!("it is too large: {size} bytes, and has to be below {limit}"));
        }
        let strange: Vec<_> = self.interface.imports.iter().filter(|name| !allowed(name)).map(String::as_str).collect();
        if !strange.is_empty() {
            let promised = ALLOWED_IMPORTS.map(|prefix| format!("{prefix}*")).join(", ");
            broken.push(format!("it imports {}, and may import only {promised}", strange.join(", ")));
        }
        ensure!(broken.is_empty(), "{}: {}", self.path, broken.join("; "));
        Ok(())
    }
}

fn sum(items: &[Item]) -> usize {
    items.iter().map(|item| item.bytes).sum()
}

fn allowed(import: &str) -> bool {
    ALLOWED_IMPORTS.iter().any(|prefix| import.starts_with(prefix))
}

/// A number with a comma before each three digits.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let groups = digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| digits[..first].to_string());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_WIDTH {
        name.to_string()
    } else {
        name.chars().take(NAME_WIDTH - 1).chain(['…']).collect()
    }
}

/// The profile of what is shipped, in `.cargo/config.toml`.
pub(crate) const PROFILE: &str = "component";

/// In bytes.
const TOO_LARGE: usize = 2_100_000;

/// How the name of every import begins.
const ALLOWED_IMPORTS: [&str; 3] = ["wasi:io/", "wasi:clocks/", "wasi:random/"];

const LARGEST_CRATES: usize = 10;

const LARGEST_ITEMS: usize = 20;

const NAME_WIDTH: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 12, 123, 1234, 123_456, 1_200_000].map(grouped),
            ["0", "12", "123", "1,234", "123,456", "1,200,000"]
        );
    }

    #[test]
    fn only_promised_imports_are_allowed() {
        assert!(allowed("wasi:io/poll@0.2.6"));
        assert!(!allowed("wasi:cli/stderr@0.2.6"));
        assert!(!allowed("wasi:iota/poll@0.2.6"));
        assert!(!allowed("guest:tls/types@0.1.0"));
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(NAME_WIDTH + 1)).chars().count(), NAME_WIDTH);
    }
}
