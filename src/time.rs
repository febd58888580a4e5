//! Timestamps and deadlines, and yielding to other tasks.

use std::time::Duration;

use jiff::Timestamp;

use crate::ports::Clock;

/// The time on the monotonic clock by which something must be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// The deadline this long from now.
    #[must_use]
    pub fn after(clock: &dyn Clock, duration: Duration) -> Self {
        Self(clock.monotonic() + duration)
    }

    /// The deadline that is this much earlier.
    #[must_use]
    pub fn less(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }

    /// How much time is left; zero when it is over.
    #[must_use]
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.monotonic())
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(self, clock: &dyn Clock) -> bool {
        self.remaining(clock).is_zero()
    }
}

/// The timestamp this much later; the last possible one if that is out of range.
#[must_use]
pub fn later(moment: Timestamp, duration: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| moment.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The time from one timestamp to a later one; zero if it is not later.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// Lets other tasks of this instance run: one thread serves them all.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
