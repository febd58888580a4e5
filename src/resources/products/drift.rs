//! Compares Klaviyo's catalog with the shop, and sends nothing.
//!
//! ```text
//! drift  each published product is mapped as for an update, and compared with what Klaviyo has, field by field
//! prune  what Klaviyo has beside that is counted: see `withdrawal`
//! ```
//!
//! Compared are the fields that an import sends and that a read returns. What is empty is the same as what is absent. Which
//! categories an item is in is not compared: a read of items does not return it.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use super::phase::Phase;
use crate::error::Error;
use crate::klaviyo;
use crate::klaviyo::bulk::BulkEndpoint;
use crate::klaviyo::catalog::attributes;
use crate::klaviyo::catalog::listing::{CatalogCollection, Extent, variants_of_items};
use crate::mapping::Skip;
use crate::mapping::product::{Listing, Product, Write, compound_id};
use crate::ports::LocalFuture;
use crate::resources::shop_catalog::Nodes;
use crate::run::documents::{Documents, RecordOutcome};
use crate::run::import::{Import, NextPhase};
use crate::run::page::{Page, PageQuery};
use crate::run::state::{Drift, PhaseName, RunDocument, RunOptions};
use crate::time::Deadline;

/// The fields of an item that are compared.
const ITEM_FIELDS: &str = "title,description,url,image_full_url,price,published,custom_metadata";
/// Those of a variant.
const VARIANT_FIELDS: &str = "title,description,url,image_full_url,inventory_quantity,inventory_policy,price,\
                              published,custom_metadata";
/// The field of which nothing and 0 are the same: a variant whose stock is not tracked is created with 0.
const QUANTITY: &str = "inventory_quantity";

/// The phase.
pub(super) struct Comparison(pub(super) Phase);

/// What Klaviyo has of an entry: a digest of each field that has a value.
type Digests = HashMap<String, u64>;

/// A digest of a value; `None` for one that is the same as none.
fn digest(value: &Value) -> Option<u64> {
    let is_nothing = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let mut hasher = DefaultHasher::new();
    hash(value, &mut hasher);
    (!is_nothing).then(|| hasher.finish())
}

/// Numbers are hashed by what they are worth, and members of objects in the order of their names.
fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(value) => (1_u8, value).hash(hasher),
        Value::Number(number) => {
            let worth = number.as_f64().unwrap_or_default();
            (2_u8, (worth + 0.0).to_bits()).hash(hasher);
        }
        Value::String(text) => (3_u8, text).hash(hasher),
        Value::Array(list) => {
            (4_u8, list.len()).hash(hasher);
            list.iter().for_each(|value| hash(value, hasher));
        }
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            (5_u8, members.len()).hash(hasher);
            for (name, value) in members {
                name.hash(hasher);
                hash(value, hasher);
            }
        }
    }
}

fn digests(attributes: &Map<String, Value>) -> Digests {
    let digests = attributes.iter();
    digests
        .filter_map(|(name, value)| Some((name.clone(), digest(value)?)))
        .collect()
}

/// The fields in which Klaviyo has another value than an update would send.
fn differing<'f>(update: &Value, found: &Digests, fields: &'f str) -> Vec<&'f str> {
    let differs = |field: &&str| {
        // what an update leaves out stays as it is
        let Some(wanted) = update["attributes"].get(*field) else {
            return false;
        };
        let (wanted, found) = (digest(wanted), found.get(*field).copied());
        let is_zero = *field == QUANTITY && wanted.is_none() && found == digest(&0.into());
        wanted != found && !is_zero
    };
    fields.split(',').filter(differs).collect()
}

/// What Klaviyo has of the products of a page.
struct InKlaviyo {
    /// The variants of the items that it has, both by compound id.
    variants_of: HashMap<String, HashSet<String>>,
    items: HashMap<String, Digests>,
    variants: HashMap<String, Digests>,
}

impl InKlaviyo {
    async fn read(
        client: &klaviyo::Client,
        skus: &HashMap<String, Vec<String>>,
        extent: Extent,
        deadline: Deadline,
    ) -> Result<Self, Error> {
        let variants_of = variants_of_items(client, skus, extent, deadline).await?;
        let items: Vec<String> = variants_of.keys().cloned().collect();
        let variants: Vec<String> = variants_of.values().flatten().cloned().collect();
        let read = async |collection, fields, ids: &[String]| {
            let mut found = HashMap::new();
            let taken = attributes::read(client, collection, fields, ids, deadline, |entry| {
                found.insert(entry.id, digests(&entry.attributes));
            });
            taken.await?;
            Ok::<_, Error>(found)
        };
        Ok(Self {
            items: read(CatalogCollection::Items, ITEM_FIELDS, &items).await?,
            variants: read(CatalogCollection::Variants, VARIANT_FIELDS, &variants).await?,
            variants_of,
        })
    }
}

/// The document that was appended to `bytes`, which are empty then.
fn taken(bytes: &mut Vec<u8>) -> Value {
    let document = serde_json::from_slice(bytes).unwrap_or_default();
    bytes.clear();
    document
}

