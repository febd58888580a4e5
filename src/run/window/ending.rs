//! The end of a window: what the document says then, and what the log does.

use std::time::Duration;

use serde_json::json;

use super::Window;
use super::decision;
use super::end::End;
use super::timing::FINISHING;
use crate::error::Error;
use crate::run::engine::Engine;
use crate::run::log::LogEvent;
use crate::run::state::{LastError, Status};
use crate::run::store::{Saved, Stored};
use crate::time::{Deadline, later};

/// The pause after the first window that failed; each later one is twice as long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What to do about windows in which nothing gets done.
const TOO_SHORT: &str = "Raise window_seconds: reading and sending one page takes longer than a window. Or others use \
                         up Klaviyo's rate limit.";

impl Window<'_> {
    /// Writes the document as the window's end asks for.
    pub(super) async fn finish(mut self) -> Result<(Stored, End), Error> {
        self.commit();
        let end = self.findings.end.take().unwrap_or(End::Continue);
        let now = self.engine.now();
        if matches!(end, End::Lost) {
            return self.release().await;
        }
        self.write_cursor();
        let progress = self.findings.progress;
        let document = &mut self.stored.document;
        document.lease = None;
        document.not_before = None;
        document.waiting_for = None;
        if progress {
            document.stalled_windows = 0;
            document.last_error = None;
        }
        let variants_read = document
            .variants
            .as_ref()
            .map_or(0, |variants| variants.read);
        document
            .pace
            .note(now, document.counts.read + variants_read);
        let has_jobs = !self.jobs.is_empty();
        if decision::stands_still(&end, progress, has_jobs, self.findings.klaviyo_answered) {
            document.stall(LastError {
                at: now,
                message: "a window ended without progress".to_owned(),
                advice: TOO_SHORT.to_owned(),
            });
        }
        match &end {
            End::Completed => document.end(Status::Completed, now),
            End::Continue | End::Lost => {}
            End::Wait { until, what } => {
                document.not_before = Some(*until);
                document.waiting_for = Some(what.clone());
            }
            End::Broken(error) | End::GivenUp(error) => {
                document.stall(LastError {
                    at: now,
                    message: error.to_string(),
                    advice: error.advice().to_owned(),
                });
                if matches!(end, End::GivenUp(_)) {
                    document.give_up(now);
                } else if document.status == Status::Running {
                    let pause =
                        PAUSE_AFTER_FAILURE.saturating_mul(1 << document.stalled_windows.min(8));
                    document.not_before = Some(later(now, pause));
                    document.waiting_for = Some("an API that does not answer".to_owned());
                }
            }
        }
        let deadline = self.last_deadline();
        match self.engine.store.save(&mut self.stored, deadline).await? {
            Saved::Done => Ok((self.stored, end)),
            Saved::Lost => self.release().await,
        }
    }

    /// Until when the last reads and writes may take.
    fn last_deadline(&self) -> Deadline {
        let left = self.engine.remaining(self.timing.hard);
        self.engine.deadline(FINISHING.max(left))
    }

    /// The document has been changed by somebody else. Where that was a stop, it waits for this invocation to say that
    /// it has ended: the lease is given back, with what has been acknowledged in the meantime.
    async fn release(self) -> Result<(Stored, End), Error> {
        let deadline = self.last_deadline();
        let ours = self.stored.document;
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
            document.last_id = ours.last_id;
            document.set_aside = ours.set_aside;
            document.set_aside_omitted = ours.set_aside_omitted;
            document.lease = None;
            self.engine.store.save(&mut found, deadline).await?;
        }
        Ok((found, End::Lost))
    }
}

/// Writes the log line of a window's end.
pub fn log_window(engine: &Engine, stored: &Stored, end: &End, duration: Duration) {
    let document = &stored.document;
    let event = match end {
        End::Continue | End::Broken(_) if document.status == Status::Failed => LogEvent::RunFailed,
        End::Completed => LogEvent::RunCompleted,
        End::Continue => LogEvent::WindowDone,
        End::Wait { .. } => LogEvent::Waiting,
        End::Broken(_) => LogEvent::WindowFailed,
        End::GivenUp(_) => LogEvent::RunFailed,
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
