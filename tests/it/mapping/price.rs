//! Prices of variants: which is sent, and which are listed.

use std::collections::HashMap;

use insta::assert_json_snapshot;
use jiff::Timestamp;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::mapping::product::Write;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::products::{NOW, cents, item, now, only_variant, options, product_of};

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
