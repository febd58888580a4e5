//! Which numbers and moments of a run document can be ours.

use std::time::Duration;

use jiff::Timestamp;

use super::counts::{Counts, MAX_COUNT};
use super::document::{MAX_KILLED_WINDOWS, MAX_STALLED_WINDOWS, RunDocument};
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
        let counts = [Some(&self.counts), self.variants.as_ref()];
        let mut counts = counts
            .into_iter()
            .flatten()
            .chain(jobs().map(|job| &job.counts));
        let phase_records = cursor.map_or(0, |cursor| cursor.phase_records);
        let removals = self.removal.iter().chain(&self.earlier_removals);
        let removed = removals.map(|removal| removal.count.max(removal.of).max(removal.unmarked));
        let mut attempts = jobs().flat_map(|job| [job.asked, job.attempt]).chain(
            cursor
                .into_iter()
                .flat_map(|cursor| cursor.ranges.iter().map(|range| range.attempt)),
        );
        counts.all(Counts::are_possible)
            && attempts.all(|attempt| attempt <= MAX_ATTEMPTS)
            && self.stalled_windows <= MAX_STALLED_WINDOWS
            && self.killed_windows <= MAX_KILLED_WINDOWS
            && [self.fruitless_waits, self.memory_halvings]
                .iter()
                .all(|&count| count <= MAX_ATTEMPTS)
            && [
                self.window,
                self.set_aside_omitted,
                self.named_failures,
                self.remembered_failures,
                phase_records,
                removed.max().unwrap_or_default(),
            ]
            .iter()
            .all(|&count| count <= MAX_COUNT)
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
