//! What is kept of a run when the next one begins.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::set_aside::{Outcome, SetAside};
use super::status::Status;

/// Records that the report of an earlier run names; the rest are counted only. Two reports fit into the document.
pub(super) const MAX_SET_ASIDE: usize = 100;

/// A run that is over, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Names the run.
    pub run_id: String,
    /// How it ended.
    pub status: Status,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Whether it sent nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether it deleted instead of importing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_all: bool,
    /// Whether it only removed what commercetools no longer has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// How many records.
    pub counts: Counts,
    /// Products: how many variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Counts>,
    /// Records that were set aside, those that failed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// How many more were set aside.
    #[serde(default)]
    pub set_aside_omitted: u64,
}

impl Report {
    /// The report with as many of these records as it has room for, those that failed first.
    pub(super) fn with_set_aside(mut self, mut set_aside: Vec<SetAside>) -> Self {
        set_aside.sort_by_key(|record| record.outcome != Outcome::Failed);
        self.set_aside_omitted += set_aside.len().saturating_sub(MAX_SET_ASIDE) as u64;
        set_aside.truncate(MAX_SET_ASIDE);
        self.set_aside = set_aside;
        self
    }
}
