//! A map that is limited in bytes and whose entries expire.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// The size of an entry without its value, in bytes: its slot in the map, its id, its allocations.
const ENTRY_BYTES: usize = 160;
/// How long a value counts as current after it was fetched.
const FRESH: Duration = Duration::from_secs(300);

/// A value of the cache.
pub(super) trait Kept: Clone {
    /// Its approximate size in bytes.
    fn bytes(&self) -> usize;
}

/// A map that is limited in bytes and whose entries expire.
pub(super) struct Cache<T> {
    entries: HashMap<Rc<str>, (T, Duration)>,
    bytes: usize,
    most: usize,
}

impl<T: Kept> Cache<T> {
    pub(super) fn of_at_most(bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            bytes: 0,
            most: bytes,
        }
    }

    pub(super) fn get(&self, id: &str, now: Duration) -> Option<T> {
        self.entries
            .get(id)
            .filter(|(_, at)| now.saturating_sub(*at) < FRESH)
            .map(|(value, _)| value.clone())
    }

    pub(super) fn insert(&mut self, id: Rc<str>, value: T, now: Duration) {
        if self.bytes >= self.most {
            self.entries
                .retain(|_, (_, at)| now.saturating_sub(*at) < FRESH);
            let entries = self.entries.values();
            self.bytes = entries.map(|(value, _)| ENTRY_BYTES + value.bytes()).sum();
        }
        if self.bytes >= self.most {
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += ENTRY_BYTES + value.bytes();
        if let Some((known, _)) = self.entries.insert(id, (value, now)) {
            self.bytes -= ENTRY_BYTES + known.bytes();
        }
    }
}
