//! Progress: what has been acknowledged goes into the document, and the next phase begins when one is over.

use jiff::Timestamp;

use super::Window;
use super::commit::{Commit, JobEffect, RemovalFound, SentEntry};
use super::end::End;
use super::job_pace::FIRST_POLL;
use super::opening::new_reader;
use super::packer::Packer;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::run::documents::Counted;
use crate::run::import::{Import, JobEntries, MAX_DECISIONS, NextPhase};
use crate::run::state::{
    Counts, Digests, EntryName, IdRange, Job, Only, Outcome, RemovalKind, RunDocument, SetAside,
};

/// So many entries of a group are read again by their names: two requests of the catalog's. Limits the document.
const MAX_NAMED_AGAIN: usize = 200;

impl Window<'_> {
    pub(super) fn commit(&mut self) {
        while let Some(commit) = self.packer.commit() {
            if commit.is_progress() {
                self.findings.advance();
                self.stored.document.note_progress(self.engine.now());
            }
            self.apply(commit);
        }
    }

    fn apply(&mut self, commit: Commit) {
        let now = self.engine.now();
        let jobs = commit.cursor_jobs(FIRST_POLL, self.import.lists_again());
        self.jobs.add(jobs);
        for (range, span) in &commit.spans {
            if let Some(through) = &span.through {
                self.reader.commit(*range, through);
            }
        }
        for range in commit.finished {
            self.reader.commit_end(range);
        }
        self.phase_records += commit.records_reached;
        let document = &mut self.stored.document;
        document.note_refused(&commit.counts, &commit.parts, commit.refused_blindly);
        let Counted { records, parts } = commit.counted;
        document.counts.add(&commit.counts);
        document.counts.take_back(&Counts::of_entries(records));
        if commit.parts != Counts::default() || parts > 0 {
            let variants = document.variants.get_or_insert_default();
            variants.add(&commit.parts);
            variants.take_back(&Counts::of_entries(parts));
        }
        note_removal(document, self.import.removal_kind(), commit.removal);
        if let Some(drift) = commit.drift {
            document.drift.get_or_insert_default().add(drift);
        }
        for id in commit.changed {
            document.note_changed(id);
        }
        if commit.last_id.is_some() {
            document.last_id = commit.last_id;
        }
        document.news.read.extend(commit.read_again);
        for rest in commit.rests {
            self.reader.add(rest);
        }
        for (range, records) in commit.parts_follow {
            self.reader.add_parts(range, records);
        }
        for (range, records) in commit.parts_follow_anew {
            let parts = IdRange::of_entries(records, commit.attempt.max(1));
            let parts = parts.with_only(Some(Only::PartsAnew));
            self.reader.add_once_saved(match range {
                Some(_) => parts.with_span(),
                None => parts,
            });
        }
        self.read_entries_again(commit.again, commit.attempt + 1);
        // not the first reading, and no attempt either
        self.read_entries_again(commit.deferred, commit.attempt.max(1));
        let spans = Commit::spans_of(&commit.refused).unwrap_or_default();
        for (endpoint, names) in by_endpoint(commit.refused) {
            self.give_up_parts(endpoint.key, names, &spans);
        }
        let document = &mut self.stored.document;
        for record in commit.set_aside {
            document.set_aside(record);
        }
        for (name, taken_by) in commit.contested {
            document.note_contested(name, taken_by);
        }
        if let Some(effect) = commit.effect {
            self.apply_effect(effect, now);
        }
    }

    /// What the result of a job changes.
    fn apply_effect(&mut self, effect: JobEffect, now: Timestamp) {
        let document = &mut self.stored.document;
        document.counts.move_to_failed(effect.refused.len() as u64);
        for (id, reason) in effect.refused {
            document.set_aside(SetAside {
                id,
                outcome: Outcome::Failed,
                reason,
            });
        }
        for note in effect.notes {
            document.counts.note(note, 1);
        }
        if effect.unnamed > 0 {
            document.counts.move_to_failed(effect.unnamed);
            document.set_aside(SetAside::failed(None, not_named(effect.unnamed)));
        }
        match effect.errors_at {
            Some(path) => {
                if let Some(job) = self.jobs.answered(&effect.id) {
                    job.errors_at = Some(path);
                    job.errors_read += effect.errors_read;
                    job.due = now;
                    // part of its errors has been dealt with: should it turn out cancelled now, it is left as it is
                    job.spans.clear();
                    job.entries.clear();
                }
            }
            None => self.remove_job(&effect.id),
        }
    }

    /// Reads entries once more that were sent so often, or were to be. Parts that went with their records follow in any case:
    /// Klaviyo may have created these although nobody has heard of it.
    fn read_entries_again(&mut self, entries: Vec<SentEntry>, attempt: u32) {
        let spans = Commit::spans_of(&entries).unwrap_or_default();
        for (endpoint, names) in by_endpoint(entries) {
            if self.import.job_entries(endpoint.key) == JobEntries::RecordsAnew {
                self.read_named(names.clone(), &spans, Some(Only::PartsAnew), attempt);
            }
            self.read_again(endpoint.key, names, &spans, attempt);
        }
    }

    /// Reads entries of a job or a request of this kind once more, to decide about them again: by their names, which takes
    /// the fewest pages, unless they are so many that the document would not have room for them. Then those of these spans
    /// are found by digests.
    pub(super) fn read_again(
        &mut self,
        kind: &str,
        names: Vec<String>,
        spans: &[IdRange],
        attempt: u32,
    ) {
        let only = self.only_again(kind);
        let spans = if names.len() > MAX_NAMED_AGAIN {
            spans
        } else {
            &[]
        };
        self.read_named(names, spans, only, attempt);
    }

    /// Reads those entries of a job once more that have these digests.
    pub(super) fn read_again_in(&mut self, job: &Job, digests: Digests) {
        let only = self.only_again(&job.kind);
        self.read_spans(job, digests, only, job.attempt + 1);
    }

    /// What is read again of entries of this kind.
    fn only_again(&self, kind: &str) -> Option<Only> {
        match self.import.job_entries(kind) {
            JobEntries::RecordsBesideParts => Some(Only::Records),
            JobEntries::RecordsAnew => Some(Only::RecordsAnew),
            JobEntries::Records | JobEntries::RecordsBeforeParts | JobEntries::Parts => None,
        }
    }

    /// Reads records of a job's spans whose digests, or those of their parts, are among these.
    fn read_spans(&mut self, job: &Job, digests: Digests, only: Option<Only>, attempt: u32) {
        if digests.is_empty() {
            return;
        }
        for span in &job.spans {
            self.reader.add(IdRange {
                digests: digests.clone(),
                only,
                attempt,
                ..span.clone()
            });
        }
    }

    /// What of records of this kind follows when their result is known; `None` if their parts have been sent beside them.
    fn parts_of(&self, kind: &str) -> Option<Only> {
        match self.import.job_entries(kind) {
            JobEntries::RecordsBeforeParts => Some(Only::Parts),
            JobEntries::RecordsAnew => Some(Only::PartsAnew),
            JobEntries::Records | JobEntries::RecordsBesideParts | JobEntries::Parts => None,
        }
    }

    /// Records of this kind, which were sent so often before, are in Klaviyo: their parts follow, if they have not been sent
    /// beside them.
    pub(super) fn let_parts_follow(
        &mut self,
        kind: &str,
        records: Vec<String>,
        spans: &[IdRange],
        attempt: u32,
    ) {
        if let Some(only) = self.parts_of(kind) {
            let attempt = attempt_of_parts(only, attempt);
            self.read_named(records, spans, Some(only), attempt);
        }
    }

    /// Klaviyo does not take these records of this kind. Their parts are read all the same, to be counted: they wait for
    /// their records no longer.
    pub(super) fn give_up_parts(&mut self, kind: &str, records: Vec<String>, spans: &[IdRange]) {
        if let Some(only) = self.parts_of(kind) {
            self.read_named(records, spans, Some(only), MAX_DECISIONS + 1);
        }
    }

    /// Reads what has these names. What is in these spans has a range for each, as a range of the cursor has no gaps; the
    /// others have one by their names.
    fn read_named(
        &mut self,
        names: Vec<String>,
        spans: &[IdRange],
        only: Option<Only>,
        attempt: u32,
    ) {
        let mut add = |names: Vec<String>, within: fn(IdRange) -> IdRange| {
            if !names.is_empty() {
                let range = IdRange::of_entries(names, attempt).with_only(only);
                self.reader.add(within(range));
            }
        };
        let mut left = names;
        for span in spans {
            let is_in_span = |name: &String| span.contains(EntryName::read(name).id);
            let (of_span, others) = left.into_iter().partition(is_in_span);
            left = others;
            add(of_span, IdRange::with_span);
        }
        add(left, std::convert::identity);
    }

    /// The same for records of a job that are known by their digests.
    pub(super) fn let_parts_follow_in(&mut self, job: &Job, digests: Digests) {
        if let Some(only) = self.parts_of(&job.kind) {
            let attempt = attempt_of_parts(only, job.attempt);
            self.read_spans(job, digests, Some(only), attempt);
        }
    }

    /// The counts that a job's entries are in.
    pub(super) fn counts_of(&mut self, kind: &str) -> &mut Counts {
        let document = &mut self.stored.document;
        match self.import.job_entries(kind) {
            JobEntries::Parts => document.variants.get_or_insert_default(),
            _ => &mut document.counts,
        }
    }

    /// Begins the next phase; `false` if the window ends instead.
    pub(super) fn begin_next_phase(&mut self) -> bool {
        let (next, records) = match self.import.next_phase(&self.stored.document) {
            NextPhase::None => {
                self.begin_to_end(End::Completed);
                return false;
            }
            NextPhase::Begin { import, records } => (import, records),
            NextPhase::Unconfirmed { records } => {
                let import = self.import.clone();
                self.read_anew(records, &*import);
                self.begin_to_end(End::Unconfirmed);
                return false;
            }
        };
        self.read_anew(records, &*next);
        self.packer = Packer::new(next.bulk_endpoints(), next.batches_a_group(), None)
            .watching(self.remembered.clone());
        self.import = next;
        self.findings.advance();
        true
    }

    /// Begins to read from the start: all records that `import` reads, or those with these ids.
    fn read_anew(&mut self, records: Vec<String>, import: &dyn Import) {
        let document = &mut self.stored.document;
        let ranges = match records.is_empty() {
            true => import.ranges(document, self.engine.config.id_ranges),
            false => vec![IdRange::of_entries(records, 0)],
        };
        document.record_bytes = self.reader.record_bytes().map(|bytes| bytes as u64);
        let page_cap = self.reader.page_cap();
        self.reader = new_reader(
            import,
            self.memory.clone(),
            &self.stored.document,
            ranges,
            page_cap,
        );
        self.phase_records = 0;
    }
}

