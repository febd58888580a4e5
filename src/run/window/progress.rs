//! Progress: what has been acknowledged goes into the document, and the next phase begins when one is over.

use super::group::Commit;
use super::job_list::FIRST_POLL;
use super::packer::Packer;
use super::{Window, new_reader};
use crate::run::state::{Counts, Cursor, IdRange, Outcome, SetAside};
use crate::time::later;

impl Window<'_> {
    pub(super) fn commit(&mut self) {
        while let Some(commit) = self.packer.commit() {
            self.findings.progress = true;
            self.stored.document.note_progress(self.engine.now());
            self.apply(commit);
        }
    }

    fn apply(&mut self, commit: Commit) {
        let now = self.engine.now();
        self.jobs
            .add(commit.cursor_jobs(now, later(now, FIRST_POLL)));
        for (range, span) in &commit.spans {
            if let Some(through) = &span.through {
                self.reader.commit(*range, through);
            }
        }
        for range in commit.finished {
            self.reader.commit_end(range);
        }
        self.phase_records += commit.records_reached;
        self.counts().add(&commit.counts);
        let document = &mut self.stored.document;
        if commit.last_id.is_some() {
            document.last_id = commit.last_id;
        }
        document.news.read.extend(commit.read_again);
        if !commit.again.is_empty() {
            let again = IdRange::of_entries(commit.again, commit.attempt + 1);
            self.reader.add(again);
        }
        let document = &mut self.stored.document;
        for record in commit.set_aside {
            document.set_aside(record);
        }
        let Some(effect) = commit.effect else { return };
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
            None => self.jobs.remove(&effect.id),
        }
    }

    /// The counts that the current phase adds to.
    pub(super) fn counts(&mut self) -> &mut Counts {
        let document = &mut self.stored.document;
        match self.import.counts_variants() {
            true => document.variants.get_or_insert_default(),
            false => &mut document.counts,
        }
    }

    /// Begins the next phase; `false` if there is none.
    pub(super) fn begin_next_phase(&mut self) -> bool {
        let Some(next) = self.import.next_phase() else {
            return false;
        };
        let document = &mut self.stored.document;
        let cursor = Cursor::start(
            &document.options,
            next.phase(),
            self.engine.config.id_ranges,
        );
        document.record_bytes = self.reader.record_bytes().map(|bytes| bytes as u64);
        let page_cap = self.reader.page_cap();
        self.reader = new_reader(&self.limits, &self.stored, cursor.ranges, page_cap);
        self.packer = Packer::new(next.bulk_endpoints(), next.batches_a_group(), None)
            .watching(self.remembered.clone());
        self.phase_records = 0;
        self.import = next;
        self.findings.progress = true;
        true
    }
}

/// Why records count as failed that nobody can name.
fn not_named(records: u64) -> String {
    match records {
        1 => "Klaviyo did not take one record and does not say which".to_owned(),
        more => format!("Klaviyo did not take {more} records and does not say which"),
    }
}
