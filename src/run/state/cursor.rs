//! How far a run is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::changes::Source;
use super::counts::Counts;
use super::entry_name::{self, EntryName};
use super::options::RunOptions;

/// How far a run is: what is left to read, and what Klaviyo has not finished yet. When both are empty, the run goes on
/// with its next phase, or is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cursor {
    /// Parts of the id space that are not read to the end; each is read by keyset paging on its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<IdRange>,
    /// Klaviyo's jobs that are not known to be finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
    /// The run's phase, as the resource names it; absent if there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Records that this phase has read.
    #[serde(default)]
    pub phase_records: u64,
    /// Documents a batch, at most, where larger ones could not be brought to their end within a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_cap: Option<usize>,
    /// Records a page, at most, where larger pages took commercetools too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_cap: Option<usize>,
}

impl Cursor {
    /// The ranges of everything that a run reads: the whole id space, or all from one id on, cut into `parts`.
    #[must_use]
    pub fn all_ranges(options: &RunOptions, parts: usize) -> Vec<IdRange> {
        split(options.start_id.as_deref(), parts)
    }
}

/// The half of the records that is wanted of a range, where a record and its parts are entries of their own, such as a
/// product's item and its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Only {
    /// The records without their parts: these were sent beside them.
    Records,
    /// The parts without the records: these are in Klaviyo now.
    Parts,
}

/// A part of the key space: ids in the order that commercetools sorts them in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdRange {
    /// Everything up to this id is done; absent at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The first id, where the range begins with one that is part of it and nothing is done yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last id; absent where the range is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// If only these entries of the range are wanted, because a job did not accept them: their names, sorted
    /// (see [`EntryName`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "entry_name")]
    pub entries: Vec<String>,
    /// What is wanted of the records that it has or names; absent where it is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// Where it reads, if that is not the collection that is imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// How often these entries have been sent before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

fn is_none_yet(count: &u64) -> bool {
    *count == 0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl IdRange {
    /// A range of these entries only, which are to be sent again.
    #[must_use]
    pub fn of_entries(mut entries: Vec<String>, attempt: u32) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self {
            entries,
            attempt,
            ..Self::default()
        }
    }

    /// All of a source.
    #[must_use]
    pub fn of_source(source: Source) -> Self {
        Self {
            source: Some(source),
            ..Self::default()
        }
    }

    /// The same range with one half of its records only, or with all of them.
    #[must_use]
    pub fn with_only(self, only: Option<Only>) -> Self {
        Self { only, ..self }
    }

    /// Whether its records are read for the first time.
    #[must_use]
    pub fn is_first_reading(&self) -> bool {
        self.attempt == 0 && self.only.is_none()
    }

    /// The range with everything up to `id` done.
    #[must_use]
    pub fn advanced_to(&self, id: &str) -> Self {
        Self {
            after: Some(id.to_owned()),
            from: None,
            ..self.clone()
        }
    }

    /// The ids of the records that the wanted entries belong to, each once; `None` if the whole range is wanted.
    #[must_use]
    pub fn wanted_ids(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = self
            .entries
            .iter()
            .map(|name| EntryName::read(name).id.to_owned())
            .collect();
        ids.dedup();
        (!ids.is_empty()).then_some(ids)
    }

    /// Whether the range has this id.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.after.as_deref().is_none_or(|after| id > after)
            && self.from.as_deref().is_none_or(|from| id >= from)
            && self.through.as_deref().is_none_or(|through| id <= through)
    }
}

/// One of Klaviyo's jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Job {
    /// Klaviyo's id.
    pub id: String,
    /// The kind of job: the key of the bulk endpoint that it was submitted to.
    pub kind: String,
    /// When it was submitted.
    pub since: Timestamp,
    /// When to poll it next.
    pub due: Timestamp,
    /// How often it has been polled.
    #[serde(default)]
    pub asked: u32,
    /// The page of its errors to read next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors_at: Option<String>,
    /// How many of its errors have been dealt with.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub errors_read: u64,
    /// The parts of the id space that its records came from: they are read again if the job is cancelled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<IdRange>,
    /// What was counted for these spans: subtracted if they are read again.
    #[serde(default)]
    pub counts: Counts,
    /// The names of its entries in the order of the request, where an error names an entry by its index only.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "entry_name")]
    pub entries: Vec<String>,
    /// How often these entries have been sent before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

/// Cuts the key space into `parts` of equal size by the first 32 bits of a UUID. The first part is open below and the
/// last is open above, so that no id is outside, whatever it looks like.
fn split(from: Option<&str>, parts: usize) -> Vec<IdRange> {
    let parts = parts.max(1) as u64;
    let cuts =
        (1..parts).map(|part| format!("{:08x}-0000-0000-0000-000000000000", (part << 32) / parts));
    let mut ranges = Vec::new();
    let mut after: Option<String> = None;
    for through in cuts.map(Some).chain([None]) {
        ranges.push(IdRange {
            after: after.take(),
            through: through.clone(),
            ..IdRange::default()
        });
        after = through;
    }
    let Some(from) = from else { return ranges };
    ranges.retain(|range| {
        range
            .through
            .as_deref()
            .is_none_or(|through| through >= from)
    });
    if let Some(first) = ranges.first_mut() {
        first.after = None;
        first.from = Some(from.to_owned());
    }
    ranges
}
