//! Progress: what has been acknowledged goes into the document, and a phase that is over makes room for the next.

use super::jobs::FIRST_ASK;
use super::{Window, reader};
use crate::run::cursor::Cursor;
use crate::run::group::{Commit, NOTE_MENDED, Packer};
use crate::run::lease::later;
use crate::run::state::{Counts, Outcome, SetAside};

impl Window<'_> {
    pub(super) fn commit(&mut self) {
        while let Some(commit) = self.packer.commit() {
            self.progress = true;
            self.apply(commit);
        }
    }

    fn apply(&mut self, commit: Commit) {
        let now = self.app.commercetools.server_now();
        self.jobs
            .extend(commit.cursor_jobs(now, later(now, FIRST_ASK)));
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
        if effect.mended > 0 {
            *document
                .counts
                .notes
                .entry(NOTE_MENDED.to_owned())
                .or_default() += effect.mended;
        }
        match effect.errors_at {
            Some(path) => {
                if let Some(job) = self.jobs.iter_mut().find(|job| job.id == effect.id) {
                    job.errors_at = Some(path);
                    job.due = now;
                    // part of its errors has been dealt with: should it turn out cancelled now, it is left as it is
                    job.spans.clear();
                    job.entries.clear();
                }
            }
            None => self.jobs.retain(|job| job.id != effect.id),
        }
    }

    /// The counts that the present phase adds to.
    pub(super) fn counts(&mut self) -> &mut Counts {
        let document = &mut self.stored.document;
        match self.import.counts_variants() {
            true => document.variants.get_or_insert_default(),
            false => &mut document.counts,
        }
    }

    /// Goes on with the next phase, where there is one.
    pub(super) fn begin_next_phase(&mut self) -> bool {
        let Some(next) = self.import.next_phase() else {
            return false;
        };
        let document = &mut self.stored.document;
        let cursor = Cursor::start(&document.order, next.phase(), self.app.config.id_ranges);
        document.record_bytes = self.reader.record_bytes().map(|bytes| bytes as u64);
        self.reader = reader(&self.budget, document, cursor.ranges);
        self.packer = Packer::new(next.lanes(), next.batches_a_group(), None);
        self.phase_records = 0;
        self.import = next;
        self.progress = true;
        true
    }
}
