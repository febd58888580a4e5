//! When a window saves, ends and must have ended.

use std::time::Duration;

use jiff::Timestamp;

use crate::run::engine::Engine;
use crate::run::state::MARGIN;
use crate::time::{Deadline, between};

/// How long a window works, at most, without saving.
pub(super) const CHECKPOINT: Duration = Duration::from_secs(5);
/// What is kept of the lease for saving and for the call to the next window.
pub(super) const FINISHING: Duration = Duration::from_secs(3);

/// How long it takes from the end of a window to the beginning of the next one: saving, a token, and claiming the lease,
/// which are four calls of about 300 ms, one after the other.
const HANDOVER: Duration = Duration::from_millis(1_500);
/// How long before its rate limit allows the next request a window begins to read: pages, and what mapping them needs, for
/// the requests that may begin together then.
const READ_AHEAD: Duration = Duration::from_millis(2_500);

/// The deadlines of a window.
pub(super) struct Timing {
    /// When claiming began (monotonic).
    pub(super) begun: Duration,
    /// When it should end: its time budget is used up.
    pub(super) soft: Deadline,
    /// When nothing may be sent any more: the lease is about to run out.
    pub(super) hard: Deadline,
    /// Nothing is to be done before this time (commercetools' time).
    pub(super) held_until: Option<Timestamp>,
    /// How long it takes from the end of this window to the beginning of the next one; never much of a window.
    pub(super) handover: Duration,
    /// How long before its rate limit allows the next request a window is to begin to read; never much of a window.
    pub(super) read_ahead: Duration,
    /// Whether most of the window's time was over when there was something to do again.
    pub(super) was_mostly_held: bool,
    /// When the document was saved last, or the window began (monotonic).
    pub(super) saved_at: Duration,
}

impl Timing {
    /// The moments of a window whose lease the caller began to claim at `begun`: the lease is measured from there.
    /// Where the caller answers only after the window, it has to be over, with everything, by `ends`.
    pub(super) fn begin(
        engine: &Engine,
        begun: Duration,
        ends: Option<Deadline>,
        not_before: Option<Timestamp>,
    ) -> Self {
        let window = engine.config.window;
        // claiming is part of the window, but never most of it: a slow API must not leave windows without any time to
        // work
        let elapsed = engine.monotonic().saturating_sub(begun);
        let now = engine.now();
        let soft = engine.deadline(window - elapsed.min(window / 2));
        let hard = engine.deadline((window + MARGIN).saturating_sub(elapsed));
        let held_until = not_before.filter(|&moment| moment > now);
        Self {
            begun,
            soft: ends.map_or(soft, |ends| soft.min(ends.less(MARGIN))),
            hard: ends.map_or(hard, |ends| hard.min(ends)).less(FINISHING),
            held_until,
            handover: HANDOVER.min(window / 4),
            read_ahead: READ_AHEAD.min(window / 4),
            was_mostly_held: held_until.is_some_and(|until| between(now, until) > window / 2),
            saved_at: engine.monotonic(),
        }
    }
}
