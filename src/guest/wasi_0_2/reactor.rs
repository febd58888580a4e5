//! Futures on WASI 0.2: whoever waits for the platform leaves a pollable here, and all of them are waited for together.
//!
//! Tasks have wakers of their own ([`FuturesUnordered`]), so whatever wakes a task, a pollable or another task, it is
//! polled. The platform is waited for only while no task has been woken.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use bindings::wasi::io::poll::{Pollable, poll};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use slab::Slab;

use crate::guest::clock::nanoseconds;
use crate::ports::LocalFuture;

/// Somebody who waits.
enum Waiting {
    For { pollable: Pollable, waker: Waker },
    Ready,
}

thread_local! {
    static WAITING: RefCell<Slab<Waiting>> = const { RefCell::new(Slab::new()) };
    /// Tasks that have been started and not been polled yet.
    static STARTED: RefCell<Vec<LocalFuture<'static, ()>>> = const { RefCell::new(Vec::new()) };
}

/// Whether a task has been woken since this was last looked at.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts a task that [`run`] finishes before it returns.
pub(super) fn spawn(task: LocalFuture<'static, ()>) {
    STARTED.with_borrow_mut(|started| started.push(task));
}

/// Runs a task, and all that it starts, to the end.
pub(super) fn run(task: impl Future<Output = ()> + 'static) {
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut tasks = FuturesUnordered::new();
    spawn(Box::pin(task));
    loop {
        tasks.extend(STARTED.take());
        // gives way now and then, though tasks are woken: then the platform has its turn
        let polled = tasks.poll_next_unpin(&mut context);
        let has_started = STARTED.with_borrow(|started| !started.is_empty());
        match polled {
            Poll::Ready(Some(())) => {}
            Poll::Ready(None) if !has_started => return,
            Poll::Ready(None) => {}
            Poll::Pending => {
                let has_work = woken.0.swap(false, Ordering::Relaxed) || has_started;
                wake_ready(!has_work);
            }
        }
    }
}

/// Wakes those whose pollables are ready; where it `may_block`, waits until one is.
fn wake_ready(may_block: bool) {
    let woken: Vec<Waker> = WAITING.with_borrow_mut(|waiting| {
        let at_once = (!may_block).then(|| subscribe_duration(0));
        let (keys, mut pollables): (Vec<usize>, Vec<&Pollable>) = waiting
            .iter()
            .filter_map(|(key, waiting)| match waiting {
                Waiting::For { pollable, .. } => Some((key, pollable)),
                // its task has been woken and did not ask: that is no reason to wake it again
                Waiting::Ready => None,
            })
            .unzip();
        pollables.extend(&at_once);
        let ready = poll(&pollables);
        // the last may be `at_once`, which has no key
        let ready = ready
            .into_iter()
            .filter_map(|index| keys.get(index as usize));
        ready
            .filter_map(
                |&key| match std::mem::replace(&mut waiting[key], Waiting::Ready) {
                    Waiting::For { waker, .. } => Some(waker),
                    Waiting::Ready => None,
                },
            )
            .collect()
    });
    woken.into_iter().for_each(Waker::wake);
}

/// A place in [`WAITING`].
struct Place(usize);

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|waiting| waiting.remove(self.0));
    }
}

/// Waits until it is ready.
pub(super) async fn wait(pollable: Pollable) {
    let mut pollable = Some(pollable);
    let mut place: Option<Place> = None;
    poll_fn(|context| {
        WAITING.with_borrow_mut(|waiting| {
            if let Some(pollable) = pollable.take() {
                let waker = context.waker().clone();
                place = Some(Place(waiting.insert(Waiting::For { pollable, waker })));
                return Poll::Pending;
            }
            match place.as_ref().map(|place| &mut waiting[place.0]) {
                Some(Waiting::For { waker, .. }) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                Some(Waiting::Ready) | None => Poll::Ready(()),
            }
        })
    })
    .await;
}

/// Completes after this much time.
pub(super) async fn sleep(duration: Duration) {
    wait(subscribe_duration(nanoseconds(duration))).await;
}
