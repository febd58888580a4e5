//! Parts of records that have made room for another record's, while it is open what they count as.
//!
//! A variant's id is taken in the whole account. So where two products have one sku, the one that keeps it takes it from
//! the other's item, and what has been sent of the other is gone again. Whether that had counted as sent is known when
//! everything has been read and sent: until then its job may fail, or its product may be read, and it is decided again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most that are kept, about 12 kB: limits the document. commercetools rejects a sku that another product has
/// (`DuplicateField`), so there are few, if any.
const MAX_DISPLACED: usize = 100;

/// Parts by their names (see [`EntryName`](super::EntryName)), each with the id of the record that they made room for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Displaced(BTreeMap<String, String>);

impl Displaced {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A part has made room. One more than are kept goes on counting as what it counts as.
    pub fn note(&mut self, name: String, record: String) {
        if self.0.len() < MAX_DISPLACED {
            self.0.insert(name, record);
        }
    }

    /// A part counts as skipped now.
    pub fn settle(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Those that are left: they count as sent, if they were read.
    pub fn take(&mut self) -> impl Iterator<Item = (String, String)> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
