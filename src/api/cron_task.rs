//! The operations of schedulers that can send nothing but a path.

/// An operation of a scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CronTask {
    /// As `POST /sync/continue`.
    Continue,
    /// As `POST /sync` with `{"since": "lastRun"}`.
    Changes,
}

impl CronTask {
    pub(super) const ALL: [Self; 2] = [Self::Continue, Self::Changes];

    /// Its name in the path.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Changes => "changes",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }
}
