//! Catalog entries by their external id, and what belongs to what.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::klaviyo::Kind;

/// One category, item or variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The attributes, as all writes together made them (without the keys `integration_type`, `catalog_type`).
    pub attributes: Map<String, Value>,
    /// External ids of what it belongs to: an item's categories, a variant's one item. Empty for a category.
    pub belongs_to: BTreeSet<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// How often it was written.
    pub writes: u32,
}

/// Why an entry of a job failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryError {
    /// Created, but it is there already.
    Exists,
    /// Updated or deleted, but it is not there.
    Unknown,
    /// Related to something that is not there.
    UnknownRelation,
}

/// All catalog entries of the account.
#[derive(Debug, Default)]
pub struct Catalog {
    categories: BTreeMap<String, Entry>,
    items: BTreeMap<String, Entry>,
    variants: BTreeMap<String, Entry>,
    /// Item to its variants, both by external id.
    variants_of: BTreeMap<String, BTreeSet<String>>,
}

impl Catalog {
    /// The entries of a kind, by external id.
    #[must_use]
    pub fn entries(&self, kind: Kind) -> &BTreeMap<String, Entry> {
        match kind {
            Kind::Category => &self.categories,
            Kind::Item => &self.items,
            Kind::Variant => &self.variants,
        }
    }

    /// The external ids of an item's variants, in order.
    pub fn variants_of(&self, item: &str) -> impl Iterator<Item = &str> {
        self.variants_of
            .get(item)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    fn entries_mut(&mut self, kind: Kind) -> &mut BTreeMap<String, Entry> {
        match kind {
            Kind::Category => &mut self.categories,
            Kind::Item => &mut self.items,
            Kind::Variant => &mut self.variants,
        }
    }

    /// What the related entries of an entry of this kind are.
    fn relation(kind: Kind) -> Kind {
        match kind {
            Kind::Category | Kind::Variant => Kind::Item,
            Kind::Item => Kind::Category,
        }
    }

    fn knows_all(&self, kind: Kind, ids: &[String]) -> bool {
        ids.iter().all(|id| self.entries(kind).contains_key(id))
    }

    /// Creates an entry; `related` are the external ids in its relationship.
    pub(crate) fn create(
        &mut self,
        now: Timestamp,
        kind: Kind,
        id: &str,
        attributes: Map<String, Value>,
        related: &[String],
    ) -> Result<(), EntryError> {
        if self.entries(kind).contains_key(id) {
            return Err(EntryError::Exists);
        }
        if !self.knows_all(Self::relation(kind), related) {
            return Err(EntryError::UnknownRelation);
        }
        let entry = Entry {
            attributes,
            belongs_to: BTreeSet::new(),
            created: now,
            updated: now,
            writes: 1,
        };
        self.entries_mut(kind).insert(id.to_owned(), entry);
        if !related.is_empty() {
            self.relate(kind, id, related);
        }
        Ok(())
    }

    /// Changes an entry: a null clears the attribute, what is left out stays; `related` replaces the
    /// relationship where it is given.
    pub(crate) fn update(
        &mut self,
        now: Timestamp,
        kind: Kind,
        id: &str,
        attributes: Map<String, Value>,
        related: Option<&[String]>,
    ) -> Result<(), EntryError> {
        if !self.entries(kind).contains_key(id) {
            return Err(EntryError::Unknown);
        }
        if !self.knows_all(Self::relation(kind), related.unwrap_or_default()) {
            return Err(EntryError::UnknownRelation);
        }
        if let Some(entry) = self.entries_mut(kind).get_mut(id) {
            for (name, value) in attributes {
                if value.is_null() {
                    entry.attributes.shift_remove(&name);
                } else {
                    entry.attributes.insert(name, value);
                }
            }
            entry.updated = now;
            entry.writes += 1;
        }
        if let Some(related) = related {
            self.relate(kind, id, related);
        }
        Ok(())
    }

    /// Deletes an entry; a category leaves its items, an item takes its variants with it.
    pub(crate) fn delete(&mut self, kind: Kind, id: &str) -> Result<(), EntryError> {
        let entry = self
            .entries_mut(kind)
            .remove(id)
            .ok_or(EntryError::Unknown)?;
        match kind {
            Kind::Category => {
                for item in self.items.values_mut() {
                    item.belongs_to.remove(id);
                }
            }
            Kind::Item => {
                for variant in self.variants_of.remove(id).unwrap_or_default() {
                    self.variants.remove(&variant);
                }
            }
            Kind::Variant => {
                for item in &entry.belongs_to {
                    if let Some(variants) = self.variants_of.get_mut(item) {
                        variants.remove(id);
                    }
                }
            }
        }
        Ok(())
    }

    fn relate(&mut self, kind: Kind, id: &str, related: &[String]) {
        match kind {
            // The relationship is kept at the item.
            Kind::Category => {
                for (item_id, item) in &mut self.items {
                    if related.contains(item_id) {
                        item.belongs_to.insert(id.to_owned());
                    } else {
                        item.belongs_to.remove(id);
                    }
                }
            }
            Kind::Item | Kind::Variant => {
                if let Some(entry) = self.entries_mut(kind).get_mut(id) {
                    entry.belongs_to = related.iter().cloned().collect();
                }
            }
        }
        if kind == Kind::Variant {
            for item in related {
                self.variants_of
                    .entry(item.clone())
                    .or_default()
                    .insert(id.to_owned());
            }
        }
    }
}
