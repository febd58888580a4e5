//! The end of a window: what the document says then, and what the log does.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::Window;
use super::decision;
use super::end::End;
use super::timing::FINISHING;
use crate::error::{Action, Error};
use crate::run::engine::Engine;
use crate::run::log::LogEvent;
use crate::run::state::{LastError, REMOVAL_UNCONFIRMED, RemovalKind, RunDocument, Status};
use crate::run::store::{Saved, Stored};
use crate::time::{Deadline, later};

/// The pause between attempts of the last save, while commercetools does not respond.
const SAVE_PAUSE: Duration = Duration::from_millis(700);

/// The longest pause where others use up a rate limit again and again: its windows last a minute, and after a longer pause
/// than that there is no more room than after a minute.
const LONGEST_THROTTLED_PAUSE: Duration = Duration::from_secs(60);

/// What to do about windows in which nothing gets done.
const TOO_SHORT: &str =
    "Raise window_seconds: reading and sending one page takes longer than a window.";

impl Window<'_> {
    /// Sets the document according to the window's end, and saves it.
    pub(super) async fn finish(mut self) -> Result<(Stored, End), Error> {
        if matches!(self.findings.end, Some(End::Continue | End::Wait { .. })) {
            // batches may be left that have to wait for jobs
            self.packer.defer_unsent();
        }
        self.commit();
        let end = self.findings.end.take().unwrap_or(End::Continue);
        if matches!(end, End::Lost) {
            return self.release().await;
        }
        self.write_cursor();
        self.write_end(&end);
        match self.save_last().await? {
            Saved::Done => Ok((self.stored, end)),
            Saved::Lost => self.release().await,
        }
    }

    /// Writes into the document how the window has ended.
    fn write_end(&mut self, end: &End) {
        let now = self.engine.now();
        let progress = self.findings.progress;
        let was_held = self.timing.was_mostly_held
            || self.findings.has_lacked_memory
            || self.findings.has_narrowed;
        let stands_still = !was_held
            && decision::stands_still(
                end,
                progress,
                !self.jobs.is_empty(),
                self.findings.klaviyo_answered,
            );
        let is_held = self.timing.held_until.is_some();
        let document = &mut self.stored.document;
        document.lease = None;
        document.not_before = None;
        document.waiting_for = None;
        document.note_survived_window();
        if progress {
            document.stalled_windows = 0;
            document.last_error = None;
        }
        document.pace.note(now, document.read_in_all());
        if stands_still {
            document.stall(LastError {
                at: now,
                message: "a window ended without progress".to_owned(),
                advice: TOO_SHORT.to_owned(),
                is_of_credentials: false,
                code: None,
            });
        }
        match end {
            End::Completed => document.end(Status::Completed, now),
            End::Continue | End::Lost => {}
            End::Wait { until, what } => {
                let in_vain = !progress && !is_held;
                let pause = if in_vain {
                    document.wait_in_vain().min(LONGEST_THROTTLED_PAUSE)
                } else {
                    Duration::ZERO
                };
                document.not_before = Some(later(now, pause).max(*until));
                document.waiting_for = Some(what.clone());
            }
            End::Broken(error) => {
                let pause = document.wait_in_vain();
                document.not_before = Some(later(now, pause));
                document.waiting_for = Some(format!("{} to answer", error.peer));
                let last_error = LastError::of(error, now);
                match error.action() {
                    Action::RetryForAWhile => document.stall(last_error),
                    _ => document.last_error = Some(last_error),
                }
            }
            End::Unconfirmed => {
                document.last_error = Some(unconfirmed(document, now));
                document.give_up(now);
            }
            End::GivenUp(error) => {
                document.last_error = Some(LastError::of(error, now));
                document.give_up(now);
                if error.is_of_credentials() {
                    // a `continue` before that does not try again
                    let pause = document.wait_in_vain();
                    document.not_before = Some(later(now, pause));
                }
            }
        }
    }

    /// Saves the document, with retries for as long as the lease lasts: until then no other invocation may continue the
    /// run.
    async fn save_last(&mut self) -> Result<Saved, Error> {
        let deadline = self.last_deadline();
        loop {
            match self.engine.store.save_run(&mut self.stored, deadline).await {
                Err(error) if error.may_pass() && self.engine.remaining(deadline) > SAVE_PAUSE => {
                    self.engine.ports.clock.sleep(SAVE_PAUSE).await;
                }
                saved => return saved,
            }
        }
    }

    /// Until when the last reads and writes may take.
    fn last_deadline(&self) -> Deadline {
        let left = self.engine.remaining(self.timing.hard);
        self.engine.deadline(FINISHING.max(left))
    }

    /// Another invocation has changed the document. If that was a stop, it waits for this invocation to give the lease
    /// back; that is saved together with what has been acknowledged in the meantime.
    async fn release(self) -> Result<(Stored, End), Error> {
        let deadline = self.last_deadline();
        let ours = self.stored.document;
        let duration = self.engine.monotonic().saturating_sub(self.timing.begun);
        log_window(self.engine, &ours, &End::Lost, duration);
        let found = self.engine.store.load(ours.resource, deadline).await?;
        let Some(mut found) = found else {
            return Ok((Stored::new(ours), End::Lost));
        };
        let is_ours = found.document.run_id == ours.run_id
            && !found.document.is_going_on()
            && found
                .document
                .lease
                .as_ref()
                .is_some_and(|lease| lease.holder == self.holder);
        if is_ours {
            let document = &mut found.document;
            document.counts = ours.counts;
            document.variants = ours.variants;
            document.contested = ours.contested;
            document.last_id = ours.last_id;
            document.history = ours.history;
            document.set_aside = ours.set_aside;
            document.set_aside_omitted = ours.set_aside_omitted;
            document.named_failures = ours.named_failures;
            document.news = ours.news;
            document.count_contested();
            document.lease = None;
            self.engine.store.save_run(&mut found, deadline).await?;
        }
        Ok((found, End::Lost))
    }
}