/// Compares a product with what Klaviyo has of it: its item, if this is its first portion, and its variants.
fn compare(
    phase: &Phase,
    product: &Product<'_>,
    found: &InKlaviyo,
    is_first: bool,
    documents: &mut Documents,
) -> Result<Drift, Skip> {
    let options = &phase.context.options;
    let listing = Listing::of(product, phase.now, options)?;
    let mut drift = Drift::default();
    let item = compound_id(product.id());
    listing.item(&Nodes::default(), Write::Update, &mut documents.bytes)?;
    let update = taken(&mut documents.bytes);
    match found.items.get(&item) {
        _ if !is_first => {}
        None => drift.items.note_lacking(product.id()),
        Some(found) => {
            let fields = differing(&update, found, ITEM_FIELDS);
            drift.items.note_compared(product.id(), &fields);
        }
    }
    let of_item = found.variants_of.get(&item);
    for variant in product.variants() {
        let Some(sku) = variant.sku() else { continue };
        let id = compound_id(sku);
        let is_there = of_item.is_some_and(|variants| variants.contains(&id));
        let (write, found) = match found.variants.get(&id).filter(|_| is_there) {
            Some(found) => (Write::Update, Some(found)),
            None => (Write::Create, None),
        };
        // one that cannot be sent is not lacking
        if listing
            .variant(variant, write, &mut documents.bytes)
            .is_err()
        {
            documents.bytes.clear();
            continue;
        }
        let document = taken(&mut documents.bytes);
        match found {
            None => drift.variants.note_lacking(sku),
            Some(found) => {
                let fields = differing(&document, found, VARIANT_FIELDS);
                drift.variants.note_compared(sku, &fields);
            }
        }
    }
    let known = of_item.into_iter().flatten().map(String::as_str);
    drift.variants.surplus = product.obsolete(known).len() as u64;
    Ok(drift)
}

impl Import for Comparison {
    /// It sends nothing.
    fn bulk_endpoints(&self) -> &'static [&'static BulkEndpoint] {
        &[]
    }

    fn batches_a_group(&self) -> usize {
        1
    }

    fn phase(&self) -> Option<PhaseName> {
        Some(PhaseName::Drift)
    }

    /// What follows is quick.
    fn phase_position(&self) -> Option<(u64, u64)> {
        Some((0, 1))
    }

    fn next_phase(&self, run: &RunDocument) -> NextPhase {
        self.0.after_variants(run)
    }

    fn total(
        &self,
        options: &RunOptions,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<u64, Error>> {
        self.0.total(options, deadline)
    }

    fn fetch(
        &self,
        query: PageQuery,
        deadline: Deadline,
    ) -> LocalFuture<'static, Result<Page, Error>> {
        let phase = self.0.clone();
        Box::pin(async move {
            let page = phase.read(&query, deadline).await?;
            let client = phase.context.klaviyo.clone();
            let found = InKlaviyo::read(&client, &page.skus(), page.extent(), deadline).await?;
            let (rest, is_first) = (page.rest(), query.range.is_first_reading());
            Ok(page.into_page(move |product, documents| {
                match compare(&phase, product, &found, is_first, documents) {
                    Ok(drift) => documents.drift = Some(Box::new(drift)),
                    Err(skip) if is_first => documents.record = RecordOutcome::Skipped(skip),
                    Err(_) => {}
                }
                if !is_first {
                    documents.record = RecordOutcome::Uncounted;
                }
                documents.rest = rest.clone().map(Box::new);
                documents.bytes.clear();
                Ok(product.id().to_owned())
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields_that_differ(update: Value, found: &Value) -> Vec<&'static str> {
        let found = digests(found.as_object().expect("attributes"));
        differing(&json!({ "attributes": update }), &found, VARIANT_FIELDS)
    }

    #[test]
    fn what_is_empty_is_as_what_is_absent_and_numbers_are_what_they_are_worth() {
        let update = json!({
            "title": "A", "description": "", "image_full_url": null, "price": 9303, "inventory_quantity": null,
            "custom_metadata": {"a": "1", "b": "2"},
        });
        let found = json!({
            "title": "A", "images": [], "image_full_url": "", "price": 9303.0, "inventory_quantity": 0,
            "custom_metadata": {"b": "2", "a": "1"}, "published": true,
        });
        assert_eq!(
            fields_that_differ(update.clone(), &found),
            Vec::<&str>::new()
        );
        let found = json!({
            "title": "B", "description": "x", "price": 1, "inventory_quantity": 3, "custom_metadata": {"a": "1"},
        });
        assert_eq!(
            fields_that_differ(update, &found),
            [
                "title",
                "description",
                "inventory_quantity",
                "price",
                "custom_metadata"
            ]
        );
        // tracked stock of 0 is a value
        let none = json!({});
        assert_eq!(
            fields_that_differ(json!({"inventory_quantity": 0}), &none),
            ["inventory_quantity"]
        );
    }
}
