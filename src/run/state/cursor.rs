//! How far a run is.

use serde::{Deserialize, Serialize};

use super::id_range::IdRange;
use super::job::Job;
use super::options::RunOptions;
use super::phase_name::PhaseName;
use super::stored_jobs;

/// How far a run is: what is left to read, and what Klaviyo has not finished yet. When both are empty, the run goes on
/// with its next phase, or is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cursor {
    /// Parts of the id space that are not read to the end; each is read by keyset paging on its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<IdRange>,
    /// Klaviyo's jobs that are not known to be finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "stored_jobs")]
    pub jobs: Vec<Job>,
    /// The run's phase; absent if there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// Records that this phase has read.
    #[serde(default)]
    pub phase_records: u64,
    /// Documents a batch, at most, where larger ones could not be brought to their end within a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_cap: Option<usize>,
    /// Records a page, at most, where larger pages took commercetools too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_cap: Option<usize>,
    /// By how much our clock is ahead of Klaviyo's, in milliseconds, as far as its jobs have shown it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<u64>,
}

impl Cursor {
    /// The ranges of everything that a run reads: the whole id space, or all from one id on, cut into `parts`.
    #[must_use]
    pub fn all_ranges(options: &RunOptions, parts: usize) -> Vec<IdRange> {
        split(options.start_id.as_deref(), parts)
    }
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
