//! Products -> catalog items and variants.

use std::collections::HashMap;

use insta::assert_json_snapshot;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::config::sync::SyncConfig;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::product::{Listing, Product, Write, compound_id};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::products::{
    NAMELESS, NOW, item, knife, now, only_variant, options, product_of, raw, tree, variants,
    written,
};

#[test]
fn an_item_of_several_locales_lets_each_field_choose_its_own() {
    assert_json_snapshot!(item(&knife(), &options(), Write::Create).unwrap());
}

#[test]
fn an_items_update_names_it_by_its_compound_id() {
    assert_json_snapshot!(item(&knife(), &options(), Write::Update).unwrap());
}

#[test]
fn variants_come_master_first_and_one_without_a_sku_is_skipped() {
    let mut variants = variants(&knife(), &options(), Write::Create);
    assert!(matches!(variants.pop(), Some(Err(Skip::NoSku))));
    let variants: Vec<Value> = variants.into_iter().map(Result::unwrap).collect();
    assert_json_snapshot!(variants);
}

#[test]
fn a_variants_update_leaves_out_sku_and_item() {
    let update = variants(&knife(), &options(), Write::Update)
        .remove(0)
        .unwrap();
    assert_json_snapshot!(update);
}

#[test]
fn a_product_with_nothing_but_a_name_is_sent() {
    let bare = json!({"id": "p1", "name": {"en": "Bare"}, "masterVariant": {"id": 1, "sku": "BARE"}, "variants": []});
    let without_template = MappingOptions {
        product_url_template: None,
        ..options()
    };
    let item = item(&bare, &without_template, Write::Create).unwrap();
    let variant = only_variant(&bare, &without_template);
    assert_json_snapshot!([item, variant]);
}

#[test]
fn texts_are_kept_to_the_letter() {
    let product = json!({
        "id": "p1",
        "name": {"en-US": "", "en": "", "tr": "Ütü \"Pro\" \\ 50 % </b> \u{1} 👕\n2. satır", "ar": "قميص"},
        "description": {"en-US": "", "ar": "قطن 100٪"},
        "slug": {"tr": "utu-pro_50"},
        "masterVariant": {"id": 1, "sku": "ÜTÜ/50 %", "images": [{"url": "https://img.example/ü?a=1&b=\"2\""}]},
        "variants": []
    });
    let item = item(&product, &options(), Write::Create).unwrap();
    assert_json_snapshot!([item, only_variant(&product, &options())]);
}

fn inventory(availability: Value, channel: &str) -> Value {
    let config = json!({"product": {"inventory": {"useChannelInventory": channel}}}).to_string();
    let options = MappingOptions {
        sync: SyncConfig::parse(&config).unwrap(),
        ..options()
    };
    let product = product_of(json!({"id": 1, "sku": "S", "availability": availability}));
    let variant = only_variant(&product, &options);
    assert_eq!(variant["attributes"]["inventory_policy"], json!(1));
    let [updated] = variants(&product, &options, Write::Update)
        .try_into()
        .expect("one variant");
    let (updated, quantity) = (
        updated.unwrap(),
        &variant["attributes"]["inventory_quantity"],
    );
    assert_eq!(updated["attributes"]["inventory_policy"], json!(1));
    assert_eq!(updated["attributes"]["inventory_quantity"], *quantity);
    quantity.clone()
}

#[test]
fn stock_that_is_not_tracked_has_no_quantity_and_is_always_shown() {
    for master in [
        json!({"id": 1, "sku": "S"}),
        json!({"id": 1, "sku": "S", "availability": null}),
        json!({"id": 1, "sku": "S", "availability": []}),
    ] {
        let product = product_of(master);
        // Klaviyo requires a quantity of what it creates
        let created = only_variant(&product, &options());
        assert_eq!(created["attributes"]["inventory_quantity"], json!(0));
        assert_eq!(created["attributes"]["inventory_policy"], json!(2));
        let updated = variants(&product, &options(), Write::Update)
            .remove(0)
            .unwrap();
        let attributes = updated["attributes"].as_object().unwrap();
        assert_eq!(attributes.get("inventory_quantity"), Some(&json!(null)));
        assert_eq!(attributes["inventory_policy"], json!(2));
    }
}

