//! Groups: batches that are committed together.
//!
//! A group is the unit of progress. When all its batches have been acknowledged, and those of every group before it,
//! its positions in the ranges, its counts and Klaviyo's jobs go into the run document together. So the document is
//! true at every save, and what it does not contain is read and sent again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::commit::{Commit, JobEffect, RemovalFound, SentEntry};
use crate::klaviyo::sending::JobMade;
use crate::mapping::Skip;
use crate::run::documents::{Counted, Documents, RecordOutcome};
use crate::run::import::MAX_DECISIONS;
use crate::run::state::{Counts, Drift, EntryName, IdRange, Outcome, SetAside};

/// Everything that one group changes in the document.
#[derive(Debug, Default)]
pub struct Group {
    pub(super) seq: u64,
    pub(super) opened_at: Duration,
    pub(super) closed: bool,
    pub(super) outstanding: usize,
    pub(super) sealed: usize,
    /// How often its records have been sent before.
    pub(super) attempt: u32,
    /// What was sent, by the numbers in batches.
    pub(super) entries: Vec<SentEntry>,
    /// The names of records' parts among it, where it is sent again.
    pub(super) parts_again: HashSet<String>,
    /// Those of them that count as skipped, with the reason's code.
    pub(super) skipped: BTreeMap<usize, &'static str>,
    /// The kinds of the batches that were taken out to be sent.
    pub(super) taken: Vec<&'static str>,
    /// Whether Klaviyo has refused nothing of one of them.
    pub(super) has_accepted_batch: bool,
    /// For each range, the part of it that this group covers.
    pub(super) spans: BTreeMap<usize, IdRange>,
    pub(super) finished: Vec<usize>,
    pub(super) last_id: Option<String>,
    pub(super) records_reached: u64,
    pub(super) counts: Counts,
    /// The counts of records' parts.
    pub(super) parts: Counts,
    /// What of both has been counted before.
    pub(super) counted: Counted,
    pub(super) removal: RemovalFound,
    pub(super) changed: Vec<String>,
    pub(super) drift: Option<Drift>,
    pub(super) set_aside: Vec<SetAside>,
    /// Parts whose place is another record's, by their names: that record's id where this group moves it there, else nothing,
    /// as they count as skipped.
    pub(super) contested: Vec<(String, Option<String>)>,
    pub(super) read_again: Vec<String>,
    /// Where records are read on of which this has a portion of their parts.
    pub(super) rests: Vec<IdRange>,
    /// Records whose parts are read later, by the range that they are from.
    pub(super) parts_follow: BTreeMap<usize, Vec<String>>,
    /// Records whose parts Klaviyo has lost, by the range that they are from, if reading a span of that finds them again.
    pub(super) parts_follow_anew: BTreeMap<Option<usize>, Vec<String>>,
    pub(super) refused: BTreeMap<usize, String>,
    pub(super) again: BTreeMap<usize, String>,
    /// Entries that were not sent, as the window ended before.
    pub(super) deferred: BTreeSet<usize>,
    /// Entries of batches that failed, and may be sent later without the others.
    pub(super) failed: BTreeSet<usize>,
    /// How many batches that were.
    pub(super) failed_batches: usize,
    pub(super) refused_blindly: u64,
    pub(super) jobs: Vec<(JobMade, Timestamp)>,
    pub(super) effect: Option<JobEffect>,
}

/// Where a record comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The number of its range.
    pub range: usize,
    /// The range as it stood before this record.
    pub before: &'a IdRange,
    /// Its id, if it has one.
    pub id: Option<&'a str>,
    /// The position in the range up to which everything is read with this record; `None` if only a whole page has one.
    pub reached: Option<&'a str>,
}

impl Origin<'_> {
    /// The number of its range, if reading a span of that finds the record again.
    pub(super) fn span_range(&self) -> Option<usize> {
        let is_in_span = self.reached.is_some() && !self.before.is_by_name();
        is_in_span.then_some(self.range)
    }
}

impl Group {
    /// Nothing has been put into it.
    pub(super) fn is_blank(&self) -> bool {
        self.spans.is_empty()
            && self.finished.is_empty()
            && self.last_id.is_none()
            && self.entries.is_empty()
            && self.effect.is_none()
            && self.counts == Counts::default()
    }

