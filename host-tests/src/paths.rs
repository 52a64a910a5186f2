//! Folders below cargo's target folder.

use std::path::PathBuf;

/// Cargo's target folder: the one that `cargo xtask` names, or the one in which this program lies.
pub fn target() -> PathBuf {
    if let Some(folder) = std::env::var_os("CARGO_TARGET_DIR") {
        return folder.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    marked.map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from)
}

/// A folder of this process for certificates and keys. Those of processes that are gone are removed.
pub fn scratch() -> std::io::Result<PathBuf> {
    let all = target().join("host-tests");
    let own = all.join(std::process::id().to_string());
    std::fs::create_dir_all(&own)?;
    for entry in std::fs::read_dir(&all)?.flatten() {
        let running = PathBuf::from("/proc").join(entry.file_name()).exists();
        if !running {
            // Another process may be doing the same: that it is gone is all we want.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(own)
}