#[test]
fn stock_of_channels_alone_is_their_sum_unless_one_is_configured() {
    let channels = json!({"channels": {
        "berlin": {"availableQuantity": 3}, "paris": {"availableQuantity": 4}, "odd": {"isOnStock": true},
        "oversold": {"availableQuantity": -2}
    }});
    assert_eq!(inventory(channels.clone(), ""), json!(5));
    assert_eq!(inventory(channels.clone(), "paris"), json!(4));
    assert_eq!(inventory(channels, "unknown"), json!(0));
    let largest =
        json!({"channels": {"a": {"availableQuantity": i64::MAX}, "b": {"availableQuantity": 1}}});
    assert_eq!(inventory(largest, ""), json!(i64::MAX));
    assert_eq!(inventory(json!({"channels": {}}), ""), json!(0));
    assert_eq!(inventory(json!({"channels": 5}), ""), json!(0));
}

#[test]
fn what_is_gone_is_cleared_by_an_update_and_absent_from_a_create() {
    let bare = product_of(json!({"id": 1, "sku": "S", "images": []}));
    let created = item(&bare, &options(), Write::Create).unwrap();
    assert_eq!(created["attributes"].get("image_full_url"), None);
    assert_eq!(created.get("relationships"), None);
    let updated = item(&bare, &options(), Write::Update).unwrap();
    let attributes = updated["attributes"].as_object().unwrap();
    assert_eq!(attributes.get("image_full_url"), Some(&json!(null)));
    assert_eq!(attributes["description"], "");
    assert_eq!(
        updated["relationships"],
        json!({"categories": {"data": []}})
    );
    let variant = variants(&bare, &options(), Write::Update)
        .remove(0)
        .unwrap();
    let attributes = variant["attributes"].as_object().unwrap();
    assert_eq!(attributes.get("image_full_url"), Some(&json!(null)));
    let created = only_variant(&bare, &options());
    assert_eq!(created["attributes"].get("image_full_url"), None);
}

#[test]
fn categories_that_are_gone_or_have_no_name_cost_a_product_nothing() {
    let mut product = product_of(json!({"id": 1, "sku": "S"}));
    let reference = |id: &str| json!({"typeId": "category", "id": id});
    product["categories"] = json!([reference(NAMELESS), reference("gone"), reference("pants")]);
    let item = item(&product, &options(), Write::Create).unwrap();
    let ids: Vec<&Value> = item["relationships"]["categories"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|category| &category["id"])
        .collect();
    assert_eq!(
        ids,
        ["$custom:::$default:::pants", "$custom:::$default:::women"]
    );
}

#[test]
fn the_quantity_is_the_channels_where_it_has_some_else_the_whole() {
    let stock = json!({"availableQuantity": 5, "channels": {
        "berlin": {"availableQuantity": 3}, "empty": {"availableQuantity": 0}, "odd": {"isOnStock": true}, "oversold": {"availableQuantity": -2}
    }});
    assert_eq!(inventory(stock.clone(), ""), json!(5));
    assert_eq!(inventory(stock.clone(), "berlin"), json!(3));
    assert_eq!(inventory(stock.clone(), "oversold"), json!(-2));
    for channel in ["empty", "odd", "unknown"] {
        assert_eq!(inventory(stock.clone(), channel), json!(5), "{channel}");
    }
    assert_eq!(
        inventory(json!({"availableQuantity": -7}), "berlin"),
        json!(-7)
    );
    for nothing in [json!({}), json!({"availableQuantity": "12"})] {
        assert_eq!(inventory(nothing.clone(), "berlin"), json!(0), "{nothing}");
    }
}

