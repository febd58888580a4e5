//! Handles the results of requests that have ended.

use super::Window;
use super::end::End;
use super::in_flight::Arrival;
use super::timing::CHECKPOINT;
use crate::error::{Action, Error};
use crate::run::import::Finished;
use crate::run::page::Page;
use crate::run::state::{Job, LastError};
use crate::run::store::{Saved, Stored};
use crate::time::later;

impl Window<'_> {
    pub(super) fn take(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Fetched {
                range,
                limit,
                result,
            } => {
                self.in_flight.fetches -= 1;
                self.take_page(range, limit, result);
            }
            Arrival::Sent {
                group,
                bytes,
                entries,
                result,
            } => {
                self.in_flight.sends -= 1;
                self.in_flight.send_bytes -= bytes;
                match result {
                    Ok(sent) => {
                        self.findings.klaviyo_answered = true;
                        self.packer.acknowledge(group, sent, self.engine.now());
                    }
                    Err(error) => {
                        if let Some(entries) = entries.filter(|_| error.may_pass()) {
                            self.packer.put_off(group, &entries);
                        }
                        self.fail(error);
                    }
                }
            }
            Arrival::Polled { job, result } => {
                self.in_flight.polls -= 1;
                match result {
                    Ok(answer) => self.take_answer(*job, answer),
                    Err(error) => {
                        self.take_poll_error(&job.id, &error);
                        if !error.may_pass() {
                            self.fail(error);
                        }
                    }
                }
            }
            Arrival::Looked { jobs, result } => {
                self.in_flight.polls -= 1;
                self.take_look(&jobs, result);
            }
            Arrival::EarlierJobs { result } => self.take_earlier_jobs(result),
            Arrival::Saved { stored, result } => self.take_save(*stored, result),
        }
    }

    /// A poll has failed. If the error may pass, the job is only polled later, and the window continues.
    fn take_poll_error(&mut self, job: &str, error: &Error) {
        let now = self.engine.now();
        let wait = error.refusal().and_then(|refusal| refusal.retry_after);
        let listed = self.listed_jobs();
        let least = wait.unwrap_or_default();
        self.jobs.poll_later(job, &listed, now, least);
        if error.may_pass() {
            self.stored.document.last_error = Some(LastError::of(error, now));
        }
    }

    /// Handles what a look into the list of finished jobs has found; the other jobs are looked for later. If the list
    /// cannot be read, the jobs are polled one by one.
    fn take_look(&mut self, jobs: &[Job], result: Result<Finished, Error>) {
        let now = self.engine.now();
        let kind = jobs.first().map_or("", |job| job.kind.as_str());
        let mut found = match result {
            Ok(found) => {
                self.findings.progress = true;
                found
            }
            Err(error) => {
                // a page further back may have gone meanwhile
                if !self.jobs.is_look_back(kind) {
                    self.jobs.cannot_look(error.may_pass());
                }
                for job in jobs {
                    self.take_poll_error(&job.id, &error);
                }
                Finished::default()
            }
        };
        let finished = std::mem::take(&mut found.jobs);
        let number = finished.len();
        for (job, answer) in finished {
            self.take_answer(job, answer);
        }
        for job in jobs {
            self.jobs.answered(&job.id);
        }
        self.jobs.end_look(kind, found, number, now);
    }

    fn take_save(&mut self, stored: Stored, result: Result<Saved, Error>) {
        self.in_flight.is_saving = false;
        self.timing.saved_at = self.engine.monotonic();
        if matches!(result, Ok(Saved::Lost)) {
            self.reader.discard();
            self.packer.discard_unsent();
            self.findings.end = Some(End::Lost);
            return;
        }
        self.stored.version = stored.version;
        self.stored.unsure = stored.unsure;
        match result {
            Ok(_) => {
                let document = &mut self.stored.document;
                document.write_id = stored.document.write_id;
                document.remembered_failures = stored.document.remembered_failures;
                document.news.forget(&stored.document.news);
                self.reader.saved();
            }
            Err(error) => self.fail(error),
        }
    }

    fn take_page(&mut self, range: usize, limit: usize, result: Result<Page, Error>) {
        match result {
            Ok(page) => self.reader.fetched(range, page),
            Err(error) if error.action() == Action::AskForLess && error.may_pass() => {
                match self.reader.too_slow(range, limit) {
                    true => self.findings.has_narrowed = true,
                    false => self.begin_to_end(End::Broken(error)),
                }
            }
            Err(error) if error.is_too_large() => {
                if !self.reader.too_large(range, limit) {
                    // another instance, or this one a little later, may have the memory that is lacking
                    self.begin_to_end(match error.lacks_memory() {
                        true => End::Broken(error),
                        false => End::GivenUp(error),
                    });
                }
            }
            Err(error) => {
                self.reader.failed(range);
                self.fail(error);
            }
        }
        if !matches!(self.findings.end, None | Some(End::Continue)) {
            self.reader.discard();
        }
    }

    /// A request has failed: the window ends.
    pub(super) fn fail(&mut self, error: Error) {
        let end = match error.action() {
            Action::Wait => match error.refusal() {
                Some(refusal) => End::Wait {
                    until: later(self.engine.now(), refusal.retry_after.unwrap_or(CHECKPOINT)),
                    what: format!("the rate limit of: {}", error.operation),
                },
                None => End::Broken(error),
            },
            Action::Retry | Action::RetryForAWhile => End::Broken(error),
            _ => End::GivenUp(error),
        };
        self.begin_to_end(end);
    }
}
