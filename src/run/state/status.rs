//! The status of a run or a plan.

use serde::{Deserialize, Serialize};

/// The status of a run.
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
