//! What a group changes once it is committed: positions, counts, and the jobs that the cursor keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::sending::JobMade;
use crate::run::documents::Counted;
use crate::run::state::{
    Counts, Digests, Drift, EntryName, IdRange, Job, Note, SetAside, own_name,
};
use crate::time::later;

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

/// An entry that was sent: a record, or a part of one.
#[derive(Debug, Clone)]
pub struct SentEntry {
    /// The record's id, or the part's name (see [`EntryName`]).
    pub name: String,
    /// Where it was sent.
    pub endpoint: &'static BulkEndpoint,
    /// Whether it is a part of a record, which has counts of its own.
    pub is_part: bool,
    /// The number of the range that its record was read in, if reading a span of that finds it again.
    pub range: Option<usize>,
    /// What was counted for it beside itself.
    pub notes: Vec<Note>,
}

impl SentEntry {
    /// The id of its record.
    fn record(&self) -> &str {
        match self.is_part {
            true => EntryName::read(&self.name).id,
            false => &self.name,
        }
    }
}

/// What was found in Klaviyo that commercetools no longer has.
#[derive(Debug, Default)]
pub struct RemovalFound {
    /// How many entries Klaviyo has.
    pub of: u64,
    /// How many of them are to be removed, as counted in the end.
    pub count: u64,
    /// The records that seem to have lost some.
    pub records: Vec<String>,
    /// Records that do not say whose they are.
    pub unmarked: Vec<String>,
}

/// The most entries of a job that the cursor names although the job's errors name them too: limits the document.
const MAX_NAMED: usize = 200;

/// What the cursor may take up more for a read less, in bytes. A page has records for several jobs, so a job of a large
/// import is of few spans. Where few records have anything for its kind, it is of all ranges: its entries are read
/// again by their names in one page, and by their digests in a page a span.
const BYTES_A_READ: usize = 100;

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
    /// Counts of records' parts, rejected ones included.
    pub parts: Counts,
    /// What of both has been counted before.
    pub counted: Counted,
    /// What was found in Klaviyo that commercetools no longer has.
    pub removal: RemovalFound,
    /// The ids of records that have changed without being modified.
    pub changed: Vec<String>,
    /// How far Klaviyo is from these records, in a comparison.
    pub drift: Option<Drift>,
    /// Records for the report.
    pub set_aside: Vec<SetAside>,
    /// Parts whose place is another record's, by their names: that record's id where this group has moved it there, else
    /// nothing, as they count as skipped.
    pub contested: Vec<(String, Option<String>)>,
    /// Ids of watched records that were read.
    pub read_again: Vec<String>,
    /// Where records are read on of which this has a portion of their parts.
    pub rests: Vec<IdRange>,
    /// Records whose parts are read later, by the range that they are from.
    pub parts_follow: BTreeMap<usize, Vec<String>>,
    /// Records whose parts Klaviyo has lost, by the range that they are from, if reading a span of that finds them again.
    pub parts_follow_anew: BTreeMap<Option<usize>, Vec<String>>,
    /// Jobs that Klaviyo made, with when.
    pub jobs: Vec<(JobMade, Timestamp)>,
    /// Entries that are to be looked up and decided again; they are not counted yet.
    pub again: Vec<SentEntry>,
    /// Entries that were not sent, or whose batch failed; they are not counted either.
    pub deferred: Vec<SentEntry>,
    /// Entries that Klaviyo rejected.
    pub refused: Vec<SentEntry>,
    /// Documents that Klaviyo rejected without a pointer to any.
    pub refused_blindly: u64,
    /// What the result of a job changes.
    pub effect: Option<JobEffect>,
    /// What was sent, as [`JobMade::records`] numbers it.
    pub(super) entries: Vec<SentEntry>,
    /// The kinds of the batches that were taken out to be sent.
    pub taken: Vec<&'static str>,
    /// Whether Klaviyo has refused nothing of one of them.
    pub has_accepted_batch: bool,
    /// How often its records have been sent before.
    pub attempt: u32,
}

impl Commit {
    /// Whether the run gets further with it. What was put off entirely was only noted by name, and may be put off again in
    /// the next window.
    #[must_use]
    pub fn is_progress(&self) -> bool {
        self.deferred.is_empty() || self.deferred.len() < self.entries.len()
    }

    /// The spans from the first to the last of these entries' records, one for each range that they are from; `None` if one
    /// of them is from none.
    pub(super) fn spans_of<'a>(
        entries: impl IntoIterator<Item = &'a SentEntry>,
    ) -> Option<Vec<IdRange>> {
        let mut ends: BTreeMap<usize, (&str, &str)> = BTreeMap::new();
        for entry in entries {
            let id = entry.record();
            let (first, last) = ends.entry(entry.range?).or_insert((id, id));
            *first = (*first).min(id);
            *last = (*last).max(id);
        }
        let span = |(first, last): (&str, &str)| IdRange {
            from: Some(first.to_owned()),
            through: Some(last.to_owned()),
            ..IdRange::default()
        };
        Some(ends.into_values().map(span).collect())
    }

    /// The jobs as the cursor keeps them, with what can be read again should they be cancelled: the spans of the group,
    /// where Klaviyo made one job of it; the names of their entries, where these are few, or where a job's errors do
    /// not name them. For many names digests are enough, unless the entries can only be found by their names: those of
    /// spans are read again in them, also in a run of changes, as what was modified since a time stays so. Where
    /// `are_listed_again`, a later phase lists what is left of them.
    #[must_use]
    pub fn cursor_jobs(&self, first_poll: Duration, are_listed_again: bool) -> Vec<Job> {
        let is_alone = self.jobs.len() == 1 && self.effect.is_none();
        let job = |(made, since): &(JobMade, Timestamp)| {
            let counts = Counts::of_entries(made.records.len() as u64);
            let job = Job {
                id: made.id.clone(),
                kind: made.endpoint.key.to_owned(),
                since: *since,
                due: later(*since, first_poll),
                asked: 0,
                slow: false,
                errors_at: None,
                errors_read: 0,
                spans: Vec::new(),
                counts,
                entries: Vec::new(),
                digests: Digests::default(),
                attempt: self.attempt,
            };
            let are_few = !is_alone && made.records.len() <= MAX_NAMED;
            let sent = || made.records.iter().map(|&entry| &self.entries[entry]);
            let entries = || sent().map(|entry| entry.name.clone()).collect();
            let spans = Self::spans_of(sent()).or(are_listed_again.then(Vec::new));
            let spans = spans.filter(|_| made.endpoint.names_entries && self.attempt == 0);
            if let Some(spans) = spans {
                let named = Job {
                    entries: entries(),
                    ..job
                };
                let digests = Digests::of(sent().map(|entry| own_name(&entry.name, entry.is_part)));
                by_digests_or_names(named, digests, spans)
            } else if made.endpoint.names_entries || are_few {
                Job {
                    entries: entries(),
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

/// A job as the cursor keeps it where its entries can be found by their digests in these spans, too.
fn by_digests_or_names(named: Job, digests: Digests, spans: Vec<IdRange>) -> Job {
    let more_reads = spans.len().saturating_sub(1);
    let by_digests = Job {
        digests,
        spans,
        ..named.clone()
    };
    match named.stored_bytes() < by_digests.stored_bytes() + more_reads * BYTES_A_READ {
        true => named,
        false => by_digests,
    }
}
