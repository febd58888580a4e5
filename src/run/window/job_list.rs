//! Klaviyo's jobs that are not known to be finished, and which of them are being polled.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::run::state::Job;
use crate::time::later;

/// When a job is polled for the first time.
pub(super) const FIRST_POLL: Duration = Duration::from_secs(2);
/// The longest pause between two polls of a job.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The jobs of a window.
#[derive(Debug, Default)]
pub(super) struct JobList {
    list: Vec<Job>,
    /// Ids of those that are not polled before the answer to the last poll has been dealt with.
    polled: HashSet<String>,
}

impl JobList {
    pub(super) fn new(list: Vec<Job>) -> Self {
        Self {
            list,
            polled: HashSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn add(&mut self, jobs: impl IntoIterator<Item = Job>) {
        self.list.extend(jobs);
    }

    /// The job with this id, which is open to be polled again.
    pub(super) fn answered(&mut self, id: &str) -> Option<&mut Job> {
        self.polled.remove(id);
        self.list.iter_mut().find(|job| job.id == id)
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.polled.remove(id);
        self.list.retain(|job| job.id != id);
    }

    /// A job whose poll is due; it counts as being polled from now on.
    pub(super) fn begin_poll(&mut self, now: Timestamp) -> Option<Job> {
        let job = self
            .list
            .iter()
            .find(|job| job.due <= now && !self.polled.contains(&job.id))?;
        self.polled.insert(job.id.clone());
        Some(job.clone())
    }

    /// The job is not finished: it is polled again later, the more so the more often it has been, and not before `least`.
    pub(super) fn poll_later(&mut self, id: &str, now: Timestamp, least: Duration) {
        if let Some(job) = self.answered(id) {
            job.asked += 1;
            let pause = FIRST_POLL
                .saturating_mul(1 << (job.asked / 2).min(8))
                .min(LONGEST_PAUSE);
            job.due = later(now, pause.max(least));
        }
    }

    /// When the next job is to be polled; `None` where each is being polled.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.list
            .iter()
            .filter(|job| !self.polled.contains(&job.id))
            .map(|job| job.due)
            .min()
    }

    /// The jobs as the cursor keeps them: one that is being polled is polled again by whoever reads it.
    pub(super) fn for_cursor(&self, now: Timestamp) -> Vec<Job> {
        let jobs = self.list.iter().map(|job| Job {
            due: match self.polled.contains(&job.id) {
                true => now,
                false => job.due,
            },
            ..job.clone()
        });
        jobs.collect()
    }
}
