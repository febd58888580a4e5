//! The resources beside products and orders: listed by what they belong to, and put back together for the comparison.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::collection::View;
use super::problem::{Problem, answer};
use super::resource::Resource;
use super::{Commercetools, page_head};
use crate::seed::{Beside, Kind};

/// Records by id, and their ids by what they belong to.
#[derive(Debug, Default)]
pub(super) struct BesideRecords {
    records: BTreeMap<(Beside, Uuid), String>,
    by_owner: HashMap<(Beside, String), BTreeSet<Uuid>>,
}

/// What a record belongs to: its sku, and for a variant its product.
fn owners(beside: Beside, record: &Value) -> Vec<String> {
    let product = (beside == Beside::VariantProjection).then(|| record["product"]["id"].as_str());
    let sku = record["sku"].as_str();
    sku.into_iter()
        .chain(product.flatten())
        .map(str::to_owned)
        .collect()
}

impl BesideRecords {
    pub(super) fn put(&mut self, beside: Beside, record: &Value) -> Uuid {
        let id = record["id"].as_str().and_then(|id| id.parse().ok());
        let id: Uuid = id.expect("an id is a UUID");
        self.delete(beside, id);
        for owner in owners(beside, record) {
            self.by_owner.entry((beside, owner)).or_default().insert(id);
        }
        self.records.insert((beside, id), record.to_string());
        id
    }

    pub(super) fn delete(&mut self, beside: Beside, id: Uuid) -> bool {
        let Some(old) = self.get(beside, id) else {
            return false;
        };
        for owner in owners(beside, &old) {
            if let Some(ids) = self.by_owner.get_mut(&(beside, owner)) {
                ids.remove(&id);
            }
        }
        self.records.remove(&(beside, id)).is_some()
    }

    pub(super) fn get(&self, beside: Beside, id: Uuid) -> Option<Value> {
        let text = self.records.get(&(beside, id))?;
        Some(serde_json::from_str(text).expect("records are JSON"))
    }

    pub(super) fn of(&self, beside: Beside, owner: &str) -> Vec<Value> {
        let ids = self.by_owner.get(&(beside, owner.to_owned()));
        let ids = ids.into_iter().flatten();
        ids.filter_map(|&id| self.get(beside, id)).collect()
    }

    pub(super) fn ids(&self, beside: Beside) -> Vec<Uuid> {
        let all = self.records.keys();
        all.filter(|(kind, _)| *kind == beside)
            .map(|(_, id)| *id)
            .collect()
    }

    fn among(&self, beside: Beside, owners: &BTreeSet<String>) -> BTreeSet<Uuid> {
        let owners = owners.iter();
        let ids = owners.filter_map(|owner| self.by_owner.get(&(beside, owner.clone())));
        ids.flatten().copied().collect()
    }
}

impl Commercetools {
    /// Adds or replaces a record beside products and orders.
    ///
    /// # Panics
    /// When the record lacks its `id`.
    pub fn put_beside(&mut self, beside: Beside, record: &Value) -> Uuid {
        self.beside.put(beside, record)
    }

    /// Changes a record beside products and orders as an update at `now` does, and tells whether it exists.
    pub fn change_beside(
        &mut self,
        beside: Beside,
        id: Uuid,
        now: Timestamp,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let Some(mut record) = self.beside.get(beside, id) else {
            return false;
        };
        record["version"] = (record["version"].as_u64().unwrap_or_default() + 1).into();
        if beside != Beside::VariantProjection {
            record["lastModifiedAt"] = crate::seed::timestamp(now).into();
        }
        change(&mut record);
        self.beside.put(beside, &record);
        true
    }

    /// Deletes a record beside products and orders, and tells whether it existed.
    pub fn delete_beside(&mut self, beside: Beside, id: Uuid) -> bool {
        self.beside.delete(beside, id)
    }

    /// The ids of all records of this kind, in order.
    pub fn beside_ids(&self, beside: Beside) -> Vec<Uuid> {
        self.beside.ids(beside)
    }

    /// A record beside products and orders.
    pub fn beside(&self, beside: Beside, id: Uuid) -> Option<Value> {
        self.beside.get(beside, id)
    }

    /// The payment with this id: one that was put, or else the one that orders of the seed refer to.
    pub fn payment(&self, id: &str) -> Option<Value> {
        let id: Uuid = id.parse().ok()?;
        let put = self.beside.get(Beside::Payment, id);
        put.or_else(|| serde_json::from_str(&crate::seed::payment(id)).ok())
    }

