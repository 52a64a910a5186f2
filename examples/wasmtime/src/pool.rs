//! Instances, each with a thread of its own that carries out one order after the other.
//!
//! A thread and no task: what the guest computes can take milliseconds, and a call into it must not be given up half-way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::acceptor;
use crate::bindings::Tls;
use crate::bindings::exports::guest::tls::secure_pair::{Cleartext, Event};
use crate::bindings::exports::guest::tls::types::Error as TlsError;
use crate::connector::{ConnectorOptions, Session};
use crate::context::{self, ContextOptions};
use crate::error::Error;
use crate::host::Compiled;
use crate::info::Info;
use crate::instance::{Instance, State};
use crate::stream::Wakers;

/// The instances of a host. They end when all that uses them was dropped.
#[derive(Clone)]
pub(crate) struct Pool(Arc<[Arc<Member>]>);

/// An instance as others see it.
pub(crate) struct Member {
    orders: mpsc::UnboundedSender<Order>,
    /// How many connections it has.
    connections: AtomicUsize,
}

/// A context, a server or a connection, in all of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u64);

/// The life of an instance, from its start to its trap.
#[derive(Default)]
pub(crate) struct Life {
    trap: OnceLock<Arc<str>>,
}

/// A connection in an instance. Dropping it drops the connection.
pub(crate) struct Guest {
    pub(crate) member: Arc<Member>,
    handle: Handle,
}

/// By what an instance knows a connection.
#[derive(Clone)]
pub(crate) struct Handle {
    life: Arc<Life>,
    id: Id,
    pair: ResourceAny,
}

/// How a connection begins.
pub(crate) enum Origin {
    /// By us.
    Client {
        /// Credentials and policy.
        context: Arc<context::Inner>,
        /// What the connections of a connector have in common.
        options: Arc<ConnectorOptions>,
        /// Whom it wants to talk to.
        servername: String,
        /// What to resume.
        session: Option<Session>,
    },
    /// By the peer.
    Server(Arc<acceptor::Inner>),
}

/// What an instance is told. Orders are carried out in their order, so that a connection is dropped after its last turn.
pub(crate) enum Order {
    /// To make a context, and to say what to know of it.
    Context(Id, ContextOptions, oneshot::Sender<Result<Vec<String>, Error>>),
    /// To make a server.
    Server(Arc<acceptor::Inner>, oneshot::Sender<Result<(), Error>>),
    /// To begin a connection.
    Open(Origin, Arc<Wakers>, oneshot::Sender<Result<Handle, Error>>),
    /// To move bytes.
    Turn(Handle, Box<Turn>, oneshot::Sender<Box<Turn>>),
    /// To export key material.
    Export(Handle, Export, oneshot::Sender<Result<Vec<u8>, Error>>),
    /// To drop a connection.
    Close(Handle),
    /// To drop a context.
    ForgetContext(Id),
    /// To drop a server.
    ForgetServer(Id),
}

/// Bytes on their way through the guest, and what it said meanwhile.
#[derive(Default)]
pub(crate) struct Turn {
    /// From the transport. What was not taken stays.
    pub(crate) received: Vec<u8>,
    /// Nothing more will come from the transport.
    pub(crate) transport_ended: bool,
    /// From the application. What was not taken stays.
    pub(crate) outgoing: Vec<u8>,
    /// Nothing more will come from the application.
    pub(crate) end: bool,
    /// How much is wanted for the transport at most.
    pub(crate) encrypted_max: usize,
    /// How much is wanted for the application at most.
    pub(crate) cleartext_max: usize,

    /// For the transport.
    pub(crate) encrypted: Vec<u8>,
    /// For the application.
    pub(crate) cleartext: Vec<u8>,
    /// Our end was taken, after all that was to go before it.
    pub(crate) ended: bool,
    /// The peer's end has come.
    pub(crate) peer_ended: bool,
    /// The handshake was done in this turn.
    pub(crate) info: Option<Info>,
    /// Sessions that can be resumed.
    pub(crate) sessions: Vec<Vec<u8>>,
    /// The guest may have more events.
    pub(crate) more_events: bool,
    /// What the reader is told after all cleartext.
    pub(crate) read_error: Option<Error>,
    /// What the writer is told.
    pub(crate) write_error: Option<Error>,
}

/// What key material is asked for.
pub(crate) struct Export {
    pub(crate) length: u32,
    pub(crate) label: Vec<u8>,
    pub(crate) context: Option<Vec<u8>>,
}

