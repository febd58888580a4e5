//! What happened in a host so far, in numbers.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// A snapshot of a host's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The most linear memory that a single instance has held, in bytes.
    pub peak_memory: usize,
    /// Instances created.
    pub instances: u64,
    /// Instances that ended in a trap (a panic, a refused growth of memory); neither kills nor timeouts count.
    pub traps: u64,
    /// Instances ended because a request or the work after it ran out of `request_timeout`.
    pub timeouts: u64,
    /// Growths of memory that were refused.
    pub refused_growths: u64,
    /// Requests that came in, self-calls among them.
    pub requests_in: u64,
    /// Requests that guests were allowed to send, self-calls among them.
    pub requests_out: u64,
    /// Requests that guests were not allowed to send.
    pub denied: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) peak_memory: AtomicUsize,
    pub(crate) instances: AtomicU64,
    pub(crate) traps: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) refused_growths: AtomicU64,
    pub(crate) requests_in: AtomicU64,
    pub(crate) requests_out: AtomicU64,
    pub(crate) denied: AtomicU64,
}

impl Counters {
    /// Counts one more and tells how many there were before.
    pub(crate) fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Relaxed)
    }

    /// Gives the most memory that an instance has held, and forgets it.
    pub(crate) fn take_peak_memory(&self) -> usize {
        self.peak_memory.swap(0, Relaxed)
    }

    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            peak_memory: self.peak_memory.load(Relaxed),
            instances: self.instances.load(Relaxed),
            traps: self.traps.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            refused_growths: self.refused_growths.load(Relaxed),
            requests_in: self.requests_in.load(Relaxed),
            requests_out: self.requests_out.load(Relaxed),
            denied: self.denied.load(Relaxed),
        }
    }
}
