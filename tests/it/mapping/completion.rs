//! Products with what commercetools keeps beside them: variants, standalone prices and stock.

use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::product::{Completion, Product, Write, compound_id};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::products::{cents, item, now, options, raw, variants};

/// A product without a variant, as a Modular project has it.
fn bare() -> Value {
    json!({
        "id": "p1", "version": 3, "name": {"en": "Jacket"}, "slug": {"en": "jacket"}, "description": {"en": "Warm"},
        "categories": [{"typeId": "category", "id": "jeans"}], "variants": [], "priceMode": "Standalone"
    })
}

/// A product with variants, whose prices are standalone.
fn classic(variants: &[Value]) -> Value {
    let (master, others) = variants.split_first().expect("a master variant");
    json!({
        "id": "p1", "name": {"en": "Mug"}, "slug": {"en": "mug"}, "priceMode": "Standalone", "masterVariant": master,
        "variants": others
    })
}

fn variant(number: u64, sku: &str) -> Value {
    json!({
        "id": format!("v{number}"), "variantId": number, "default": number == 2, "sku": sku, "staged": false,
        "product": {"typeId": "product", "id": "p1"}, "name": {"en": "Jacket"},
        "images": [{"url": format!("https://img.example/{number}.jpg")}, {"url": "https://img.example/other.jpg"}]
    })
}

fn price(sku: &str, value: Value) -> Value {
    json!({"id": "a", "sku": sku, "value": value, "active": true})
}

fn stock(sku: &str, quantity: i64, channel: Option<&str>) -> Value {
    let mut entry =
        json!({"id": "s", "sku": sku, "availableQuantity": quantity, "quantityOnStock": quantity});
    if let Some(channel) = channel {
        entry["supplyChannel"] = json!({"typeId": "channel", "id": channel});
    }
    entry
}

/// What is beside products.
#[derive(Default)]
struct Beside {
    variants: Vec<Value>,
    prices: Vec<Value>,
    stock: Vec<Value>,
    unread: bool,
}

impl Beside {
    fn complete(&self, product: &Value) -> Value {
        let mut completion = Completion::new(now(), !self.unread, !self.unread);
        for variant in &self.variants {
            completion.note_variant((&raw(variant)).into()).unwrap();
        }
        for price in &self.prices {
            completion.note_price((&raw(price)).into());
        }
        for entry in &self.stock {
            completion.note_stock((&raw(entry)).into());
        }
        let product = raw(product);
        match completion.complete((&product).into()) {
            Some(complete) => serde_json::from_str(complete.get()).expect("JSON"),
            None => serde_json::from_str(product.get()).expect("JSON"),
        }
    }
}

fn attributes(entries: Vec<Result<Value, Skip>>) -> Vec<Value> {
    let entries = entries.into_iter();
    entries
        .map(|entry| entry.unwrap()["attributes"].clone())
        .collect()
}

#[test]
fn variants_of_their_own_become_those_of_the_product_the_default_one_first() {
    let beside = Beside {
        variants: vec![
            variant(1, "JK \"S\""),
            variant(2, "JK-M, größer:::"),
            variant(3, ""),
        ],
        prices: vec![
            price("JK \"S\"", cents("EUR", 4_990)),
            price("JK-M, größer:::", cents("EUR", 5_490)),
            price("another", cents("EUR", 1)),
        ],
        stock: vec![
            stock("JK \"S\"", 4, None),
            stock("JK \"S\"", 9, Some("berlin")),
            stock("JK-M, größer:::", 3, Some("berlin")),
            stock("JK-M, größer:::", -1, Some("p\"aris")),
        ],
        ..Beside::default()
    };
    let product = beside.complete(&bare());
    let item = item(&product, &options(), Write::Create).unwrap();
    assert_eq!(item["attributes"]["price"], 54.9);
    assert_eq!(item["attributes"]["title"], "Jacket");
    assert_eq!(item["attributes"]["description"], "Warm");
    assert_eq!(
        item["attributes"]["image_full_url"],
        "https://img.example/2.jpg"
    );
    let categories = &item["relationships"]["categories"]["data"];
    assert_eq!(categories.as_array().map(Vec::len), Some(3));
    let mut written = variants(&product, &options(), Write::Create);
    assert_eq!(written.pop(), Some(Err(Skip::NoSku)));
    let [medium, small] = attributes(written).try_into().expect("two");
    for (variant, sku, price, quantity, number) in [
        (medium, "JK-M, größer:::", 54.9, 2, 2),
        (small, "JK \"S\"", 49.9, 4, 1),
    ] {
        assert_eq!(variant["sku"], sku);
        assert_eq!(variant["price"], price);
        assert_eq!(variant["inventory_quantity"], quantity);
        assert_eq!(variant["inventory_policy"], 1);
        let image = format!("https://img.example/{number}.jpg");
        assert_eq!(variant["image_full_url"], image);
        let prices = &variant["custom_metadata"]["price_json"];
        assert!(
            prices
                .as_str()
                .is_some_and(|text| text.contains("price_EUR")),
            "{prices}"
        );
    }
}

