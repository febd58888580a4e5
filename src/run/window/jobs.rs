//! Klaviyo's jobs: when they are asked, and what their answers change.

use std::time::Duration;

use jiff::Timestamp;

use super::{Event, Window};
use crate::resources::{JobAnswer, Refused};
use crate::run::cursor::{IdRange, Job};
use crate::run::group::JobEffect;
use crate::run::lease::later;
use crate::run::state::{Counts, SetAside};

/// When a job is asked for the first time.
pub(super) const FIRST_ASK: Duration = Duration::from_secs(2);
/// The longest pause between two questions about a job.
const LONGEST_ASK: Duration = Duration::from_secs(30);
/// How long a job may take before the run goes on without it.
const JOB_PATIENCE: Duration = Duration::from_secs(3_600);
/// Jobs asked at the same time.
const MAX_ASKING: usize = 4;
/// Jobs that may be under way before no more are handed in; bounds the document.
const MAX_JOBS: usize = 60;
/// How often an entry is sent another time because its job did not take it.
const MAX_ATTEMPTS: u32 = 4;

impl Window<'_> {
    /// Whether no more jobs are handed in for now.
    pub(super) fn jobs_are_full(&self) -> bool {
        self.jobs.len() + self.packer.outbox() >= MAX_JOBS
    }

    pub(super) fn start_asking(&mut self) {
        let now = self.app.commercetools.server_now();
        let due: Vec<usize> = (0..self.jobs.len())
            .filter(|&job| self.jobs[job].due <= now)
            .collect();
        for job in due {
            if self.asking == MAX_ASKING {
                break;
            }
            // not again before this answer has been dealt with
            self.jobs[job].due = Timestamp::MAX;
            self.asking += 1;
            let job = Box::new(self.jobs[job].clone());
            let answer = self.import.ask((*job).clone(), self.hard);
            self.in_flight.push(Box::pin(async move {
                Event::Asked {
                    job,
                    result: answer.await,
                }
            }));
        }
    }

    pub(super) fn ask_later(&mut self, asked: &Job) {
        let now = self.app.commercetools.server_now();
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == asked.id) {
            job.asked += 1;
            let pause = FIRST_ASK
                .saturating_mul(1 << (job.asked / 2).min(8))
                .min(LONGEST_ASK);
            job.due = later(now, pause);
        }
    }

    pub(super) fn take_answer(&mut self, job: Job, answer: JobAnswer) {
        // waiting for a job is not standing still: its patience is bounded by itself
        self.progress = true;
        let now = self.app.commercetools.server_now();
        match answer {
            JobAnswer::NotYet if later(job.since, JOB_PATIENCE) > now => self.ask_later(&job),
            JobAnswer::NotYet | JobAnswer::Unknown => {
                self.jobs.retain(|known| known.id != job.id);
                *self
                    .stored
                    .document
                    .counts
                    .notes
                    .entry("jobs-without-result".to_owned())
                    .or_default() += 1;
                self.progress = true;
            }
            JobAnswer::Cancelled if !job.entries.is_empty() => {
                let again = job
                    .entries
                    .iter()
                    .map(|name| (name.clone(), "Klaviyo cancelled the job".to_owned()));
                let again = again.collect();
                self.take_result(job, Vec::new(), again, 0);
            }
            JobAnswer::Cancelled => self.take_cancellation(job),
            JobAnswer::Done {
                refused,
                again,
                left,
            } => self.take_result(job, refused, again, left),
            JobAnswer::Read {
                refused,
                mended,
                errors_at,
            } => {
                let effect = JobEffect {
                    id: job.id,
                    errors_at,
                    refused,
                    mended: mended.len() as u64,
                };
                self.packer
                    .answer(effect, 0, &mended, self.ports.clock.monotonic());
            }
        }
    }

    /// A job was cancelled whose entries are not known by name: all of its spans is read and sent again.
    fn take_cancellation(&mut self, job: Job) {
        self.jobs.retain(|known| known.id != job.id);
        if job.spans.is_empty() || job.attempt >= MAX_ATTEMPTS {
            let records = job.counts.sent;
            self.counts().move_to_failed(records);
            let reason = format!("Klaviyo cancelled the job of {records} records");
            self.stored
                .document
                .set_aside(SetAside::failed(None, reason));
            return;
        }
        self.counts().take_back(&job.counts);
        for span in job.spans {
            self.reader.add(IdRange {
                attempt: job.attempt + 1,
                ..span
            });
        }
    }

    /// A job is finished: what it refused is counted as failed, and what it could not do is read and sent again.
    fn take_result(
        &mut self,
        job: Job,
        mut refused: Refused,
        mut again: Vec<(String, String)>,
        left: u64,
    ) {
        self.jobs.retain(|known| known.id != job.id);
        self.progress = true;
        if job.attempt >= MAX_ATTEMPTS {
            refused.extend(again.drain(..).map(|(name, reason)| (Some(name), reason)));
        }
        let counts = self.counts();
        counts.move_to_failed(refused.len() as u64);
        let records = again.len() as u64 + left;
        counts.take_back(&Counts {
            read: records,
            sent: records,
            documents: records,
            ..Counts::default()
        });
        for (name, reason) in refused {
            self.stored
                .document
                .set_aside(SetAside::failed(name.as_deref(), reason));
        }
        if !again.is_empty() {
            let entries = again.into_iter().map(|(name, _)| name).collect();
            self.reader
                .add(IdRange::of_entries(entries, job.attempt + 1));
        }
    }
}
