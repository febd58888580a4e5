//! Whether Klaviyo's ledger holds what the project asks for: all of it, once, and nothing else.

mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::commercetools::Commercetools;
use crate::klaviyo;
use crate::ledger::Ledger;
use crate::seed::Kind;
use crate::seed::expected::{self, Rules};
use properties::{Categories, Properties};

/// What was found where it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Profiles of customers.
    pub profiles: u64,
    /// Events of orders.
    pub events: u64,
    /// Orders that give no event, having neither customer nor email address.
    pub orders_without_events: u64,
    /// Catalog categories.
    pub categories: u64,
    /// Catalog items.
    pub items: u64,
    /// Catalog variants.
    pub variants: u64,
}

/// Where the ledger is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// How many there are.
    pub count: u64,
    /// The first of them, in words.
    pub first: Vec<String>,
}

/// So many differences are told in words.
const TOLD: usize = 20;

impl Differences {
    fn add(&mut self, difference: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(difference());
        }
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} differences", self.count)?;
        for difference in &self.first {
            write!(f, "\n  {difference}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Differences {}

/// Compares what `kinds` of the project's records ask for, as they are now, with `ledger`. Prices are those
/// valid at `now`.
///
/// # Errors
/// What is missing, different or too much.
pub fn compare(
    project: &Commercetools,
    ledger: &Ledger,
    rules: &Rules,
    now: Timestamp,
    kinds: &[Kind],
) -> Result<Summary, Differences> {
    compare_except(project, ledger, rules, now, kinds, &|_| false)
}

/// As [`compare`], but whatever has a name that `is_left_out` picks may be there, be otherwise, or not be there. Names
/// are those that Klaviyo knows: the id of a customer, category or product, a sku, the `unique_id` of an event.
///
/// # Errors
/// What is missing, different or too much.
pub fn compare_except(
    project: &Commercetools,
    ledger: &Ledger,
    rules: &Rules,
    now: Timestamp,
    kinds: &[Kind],
    is_left_out: &dyn Fn(&str) -> bool,
) -> Result<Summary, Differences> {
    let mut comparison = Comparison {
        project,
        ledger,
        rules,
        now,
        is_left_out,
        summary: Summary::default(),
        differences: Differences::default(),
    };
    for kind in kinds {
        match kind {
            Kind::Customer => comparison.profiles(),
            Kind::Order => comparison.events(),
            Kind::Category => comparison.categories(),
            Kind::Product => comparison.items(),
        }
    }
    if comparison.differences.count == 0 {
        Ok(comparison.summary)
    } else {
        Err(comparison.differences)
    }
}

struct Comparison<'a> {
    project: &'a Commercetools,
    ledger: &'a Ledger,
    rules: &'a Rules,
    now: Timestamp,
    is_left_out: &'a dyn Fn(&str) -> bool,
    summary: Summary,
    differences: Differences,
}

impl Comparison<'_> {
    /// Other profiles are not too many: events bring those of guests and of deleted customers.
    fn profiles(&mut self) {
        let Self {
            ledger,
            is_left_out,
            summary,
            differences,
            ..
        } = self;
        // of those with the same email, the one with the first id; records come by id
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        self.project.for_each(Kind::Customer, |customer| {
            let expected = expected::profile(customer);
            let id = &expected.external_id;
            let email = expected.email.as_deref().unwrap_or(id).to_lowercase();
            let owner = owners.entry(email).or_insert_with(|| id.clone());
            if is_left_out(id) {
                return;
            }
            if owner != id {
                if ledger.profiles().by_external_id(id).is_some() {
                    let whose = owner.clone();
                    differences.add(|| format!("customer {id}: has the profile of {whose}"));
                }
                return;
            }
            let Some(found) = ledger.profiles().by_external_id(id) else {
                return differences.add(|| format!("customer {id}: no profile"));
            };
            summary.profiles += 1;
            if found.text("email") != expected.email.as_deref() {
                differences.add(|| format!("customer {id}: another email address"));
            }
            let phone = found.text("phone_number");
            if phone != expected.phone_number.as_deref() {
                let asked = &expected.phone_number;
                differences.add(|| format!("customer {id}: phone {phone:?}, not {asked:?}"));
            }
        });
    }

    fn events(&mut self) {
        let Self {
            ledger,
            rules,
            is_left_out,
            summary,
            differences,
            ..
        } = self;
        let project = self.project;
        let categories = Categories::of(project, rules);
        project.for_each(Kind::Order, |order| {
            let events = expected::events(order, rules, &|id| project.payment(id));
            summary.orders_without_events += u64::from(events.is_empty());
            let properties = Properties::of(order, &categories, rules);
            for expected in events {
                let (metric, unique_id) = (expected.metric, &expected.unique_id);
                if is_left_out(unique_id) {
                    continue;
                }
                let profile = expected.external_id.as_deref().or(expected.email.as_deref());
                let profile = profile.unwrap_or_default();
                let Some(found) = ledger.events().get(metric, profile, unique_id) else {
                    differences.add(|| format!("{metric} {unique_id}: no event"));
                    continue;
                };
                summary.events += 1;
                let same = found.time == expected.time
                    && found.value.is_some_and(|value| is_same(value, expected.value))
                    && found.value_currency.as_deref() == Some(&expected.value_currency)
                    && found.identifiers.email.as_deref() == expected.email.as_deref()
                    && found.identifiers.external_id.as_deref() == expected.external_id.as_deref();
                if !same {
                    differences.add(|| {
                        let (time, value) = (found.time, found.value);
                        format!(
                            "{metric} {unique_id}: time {time} and value {value:?} {:?}, not {} and {} {} \
                             (or another profile)",
                            found.value_currency,
                            expected.time,
                            expected.value,
                            expected.value_currency
                        )
                    });
                }
                let asked = properties.lines.get(unique_id);
                if found.properties_digest != *asked.unwrap_or(&properties.whole) {
                    differences.add(|| format!("{metric} {unique_id}: other properties"));
                }
                if found.contradicted {
                    differences.add(|| format!("{metric} {unique_id}: sent again, with other content"));
                }
            }
        });
        let found = self.ledger.events().iter();
        let found = found
            .filter(|(key, _)| !(self.is_left_out)(&key.unique_id))
            .count() as u64;
        if found > self.summary.events {
            let more = found - self.summary.events;
            self.differences
                .add(|| format!("{more} events that no order gives"));
        }
    }

    fn categories(&mut self) {
        let expected = self.full_names();
        let found = self.ledger.catalog().entries(klaviyo::Kind::Category);
        let asked_for = expected.iter().filter(|(id, _)| !(self.is_left_out)(id));
        for (id, name) in asked_for {
            match found.get(id) {
                None => self.differences.add(|| format!("category {id}: missing")),
                Some(entry)
                    if entry.attributes.get("name") != Some(&Value::from(name.as_str())) =>
                {
                    let found = entry.attributes.get("name");
                    self.differences
                        .add(|| format!("category {id}: name {found:?}, not {name:?}"));
                }
                Some(_) => self.summary.categories += 1,
            }
        }
        self.unexpected("category", found.keys(), |id| expected.contains_key(id));
    }

    /// The full name of every category, by id; ancestors that are gone have no part in it.
    fn full_names(&self) -> BTreeMap<String, String> {
        let mut own = BTreeMap::new();
        self.project.for_each(Kind::Category, |category| {
            let category: Value = serde_json::from_str(category).expect("a category is JSON");
            let name = expected::localized(&category["name"], self.rules);
            let id = text(&category["id"]);
            let ancestors = expected::without_repeats(&id, ids(&category["ancestors"]));
            own.insert(id, (name, ancestors));
        });
        let full = |name: &String, ancestors: &[String]| {
            let above = ancestors
                .iter()
                .filter_map(|id| Some(own.get(id)?.0.as_str()));
            above.chain([name.as_str()]).collect::<Vec<_>>().join(" > ")
        };
        own.iter()
            .map(|(id, (name, ancestors))| (id.clone(), full(name, ancestors)))
            .collect()
    }

    fn items(&mut self) {
        let mut ancestors = BTreeMap::new();
        self.project.for_each(Kind::Category, |category| {
            let category: Value = serde_json::from_str(category).expect("a category is JSON");
            let has_name = !expected::localized(&category["name"], self.rules).is_empty();
            let above = (ids(&category["ancestors"]), has_name);
            ancestors.insert(text(&category["id"]), above);
        });
        let catalog = self.ledger.catalog();
        let (found_items, found_variants) = (
            catalog.entries(klaviyo::Kind::Item),
            catalog.entries(klaviyo::Kind::Variant),
        );
        let (mut items, mut variants) = (BTreeSet::new(), BTreeSet::new());
        let key = self.project.project_key();
        let Self {
            rules,
            now,
            is_left_out,
            summary,
            differences,
            ..
        } = self;
        self.project.for_each_published_product(|product| {
            let expected = expected::item(product, rules, *now);
            let id = &expected.external_id;
            for variant in &expected.variants {
                let sku = &variant.external_id;
                variants.insert(sku.clone());
                if is_left_out(sku) {
                    continue;
                }
                let Some(found) = found_variants.get(sku) else {
                    if variant.price.is_none() {
                        // Klaviyo creates no variant without a price
                        continue;
                    }
                    differences.add(|| format!("variant {sku}: missing"));
                    continue;
                };
                summary.variants += 1;
                if !has_price(&found.attributes, variant.price) {
                    let price = variant.price;
                    differences.add(|| format!("variant {sku}: price is not {price:?}"));
                }
                let stock = variant.inventory_quantity;
                if !has_stock(&found.attributes, stock) {
                    differences.add(|| format!("variant {sku}: stock is not {stock:?}"));
                }
                if found.belongs_to != BTreeSet::from([id.clone()]) {
                    differences.add(|| format!("variant {sku}: is not of item {id}"));
                }
            }
            items.insert(id.clone());
            if is_left_out(id) {
                return;
            }
            let Some(found) = found_items.get(id) else {
                return differences.add(|| format!("item {id}: missing"));
            };
            summary.items += 1;
            if found.attributes.get("title") != Some(&Value::from(expected.title.as_str())) {
                differences.add(|| format!("item {id}: title is not {:?}", expected.title));
            }
            let metadata = found.attributes.get("custom_metadata");
            if metadata.and_then(|metadata| metadata["commercetools_project"].as_str()) != Some(key)
            {
                differences.add(|| format!("item {id}: does not carry the project's key"));
            }
            if !has_price(&found.attributes, expected.price) {
                let price = expected.price;
                differences.add(|| format!("item {id}: price is not {price:?}"));
            }
            let mut categories: BTreeSet<String> = expected.categories.iter().cloned().collect();
            for category in &expected.categories {
                let above = ancestors.get(category).into_iter();
                categories.extend(above.flat_map(|(above, _)| above.iter().cloned()));
            }
            // those that the project holds, and that have a name
            categories.retain(|category| ancestors.get(category).is_some_and(|(_, named)| *named));
            if found.belongs_to != categories {
                differences.add(|| format!("item {id}: other categories"));
            }
        });
        self.unexpected("item", found_items.keys(), |id| items.contains(id));
        self.unexpected("variant", found_variants.keys(), |sku| {
            variants.contains(sku)
        });
    }

    fn unexpected<'a>(
        &mut self,
        what: &str,
        found: impl Iterator<Item = &'a String>,
        is_expected: impl Fn(&str) -> bool,
    ) {
        for id in found.filter(|id| !is_expected(id) && !(self.is_left_out)(id)) {
            self.differences
                .add(|| format!("{what} {id}: should not be there"));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The ids of a list of references.
fn ids(references: &Value) -> Vec<String> {
    let references = references.as_array().into_iter().flatten();
    references.map(|reference| text(&reference["id"])).collect()
}

fn has_number(attributes: &serde_json::Map<String, Value>, name: &str, expected: f64) -> bool {
    let found = attributes.get(name).and_then(Value::as_f64);
    found.is_some_and(|found| is_same(found, expected))
}

/// Whether an entry has this price. Where there is none, an earlier one may be left, which nobody has set to 0.
fn has_price(attributes: &serde_json::Map<String, Value>, expected: Option<f64>) -> bool {
    match expected {
        Some(price) => has_number(attributes, "price", price),
        None => !has_number(attributes, "price", 0.0),
    }
}

/// Whether a variant has this quantity and is hidden where it is 0; or, where its stock is not tracked, has none and is
/// always shown.
fn has_stock(attributes: &serde_json::Map<String, Value>, expected: Option<i64>) -> bool {
    let policy = attributes.get("inventory_policy").and_then(Value::as_u64);
    match expected {
        Some(stock) => {
            policy == Some(1) && has_number(attributes, "inventory_quantity", stock as f64)
        }
        None => {
            let found = attributes.get("inventory_quantity");
            policy == Some(2) && found.is_none_or(|found| found.is_null() || *found == 0)
        }
    }
}

/// Amounts have at most six digits after the point.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}
