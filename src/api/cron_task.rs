//! The operations of schedulers that can send nothing but a path.

use std::fmt;

use crate::run::state::Resource;

/// An operation of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CronTask {
    /// As `POST /sync/continue`.
    Continue,
    /// As `POST /sync` with `{"since": "lastRun"}`.
    Changes,
    /// As `POST /sync/{resource}` with `{"since": "lastRun"}`.
    ChangesOf(Resource),
}

impl CronTask {
    /// The task that the rest of a path names.
    pub(super) fn named(parts: &[&str]) -> Option<Self> {
        match parts {
            ["continue"] => Some(Self::Continue),
            ["changes"] => Some(Self::Changes),
            ["changes", resource] => Resource::named(resource).map(Self::ChangesOf),
            _ => None,
        }
    }
}

/// As the path has it.
impl fmt::Display for CronTask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue => formatter.write_str("continue"),
            Self::Changes => formatter.write_str("changes"),
            Self::ChangesOf(resource) => write!(formatter, "changes/{resource}"),
        }
    }
}
