//! The threads that an application runs on: several in real time; one in virtual time, which it tells when it has nothing
//! to run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use clock::{Clock, Participant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Threads in real time: enough that one busy guest does not hold up another.
const THREADS: usize = 4;
const NAME: &str = "host";

/// A runtime of its own, so that all that is on it ends with it.
pub(crate) enum Threads {
    Several(Runtime),
    One(Thread),
}

/// A thread that drives its runtime until it is told to end, or until this is dropped.
pub(crate) struct Thread {
    handle: Handle,
    thread: std::thread::JoinHandle<()>,
    _end: oneshot::Sender<()>,
}

impl Threads {
    /// Starts them; gives the clock for all that runs on them.
    pub(crate) fn start(clock: &Clock) -> Result<(Self, Clock)> {
        let Some((clock, participant)) = clock.join() else {
            let runtime = Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name(NAME)
                .enable_all()
                .build()
                .context("starting the host's runtime")?;
            return Ok((Self::Several(runtime), clock.clone()));
        };
        Ok((Self::One(Thread::start(participant)?), clock))
    }

    pub(crate) fn handle(&self) -> &Handle {
        match self {
            Self::Several(runtime) => runtime.handle(),
            Self::One(thread) => &thread.handle,
        }
    }

    /// Drops all that is on them and waits for it; `patience` is for what is in the middle of something.
    pub(crate) fn end(self, patience: Duration) {
        match self {
            Self::Several(runtime) => runtime.shutdown_timeout(patience),
            Self::One(Thread { thread, _end, .. }) => {
                drop(_end);
                // It has panicked, or it has ended: gone it is.
                let _ = thread.join();
            }
        }
    }

    /// As [`Threads::end`], without waiting.
    pub(crate) fn end_some_time(self) {
        if let Self::Several(runtime) = self {
            runtime.shutdown_background();
        }
    }
}

impl Thread {
    fn start(participant: Participant) -> Result<Self> {
        let participant = Arc::new(Mutex::new(Some(participant)));
        let report = |act: fn(&Participant)| {
            let participant = Arc::clone(&participant);
            move || {
                let participant = participant.lock();
                if let Some(participant) = &*participant.unwrap_or_else(PoisonError::into_inner) {
                    act(participant);
                }
            }
        };
        let runtime = Builder::new_current_thread()
            .on_thread_park(report(Participant::rests))
            .on_thread_unpark(report(Participant::works))
            .enable_all()
            .build()
            .context("starting the host's runtime")?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let drive = move || {
            // Told to end, or left alone.
            let _ = runtime.block_on(ended);
            drop(runtime);
            // Whoever waits in virtual time does not wait for this thread any more.
            drop(
                participant
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
            );
        };
        let thread = std::thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(drive)
            .context("starting the host's thread")?;
        Ok(Self {
            handle,
            thread,
            _end: end,
        })
    }
}