/// Why a run has stopped before its removals.
fn unconfirmed(document: &RunDocument, now: Timestamp) -> LastError {
    let removal = document.removal.clone().unwrap_or_default();
    let (count, of) = (removal.count, removal.of);
    let (entries, mend) = match removal.kind {
        RemovalKind::Variants => ("variants that Klaviyo has of these products", "products"),
        RemovalKind::Items => ("items that Klaviyo has of this project", "products"),
        RemovalKind::Categories => ("categories that Klaviyo has of this project", "categories"),
    };
    let what = match removal.kind {
        RemovalKind::Variants | RemovalKind::Categories => "in commercetools",
        RemovalKind::Items => "published in commercetools",
    };
    let those = match removal.kind {
        RemovalKind::Variants => "variants",
        RemovalKind::Items => "items",
        RemovalKind::Categories => "categories",
    };
    LastError {
        at: now,
        message: format!(
            "{count} of the {of} {entries} are not {what} any more: \
             more than a run deletes without being asked"
        ),
        advice: format!(
            "Look whether these {those} are meant to be gone. If so, resume with \
             {{\"resume\": true, \"confirmRemoval\": {count}}}; if not, mend the {mend} and resume, or stop the run."
        ),
        is_of_credentials: false,
        code: Some(REMOVAL_UNCONFIRMED.to_owned()),
    }
}

/// Writes the log line of a window's end.
pub fn log_window(engine: &Engine, document: &RunDocument, end: &End, duration: Duration) {
    let event = match end {
        End::Continue | End::Broken(_) if document.status == Status::Failed => LogEvent::RunFailed,
        End::Completed => LogEvent::RunCompleted,
        End::Continue => LogEvent::WindowDone,
        End::Wait { .. } => LogEvent::Waiting,
        End::Broken(_) => LogEvent::WindowFailed,
        End::GivenUp(_) | End::Unconfirmed => LogEvent::RunFailed,
        End::Lost => LogEvent::WindowEndedByOthers,
    };
    let members = json!({
        "resource": document.resource.name(),
        "runId": document.run_id,
        "window": document.window,
        "durationMs": u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        "read": document.counts.read,
        "sent": document.counts.sent,
        "skipped": document.counts.skipped_in_all(),
        "failed": document.counts.failed,
        "documents": document.counts.documents,
        "jobs": document.cursor.as_ref().map_or(0, |cursor| cursor.jobs.len()),
        "notBefore": document.not_before,
        "waitingFor": document.waiting_for,
        "error": document.last_error.as_ref().map(|error| &error.message),
    });
    engine.log(event, &members);
}
