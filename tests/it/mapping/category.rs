//! Categories -> catalog categories.

use std::collections::{HashMap, HashSet};

use insta::assert_json_snapshot;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::config::sync::SyncConfig;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::category::{Category, CategoryNames};
use klaviyo_bulk_import::mapping::product::{Write, compound_id};
use proptest::prelude::*;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

fn options() -> MappingOptions {
    MappingOptions {
        preferred_locale: Some("en-US".to_owned()),
        preferred_currency: None,
        product_url_template: None,
        sync: SyncConfig::default(),
        ..MappingOptions::default()
    }
}

struct Names(HashMap<String, String>);

impl CategoryNames for Names {
    fn name(&self, category_id: &str) -> Option<&str> {
        self.0.get(category_id).map(String::as_str)
    }
}

fn names() -> Names {
    let known = [("women", "Women"), ("pants", "Pants")];
    Names(
        known
            .map(|(id, name)| (id.to_owned(), name.to_owned()))
            .into(),
    )
}

fn entry(category: &Value, op: Write) -> Result<Value, Skip> {
    let category = to_raw_value(category).unwrap();
    let category = Category::read(&category)?;
    let mut out = Vec::new();
    let entry = category.entry(&names(), op, &options(), &mut out);
    assert_eq!(out.is_empty(), entry.is_err());
    let entry = entry?;
    assert_eq!(entry.id, category.id());
    Ok(serde_json::from_slice(&out).unwrap())
}

fn references(ids: &[&str]) -> Value {
    ids.iter()
        .map(|id| json!({"typeId": "category", "id": id}))
        .collect()
}

#[test]
fn a_category_is_named_by_its_path() {
    let jeans = json!({
        "id": "jeans",
        "version": 3,
        "name": {"de": "Jeanshosen", "en-US": "Jeans > \"Denim\" 👖"},
        "slug": {"en-US": "jeans"},
        "ancestors": references(&["women", "pants"]),
        "parent": {"typeId": "category", "id": "pants"}
    });
    assert_json_snapshot!([
        entry(&jeans, Write::Create).unwrap(),
        entry(&jeans, Write::Update).unwrap()
    ]);
}

fn name_of(category: Value) -> Value {
    entry(&category, Write::Create).unwrap()["attributes"]["name"].clone()
}

#[test]
fn an_ancestor_that_is_gone_is_left_out_of_the_path() {
    let category = json!({"id": "c", "name": {"en": "Jeans"}, "ancestors": references(&["gone", "women", "gone too"])});
    assert_eq!(name_of(category), "Women > Jeans");
}

#[test]
fn an_ancestor_that_is_met_twice_or_is_the_category_itself_counts_once() {
    let ancestors = references(&["women", "pants", "women", "c", "pants"]);
    let category = json!({"id": "c", "name": {"en": "Jeans"}, "ancestors": ancestors});
    assert_eq!(name_of(category.clone()), "Women > Pants > Jeans");
    let text = to_raw_value(&category).unwrap();
    let category = Category::read(&text).unwrap();
    assert_eq!(category.ancestors().collect::<Vec<_>>(), ["women", "pants"]);
    let loops = json!({"id": "c", "name": {"en": "Loop"}, "ancestors": references(&["c"])});
    assert_eq!(name_of(loops), "Loop");
}

#[test]
fn a_root_has_its_own_name_only() {
    for ancestors in [
        json!([]),
        json!(null),
        json!("women"),
        json!([{"typeId": "category"}, 7]),
    ] {
        assert_eq!(
            name_of(json!({"id": "c", "name": {"fr": "Femmes"}, "ancestors": ancestors})),
            "Femmes"
        );
    }
    assert_eq!(
        name_of(json!({"id": "c", "name": {"en-US": "", "en": "", "fr": "", "it": "Donne"}})),
        "Donne"
    );
}

#[test]
fn a_category_without_a_name_or_an_id_is_skipped() {
    for name in [json!({}), json!({"en": ""}), json!(null), json!("Women")] {
        assert!(
            matches!(
                entry(&json!({"id": "c", "name": name}), Write::Create),
                Err(Skip::NoName)
            ),
            "{name}"
        );
    }
    for malformed in [json!({"name": {"en": "Women"}}), json!(["c"]), json!(null)] {
        let text = to_raw_value(&malformed).unwrap();
        assert!(Category::read(&text).is_err(), "{malformed}");
    }
}

#[test]
fn ancestors_are_told_root_first_so_that_their_names_can_be_fetched() {
    let category = to_raw_value(&json!({"id": "c", "ancestors": references(&["a", "b"])})).unwrap();
    let category = Category::read(&category).unwrap();
    assert_eq!(category.ancestors().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(category.name(&options()), None);
}

proptest! {
    #[test]
    fn the_name_is_the_known_ancestors_and_the_own_one(
        path in prop::collection::vec("[a-z]{1,5}", 0..20),
        id in "[a-z0-9-]{1,36}",
        own in "\\PC{1,20}",
    ) {
        let known: HashMap<String, String> = path.iter().map(|id| (id.clone(), id.to_uppercase())).collect();
        let ids: Vec<&str> = path.iter().map(String::as_str).collect();
        let category = to_raw_value(&json!({"id": id, "name": {"en": own}, "ancestors": references(&ids)})).unwrap();
        let mut out = Vec::new();
        Category::read(&category).unwrap().entry(&Names(known), Write::Update, &options(), &mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        let mut met = HashSet::from([&id]);
        let path = path.iter().filter(|ancestor| met.insert(ancestor));
        let expected: Vec<String> = path.map(|id| id.to_uppercase()).chain([own]).collect();
        prop_assert_eq!(&document["attributes"]["name"], &json!(expected.join(" > ")));
        prop_assert_eq!(&document["id"], &json!(compound_id(&id)));
    }
}
