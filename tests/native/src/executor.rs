//! Tasks on one thread and in virtual time, where a seed decides whose turn it is.
//!
//! Time stands still while anybody can go on, and then jumps to the next moment that somebody waits for: hours of
//! waiting cost nothing, and the same seed gives the same turns.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use clock::{Clock, Sleep};
use fastrand::Rng;
use klaviyo_bulk_import::ports::LocalFuture;

/// Whose task it is: an instance of the app by its number, or the world itself.
pub type Owner = Option<u64>;

/// The tasks of a world; clones share them.
#[derive(Clone)]
pub struct Executor(Rc<Inner>);

struct Inner {
    clock: Clock,
    rng: RefCell<Rng>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    woken: Woken,
    /// Until when instances get no turn.
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
    /// An executor whose turns this seed decides, and that moves on the time of this clock, which must be virtual.
    ///
    /// # Panics
    /// When the clock is not virtual.
    #[must_use]
    pub fn new(clock: Clock, seed: u64) -> Self {
        assert!(clock.speed().is_none(), "an executor's time is virtual");
        Self(Rc::new(Inner {
            clock,
            rng: RefCell::new(Rng::with_seed(seed)),
            tasks: RefCell::default(),
            woken: Woken::default(),
            frozen: RefCell::default(),
            next: Cell::default(),
        }))
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.clock.elapsed()
    }

    /// Completes after so much time.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.0.clock.sleep(duration)
    }

    /// Starts a task; nobody waits for it.
    pub fn spawn(&self, owner: Owner, future: impl Future<Output = ()> + 'static) {
        let (number, waker) = self.new_task();
        let task = Task {
            owner,
            future: Some(Box::pin(future)),
            waker,
        };
        self.0.tasks.borrow_mut().insert(number, task);
    }

    /// The number of a task that can go on, and what wakes it again.
    fn new_task(&self) -> (u64, Waker) {
        let number = self.0.next.replace(self.0.next.get() + 1);
        let waker = Waker::from(Arc::new(TaskWaker {
            task: number,
            woken: self.0.woken.clone(),
        }));
        waker.wake_by_ref();
        (number, waker)
    }

    /// Whether an instance has tasks.
    #[must_use]
    pub fn is_busy(&self, instance: u64) -> bool {
        let tasks = self.0.tasks.borrow();
        tasks.values().any(|task| task.owner == Some(instance))
    }

    /// Drops all tasks of an instance, wherever they are.
    pub fn kill(&self, instance: u64) {
        self.drop_tasks(|task| task.owner == Some(instance));
    }

    /// Drops all tasks: what they hold of the world would keep it alive.
    pub fn clear(&self) {
        self.drop_tasks(|_| true);
    }

    fn drop_tasks(&self, which: impl Fn(&Task) -> bool) {
        // a task may spawn another one when it is dropped
        let dropped: Vec<(u64, Task)> = {
            let mut tasks = self.0.tasks.borrow_mut();
            tasks.extract_if(.., |_, task| which(task)).collect()
        };
        drop(dropped);
    }

    /// Gives an instance no turn for so long, as a machine does that is paused.
    pub fn freeze(&self, instance: u64, duration: Duration) {
        let until = self.elapsed() + duration;
        self.0.frozen.borrow_mut().insert(instance, until);
    }

    /// Runs a future to its end, with all tasks beside it.
    ///
    /// # Panics
    /// Where it waits for what never comes.
    pub fn block_on<T>(&self, main: impl Future<Output = T>) -> T {
        let ended = self.run(main, |_| {});
        ended.expect("everybody waits for somebody else")
    }

    /// Gives turns until `main` has come to its end, or until nobody can go on any more: then there is nothing. `before`
    /// is called before each turn of an instance, and may kill it.
    pub fn run<T>(&self, main: impl Future<Output = T>, before: impl Fn(u64)) -> Option<T> {
        let (main_number, waker) = self.new_task();
        let mut main = pin!(main);
        loop {
            let Some(number) = self.next_turn() else {
                if self.0.clock.advance() {
                    continue;
                }
                return None;
            };
            if number != main_number {
                self.turn(number, &before);
            } else if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Some(output);
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

    fn turn(&self, number: u64, before: &impl Fn(u64)) {
        let found = {
            let tasks = self.0.tasks.borrow();
            tasks
                .get(&number)
                .map(|task| (task.owner, task.waker.clone()))
        };
        let Some((owner, waker)) = found else { return };
        if let Some(instance) = owner {
            if let Some(pause) = self.pause_of(instance) {
                self.0.clock.wake_after(pause, waker);
                return;
            }
            before(instance);
        }
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

    /// How long an instance is still given no turn.
    fn pause_of(&self, instance: u64) -> Option<Duration> {
        let until = *self.0.frozen.borrow().get(&instance)?;
        until
            .checked_sub(self.elapsed())
            .filter(|pause| !pause.is_zero())
    }
}
