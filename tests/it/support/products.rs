//! Products, and what becomes of them.

use std::collections::HashMap;
use std::rc::Rc;

use jiff::Timestamp;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::config::sync::SyncConfig;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::product::{
    CategoryAncestors, Entry, Listing, Product, Write, compound_id,
};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

pub(crate) const NOW: &str = "2026-06-15T12:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

pub(crate) fn options() -> MappingOptions {
    MappingOptions {
        project: "shop".to_owned(),
        preferred_locale: Some("en-US".to_owned()),
        preferred_currency: None,
        product_url_template: Some(
            "https://shop.example/p/{{productSlug}}?ref={{productSlug}}".to_owned(),
        ),
        sync: SyncConfig::default(),
        ..MappingOptions::default()
    }
}

/// A category that exists and has no name, so that it is not sent.
pub(crate) const NAMELESS: &str = "nameless";

/// The ancestors of the categories that these tests name.
struct Tree(HashMap<&'static str, Vec<Rc<str>>>);

impl CategoryAncestors for Tree {
    fn ancestors(&self, category_id: &str) -> Option<&[Rc<str>]> {
        self.0.get(category_id).map(Vec::as_slice)
    }

    fn is_sent(&self, category_id: &str) -> bool {
        self.0.contains_key(category_id) && category_id != NAMELESS
    }
}

pub(crate) fn tree() -> impl CategoryAncestors {
    Tree(HashMap::from([
        ("women", vec![]),
        ("pants", vec!["women".into()]),
        ("jeans", vec!["women".into(), "pants".into()]),
        (NAMELESS, vec!["women".into(), "lost".into()]),
    ]))
}

pub(crate) fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

/// Appends with `write` and parses what was appended.
pub(crate) fn written(
    write: impl FnOnce(&mut Vec<u8>) -> Result<Entry, Skip>,
) -> Result<Value, Skip> {
    let mut out = b"before".to_vec();
    let written = write(&mut out);
    let appended = out.strip_prefix(b"before").expect("what was there stays");
    match written {
        Ok(entry) => {
            let document: Value = serde_json::from_slice(appended).expect("an entry is JSON");
            let named = match document.get("id") {
                Some(id) => *id == compound_id(&entry.id),
                None => document["attributes"]["external_id"] == entry.id,
            };
            assert!(named, "{} is in {document}", entry.id);
            Ok(document)
        }
        Err(skip) => {
            assert!(appended.is_empty(), "nothing is appended for {skip}");
            Err(skip)
        }
    }
}

pub(crate) fn item(product: &Value, options: &MappingOptions, op: Write) -> Result<Value, Skip> {
    let product = raw(product);
    let product = Product::read(&product)?;
    let listing = Listing::of(&product, now(), options)?;
    written(|out| listing.item(&tree(), op, out))
}

pub(crate) fn variants(
    product: &Value,
    options: &MappingOptions,
    op: Write,
) -> Vec<Result<Value, Skip>> {
    let product = raw(product);
    let product = Product::read(&product).unwrap();
    let listing = Listing::of(&product, now(), options).unwrap();
    product
        .variants()
        .map(|variant| written(|out| listing.variant(variant, op, out)))
        .collect()
}

pub(crate) fn only_variant(product: &Value, options: &MappingOptions) -> Value {
    let [variant] = variants(product, options, Write::Create)
        .try_into()
        .expect("one variant");
    variant.unwrap()
}

/// A product whose master variant is this.
pub(crate) fn product_of(master_variant: Value) -> Value {
    json!({"id": "p1", "name": {"en": "Shirt"}, "slug": {"en": "shirt"}, "masterVariant": master_variant, "variants": []})
}

pub(crate) fn cents(currency: &str, amount: i64) -> Value {
    json!({"type": "centPrecision", "currencyCode": currency, "centAmount": amount, "fractionDigits": 2})
}

pub(crate) fn knife() -> Value {
    json!({
        "id": "5b4a3c1e-0000-4000-8000-000000000224",
        "version": 7,
        "productType": {"typeId": "product-type", "id": "knives"},
        "name": {"fr-FR": "Couteau & étui 224", "de-DE": "Messer mit \"Etui\" 224"},
        "description": {"ja-JP": "包丁です", "de-DE": "Ein Messer"},
        "slug": {"fr-FR": "couteau-224", "en": "knife-224"},
        "categories": [
            {"typeId": "category", "id": "jeans"},
            {"typeId": "category", "id": "pants"},
            {"typeId": "category", "id": "gone"}
        ],
        "masterVariant": {
            "id": 1,
            "sku": "KNIFE-224",
            "images": [
                {"url": "https://img.example/1.jpg", "dimensions": {"w": 1, "h": 1}},
                {"url": "https://img.example/2.jpg"}
            ],
            "prices": [
                {"id": "a", "value": cents("CHF", 1999)},
                {"id": "b", "value": cents("MXN", 250), "country": "MX"}
            ],
            "availability": {"isOnStock": true, "availableQuantity": 12, "version": 1, "id": "i"}
        },
        "variants": [
            {
                "id": 2,
                "sku": "KNIFE-224 \"L\"",
                "images": [{"url": "https://img.example/large.jpg"}],
                "prices": [],
                "availability": {"isOnStock": false, "availableQuantity": -4}
            },
            {"id": 3, "images": []}
        ],
        "published": true
    })
}
