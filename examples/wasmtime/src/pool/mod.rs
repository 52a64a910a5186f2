//! Instances, each with a thread of its own that carries out one order after the other.
//!
//! A thread and no task: what the guest computes can take milliseconds, and a call into it must not be given up half-way.
//!
//! A connection has a [`Seat`] in its instance before it begins and until it is dropped. An instance has so many of them that its memory
//! holds what they can take at worst; where all are taken, there is another instance, up to the limit of the host.

mod turn;
mod worker;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use wasmtime::component::ResourceAny;

pub(crate) use self::turn::Turn;
use self::worker::Worker;
use crate::acceptor;
use crate::connector::{ConnectorOptions, Session};
use crate::context::{self, ContextOptions};
use crate::error::Error;
use crate::host::{Compiled, InstanceLoad};
use crate::stream::Wakers;

/// The instances of a host. They end when all that uses them was dropped.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Members>);

struct Members {
    compiled: Arc<Compiled>,
    all: RwLock<Vec<Arc<Member>>>,
}

/// An instance as others see it.
pub(crate) struct Member {
    orders: mpsc::UnboundedSender<Order>,
    load: Arc<Load>,
    /// Whether it was made since the others were full, and ends with its last connection.
    is_extra: bool,
}

/// What an instance has.
#[derive(Default)]
struct Load {
    /// How many connections.
    connections: AtomicUsize,
    /// Bytes of linear memory.
    memory: AtomicUsize,
}

/// A place for one connection in an instance.
pub(crate) struct Seat {
    member: Arc<Member>,
    pool: Pool,
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
    handle: Handle,
    seat: Seat,
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
    Open(Origin, Arc<Wakers>, Seat, oneshot::Sender<Result<Guest, Error>>),
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
        let all = (0..count).map(|_| Member::start(compiled, false)).collect::<Result<Vec<_>, _>>()?;
        Ok(Pool(Arc::new(Members { compiled: Arc::clone(compiled), all: RwLock::new(all) })))
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
        let place = match &origin {
            Origin::Client { session: Some(session), .. } => session.member.upgrade(),
            _ => None,
        };
        let seat = self.seat(place)?;
        let member = Arc::clone(&seat.member);
        member.ask(|reply| Order::Open(origin, Arc::clone(wakers), seat, reply)).await?
    }

    /// Whether a connection may go to this instance for its session: a resumed handshake takes half the time of a full one, which is
    /// not worth a queue.
    pub(crate) fn welcomes(&self, member: &Arc<Member>) -> bool {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        let fewest = all.iter().filter(|member| !member.is_extra).map(|member| member.connections()).min().unwrap_or(0);
        let has_room = member.connections() < self.0.compiled.options.limits.connections();
        has_room && !member.orders.is_closed() && member.connections() <= fewest + SESSION_SLACK.max(fewest / 4)
    }

    /// What each instance has.
    pub(crate) fn loads(&self) -> Vec<InstanceLoad> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        let load = |member: &Arc<Member>| InstanceLoad {
            connections: member.connections(),
            memory: member.load.memory.load(Ordering::Relaxed),
        };
        all.iter().map(load).collect()
    }

    /// Gives each instance an order of its own.
    pub(crate) fn tell_all(&self, order: impl Fn() -> Order) {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|member| member.tell(order()));
    }

    /// A place for a connection: in the instance with its session if there is room, else where the fewest connections are, else in a new
    /// instance.
    fn seat(&self, place: Option<Arc<Member>>) -> Result<Seat, Error> {
        let options = &self.0.compiled.options;
        let limit = options.limits.connections();
        let sit = |member: &Arc<Member>| {
            let is_seated = member.take_seat(limit);
            is_seated.then(|| Seat { member: Arc::clone(member), pool: self.clone() })
        };
        // A seat is taken while nobody can remove the instance.
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        let place = place.filter(|place| all.iter().any(|member| Arc::ptr_eq(member, place)));
        if let Some(seat) =
            place.as_ref().and_then(sit).or_else(|| all.iter().min_by_key(|member| member.rank(limit)).and_then(sit))
        {
            return Ok(seat);
        }
        drop(all);
        let mut all = self.0.all.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = all.iter().min_by_key(|member| member.rank(limit)).and_then(sit) {
            return Ok(seat);
        }
        let (instances, most) = (options.instances.get(), options.instances_max.max(options.instances).get());
        // One whose thread is gone has no connections, and takes none.
        all.retain(|member| !member.orders.is_closed());
        if all.len() >= most {
            return Err(Error::TooManyConnections { limit: most.saturating_mul(limit) });
        }
        let member = Member::start(&self.0.compiled, all.len() >= instances)?;
        let seat = sit(&member);
        all.push(member);
        seat.ok_or(Error::TooManyConnections { limit: 0 })
    }

    fn idlest(&self) -> Arc<Member> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        let limit = self.0.compiled.options.limits.connections();
        let idlest = all.iter().min_by_key(|member| member.rank(limit));
        Arc::clone(idlest.unwrap_or_else(|| unreachable!("a pool has an instance at least")))
    }

    /// Ends this instance if it is an extra one that has no connection any more.
    fn retire(&self, member: &Arc<Member>) {
        let mut all = self.0.all.write().unwrap_or_else(PoisonError::into_inner);
        if member.connections() == 0 {
            all.retain(|other| !Arc::ptr_eq(other, member));
        }
    }
}

