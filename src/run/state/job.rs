//! Klaviyo's jobs in the cursor.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::digests::Digests;
use super::entry_name;
use super::id_range::{IdRange, is_zero};

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
    /// Whether it was not finished when Klaviyo was asked for it after the time that is usual.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
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
    /// The digests of its entries, which are what is stored of the names where the entries are sent for the first time.
    #[serde(skip)]
    pub digests: Digests,
    /// How often these entries have been sent before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
}

fn is_none_yet(count: &u64) -> bool {
    *count == 0
}
