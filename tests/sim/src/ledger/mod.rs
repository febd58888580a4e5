//! What arrived in Klaviyo: the outcome that tests compare with what was seeded.
//!
//! All maps are ordered by id or looked up by it, so that the order of arrival plays no part in a comparison.

mod catalog;
mod events;
mod profiles;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use catalog::{Catalog, Entry, EntryError};
pub use events::{Event, EventKey, Events, Identifiers, properties_digest};
pub(crate) use events::{Scan, object_digest, scan_properties};
pub use profiles::{Nulls, Profile, Profiles};

use crate::klaviyo::{Kind, Operation};

/// What a write was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Written {
    /// Profiles, in bulk or one by one.
    Profiles,
    /// Events.
    Events,
    /// Catalog entries, created, updated or deleted.
    Catalog(Kind),
}

/// Calls of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// All calls, whatever became of them.
    pub calls: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Calls answered with 429.
    pub throttled: u64,
    /// Calls answered with another 4xx.
    pub refused: u64,
}

/// Everything that one simulated account holds, and how it came there.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(crate) profiles: Profiles,
    pub(crate) events: Events,
    pub(crate) catalog: Catalog,
    traffic: BTreeMap<Operation, Traffic>,
    last_writes: BTreeMap<Written, Timestamp>,
}

impl Ledger {
    /// The profiles.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// The events, each once, with the count of its repeats.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Categories, items and variants.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The calls of an operation.
    #[must_use]
    pub fn traffic(&self, operation: Operation) -> Traffic {
        self.traffic.get(&operation).copied().unwrap_or_default()
    }

    /// The calls of every operation that was called.
    pub fn all_traffic(&self) -> impl Iterator<Item = (Operation, Traffic)> {
        self.traffic
            .iter()
            .map(|(&operation, &traffic)| (operation, traffic))
    }

    /// The calls of all operations together.
    #[must_use]
    pub fn total_traffic(&self) -> Traffic {
        self.traffic
            .values()
            .fold(Traffic::default(), |sum, one| Traffic {
                calls: sum.calls + one.calls,
                bytes: sum.bytes + one.bytes,
                throttled: sum.throttled + one.throttled,
                refused: sum.refused + one.refused,
            })
    }

    /// When the last request that writes such records was accepted, whether or not its job has run.
    #[must_use]
    pub fn last_write(&self, written: Written) -> Option<Timestamp> {
        self.last_writes.get(&written).copied()
    }

    /// When the last request that writes anything was accepted.
    #[must_use]
    pub fn last_write_of_all(&self) -> Option<Timestamp> {
        self.last_writes.values().max().copied()
    }

    pub(crate) fn note_write(&mut self, written: Written, now: Timestamp) {
        self.last_writes.insert(written, now);
    }

    pub(crate) fn traffic_mut(&mut self, operation: Operation) -> &mut Traffic {
        self.traffic.entry(operation).or_default()
    }
}