    /// The records that belong to this sku or product.
    pub fn beside_of(&self, beside: Beside, owner: &str) -> Vec<Value> {
        self.beside.of(beside, owner)
    }

    pub(super) fn list_beside(
        &self,
        now: Timestamp,
        request: &Request<Bytes>,
        (resource, beside): (Resource, Beside),
        query: &str,
    ) -> Result<Response<Bytes>, Problem> {
        let (query, _) = self.allowed(now, request, resource, query)?;
        let candidates = match query.predicate.owners() {
            Some(owners) => self.beside.among(beside, &owners).into_iter().collect(),
            None => self.beside.ids(beside),
        };
        let candidates = match (beside, query.predicate.id_bounds().among) {
            (Beside::Payment, Some(ids)) => ids.into_iter().collect(),
            _ => candidates,
        };
        let mut matching: Vec<Value> = candidates
            .into_iter()
            .filter_map(|id| match beside {
                Beside::Payment => self.payment(&id.to_string()),
                _ => self.beside.get(beside, id),
            })
            .filter(|record| self.is_listed(beside, record) && query.predicate.holds(record))
            .collect();
        if !query.is_by_id() {
            // without `sort` the order means nothing; it is certainly not that of the ids
            matching.reverse();
        }
        let total = query.with_total.then_some(matching.len());
        let page: Vec<String> = matching
            .into_iter()
            .skip(query.offset)
            .take(query.limit)
            .map(|mut record| {
                if beside == Beside::VariantProjection {
                    query.attributes.apply(&mut record);
                }
                record.to_string()
            })
            .collect();
        let head = page_head(&query, page.len(), total);
        Ok(answer(
            StatusCode::OK,
            format!("{head}{}]}}", page.join(",")),
        ))
    }

    /// Published variants of published products are listed only.
    fn is_listed(&self, beside: Beside, record: &Value) -> bool {
        let product = record["product"]["id"]
            .as_str()
            .and_then(|id| id.parse().ok());
        beside != Beside::VariantProjection
            || product.is_some_and(|id| {
                let products = &self.collections[Kind::Product as usize];
                products.get(id, View::Current).is_some()
            })
    }

    /// A published projection with all that is beside it: as if its variants, prices and stock were embedded.
    pub(super) fn whole_projection(&self, projection: &str) -> String {
        let mut product: Value = serde_json::from_str(projection).expect("a product is JSON");
        let id = product["id"].as_str().unwrap_or_default().to_owned();
        if product.get("masterVariant").is_none_or(Value::is_null) {
            let mut variants = self.beside.of(Beside::VariantProjection, &id);
            variants.retain(|variant| variant["product"]["id"] == id.as_str());
            variants
                .sort_by_key(|variant| (variant["default"] != true, variant["variantId"].as_u64()));
            for variant in &mut variants {
                variant["id"] = variant["variantId"].clone();
                self.add_stock(variant);
            }
            product["priceMode"] = "Standalone".into();
            if !variants.is_empty() {
                product["masterVariant"] = variants.remove(0);
            }
            product["variants"] = variants.into();
        }
        if product["priceMode"] == "Standalone" {
            let members = product.as_object_mut().expect("a product is an object");
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("masterVariant", master @ Value::Object(_)) => self.add_prices(master),
                    ("variants", Value::Array(others)) => {
                        others.iter_mut().for_each(|other| self.add_prices(other));
                    }
                    _ => {}
                }
            }
        }
        product.to_string()
    }

    fn add_prices(&self, variant: &mut Value) {
        let sku = variant["sku"].as_str().unwrap_or_default();
        let mut prices = self.beside.of(Beside::StandalonePrice, sku);
        prices.retain(|price| price["active"] == true);
        variant["prices"] = prices.into();
    }

    fn add_stock(&self, variant: &mut Value) {
        let sku = variant["sku"].as_str().unwrap_or_default();
        let entries = self.beside.of(Beside::InventoryEntry, sku);
        if entries.is_empty() {
            return;
        }
        let mut availability = json!({});
        for entry in entries {
            let quantity = &entry["availableQuantity"];
            match entry["supplyChannel"]["id"].as_str() {
                Some(channel) => {
                    availability["channels"][channel] = json!({"availableQuantity": quantity});
                }
                None => availability["availableQuantity"] = quantity.clone(),
            }
        }
        variant["availability"] = availability;
    }
}
