//! What the events of an order must carry, as digests: worked out from the records' JSON, sharing nothing with the
//! component's code.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commercetools::Commercetools;
use crate::ledger::{object_digest, properties_digest};
use crate::seed::Kind;
use crate::seed::expected::{Rules, localized, without_repeats};

/// The digests of an order's properties.
pub(super) struct Properties {
    /// Of Placed, Fulfilled and Cancelled Order.
    pub(super) whole: u64,
    /// Of the Ordered Products, by the id of the line item.
    pub(super) lines: HashMap<String, u64>,
}

/// The category paths of every product, published or not, by its id.
pub(super) struct Categories(HashMap<String, Vec<String>>);

#[derive(Deserialize)]
struct Product {
    id: String,
    #[serde(rename = "masterData")]
    master_data: MasterData,
}

#[derive(Deserialize)]
struct MasterData {
    current: ProductData,
}

#[derive(Deserialize)]
struct ProductData {
    #[serde(default)]
    categories: Vec<Reference>,
}

#[derive(Deserialize)]
struct Category {
    id: String,
    name: Value,
    #[serde(default)]
    ancestors: Vec<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

impl Categories {
    pub(super) fn of(project: &Commercetools, rules: &Rules) -> Self {
        let mut categories = HashMap::new();
        project.for_each(Kind::Category, |category| {
            let Category {
                id,
                name,
                ancestors,
            } = read(category);
            let ancestors = ancestors.into_iter().map(|ancestor| ancestor.id).collect();
            let ancestors = without_repeats(&id, ancestors);
            categories.insert(id, (localized(&name, rules), ancestors));
        });
        let names = |id: &String| -> Vec<&str> {
            let Some((name, ancestors)) = categories.get(id) else {
                return Vec::new();
            };
            let above = ancestors
                .iter()
                .filter_map(|ancestor| Some(categories.get(ancestor)?.0.as_str()));
            above.chain([name.as_str()]).collect()
        };
        let mut paths = HashMap::new();
        project.for_each(Kind::Product, |product| {
            let Product { id, master_data } = read(product);
            let categories = master_data.current.categories;
            let of_one = |category: &Reference| {
                let names = names(&category.id);
                (1..=names.len())
                    .map(|depth| names[..depth].join(" > "))
                    .collect::<Vec<_>>()
            };
            paths.insert(id, categories.iter().flat_map(of_one).collect());
        });
        Self(paths)
    }
}

fn read<'a, T: Deserialize<'a>>(record: &'a str) -> T {
    serde_json::from_str(record).expect("records are JSON of their kind")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lines<'a> {
    #[serde(borrow, default)]
    line_items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    product_id: String,
}

impl Properties {
    /// What the events of `order` must carry.
    pub(super) fn of(order: &str, categories: &Categories, rules: &Rules) -> Self {
        let digest = |json: &str| properties_digest(json).expect("records are JSON");
        let Lines { line_items } = read(order);
        let mut products = Vec::new();
        let mut lines = HashMap::new();
        for line in line_items {
            let Line { id, product_id } = read(line.get());
            lines.insert(id, digest(line.get()));
            products.push(product_id);
        }
        products.sort_unstable();
        products.dedup();

        let order: Map<String, Value> = read(order);
        let custom = order
            .get("custom")
            .and_then(|custom| custom["fields"].as_object());
        let names = ["lineItems", "customLineItems"]
            .into_iter()
            .flat_map(|list| order.get(list).and_then(Value::as_array))
            .flatten()
            .map(|item| localized(&item["name"], rules));
        let paths = products
            .iter()
            .flat_map(|product| categories.0.get(product))
            .flatten()
            .cloned();
        let lists = [
            (
                "ItemNames",
                once_each(names.filter(|name| !name.is_empty())),
            ),
            ("Categories", once_each(paths)),
        ];

        let mut members: HashMap<&str, u64> = HashMap::new();
        for (name, value) in not_empty(Some(&order)).chain(not_empty(custom)) {
            members.insert(name, digest(&value.to_string()));
        }
        for (name, list) in &lists {
            members.insert(name, digest(&list.to_string()));
        }
        Self {
            whole: object_digest(members),
            lines,
        }
    }
}

/// The members that count: not null, false, 0 or "".
fn not_empty(object: Option<&Map<String, Value>>) -> impl Iterator<Item = (&str, &Value)> {
    object
        .into_iter()
        .flatten()
        .filter(|(_, value)| match value {
            Value::Null => false,
            Value::Bool(flag) => *flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(_) | Value::Object(_) => true,
        })
        .map(|(name, value)| (name.as_str(), value))
}

/// The texts without repeats, the first of each kept.
fn once_each(texts: impl Iterator<Item = String>) -> Value {
    let mut list: Vec<String> = Vec::new();
    for text in texts {
        if !list.contains(&text) {
            list.push(text);
        }
    }
    list.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_properties_are_those_of_the_rules() {
        let paths = ["Women", "Women > Pants"].map(str::to_owned).to_vec();
        let categories = Categories(HashMap::from([("p".to_owned(), paths)]));
        let line = json!({"id": "l", "productId": "p", "name": {"fr-FR": "Étui", "en-US": "Case"}, "quantity": 0});
        let order = json!({
            "id": "o", "origin": "Customer", "note": "", "paid": false, "rest": 0.0, "gone": null, "tags": [],
            "lineItems": [line, line],
            "customLineItems": [{"name": {"en-US": "Wrap"}}],
            "custom": {"fields": {"origin": "Shop", "points": 0, "Categories": "overwritten"}},
        });
        let Properties { whole, lines } =
            Properties::of(&order.to_string(), &categories, &Rules::default());
        let digest = |value: Value| properties_digest(&value.to_string()).unwrap();
        let expected = json!({
            "id": "o", "origin": "Shop", "tags": [], "lineItems": [line, line],
            "customLineItems": [{"name": {"en-US": "Wrap"}}],
            "custom": order["custom"],
            "ItemNames": ["Case", "Wrap"],
            "Categories": ["Women", "Women > Pants"],
        });
        assert_eq!(whole, digest(expected));
        assert_eq!(lines, HashMap::from([("l".to_owned(), digest(line))]));
    }
}
