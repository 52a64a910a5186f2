//! The Rust standard library for `wasm32-wasip2`: where it is, and three ways to get it.
//!
//! 1. It is in the active toolchain.
//! 2. `rustup target add wasm32-wasip2`.
//! 3. Where Rust's download server can't be reached but Debian's packages can: Debian's compiler and the standard library's source are
//!    installed, the library is built, and with Debian's `wasi-libc` and the toolchain's own linkers it makes a *sysroot* in the cache
//!    folder, which every clone uses. Cargo stays the ordinary one; it is told to use that sysroot's `bin/rustc`.
//!
//! The toolchain is pinned by `rust-toolchain.toml`; Debian's packages are not, and a sysroot is named by what it was made from.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::{
    project::{self, Project, Workplace, key},
    step::{self, Step},
    tools,
};

/// The target of the component.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// A compiler with a standard library for [`TARGET`].
pub(crate) struct WasmStd {
    /// Where it comes from, for people.
    pub(crate) origin: String,
    /// Says which compiler and library it is; see [`WasmStd::target_folder`].
    key: String,
    /// The sysroot of way 3; `None` where the active toolchain has what is needed.
    sysroot: Option<PathBuf>,
}

impl WasmStd {
    /// Finds the library, or gets it, by the first way that works of those that the user lets be tried.
    pub(crate) fn ensure(project: &Project) -> Result<Self> {
        let allowed: Vec<_> = Way::ALL.into_iter().filter(|way| way.is_allowed()).collect();
        Self::by(project, &allowed)
    }

    /// Finds this library, or gets it.
    pub(crate) fn of(project: &Project, library: Library) -> Result<Self> {
        Self::by(project, library.ways())
    }

    fn by(project: &Project, allowed: &[Way]) -> Result<Self> {
        let toolchain = Toolchain::active(project)?;
        if let Some(found) = Self::find(project, &toolchain, allowed)? {
            return Ok(found);
        }
        let lock = project.lock("setup")?;
        if let Some(found) = Self::find(project, &toolchain, allowed)? {
            return Ok(found);
        }
        let mut failures = Vec::new();
        for way in Way::ALL {
            let attempt = if !allowed.contains(&way) {
                Err(anyhow!("not tried: it is left out here, or by {CHOICE}"))
            } else {
                match way {
                    Way::Toolchain => Err(anyhow!("{} has no libstd", toolchain.wasm_folder().display())),
                    Way::Rustup => add_target(&toolchain),
                    Way::Debian => build_from_debian(project, &toolchain, &lock),
                }
            };
            match attempt {
                Ok(()) => {
                    let found = Self::find(project, &toolchain, allowed)?;
                    return found.with_context(|| {
                        format!("{} ended well, and yet there is no standard library for {TARGET}", way.title())
                    });
                }
                Err(error) => failures.push((way, error)),
            }
        }
        Err(none_worked(&failures))
    }

    /// The library where it is already there. No network, and a few short-lived processes at most.
    fn find(project: &Project, toolchain: &Toolchain, allowed: &[Way]) -> Result<Option<Self>> {
        let is_toolchains = allowed.iter().any(|way| matches!(way, Way::Toolchain | Way::Rustup));
        if is_toolchains && has_libstd(&toolchain.wasm_folder()) {
            let key = key(&[&toolchain.version]);
            return Ok(Some(Self {
                origin: format!("in the toolchain {}", toolchain.sysroot.display()),
                key,
                sysroot: None,
            }));
        }
        if !allowed.contains(&Way::Debian) {
            return Ok(None);
        }
        let Some(debian) = DebianCompiler::installed() else {
            return Ok(None);
        };
        let Some(name) = finished_sysroot(&project.cache.join("std"), &debian.prefix()) else {
            return Ok(None);
        };
        let sysroot = project.cache.join("std").join(&name);
        // The linkers are those of the toolchain that is active now, which need not be the one of then.
        project::symlink(&toolchain.linkers()?, &linkers(&sysroot, &toolchain.host))?;
        Ok(Some(Self {
            origin: format!("built from Debian's source, {}", sysroot.display()),
            key: key(&[&name]),
            sysroot: Some(sysroot),
        }))
    }

    /// A `cargo` command that compiles for [`TARGET`], into [`WasmStd::target_folder`], with the user's `RUSTFLAGS` and [`RUSTFLAGS`].
    pub(crate) fn cargo(&self, project: &Project) -> Command {
        let mut command = self.compiler(project);
        add_rustflags(&mut command, RUSTFLAGS);
        if let Some(flag) = remap_of_sources() {
            add_rustflags(&mut command, &flag);
        }
        command
    }