impl Member {
    fn start(compiled: &Arc<Compiled>, is_extra: bool) -> Result<Arc<Member>, Error> {
        let failed = |error: std::io::Error| Error::Component(format!("no thread for an instance: {error}"));
        // Each guest's call is a future, but none of them waits for anything: this only runs them.
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let (orders, mut inbox) = mpsc::unbounded_channel();
        let load = Arc::<Load>::default();
        let mut worker = Worker::new(Arc::clone(compiled), Arc::clone(&load));
        let work = move || {
            runtime.block_on(async {
                while let Some(order) = inbox.recv().await {
                    worker.carry_out(order).await;
                }
            });
        };
        thread::Builder::new().name("guest-tls".to_string()).spawn(work).map_err(failed)?;
        Ok(Arc::new(Member { orders, load, is_extra }))
    }

    fn connections(&self) -> usize {
        self.load.connections.load(Ordering::Relaxed)
    }

    /// By what instances are chosen: those with room, of them those that stay, of them the one with the fewest connections.
    fn rank(&self, limit: usize) -> (bool, bool, usize) {
        let connections = self.connections();
        (self.orders.is_closed() || connections >= limit, self.is_extra, connections)
    }

    /// Counts one connection more, where it has fewer than so many.
    fn take_seat(&self, limit: usize) -> bool {
        let more = |count: usize| (count < limit).then_some(count + 1);
        !self.orders.is_closed()
            && self.load.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
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

    /// Its instance.
    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.seat.member
    }

    /// Gives bytes for a turn, which the receiver gets back.
    pub(crate) fn turn(&self, turn: Turn) -> oneshot::Receiver<Box<Turn>> {
        let (reply, answer) = oneshot::channel();
        self.seat.member.tell(Order::Turn(self.handle.clone(), Box::new(turn), reply));
        answer
    }

    /// Exports key material.
    pub(crate) async fn export(&self, export: Export) -> Result<Vec<u8>, Error> {
        self.seat.member.ask(|reply| Order::Export(self.handle.clone(), export, reply)).await?
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Before its seat is free, so that the next one begins after this one is gone.
        self.seat.member.tell(Order::Close(self.handle.clone()));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let before = self.member.load.connections.fetch_sub(1, Ordering::Relaxed);
        if before == 1 && self.member.is_extra {
            self.pool.retire(&self.member);
        }
    }
}

/// Its thread only ends by a fault of ours.
fn thread_gone() -> Error {
    Error::Trapped("the thread of the instance has ended".into())
}

/// So many connections more than the idlest instance has, or a quarter, an instance may have and get those whose session it has.
const SESSION_SLACK: usize = 4;