    /// Everything has been sent and acknowledged, or at least so much that the rest can be read again by name.
    pub(super) fn is_complete(&self) -> bool {
        let is_answered = self.failed_batches < self.taken.len();
        self.outstanding == 0 || (self.outstanding == self.failed_batches && is_answered)
    }

    /// Everything that was taken out of it has failed, and may be sent later.
    pub(super) fn has_failed(&self) -> bool {
        self.outstanding > 0 && self.outstanding == self.failed_batches
    }

    pub(super) fn reach(&mut self, origin: &Origin<'_>) {
        if let Some(id) = origin.id {
            self.last_id = Some(id.to_owned());
            self.records_reached += u64::from(origin.before.is_first_reading());
        }
        let Some(reached) = origin.reached else {
            return;
        };
        let span = self
            .spans
            .entry(origin.range)
            .or_insert_with(|| origin.before.clone());
        span.through = Some(reached.to_owned());
    }

    pub(super) fn meet(&mut self, origin: &Origin<'_>, watched: &BTreeSet<String>) {
        let id = origin.id.filter(|&id| watched.contains(id));
        self.read_again.extend(id.map(str::to_owned));
    }

    pub(super) fn skip(&mut self, id: Option<String>, reason: &str, text: String) {
        self.counts.read += 1;
        *self.counts.skipped.entry(reason.to_owned()).or_default() += 1;
        self.set_aside.push(SetAside {
            id,
            outcome: Outcome::Skipped,
            reason: text,
        });
    }

    /// Counts each part that is not sent; the report names those with the same reason together.
    fn skip_parts(&mut self, id: Option<&str>, skipped: &[(String, Skip)]) {
        for alike in skipped.chunk_by(|(_, one), (_, next)| one == next) {
            let [(first, skip), others @ ..] = alike else {
                continue;
            };
            if let (Some(id), Skip::SkuOfAnotherProduct { .. }) = (id, skip) {
                let names = alike.iter().map(|(part, _)| EntryName {
                    id,
                    part: Some(part),
                });
                self.contested
                    .extend(names.map(|name| (name.to_string(), None)));
            }
            let count = alike.len() as u64;
            self.parts.read += count;
            *self
                .parts
                .skipped
                .entry(skip.code().to_owned())
                .or_default() += count;
            let reason = skip.to_string();
            let record = SetAside::skipped_parts(id, first, others.len(), &reason);
            self.set_aside.push(record);
        }
    }

    pub(super) fn count(&mut self, origin: &Origin<'_>, documents: &Documents) {
        let of_parts = documents.list.iter();
        let parts = of_parts.filter(|document| document.part.is_some()).count();
        let own = documents.list.len() - parts;
        match &documents.record {
            RecordOutcome::Sent => {
                self.counts.read += 1;
                self.counts.sent += 1;
                self.counts.documents += own as u64 + documents.ahead.documents;
            }
            RecordOutcome::Skipped(skip) => {
                // documents of it are sent all the same, if it has any
                if own > 0 {
                    self.skipped.insert(self.entries.len(), skip.code());
                }
                self.counts.documents += own as u64;
                let id = origin.id.map(str::to_owned);
                self.skip(id, skip.code(), skip.to_string());
            }
            RecordOutcome::Uncounted => {}
        }
        self.skip_parts(origin.id, &documents.parts_skipped);
        let taker = origin.id.map(str::to_owned);
        let displaced = documents.displaced.iter().cloned();
        self.contested
            .extend(displaced.map(|name| (name, taker.clone())));
        let parts = parts as u64 + documents.ahead.parts;
        self.parts.add(&Counts::of_entries(parts));
        self.counted.records += documents.counted.records;
        self.counted.parts += documents.counted.parts;
        for note in documents.notes.iter().chain(&documents.notes_of_page) {
            self.counts.note(*note, 1);
        }
        for note in documents.list.iter().filter_map(|one| one.part_note) {
            self.parts.note(note, 1);
        }
        self.removal.of += documents.found.parts;
        self.removal.count += documents.found.removals;
        if documents.found.has_obsolete {
            self.removal.records.extend(origin.id.map(str::to_owned));
        }
        if let Some(drift) = &documents.drift {
            self.drift.get_or_insert_default().add((**drift).clone());
        }
        self.rests.extend(documents.rest.as_deref().cloned());
        if let Some(id) = origin.id.filter(|_| documents.parts_follow) {
            let of_range = self.parts_follow.entry(origin.range).or_default();
            of_range.push(id.to_owned());
        }
        if let Some(id) = origin.id.filter(|_| documents.parts_follow_anew) {
            let of_range = self.parts_follow_anew.entry(origin.span_range());
            of_range.or_default().push(id.to_owned());
        }
        if documents.changed {
            self.changed.extend(origin.id.map(str::to_owned));
        }
        if documents.found.is_unmarked {
            self.removal.unmarked.extend(origin.id.map(str::to_owned));
        }
    }

