//! Tasks that wait for WASI's pollables: one thread, any number of connections.
//!
//! `wasi:io/poll` looks at every pollable that it is given, each time. With ten thousand connections of which a few are busy, most of the
//! time would go to the idle ones; so those that were ready lately are looked at alone for a while, and all of them only then, or when
//! nothing moves among the busy ones. See [`Reactor::wait`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_executor::{LocalPool, LocalSpawner};
use futures_util::future::{Either, select};
use futures_util::task::LocalSpawnExt as _;
use slab::Slab;
use wasip2::clocks::monotonic_clock::{self, subscribe_instant};
use wasip2::io::poll::{Pollable, poll};

/// Runs a task, and all that it spawns, until it is done. What it spawned and is not done then is left as it is: the program has to end.
pub(crate) fn run<T: 'static>(task: impl Future<Output = T> + 'static) -> T {
    let mut pool = LocalPool::new();
    SPAWNER.set(Some(pool.spawner()));
    let done = Rc::new(Cell::new(None));
    let result = done.clone();
    spawn(async move { result.set(Some(task.await)) });
    loop {
        CLOCK.set(monotonic_clock::now());
        pool.run_until_stalled();
        if let Some(result) = done.take() {
            // The program ends, and the host closes what is open. To drop it here would wait for peers that take nothing.
            std::mem::forget(pool);
            return result;
        }
        // The lock of the reactor must not be held by whoever is woken.
        let is_asked = TURNS.with_borrow(|turns| !turns.queue.is_empty());
        let ready = REACTOR.with_borrow_mut(|reactor| reactor.wait(is_asked));
        ready.into_iter().for_each(Waker::wake);
        let granted = TURNS.with_borrow_mut(Turns::next_round);
        granted.into_iter().for_each(Waker::wake);
    }
}

/// Starts a task beside the one that calls this. Only within [`run`].
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    SPAWNER.with_borrow(|spawner| {
        let spawner = spawner.as_ref().expect("tasks are started by tasks");
        spawner.spawn_local(task).expect("the pool lives as long as its tasks");
    });
}

/// The monotonic time in nanoseconds, as of when the running tasks were woken.
pub(crate) fn now() -> u64 {
    CLOCK.get()
}

/// Waits until this time, as [`now`] counts it.
pub(crate) async fn sleep_until(deadline: u64) {
    let mut timer = Timer { at: (deadline, 0) };
    poll_fn(|context| {
        if now() >= deadline {
            return Poll::Ready(());
        }
        REACTOR.with_borrow_mut(|reactor| reactor.set(&mut timer, context.waker()));
        Poll::Pending
    })
    .await;
}

/// Waits so long.
pub(crate) async fn sleep(time: Duration) {
    sleep_until(after(time)).await;
}

