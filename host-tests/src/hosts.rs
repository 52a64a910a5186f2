//! The hosts of the component that people have, each with what its people know: `examples/`. A host takes part by an agent, see
//! [`Agent`].

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::paths;
use crate::peers::Listening;
use crate::peers::agent::{Agent, words};
use crate::peers::wasmtime;
use crate::setup::{Report, Role, Setup};

/// A host.
///
/// Wasmtime takes part in this process, by its crate; the others by an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// wasmtime, by the crate for Rust hosts.
    Wasmtime,
    /// Node, by the npm package.
    Node,
    /// Deno, by the npm package.
    Deno,
    /// Bun, by the npm package.
    Bun,
    /// Cloudflare's workerd, by a Worker.
    Workerd,
    /// Chromium, by a page.
    Chromium,
    /// Python, by a module with the shape of `ssl`.
    Python,
}

impl Host {
    /// All of them.
    pub const ALL: [Host; 7] =
        [Host::Wasmtime, Host::Node, Host::Deno, Host::Bun, Host::Workerd, Host::Chromium, Host::Python];

    /// Its name in tables and of tests.
    pub fn name(self) -> &'static str {
        match self {
            Host::Wasmtime => "wasmtime",
            Host::Node => "Node",
            Host::Deno => "Deno",
            Host::Bun => "Bun",
            Host::Workerd => "workerd",
            Host::Chromium => "Chromium",
            Host::Python => "Python",
        }
    }

    /// Why it can't play this role, if it can't.
    pub fn cannot(self, role: Role) -> Option<&'static str> {
        match (self, role) {
            (Host::Chromium, Role::Server) => Some("a page can't listen"),
            _ => None,
        }
    }

    /// The one that `GUEST_TLS_HOST` names: tests that let the component meet somebody by [`Peer`](crate::peers::Peer) then do that in this
    /// host, and in wasmtime where there is no such variable.
    pub fn chosen() -> Result<Option<Host>> {
        let Some(name) = std::env::var_os("GUEST_TLS_HOST") else { return Ok(None) };
        let host = Host::ALL.into_iter().find(|host| name.to_str() == Some(host.name()));
        let names = Host::ALL.map(Host::name).join(", ");
        host.map(Some).with_context(|| format!("GUEST_TLS_HOST is {}, and has to be one of {names}", name.display()))
    }

    /// A client.
    pub async fn connect(self, setup: &Setup, port: u16) -> Result<Report> {
        if self == Host::Wasmtime {
            return wasmtime::connect(setup, port).await;
        }
        let order = json!({ "order": "connect", "setup": words(setup), "port": port });
        self.agent().await?.order(order).await?.report().await
    }

    /// A server that takes as many connections as the setup says.
    pub async fn listen(self, setup: &Setup) -> Result<Listening> {
        if self == Host::Wasmtime {
            return wasmtime::listen(setup).await;
        }
        let mut answers = self.agent().await?.order(json!({ "order": "listen", "setup": words(setup) })).await?;
        let port = answers.port().await?;
        Ok(Listening::elsewhere(port, async move { answers.report().await }))
    }

    /// Its agent, which is started when it is needed first.
    async fn agent(self) -> Result<&'static Agent> {
        static AGENTS: [OnceCell<Agent>; Host::ALL.len()] = [const { OnceCell::const_new() }; Host::ALL.len()];
        let agent = &AGENTS[self as usize];
        agent.get_or_try_init(|| async { Agent::start(self.command()?) }).await
    }

    fn command(self) -> Result<Command> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("examples");
        let (program, options, script): (_, &[&str], _) = match self {
            Host::Wasmtime => bail!("wasmtime has no agent"),
            Host::Node => (tool("node"), &[], "node/test/agent.mjs"),
            Host::Deno => (tool("deno"), &["run", "--allow-all"], "node/test/agent.mjs"),
            Host::Bun => (tool("bun"), &["run"], "node/test/agent.mjs"),
            Host::Workerd => (tool("node"), &[], "workers/test/agent.mjs"),
            Host::Chromium => (tool("node"), &[], "browser/test/agent.mjs"),
            Host::Python => (tool("python"), &[], "python/test/agent.py"),
        };
        let mut command = Command::new(&program);
        command.args(options).arg(examples.join(script)).current_dir(&examples);
        command.env("GUEST_TLS_COMPONENT", crate::host::component_path());
        std::fs::metadata(&program).with_context(|| format!("no {} (cargo xtask hosts gets it)", program.display()))?;
        Ok(command)
    }
}

/// A program among the tools that `cargo xtask` gets.
pub fn tool(name: &str) -> PathBuf {
    paths::target().join("tools").join(name)
}
