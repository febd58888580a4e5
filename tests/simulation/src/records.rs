//! Records that do not stay as they are, and records that Klaviyo refuses: what must be in Klaviyo does not depend on
//! them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use fastrand::Rng;
use jiff::Timestamp;
use klaviyo_bulk_import::run::state::Resource;
use serde_json::Value;
use sim::commercetools::Commercetools;
use sim::seed::{Beside, Kind, Shop};
use uuid::{Builder, Uuid};

use crate::schedule::{Goal, kind};
use crate::world::World;

/// Whether Klaviyo refuses what has this id: one of so many.
pub(crate) fn is_refused(id: &str, one_of: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish().is_multiple_of(one_of)
}

/// The names by which Klaviyo knows what becomes of a record: its id, those of its line items, its skus.
fn names(kind: Kind, record: &Value, names: &mut BTreeSet<String>) {
    let mut add = |value: &Value| {
        names.extend(value.as_str().map(str::to_owned));
    };
    add(&record["id"]);
    match kind {
        Kind::Order => {
            for item in record["lineItems"].as_array().into_iter().flatten() {
                add(&item["id"]);
            }
        }
        Kind::Product => {
            let data = &record["masterData"];
            for data in [&data["current"], &data["staged"]] {
                add(&data["masterVariant"]["sku"]);
                for variant in data["variants"].as_array().into_iter().flatten() {
                    add(&variant["sku"]);
                }
            }
        }
        Kind::Customer | Kind::Category => {}
    }
}

/// [`names`], with those of the variants that are kept beside the product.
pub(crate) fn all_names(
    project: &Commercetools,
    kind: Kind,
    record: &Value,
    all: &mut BTreeSet<String>,
) {
    names(kind, record, all);
    if let (Kind::Product, Some(id)) = (kind, record["id"].as_str()) {
        let variants = project.beside_of(Beside::VariantProjection, id);
        let skus = variants
            .iter()
            .filter_map(|variant| variant["sku"].as_str());
        all.extend(skus.map(str::to_owned));
    }
}

/// Changes or deletes something that is kept beside products; what it is may be in Klaviyo as it was.
fn change_beside(project: &mut Commercetools, now: Timestamp, rng: &mut Rng) -> BTreeSet<String> {
    let mut unsettled = BTreeSet::new();
    let beside = [
        Beside::VariantProjection,
        Beside::StandalonePrice,
        Beside::InventoryEntry,
    ];
    let beside = beside[rng.usize(..beside.len())];
    let ids = project.beside_ids(beside);
    if ids.is_empty() {
        return unsettled;
    }
    let id = ids[rng.usize(..ids.len())];
    let record = project.beside(beside, id).expect("it is there");
    let sku = record["sku"].as_str().unwrap_or_default().to_owned();
    // the item has the price and the image of its default variant
    let products = project.beside_of(Beside::VariantProjection, &sku);
    let products = products
        .iter()
        .filter_map(|variant| variant["product"]["id"].as_str());
    unsettled.extend(products.map(str::to_owned));
    project.for_each(Kind::Product, |product| {
        if product.contains(&format!("\"{sku}\"")) {
            let product: Value = serde_json::from_str(product).expect("a record is JSON");
            names(Kind::Product, &product, &mut unsettled);
        }
    });
    unsettled.insert(sku);
    if rng.bool() {
        project.delete_beside(beside, id);
    } else {
        project.change_beside(beside, id, now, |record| match beside {
            Beside::StandalonePrice => record["value"]["centAmount"] = 4_711.into(),
            Beside::InventoryEntry => record["availableQuantity"] = 4_711.into(),
            Beside::VariantProjection | Beside::Payment => {
                record["images"] = Value::Array(Vec::new());
            }
        });
    }
    unsettled
}

/// Records that may be in Klaviyo as they were, as they are, or not at all.
#[derive(Default)]
pub(crate) struct Unsettled(RefCell<BTreeSet<String>>);

impl Unsettled {
    /// Adds names.
    pub(crate) fn add(&self, names: impl Iterator<Item = String>) {
        self.0.borrow_mut().extend(names);
    }

