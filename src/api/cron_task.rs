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
    /// As `POST /sync/{resource}` with `{"prune": true}`: of categories or products.
    PruneOf(Resource),
}

impl CronTask {
    /// The task that the rest of a path names.
    pub(super) fn named(parts: &[&str]) -> Option<Self> {
        match parts {
            ["continue"] => Some(Self::Continue),
            ["changes"] => Some(Self::Changes),
            ["changes", resource] => Resource::named(resource).map(Self::ChangesOf),
            ["prune", resource] => Resource::named(resource).map(Self::PruneOf),
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
            Self::PruneOf(resource) => write!(formatter, "prune/{resource}"),
            Self::ChangesOf(resource) => write!(formatter, "changes/{resource}"),
        }
    }
}
