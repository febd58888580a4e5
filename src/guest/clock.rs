//! Time: the standard library's clocks, and each guest's own way to wait.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ports::{Clock, LocalFuture};

/// The clock of an instance.
pub(super) struct WasiClock {
    start: Instant,
    sleep: fn(Duration) -> LocalFuture<'static, ()>,
}

impl WasiClock {
    /// A clock that waits with `sleep`.
    pub(super) fn new(sleep: fn(Duration) -> LocalFuture<'static, ()>) -> Self {
        Self {
            start: Instant::now(),
            sleep,
        }
    }
}

impl Clock for WasiClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        (self.sleep)(duration)
    }
}

/// As WASI counts time.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
