//! The records that could not be brought into Klaviyo.

use std::collections::BTreeSet;

use super::counts::Counts;
use super::set_aside::{Outcome, SetAside};

/// The records that the last real run could not bring into Klaviyo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// The ids that its report names, sorted, each once.
    pub ids: Vec<String>,
    /// How many more failed: left out of the report's bounded list, or with an id that is not known.
    pub unnamed: u64,
}

impl Failures {
    pub(super) fn listed(
        set_aside: &[SetAside],
        counts: &Counts,
        variants: Option<&Counts>,
    ) -> Self {
        let in_all = counts.failed + variants.map_or(0, |variants| variants.failed);
        let failed = set_aside
            .iter()
            .filter(|record| record.outcome == Outcome::Failed);
        let mut ids: Vec<String> = failed.filter_map(|record| record.id.clone()).collect();
        let named = ids.len() as u64;
        ids.sort_unstable();
        ids.dedup();
        Self {
            ids,
            unnamed: in_all.saturating_sub(named),
        }
    }
}

/// What a window knows about failed records that the document does not have yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureNews {
    /// Records that failed.
    pub failed: BTreeSet<String>,
    /// Remembered records that were read again.
    pub read: BTreeSet<String>,
}

impl FailureNews {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.read.is_empty()
    }

    /// Removes what has been stored.
    pub fn forget(&mut self, stored: &Self) {
        self.failed.retain(|id| !stored.failed.contains(id));
        self.read.retain(|id| !stored.read.contains(id));
    }
}