    /// As [`WasmStd::cargo`], without a flag: neither ours nor the user's.
    pub(crate) fn cargo_without_flags(&self, project: &Project) -> Command {
        let mut command = self.compiler(project);
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
            command.env_remove(variable);
        }
        command.env("CARGO_TARGET_DIR", self.plain_target_folder(project));
        command
    }

    /// Where cargo puts what is compiled without flags.
    pub(crate) fn plain_target_folder(&self, project: &Project) -> PathBuf {
        self.target_folder(project).join("plain")
    }

    fn compiler(&self, project: &Project) -> Command {
        let mut command = project.cargo();
        command.env("CARGO_TARGET_DIR", self.target_folder(project));
        if let Some(sysroot) = &self.sysroot {
            command.env("RUSTC", sysroot.join("bin/rustc"));
        }
        command
    }

    /// Whether it is Debian's compiler.
    pub(crate) fn is_debians(&self) -> bool {
        self.sysroot.is_some()
    }

    /// The command `cargo clippy`, or `None` where no clippy fits the compiler.
    pub(crate) fn clippy(&self, project: &Project) -> Option<Command> {
        let mut command = self.cargo(project);
        let Some(sysroot) = &self.sysroot else {
            command.arg("clippy");
            return Some(command);
        };
        // Debian's clippy belongs to Debian's compiler; it asks for the sysroot by a variable, and for cargo by another.
        let mut clippy = Command::new(tools::DEBIAN_CLIPPY);
        if !Path::new(tools::DEBIAN_CLIPPY).is_file() {
            return None;
        }
        clippy.arg("clippy").current_dir(&project.root).env("CARGO", command.get_program()).env("SYSROOT", sysroot);
        clippy.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Some(clippy)
    }

    /// Where cargo puts what it compiles for wasm. Cargo can't see that a library has changed under the same compiler version, so each
    /// one has a folder of its own.
    pub(crate) fn target_folder(&self, project: &Project) -> PathBuf {
        project.target.join(format!("wasm-{}", &self.key[..8]))
    }
}

/// The toolchain that runs this program.
struct Toolchain {
    sysroot: PathBuf,
    host: String,
    /// The whole answer of `rustc -vV`, with the sysroot.
    version: String,
}

impl Toolchain {
    fn active(project: &Project) -> Result<Self> {
        // The compiler beside the cargo that runs us: the same one that rustup's proxy would choose, without the proxy's time.
        let beside = env::var_os("CARGO")
            .map(|cargo| PathBuf::from(cargo).with_file_name("rustc"))
            .filter(|path| path.is_file());
        let rustc = beside.unwrap_or_else(|| "rustc".into());
        let version = step::output(Command::new(&rustc).arg("-vV").current_dir(&project.root))?;
        let sysroot = step::output(Command::new(&rustc).args(["--print", "sysroot"]).current_dir(&project.root))?;
        let host = field(&version, "host: ").context("`rustc -vV` names no host")?;
        Ok(Self { host, version: format!("{version}\n{sysroot}"), sysroot: sysroot.into() })
    }

    fn wasm_folder(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TARGET).join("lib")
    }

    /// The folder with `wasm-component-ld` and `gcc-ld/wasm-ld`.
    fn linkers(&self) -> Result<PathBuf> {
        let folder = linkers(&self.sysroot, &self.host);
        ensure!(
            folder.join("wasm-component-ld").is_file() && folder.join("gcc-ld/wasm-ld").is_file(),
            "the linkers wasm-component-ld and gcc-ld/wasm-ld are not in {}; a toolchain of rustup's has them",
            folder.display()
        );
        Ok(folder)
    }
}

/// The compiler of Debian's packages.
struct DebianCompiler {
    /// The answer of `rustc -vV`.
    version: String,
    release: String,
    host: String,
    /// Debian's version of the standard library's source.
    package: String,
}

impl DebianCompiler {
    fn installed() -> Option<Self> {
        let package = tools::apt_version("rust-web-src")?;
        let version = step::output(Command::new(DEBIAN_RUSTC).arg("-vV").env_remove("LD_LIBRARY_PATH")).ok()?;
        Some(Self { release: field(&version, "release: ")?, host: field(&version, "host: ")?, version, package })
    }