/// How often parts count as sent when they follow records that were sent so often before: parts that went with their
/// records have been.
fn attempt_of_parts(only: Only, attempt: u32) -> u32 {
    match only {
        Only::PartsAnew => attempt + 1,
        Only::Records | Only::RecordsAnew | Only::Parts | Only::RecordsFirst => 0,
    }
}

/// Adds what was found in Klaviyo that commercetools no longer has.
fn note_removal(document: &mut RunDocument, kind: RemovalKind, found: RemovalFound) {
    let RemovalFound {
        of,
        count,
        records,
        unmarked,
    } = found;
    if of == 0 && count == 0 && records.is_empty() && unmarked.is_empty() {
        return;
    }
    let removal = document.removal_of(kind);
    removal.of += of;
    removal.count += count;
    for id in records {
        removal.note_record(id);
    }
    for id in unmarked {
        removal.note_unmarked(id);
    }
}

/// The names of entries by where they were sent.
fn by_endpoint(entries: Vec<SentEntry>) -> Vec<(&'static BulkEndpoint, Vec<String>)> {
    let mut sorted: Vec<(&'static BulkEndpoint, Vec<String>)> = Vec::new();
    for SentEntry { name, endpoint, .. } in entries {
        match sorted.iter_mut().find(|(of, _)| of.key == endpoint.key) {
            Some((_, names)) => names.push(name),
            None => sorted.push((endpoint, vec![name])),
        }
    }
    sorted
}

/// Why records count as failed that nobody can name.
fn not_named(records: u64) -> String {
    match records {
        1 => "Klaviyo did not take one record and does not say which".to_owned(),
        more => format!("Klaviyo did not take {more} records and does not say which"),
    }
}
