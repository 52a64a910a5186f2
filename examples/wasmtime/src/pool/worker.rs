//! The thread of an instance, which carries out one order after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmtime::component::ResourceAny;

use super::turn::Turn;
use super::{Export, Guest, Handle, Id, Life, Load, Order, Origin, thread_gone};
use crate::acceptor;
use crate::bindings::exports::guest::tls::types::Error as TlsError;
use crate::context::ContextOptions;
use crate::error::Error;
use crate::host::Compiled;
use crate::info::Info;
use crate::instance::Instance;
use crate::stream::Wakers;

/// The thread's side of a [`Member`].
pub(super) struct Worker {
    compiled: Arc<Compiled>,
    /// What others see of it.
    load: Arc<Load>,
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

/// A `server` of the guest, and the generation of the keys of tickets that it was given.
struct Server {
    guest: ResourceAny,
    ticket_keys: Option<u64>,
}

/// Why an order was not carried out.
enum Fault {
    /// The instance is of no use any more.
    Trap(wasmtime::Error),
    /// It is as good as before.
    Refusal(Error),
}

impl Worker {
    pub(super) fn new(compiled: Arc<Compiled>, load: Arc<Load>) -> Worker {
        Worker { compiled, load, live: None }
    }

    /// Carries out one order.
    pub(super) async fn carry_out(&mut self, order: Order) {
        self.obey(order).await;
        let memory = self.live.as_ref().map_or(0, |live| live.instance.memory());
        self.load.memory.store(memory, Ordering::Relaxed);
    }

    async fn obey(&mut self, order: Order) {
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
            Order::Open(origin, wakers, seat, reply) => {
                let opened = self.make(async |live| live.open(&origin, wakers).await).await;
                // Where nobody waits for it any more, now or when the answer is there, it is dropped, and so closed.
                let _ = reply.send(opened.map(|handle| Guest { handle, seat }));
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
        let known = self.servers.get(&server.id).map(|known| (known.guest, known.ticket_keys));
        let (guest, has) = match known {
            Some((guest, has)) => (guest, has),
            None => (self.make_server(server).await?, None),
        };
        // Known from here on, so that it is dropped with the others whatever comes.
        self.servers.insert(server.id, Server { guest, ticket_keys: has });
        let Some(missing) = server.missing_ticket_keys(has) else {
            return Ok(guest);
        };
        for keys in &missing.keys {
            let (store, world) = self.instance.enter();
            let set = world.guest_tls_server().server().call_set_ticket_keys(store, guest, &keys[..]).await?;
            set.map_err(refusal)?;
        }
        self.servers.insert(server.id, Server { guest, ticket_keys: Some(missing.generation) });
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

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Fault {
        Fault::Trap(error)
    }
}

fn wrong_options(errors: Vec<TlsError>) -> Fault {
    Fault::Refusal(Error::Options(errors))
}

fn refusal(error: TlsError) -> Fault {
    Fault::Refusal(Error::Tls(error))
}