    /// Whether it has an entry of this name for an endpoint of this kind.
    pub(super) fn has(&self, kind: &str, name: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.endpoint.key == kind && entry.name == name)
    }

    /// Adds an entry that is sent; returns its number.
    pub(super) fn enter(&mut self, entry: SentEntry) -> usize {
        if entry.is_part && self.attempt > 0 {
            self.parts_again.insert(entry.name.clone());
        }
        self.entries.push(entry);
        self.entries.len() - 1
    }

    fn counts_of(&mut self, is_part: bool) -> &mut Counts {
        match is_part {
            true => &mut self.parts,
            false => &mut self.counts,
        }
    }

    /// What is not moved yet, as these entries are not sent, has taken nobody's place.
    fn leave_places(&mut self, open: [&[SentEntry]; 3]) {
        let is_open = |name: &str| {
            let mut open = open.into_iter().flatten();
            open.any(|entry| entry.name == name)
        };
        self.contested.retain(|(name, taken_by)| {
            let part = EntryName::read(name).part;
            let of_taker = taken_by.as_deref().map(|id| EntryName { id, part });
            !of_taker.is_some_and(|name| is_open(&name.to_string()))
        });
    }

    pub(super) fn into_commit(mut self) -> Commit {
        if self.attempt >= MAX_DECISIONS {
            self.refused.append(&mut self.again);
        }
        let again: Vec<SentEntry> = self
            .again
            .keys()
            .filter_map(|&entry| self.entries.get(entry).cloned())
            .collect();
        self.deferred.append(&mut self.failed);
        let deferred: Vec<SentEntry> = self
            .deferred
            .iter()
            .filter_map(|&entry| self.entries.get(entry).cloned())
            .collect();
        for entry in again.iter().chain(&deferred) {
            let mut counted = Counts::of_entries(1);
            for note in &entry.notes {
                counted.note(*note, 1);
            }
            self.counts_of(entry.is_part).take_back(&counted);
        }
        let mut rejected = Vec::new();
        for (number, reason) in std::mem::take(&mut self.refused) {
            let entry = self.entries.get(number).cloned();
            let name = entry.as_ref().map(|entry| entry.name.as_str());
            let refused = SetAside::failed(name.filter(|name| !name.is_empty()), reason);
            // a document that a job's result sends again was counted as sent when the job was submitted
            if let Some(effect) = &mut self.effect {
                effect.refused.push((refused.id, refused.reason));
                continue;
            }
            let is_part = entry.as_ref().is_some_and(|entry| entry.is_part);
            match self.skipped.get(&number).filter(|_| !is_part) {
                Some(code) => {
                    self.counts.skipped_is_failed(code);
                    self.set_aside.retain(|one| one.id != refused.id);
                }
                None => self.counts_of(is_part).move_to_failed(1),
            }
            self.set_aside.push(refused);
            rejected.extend(entry);
        }
        self.leave_places([&again, &deferred, &rejected]);
        Commit {
            spans: self.spans,
            finished: self.finished,
            last_id: self.last_id,
            records_reached: self.records_reached,
            counts: self.counts,
            parts: self.parts,
            counted: self.counted,
            removal: self.removal,
            changed: self.changed,
            drift: self.drift,
            set_aside: self.set_aside,
            contested: self.contested,
            read_again: self.read_again,
            rests: self.rests,
            parts_follow: self.parts_follow,
            parts_follow_anew: self.parts_follow_anew,
            refused_blindly: self.refused_blindly,
            jobs: self.jobs,
            again,
            deferred,
            refused: rejected,
            effect: self.effect,
            entries: self.entries,
            taken: self.taken,
            has_accepted_batch: self.has_accepted_batch,
            attempt: self.attempt,
        }
    }
}
