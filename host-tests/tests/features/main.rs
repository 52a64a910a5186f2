//! What the contract promises beyond a handshake, each against a peer that is not ours.

mod handshakes;
mod limits;
mod master_secret;
mod options;
mod questions;
mod sessions;

use anyhow::Result;
use host_tests::certificates::Kind;
use host_tests::conversation::Conversation;
use host_tests::host::Host;
use host_tests::peers::component::{context_options, good, good_answer, pair_options};
use host_tests::setup::{Role, Setup, Version};
use host_tests::table;
use host_tests::tls::{ContextOptions, PairOptions, ProtocolVersion, Server, Tls};
use tokio::net::{TcpListener, TcpStream};

fn main() {
    table::main(
        [
            sessions::rows(),
            questions::rows(),
            handshakes::rows(),
            master_secret::rows(),
            limits::rows(),
            options::rows(),
        ]
        .concat(),
    );
}

/// The component in an instance of its own, with the options of its connections.
struct Guest {
    tls: Tls,
    context: ContextOptions,
    options: PairOptions,
}

/// A server of the component on a port.
struct Serving {
    guest: Guest,
    server: Server,
    listener: TcpListener,
    port: u16,
}

impl Guest {
    /// As client of a server with a certificate on P-256.
    async fn client(version: Version) -> Result<Guest> {
        Guest::new(&Setup::client(Kind::P256), Role::Client, version).await
    }

    /// As server with a certificate on P-256.
    async fn server(version: Version) -> Result<Guest> {
        Guest::new(&Setup::server(Kind::P256), Role::Server, version).await
    }

    async fn new(setup: &Setup, role: Role, version: Version) -> Result<Guest> {
        let version = match version {
            Version::Tls12 => ProtocolVersion::Tls12,
            Version::Tls13 => ProtocolVersion::Tls13,
        };
        let context =
            ContextOptions { min_version: Some(version), max_version: Some(version), ..context_options(setup) };
        Ok(Guest { tls: Host::shared()?.instance().await?, context, options: pair_options(setup, role) })
    }

    /// Connects, with a context of its own.
    async fn connect(&mut self, port: u16) -> Result<Conversation> {
        let context = good(self.tls.context(&self.context).await?)?;
        let pair = good(self.tls.pair(context, &self.options).await?)?;
        context.drop(&mut self.tls).await?;
        Ok(Conversation::new(pair, TcpStream::connect(("127.0.0.1", port)).await?))
    }

    /// Serves on a port.
    async fn serve(mut self) -> Result<Serving> {
        let context = good(self.tls.context(&self.context).await?)?;
        let server = good(self.tls.server(context, &self.options).await?)?;
        context.drop(&mut self.tls).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Serving { guest: self, server, listener, port })
    }
}

impl Serving {
    /// The connection of the next client.
    async fn accept(&mut self) -> Result<Conversation> {
        let tcp = host_tests::peers::within(async { Ok(self.listener.accept().await?.0) }).await?;
        let pair = good_answer(self.server.accept_pair(&mut self.guest.tls).await?)?;
        Ok(Conversation::new(pair, tcp))
    }

    fn tls(&mut self) -> &mut Tls {
        &mut self.guest.tls
    }
}

/// OpenSSL's argument for a version.
fn only(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    }
}

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];
