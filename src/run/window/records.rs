//! Records: mapped, page by page, and packed.

use std::time::Duration;

use super::Window;
use super::group::Origin;
use super::samples;
use crate::json::Json;
use crate::klaviyo::batch::Batch;
use crate::klaviyo::bulk::MAX_REQUEST_BYTES;
use crate::mapping::{self, Skip};
use crate::run::documents::{Document, RecordOutcome};
use crate::run::import::JobEntries;
use crate::run::page::Record;
use crate::run::state::{EntryName, IdRange};

/// Bytes of records that are mapped before other tasks run.
const MAPPING_SLICE: usize = 256 * 1024;
/// Full batches that may wait: mapping pauses behind them.
const MAX_OUTBOX: usize = 2;

impl Window<'_> {
    pub(super) fn map(&mut self) -> bool {
        let now = self.engine.monotonic();
        let mut bytes = 0;
        let mut mapped = false;
        while bytes < MAPPING_SLICE && self.may_map() && self.has_memory_for_batches() {
            let Some((range, page, before)) = self.reader.page() else {
                break;
            };
            let before = before.clone();
            let Some(record) = page.records.pop_front() else {
                self.turn_page(range, &before, now);
                continue;
            };
            let by_id = page.by_id;
            mapped = true;
            self.findings.has_mapped = true;
            let id = match record {
                Record::Missing(id) => {
                    let origin = Origin {
                        range,
                        before: &before,
                        id: Some(&id),
                        reached: Some(&id),
                    };
                    self.packer.skip(
                        origin,
                        Skip::NotFound.code(),
                        Skip::NotFound.to_string(),
                        now,
                    );
                    Some(id)
                }
                Record::Present(record) => {
                    bytes += record.get().len();
                    self.documents.clear();
                    let outcome = (page.mapper)(record.part(), &mut self.documents);
                    self.pack(range, &before, by_id, &record, outcome, now)
                }
            };
            if let Some(id) = id.filter(|_| by_id) {
                self.reader.mapped(range, &id);
            }
        }
        mapped
    }

    /// Whether the batches that wait leave room for more: behind those of parts that cannot be sent yet, records can.
    fn may_map(&mut self) -> bool {
        if self.jobs_are_full() {
            return false;
        }
        let is_free = self.packer.outbox() < MAX_OUTBOX;
        is_free || (self.goes_on_with_records() && self.reader.prefer_records_first())
    }

    /// Whether there is memory for one more request of full size.
    pub(super) fn has_memory_for_batches(&self) -> bool {
        let bytes = self.packer.bytes() + self.in_flight.send_bytes;
        self.memory.note_batches(bytes);
        self.memory.has_room_for_batches(MAX_REQUEST_BYTES)
    }

    /// A page is mapped to its end, and with it its range up to where the page ends: also where nothing of it is wanted. If
    /// its records have no position of their own, the group ends with it.
    fn turn_page(&mut self, range: usize, before: &IdRange, now: Duration) {
        let page = self.reader.page();
        let next = page.and_then(|(_, page, _)| Some((page.last.clone()?, page.by_id)));
        if let Some((next, by_id)) = next {
            self.packer.reach(
                Origin {
                    range,
                    before,
                    id: None,
                    reached: Some(&next),
                },
                now,
            );
            if !by_id {
                self.packer.close();
            }
            self.reader.mapped(range, &next);
        }
        if self.reader.page_done() {
            self.packer.finish(range, now);
        }
    }

    /// Packs the documents of a record; returns its id.
    fn pack(
        &mut self,
        range: usize,
        before: &IdRange,
        by_id: bool,
        record: &Json,
        outcome: Result<String, Skip>,
        now: Duration,
    ) -> Option<String> {
        match outcome.and_then(|id| self.leave_out_too_large().map(|()| id)) {
            Ok(id) => {
                if !before.is_first_reading() {
                    self.leave_out_what_is_on_its_way(&id);
                }
                if self.stored.document.options.dry_run {
                    samples::take(
                        &mut self.stored.document.samples,
                        self.import.bulk_endpoints(),
                        &self.documents,
                    );
                }
                let reached = by_id.then_some(id.as_str());
                self.packer.add(
                    Origin {
                        range,
                        before,
                        id: Some(&id),
                        reached,
                    },
                    &self.documents,
                    now,
                );
                if self.documents.rest.is_some() {
                    // the rest is read when this is committed
                    self.packer.close();
                }
                Some(id)
            }
            Err(skip) => {
                let id = mapping::id(record.part());
                let reached = id.as_deref().filter(|_| by_id);
                let origin = Origin {
                    range,
                    before,
                    id: id.as_deref(),
                    reached,
                };
                self.packer.skip(origin, skip.code(), skip.to_string(), now);
                id
            }
        }
    }

    /// Leaves out of the record that has been mapped what is on its way already: the record, if it is being created anew, as
    /// it is asked for for itself and for parts of it, which follow in any case; and parts that are sent again, as they
    /// are asked for for themselves and with all others of a record that is created anew.
    fn leave_out_what_is_on_its_way(&mut self, id: &str) {
        let endpoints = self.import.bulk_endpoints();
        let documents = &mut self.documents;
        let (ahead, counted) = (&mut documents.ahead, &mut documents.counted);
        let is_on_its_way = |document: &Document| {
            let kind = endpoints[document.endpoint].key;
            match document.part.as_deref() {
                Some(part) => {
                    let part = Some(part);
                    let name = EntryName { id, part }.to_string();
                    self.packer.has_part_again(&name)
                }
                None => {
                    let is_anew = self.import.job_entries(kind) == JobEntries::RecordsAnew;
                    is_anew && (self.packer.has(kind, id) || self.jobs.has(kind, id))
                }
            }
        };
        let mut is_counted = false;
        documents.list.retain(|document| {
            if !is_on_its_way(document) {
                return true;
            }
            match document.part {
                Some(_) if counted.parts > 0 => counted.parts -= 1,
                Some(_) => ahead.parts += 1,
                None => {
                    is_counted = counted.records > 0;
                    counted.records = 0;
                    ahead.documents += 1;
                }
            }
            false
        });
        if is_counted {
            documents.record = RecordOutcome::Uncounted;
        }
    }

    /// Leaves out parts of the record that has been mapped that fit into no request; a record with such a document of
    /// its own is not sent at all.
    fn leave_out_too_large(&mut self) -> Result<(), Skip> {
        let endpoints = self.import.bulk_endpoints();
        let too_large = |document: &Document| {
            let endpoint = endpoints[document.endpoint];
            let bytes = document.pieces.len();
            let fits = Batch::fits_alone(endpoint, document.profile.as_deref(), bytes);
            (!fits).then_some(Skip::TooLarge {
                bytes,
                most: endpoint.max_bytes,
            })
        };
        let mut whole = None;
        let skipped = &mut self.documents.parts_skipped;
        self.documents.list.retain(|document| {
            let Some(skip) = too_large(document) else {
                return true;
            };
            match document.part.clone() {
                Some(part) => skipped.push((part, skip)),
                None => whole = Some(skip),
            }
            false
        });
        match whole {
            None => Ok(()),
            // without its own document, the parts of a record have no place
            Some(skip) => Err(skip),
        }
    }
}