impl Pool {
    /// As many threads as the options say. Instances are made when they are needed.
    pub(crate) fn new(compiled: &Arc<Compiled>) -> Result<Pool, Error> {
        let count = compiled.options.instances.get();
        (0..count).map(|_| Member::start(Arc::clone(compiled)).map(Arc::new)).collect::<Result<_, _>>().map(Pool)
    }

    /// Makes a context in one of the instances, and gives its warnings.
    pub(crate) async fn make_context(&self, id: Id, options: &ContextOptions) -> Result<Vec<String>, Error> {
        self.idlest().ask(|reply| Order::Context(id, options.clone(), reply)).await?
    }

    /// Makes a server in one of the instances, to see whether that can be done.
    pub(crate) async fn try_server(&self, server: &Arc<acceptor::Inner>) -> Result<(), Error> {
        self.idlest().ask(|reply| Order::Server(Arc::clone(server), reply)).await?
    }

    /// Begins a connection: where its session is, or else in the instance that has the fewest.
    pub(crate) async fn open(&self, origin: Origin, wakers: &Arc<Wakers>) -> Result<Guest, Error> {
        let member = match &origin {
            Origin::Client { session: Some(session), .. } => Arc::clone(&session.member),
            _ => self.idlest(),
        };
        let seat = Seat::take(&member);
        let handle = member.ask(|reply| Order::Open(origin, Arc::clone(wakers), reply)).await??;
        seat.keep();
        Ok(Guest { member, handle })
    }

    /// Gives each instance an order of its own.
    pub(crate) fn tell_all(&self, order: impl Fn() -> Order) {
        self.0.iter().for_each(|member| member.tell(order()));
    }

    fn idlest(&self) -> Arc<Member> {
        // One whose thread is gone has no connections, and takes none.
        let load = |member: &&Arc<Member>| (member.orders.is_closed(), member.connections.load(Ordering::Relaxed));
        let idlest = self.0.iter().min_by_key(load);
        Arc::clone(idlest.unwrap_or_else(|| unreachable!("a pool has an instance at least")))
    }
}

impl Member {
    fn start(compiled: Arc<Compiled>) -> Result<Member, Error> {
        let failed = |error: std::io::Error| Error::Component(format!("no thread for an instance: {error}"));
        // Each guest's call is a future, but none of them waits for anything: this only runs them.
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let (orders, mut inbox) = mpsc::unbounded_channel();
        let work = move || {
            runtime.block_on(async {
                let mut worker = Worker { compiled, live: None };
                while let Some(order) = inbox.recv().await {
                    worker.carry_out(order).await;
                }
            });
        };
        thread::Builder::new().name("guest-tls".to_string()).spawn(work).map_err(failed)?;
        Ok(Member { orders, connections: AtomicUsize::new(0) })
    }

    /// Gives an order; where the thread is gone, so is what the order was for.
    pub(crate) fn tell(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Gives an order, and waits for the answer.
    pub(crate) async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.tell(order(reply));
        answer.await.map_err(|_| thread_gone())
    }
}

impl Id {
    pub(crate) fn new() -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Id(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Life {
    /// Why it is over, where it is.
    pub(crate) fn trap(&self) -> Option<Error> {
        self.trap.get().map(|why| Error::Trapped(Arc::clone(why)))
    }
}

impl Guest {
    /// The life of its instance.
    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.handle.life
    }

    /// Gives bytes for a turn, which the receiver gets back.
    pub(crate) fn turn(&self, turn: Turn) -> oneshot::Receiver<Box<Turn>> {
        let (reply, answer) = oneshot::channel();
        self.member.tell(Order::Turn(self.handle.clone(), Box::new(turn), reply));
        answer
    }

    /// Exports key material.
    pub(crate) async fn export(&self, export: Export) -> Result<Vec<u8>, Error> {
        self.member.ask(|reply| Order::Export(self.handle.clone(), export, reply)).await?
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.member.connections.fetch_sub(1, Ordering::Relaxed);
        self.member.tell(Order::Close(self.handle.clone()));
    }
}

/// A connection that is counted before it is there, so that many that begin at once are spread.
struct Seat<'a>(Option<&'a Member>);

