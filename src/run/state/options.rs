//! What a run was started with.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The options of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunOptions {
    /// Only these records, sorted, each once; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Only this record and those after it in id order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_id: Option<String>,
    /// Orders: events are to trigger flows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trigger_flows: bool,
    /// Only what was modified at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Everything is read and mapped, nothing is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Categories, products: nothing is imported; everything of the kind that Klaviyo has is deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_all: bool,
    /// Categories, products: what Klaviyo has of this project and commercetools no longer has is removed. Without `since`
    /// nothing is imported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// With `prune`: also entries that do not say whose they are, if their ids are of commercetools' form.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune_unmarked: bool,
    /// Products: a dry run that compares Klaviyo's catalog with the shop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drift: bool,
}

impl RunOptions {
    /// Whether records are read to be imported.
    #[must_use]
    pub fn imports(&self) -> bool {
        let only_prunes = self.prune && self.since.is_none();
        !self.delete_all && !only_prunes
    }

    /// Whether an import reads the record with this id for certain; one of changes may, or may not.
    #[must_use]
    pub fn reads(&self, id: &str) -> bool {
        let is_after_start = self.start_id.as_deref().is_none_or(|start| id >= start);
        let is_asked_for = |ids: &Vec<String>| ids.iter().any(|one| one == id);
        self.since.is_none() && is_after_start && self.ids.as_ref().is_none_or(is_asked_for)
    }
}