#[test]
fn an_inactive_price_is_none_and_only_a_price_of_0_makes_a_0() {
    let mug = classic(&[
        json!({"id": 1, "sku": "MUG", "prices": [{"value": cents("EUR", 100)}]}),
        json!({"id": 2, "sku": "FREE"}),
        json!({"id": 3, "sku": "LATER"}),
    ]);
    let mut inactive = price("MUG", cents("EUR", 50));
    inactive["active"] = false.into();
    let mut later = price("LATER", cents("EUR", 700));
    later["validFrom"] = "2030-01-01T00:00:00.000Z".into();
    let beside = Beside {
        prices: vec![
            inactive.clone(),
            price("MUG", cents("EUR", 990)),
            price("FREE", cents("EUR", 0)),
            later,
        ],
        ..Beside::default()
    };
    let in_euro = MappingOptions {
        preferred_currency: Some("EUR".to_owned()),
        ..options()
    };
    let product = beside.complete(&mug);
    assert_eq!(
        item(&product, &in_euro, Write::Create).unwrap()["attributes"]["price"],
        9.9
    );
    let created = variants(&product, &in_euro, Write::Create);
    assert_eq!(created[0].as_ref().unwrap()["attributes"]["price"], 9.9);
    assert_eq!(created[1].as_ref().unwrap()["attributes"]["price"], 0);
    assert_eq!(created[2], Err(Skip::NoPrice));
    let updated = attributes(variants(&product, &in_euro, Write::Update));
    assert_eq!(updated[2].get("price"), None);
    assert_eq!(updated[2]["custom_metadata"]["price_json"], "{}");

    let only_inactive = Beside {
        prices: vec![inactive],
        ..Beside::default()
    };
    let product = only_inactive.complete(&mug);
    for op in [Write::Create, Write::Update] {
        let item = item(&product, &in_euro, op).unwrap();
        assert_eq!(item["attributes"].get("price"), None);
    }
}

#[test]
fn what_may_not_be_read_is_left_out_of_an_update() {
    let beside = Beside {
        variants: vec![variant(1, "A")],
        unread: true,
        ..Beside::default()
    };
    let product = beside.complete(&bare());
    let [updated] = attributes(variants(&product, &options(), Write::Update))
        .try_into()
        .expect("one");
    for name in [
        "price",
        "custom_metadata",
        "inventory_quantity",
        "inventory_policy",
    ] {
        assert_eq!(updated.get(name), None, "{name}");
    }
    let text = raw(&product);
    let read = Product::read(&text).unwrap();
    assert!(read.has_unread_prices() && read.has_unread_stock());
    assert_eq!(
        variants(&product, &options(), Write::Create),
        [Err(Skip::NoPrice)]
    );
}

#[test]
fn a_product_with_embedded_prices_lacks_nothing() {
    let mut embedded = classic(&[json!({"id": 1, "sku": "MUG", "prices": []})]);
    embedded["priceMode"] = "Embedded".into();
    let beside = Beside {
        prices: vec![price("MUG", cents("EUR", 990))],
        ..Beside::default()
    };
    assert_eq!(beside.complete(&embedded), embedded);
    assert_eq!(
        item(&embedded, &options(), Write::Create).unwrap()["attributes"]["price"],
        0
    );
}

