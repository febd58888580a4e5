//! Which numbers and moments of a run document can be ours.

use std::time::Duration;

use jiff::Timestamp;

use super::counts::{Counts, MAX_COUNT};
use super::document::{MAX_KILLED_WINDOWS, MAX_STALLED_WINDOWS, RunDocument};
use super::drift::Drift;
use crate::time::later;

/// Further ahead than any run waits: twice as long as the longest `Retry-After` that is obeyed.
const FARTHEST: Duration = Duration::from_secs(2 * 3_600);
/// More often than anyone has tried or asked.
const MAX_ATTEMPTS: u32 = 1 << 20;

impl RunDocument {
    /// Whether its numbers can be ours: those of a document that is written by hand can be anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let cursor = self.cursor.as_ref();
        let jobs = || cursor.into_iter().flat_map(|cursor| &cursor.jobs);
        let ranges = || cursor.into_iter().flat_map(|cursor| &cursor.ranges);
        let of_run = [Some(&self.counts), self.variants.as_ref()];
        let of_run = of_run.into_iter().flatten();
        let mut counts = of_run.chain(jobs().map(|job| &job.counts));
        let removals = self.removal.iter().chain(&self.earlier_removals);
        let removed = removals.map(|removal| removal.count.max(removal.of).max(removal.unmarked));
        let mut numbers = [
            self.window,
            self.total.unwrap_or_default(),
            self.record_bytes.unwrap_or_default(),
            self.refused_blindly,
            self.set_aside_omitted,
            self.named_failures,
            self.remembered_failures,
            cursor.map_or(0, |cursor| cursor.phase_records),
        ]
        .into_iter()
        .chain(removed)
        .chain(jobs().map(|job| job.errors_read));
        let mut attempts = jobs()
            .flat_map(|job| [job.asked, job.attempt])
            .chain(ranges().map(|range| range.attempt))
            .chain([self.fruitless_waits, self.memory_halvings]);
        counts.all(Counts::are_possible)
            && self.drift.as_ref().is_none_or(Drift::is_possible)
            && numbers.all(|number| number <= MAX_COUNT)
            && attempts.all(|attempt| attempt <= MAX_ATTEMPTS)
            && self.stalled_windows <= MAX_STALLED_WINDOWS
            && self.killed_windows <= MAX_KILLED_WINDOWS
    }

    /// Forgets moments of the future that no run sets: whoever wrote them took a wrong time for commercetools'. A run
    /// would stand still until then, with nobody at work on it.
    pub fn forget_impossible_moments(&mut self, now: Timestamp) {
        let farthest = later(now, FARTHEST);
        self.lease.take_if(|lease| lease.until > farthest);
        for moment in [&mut self.not_before, &mut self.earlier_jobs_until] {
            moment.take_if(|moment| *moment > farthest);
        }
        let jobs = self.cursor.iter_mut().flat_map(|cursor| &mut cursor.jobs);
        for job in jobs {
            if job.due > farthest {
                job.due = now;
            }
            if job.since > farthest {
                job.since = now;
            }
        }
    }
}