#[test]
fn what_klaviyo_requires_and_the_product_lacks_is_named() {
    let nameless = json!({"id": "p1", "name": {"en": "", "de": ""}, "slug": {"en": "s"}, "masterVariant": {"sku": "S"}});
    assert!(matches!(
        item(&nameless, &options(), Write::Create),
        Err(Skip::NoName)
    ));

    let slugless = json!({"id": "p1", "name": {"en": "Shirt"}, "slug": {"en": ""}, "masterVariant": {"sku": "S"}});
    assert!(matches!(
        item(&slugless, &options(), Write::Create),
        Err(Skip::NoSlug)
    ));
    for (template, url) in [
        (None, "None"),
        (Some(""), "None"),
        (Some("https://shop.example/"), "https://shop.example/"),
    ] {
        let options = MappingOptions {
            product_url_template: template.map(str::to_owned),
            ..options()
        };
        assert_eq!(
            item(&slugless, &options, Write::Create).unwrap()["attributes"]["url"],
            url
        );
    }

    for malformed in [
        json!([]),
        json!("p1"),
        json!({}),
        json!({"id": 1}),
        json!({"id": ""}),
    ] {
        let malformed_text = raw(&malformed);
        assert!(Product::read(&malformed_text).is_err(), "{malformed}");
    }
}

#[test]
fn json_that_no_string_or_number_can_hold_is_as_if_absent() {
    let text = r#"{
        "id": "p1", "name": {"de": "\ud800", "en": "Shirt"}, "slug": {"en": "shirt"}, "description": "\udc00",
        "categories": [{"id": "\ud800"}, {"id": "pants"}],
        "masterVariant": {
            "id": 1e999, "sku": "S-1",
            "images": [{"url": 7}],
            "prices": [
                {"value": {"type": "centPrecision", "currencyCode": "EUR", "centAmount": 1e999, "fractionDigits": 2}},
                {"value": {"type": "centPrecision", "currencyCode": "CHF", "centAmount": 100, "fractionDigits": 2}}
            ],
            "availability": {"availableQuantity": 1e999}
        },
        "variants": [{"id": 2, "sku": "\ud800"}, 7, null, [], {"id": 3, "sku": "S-3", "prices": {}, "images": {}}]
    }"#;
    let text = RawValue::from_string(text.to_owned()).unwrap();
    let product = Product::read(&text).unwrap();
    assert_eq!(product.category_ids(), ["pants"]);
    assert_eq!(product.skus().collect::<Vec<_>>(), ["S-1", "S-3"]);
    assert_eq!(product.variants().count(), 6);

    let options = options();
    let listing = Listing::of(&product, now(), &options).unwrap();
    let item = written(|out| listing.item(&tree(), Write::Create, out)).unwrap();
    assert_eq!(item["attributes"]["title"], "Shirt");
    assert_eq!(item["attributes"]["description"], "");
    assert_eq!(item["attributes"]["price"], 1);
    assert_eq!(item["attributes"].get("image_full_url"), None);
    let master = product.variants().next().unwrap();
    let master = written(|out| listing.variant(master, Write::Create, out)).unwrap();
    assert_eq!(master["attributes"]["inventory_quantity"], 0);
}

#[test]
fn hundreds_of_variants_all_arrive() {
    let others: Vec<Value> = (2..=400)
        .map(|number| json!({"id": number, "sku": format!("S-{number}")}))
        .collect();
    let mut product = product_of(json!({"id": 1, "sku": "S-1"}));
    product["variants"] = json!(others);
    let skus: Vec<Value> = variants(&product, &options(), Write::Create)
        .into_iter()
        .map(|variant| variant.unwrap()["attributes"]["sku"].clone())
        .collect();
    let expected: Vec<Value> = (1..=400)
        .map(|number| json!(format!("S-{number}")))
        .collect();
    assert_eq!(skus, expected);
}

#[test]
fn three_hundred_locales_are_sent_and_metadata_beyond_klaviyos_limit_is_not() {
    let localized = |locales: usize, length: usize| -> Value {
        (0..locales)
            .map(|locale| (format!("l{locale:03}"), json!("x".repeat(length))))
            .collect()
    };
    let mut product = product_of(json!({"id": 1, "sku": "S"}));
    product["name"] = localized(300, 200);
    let item_document = item(&product, &options(), Write::Create).unwrap();
    let titles = item_document["attributes"]["custom_metadata"]["title_json"]
        .as_str()
        .unwrap();
    let titles: HashMap<String, String> = serde_json::from_str(titles).unwrap();
    assert_eq!(titles.len(), 300);

    product["name"] = localized(300, 330);
    assert!(matches!(
        item(&product, &options(), Write::Create),
        Err(Skip::CustomMetadataTooLarge)
    ));
    let [variant] = variants(&product, &options(), Write::Update)
        .try_into()
        .unwrap();
    assert!(matches!(variant, Err(Skip::CustomMetadataTooLarge)));
}

