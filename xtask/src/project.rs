//! Where things are: the clone, cargo's target folder, the cache; and the programs `cargo` and `rustc`.

use std::{
    env, fs,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// The folders that all commands work with.
pub(crate) struct Project {
    /// The root of the clone.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// What outlives a clone: the wasm standard library, Node. See [`cache_folder`].
    pub(crate) cache: PathBuf,
}

impl Project {
    /// Finds the folders, by cargo's and the user's environment variables.
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets the variable for `cargo run`; the compiled-in value serves whoever starts the binary by hand.
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.parent().context("xtask's folder has no parent folder")?.to_path_buf();
        Ok(Self { target: target_folder(&root)?, cache: cache_folder()?, root })
    }

    /// A `cargo` command in the clone, of the toolchain that runs this program, with the same target folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Where finished components lie.
    pub(crate) fn components(&self) -> PathBuf {
        self.target.join("components")
    }

    /// Where the finished component lies.
    pub(crate) fn component(&self) -> PathBuf {
        self.components().join("guest-tls.wasm")
    }

    /// Where the tools are that tests start by path, such as Node.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Waits until no other `cargo xtask` does `what` (one word). The lock ends with the returned file.
    pub(crate) fn lock(&self, what: &str) -> Result<File> {
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("can't make the cache folder {}", self.cache.display()))?;
        let path = self.cache.join(format!("{what}.lock"));
        let file = File::create(&path).with_context(|| format!("can't make the lock file {}", path.display()))?;
        let started = Instant::now();
        let mut said = 0;
        while let Err(error) = file.try_lock() {
            if let TryLockError::Error(error) = error {
                return Err(error).with_context(|| format!("can't lock {}", path.display()));
            }
            let waited = started.elapsed().as_secs();
            if waited >= said {
                eprintln!("{what}: waiting for another `cargo xtask` that is at it, {waited} s");
                said = waited + 15;
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(file)
    }

    /// An empty folder in the cache to build something in, which [`Workplace::finish`] moves to its place. Only for the holder of
    /// the lock: what an interrupted run left is deleted.
    pub(crate) fn workplace(&self, _lock: &File) -> Result<Workplace> {
        let path = self.cache.join("unfinished");
        remove_all(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("can't make the folder {}", path.display()))?;
        Ok(Workplace { path })
    }
}

/// A folder that is not finished yet, deleted unless it is moved away.
pub(crate) struct Workplace {
    /// The folder.
    pub(crate) path: PathBuf,
}

impl Workplace {
    /// Moves the folder `part` of this one to `place`, all at once, in place of whatever was there.
    pub(crate) fn finish(self, part: &str, place: &Path) -> Result<()> {
        remove_all(place)?;
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).with_context(|| format!("can't make the folder {}", parent.display()))?;
        }
        fs::rename(self.path.join(part), place)
            .with_context(|| format!("can't move the finished folder to {}", place.display()))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What stays is deleted by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The first program of that name in `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Puts `content` into `path` unless it is there already; whether it wasn't. Readers see the old file or the new one, nothing between.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let folder = path.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    fs::write(&unfinished, content).with_context(|| format!("can't write {}", unfinished.display()))?;
    fs::rename(&unfinished, path).with_context(|| format!("can't write {}", path.display()))?;
    Ok(true)
}

/// Makes `link` a symbolic link to `to` unless it is one already.
pub(crate) fn symlink(to: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == to) {
        return Ok(());
    }
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    }
    let unfinished = link.with_extension(format!("{}.unfinished", std::process::id()));
    std::os::unix::fs::symlink(to, &unfinished)
        .and_then(|()| fs::rename(&unfinished, link))
        .with_context(|| format!("can't make the link {} to {}", link.display(), to.display()))
}

/// Sixteen hexadecimal digits for `parts` (FNV-1a: stable over compilers and machines, and nothing here is an attack).
pub(crate) fn key(parts: &[&str]) -> String {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

fn remove_all(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// `CARGO_TARGET_DIR` (or its older name), else `target` in the clone. All commands give it on to cargo.
fn target_folder(root: &Path) -> Result<PathBuf> {
    let by_user = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].into_iter().find_map(non_empty);
    by_user.map_or_else(
        || Ok(root.join("target")),
        |folder| std::path::absolute(folder).context("the target folder's path is no path"),
    )
}

/// `$GUEST_TLS_CACHE`, else `$XDG_CACHE_HOME/guest-tls`, else `~/.cache/guest-tls`.
fn cache_folder() -> Result<PathBuf> {
    let folder = non_empty("GUEST_TLS_CACHE")
        .or_else(|| Some(non_empty("XDG_CACHE_HOME")?.join("guest-tls")))
        .or_else(|| Some(non_empty("HOME")?.join(".cache/guest-tls")));
    match folder {
        Some(folder) => std::path::absolute(folder).context("the cache folder's path is no path"),
        None => {
            bail!("no folder for the cache: none of GUEST_TLS_CACHE, XDG_CACHE_HOME and HOME is set; set one of them")
        }
    }
}

fn non_empty(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stable_and_tells_parts_apart() {
        assert_eq!(key(&[]), "cbf29ce484222325");
        assert_eq!(key(&["rustc 1.96.0", "1"]), key(&["rustc 1.96.0", "1"]));
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a"]), key(&["a", ""]));
    }

    #[test]
    fn a_file_is_written_only_when_it_changes() -> Result<()> {
        let folder = env::temp_dir().join(format!("xtask-test-{}", std::process::id()));
        let file = folder.join("deep/file.txt");
        assert!(write_if_changed(&file, b"one")?);
        assert!(!write_if_changed(&file, b"one")?);
        assert!(write_if_changed(&file, b"two")?);
        symlink(&file, &folder.join("link"))?;
        symlink(&file, &folder.join("link"))?;
        assert_eq!(fs::read(folder.join("link"))?, b"two");
        remove_all(&folder)?;
        remove_all(&folder)
    }
}
