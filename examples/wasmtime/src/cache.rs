//! What wasmtime compiled, kept between starts.
//!
//! It is machine code, which wasmtime runs as it is: it checks that the same version with the same configuration wrote it, not who did. So
//! it is kept only where nobody else can write.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use wasmtime::{Cache, CacheConfig};

use crate::error::Error;
use crate::host::not_run;

/// Where a [`Host`](crate::Host) keeps what wasmtime compiled. Only the first start of the first program compiles then; later ones, and
/// other programs with the same wasmtime, take milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CompiledCache {
    /// A folder of the user: `guest-tls-wasmtime` in `$XDG_CACHE_HOME`, else in `~/.cache`, or in `%LOCALAPPDATA%` on Windows.
    ///
    /// On Unix it is made for the user alone, and used only if neither it nor a folder above can be written by another user than root;
    /// a program with another user's `HOME`, as `sudo` may leave it, does not use it. Where there is no such folder, each start compiles.
    #[default]
    User,
    /// This folder, an absolute path. Whoever can write to it can run code in this process, which is not checked.
    Folder(PathBuf),
    /// Nowhere: each start compiles.
    Off,
}

impl CompiledCache {
    /// Opens the cache, where there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Component`]: the folder that was asked for can't be used.
    pub(crate) fn open(&self) -> Result<Option<Cache>, Error> {
        match self {
            CompiledCache::Off => Ok(None),
            CompiledCache::Folder(folder) => open(folder).map(Some).map_err(not_run),
            CompiledCache::User => {
                Ok(user_folder().and_then(|folder| private(&folder).ok()).and_then(|folder| open(&folder).ok()))
            }
        }
    }
}

fn open(folder: &Path) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config)
}

fn user_folder() -> Option<PathBuf> {
    let set = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = if cfg!(windows) {
        set("LOCALAPPDATA")?
    } else {
        set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?
    };
    Some(parent.join("guest-tls-wasmtime"))
}

/// Makes the folder where there is none, and returns its path without links. An error if another user may write to it.
#[cfg(unix)]
fn private(folder: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let folder = fs::canonicalize(folder)?;
    let me = user(&folder)?;
    for (depth, path) in folder.ancestors().enumerate() {
        let metadata = fs::symlink_metadata(path)?;
        let others_write = metadata.mode() & 0o022 != 0;
        // In a folder such as /tmp, nobody can replace what belongs to another one.
        let is_sticky = depth > 0 && metadata.mode() & 0o1000 != 0;
        let is_owned = metadata.uid() == me || (depth > 0 && metadata.uid() == 0);
        if !is_owned || (others_write && !is_sticky) {
            let message = format!("{} can be written by another user", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
    }
    Ok(folder)
}

/// The user as whom this process makes files.
#[cfg(unix)]
fn user(folder: &Path) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;

    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let probe = folder.join(format!(".owner-{:016x}", u64::from_ne_bytes(random)));
    let made = fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    let owner = made.metadata().map(|metadata| metadata.uid());
    fs::remove_file(&probe)?;
    owner
}

/// Windows gives each user's folders to that user alone.
#[cfg(not(unix))]
fn private(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    fs::canonicalize(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_others_can_write_is_not_used() {
        let target = env::current_exe().expect("a test is a program");
        let base = env::temp_dir().join(format!("guest-tls-cache-{}", std::process::id()));
        fs::create_dir(&base).expect("made");
        for (parent, own, is_used) in [
            (0o700, 0o700, true),
            (0o755, 0o755, true),
            (0o755, 0o770, false),
            (0o755, 0o702, false),
            (0o755, 0o1777, false),
            (0o777, 0o700, false),
            (0o775, 0o700, false),
            (0o1777, 0o700, true),
        ] {
            let folder = base.join("parent/own");
            fs::create_dir_all(&folder).expect("made");
            fs::set_permissions(&folder, fs::Permissions::from_mode(own)).expect("set");
            fs::set_permissions(base.join("parent"), fs::Permissions::from_mode(parent)).expect("set");
            let used = private(&folder);
            assert_eq!(used.is_ok(), is_used, "{parent:o}/{own:o}: {used:?}");
            fs::remove_dir_all(base.join("parent")).expect("removed, with nothing left in it");
        }
        // One that is not there is made for its user alone.
        let made = private(&base.join("new/own")).expect("made");
        assert_eq!(fs::metadata(&made).expect("there").permissions().mode() & 0o777, 0o700);
        // A file is none.
        assert!(private(&target).is_err());
        fs::remove_dir_all(&base).expect("removed");
    }
}
