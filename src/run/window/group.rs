//! Groups: batches that are committed together.
//!
//! A group is the unit of progress. When all its batches have been acknowledged, and those of every group before it,
//! its positions in the ranges, its counts and Klaviyo's jobs go into the run document together. So the document is
//! true at every save, and what it does not contain is read and sent again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::klaviyo::sending::JobMade;
use crate::mapping::Skip;
use crate::run::documents::Documents;
use crate::run::import::MAX_DECISIONS;
use crate::run::state::{Counts, IdRange, Job, Note, Outcome, SetAside};

/// What the result of a job changes; applied when its group is committed.
#[derive(Debug)]
pub struct JobEffect {
    /// The job.
    pub id: String,
    /// The page of its errors to read next; if absent, the job is done.
    pub errors_at: Option<String>,
    /// How many of its errors this deals with.
    pub errors_read: u64,
    /// Records that the job rejected: id, if it is known, and reason.
    pub refused: Vec<(Option<String>, String)>,
    /// What is counted for documents that are sent again corrected.
    pub notes: Vec<Note>,
    /// The number of records that it rejected without naming them.
    pub unnamed: u64,
}

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
    /// The names of what has documents, by the numbers in batches: ids of records, names of parts (see
    /// [`EntryName`](crate::run::state::EntryName)).
    pub(super) records: Vec<String>,
    /// Those of them that count as skipped, with the reason's code.
    pub(super) skipped: BTreeMap<usize, &'static str>,
    /// For each range, the part of it that this group covers.
    pub(super) spans: BTreeMap<usize, IdRange>,
    pub(super) finished: Vec<usize>,
    pub(super) last_id: Option<String>,
    pub(super) records_reached: u64,
    pub(super) counts: Counts,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) read_again: Vec<String>,
    pub(super) refused: BTreeMap<usize, String>,
    pub(super) again: BTreeMap<usize, String>,
    pub(super) jobs: Vec<JobMade>,
    pub(super) effect: Option<JobEffect>,
}

/// What a committed group changes.
#[derive(Debug)]
pub struct Commit {
    /// For each range by its number, the part of it that is done: everything up to `through`.
    pub spans: BTreeMap<usize, IdRange>,
    /// Ranges that are read and sent to the end.
    pub finished: Vec<usize>,
    /// The last record read.
    pub last_id: Option<String>,
    /// Records that were read for the first time.
    pub records_reached: u64,
    /// Counts, rejected records included.
    pub counts: Counts,
    /// Records for the report.
    pub set_aside: Vec<SetAside>,
    /// Ids of watched records that were read.
    pub read_again: Vec<String>,
    /// Jobs that Klaviyo made.
    pub jobs: Vec<JobMade>,
    /// Entries that are to be looked up and decided again, by name; they are not counted yet.
    pub again: Vec<String>,
    /// What the result of a job changes.
    pub effect: Option<JobEffect>,
    /// The names of what was sent, as [`JobMade::records`] numbers it.
    records: Vec<String>,
    /// How often its records have been sent before.
    pub attempt: u32,
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

/// The most entries of a job that the cursor names although the job's errors name them too: limits the document.
const MAX_NAMED: usize = 200;

impl Group {
    pub(super) fn reach(&mut self, origin: &Origin<'_>) {
        if let Some(id) = origin.id {
            self.last_id = Some(id.to_owned());
            self.records_reached += u64::from(origin.before.attempt == 0);
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
            let count = alike.len() as u64;
            self.counts.read += count;
            *self
                .counts
                .skipped
                .entry(skip.code().to_owned())
                .or_default() += count;
            let reason = match others.len() {
                0 => format!("{first}: {skip}"),
                more => format!("{first} and {more} more: {skip}"),
            };
            self.set_aside.push(SetAside {
                id: id.map(str::to_owned),
                outcome: Outcome::Skipped,
                reason,
            });
        }
    }

    pub(super) fn count(&mut self, origin: &Origin<'_>, documents: &Documents) {
        self.counts.documents += documents.list.len() as u64;
        for note in &documents.notes {
            self.counts.note(*note, 1);
        }
        if let Some(skip) = &documents.skipped {
            self.skipped.insert(self.records.len(), skip.code());
            self.skip(origin.id.map(str::to_owned), skip.code(), skip.to_string());
            return;
        }
        let sent = match &documents.parts_skipped {
            None => 1,
            Some(skipped) => {
                self.skip_parts(origin.id, skipped);
                documents.list.len() as u64
            }
        };
        self.counts.read += sent;
        self.counts.sent += sent;
    }

    pub(super) fn into_commit(mut self) -> Commit {
        if self.attempt >= MAX_DECISIONS {
            self.refused.append(&mut self.again);
        }
        let again: Vec<String> = self
            .again
            .keys()
            .filter_map(|&record| self.records.get(record).cloned())
            .collect();
        self.counts
            .take_back(&Counts::of_entries(again.len() as u64));
        for (record, reason) in std::mem::take(&mut self.refused) {
            let name = self.records.get(record).filter(|id| !id.is_empty());
            let refused = SetAside::failed(name.map(String::as_str), reason);
            // a document that a job's result sends again was counted as sent when the job was submitted
            if let Some(effect) = &mut self.effect {
                effect.refused.push((refused.id, refused.reason));
                continue;
            }
            match self.skipped.get(&record) {
                Some(code) => {
                    self.counts.skipped_is_failed(code);
                    let is_it = |one: &SetAside| one.id == refused.id;
                    self.set_aside.retain(|one| !is_it(one));
                }
                None => self.counts.move_to_failed(1),
            }
            self.set_aside.push(refused);
        }
        Commit {
            spans: self.spans,
            finished: self.finished,
            last_id: self.last_id,
            records_reached: self.records_reached,
            counts: self.counts,
            set_aside: self.set_aside,
            read_again: self.read_again,
            jobs: self.jobs,
            again,
            effect: self.effect,
            records: self.records,
            attempt: self.attempt,
        }
    }
}

impl Commit {
    /// The jobs as the cursor keeps them, with what can be read again should they be cancelled: the spans of the group,
    /// where Klaviyo made one job of it; the names of their entries, where these are few, or where a job's errors do
    /// not name them.
    #[must_use]
    pub fn cursor_jobs(&self, now: jiff::Timestamp, due: jiff::Timestamp) -> Vec<Job> {
        let is_alone = self.jobs.len() == 1 && self.effect.is_none();
        let job = |made: &JobMade| {
            let counts = Counts::of_entries(made.records.len() as u64);
            let job = Job {
                id: made.id.clone(),
                kind: made.endpoint.key.to_owned(),
                since: now,
                due,
                asked: 0,
                errors_at: None,
                errors_read: 0,
                spans: Vec::new(),
                counts,
                entries: Vec::new(),
                attempt: self.attempt,
            };
            let are_few = !is_alone && made.records.len() <= MAX_NAMED;
            if made.endpoint.names_entries || are_few {
                Job {
                    entries: made
                        .records
                        .iter()
                        .map(|&record| self.records[record].clone())
                        .collect(),
                    ..job
                }
            } else if is_alone {
                Job {
                    spans: self.spans.values().cloned().collect(),
                    counts: self.counts.clone(),
                    ..job
                }
            } else {
                job
            }
        };
        self.jobs.iter().map(job).collect()
    }
}
