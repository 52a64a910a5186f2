//! Those who talk TLS with the component: each can be a server and a client, takes the same [`Setup`] and gives the same [`Report`].

pub mod agent;
pub mod command;
pub mod component;
pub mod node;
pub mod openssl;
pub mod rustls;
pub mod wasmtime;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use crate::certificates::Kind;
use crate::hosts::Host;
use crate::setup::{P521, Report, Role, Setup};

/// A TLS implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `openssl s_client` and `openssl s_server`.
    OpenSsl,
    /// Node's `tls`.
    Node,
    /// rustls with ring, natively.
    Rustls,
    /// Another instance of the component; in the host that [`Host::chosen`] gives, else in wasmtime.
    Component,
    /// The component by its crate for Rust hosts.
    Wasmtime,
}

/// A server that waits for one connection.
pub struct Listening {
    /// Its port on 127.0.0.1.
    pub port: u16,
    report: Pin<Box<dyn Future<Output = Result<Report>> + Send>>,
}

impl Peer {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Peer::OpenSsl => "openssl",
            Peer::Node => "node",
            Peer::Rustls => "rustls",
            Peer::Component => "itself",
            Peer::Wasmtime => "wasmtime",
        }
    }

    /// Starts a server for one connection, on a port that the system chooses.
    pub async fn listen(self, setup: &Setup) -> Result<Listening> {
        let started = match self {
            Peer::OpenSsl => within(openssl::listen(setup)).await,
            Peer::Node => within(node::listen(setup)).await,
            Peer::Rustls => within(rustls::listen(setup)).await,
            Peer::Component => match Host::chosen()? {
                Some(host) => within(host.listen(setup)).await,
                None => within(component::listen(setup)).await,
            },
            Peer::Wasmtime => within(wasmtime::listen(setup)).await,
        };
        started.with_context(|| format!("{} as server", self.name()))
    }

    /// Connects to a port of 127.0.0.1.
    pub async fn connect(self, setup: &Setup, port: u16) -> Result<Report> {
        let report = match self {
            Peer::OpenSsl => within(openssl::connect(setup, port)).await,
            Peer::Node => within(node::connect(setup, port)).await,
            Peer::Rustls => within(rustls::connect(setup, port)).await,
            Peer::Component => match Host::chosen()? {
                Some(host) => within(host.connect(setup, port)).await,
                None => within(component::connect(setup, port)).await,
            },
            Peer::Wasmtime => within(wasmtime::connect(setup, port)).await,
        };
        report.with_context(|| format!("{} as client", self.name()))
    }

    /// Why it can't do this as client or as server, if it can't.
    pub fn cannot(self, role: Role, setup: &Setup, certificate: Kind) -> Option<&'static str> {
        let has_hybrid = setup.groups.iter().any(|group| group.is_hybrid());
        match self {
            Peer::OpenSsl if has_hybrid => Some("OpenSSL 3.0 has no ML-KEM"),
            Peer::Rustls if has_hybrid => Some("rustls with ring has no ML-KEM"),
            Peer::Rustls if setup.groups.contains(&P521) => Some("ring has no P-521 key exchange"),
            Peer::Rustls if certificate == Kind::P521 && role == Role::Server => Some("ring can't sign with P-521"),
            Peer::Rustls if certificate == Kind::P521 => Some("ring can't verify P-521"),
            _ => None,
        }
    }

    /// Why it can't go on sending after the other end has ended, or the other way round, if it can't.
    pub fn cannot_half_close(self) -> Option<&'static str> {
        match self {
            Peer::OpenSsl => Some("s_client and s_server stop reading and writing at the first close_notify"),
            _ => None,
        }
    }
}

impl Peer {
    /// Whether its report names the group that was agreed on.
    pub fn says_group(self, role: Role) -> bool {
        match self {
            Peer::OpenSsl | Peer::Node => role == Role::Client,
            // The hosts with the shape of Node's `tls` say what that says.
            Peer::Component => role == Role::Client || !matches!(Host::chosen(), Ok(Some(_))),
            Peer::Rustls | Peer::Wasmtime => true,
        }
    }
}

impl Listening {
    /// A server that is somewhere else.
    pub fn elsewhere(port: u16, report: impl Future<Output = Result<Report>> + Send + 'static) -> Listening {
        Listening { port, report: Box::pin(report) }
    }

    /// A server that is a task here. It ends with this, and so does what it has started.
    pub(crate) fn spawn(port: u16, server: impl Future<Output = Result<Report>> + Send + 'static) -> Listening {
        let mut task = JoinSet::new();
        task.spawn(server);
        Listening::elsewhere(port, async move { task.join_next().await.context("the server is gone")?? })
    }

    /// What the server saw, when the connection is over.
    pub async fn report(self) -> Result<Report> {
        within(self.report).await.context("the server's report")
    }
}

/// Waits for something that must not take long. Every wait of the tests goes through here.
pub async fn within<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let waited = tokio::time::timeout(TIME_OUT, future).await;
    waited.with_context(|| format!("nothing happened within {} s", TIME_OUT.as_secs()))?
}

/// How long a connection with all that is said over it may take.
const TIME_OUT: Duration = Duration::from_secs(30);