    /// How the names of the sysroots begin that were made from this compiler by this recipe.
    fn prefix(&self) -> String {
        let key = key(&[&self.version, &self.package, RECIPE]);
        format!("{}-{}-libc-", self.release, &key[..12])
    }
}

/// A build of the library. They differ in their C library, and so in what a component would import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// Rust's own, in the toolchain.
    Rustups,
    /// That which is made of Debian's packages.
    Debians,
}

impl Library {
    pub(crate) const ALL: [Self; 2] = [Self::Rustups, Self::Debians];

    /// Its name in paths, and for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rustups => "rustup",
            Self::Debians => "debian",
        }
    }

    fn ways(self) -> &'static [Way] {
        match self {
            Self::Rustups => &[Way::Toolchain, Way::Rustup],
            Self::Debians => &[Way::Debian],
        }
    }
}

/// The ways to the library, in the order in which they are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Toolchain,
    Rustup,
    Debian,
}

impl Way {
    const ALL: [Self; 3] = [Self::Toolchain, Self::Rustup, Self::Debian];

    fn title(self) -> String {
        match self {
            Self::Toolchain => "the active toolchain".to_string(),
            Self::Rustup => format!("`rustup target add {TARGET}`"),
            Self::Debian => "building it from Debian's source".to_string(),
        }
    }

    /// Whether the user lets it be tried: the environment variable [`CHOICE`] names the ways that may be, all of them if unset.
    fn is_allowed(self) -> bool {
        let name = match self {
            Self::Toolchain => "toolchain",
            Self::Rustup => "rustup",
            Self::Debian => "debian",
        };
        env::var(CHOICE).map_or(true, |choice| choice.is_empty() || choice.split(',').any(|word| word.trim() == name))
    }
}

fn add_target(toolchain: &Toolchain) -> Result<()> {
    let rustup = project::program("rustup").context("there is no `rustup` in PATH")?;
    let mut command = Command::new(rustup);
    command.args(["target", "add", TARGET]).env("RUSTUP_AUTO_INSTALL", "0").env("RUST_BACKTRACE", "0");
    // `RUSTUP_TOOLCHAIN` comes down from the `cargo` that runs us; without it the default toolchain is meant.
    let downloads = toolchain.sysroot.ancestors().nth(2).map(|rustup_home| rustup_home.join("downloads"));
    let outcome = Step::new(format!("wasm std: rustup target add {TARGET}"), command)
        .give_up_after(RUSTUP_SILENCE, downloads)
        .attempt()?;
    ensure!(outcome.success, "{}\n{}", outcome.ending, outcome.tail(LINES_OF_A_FAILURE));
    ensure!(
        has_libstd(&toolchain.wasm_folder()),
        "it ended well, but {} has no libstd",
        toolchain.wasm_folder().display()
    );
    Ok(())
}

