//! A document that a dry run shows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A document as Klaviyo would have got it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sample {
    /// What would have been done with it, and the metric of an event.
    pub kind: String,
    /// The profile that it belongs to, where that stands apart from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Value>,
    /// The document.
    pub document: Value,
}
