//! What a window knows when it decides, and how it waits.

use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt};

use super::decision::Snapshot;
use super::end::End;
use super::timing::CHECKPOINT;
use super::{TIME_TO_SEND, Window};
use crate::time::between;

/// Before the hard end, at least this is left when the last pages have been packed: twice the time to send.
const TIME_FOR_LAST_PAGES: Duration = Duration::from_secs(4);

impl Window<'_> {
    /// The window is ending: the time for which the batches that are not full wait for pages under way, if they do. Each
    /// request counts for the rate limit, however small it is.
    pub(super) fn packs_for(&self) -> Option<Duration> {
        let is_ending = matches!(self.findings.end, Some(End::Continue));
        self.packer.open_since().filter(|_| is_ending)?;
        let kept = match self.reader.has_page() {
            // it waits for memory, until a batch is sent
            true => TIME_TO_SEND,
            false if self.in_flight.fetches > 0 => TIME_FOR_LAST_PAGES,
            false => return None,
        };
        let left = self.engine.remaining(self.timing.hard);
        Some(left.saturating_sub(kept)).filter(|left| !left.is_zero())
    }

    /// How long nothing is to be done while batches wait this long for a rate limit: the next window begins to read a
    /// little before, so that there are full batches by then. It knows by itself when it may send, unless the wait is one
    /// that Klaviyo has asked for.
    pub(super) fn until_reading(&self, wait: Duration) -> Duration {
        let endpoints = self.packer.endpoints();
        let is_known = endpoints
            .filter(|endpoint| self.may_submit(endpoint))
            .all(|endpoint| self.engine.klaviyo.waits_for_counted(endpoint.post));
        match is_known {
            true => wait.saturating_sub(self.timing.read_ahead),
            false => wait,
        }
    }

    /// Ends the hold when its time has come.
    pub(super) fn release_hold(&mut self) {
        let now = self.engine.now();
        self.timing.held_until.take_if(|moment| now >= *moment);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let now = self.engine.now();
        let next_save = self.timing.saved_at + CHECKPOINT;
        Snapshot {
            soft_end_in: self.engine.remaining(self.timing.soft),
            hard_end_in: self.engine.remaining(self.timing.hard),
            save_in: next_save.saturating_sub(self.engine.monotonic()),
            is_saving: self.in_flight.is_saving,
            held_for: self.timing.held_until.map(|until| between(now, until)),
            has_calls: !self.in_flight.calls.is_empty(),
            is_read: self.reader.is_fetched() && !self.reader.has_page(),
            is_sent: self.packer.is_empty(),
            next_batch_in: self.next_batch_in(),
            may_send: self.may_send(),
            has_jobs: !self.jobs.is_empty(),
            jobs_are_full: self.jobs_are_full(),
            next_poll_in: self.next_poll().map(|due| between(now, due)),
            lacks_memory: self.lacks_memory(),
            progress: self.findings.progress,
            has_mapped: self.findings.has_mapped,
            is_ending: self.findings.end.is_some(),
            packs_for: self.packs_for(),
            was_mostly_held: self.timing.was_mostly_held,
            handover: self.timing.handover,
        }
    }

    /// Whether there is something to do for which other windows have the memory.
    fn lacks_memory(&self) -> bool {
        let is_short = self.reader.lacks_memory()
            || (self.reader.has_page() && !self.has_memory_for_batches());
        is_short && self.memory.is_shared()
    }

    /// Waits until a request ends, and handles its result, but not for longer than this.
    pub(super) async fn wait(&mut self, pause: Duration) {
        let sleep = self.engine.ports.clock.sleep(pause);
        if self.in_flight.calls.is_empty() {
            sleep.await;
            return;
        }
        let arrival = match select(self.in_flight.calls.next(), sleep).await {
            Either::Left((arrival, _)) => arrival,
            Either::Right(_) => None,
        };
        if let Some(arrival) = arrival {
            self.take(arrival);
        }
    }

    /// Handles all results that have arrived, without waiting.
    pub(super) fn take_arrived(&mut self) {
        while let Some(Some(arrival)) = self.in_flight.calls.next().now_or_never() {
            self.take(arrival);
        }
    }
}
