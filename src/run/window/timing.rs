//! When a window saves, ends and must have ended.

use std::time::Duration;

use jiff::Timestamp;

use crate::run::engine::Engine;
use crate::run::state::MARGIN;
use crate::time::Deadline;

/// How long a window works, at most, without saving.
pub(super) const CHECKPOINT: Duration = Duration::from_secs(5);
/// What is kept of the lease for saving and for the call to the next window.
pub(super) const FINISHING: Duration = Duration::from_secs(3);

/// The moments of a window.
pub(super) struct Timing {
    /// When it should end: its time budget is used up.
    pub(super) soft: Deadline,
    /// When nothing may be sent any more: the lease is about to run out.
    pub(super) hard: Deadline,
    /// Nothing is to be done before this moment (commercetools' time).
    pub(super) held_until: Option<Timestamp>,
    /// When the document was saved last, or the window began (monotonic).
    pub(super) saved_at: Duration,
}

impl Timing {
    /// The moments of a window whose lease the caller began to claim at `begun`: the lease is measured from there.
    pub(super) fn begin(engine: &Engine, begun: Duration, not_before: Option<Timestamp>) -> Self {
        let window = engine.config.window;
        // claiming is part of the window, but never most of it: a slow API must not leave windows without any time to
        // work
        let elapsed = engine.monotonic().saturating_sub(begun);
        let now = engine.now();
        Self {
            soft: engine.deadline(window - elapsed.min(window / 2)),
            hard: engine
                .deadline((window + MARGIN).saturating_sub(elapsed))
                .less(FINISHING),
            held_until: not_before.filter(|&moment| moment > now),
            saved_at: engine.monotonic(),
        }
    }
}
