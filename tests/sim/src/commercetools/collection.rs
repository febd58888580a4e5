//! The records of one kind: the seeded ones, of which only the ids are kept, under those that tests have put,
//! changed or deleted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::attributes::AttributeFilter;
use super::predicate::{Fields, IdBounds};
use crate::seed::{Kind, Seed};

/// All records of one kind.
#[derive(Debug)]
pub(super) struct Collection {
    seed: Seed,
    kind: Kind,
    /// Id and index of every seeded record, by id.
    seeded: Vec<(Uuid, u32)>,
    /// What differs from the seed; none is a deleted record.
    overlay: BTreeMap<Uuid, Option<Added>>,
}

/// A record that a test has put.
#[derive(Debug)]
struct Added {
    body: String,
    created_at: Timestamp,
    last_modified_at: Timestamp,
    published: Option<bool>,
}

/// How a record is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum View {
    /// As it is.
    Whole,
    /// A product's projection: what is published, of published ones only.
    Current,
    /// A product's projection: what is staged.
    Staged,
}

/// One record, not yet made.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) id: Uuid,
    view: View,
    collection: &'a Collection,
    source: Source<'a>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Seeded(u32),
    Added(&'a Added),
}

impl Collection {
    pub(super) fn new(seed: Seed, kind: Kind) -> Self {
        let mut seeded: Vec<_> = (0..seed.sizes.of(kind))
            .map(|index| (seed.id(kind, index), index))
            .collect();
        seeded.sort_unstable();
        Self {
            seed,
            kind,
            seeded,
            overlay: BTreeMap::new(),
        }
    }

    /// Adds or replaces a record, which must have `id`, `createdAt` and `lastModifiedAt`.
    pub(super) fn put(&mut self, record: &Value) -> Uuid {
        let text = |name: &str| {
            let value = record.get(name).and_then(Value::as_str);
            value.unwrap_or_else(|| panic!("a {:?} without {name}: {record}", self.kind))
        };
        let moment = |name: &str| text(name).parse().expect("a moment");
        let id = text("id").parse().expect("an id is a UUID");
        let added = Added {
            body: record.to_string(),
            created_at: moment("createdAt"),
            last_modified_at: moment("lastModifiedAt"),
            published: record
                .pointer("/masterData/published")
                .and_then(Value::as_bool),
        };
        self.overlay.insert(id, Some(added));
        id
    }

    pub(super) fn delete(&mut self, id: Uuid) -> bool {
        let found = self.get(id, View::Whole).is_some();
        self.overlay.insert(id, None);
        found
    }

    pub(super) fn get(&self, id: Uuid, view: View) -> Option<Record<'_>> {
        let source = match self.overlay.get(&id) {
            Some(Some(added)) => Source::Added(added),
            Some(None) => return None,
            None => {
                let at = self.seeded.binary_search_by_key(&id, |(id, _)| *id).ok()?;
                Source::Seeded(self.seeded[at].1)
            }
        };
        self.seen(id, source, view)
    }

    fn seen<'a>(&'a self, id: Uuid, source: Source<'a>, view: View) -> Option<Record<'a>> {
        let record = Record {
            id,
            view,
            collection: self,
            source,
        };
        let is_seen = view != View::Current || record.is_published() == Some(true);
        is_seen.then_some(record)
    }

    /// The records within `bounds`, by id.
    pub(super) fn within<'a>(
        &'a self,
        bounds: IdBounds,
        view: View,
    ) -> Box<dyn Iterator<Item = Record<'a>> + 'a> {
        let from = bounds.from.unwrap_or_default();
        let is_within = move |id: &Uuid| {
            let mut buffer = Uuid::encode_buffer();
            let text: &str = id.hyphenated().encode_lower(&mut buffer);
            bounds.until.as_deref().is_none_or(|until| text <= until)
        };
        let is_below = |id: &Uuid| {
            let mut buffer = Uuid::encode_buffer();
            let text: &str = id.hyphenated().encode_lower(&mut buffer);
            text < from.as_str()
        };
        if let Some(ids) = bounds.among {
            return Box::new(ids.into_iter().filter_map(move |id| self.get(id, view)));
        }
        let start = self.seeded.partition_point(|(id, _)| is_below(id));
        let mut seeded = self.seeded[start..].iter().peekable();
        let mut added = self
            .overlay
            .iter()
            .skip_while(move |(id, _)| {
                let mut buffer = Uuid::encode_buffer();
                let text: &str = id.hyphenated().encode_lower(&mut buffer);
                text < from.as_str()
            })
            .peekable();
        let merged = std::iter::from_fn(move || {
            loop {
                let next_added = added.peek().map(|(id, _)| **id);
                match seeded.peek().map(|(id, _)| *id) {
                    Some(id) if next_added.is_none_or(|added| id < added) => {
                        let index = seeded.next()?.1;
                        return Some((id, Source::Seeded(index)));
                    }
                    same if same.is_some() && same == next_added => {
                        seeded.next();
                    }
                    _ => {
                        let (id, record) = added.next()?;
                        if let Some(record) = record {
                            return Some((*id, Source::Added(record)));
                        }
                    }
                }
            }
        });
        Box::new(
            merged
                .take_while(move |(id, _)| is_within(id))
                .filter_map(move |(id, source)| self.seen(id, source, view)),
        )
    }
}

