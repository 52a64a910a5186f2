//! A server of pages that nobody here wrote: `openssl s_server -WWW`, which sends the files of a folder by HTTP/1.0.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::certificates::Identity;
use crate::paths;
use crate::peers::within;

/// A running server. It ends with this.
pub struct Pages {
    /// Its port on 127.0.0.1.
    pub port: u16,
    _child: Child,
    // Its pipe stays open, since it goes on to write.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Pages {
    /// Starts one with this certificate and these pages, and more of OpenSSL's options.
    pub async fn start(identity: &Identity, pages: &[(&str, &[u8])], more: &[&str]) -> Result<Pages> {
        let folder = folder()?;
        for (name, page) in pages {
            fs::write(folder.join(name), page).with_context(|| format!("can't write {name}"))?;
        }
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-WWW", "-cert"]).arg(identity.certificate_path());
        command.arg("-key").arg(identity.key_path()).args(more).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().context("the openssl command does not start")?;
        let mut output = BufReader::new(child.stdout.take().context("openssl's output")?).lines();
        let port = within(async {
            loop {
                let line = output.next_line().await?.context("s_server has ended before it listened")?;
                if let Some(address) = line.strip_prefix("ACCEPT ") {
                    let port = address.rsplit(':').next().and_then(|port| port.trim().parse().ok());
                    return port.with_context(|| format!("no port in {line:?}"));
                }
            }
        });
        Ok(Pages { port: port.await?, _child: child, _output: output })
    }

    /// The address of a page, whose host is an IP address.
    pub fn url(&self, page: &str) -> String {
        format!("https://127.0.0.1:{}/{page}", self.port)
    }
}

/// A new folder.
fn folder() -> Result<PathBuf> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = paths::scratch()?.join(format!("pages-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
