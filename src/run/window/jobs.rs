//! Klaviyo's jobs: how many there may be, and what their results change.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::Window;
use super::commit::JobEffect;
use super::in_flight::Arrival;
use super::job_list::ListedKinds;
use super::job_pace::Until;
use crate::klaviyo::bulk::{BulkAction, BulkEndpoint};
use crate::klaviyo::job::Look;
use crate::klaviyo::job_limit::MAX_JOBS;
use crate::ports::LocalFuture;
use crate::run::import::{Finished, JobAnswer, JobEntries, MAX_DECISIONS, Refused};
use crate::run::state::{Counts, Digests, IdRange, Job, Note, SetAside};
use crate::time::{between, later};

/// How long a job may take before the run continues without its result.
const JOB_PATIENCE: Duration = Duration::from_secs(3_600);
/// So long after it was submitted, a job that Klaviyo does not know may not be known yet: how soon one can be read is not
/// documented.
const JOB_APPEARS: Duration = Duration::from_secs(60);
/// Jobs polled at the same time.
const MAX_POLLS: usize = 8;
/// What the document may take up, in bytes: it is saved every 5 seconds; commercetools takes 16 MB and advises 100 KB.
const MAX_DOCUMENT_BYTES: usize = 250_000;
/// What the jobs under way may take up in any case, whatever else is in the document, in bytes.
const LEAST_JOB_BYTES: usize = 64 * 1024;
/// What a job takes up that is not known yet, about, in bytes: 100 digests and a span.
const UNSEEN_JOB_BYTES: usize = 410;
/// An import of so many entries is small: it has some ten jobs in all. Each is polled without longer pauses until its end,
/// where a larger one spares Klaviyo questions.
const SMALL: u64 = 1_000;
/// How often an entry is sent again because its job rejected it or was cancelled.
const MAX_ATTEMPTS: u32 = 4;

