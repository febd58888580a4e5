//! The end of a window: what the document says then, and what the log does.

use std::time::Duration;

use serde_json::json;

use super::{End, FINISHING, Window};
use crate::error::Error;
use crate::ports::Deadline;
use crate::run::lease::later;
use crate::run::state::{LastError, Resource, Status};
use crate::run::store::{Saved, Stored};

/// The pause after the first window that failed; each later one is twice as long.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What to do about windows in which nothing gets done.
const TOO_SHORT: &str = "Raise window_seconds: reading and sending one page takes longer than a window. Or others use \
                         up Klaviyo's rate limit.";

impl Window<'_> {
    /// Writes the document as the window's end asks for.
    pub(super) async fn finish(mut self) -> Result<(Stored, End), Error> {
        self.commit();
        let end = self.ending.take().unwrap_or(End::Continue);
        let now = self.app.commercetools.server_now();
        if matches!(end, End::Lost) {
            return self.release().await;
        }
        self.write_cursor();
        let progress = self.progress;
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
        // a window that is too short to get anything done would be followed by another like it for ever
        let was_too_short = match end {
            End::Continue => !progress && self.jobs.is_empty(),
            End::Wait { .. } => !progress && self.was_answered,
            _ => false,
        };
        if was_too_short {
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
        let deadline = Deadline::after(
            &*self.ports.clock,
            FINISHING.max(self.hard.remaining(&*self.ports.clock)),
        );
        match self.store.save(&mut self.stored, deadline).await? {
            Saved::Done => Ok((self.stored, end)),
            Saved::Lost => self.release().await,
        }
    }

    /// The document has been changed by somebody else. Where that was a stop, it waits for this invocation to say that
    /// it has ended: the lease is given back, with what has been acknowledged in the meantime.
    async fn release(self) -> Result<(Stored, End), Error> {
        let ours = self.stored.document;
        let deadline = Deadline::after(
            &*self.ports.clock,
            FINISHING.max(self.hard.remaining(&*self.ports.clock)),
        );
        let found = self.store.load(ours.resource, deadline).await?;
        let Some(mut found) = found else {
            return Ok((Stored::new(ours, 0), End::Lost));
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
            self.store.save(&mut found, deadline).await?;
        }
        Ok((found, End::Lost))
    }
}

/// What a window's log line says of its end.
#[must_use]
pub fn log_line(
    resource: Resource,
    stored: &Stored,
    end: &End,
    duration: Duration,
) -> serde_json::Value {
    let document = &stored.document;
    let name = match end {
        End::Continue | End::Broken(_) if document.status == Status::Failed => "run_failed",
        End::Completed => "run_completed",
        End::Continue => "window_done",
        End::Wait { .. } => "waiting",
        End::Broken(_) => "window_failed",
        End::GivenUp(_) => "run_failed",
        End::Lost => "window_ended_by_others",
    };
    json!({
        "event": name,
        "resource": resource.name(),
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
    })
}
