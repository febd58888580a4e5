//! Parts of records that are another record's, too, while it is open what they count as.
//!
//! A variant's id is taken in the whole account. So where two products have one sku, the one that keeps it takes it from
//! the other's item, and what was sent of the other is gone again. Whether that had counted as sent is known when
//! everything has been read and sent: until then its job may fail, or its product be read, and it is decided again. A
//! window that is killed between a move and its save leaves nothing of it here: then both count as sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most that are kept, about 12 kB: limits the document. commercetools rejects a sku that another product has
/// (`DuplicateField`), so there are few, if any.
pub(super) const MAX_CONTESTED: usize = 100;

/// Parts by their names (see [`EntryName`](super::EntryName)): the id of the record that has taken its place, as long as
/// it does not count as skipped for that, else nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contested(BTreeMap<String, Option<String>>);

impl Contested {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The part has made room for that of the record `taken_by`; without one, it counts as skipped. What counts as skipped
    /// is not counted once more. One more than are kept goes on counting as it does.
    pub(super) fn note(&mut self, name: String, taken_by: Option<String>) {
        let is_skipped = self.0.get(&name).is_some_and(Option::is_none);
        let is_kept = self.0.len() < MAX_CONTESTED || self.0.contains_key(&name);
        if is_kept && !is_skipped {
            self.0.insert(name, taken_by);
        }
    }

    /// Those that have made room, with the id of the record that has taken their place. None are left.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (String, String)> + use<> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.filter_map(|(name, taken_by)| Some((name, taken_by?)))
    }
}