impl Window<'_> {
    /// Whether one more job of this endpoint may be submitted. Klaviyo counts jobs of several kinds together that are posted
    /// to one path.
    pub(super) fn may_submit(&self, endpoint: &BulkEndpoint) -> bool {
        let of_kind = |kind| self.jobs.of_kind(kind) + self.packer.uncommitted(kind);
        let endpoints = self.import.bulk_endpoints().iter();
        let alike = endpoints.filter(|other| other.post.name == endpoint.post.name);
        let jobs: usize = alike.map(|other| of_kind(other.key)).sum();
        let kept = self.bytes_kept_from(endpoint.key);
        jobs < MAX_JOBS && self.job_bytes(1) + kept < self.most_job_bytes()
    }

    /// Whether no more jobs are submitted for now, whatever is read.
    pub(super) fn jobs_are_full(&self) -> bool {
        let mut waiting = self.packer.endpoints().peekable();
        let is_stuck =
            waiting.peek().is_some() && !waiting.any(|endpoint| self.may_submit(endpoint));
        let has_room = self.job_bytes(self.packer.outbox()) < self.most_job_bytes();
        !has_room || (is_stuck && !self.goes_on_with_records())
    }

    /// What the jobs may take up in the document beside the ranges and all else, in bytes.
    pub(super) fn most_job_bytes(&self) -> usize {
        let others = self.bytes_beside_cursor + self.reader.stored_bytes();
        MAX_DOCUMENT_BYTES
            .saturating_sub(others)
            .max(LEAST_JOB_BYTES)
    }

    /// What the jobs take up in the document with so many more, about, in bytes.
    fn job_bytes(&self, more: usize) -> usize {
        let each = match self.jobs.len() {
            0 => UNSEEN_JOB_BYTES,
            jobs => self.jobs.bytes() / jobs,
        };
        self.jobs.bytes() + each * (more + self.packer.uncommitted_in_all())
    }

    pub(super) fn start_polls(&mut self) {
        let now = self.engine.now();
        let listed = self.listed_jobs();
        while self.in_flight.polls < MAX_POLLS {
            if let Some((jobs, look)) = self.jobs.begin_look(&listed, now) {
                self.look_for(jobs, look);
                continue;
            }
            let Some(job) = self.jobs.begin_poll(&listed, now) else {
                break;
            };
            self.in_flight.polls += 1;
            let known = self.jobs.ids_of_kind(&job.kind);
            let answer: LocalFuture<'_, _> = match self.import.jobs(&job.kind) {
                Some(jobs) => jobs.poll(job.clone(), known, self.timing.hard),
                None => Box::pin(async { Ok(JobAnswer::Unknown) }),
            };
            let job = Box::new(job);
            self.in_flight.calls.push(Box::pin(async move {
                Arrival::Polled {
                    job,
                    result: answer.await,
                }
            }));
        }
    }

    /// The kinds of jobs that are looked for in Klaviyo's lists.
    pub(super) fn listed_jobs(&self) -> ListedKinds {
        match self.import.lists_jobs() {
            true => self.jobs.listed_kinds(self.engine.now()),
            false => ListedKinds::default(),
        }
    }

    fn look_for(&mut self, jobs: Vec<Job>, look: Look) {
        let kind = jobs.first().map_or("", |job| job.kind.as_str());
        let known = self.jobs.ids_of_kind(kind);
        let found: LocalFuture<'_, _> = match self.import.jobs(kind) {
            Some(of) => of.look(jobs.clone(), known, look, self.timing.hard),
            None => Box::pin(async { Ok(Finished::default()) }),
        };
        self.in_flight.polls += 1;
        self.in_flight.calls.push(Box::pin(async move {
            Arrival::Looked {
                jobs,
                result: found.await,
            }
        }));
    }

    /// This job is finished, and its result has been dealt with.
    pub(super) fn remove_job(&mut self, id: &str) {
        let listed = self.listed_jobs();
        self.jobs.remove(id, &listed, self.engine.now());
    }

    /// When Klaviyo is to be asked next for a job.
    pub(super) fn next_poll(&self) -> Option<Timestamp> {
        self.jobs.next_due(&self.listed_jobs(), self.engine.now())
    }

    /// The list of jobs learns what they are waited for: when it is to be asked for them depends on that.
    pub(super) fn note_what_waits(&mut self) {
        let until = self.waits_until();
        let holding = self.jobs_before_parts();
        let document = &self.stored.document;
        let parts = document.variants.as_ref().map_or(0, |counts| counts.sent);
        let is_small = document.counts.sent + parts <= SMALL;
        self.jobs
            .wait_until(until, holding, is_small, self.engine.now());
    }

    /// What can be done before a job is finished.
    fn waits_until(&self) -> Until {
        let is_read = self.reader.is_fetched() && !self.reader.has_page();
        if is_read && self.packer.is_empty() {
            Until::End
        } else if self.next_batch_in().is_none() && (is_read || self.jobs_are_full()) {
            Until::Room
        } else {
            Until::Working
        }
    }

    /// The kind of jobs whose results other documents wait for.
    fn jobs_before_parts(&self) -> Option<&'static str> {
        let mut endpoints = self.import.bulk_endpoints().iter();
        let holds = |kind| self.import.job_entries(kind) == JobEntries::RecordsBeforeParts;
        let holding = endpoints.find(|endpoint| holds(endpoint.key));
        holding.map(|endpoint| endpoint.key)
    }

    pub(super) fn take_answer(&mut self, job: Job, answer: JobAnswer) {
        // waiting for a job is not standing still: its patience is bounded by itself
        self.findings.progress = true;
        let now = self.engine.now();
        if matches!(answer, JobAnswer::Done { .. } | JobAnswer::Read { .. }) {
            self.jobs.note_end(&job, now);
        }
        let is_waited_for = match &answer {
            JobAnswer::NotYet => !is_given_up(&job, now),
            JobAnswer::Unknown => between(job.since, now) < JOB_APPEARS,
            JobAnswer::Done { .. } | JobAnswer::Read { .. } | JobAnswer::Cancelled => false,
        };
        match answer {
            _ if is_waited_for => {
                let listed = self.listed_jobs();
                self.jobs.poll_later(&job.id, &listed, now, Duration::ZERO);
            }
            JobAnswer::NotYet | JobAnswer::Unknown if self.is_looked_up_again(&job) => {
                self.take_no_result(job, "Klaviyo does not say what became of the job");
            }
            JobAnswer::NotYet | JobAnswer::Unknown => {
                self.remove_job(&job.id);
                self.findings.advance();
                let counts = &mut self.stored.document.counts;
                counts.note(Note::JobWithoutResult, 1);
                let Settled { names, digests } = Settled::all_of(&job);
                self.let_parts_follow(&job.kind, names, &job.spans, job.attempt);
                self.let_parts_follow_in(&job, digests);
            }
            JobAnswer::Cancelled => self.take_no_result(job, "Klaviyo cancelled the job"),
            JobAnswer::Done {
                refused,
                again,
                again_digests,
                left,
            } => self.take_result(job, refused, again, again_digests, left),
            JobAnswer::Read {
                refused,
                mended,
                unnamed,
                errors_at,
            } => {
                let effect = JobEffect {
                    id: job.id,
                    errors_at,
                    errors_read: (refused.len() + mended.len()) as u64,
                    refused,
                    notes: mended.iter().flat_map(|one| one.notes.clone()).collect(),
                    unnamed,
                };
                self.packer
                    .answer(effect, 0, &mended, self.engine.monotonic());
            }
        }
    }

    /// Whether the entries of a job without a result are looked up and decided again. What is to be created, as nobody has
    /// it or it was deleted for that, is looked up as long as entries are sent again at all. An update or a deletion of what
    /// is there however often it is looked up is taken for done in the end.
    fn is_looked_up_again(&self, job: &Job) -> bool {
        let mut endpoints = self.import.bulk_endpoints().iter();
        let endpoint = endpoints.find(|endpoint| endpoint.key == job.kind);
        endpoint.is_some_and(|endpoint| {
            let creates = matches!(endpoint.action, BulkAction::Create | BulkAction::Move);
            let is_bounded = creates || job.attempt < MAX_DECISIONS;
            // a later phase lists what is left
            endpoint.names_entries && is_bounded && !self.import.lists_again()
        })
    }

    /// A job has no result, for this reason: its entries, by name or by digest, are read and sent again; all records of its
    /// spans, where it knows neither.
    fn take_no_result(&mut self, job: Job, reason: &str) {
        if !job.entries.is_empty() {
            let names = job.entries.iter();
            let again = names
                .map(|name| (name.clone(), reason.to_owned()))
                .collect();
            return self.take_result(job, Vec::new(), again, Digests::default(), 0);
        }
        if !job.digests.is_empty() {
            let again = job.digests.clone();
            return self.take_result(job, Vec::new(), Vec::new(), again, 0);
        }
        self.remove_job(&job.id);
        self.findings.advance();
        if job.spans.is_empty() || job.attempt >= MAX_ATTEMPTS {
            let records = job.counts.sent;
            self.counts_of(&job.kind).move_to_failed(records);
            let reason = format!("{reason} of {records} records");
            self.stored
                .document
                .set_aside(SetAside::failed(None, reason));
            return;
        }
        self.counts_of(&job.kind).take_back(&job.counts);
        for span in job.spans {
            self.reader.add(IdRange {
                attempt: job.attempt + 1,
                ..span
            });
        }
    }

    /// A job is finished: entries that it rejected count as failed, entries of `again` are read and sent again.
    fn take_result(
        &mut self,
        job: Job,
        mut refused: Refused,
        mut again: Vec<(String, String)>,
        again_digests: Digests,
        left: u64,
    ) {
        self.remove_job(&job.id);
        self.findings.advance();
        if job.attempt >= MAX_ATTEMPTS {
            refused.extend(again.drain(..).map(|(name, reason)| (Some(name), reason)));
        }
        let records = (again.len() + again_digests.len()) as u64 + left;
        let mut counted = Counts::of_entries(records);
        if let Some(note) = self.import.note_of(&job.kind) {
            counted.note(note, records);
        }
        let counts = self.counts_of(&job.kind);
        counts.move_to_failed(refused.len() as u64);
        counts.take_back(&counted);
        let mut lost = Vec::new();
        for (name, reason) in refused {
            self.stored
                .document
                .set_aside(SetAside::failed(name.as_deref(), reason));
            lost.extend(name);
        }
        let again: Vec<String> = again.into_iter().map(|(name, _)| name).collect();
        let mut settled = Settled::all_of(&job).but(&lost, &Digests::default());
        // parts that went with their records follow, whoever has created these
        if self.import.job_entries(&job.kind) != JobEntries::RecordsAnew {
            settled = settled.but(&again, &again_digests);
        }
        let Settled { names, digests } = settled;
        if !again.is_empty() {
            self.read_again(&job.kind, again, &[], job.attempt + 1);
        }
        self.read_again_in(&job, again_digests);
        self.let_parts_follow(&job.kind, names, &job.spans, job.attempt);
        self.let_parts_follow_in(&job, digests);
        self.give_up_parts(&job.kind, lost, &job.spans);
    }
}

/// Whether the run goes on without the result of this job, which it has not got for long.
fn is_given_up(job: &Job, now: Timestamp) -> bool {
    later(job.since, JOB_PATIENCE) <= now
}

/// The entries of a job that are not sent again: by name, or by digest where the names are not known.
struct Settled {
    names: Vec<String>,
    digests: Digests,
}

impl Settled {
    fn all_of(job: &Job) -> Self {
        Self {
            names: job.entries.clone(),
            digests: match job.entries.is_empty() {
                true => job.digests.clone(),
                false => Digests::default(),
            },
        }
    }

    fn but(mut self, names: &[String], digests: &Digests) -> Self {
        let again: HashSet<&String> = names.iter().collect();
        self.names.retain(|name| !again.contains(name));
        self.digests = self.digests.less(digests);
        self
    }
}
