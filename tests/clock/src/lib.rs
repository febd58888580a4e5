//! The simulated time: the real one, `speed` times as fast; or a virtual one, which does not pass while anybody works.
//!
//! On a clock that runs fast, everything that takes time by itself, such as computing, takes `speed` times as long as it
//! should, and a machine that stalls for a second has stalled for a simulated minute. On a virtual clock what happens
//! when depends on nothing but who waits for what: see [`virtual_time`](self::virtual_time). Where Tokio's time is paused,
//! a clock that follows the real time is paused with it.

mod call;
mod sleep;
#[cfg(test)]
mod tests;
mod virtual_time;

use std::future::Future;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

pub use call::{Arrived, Call};
pub use sleep::Sleep;
pub use virtual_time::{Flow, Participant};

use virtual_time::{Owner, VirtualTime};

/// A clock that all parts of a simulated world share; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Timestamp,
    pace: Pace,
}

#[derive(Clone, Debug)]
enum Pace {
    Scaled {
        started: Instant,
        speed: f64,
    },
    Virtual {
        time: Arc<VirtualTime>,
        /// Whom sleeping by this clone concerns.
        owner: Owner,
    },
}

impl Clock {
    /// A clock that shows the real time now and from here on runs `speed` times as fast as the real one.
    ///
    /// # Panics
    /// When `speed` is not a finite number above 0.
    pub fn new(speed: f64) -> Self {
        Self::starting_at(Timestamp::now(), speed)
    }

    /// As [`Clock::new`], but showing `start` now.
    ///
    /// # Panics
    /// When `speed` is not a finite number above 0.
    pub fn starting_at(start: Timestamp, speed: f64) -> Self {
        assert!(
            speed.is_finite() && speed > 0.0,
            "the speed of a clock is a finite number above 0, not {speed}"
        );
        let started = Instant::now();
        Self {
            start,
            pace: Pace::Scaled { started, speed },
        }
    }

    /// A virtual clock, which shows `start`.
    pub fn virtual_from(start: Timestamp) -> Self {
        Self {
            start,
            pace: Pace::Virtual {
                time: Arc::default(),
                owner: Owner::Nobody,
            },
        }
    }

    /// The simulated moment.
    pub fn now(&self) -> Timestamp {
        SignedDuration::try_from(self.elapsed())
            .ok()
            .and_then(|elapsed| self.start.checked_add(elapsed).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// The simulated time since the clock started.
    pub fn elapsed(&self) -> Duration {
        match &self.pace {
            Pace::Scaled { started, speed } => started.elapsed().mul_f64(*speed),
            Pace::Virtual { time, .. } => time.now(),
        }
    }

    /// The simulated moment the clock started at.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Whether it runs as fast as the real time.
    pub fn is_real(&self) -> bool {
        matches!(self.pace, Pace::Scaled { speed, .. } if speed == 1.0)
    }

    /// How many simulated seconds pass in a real one; none on a virtual clock.
    pub fn speed(&self) -> Option<f64> {
        match self.pace {
            Pace::Scaled { speed, .. } => Some(speed),
            Pace::Virtual { .. } => None,
        }
    }

    /// Waits until the simulated `duration` has passed.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        match &self.pace {
            Pace::Scaled { speed, .. } => Sleep::real(*speed, duration),
            Pace::Virtual { time, owner } => Sleep::of(time, *owner, duration),
        }
    }

    /// What a future comes to, or nothing where the simulated `limit` passes first.
    pub async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(limit) => None,
        }
    }

    /// Whoever looks on from outside lets the simulated `duration` pass. A virtual clock stands still again when it has.
    pub async fn pass(&self, duration: Duration) {
        self.owned_by(Owner::Flow).sleep(duration).await;
    }

    /// Lets a virtual clock's time pass for as long as this is kept: whoever looks on from outside waits.
    pub fn flow(&self) -> Option<Flow> {
        self.virtual_time().map(VirtualTime::flow)
    }

    /// For an executor that knows by itself when nobody can go on: lets a virtual clock's time jump to the next moment that
    /// anybody sleeps until, and wakes that sleeper. `false` where nobody sleeps.
    pub fn advance(&self) -> bool {
        self.virtual_time().is_some_and(|time| time.advance())
    }

    /// Wakes a task on a virtual clock when `duration` has passed, whatever becomes of it until then.
    pub fn wake_after(&self, duration: Duration, waker: Waker) {
        if let Some(time) = self.virtual_time() {
            time.change(|state| {
                let key = (state.now().saturating_add(duration), state.number());
                state.set_alarm(key, Owner::Nobody, waker)
            });
        }
    }

    /// A call begins. On a virtual clock no time passes while it is on its way.
    pub fn call(&self) -> Call {
        Call::begin(self.virtual_time())
    }

    /// A call has arrived; its mark is taken out of the headers.
    pub fn arrived(&self, headers: &mut http::HeaderMap) -> Arrived {
        Arrived::of(self, headers)
    }

    /// For a thread that is to be watched by a virtual clock: the clock by which it sleeps, and what it reports to.
    pub fn join(&self) -> Option<(Self, Participant)> {
        let time = self.virtual_time()?;
        let participant = Participant::join(time);
        Some((self.owned_by(participant.owner()), participant))
    }

    fn virtual_time(&self) -> Option<&Arc<VirtualTime>> {
        match &self.pace {
            Pace::Scaled { .. } => None,
            Pace::Virtual { time, .. } => Some(time),
        }
    }

    fn owned_by(&self, owner: Owner) -> Self {
        let mut clock = self.clone();
        if let Pace::Virtual { owner: of, .. } = &mut clock.pace {
            *of = owner;
        }
        clock
    }
}
