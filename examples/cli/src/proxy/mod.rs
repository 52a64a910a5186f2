//! `guest-tls proxy`: takes TLS off connections, or puts it on.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::arguments::{self, Proxy, Server, ServerProtocol};
use crate::bindings::guest::tls::secure_context::SecureContext;
use crate::bindings::guest::tls::secure_pair::{SecurePair, SecurePairOptions};
use crate::counters::Counters;
use crate::failure::{Failure, Result, joined};
use crate::files;
use crate::listen::Service;
use crate::net::{self, Duplex, Target};
use crate::proxy::header::Addresses;
use crate::relay::Stopped;
use crate::runtime::timeout;
use crate::terminator::Terminator;
use crate::tls::Tls;

mod header;
mod postgres;

/// Runs the command.
pub(crate) async fn run(arguments: Proxy) -> Result<()> {
    let Proxy { server, tls, .. } = &arguments;
    let (server, tls): (Rc<Server>, Rc<arguments::Tls>) = (server.clone().into(), tls.clone().into());
    let counters = Counters::new();
    let (terminator, originator) = if arguments.client {
        (None, Some(Originator::new(&tls, &arguments)?))
    } else {
        (Some(Terminator::new(tls, server.clone(), counters.clone(), &[])?), None)
    };
    let proxy = Rc::new(Relayer { arguments, originator });
    let service = Service::new(server, counters, terminator);
    service.run(move |service, duplex| proxy.clone().talk(service, duplex)).await
}

/// What all connections share.
struct Relayer {
    arguments: Proxy,
    /// For `--client`.
    originator: Option<Originator>,
}

impl Relayer {
    /// A connection, from its beginning to its end.
    async fn talk(self: Rc<Self>, service: Rc<Service>, front: Duplex) {
        let who = front.addresses().map(|(source, destination)| Addresses { source, destination });
        if let Err(failure) = self.try_talk(&service, front, who).await {
            service.say(format_args!("{}: {failure}", Peer(who.map(|who| who.source))));
        }
    }

    async fn try_talk(&self, service: &Service, front: Duplex, mut who: Option<Addresses>) -> Result<()> {
        let mut incoming = Vec::new();
        if self.arguments.accept_proxy_protocol {
            let read = timeout(service.server.handshake_timeout, header::read(&front)).await;
            let late = || Failure::network("no header of the PROXY protocol came in time");
            let (addresses, rest) = read.ok_or_else(late)??;
            who = addresses.or(who);
            incoming = rest;
        }
        if let Some(ServerProtocol::Postgres) = self.arguments.starttls {
            let answered = timeout(service.server.handshake_timeout, postgres::answer(&front, incoming)).await;
            let late = || Failure::network("no SSLRequest of PostgreSQL came in time");
            incoming = answered.ok_or_else(late)??;
        }
        match (&service.terminator, &self.originator) {
            (Some(terminator), _) => self.terminate(service, terminator, front, incoming, who).await,
            (None, Some(originator)) => self.originate(service, originator, front, incoming, who).await,
            (None, None) => Err(Failure::usage("a proxy puts TLS on or takes it off")),
        }
    }

    async fn terminate(
        &self,
        service: &Service,
        terminator: &Terminator,
        front: Duplex,
        incoming: Vec<u8>,
        who: Option<Addresses>,
    ) -> Result<()> {
        let mut tls = terminator.handshake(front, incoming).await?;
        let to = self.route(tls.pair());
        let back = match self.connect(service, to).await {
            Ok(back) => back,
            Err(failure) => {
                // The client must not take this for an end of what was said.
                tls.pair().abort("the back end can't be reached");
                tls.say_last().await;
                return Err(failure);
            }
        };
        if self.arguments.proxy_protocol {
            back.write_all(&header::write(who, Some(tls.pair()))?).await?;
        }
        pass_on(service, &mut tls, &back).await
    }

    async fn originate(
        &self,
        service: &Service,
        originator: &Originator,
        front: Duplex,
        incoming: Vec<u8>,
        who: Option<Addresses>,
    ) -> Result<()> {
        let back = self.connect(service, &self.arguments.to).await?;
        if self.arguments.proxy_protocol {
            back.write_all(&header::write(who, None)?).await?;
        }
        let mut tls = originator.handshake(service, back).await?;
        tls.write_all(&incoming).await?;
        let done = pass_on(service, &mut tls, &front).await;
        originator.remember(tls.pair());
        done
    }

    /// Where the connection goes by the name that the client asked for.
    fn route(&self, pair: &SecurePair) -> &Target {
        let routes = &self.arguments.route;
        let name = if routes.is_empty() { None } else { pair.servername() };
        let route = name.and_then(|name| routes.iter().rfind(|(route, _)| *route == name.to_ascii_lowercase()));
        route.map_or(&self.arguments.to, |(_, to)| to)
    }

    async fn connect(&self, service: &Service, to: &Target) -> Result<Duplex> {
        let connected = match timeout(self.arguments.connect_timeout, net::connect(to)).await {
            Some(connected) => connected,
            None => Err(Failure::network(format!(
                "no connection to {to} within {} s (--connect-timeout)",
                self.arguments.connect_timeout.as_secs_f32()
            ))),
        };
        connected.inspect_err(|_| {
            service.counters.backend.inc();
        })
    }
}

/// Passes on until both sides have ended.
async fn pass_on(service: &Service, tls: &mut Tls, plain: &Duplex) -> Result<()> {
    match service.relay(tls, plain).await {
        // That is how it is meant to be.
        Err(Stopped::Idle) => Ok(()),
        passed => Ok(passed?),
    }
}

/// The client side of TLS.
struct Originator {
    context: SecureContext,
    servername: String,
    insecure: bool,
    alpn: Vec<Vec<u8>>,
    handshake_timeout: u32,
    /// The last session, which one more connection may resume.
    session: RefCell<Option<Vec<u8>>>,
}

impl Originator {
    fn new(tls: &arguments::Tls, arguments: &Proxy) -> Result<Originator> {
        let timeout = arguments.server.handshake_timeout.as_millis();
        Ok(Originator {
            context: files::client_context(tls)?,
            servername: arguments.servername.clone().unwrap_or_else(|| arguments.to.host.clone()),
            insecure: arguments.insecure,
            alpn: tls.alpn.iter().map(|name| name.clone().into_bytes()).collect(),
            handshake_timeout: timeout.try_into().unwrap_or(u32::MAX),
            session: RefCell::default(),
        })
    }

    async fn handshake(&self, service: &Service, back: Duplex) -> Result<Tls> {
        let options = SecurePairOptions::new();
        options.set_servername(&self.servername);
        options.set_reject_unauthorized(!self.insecure);
        options.set_handshake_timeout(self.handshake_timeout);
        if !self.alpn.is_empty() {
            options.set_alpn_protocols(&self.alpn);
        }
        if let Some(session) = self.session.take() {
            options.set_session(&session);
        }
        let pair = SecurePair::create(&self.context, options).map_err(|errors| Failure::usage(joined(&errors)))?;
        let mut tls = Tls::new(back, pair, Vec::new());
        let done = tls.handshake(|_, _| {}).await;
        if let Some(error) = tls.pair().error() {
            service.counters.failure(&error);
        }
        done?;
        service.counters.handshake(tls.pair());
        Ok(tls)
    }

    /// Keeps the session of a connection for the next one.
    fn remember(&self, pair: &SecurePair) {
        if let Some(session) = pair.session() {
            self.session.replace(Some(session));
        }
    }
}

/// The other side of a connection, for people.
struct Peer(Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("somebody"),
        }
    }
}