#[test]
fn metadata_of_exactly_the_limit_is_sent_and_one_byte_more_is_not() {
    let size = |length: usize| {
        let mut product = product_of(json!({"id": 1, "sku": "S"}));
        product["name"] = json!({"en": "x".repeat(length)});
        item(&product, &options(), Write::Create)
            .map(|item| item["attributes"]["custom_metadata"].to_string().len())
    };
    let frame = size(1).unwrap() - 1;
    assert_eq!(size(100_000 - frame).unwrap(), 100_000);
    assert!(matches!(
        size(100_001 - frame),
        Err(Skip::CustomMetadataTooLarge)
    ));
}

#[test]
fn what_klaviyo_has_and_commercetools_no_longer_has_is_obsolete() {
    let product = raw(&knife());
    let product = Product::read(&product).unwrap();
    let kept = compound_id("KNIFE-224 \"L\"");
    let gone = compound_id("KNIFE-1999");
    assert_eq!(
        product.obsolete([kept.as_str(), gone.as_str()]),
        [gone.as_str()]
    );
    assert_eq!(
        product.skus().collect::<Vec<_>>(),
        ["KNIFE-224", "KNIFE-224 \"L\""]
    );
    assert_eq!(
        product
            .variants()
            .map(|variant| variant.number())
            .collect::<Vec<_>>(),
        [Some(1), Some(2), Some(3)]
    );
}

/// Any JSON value.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("\\ud800")),
        Just(json!(NOW)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any_key(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().collect::<Value>()),
        ]
    })
}

/// Keys that the mapping looks at, and others.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(
            [
                "id",
                "name",
                "slug",
                "description",
                "categories",
                "masterVariant",
                "variants",
                "sku",
                "images",
                "url",
                "prices",
                "value",
                "type",
                "centAmount",
                "preciseAmount",
                "fractionDigits",
                "currencyCode",
                "country",
                "validFrom",
                "validUntil",
                "customerGroup",
                "availability",
                "availableQuantity",
                "channels",
                "en",
            ]
            .map(str::to_owned)
            .to_vec()
        ),
        any::<String>(),
    ]
}

/// A product in which any part may be anything.
fn any_product() -> impl Strategy<Value = Value> {
    let part = prop_oneof![Just(None), any_json().prop_map(Some)];
    prop::collection::vec((any_key(), part), 0..12).prop_map(|parts| {
        let mut product = knife();
        for (key, part) in parts {
            match part {
                Some(part) => product[key.as_str()] = part,
                None => drop(product.as_object_mut().expect("an object").remove(&key)),
            }
        }
        product
    })
}

proptest! {
    #[test]
    fn any_product_gives_documents_or_reasons(product in any_product(), currency in any::<Option<String>>()) {
        let options = MappingOptions { preferred_currency: currency, ..options() };
        let text = raw(&product);
        if let Ok(product) = Product::read(&text) && let Ok(listing) = Listing::of(&product, now(), &options) {
            for op in [Write::Create, Write::Update] {
                let _ = written(|out| listing.item(&tree(), op, out));
                for variant in product.variants() {
                    let _ = written(|out| listing.variant(variant, op, out));
                }
            }
        }
    }

    #[test]
    fn any_json_is_read_or_malformed(value in any_json()) {
        let _ = Product::read(&raw(&value)).map(|product| product.category_ids().len());
    }
}

#[test]
fn a_projection_without_variants_makes_none_obsolete() {
    // as projections of a project with the catalog model Modular are
    for variants in [json!({}), json!({"masterVariant": null, "variants": []})] {
        let mut product = knife();
        let members = product.as_object_mut().unwrap();
        members.remove("masterVariant");
        members.remove("variants");
        members.extend(variants.as_object().unwrap().clone());
        let product = raw(&product);
        let product = Product::read(&product).unwrap();
        let known = compound_id("KNIFE-224");
        assert!(product.obsolete([known.as_str()]).is_empty());
    }
}
