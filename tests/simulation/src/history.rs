//! What happened, line by line, in virtual time.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The history of one seed.
#[derive(Debug, Default)]
pub(crate) struct History(RefCell<Vec<String>>);

impl History {
    /// Adds a line.
    pub(crate) fn note(&self, now: Duration, line: impl AsRef<str>) {
        let line = format!("{:>10.3} {}", now.as_secs_f64(), line.as_ref());
        self.0.borrow_mut().push(line);
    }

    /// All lines.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// A number that differs for two histories that differ.
pub(crate) fn digest(lines: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    lines.hash(&mut hasher);
    hasher.finish()
}
