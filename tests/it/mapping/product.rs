//! Products -> catalog items and variants.

use std::collections::HashMap;
use std::rc::Rc;

use insta::assert_json_snapshot;
use jiff::Timestamp;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::config::sync::SyncConfig;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::product::{
    CategoryAncestors, Entry, Listing, Product, Write, compound_id,
};
use proptest::prelude::*;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

const NOW: &str = "2026-06-15T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn options() -> MappingOptions {
    MappingOptions {
        preferred_locale: Some("en-US".to_owned()),
        preferred_currency: None,
        product_url_template: Some(
            "https://shop.example/p/{{productSlug}}?ref={{productSlug}}".to_owned(),
        ),
        sync: SyncConfig::default(),
    }
}

/// The ancestors of the categories that these tests name.
struct Tree(HashMap<&'static str, Vec<Rc<str>>>);

impl CategoryAncestors for Tree {
    fn ancestors(&self, category_id: &str) -> Option<&[Rc<str>]> {
        self.0.get(category_id).map(Vec::as_slice)
    }
}

fn tree() -> Tree {
    Tree(HashMap::from([
        ("women", vec![]),
        ("pants", vec!["women".into()]),
        ("jeans", vec!["women".into(), "pants".into()]),
    ]))
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

/// Appends with `write` and parses what was appended.
fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<Entry, Skip>) -> Result<Value, Skip> {
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

fn item(product: &Value, options: &MappingOptions, op: Write) -> Result<Value, Skip> {
    let product = raw(product);
    let product = Product::read(&product)?;
    let listing = Listing::of(&product, now(), options)?;
    written(|out| listing.item(&tree(), op, out))
}

fn variants(product: &Value, options: &MappingOptions, op: Write) -> Vec<Result<Value, Skip>> {
    let product = raw(product);
    let product = Product::read(&product).unwrap();
    let listing = Listing::of(&product, now(), options).unwrap();
    product
        .variants()
        .map(|variant| written(|out| listing.variant(variant, op, out)))
        .collect()
}

fn only_variant(product: &Value, options: &MappingOptions) -> Value {
    let [variant] = variants(product, options, Write::Create)
        .try_into()
        .expect("one variant");
    variant.unwrap()
}

/// A product whose master variant is this.
fn product_of(master_variant: Value) -> Value {
    json!({"id": "p1", "name": {"en": "Shirt"}, "slug": {"en": "shirt"}, "masterVariant": master_variant, "variants": []})
}

fn cents(currency: &str, amount: i64) -> Value {
    json!({"type": "centPrecision", "currencyCode": currency, "centAmount": amount, "fractionDigits": 2})
}

fn knife() -> Value {
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

#[test]
fn prices_of_every_combination() {
    let group = json!({"typeId": "customer-group", "id": "vip"});
    let channel = json!({"typeId": "channel", "id": "berlin"});
    let prices = json!([
        {"id": "1", "value": cents("NZD", 100), "customerGroup": group},
        {"id": "2", "value": cents("CHF", 1100), "customerGroup": group},
        {"id": "3", "value": cents("CHF", 1200), "channel": channel, "discounted": {"value": cents("CHF", 1), "discount": {}}},
        {"id": "4", "value": cents("CHF", 1300)},
        {"id": "5", "value": cents("SEK", 500), "country": "SE", "validFrom": "2026-01-01T00:00:00.000Z"},
        {"id": "6", "value": cents("SEK", 400), "country": "FI", "validFrom": "2025-01-01T00:00:00.000Z", "customerGroup": group},
        {"id": "7", "value": cents("SEK", 300), "country": "NO", "validFrom": "2024-01-01T00:00:00.000Z", "validUntil": "2025-12-31T00:00:00.000Z"},
        {"id": "8", "value": cents("PLN", 900), "validUntil": "2026-07-01T00:00:00.000Z"},
        {"id": "9", "value": cents("PLN", 800), "validUntil": "2026-06-20T00:00:00.000Z"},
        {"id": "10", "value": cents("PLN", 700), "validFrom": "2026-06-16T00:00:00.000Z"},
        {"id": "11", "value": cents("CZK", 600), "validFrom": "2030-01-01T00:00:00.000Z"},
        {"id": "12", "value": {"type": "centPrecision", "currencyCode": "JPY", "centAmount": 9303, "fractionDigits": 0}, "country": "JP"},
        {"id": "13", "value": {"type": "highPrecision", "currencyCode": "KWD", "centAmount": 25206, "preciseAmount": 2520655, "fractionDigits": 5}},
    ]);
    let product = product_of(json!({"id": 1, "sku": "S", "prices": prices}));
    let chosen = |currency: Option<&str>| {
        let options = MappingOptions {
            preferred_currency: currency.map(str::to_owned),
            ..options()
        };
        let variant = only_variant(&product, &options);
        let item = item(&product, &options, Write::Create).unwrap();
        assert_eq!(variant["attributes"]["price"], item["attributes"]["price"]);
        variant["attributes"]["price"].clone()
    };
    // Over all currencies: the dated one that began first, although it is for a customer group.
    assert_eq!(chosen(None), json!(4));
    assert_eq!(chosen(Some("")), json!(4));
    assert_eq!(chosen(Some("CHF")), json!(12));
    assert_eq!(chosen(Some("SEK")), json!(4));
    assert_eq!(chosen(Some("PLN")), json!(8));
    assert_eq!(chosen(Some("KWD")), json!(25.20655));
    for without in ["NZD", "CZK", "EUR"] {
        assert_eq!(chosen(Some(without)), json!(0), "{without}");
    }
    assert_json_snapshot!(only_variant(&product, &options())["attributes"]["custom_metadata"]);
}

#[test]
fn a_price_is_valid_from_its_first_to_its_last_moment() {
    let price = |from: Value, until: Value| {
        let prices = json!([{"value": cents("EUR", 100)}, {"value": cents("EUR", 200), "validFrom": from, "validUntil": until}]);
        let product = product_of(json!({"id": 1, "sku": "S", "prices": prices}));
        only_variant(&product, &options())["attributes"]["price"].clone()
    };
    assert_eq!(price(json!(NOW), json!(null)), json!(2));
    assert_eq!(price(json!(null), json!(NOW)), json!(2));
    assert_eq!(
        price(json!("2026-06-15T14:00:00+02:00"), json!(NOW)),
        json!(2)
    );
    assert_eq!(
        price(json!("2026-06-15T12:00:00.001Z"), json!(null)),
        json!(1)
    );
    assert_eq!(
        price(json!(null), json!("2026-06-15T11:59:59.999Z")),
        json!(1)
    );
    assert_eq!(price(json!("soon"), json!(null)), json!(1));
    assert_eq!(
        price(json!(""), json!("")),
        json!(1),
        "empty is undated, and the first undated one stands"
    );
}

#[test]
fn among_equal_beginnings_the_earliest_end_stands_and_an_open_end_is_last() {
    let from = "2026-01-01T00:00:00Z";
    let prices = json!([
        {"value": cents("EUR", 100), "validFrom": from},
        {"value": cents("EUR", 200), "validFrom": from, "validUntil": "2026-12-01T00:00:00Z"},
        {"value": cents("EUR", 300), "validFrom": from, "validUntil": "2026-11-01T00:00:00Z"},
        {"value": cents("EUR", 400), "validFrom": from, "validUntil": "2026-11-01T00:00:00Z"},
    ]);
    let product = product_of(json!({"id": 1, "sku": "S", "prices": prices}));
    assert_eq!(
        only_variant(&product, &options())["attributes"]["price"],
        json!(3)
    );
}

/// `price_json` and `currency_json` of a variant with these prices.
fn price_texts(prices: Value) -> [String; 2] {
    let variant = only_variant(
        &product_of(json!({"id": 1, "sku": "S", "prices": prices})),
        &options(),
    );
    ["price_json", "currency_json"].map(|key| {
        variant["attributes"]["custom_metadata"][key]
            .as_str()
            .unwrap()
            .to_owned()
    })
}

#[test]
fn where_two_currencies_serve_one_country_the_later_stands() {
    let [prices, currencies] =
        price_texts(json!([{"value": cents("ZAR", 1800)}, {"value": cents("NAD", 1750)}]));
    assert_eq!(
        prices,
        r#"{"price_ZAR":18,"price_LS":18,"price_NA":17.5,"price_ZA":18,"price_NAD":17.5}"#
    );
    assert_eq!(
        currencies,
        r#"{"currency_LS":"ZAR","currency_NA":"NAD","currency_ZA":"ZAR"}"#
    );
}

#[test]
fn a_price_without_a_country_stands_for_all_that_use_its_currency() {
    let [prices, currencies] = price_texts(json!([{"value": cents("EUR", 1000)}]));
    let prices: HashMap<String, f64> = serde_json::from_str(&prices).unwrap();
    let currencies: HashMap<String, String> = serde_json::from_str(&currencies).unwrap();
    assert_eq!(prices.len(), 37, "the currency and 36 countries");
    assert_eq!(currencies.len(), 36);
    for country in ["DE", "FR", "HR", "BG", "AX", "GP", "VA"] {
        assert_eq!(prices[&format!("price_{country}")], 10.0);
        assert_eq!(currencies[&format!("currency_{country}")], "EUR");
    }
    assert!(!prices.contains_key("price_XK"), "not officially assigned");
}

#[test]
fn empty_prices_give_empty_objects_and_absent_ones_nothing() {
    assert_eq!(price_texts(json!([])), ["{}", "{}"]);
    let without = only_variant(&product_of(json!({"id": 1, "sku": "S"})), &options());
    assert_eq!(without["attributes"]["price"], json!(0));
    assert_eq!(
        without["attributes"]["custom_metadata"],
        json!({"title_json": r#"{"title_en":"Shirt"}"#, "slug_json": r#"{"slug_en":"shirt"}"#})
    );
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
    variant["attributes"]["inventory_quantity"].clone()
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
    assert_eq!(
        inventory(
            json!({"channels": {"berlin": {"availableQuantity": 3}}}),
            ""
        ),
        json!(0)
    );
    for nothing in [
        json!(null),
        json!({}),
        json!([]),
        json!({"availableQuantity": "12"}),
    ] {
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

fn any_price() -> impl Strategy<Value = Value> {
    let date = || {
        prop_oneof![2 => Just(None), 3 => prop::sample::select(vec![
            Some("2025-01-01T00:00:00Z"), Some("2026-06-15T12:00:00Z"), Some("2026-06-14T00:00:00Z"),
            Some("2026-06-16T00:00:00Z"), Some("2027-01-01T00:00:00Z"),
        ])]
    };
    (
        prop::sample::select(vec!["EUR", "USD", "JPY"]),
        1_i64..1_000_000,
        date(),
        date(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(currency, amount, from, until, grouped, local)| {
            let mut price = json!({"value": {"type": "centPrecision", "currencyCode": currency, "centAmount": amount, "fractionDigits": 0}});
            for (key, date) in [("validFrom", from), ("validUntil", until)] {
                if let Some(date) = date {
                    price[key] = json!(date);
                }
            }
            if grouped {
                price["customerGroup"] = json!({"typeId": "customer-group", "id": "g"});
            }
            if local {
                price["country"] = json!("DE");
                price["channel"] = json!({"typeId": "channel", "id": "c"});
                price["discounted"] = json!({"value": cents("EUR", 1)});
            }
            price
        })
}

fn sent_price(prices: &[Value], currency: &str) -> i64 {
    let options = MappingOptions {
        preferred_currency: Some(currency.to_owned()),
        ..options()
    };
    let variant = only_variant(
        &product_of(json!({"id": 1, "sku": "S", "prices": prices})),
        &options,
    );
    variant["attributes"]["price"]
        .as_i64()
        .expect("whole amounts")
}

fn field_time(price: &Value, key: &str) -> Option<Timestamp> {
    price
        .get(key)
        .map(|time| time.as_str().unwrap().parse().unwrap())
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

    #[test]
    fn the_price_sent_is_one_that_applies(prices in prop::collection::vec(any_price(), 0..8), currency in prop::sample::select(vec!["", "EUR", "USD"])) {
        let sent = sent_price(&prices, currency);
        let candidates: Vec<&Value> = prices.iter()
            .filter(|price| currency.is_empty() || price["value"]["currencyCode"] == currency)
            .collect();
        let dated_and_valid: Vec<&Value> = candidates.iter().copied()
            .filter(|price| price.get("validFrom").is_some() || price.get("validUntil").is_some())
            .filter(|price| field_time(price, "validFrom").is_none_or(|from| from <= now()))
            .filter(|price| field_time(price, "validUntil").is_none_or(|until| until >= now()))
            .collect();
        let undated = candidates.iter().copied()
            .find(|price| ["validFrom", "validUntil", "customerGroup"].iter().all(|key| price.get(key).is_none()));
        let of_amount = |price: &&Value| price["value"]["centAmount"] == sent;
        if dated_and_valid.is_empty() {
            prop_assert_eq!(json!(sent), undated.map_or(json!(0), |price| price["value"]["centAmount"].clone()));
        } else {
            let earliest = dated_and_valid.iter().map(|price| field_time(price, "validFrom").unwrap_or(now())).min().unwrap();
            let chosen = dated_and_valid.iter().find(|price| {
                of_amount(price) && field_time(price, "validFrom").unwrap_or(now()) == earliest
            });
            prop_assert!(chosen.is_some(), "{} of {:?}", sent, prices);
        }
    }

    #[test]
    fn channel_country_and_discount_play_no_part(prices in prop::collection::vec(any_price(), 0..8)) {
        let mut plain = prices.clone();
        for price in &mut plain {
            for key in ["country", "channel", "discounted"] {
                price.as_object_mut().unwrap().remove(key);
            }
        }
        prop_assert_eq!(sent_price(&prices, ""), sent_price(&plain, ""));
    }
}