/// What the task gives, or `None` where it takes longer than this.
pub(crate) async fn timeout<T>(time: Duration, task: impl Future<Output = T>) -> Option<T> {
    match select(pin!(task), pin!(sleep(time))).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// Lets other tasks that can go on do so first.
pub(crate) async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits for a turn at work that takes long, such as a step of a handshake. Of those there are [`ROUND`] between two looks at what else
/// is ready, in the order in which they were asked for: so thousands who want a handshake keep nobody waiting whose own is done.
pub(crate) async fn turn() {
    let mut asked: Option<Rc<Cell<bool>>> = None;
    poll_fn(|context| {
        let granted = match &asked {
            Some(granted) => granted.get(),
            None => TURNS.with_borrow_mut(|turns| turns.try_take()),
        };
        if granted {
            return Poll::Ready(());
        }
        if asked.is_none() {
            let granted = Rc::default();
            asked = Some(Rc::clone(&granted));
            TURNS.with_borrow_mut(|turns| turns.queue.push_back((granted, context.waker().clone())));
        }
        Poll::Pending
    })
    .await;
}

/// The time at which this much has passed.
pub(crate) fn after(time: Duration) -> u64 {
    now().saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// A pollable that tasks can wait for. It has to be dropped before what it belongs to.
pub(crate) struct Source {
    key: usize,
}

impl Source {
    /// Makes it known.
    pub(crate) fn new(pollable: Pollable) -> Source {
        let key = REACTOR.with_borrow_mut(|reactor| {
            let fired = now();
            reactor.sources.insert(Entry { pollable, waker: None, fired, ready: false, is_busy: false, is_idle: false })
        });
        Source { key }
    }

    /// Whether it was ready since it was asked last; if not, the task will be woken when it is.
    ///
    /// Call it when what it belongs to has said that there is nothing to do now.
    pub(crate) fn poll_ready(&self, waker: &Waker) -> Poll<()> {
        REACTOR.with_borrow_mut(|reactor| {
            let entry = &mut reactor.sources[self.key];
            if std::mem::take(&mut entry.ready) {
                return Poll::Ready(());
            }
            if !entry.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                entry.waker = Some(waker.clone());
            }
            // A task that is awake will soon be again, by whatever it waits for: a request is followed by an answer.
            entry.fired = now();
            if !std::mem::replace(&mut entry.is_busy, true) {
                reactor.busy.push(self.key);
            }
            Poll::Pending
        })
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        poll_fn(|context| self.poll_ready(context.waker())).await;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The reactor is gone only when the program ends.
        let _ = REACTOR.try_with(|reactor| {
            let mut reactor = reactor.borrow_mut();
            let key = self.key;
            let entry = reactor.sources.remove(key);
            reactor.forget(key, &entry);
        });
    }
}

/// Who waits for a turn.
#[derive(Default)]
struct Turns {
    /// How many there are left in this round.
    left: usize,
    /// Whether it was granted, and whom to wake. Who has gone holds the first one no more.
    queue: VecDeque<(Rc<Cell<bool>>, Waker)>,
}

impl Turns {
    /// Takes one, where there is one and nobody was first.
    fn try_take(&mut self) -> bool {
        let free = self.queue.is_empty() && self.left > 0;
        self.left -= usize::from(free);
        free
    }

    /// Begins a round, and gives who has a turn in it.
    fn next_round(&mut self) -> Vec<Waker> {
        self.left = ROUND;
        let mut granted = Vec::new();
        while self.left > 0
            && let Some((turn, waker)) = self.queue.pop_front()
        {
            if Rc::strong_count(&turn) > 1 {
                turn.set(true);
                granted.push(waker);
                self.left -= 1;
            }
        }
        granted
    }
}

/// What all tasks wait for.
#[derive(Default)]
struct Reactor {
    sources: Slab<Entry>,
    /// Who waits and was ready lately, or is new.
    busy: Vec<usize>,
    /// Who waits and was not; and some that are among the busy ones by now.
    idle: Vec<usize>,
    /// When those that are idle were looked at last.
    looked: u64,
    timers: BTreeMap<(u64, u64), Waker>,
    /// Tells timers of one instant apart.
    count: u64,
}

struct Entry {
    pollable: Pollable,
    /// Who waits for it, if anybody does.
    waker: Option<Waker>,
    /// When it was ready last, or its task was awake.
    fired: u64,
    /// Whether it was ready since somebody waited for it.
    ready: bool,
    /// In which lists of the reactor it is; in both, it counts as busy.
    is_busy: bool,
    is_idle: bool,
}

impl Reactor {
    /// Waits until somebody can go on, and gives who. Where somebody can already, it only looks who else can.
    fn wait(&mut self, only_look: bool) -> Vec<Waker> {
        let deadline = if only_look { Some(0) } else { self.timers.first_key_value().map(|((at, _), _)| *at) };
        let mut ready = Vec::new();
        // When it is time for those that are idle, whatever the others do.
        let turn = self.looked + self.idle.len() as u64 * PATIENCE;
        if !self.busy.is_empty() && monotonic_clock::now() < turn {
            self.look(false, Some(deadline.unwrap_or(u64::MAX).min(turn)), &mut ready);
        }
        // A timer that is due is no wait, but a look all the same: timers must not keep connections from their turn.
        if ready.is_empty() && !(only_look && monotonic_clock::now() < turn) {
            self.look(true, deadline, &mut ready);
        }
        self.expire(&mut ready);
        ready
    }

    /// Polls those that are busy, or all of them, until one is ready or the time has come.
    fn look(&mut self, all: bool, deadline: Option<u64>, ready: &mut Vec<Waker>) {
        let mut keys = self.busy.clone();
        if all {
            keys.extend(self.idle.iter().filter(|key| !self.sources[**key].is_busy));
        }
        let timer = deadline.map(subscribe_instant);
        let pollables: Vec<&Pollable> =
            keys.iter().map(|key| &self.sources[*key].pollable).chain(timer.as_ref()).collect();
        assert!(!pollables.is_empty(), "every task waits, and none of them for anything");
        let fired = poll(&pollables);
        let now = monotonic_clock::now();
        if all {
            self.looked = now;
        }
        for index in fired {
            // The last one is the timer.
            let Some(key) = keys.get(index as usize) else { continue };
            let entry = &mut self.sources[*key];
            (entry.fired, entry.ready) = (now, true);
            ready.extend(entry.waker.take());
        }
        self.busy.clear();
        if all {
            self.idle.drain(..).for_each(|key| self.sources[key].is_idle = false);
        }
        for key in keys {
            let entry = &mut self.sources[key];
            let waits = entry.waker.is_some();
            let is_idle = all && now.saturating_sub(entry.fired) >= BUSY;
            entry.is_busy = waits && !is_idle;
            if entry.is_busy {
                self.busy.push(key);
            } else if waits {
                entry.is_idle = true;
                self.idle.push(key);
            }
        }
    }

    fn expire(&mut self, ready: &mut Vec<Waker>) {
        if self.timers.is_empty() {
            return;
        }
        let now = monotonic_clock::now();
        let later = self.timers.split_off(&(now + 1, 0));
        ready.extend(std::mem::replace(&mut self.timers, later).into_values());
    }

    /// Takes a source that is gone out of the lists: its key may become another one's.
    fn forget(&mut self, key: usize, entry: &Entry) {
        for (is_in, list) in [(entry.is_busy, &mut self.busy), (entry.is_idle, &mut self.idle)] {
            if is_in && let Some(index) = list.iter().position(|other| *other == key) {
                list.swap_remove(index);
            }
        }
    }

    fn set(&mut self, timer: &mut Timer, waker: &Waker) {
        if timer.at.1 == 0 {
            self.count += 1;
            timer.at.1 = self.count;
        }
        self.timers.insert(timer.at, waker.clone());
    }
}

/// An entry among the timers, which goes with this.
struct Timer {
    at: (u64, u64),
}

impl Drop for Timer {
    fn drop(&mut self) {
        let _ = REACTOR.try_with(|reactor| reactor.borrow_mut().timers.remove(&self.at));
    }
}

thread_local! {
    static SPAWNER: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
    static REACTOR: RefCell<Reactor> = RefCell::default();
    static TURNS: RefCell<Turns> = RefCell::default();
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// How long a source counts as busy after it was ready, in nanoseconds.
const BUSY: u64 = 100_000_000;

/// How long idle sources may go without a look while others are busy, in nanoseconds for each of them: some ten times as long as a look
/// takes, so 50 ms for ten thousand.
const PATIENCE: u64 = 5_000;

/// How many turns there are in a round. A step of a handshake takes up to a millisecond or two.
const ROUND: usize = 8;