fn build_from_debian(project: &Project, toolchain: &Toolchain, lock: &fs::File) -> Result<()> {
    let linkers_of_toolchain = toolchain.linkers()?;
    tools::apt_install(project, "the compiler and the standard library's source", DEBIAN_PACKAGES)?;
    let debian = DebianCompiler::installed()
        .with_context(|| format!("{DEBIAN_RUSTC} doesn't run, though its package is installed"))?;
    ensure!(
        at_least(&debian.release, env!("CARGO_PKG_RUST_VERSION")),
        "Debian's rustc-web is {}, and this project needs {} or newer: is Debian's security suite among apt's sources?",
        debian.release,
        env!("CARGO_PKG_RUST_VERSION")
    );
    ensure!(
        debian.host == toolchain.host,
        "Debian's compiler is for {}, the toolchain's linkers for {}",
        debian.host,
        toolchain.host
    );

    let work = project.workplace(lock)?;
    let (libc, libc_version) = fetch_libc(&work)?;
    let libraries = build_std(&work)?;

    // The sysroot: Debian's, as links, and the wasm library beside it.
    let sysroot = work.path.join("sysroot");
    let host = Path::new("lib/rustlib").join(&debian.host);
    for part in [host.join("lib"), "lib/rustlib/src".into(), "lib/rustlib/etc".into()] {
        project::symlink(&Path::new("/usr").join(&part), &sysroot.join(&part))?;
    }
    project::symlink(&linkers_of_toolchain, &linkers(&sysroot, &debian.host))?;
    let wasm = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    copy(&libraries, &wasm)?;
    let libc_folder = libc.join("usr/lib").join(TARGET);
    copy(&LIBC_FILES.map(|name| libc_folder.join(name)), &wasm.join("self-contained"))?;
    add_thread_stubs(&work, &sysroot, &linkers_of_toolchain.join("gcc-ld/wasm-ld"))?;
    let name =
        format!("{}{}", debian.prefix(), libc_version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"));
    let place = project.cache.join("std").join(&name);
    write_wrapper(&sysroot, &place)?;
    work.finish("sysroot", &place)
}

/// Fetches and unpacks Debian's `wasi-libc`: the folder and the package's version. Its suite is none of the machine's sources; apt is
/// given a list of our own and folders of our own, so that the machine's configuration stays as it is.
fn fetch_libc(work: &Workplace) -> Result<(PathBuf, String)> {
    let apt = work.path.join("apt");
    let lists = apt.join("lists");
    fs::create_dir_all(lists.join("partial"))?;
    let sources = apt.join("sources.list");
    fs::write(&sources, LIBC_SOURCE)?;
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(&apt).arg("-q");
        let options = [
            format!("Dir::Etc::SourceList={}", sources.display()),
            "Dir::Etc::SourceParts=/dev/null".to_string(),
            format!("Dir::State::Lists={}", lists.display()),
            "Dir::Cache::pkgcache=".to_string(),
            "Dir::Cache::srcpkgcache=".to_string(),
            "APT::Sandbox::User=root".to_string(),
        ];
        for option in options {
            command.args(["-o", &option]);
        }
        command.args(arguments);
        command
    };
    // apt-get update ends well when it could fetch nothing; then the download says that the package is unknown.
    let update = Step::new("wasm std: reading Debian's list of backports", apt_get(&["update"])).run()?;
    let download = Step::new("wasm std: fetching wasi-libc", apt_get(&["download", "wasi-libc"])).attempt()?;
    ensure!(
        download.success,
        "wasi-libc of bookworm-backports can't be fetched\n{}\n{}",
        update.tail(4),
        download.tail(4)
    );
    let package = files(&apt, ".deb")?.pop().context("`apt-get download wasi-libc` left no .deb file")?;
    let version = step::output(Command::new("dpkg-deb").arg("-f").arg(&package).arg("Version"))?;
    let unpacked = work.path.join("libc");
    step::output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
    Ok((unpacked, version))
}

/// Builds the standard library for an empty library crate: the `.rlib` files. (An empty program would fail at linking.)
fn build_std(work: &Workplace) -> Result<Vec<PathBuf>> {
    let folder = work.path.join("empty");
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), EMPTY_CRATE)?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let mut command = Command::new("/usr/bin/cargo");
    command.current_dir(&folder).args([
        "build",
        "--release",
        "--lib",
        "-Zbuild-std=std,panic_abort,test",
        "--target",
        TARGET,
    ]);
    // None of the variables of the cargo that runs us, nor those that the user set for it.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text != "CARGO_HOME" && ["CARGO", "RUST", "LD_LIBRARY_PATH"].iter().any(|start| text.starts_with(start)) {
            command.env_remove(name);
        }
    }
    // Without the bitcode, `lto = "fat"` fails later: "Can't find section .llvmbc".
    command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Cembed-bitcode=yes");
    command.env("CARGO_TARGET_DIR", folder.join("target"));
    Step::new("wasm std: building it from Debian's source, about a minute", command).run()?;
    let mut libraries = files(&folder.join("target").join(TARGET).join("release/deps"), ".rlib")?;
    libraries.retain(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libempty-")));
    for needed in ["libstd-", "libtest-", "libpanic_abort-"] {
        let found = libraries
            .iter()
            .any(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(needed)));
        ensure!(found, "cargo built the standard library, but no {needed}*.rlib is among the files");
    }
    Ok(libraries)
}

/// Adds to the start-up objects those functions for threads that std names and the C library lacks. Newer releases of wasi-libc have
/// such functions, which say that there are no threads; without them nothing links that names `std::thread`, and so no test program.
fn add_thread_stubs(work: &Workplace, sysroot: &Path, wasm_ld: &Path) -> Result<()> {
    let folder = sysroot.join("lib/rustlib").join(TARGET).join("lib/self-contained");
    let libc = fs::read(folder.join("libc.a"))?;
    let source = work.path.join("thread_stubs.rs");
    fs::write(&source, thread_stubs(&libc))?;
    let object = source.with_extension("o");
    let mut rustc = Command::new(DEBIAN_RUSTC);
    rustc.env_remove("LD_LIBRARY_PATH").arg("--sysroot").arg(sysroot).args(["--target", TARGET, "--edition", "2024"]);
    rustc
        .args(["--crate-type", "lib", "--emit", "obj", "-Copt-level=3", "-Ccodegen-units=1", "-o"])
        .arg(&object)
        .arg(&source);
    step::output(&mut rustc)?;
    for name in LIBC_FILES.into_iter().filter(|name| name.ends_with(".o")) {
        let joined = work.path.join(name);
        step::output(Command::new(wasm_ld).arg("-r").arg(folder.join(name)).arg(&object).arg("-o").arg(&joined))?;
        copy(&[joined], &folder)?;
    }
    Ok(())
}