impl Record<'_> {
    pub(super) fn created_at(&self) -> Timestamp {
        match self.source {
            Source::Seeded(index) => self.collection.seed.created_at(self.collection.kind, index),
            Source::Added(added) => added.created_at,
        }
    }

    pub(super) fn last_modified_at(&self) -> Timestamp {
        match self.source {
            Source::Seeded(index) => {
                let collection = self.collection;
                collection.seed.last_modified_at(collection.kind, index)
            }
            Source::Added(added) => added.last_modified_at,
        }
    }

    /// Whether a product is published; nothing of a record that does not say it.
    pub(super) fn is_published(&self) -> Option<bool> {
        match self.source {
            Source::Seeded(index) => (self.collection.kind == Kind::Product)
                .then(|| self.collection.seed.is_published(index)),
            Source::Added(added) => added.published,
        }
    }

    /// A member by which queries walk: it is known without making the record.
    pub(super) fn known(&self, name: &str) -> Option<Value> {
        match name {
            "id" => Some(self.id.to_string().into()),
            "createdAt" => Some(crate::seed::timestamp(self.created_at()).into()),
            "lastModifiedAt" => Some(crate::seed::timestamp(self.last_modified_at()).into()),
            _ => None,
        }
    }

    /// A place in an order that has nothing to do with ids: what a query without `sort` gives.
    pub(super) fn place(&self) -> u64 {
        match self.source {
            Source::Seeded(index) => u64::from(index),
            Source::Added(_) => u64::from(u32::MAX) + 1,
        }
    }

    /// The record as JSON text.
    pub(super) fn body(&self) -> Cow<'_, str> {
        self.body_with(&AttributeFilter::default())
    }

    /// The same; a projection with these attributes.
    pub(super) fn body_with(&self, attributes: &AttributeFilter) -> Cow<'_, str> {
        let seed = &self.collection.seed;
        match (self.source, self.view) {
            (Source::Seeded(index), View::Whole) => seed.record(self.collection.kind, index).into(),
            (Source::Seeded(index), view) => {
                let keeps = |name: &str| attributes.keeps(name);
                seed.product_projection(index, view == View::Staged, &keeps)
                    .into()
            }
            (Source::Added(added), View::Whole) => added.body.as_str().into(),
            (Source::Added(added), view) => projection(&added.body, view, attributes).into(),
        }
    }

    pub(super) fn value(&self) -> Value {
        serde_json::from_str(&self.body()).expect("records are JSON")
    }
}

impl Fields for Record<'_> {
    fn field(&self, name: &str) -> Option<Value> {
        self.known(name).or_else(|| match name {
            "lowercaseEmail" => {
                let customer = self.value();
                let email = customer["email"].as_str()?;
                Some(email.trim().to_lowercase().into())
            }
            // No predicate asks for attributes.
            _ => {
                let body = self.body_with(&AttributeFilter::none());
                let mut record: Value = serde_json::from_str(&body).expect("records are JSON");
                record.get_mut(name).map(Value::take)
            }
        })
    }
}

/// The projection of a product that a test has put.
fn projection(product: &str, view: View, attributes: &AttributeFilter) -> String {
    let mut product: Map<String, Value> = serde_json::from_str(product).expect("records are JSON");
    let mut data = product.remove("masterData").unwrap_or_default();
    for name in ["published", "hasStagedChanges"] {
        product.insert(name.to_owned(), data[name].take());
    }
    let side = if view == View::Staged {
        "staged"
    } else {
        "current"
    };
    if let Value::Object(side) = data[side].take() {
        product.extend(side);
    }
    let mut projection = Value::Object(product);
    attributes.apply(&mut projection);
    projection.to_string()
}
