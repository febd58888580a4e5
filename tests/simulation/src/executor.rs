//! Tasks and time of a simulated world: one thread, a virtual clock, and a seed that decides whose turn it is.
//!
//! Time stands still while anybody can go on, and then jumps to the next moment that somebody waits for: hours of
//! waiting cost nothing, and the same seed gives the same turns.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fastrand::Rng;
use klaviyo_bulk_import::ports::LocalFuture;

/// Whose task it is: an instance of the app by its number, or the world itself.
pub(crate) type Owner = Option<u64>;

/// The tasks of a world; clones share them.
#[derive(Clone)]
pub(crate) struct Executor(Rc<Inner>);

struct Inner {
    now: Cell<Duration>,
    rng: RefCell<Rng>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    woken: Woken,
    timers: RefCell<BTreeMap<(Duration, u64), Waker>>,
    frozen: RefCell<BTreeMap<u64, Duration>>,
    next: Cell<u64>,
}

struct Task {
    owner: Owner,
    /// None while it is being polled.
    future: Option<LocalFuture<'static, ()>>,
    waker: Waker,
}

/// The numbers of the tasks that can go on, each once.
type Woken = Arc<Mutex<Vec<u64>>>;

struct TaskWaker {
    task: u64,
    woken: Woken,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if !woken.contains(&self.task) {
            woken.push(self.task);
        }
    }
}

impl Executor {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rc::new(Inner {
            now: Cell::default(),
            rng: RefCell::new(Rng::with_seed(seed)),
            tasks: RefCell::default(),
            woken: Woken::default(),
            timers: RefCell::default(),
            frozen: RefCell::default(),
            next: Cell::default(),
        }))
    }

    /// Virtual time since the world began.
    pub(crate) fn now(&self) -> Duration {
        self.0.now.get()
    }

    fn number(&self) -> u64 {
        let number = self.0.next.get();
        self.0.next.set(number + 1);
        number
    }

    pub(crate) fn spawn(&self, owner: Owner, future: impl Future<Output = ()> + 'static) {
        let number = self.number();
        let waker = Waker::from(Arc::new(TaskWaker {
            task: number,
            woken: self.0.woken.clone(),
        }));
        waker.wake_by_ref();
        let task = Task {
            owner,
            future: Some(Box::pin(future)),
            waker,
        };
        self.0.tasks.borrow_mut().insert(number, task);
    }

    /// Completes after so much virtual time.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        Sleep {
            executor: self.clone(),
            until: self.now().saturating_add(duration),
            timer: None,
        }
    }

    /// Whether an instance has tasks.
    pub(crate) fn is_busy(&self, instance: u64) -> bool {
        let tasks = self.0.tasks.borrow();
        tasks.values().any(|task| task.owner == Some(instance))
    }

    /// Drops all tasks of an instance, wherever they are.
    pub(crate) fn kill(&self, instance: u64) {
        self.drop_tasks(|task| task.owner == Some(instance));
    }

    /// Drops all tasks: what they hold of the world would keep it alive.
    pub(crate) fn clear(&self) {
        self.drop_tasks(|_| true);
    }

    fn drop_tasks(&self, which: impl Fn(&Task) -> bool) {
        let dropped: Vec<Task> = {
            let mut tasks = self.0.tasks.borrow_mut();
            let numbers: Vec<u64> = tasks
                .iter()
                .filter(|(_, task)| which(task))
                .map(|(number, _)| *number)
                .collect();
            numbers
                .iter()
                .filter_map(|number| tasks.remove(number))
                .collect()
        };
        drop(dropped);
    }

    /// Gives an instance no turn for so long, as a machine does that is paused.
    pub(crate) fn freeze(&self, instance: u64, duration: Duration) {
        let until = self.now() + duration;
        self.0.frozen.borrow_mut().insert(instance, until);
    }

    /// Gives turns until `is_over`, or until nobody can go on any more. `before` is called before each turn, and may
    /// kill the one whose turn it is.
    pub(crate) fn run(&self, is_over: impl Fn() -> bool, before: impl Fn(Owner)) {
        while !is_over() {
            match self.next_turn() {
                Some(number) => self.turn(number, &before),
                None => {
                    if !self.next_moment() {
                        break;
                    }
                }
            }
        }
    }

    fn next_turn(&self) -> Option<u64> {
        let mut woken = self.0.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if woken.is_empty() {
            return None;
        }
        let which = self.0.rng.borrow_mut().usize(..woken.len());
        Some(woken.swap_remove(which))
    }

    fn next_moment(&self) -> bool {
        let Some(((moment, _), waker)) = self.0.timers.borrow_mut().pop_first() else {
            return false;
        };
        self.0.now.set(moment.max(self.now()));
        waker.wake();
        true
    }

    fn turn(&self, number: u64, before: &impl Fn(Owner)) {
        let found = {
            let tasks = self.0.tasks.borrow();
            tasks
                .get(&number)
                .map(|task| (task.owner, task.waker.clone()))
        };
        let Some((owner, waker)) = found else { return };
        if let Some(until) = self.frozen_until(owner) {
            self.0
                .timers
                .borrow_mut()
                .insert((until, self.number()), waker);
            return;
        }
        before(owner);
        let taken = {
            let mut tasks = self.0.tasks.borrow_mut();
            tasks.get_mut(&number).and_then(|task| task.future.take())
        };
        let Some(mut future) = taken else { return };
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        let finished = {
            let mut tasks = self.0.tasks.borrow_mut();
            match polled {
                Poll::Ready(()) => tasks.remove(&number),
                Poll::Pending => {
                    if let Some(task) = tasks.get_mut(&number) {
                        task.future = Some(future);
                    }
                    None
                }
            }
        };
        drop(finished);
    }

    fn frozen_until(&self, owner: Owner) -> Option<Duration> {
        let frozen = self.0.frozen.borrow();
        let until = *frozen.get(&owner?)?;
        (until > self.now()).then_some(until)
    }
}

/// See [`Executor::sleep`].
pub(crate) struct Sleep {
    executor: Executor,
    until: Duration,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.executor.now() >= self.until {
            return Poll::Ready(());
        }
        let number = match self.timer {
            Some(number) => number,
            None => self.executor.number(),
        };
        self.timer = Some(number);
        let waker = context.waker().clone();
        let mut timers = self.executor.0.timers.borrow_mut();
        timers.insert((self.until, number), waker);
        drop(timers);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.timer {
            let mut timers = self.executor.0.timers.borrow_mut();
            timers.remove(&(self.until, number));
        }
    }
}
