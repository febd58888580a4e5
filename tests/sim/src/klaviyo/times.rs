//! How long jobs take: drawn from the recorded times, or chosen by a test.
//!
//! The recorded times are those of `completed_at` minus `created_at` in recordings of the real API, three jobs of two
//! entries for each kind and action. How the time grows with the number of entries was never recorded: here it does
//! not.

use std::time::Duration;

use fastrand::Rng;

use super::operation::{Action, JobKind, Kind};

/// How long a job stays in each state, in simulated time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum JobTimes {
    /// Drawn from the recorded times of the job's kind and action.
    Recorded {
        /// Which of them.
        which: Recorded,
        /// They are multiplied by this, so that tests stay quick; 1 for the full length.
        scale: f64,
    },
    /// The same for all jobs.
    Chosen {
        /// From the request to the moment at which the job is worked on. A catalog job says `processing` all the same.
        queued: Duration,
        /// From then on until it is `complete`.
        processing: Duration,
        /// Added to each of the two: a random part of this.
        jitter: Duration,
    },
}

/// Which of the recorded times are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Those under a minute: most of them.
    Usual,
    /// All of them: five of eighteen jobs of items and variants took from two to five minutes.
    All,
}

impl JobTimes {
    /// Usual times at their full length.
    pub const USUAL: Self = Self::Recorded {
        which: Recorded::Usual,
        scale: 1.0,
    };
    /// All recorded times at their full length.
    pub const RECORDED: Self = Self::Recorded {
        which: Recorded::All,
        scale: 1.0,
    };

    /// Every job takes exactly this long.
    #[must_use]
    pub const fn taking(time: Duration) -> Self {
        Self::Chosen {
            queued: Duration::ZERO,
            processing: time,
            jitter: Duration::ZERO,
        }
    }

    pub(super) fn draw(self, kind: JobKind, rng: &mut Rng) -> Times {
        match self {
            Self::Recorded { which, scale } => {
                let seconds: Vec<f64> = recorded(kind)
                    .iter()
                    .copied()
                    .filter(|&seconds| which == Recorded::All || seconds < USUAL_BELOW)
                    .collect();
                let seconds = rng.choice(seconds).unwrap_or(USUAL_BELOW) + rng.f64() - 0.5;
                let whole = Duration::from_secs_f64(seconds * scale);
                // entries of a slow job could be read while it was still said to be under way, in one run shortly before
                // it was over; that it is mostly so late, and much earlier now and then, is not known
                let least = match seconds < USUAL_BELOW {
                    true => 0.5,
                    false if rng.u8(..4) == 0 => BEGINS,
                    false => LATE,
                };
                Times {
                    begins: whole.mul_f64(BEGINS),
                    takes_effect: whole.mul_f64(least + (1.0 - least) * rng.f64()),
                    ends: whole,
                }
            }
            Self::Chosen {
                queued,
                processing,
                jitter,
            } => {
                let begins = queued + jitter.mul_f64(rng.f64());
                let processing = processing + jitter.mul_f64(rng.f64());
                Times {
                    begins,
                    takes_effect: begins + processing.mul_f64(0.5 + 0.5 * rng.f64()),
                    ends: begins + processing,
                }
            }
        }
    }
}

/// The usual times at a tenth of their length, so that tests stay quick: one to three seconds.
impl Default for JobTimes {
    fn default() -> Self {
        Self::Recorded {
            which: Recorded::Usual,
            scale: 0.1,
        }
    }
}

/// The moments of one job, from its request on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    /// It is worked on: no longer `queued`.
    pub(super) begins: Duration,
    /// What it writes can be read. Counts and errors are there from now on, while the state is still `processing`.
    pub(super) takes_effect: Duration,
    /// It is `complete`.
    pub(super) ends: Duration,
}

