//! The simulated time: starts at the real one and runs `speed` times as fast. Where Tokio's time is paused, so is it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that all parts of a simulated world share; clones show the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    started: Instant,
    speed: f64,
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
        Self {
            start,
            started: Instant::now(),
            speed,
        }
    }

    /// The simulated moment.
    pub fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().mul_f64(self.speed);
        SignedDuration::try_from(elapsed)
            .ok()
            .and_then(|elapsed| self.start.checked_add(elapsed).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// The simulated moment the clock started at.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// How many simulated seconds pass in a real one.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// How long the simulated `duration` takes in real time.
    pub fn real(&self, duration: Duration) -> Duration {
        duration.div_f64(self.speed)
    }

    /// Waits until the simulated `duration` has passed.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.real(duration)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_runs_ahead_of_the_real_one() {
        let start: Timestamp = "2026-07-15T00:00:00Z".parse().unwrap();
        let real = Instant::now();
        let clock = Clock::starting_at(start, 3600.0);
        std::thread::sleep(Duration::from_millis(5));
        let simulated = clock.now().duration_since(start);
        assert!(simulated >= SignedDuration::from_secs(18), "{simulated:?}");
        assert!(simulated <= SignedDuration::try_from(real.elapsed() * 3600).unwrap());
        assert_eq!(
            clock.real(Duration::from_secs(3600)),
            Duration::from_secs(1)
        );
    }

    #[test]
    #[should_panic(expected = "above 0")]
    fn a_clock_that_stands_still_is_refused() {
        let _ = Clock::new(0.0);
    }
}
