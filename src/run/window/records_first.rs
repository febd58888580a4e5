//! Records before their parts: where no more jobs of parts can be submitted for now, what else is left to be read is sent
//! without its parts, and these follow.
//!
//! A slow job holds up nothing but its own records. The jobs of items take up to minutes, as those of variants do: where
//! 500 jobs of variants are under way, the items of the products behind them do not wait for that. Parts are read a second
//! time for it; reading costs less than waiting.

use std::time::Duration;

use super::Window;
use super::turn::Turn;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::run::import::JobEntries;

/// A rate limit that ends sooner holds nothing up.
const SOON: Duration = Duration::from_secs(2);
/// What is kept of the document for jobs of records while there are records to be read, in bytes: 140 jobs of 100 entries.
const KEPT_FOR_RECORDS: usize = 56 * 1024;
/// What is left for jobs of parts even so, in bytes: those of a group. One that is sent by halves is not committed, and its
/// jobs make no room.
const LEFT_FOR_PARTS: usize = 14 * 1024;
/// What parts that are to follow may take up in the document, in bytes: those of about 25,000 records.
const MOST_TO_FOLLOW: usize = 60 * 1024;

impl Window<'_> {
    /// What of the document is kept free from jobs of this kind, in bytes.
    pub(super) fn bytes_kept_from(&self, kind: &str) -> usize {
        let are_parts = self.import.job_entries(kind) == JobEntries::Parts;
        let keeps = are_parts && self.import.may_send_records_first() && self.reader.has_records();
        let most = self.most_job_bytes().saturating_sub(LEFT_FOR_PARTS);
        let kept = KEPT_FOR_RECORDS.min(most);
        if keeps { kept } else { 0 }
    }

    /// Whether all batches that wait are of parts, and none of them can be sent now.
    pub(super) fn parts_are_stuck(&self) -> bool {
        let mut waiting = self.packer.endpoints().peekable();
        let is_stuck = |endpoint: &'static BulkEndpoint| {
            let are_parts = self.import.job_entries(endpoint.key) == JobEntries::Parts;
            are_parts && (!self.may_submit(endpoint) || self.ready_in(endpoint) > SOON)
        };
        waiting.peek().is_some() && waiting.all(is_stuck)
    }

    /// Whether there are records to be read and sent before their parts, although none of these can be sent.
    pub(super) fn goes_on_with_records(&self) -> bool {
        self.reader.has_records_first() && self.more_may_follow() && self.parts_are_stuck()
    }

    /// Whether the document has room for more parts that are to follow.
    fn more_may_follow(&self) -> bool {
        self.reader.stored_bytes() < MOST_TO_FOLLOW
    }

    /// Reads records before their parts, if these cannot be sent for now and mapping waits for them. Returns what is to be
    /// read now.
    pub(super) fn begin_with_records(&mut self) -> Turn {
        let waits = self.parts_are_stuck();
        if waits && self.import.may_send_records_first() {
            let now = self.engine.monotonic();
            for range in self.reader.read_records_first() {
                self.packer.finish(range, now);
            }
        }
        match self.more_may_follow() {
            true if waits && self.reader.has_records_first() => Turn::OnlyRecords,
            true => Turn::RecordsFirst,
            false => Turn::NoRecordsFirst,
        }
    }
}