/// Times under this count as usual, in seconds.
const USUAL_BELOW: f64 = 60.0;
/// The share of a job's time in which it waits to be worked on. Recorded is only that an import is still `queued` at a
/// first poll.
const BEGINS: f64 = 0.1;
/// The share of a slow job's time in which mostly nothing of what it writes can be read: what the recorded create of 274
/// seconds made could not be read at that share of its time.
const LATE: f64 = 0.93;

/// The recorded times of a kind of job, in seconds.
fn recorded(kind: JobKind) -> &'static [f64] {
    match kind {
        JobKind::Catalog(Kind::Item, Action::Create) => &[12.0, 16.0, 274.0],
        JobKind::Catalog(Kind::Item, Action::Update) => &[11.0, 14.0, 229.0],
        JobKind::Catalog(Kind::Item, Action::Delete) => &[12.0, 12.0, 13.0],
        JobKind::Catalog(Kind::Variant, Action::Create) => &[10.0, 12.0, 13.0],
        JobKind::Catalog(Kind::Variant, Action::Update) => &[14.0, 33.0, 130.0],
        JobKind::Catalog(Kind::Variant, Action::Delete) => &[7.0, 140.0, 255.0],
        JobKind::Catalog(Kind::Category, Action::Create) => &[11.0, 11.0, 8.0],
        JobKind::Catalog(Kind::Category, Action::Update) => &[14.0, 11.0, 12.0],
        JobKind::Catalog(Kind::Category, Action::Delete) => &[12.0, 14.0, 11.0],
        // no time of a profile import was recorded: taken to be as usual as those of categories
        JobKind::ProfileImport => &[8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(times: JobTimes, kind: JobKind) -> Vec<f64> {
        let mut rng = Rng::with_seed(7);
        let times = std::iter::repeat_with(|| times.draw(kind, &mut rng));
        let times = times.take(300).inspect(|times| {
            assert!(times.begins <= times.takes_effect && times.takes_effect <= times.ends);
        });
        times.map(|times| times.ends.as_secs_f64()).collect()
    }

    #[test]
    fn usual_times_are_those_under_a_minute_and_recorded_ones_are_all() {
        let kind = JobKind::Catalog(Kind::Variant, Action::Delete);
        let near = |times: &[f64], seconds: f64| {
            let near = times.iter().filter(|time| (*time - seconds).abs() <= 0.5);
            near.count()
        };
        let usual = drawn(JobTimes::USUAL, kind);
        assert_eq!(near(&usual, 7.0), 300);
        let all = drawn(JobTimes::RECORDED, kind);
        for seconds in [7.0, 140.0, 255.0] {
            assert!(near(&all, seconds) > 60, "{seconds}");
        }
        assert_eq!(near(&all, 7.0) + near(&all, 140.0) + near(&all, 255.0), 300);
        let quick = drawn(JobTimes::default(), kind);
        assert!(quick.iter().all(|&seconds| seconds < 1.0));
    }

    #[test]
    fn slow_jobs_take_effect_mostly_shortly_before_they_end_and_now_and_then_much_earlier() {
        let mut rng = Rng::with_seed(7);
        let kind = JobKind::Catalog(Kind::Variant, Action::Delete);
        let times = std::iter::repeat_with(|| JobTimes::RECORDED.draw(kind, &mut rng));
        let slow: Vec<f64> = times
            .take(600)
            .filter(|times| times.ends.as_secs_f64() >= USUAL_BELOW)
            .map(|times| times.takes_effect.as_secs_f64() / times.ends.as_secs_f64())
            .collect();
        let early = slow.iter().filter(|&&share| share < LATE).count();
        assert!((slow.len() / 8..slow.len() / 3).contains(&early), "{early}");
        assert!(slow.iter().any(|&share| share < 0.5));
    }

    #[test]
    fn a_chosen_time_is_kept_to() {
        let times = drawn(
            JobTimes::taking(Duration::from_secs(3)),
            JobKind::ProfileImport,
        );
        assert!(times.iter().all(|&seconds| (seconds - 3.0).abs() < 1e-9));
    }
}
