//! How it becomes known that a job is finished: by a look into the list, by polling it, or by polling another one first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::run::state::Job;
use crate::time::between;

/// From so many jobs of a kind on they are looked for in the list.
pub(super) const MANY: usize = 4;
/// Jobs that take longer than this are polled one by one whatever their number: a cancelled job is in no list of
/// complete ones. The longest recorded one took 274 s.
const LISTED_FOR: Duration = Duration::from_secs(300);

/// The kinds of jobs that are not polled one by one, in an order: one seed of the simulation is one history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::run::window) struct ListedKinds {
    /// Those whose recent jobs are looked for in the list.
    pub(super) recent: BTreeSet<String>,
    /// Those that have slow jobs.
    pub(super) slow: BTreeMap<String, SlowJobs>,
}

/// The slow jobs of a kind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SlowJobs {
    /// Those that were submitted until then are far back: a look that reaches them would read more pages for them than
    /// they are.
    until: Option<Timestamp>,
    /// How many are far back.
    far_back: usize,
    /// How many are not.
    near: usize,
}

/// How it becomes known that a job is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It is looked for in the list.
    Listed,
    /// It is one of many slow jobs, of which one is polled at a time. When that one is finished, all are looked for.
    Sampled,
    /// The same, but too far back for a look. When the one that is polled is finished, all are polled.
    SampledFarBack,
    /// It is polled.
    Polled,
}

impl ListedKinds {
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let more = self.slow.keys().filter(|kind| !self.recent.contains(*kind));
        self.recent.iter().chain(more).map(String::as_str)
    }

    /// Whether there are slow jobs of this kind of which one is polled, before all are looked for.
    pub(super) fn has_sampled(&self, kind: &str) -> bool {
        self.slow.get(kind).is_some_and(|slow| slow.near >= MANY)
    }

    /// Whether this job is one of many of which one is polled at a time.
    pub(super) fn is_sampled(&self, job: &Job, now: Timestamp) -> bool {
        let manner = self.manner(job, now);
        matches!(manner, Manner::Sampled | Manner::SampledFarBack)
    }

    pub(super) fn manner(&self, job: &Job, now: Timestamp) -> Manner {
        let slow = self.slow.get(&job.kind).filter(|_| job.slow);
        let is_recent = !job.slow && self.recent.contains(&job.kind);
        match slow {
            _ if !is_listed(job, now) => Manner::Polled,
            Some(slow) if slow.until.is_some_and(|until| job.since <= until) => {
                match slow.far_back {
                    MANY.. => Manner::SampledFarBack,
                    _ => Manner::Polled,
                }
            }
            Some(slow) if slow.near >= MANY => Manner::Sampled,
            _ if is_recent => Manner::Listed,
            _ => Manner::Polled,
        }
    }
}

impl SlowJobs {
    /// Slow jobs that were submitted at these moments, where looks reach back as far as `reached` anyway, and a page of the
    /// list has the jobs of so long a time.
    pub(super) fn of(mut since: Vec<Timestamp>, reached: Timestamp, page: Duration) -> Self {
        since.sort_unstable();
        let next = since.iter().skip(1).chain([&reached]);
        let gaps = since.iter().zip(next);
        let is_far = gaps.map(|(since, next)| between(*since, *next));
        let far_back = (1..)
            .zip(is_far)
            .filter(|&(jobs, gap)| gap >= page * jobs)
            .map(|(jobs, _)| jobs as usize)
            .last()
            .unwrap_or_default();
        Self {
            until: far_back.checked_sub(1).map(|last| since[last]),
            far_back,
            near: since.len() - far_back,
        }
    }
}

/// Whether the list of complete jobs will have this one, if it goes as it usually does.
pub(super) fn is_listed(job: &Job, now: Timestamp) -> bool {
    between(job.since, now) < LISTED_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::later;

    fn at(seconds: u64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs(seconds))
    }

    #[test]
    fn jobs_are_far_back_if_they_are_fewer_than_the_pages_that_a_look_reads_for_them() {
        let page = Duration::from_secs(2);
        // when the jobs were submitted, how far looks reach, and how many are far back
        for (since, reached, far_back) in [
            (&[10][..], 12, 1_usize),
            (&[10], 11, 0),
            (&[10, 10, 10], 16, 3),
            (&[10, 10, 10], 15, 0),
            // a look that reaches the others is long anyway
            (&[10, 20, 21, 22, 23], 24, 1),
            (&[10, 12, 21, 22, 23], 24, 2),
            // those in between are far back as well
            (&[10, 20, 60], 70, 3),
            (&[], 70, 0),
        ] {
            let since: Vec<Timestamp> = since.iter().copied().map(at).collect();
            let last = far_back.checked_sub(1).map(|last| since[last]);
            let near = since.len() - far_back;
            let slow = SlowJobs::of(since, at(reached), page);
            let expected = SlowJobs {
                until: last,
                far_back,
                near,
            };
            assert_eq!(slow, expected);
        }
    }
}
