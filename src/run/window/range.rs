//! One range that is being read, and how far it is.

use crate::commercetools::query::MAX_LIMIT;
use crate::run::state::{IdRange, Only};

/// The save that a range waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The next one that begins.
    Next,
    /// The one that is under way.
    UnderWay,
}

/// One range, and how far it is in memory.
#[derive(Debug)]
pub(super) struct Range {
    /// What is left according to what has been committed.
    pub(super) committed: IdRange,
    /// What is left to be fetched.
    pub(super) unfetched: IdRange,
    /// What is left to be mapped.
    pub(super) unmapped: IdRange,
    pub(super) fetching: bool,
    pub(super) is_fetched: bool,
    pub(super) is_done: bool,
    pub(super) ready: usize,
    /// The most records per page; lowered after a response that was too large, and raised with each that was not.
    pub(super) cap: usize,
    /// Whether its next page, of one record, needs all the room there is for a response.
    pub(super) needs_all: bool,
    /// Whether the page under way is dropped when it arrives.
    pub(super) drops_page: bool,
    /// The range whose records have the parts that are read here, as long as nothing of it has been read: it grows.
    pub(super) parts_of: Option<usize>,
    /// The save that it waits for before anything of it is read, if it does.
    pub(super) save: Option<Awaited>,
}

impl Range {
    pub(super) fn new(range: IdRange) -> Self {
        Self {
            committed: range.clone(),
            unfetched: range.clone(),
            unmapped: range,
            fetching: false,
            is_fetched: false,
            is_done: false,
            ready: 0,
            cap: MAX_LIMIT,
            needs_all: false,
            drops_page: false,
            parts_of: None,
            save: None,
        }
    }

    /// Whether it is a plain part of the key space of which something is left to be mapped.
    pub(super) fn is_plain(&self) -> bool {
        let IdRange {
            entries,
            digests,
            only,
            parts_after,
            source,
            attempt,
            ..
        } = &self.committed;
        let is_all = entries.is_empty() && digests.is_empty() && source.is_none();
        let is_part = is_all && parts_after.is_none();
        is_part && only.is_none() && *attempt == 0 && self.is_left()
    }

    /// Whether something of it is left to be mapped.
    pub(super) fn is_left(&self) -> bool {
        !self.is_fetched || self.ready > 0
    }

    /// Whether its records are read, and their parts only later.
    pub(super) fn has_records_first(&self) -> bool {
        self.committed.only == Some(Only::RecordsFirst) && self.is_left()
    }
}
