//! A server whose connections are all in one instance of the component.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::exchange::Application;
use crate::host::Host;
use crate::peers::component::{context_options, good, good_answer, pair_options, report};
use crate::peers::within;
use crate::pump::{PairPump, Shared};
use crate::setup::{Report, Role, Setup};
use crate::tls::{Server, Tls};

/// Takes connections until it is dropped, any number at a time.
pub struct Service {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The instance.
    pub tls: Shared,
    /// The server in the instance.
    pub server: Server,
    reports: mpsc::UnboundedReceiver<Result<Report>>,
    accepting: JoinHandle<Result<()>>,
}

impl Service {
    /// A service in a new instance.
    pub async fn start<A: Application + 'static>(
        setup: &Setup,
        application: impl Fn() -> A + Send + 'static,
    ) -> Result<Service> {
        Service::start_in(Host::shared()?.instance().await?, setup, application).await
    }

    /// A service in this instance.
    pub async fn start_in<A: Application + 'static>(
        mut tls: Tls,
        setup: &Setup,
        application: impl Fn() -> A + Send + 'static,
    ) -> Result<Service> {
        let context = good(tls.context(&context_options(setup)).await?)?;
        let server = good(tls.server(context, &pair_options(setup, Role::Server)).await?)?;
        Service::of(tls, server, application).await
    }

    /// A service of this server.
    pub async fn of<A: Application + 'static>(
        tls: Tls,
        server: Server,
        application: impl Fn() -> A + Send + 'static,
    ) -> Result<Service> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let tls = Arc::new(Mutex::new(tls));
        let (sender, reports) = mpsc::unbounded_channel();
        let shared = Arc::clone(&tls);
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await?;
                let talk = talk(Arc::clone(&shared), server, tcp, application());
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(talk.await) });
            }
        });
        Ok(Service { port, tls, server, reports, accepting })
    }

    /// The report of the connection that is over next.
    pub async fn next(&mut self) -> Result<Report> {
        within(async { self.reports.recv().await.context("the service has ended")? })
            .await
            .context("the service's report")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn talk<A: Application>(tls: Shared, server: Server, tcp: TcpStream, application: A) -> Result<Report> {
    let pair = good_answer(server.accept_pair(&mut *tls.lock().await).await?)?;
    let mut pump = PairPump::new(pair, tcp, application);
    let error = pump.run_shared(&tls).await?;
    let seen = pump.application.result();
    report(&mut *tls.lock().await, pair, seen, error).await
}
