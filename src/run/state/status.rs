//! How a run or a plan stands.

use serde::{Deserialize, Serialize};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Going on.
    Running,
    /// Over: everything was read and Klaviyo has finished everything.
    Completed,
    /// Ended by `stop`.
    Stopped,
    /// Gave up; its cursor is kept.
    Failed,
}