    /// All of them so far.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.0.borrow().clone()
    }
}

impl World {
    /// Somebody changes, adds or deletes a record.
    pub(crate) fn change_a_record(&self, unsettled: &Unsettled) {
        let Goal::Import(resource) = self.schedule.goal else {
            return;
        };
        let kind = kind(resource);
        let ids = self.project.borrow().ids(kind);
        if ids.is_empty() {
            return;
        }
        let mut rng = self.rng.borrow_mut();
        let id = ids[rng.usize(..ids.len())];
        let what = rng.u8(..3);
        let fresh = Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid();
        drop(rng);
        let mut unsettled = unsettled.0.borrow_mut();
        let mut project = self.project.borrow_mut();
        let record = project.record(kind, id).expect("it is there");
        all_names(&project, kind, &record, &mut unsettled);
        if resource == Resource::Products && self.schedule.shop.shop != Shop::Usual {
            // drawn apart, so that other shops go on as they did
            let mut rng = Rng::with_seed(fresh.as_u64_pair().0);
            unsettled.extend(change_beside(&mut project, self.now(), &mut rng));
        }
        // the categories below one that goes would have other names
        match (what, resource) {
            (0, Resource::Customers | Resource::Orders | Resource::Products) => {
                project.delete(kind, id);
            }
            (1, _) => {
                let added = copy(resource, record, fresh);
                names(kind, &added, &mut unsettled);
                project.put(kind, &added);
            }
            _ => {
                project.change(kind, id, self.now(), |record| change(resource, record));
            }
        }
        drop(project);
        self.note(format!("a record of {resource} changes: {id}"));
    }

    /// The names of the record that Klaviyo does not bear.
    pub(crate) fn poisoned(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let kind = kind(self.schedule.goal.resources()[0]);
        let project = self.project.borrow();
        let poison = self.poison();
        let record = poison.and_then(|id| project.record(kind, id.parse().ok()?));
        if let Some(record) = record {
            all_names(&project, kind, &record, &mut all);
        }
        all
    }

    /// The names of everything that Klaviyo need not have as it is in commercetools now.
    pub(crate) fn not_asked_for(&self, unsettled: Unsettled) -> BTreeSet<String> {
        let mut except = unsettled.0.into_inner();
        except.extend(self.poisoned());
        // what was refused and has been asked for again is there
        let refused = self
            .schedule
            .refused
            .filter(|_| !self.schedule.asks_again());
        let (Some(one_of), Goal::Import(resource)) = (refused, self.schedule.goal) else {
            return except;
        };
        let kind = kind(resource);
        let project = self.project.borrow();
        project.for_each(kind, |record| {
            let record: Value = serde_json::from_str(record).expect("a record is JSON");
            let mut all = BTreeSet::new();
            all_names(&project, kind, &record, &mut all);
            let id = record["id"].as_str().unwrap_or_default();
            // an order is one record, whatever of it is refused; a product's variants go with its item
            let is_whole = resource == Resource::Orders || is_refused(id, one_of);
            if is_whole && all.iter().any(|name| is_refused(name, one_of)) {
                except.extend(all);
            } else {
                except.extend(all.into_iter().filter(|name| is_refused(name, one_of)));
            }
        });
        except
    }
}

/// A record like this one under another id.
pub(crate) fn copy(resource: Resource, mut record: Value, id: Uuid) -> Value {
    record["id"] = id.to_string().into();
    match resource {
        Resource::Customers => record["email"] = format!("{id}@shop.example").into(),
        Resource::Orders => record["lineItems"] = Value::Array(Vec::new()),
        Resource::Products => record["masterData"]["published"] = false.into(),
        Resource::Categories => {}
    }
    record
}

fn change(resource: Resource, record: &mut Value) {
    match resource {
        Resource::Customers => record["lastName"] = "Changed".into(),
        Resource::Orders => record["orderState"] = "Cancelled".into(),
        Resource::Products => record["masterData"]["published"] = false.into(),
        Resource::Categories => record["orderHint"] = "0.5".into(),
    }
}
