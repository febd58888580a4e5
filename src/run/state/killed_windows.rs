//! Windows that are killed before they can save.

use jiff::Timestamp;

use super::document::{MAX_KILLED_WINDOWS, RunDocument};
use super::last_error::LastError;

/// The least memory that a window works with is the share of so many halvings.
const MAX_MEMORY_HALVINGS: u32 = 4;
/// What to do about windows that are killed.
const KILLED: &str = "The platform ends windows before they can save. Set memory_mib to what it allows an instance, or \
                      lower; where it ends work after the response, set continuation to scheduler; where it ends long \
                      requests, lower window_seconds.";

impl RunDocument {
    /// Looks at the lease that ran out before this claim: one without progress that was saved since it was claimed is that
    /// of a window that was killed. The next one works with half the memory; after [`MAX_KILLED_WINDOWS`] in a row the run
    /// fails.
    pub fn note_killed_window(&mut self, now: Timestamp) {
        match &self.lease {
            Some(lease) if !lease.is_live(now) && !lease.has_saved => {}
            Some(_) => {
                self.killed_windows = 0;
                return;
            }
            None => return,
        }
        self.killed_windows += 1;
        self.memory_halvings = (self.memory_halvings + 1).min(MAX_MEMORY_HALVINGS);
        self.last_error = Some(LastError {
            at: now,
            message: format!(
                "{} windows in a row were killed: they ended without a word",
                self.killed_windows
            ),
            advice: KILLED.to_owned(),
            code: None,
            is_of_credentials: false,
        });
        if self.killed_windows >= MAX_KILLED_WINDOWS {
            self.lease = None;
            self.give_up(now);
        }
    }

    /// A window has ended in good order.
    pub fn note_survived_window(&mut self) {
        self.killed_windows = 0;
        self.memory_halvings = self.memory_halvings.saturating_sub(1);
    }
}