fn any_price() -> impl Strategy<Value = Value> {
    let moment = || {
        prop::option::of(prop::sample::select(vec![
            "2020-01-01",
            "2025-03-01",
            "2026-06-15",
            "2031-01-01",
        ]))
    };
    let currency = prop::sample::select(vec!["EUR", "CHF", "SEK"]);
    let country = prop::option::of(prop::sample::select(vec!["DE", "SE", "LI"]));
    (currency, 0..50_i64, country, any::<bool>(), moment(), moment(), 0..10_u8).prop_map(
        |(currency, amount, country, is_for_group, from, until, odds)| {
            let mut price = json!({"id": "x", "sku": "S", "value": cents(currency, amount), "active": odds != 0});
            let mut set = |name: &str, value: Option<Value>| {
                if let Some(value) = value {
                    price[name] = value;
                }
            };
            set("country", country.map(Value::from));
            set("customerGroup", (is_for_group && odds < 4).then(|| json!({"typeId": "customer-group", "id": "vip"})));
            let moment = |day: Option<&str>| day.map(|day| Value::from(format!("{day}T12:00:00.000Z")));
            if odds > 5 {
                set("validFrom", moment(from));
                set("validUntil", moment(until));
            }
            price
        },
    )
}

proptest! {
    #[test]
    fn the_prices_that_are_kept_choose_as_all_of_them_do(
        prices in prop::collection::vec(any_price(), 0..40),
        currency in prop::option::of(prop::sample::select(vec!["EUR", "CHF", "GBP"])),
    ) {
        let options = MappingOptions { preferred_currency: currency.map(str::to_owned), ..options() };
        let active: Vec<&Value> = prices.iter().filter(|price| price["active"] == true).collect();
        let mut all = classic(&[json!({"id": 1, "sku": "S", "prices": active})]);
        let beside = Beside { prices: prices.clone(), ..Beside::default() };
        let completed = beside.complete(&all);
        let kept = completed["masterVariant"]["prices"].as_array().map(Vec::len);
        prop_assert!(kept <= Some(9), "three currencies with three prices each at most: {completed}");
        let written = |product: &Value, op| attributes(vec![item(product, &options, op)]);
        for op in [Write::Create, Write::Update] {
            prop_assert_eq!(written(&completed, op), written(&all, op));
        }
        // a 0 is what somebody has set
        let sent = &written(&completed, Write::Create)[0];
        let is_set = active.iter().any(|price| price["value"]["centAmount"] == 0);
        prop_assert!(sent.get("price") != Some(&json!(0)) || is_set);
        // the same prices, embedded
        all["priceMode"] = "Embedded".into();
        let embedded = written(&all, Write::Create);
        let price = sent.get("price").cloned().unwrap_or(json!(0));
        prop_assert_eq!(&embedded[0]["price"], &price);
    }

    #[test]
    fn no_list_that_is_empty_deletes_anything(
        numbers in prop::collection::btree_set(1..40_u64, 0..6),
        in_klaviyo in prop::collection::btree_set(1..40_u64, 0..6),
    ) {
        let sku = |number: &u64| format!("S{number}");
        let beside = Beside {
            variants: numbers.iter().map(|number| variant(*number, &sku(number))).collect(),
            ..Beside::default()
        };
        let text = raw(&beside.complete(&bare()));
        let product = Product::read(&text).unwrap();
        let known: Vec<String> = in_klaviyo.iter().map(|number| compound_id(&sku(number))).collect();
        let mut obsolete = product.obsolete(known.iter().map(String::as_str));
        obsolete.sort_unstable();
        let mut expected: Vec<String> = in_klaviyo
            .difference(&numbers)
            .filter(|_| !numbers.is_empty())
            .map(|number| compound_id(&sku(number)))
            .collect();
        expected.sort_unstable();
        prop_assert_eq!(obsolete, expected);
    }
}