impl<'a> Seat<'a> {
    fn take(member: &'a Member) -> Seat<'a> {
        member.connections.fetch_add(1, Ordering::Relaxed);
        Seat(Some(member))
    }

    /// From now on a [`Guest`] counts.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(member) = self.0 {
            member.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The thread's side of a [`Member`].
struct Worker {
    compiled: Arc<Compiled>,
    live: Option<Live>,
}

/// An instance that did not trap, and what was made in it.
struct Live {
    instance: Instance,
    life: Arc<Life>,
    contexts: HashMap<Id, ResourceAny>,
    servers: HashMap<Id, Server>,
    connections: HashMap<Id, Arc<Wakers>>,
}

/// A `server` of the guest, and which keys of tickets it has.
struct Server {
    guest: ResourceAny,
    ticket_keys: u64,
}

/// Why an order was not carried out.
enum Fault {
    /// The instance is of no use any more.
    Trap(wasmtime::Error),
    /// It is as good as before.
    Refusal(Error),
}

impl Worker {
    async fn carry_out(&mut self, order: Order) {
        // Nobody waits for an answer whose receiver is gone.
        match order {
            Order::Context(id, options, reply) => {
                let made = self.make(async |live| live.context(id, &options).await).await;
                let made = match made {
                    Ok(context) => self.make(async |live| live.warnings(context).await).await,
                    Err(error) => Err(error),
                };
                let _ = reply.send(made);
            }
            Order::Server(server, reply) => {
                let made = self.make(async |live| live.server(&server).await).await;
                let _ = reply.send(made.map(|_| ()));
            }
            Order::Open(origin, wakers, reply) => {
                let opened = self.make(async |live| live.open(&origin, wakers).await).await;
                if let Err(Ok(handle)) = reply.send(opened) {
                    self.close(handle).await;
                }
            }
            Order::Turn(Handle { life, pair, .. }, mut turn, reply) => {
                if let Err(error) = self.within(&life, async |live| live.turn(pair, &mut turn).await).await {
                    turn.read_error = Some(error.clone());
                    turn.write_error = Some(error);
                }
                let _ = reply.send(turn);
            }
            Order::Export(Handle { life, pair, .. }, export, reply) => {
                let _ = reply.send(self.within(&life, async |live| live.export(pair, &export).await).await);
            }
            Order::Close(handle) => self.close(handle).await,
            Order::ForgetContext(id) => {
                let dropped = async |live: &mut Live| match live.contexts.remove(&id) {
                    Some(context) => live.drop_resource(context).await,
                    None => Ok(()),
                };
                self.if_live(dropped).await;
            }
            Order::ForgetServer(id) => {
                let dropped = async |live: &mut Live| match live.servers.remove(&id) {
                    Some(server) => live.drop_resource(server.guest).await,
                    None => Ok(()),
                };
                self.if_live(dropped).await;
            }
        }
    }

    async fn close(&mut self, Handle { life, id, pair }: Handle) {
        let closed = async |live: &mut Live| {
            live.connections.remove(&id);
            live.drop_resource(pair).await
        };
        // Where its instance trapped, it is gone already.
        let _ = self.within(&life, closed).await;
    }

    /// Does something in the instance, and before that makes one where there is none.
    async fn make<T>(&mut self, work: impl AsyncFnOnce(&mut Live) -> Result<T, Fault>) -> Result<T, Error> {
        if self.live.is_none() {
            let instance = Instance::new(&self.compiled).await;
            self.live = Some(Live::new(instance.map_err(|error| Error::Component(format!("{error:?}")))?));
        }
        self.run(work).await
    }

    /// Does something in the instance of this life, which may be over.
    async fn within<T>(
        &mut self,
        life: &Arc<Life>,
        work: impl AsyncFnOnce(&mut Live) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        match life.trap() {
            Some(error) => Err(error),
            None => self.run(work).await,
        }
    }

    /// Does something in the instance where there is one.
    async fn if_live(&mut self, work: impl AsyncFnOnce(&mut Live) -> Result<(), Fault>) {
        if self.live.is_some() {
            let _ = self.run(work).await;
        }
    }

    /// Does something in the instance. After a trap there is none, and its connections are told.
    async fn run<T>(&mut self, work: impl AsyncFnOnce(&mut Live) -> Result<T, Fault>) -> Result<T, Error> {
        let Some(live) = &mut self.live else {
            return Err(thread_gone());
        };
        match work(live).await {
            Ok(done) => Ok(done),
            Err(Fault::Refusal(error)) => Err(error),
            Err(Fault::Trap(trap)) => {
                let why: Arc<str> = live.instance.explain(&trap).into();
                let _ = live.life.trap.set(Arc::clone(&why));
                live.connections.values().for_each(|wakers| wakers.wake_all());
                self.live = None;
                Err(Error::Trapped(why))
            }
        }
    }
}

impl Live {
    fn new(instance: Instance) -> Live {
        let (contexts, servers, connections) = (HashMap::new(), HashMap::new(), HashMap::new());
        Live { instance, life: Arc::default(), contexts, servers, connections }
    }

    async fn context(&mut self, id: Id, options: &ContextOptions) -> Result<ResourceAny, Fault> {
        if let Some(context) = self.contexts.get(&id) {
            return Ok(*context);
        }
        let context = options.create_in(&mut self.instance).await?.map_err(wrong_options)?;
        self.contexts.insert(id, context);
        Ok(context)
    }

    async fn warnings(&mut self, context: ResourceAny) -> Result<Vec<String>, Fault> {
        let (store, world) = self.instance.enter();
        Ok(world.guest_tls_secure_context().secure_context().call_warnings(store, context).await?)
    }

    /// The server in this instance, with the keys of tickets that all instances have now.
    async fn server(&mut self, server: &acceptor::Inner) -> Result<ResourceAny, Fault> {
        let (turn, keys) = match server.ticket_keys() {
            Some((turn, keys)) => (turn, Some(keys)),
            None => (0, None),
        };
        let known = self.servers.get(&server.id).map(|known| (known.guest, known.ticket_keys));
        let (guest, has) = match known {
            Some((guest, has)) => (guest, Some(has)),
            None => (self.make_server(server).await?, None),
        };
        if let Some(keys) = keys.filter(|_| has != Some(turn)) {
            let (store, world) = self.instance.enter();
            let set = world.guest_tls_server().server().call_set_ticket_keys(store, guest, &keys[..]).await?;
            set.map_err(refusal)?;
        }
        self.servers.insert(server.id, Server { guest, ticket_keys: turn });
        Ok(guest)
    }

    async fn make_server(&mut self, server: &acceptor::Inner) -> Result<ResourceAny, Fault> {
        let context = self.context(server.context.0.id, &server.context.0.options).await?;
        let mut named = Vec::new();
        for (name, context) in &server.options.contexts {
            named.push((name, self.context(context.0.id, &context.0.options).await?));
        }
        let (store, world) = self.instance.enter();
        let options = server.options.create(&mut *store, world).await?;
        let guest = world.guest_tls_server().server();
        let made = guest.call_create(&mut *store, context, options).await?.map_err(wrong_options)?;
        for (name, context) in named {
            let added = guest.call_add_context(&mut *store, made, name, context).await?;
            added.map_err(|error| wrong_options(vec![error]))?;
        }
        Ok(made)
    }

    async fn open(&mut self, origin: &Origin, wakers: Arc<Wakers>) -> Result<Handle, Fault> {
        let pair = match origin {
            Origin::Client { context, options, servername, session } => {
                let context = self.context(context.id, &context.options).await?;
                // A session is a name that only its own instance knows.
                let session = session.as_ref().filter(|session| Arc::ptr_eq(&session.life, &self.life));
                let (store, world) = self.instance.enter();
                let options = options.create(&mut *store, world, servername, session).await?;
                let guest = world.guest_tls_secure_pair().secure_pair();
                guest.call_create(&mut *store, context, options).await?.map_err(wrong_options)?
            }
            Origin::Server(server) => {
                let server = self.server(server).await?;
                let (store, world) = self.instance.enter();
                world.guest_tls_server().server().call_accept_pair(store, server).await?.map_err(refusal)?
            }
        };
        let id = Id::new();
        self.connections.insert(id, wakers);
        Ok(Handle { life: Arc::clone(&self.life), id, pair })
    }

    /// Moves what can be moved, until nothing moves any more.
    async fn turn(&mut self, pair: ResourceAny, turn: &mut Turn) -> Result<(), Fault> {
        let (store, world) = self.instance.enter();
        let secure = turn.run(store, world, pair).await?;
        if secure {
            turn.info = Some(Info::of(&mut self.instance, pair).await?);
        }
        Ok(())
    }

    async fn export(&mut self, pair: ResourceAny, export: &Export) -> Result<Vec<u8>, Fault> {
        let (store, world) = self.instance.enter();
        let guest = world.guest_tls_secure_pair().secure_pair();
        let Export { length, label, context } = export;
        let material = guest.call_export_keying_material(store, pair, *length, label, context.as_deref()).await?;
        material.map_err(refusal)
    }

    async fn drop_resource(&mut self, resource: ResourceAny) -> Result<(), Fault> {
        let (store, _) = self.instance.enter();
        Ok(resource.resource_drop_async(store).await?)
    }
}

impl Turn {
    /// Says whether the handshake was done. Errors: a trap, also where the guest says what can't be, as one that was taken over may.
    async fn run(&mut self, store: &mut Store<State>, world: &Tls, pair: ResourceAny) -> wasmtime::Result<bool> {
        let guest = world.guest_tls_secure_pair().secure_pair();
        let (mut received, mut outgoing, mut events) = (0, 0, 0);
        let mut secure = false;
        loop {
            let mut moved = false;
            if received < self.received.len() {
                // All that is given is copied, and the guest takes some two records at a time.
                let end = self.received.len().min(received + PIECE);
                match guest.call_write_encrypted(&mut *store, pair, &self.received[received..end]).await? {
                    Ok(taken) => {
                        received += counted("write-encrypted", taken, end - received)?;
                        moved |= taken > 0;
                    }
                    // The reader gets this error after all that came before it.
                    Err(_) => received = self.received.len(),
                }
            }
            if self.transport_ended && received == self.received.len() {
                guest.call_end_encrypted(&mut *store, pair).await?;
                self.transport_ended = false;
            }
            while events < EVENTS_MAX {
                let Some(event) = guest.call_next_event(&mut *store, pair).await? else {
                    break;
                };
                events += 1;
                match event {
                    Event::Secure => secure = true,
                    Event::Session(session) => self.sessions.push(session),
                    // The others come only where they were asked for.
                    _ => {}
                }
                moved = true;
            }
            if outgoing < self.outgoing.len() {
                match guest.call_write_cleartext(&mut *store, pair, &self.outgoing[outgoing..]).await? {
                    Ok(taken) => {
                        outgoing += counted("write-cleartext", taken, self.outgoing.len() - outgoing)?;
                        moved |= taken > 0;
                    }
                    Err(error) => {
                        outgoing = self.outgoing.len();
                        self.write_error = Some(Error::Tls(error));
                    }
                }
            }
            if self.end && outgoing == self.outgoing.len() {
                guest.call_end(&mut *store, pair).await?;
                (self.end, self.ended) = (false, true);
            }
            if self.encrypted.len() < self.encrypted_max {
                let room = (self.encrypted_max - self.encrypted.len()) as u64;
                let bytes = guest.call_read_encrypted(&mut *store, pair, room).await?;
                counted("read-encrypted", bytes.len() as u64, room as usize)?;
                moved |= !bytes.is_empty();
                append(&mut self.encrypted, bytes);
            }
            if self.cleartext.len() < self.cleartext_max && !self.peer_ended && self.read_error.is_none() {
                let room = (self.cleartext_max - self.cleartext.len()) as u64;
                match guest.call_read_cleartext(&mut *store, pair, room).await? {
                    Ok(Cleartext::Data(bytes)) => {
                        counted("read-cleartext", bytes.len() as u64, room as usize)?;
                        append(&mut self.cleartext, bytes);
                        moved = true;
                    }
                    Ok(Cleartext::End) => self.peer_ended = true,
                    Ok(Cleartext::Pending) => {}
                    Err(error) => {
                        self.read_error = Some(Error::Tls(error));
                        // There may be an alert.
                        moved = true;
                    }
                }
            }
            if !moved {
                break;
            }
        }
        self.more_events = events == EVENTS_MAX;
        self.received.drain(..received);
        self.outgoing.drain(..outgoing);
        Ok(secure)
    }
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Fault {
        Fault::Trap(error)
    }
}

fn append(to: &mut Vec<u8>, bytes: Vec<u8>) {
    if to.is_empty() { *to = bytes } else { to.extend_from_slice(&bytes) }
}

/// A count of bytes that the guest says it took or gave, which can't be more than it was given or asked for.
fn counted(call: &str, count: u64, most: usize) -> wasmtime::Result<usize> {
    usize::try_from(count).ok().filter(|count| *count <= most).ok_or_else(|| {
        wasmtime::Error::msg(format!(
            "{call} says {count} bytes where {most} are the most, which is a fault of the component: please report it"
        ))
    })
}

fn wrong_options(errors: Vec<TlsError>) -> Fault {
    Fault::Refusal(Error::Options(errors))
}

fn refusal(error: TlsError) -> Fault {
    Fault::Refusal(Error::Tls(error))
}

/// Its thread only ends by a fault of ours.
fn thread_gone() -> Error {
    Error::Trapped("the thread of the instance has ended".into())
}

/// The most that is given to the guest at once.
const PIECE: usize = 32 * 1024;

/// The most events in a turn, so that a peer who sends nothing but tickets does not keep the other connections of its instance waiting.
const EVENTS_MAX: usize = 64;