/// Functions for those of [`THREAD_FUNCTIONS`] that are not in the index of the archive `libc`.
fn thread_stubs(libc: &[u8]) -> String {
    let mut source = "#![no_std]\n".to_string();
    for (name, parameters, result) in THREAD_FUNCTIONS {
        let entry = format!("\0{name}\0");
        if !libc.windows(entry.len()).any(|bytes| bytes == entry.as_bytes()) {
            let parameters = vec!["_: usize"; *parameters].join(", ");
            source +=
                &format!("#[unsafe(no_mangle)]\npub extern \"C\" fn {name}({parameters}) -> i32 {{ {result} }}\n");
        }
    }
    source
}

/// Writes `bin/rustc`, which runs Debian's compiler with the sysroot that will be at `place`.
fn write_wrapper(sysroot: &Path, place: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let quoted = place.to_str().context("the cache folder's path is not UTF-8")?.replace('\'', r"'\''");
    let wrapper = sysroot.join("bin/rustc");
    fs::create_dir_all(sysroot.join("bin"))?;
    fs::write(&wrapper, format!("#!/bin/sh\nexec {DEBIAN_RUSTC} --sysroot '{quoted}' \"$@\"\n"))?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn none_worked(failures: &[(Way, anyhow::Error)]) -> anyhow::Error {
    let mut text =
        format!("the Rust standard library for {TARGET} is missing, and none of the three ways to get it worked\n");
    for (number, (way, error)) in failures.iter().enumerate() {
        text += &format!("\n  {}. {}: {error:#}\n", number + 1, way.title());
    }
    text += "\nTo do, one of these:\n";
    text += &format!("  - a rustup toolchain, and Rust's download server reachable for `rustup target add {TARGET}`\n");
    text += &format!(
        "  - Debian 12 or newer with its security suite, and `apt-get install {}`\n",
        DEBIAN_PACKAGES.join(" ")
    );
    text += &format!(
        "  - any toolchain of Rust {} or newer that has this target's library",
        env!("CARGO_PKG_RUST_VERSION")
    );
    anyhow!(text)
}

/// Adds `flags` to those that the user or we have set, in the variable that cargo will read.
pub(crate) fn add_rustflags(command: &mut Command, flags: &str) {
    let of_command = |name: &str| command.get_envs().find(|(key, _)| *key == name).map(|(_, value)| value);
    let variable = |name: &str| match of_command(name) {
        Some(value) => value.map(|value| value.to_string_lossy().into_owned()),
        None => env::var(name).ok(),
    };
    let (name, value) = joined_rustflags(variable("CARGO_ENCODED_RUSTFLAGS"), variable("RUSTFLAGS"), flags);
    command.env(name, value);
}

/// Takes the folder of cargo's sources out of the paths that panics name: the component gets smaller, and says nothing of who built it.
/// Cargo splits flags at spaces, so a folder with one stays as it is.
fn remap_of_sources() -> Option<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")))?;
    let sources = home.join("registry/src").display().to_string();
    (!sources.contains(' ')).then(|| format!("--remap-path-prefix={sources}/="))
}

fn joined_rustflags(encoded: Option<String>, plain: Option<String>, flags: &str) -> (&'static str, String) {
    match (encoded.filter(|value| !value.is_empty()), plain.filter(|value| !value.trim().is_empty())) {
        (Some(user), _) => ("CARGO_ENCODED_RUSTFLAGS", format!("{user}\u{1f}{flags}")),
        (None, Some(user)) => ("RUSTFLAGS", format!("{user} {flags}")),
        (None, None) => ("RUSTFLAGS", flags.to_string()),
    }
}

/// The newest finished sysroot whose name begins with `prefix`.
fn finished_sysroot(folder: &Path, prefix: &str) -> Option<String> {
    let names = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).max()
}

