//! Jobs of an earlier run that was stopped: nothing is looked up before they are finished.
//!
//! What they create is not there yet, and what they delete still is. An entry that the run would update could be deleted
//! afterwards by a job of the run before.

use std::time::Duration;

use super::Window;
use super::in_flight::Arrival;
use crate::error::Error;
use crate::time::later;

/// The pause between two questions for them.
const PAUSE: Duration = Duration::from_secs(3);
/// What the status says while they are waited for.
const WAITING_FOR: &str = "Klaviyo's jobs of the run before, which was stopped";

impl Window<'_> {
    /// Whether nothing can be begun because of them. Asks Klaviyo for them, if that is not under way.
    pub(super) fn waits_for_earlier_jobs(&mut self) -> bool {
        let document = &mut self.stored.document;
        if document.options.dry_run {
            return false;
        }
        let now = self.engine.now();
        document.earlier_jobs_until.take_if(|moment| *moment <= now);
        if document.earlier_jobs_until.is_none() {
            return false;
        }
        if !self.in_flight.asks_for_earlier_jobs {
            self.in_flight.asks_for_earlier_jobs = true;
            let resource = document.resource;
            let found = self.engine.has_jobs(resource, self.timing.hard);
            self.in_flight.calls.push(Box::pin(async move {
                Arrival::EarlierJobs {
                    result: found.await,
                }
            }));
        }
        true
    }

    /// Goes on where there are none, and looks again a little later where there are.
    pub(super) fn take_earlier_jobs(&mut self, result: Result<bool, Error>) {
        self.in_flight.asks_for_earlier_jobs = false;
        let document = &mut self.stored.document;
        match result {
            Ok(true) => {
                // waiting for them is not standing still: it is bounded
                self.findings.progress = true;
                document.waiting_for = Some(WAITING_FOR.to_owned());
                self.timing.held_until = Some(later(self.engine.now(), PAUSE));
            }
            Ok(false) => {
                document.waiting_for = None;
                document.earlier_jobs_until = None;
            }
            Err(error) => self.fail(error),
        }
    }
}
