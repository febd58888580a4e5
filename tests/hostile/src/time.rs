//! Virtual time: when nobody has anything to do, it is the next moment that somebody waits for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream};
use jiff::{SignedDuration, Timestamp};
use klaviyo_bulk_import::ports::{self, LocalFuture, Spawn};

/// When virtual time begins.
const BEGINNING: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A clock that is moved on by [`Time::run`]; clones show the same time.
#[derive(Clone, Default)]
pub struct Time(Rc<Inner>);

#[derive(Default)]
struct Inner {
    now: Cell<Duration>,
    next: Cell<u64>,
    sleepers: RefCell<BTreeMap<(Duration, u64), Waker>>,
    spawned: RefCell<Vec<LocalFuture<'static, ()>>>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

impl Time {
    /// The time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.now.get()
    }

    /// The moment that it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        SignedDuration::try_from(self.elapsed())
            .ok()
            .and_then(|elapsed| BEGINNING.checked_add(elapsed).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// Completes after this much time.
    pub async fn sleep(&self, duration: Duration) {
        let time = self.clone();
        let until = time.elapsed().saturating_add(duration);
        let number = time.0.next.replace(time.0.next.get() + 1);
        let _place = Place(&time, (until, number));
        std::future::poll_fn(|context| {
            if time.elapsed() >= until {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            time.0.sleepers.borrow_mut().insert((until, number), waker);
            Poll::Pending
        })
        .await;
    }

    /// Runs `main` to its end, with everything that it spawns. What is still going on then is dropped, as when an
    /// instance is killed.
    ///
    /// # Panics
    /// Where `main` waits for what never comes.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        let mut tasks = FuturesUnordered::<LocalFuture<'static, ()>>::new();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            woken.0.store(false, SeqCst);
            if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                return output;
            }
            tasks.extend(self.0.spawned.take());
            while let Poll::Ready(Some(())) = pin!(&mut tasks).poll_next(&mut context) {}
            let is_idle = !woken.0.load(SeqCst) && self.0.spawned.borrow().is_empty();
            if is_idle {
                assert!(self.move_on(), "everybody waits for somebody else");
            }
        }
    }

    /// Goes to the next moment that somebody waits for; `false` where nobody does.
    fn move_on(&self) -> bool {
        let next = self.0.sleepers.borrow_mut().pop_first();
        let Some(((until, _), waker)) = next else {
            return false;
        };
        self.0.now.set(self.elapsed().max(until));
        waker.wake();
        true
    }
}

/// A sleeper's place, given up when it is dropped.
struct Place<'a>(&'a Time, (Duration, u64));

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.sleepers.borrow_mut().remove(&self.1);
    }
}

impl ports::Clock for Time {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        let time = self.clone();
        Box::pin(async move { Self::sleep(&time, duration).await })
    }
}

impl Spawn for Time {
    fn spawn(&self, work: LocalFuture<'static, ()>) {
        self.0.spawned.borrow_mut().push(work);
    }
}