fn linkers(sysroot: &Path, host: &str) -> PathBuf {
    sysroot.join("lib/rustlib").join(host).join("bin")
}

fn has_libstd(folder: &Path) -> bool {
    files(folder, ".rlib").is_ok_and(|files| {
        files.iter().any(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libstd-")))
    })
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("can't read the folder {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect())
}

fn copy(paths: &[PathBuf], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for path in paths {
        let Some(name) = path.file_name() else { bail!("{} names no file", path.display()) };
        fs::copy(path, folder.join(name))
            .with_context(|| format!("can't copy {} to {}", path.display(), folder.display()))?;
    }
    Ok(())
}

/// What stands after `name` in an answer of one field a line.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_string())
}

/// Whether the version `have` is `want` or newer.
fn at_least(have: &str, want: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> { version.split('.').map_while(|part| part.parse().ok()).collect() };
    numbers(have) >= numbers(want)
}

/// Names the ways that may be tried, separated by commas: `toolchain`, `rustup`, `debian`. Unset: all.
const CHOICE: &str = "GUEST_TLS_WASM_STD";

/// What every engine that runs components has.
const RUSTFLAGS: &str = "-Ctarget-feature=+simd128";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// In bookworm's security suite, kept current for Firefox.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// The wasi-libc of 2024; bookworm's own, of 2022, is too old. The package is the same for every architecture and release.
const LIBC_SOURCE: &str = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main\n";

const LIBC_FILES: [&str; 3] = ["libc.a", "crt1-command.o", "crt1-reactor.o"];

/// What std calls for threads: name, number of parameters, answer. No thread can be made (EAGAIN), so there is none to wait for (ESRCH).
const THREAD_FUNCTIONS: &[(&str, usize, i32)] = &[
    ("pthread_attr_init", 1, 0),
    ("pthread_attr_setstacksize", 2, 0),
    ("pthread_attr_destroy", 1, 0),
    ("pthread_create", 4, 6),
    ("pthread_join", 2, 71),
    ("pthread_detach", 1, 71),
];

/// Goes up when the way of building changes, so that what older recipes made isn't used.
const RECIPE: &str = "recipe 2";

const EMPTY_CRATE: &str = r#"[package]
name = "empty"
version = "0.0.0"
edition = "2024"

[profile.release]
panic = "abort"

[workspace]
"#;

/// How long rustup may show no progress.
const RUSTUP_SILENCE: Duration = Duration::from_secs(20);

const LINES_OF_A_FAILURE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_flags_stay() {
        let some = |text: &str| Some(text.to_string());
        assert_eq!(joined_rustflags(None, None, "-A"), ("RUSTFLAGS", "-A".to_string()));
        assert_eq!(joined_rustflags(some(""), some(" "), "-A"), ("RUSTFLAGS", "-A".to_string()));
        assert_eq!(joined_rustflags(None, some("-g"), "-A"), ("RUSTFLAGS", "-g -A".to_string()));
        assert_eq!(
            joined_rustflags(some("-g"), some("-h"), "-A"),
            ("CARGO_ENCODED_RUSTFLAGS", "-g\u{1f}-A".to_string())
        );
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(at_least("1.96.0", "1.95"));
        assert!(at_least("1.100.0", "1.95"));
        assert!(at_least("1.95.0", "1.95.0"));
        assert!(!at_least("1.85.0", "1.95"));
    }

    #[test]
    fn the_compilers_answer_is_read() {
        let answer =
            "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0";
        assert_eq!(field(answer, "host: ").as_deref(), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(answer, "release: ").as_deref(), Some("1.96.0"));
        assert_eq!(field(answer, "LLVM version: "), None);
    }

    #[test]
    fn only_what_the_c_library_lacks_is_added() {
        let all = thread_stubs(b"");
        assert_eq!(all.matches("no_mangle").count(), THREAD_FUNCTIONS.len());
        assert!(all.contains("fn pthread_create(_: usize, _: usize, _: usize, _: usize) -> i32 { 6 }"));
        let newer = thread_stubs(b"abort\0pthread_create\0pthread_join_all\0");
        assert!(!newer.contains("pthread_create") && newer.contains("pthread_join"));
    }

    #[test]
    fn a_failure_names_the_three_ways() {
        let failures: Vec<_> = Way::ALL.into_iter().map(|way| (way, anyhow!("no luck"))).collect();
        let text = none_worked(&failures).to_string();
        for part in
            ["1. the active toolchain: no luck", "2. `rustup target add", "3. building it", "apt-get install rustc-web"]
        {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
