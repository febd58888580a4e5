//! What a window knows when it decides, and how it waits.

use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt};

use super::Window;
use super::decision::Snapshot;
use super::timing::CHECKPOINT;
use crate::time::between;

impl Window<'_> {
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
