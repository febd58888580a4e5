//! Orders as events.

use std::collections::{BTreeMap, HashSet};

use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::mapping::Skip;
use klaviyo_bulk_import::mapping::order::{self, CategoryPaths, EventKind, OrderEvents};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::records::any_json;

#[derive(Default)]
struct Catalog(BTreeMap<String, Vec<String>>);

impl Catalog {
    fn with(products: &[(&str, &[&[&str]])]) -> Self {
        let names =
            |category: &[&str]| category.iter().map(ToString::to_string).collect::<Vec<_>>();
        let paths = |categories: &[&[&str]]| {
            categories
                .iter()
                .flat_map(|one| order::paths(&names(one)).collect::<Vec<_>>())
                .collect()
        };
        Self(
            products
                .iter()
                .map(|(id, categories)| (id.to_string(), paths(categories)))
                .collect(),
        )
    }
}

impl CategoryPaths for Catalog {
    fn paths(&self, product_id: &str) -> Option<&[String]> {
        self.0.get(product_id).map(Vec::as_slice)
    }
}

struct Mapped {
    events: OrderEvents,
    documents: Vec<String>,
}

impl Mapped {
    fn json(&self) -> Vec<Value> {
        self.documents
            .iter()
            .map(|document| serde_json::from_str(document).unwrap())
            .collect()
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.events.events.iter().map(|event| event.kind).collect()
    }

    fn times(&self) -> Vec<String> {
        self.json()
            .iter()
            .map(|event| event["attributes"]["time"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn map_with(
    order: &str,
    catalog: &Catalog,
    options: &MappingOptions,
    trigger_flows: bool,
) -> Result<Mapped, Skip> {
    let order: &RawValue = serde_json::from_str(order).unwrap();
    let mut out = b"before".to_vec();
    match order::events(order, catalog, options, trigger_flows, None, &mut out) {
        Ok(events) => {
            let documents = events
                .events
                .iter()
                .map(|event| String::from_utf8(event.pieces.join(&out)).unwrap())
                .collect();
            assert!(out.starts_with(b"before"), "it is appended");
            Ok(Mapped { events, documents })
        }
        Err(skip) => {
            assert_eq!(
                out, b"before",
                "nothing is appended for an order that is skipped"
            );
            Err(skip)
        }
    }
}

fn map(order: &Value) -> Mapped {
    map_with(
        &order.to_string(),
        &Catalog::default(),
        &MappingOptions::default(),
        false,
    )
    .unwrap()
}

fn skip_of(order: &Value) -> &'static str {
    match map_with(
        &order.to_string(),
        &Catalog::default(),
        &MappingOptions::default(),
        false,
    ) {
        Ok(Mapped { events, .. }) => match (events.skipped, events.left_out) {
            (Some(skip), _) => skip.code(),
            (None, 0) => "mapped",
            (None, _) => "left-out",
        },
        Err(skip) => skip.code(),
    }
}

fn euros(cents: i64) -> Value {
    json!({"type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2})
}

fn line(id: &str, product: &str, name: Value) -> Value {
    json!({"id": id, "productId": product, "name": name, "quantity": 2, "discounted": null, "totalPrice": euros(1999)})
}

/// The members that each order needs, and these.
fn order_with(others: Value) -> Value {
    let mut order = json!({"id": "o1", "customerEmail": "clara@example.com", "createdAt": "2024-05-06T13:51:19.123Z"});
    order
        .as_object_mut()
        .unwrap()
        .extend(others.as_object().unwrap().clone());
    order
}

/// Names of snapshots and the orders in them.
fn orders() -> Vec<(&'static str, Value)> {
    vec![
        (
            "complete_with_two_lines",
            order_with(json!({
                "customerId": "c1", "version": 3, "orderNumber": "1001", "orderState": "Complete", "totalPrice": euros(3998),
                "taxedPrice": null, "inventoryMode": "", "lastMessageSequenceNumber": 0, "anonymous": false,
                "syncInfo": [], "origin": "Customer", "refusedGifts": {},
                "lineItems": [
                    line("l1", "p2", json!({"fr-FR": "Couteau & étui 224", "de-DE": "Messer"})),
                    line("l2", "p1", json!({"ja-JP": "包丁です"})),
                ],
                "custom": {"type": {"typeId": "type", "id": "t"}, "fields": {"gift": true, "note": "", "points": 0}},
            })),
        ),
        ("without_anything_else", order_with(json!({}))),
        (
            "cancelled",
            order_with(json!({"orderState": "Cancelled", "totalPrice": euros(100)})),
        ),
        (
            "open",
            order_with(json!({"orderState": "Open", "lineItems": []})),
        ),
        (
            "yen_and_dinars",
            order_with(json!({
                "totalPrice": {"type": "centPrecision", "currencyCode": "JPY", "centAmount": 12152, "fractionDigits": 0},
                "lineItems": [{"id": "l", "totalPrice":
                    {"type": "centPrecision", "currencyCode": "KWD", "centAmount": 25206, "fractionDigits": 3}}]
            })),
        ),
        (
            "high_precision",
            order_with(
                json!({"totalPrice": {"type": "highPrecision", "currencyCode": "JPY", "centAmount": 9303,
                "preciseAmount": 9_303_456, "fractionDigits": 3}}),
            ),
        ),
        ("a_customer_without_an_email", {
            let mut order = order_with(json!({"customerId": "c1"}));
            order.as_object_mut().unwrap().remove("customerEmail");
            order
        }),
        (
            "custom_line_items_and_repeated_names",
            order_with(json!({
                "lineItems": [line("l1", "p", json!({"en": "Knife"})), line("l2", "p", json!({"en": "Knife"})), line("l3", "p", json!({}))],
                "customLineItems": [{"id": "k1", "name": {"en": "Gift wrap"}}, {"id": "k2", "name": {"en": "Knife"}}, 7, {"name": null}],
            })),
        ),
        (
            "names_that_meet",
            order_with(json!({
                "ItemNames": "of the order", "state": "order", "totalPrice": euros(1),
                "custom": {"fields": {"state": "custom", "Categories": ["custom"], "id": "custom id"}},
            })),
        ),
        (
            "in_another_time_zone_at_the_end_of_a_year",
            order_with(
                json!({"createdAt": "2024-01-01T00:59:59.999+01:00", "orderState": "Complete"}),
            ),
        ),
        (
            "unicode",
            order_with(json!({"purchaseOrderNumber": "\u{1f52a} \"quoted\" \\ \n",
                "lineItems": [line("l1", "p", json!({"de": "Messer \"scharf\" 🔪"}))]})),
        ),
        (
            "wrong_shapes",
            order_with(
                json!({"totalPrice": "12", "lineItems": {"a": 1}, "customLineItems": "x", "custom": [], "orderState": 5,
                "customerId": 7}),
            ),
        ),
    ]
}

#[test]
fn whole_events() {
    let catalog = Catalog::with(&[
        ("p1", &[&["Women", "Pants", "Jeans"], &["Sale"]]),
        ("p2", &[&["Women", "Pants"], &["Women", "Dresses > Long"]]),
    ]);
    for (name, order) in orders() {
        let mapped = map_with(
            &order.to_string(),
            &catalog,
            &MappingOptions::default(),
            false,
        )
        .unwrap();
        let profile: Value = serde_json::from_str(&mapped.events.profile).unwrap();
        insta::assert_json_snapshot!(name, json!({"profile": profile, "events": mapped.json()}));
    }
}

#[test]
fn a_complete_order_with_two_lines_has_events_a_second_apart() {
    use EventKind::{FulfilledOrder, OrderedProduct, PlacedOrder};
    let (_, order) = orders().remove(0);
    let mapped = map(&order);
    assert_eq!(
        mapped.kinds(),
        [PlacedOrder, OrderedProduct, OrderedProduct, FulfilledOrder]
    );
    let expected =
        ["13:51:19", "13:51:20", "13:51:21", "13:51:22"].map(|time| format!("2024-05-06T{time}Z"));
    assert_eq!(mapped.times(), expected);
    let documents = mapped.json();
    let ids: Vec<_> = documents
        .iter()
        .map(|event| &event["attributes"]["unique_id"])
        .collect();
    assert_eq!(ids, ["o1", "l1", "l2", "o1"]);
}

#[test]
fn categories_stand_in_the_order_of_the_product_ids_without_repeats() {
    let catalog = Catalog::with(&[
        ("p1", &[&["Women", "Pants", "Jeans"]]),
        ("p2", &[&["Sale"], &["Women", "Pants"]]),
        ("p3", &[]),
    ]);
    let items = ["p2", "gone", "p1", "p2", "p3"].iter().enumerate();
    let lines: Vec<Value> = items
        .map(|(n, product)| line(&format!("l{n}"), product, json!({})))
        .collect();
    let order = order_with(json!({"lineItems": lines})).to_string();
    let raw: &RawValue = serde_json::from_str(&order).unwrap();
    assert_eq!(order::product_ids(raw), ["p2", "gone", "p1", "p3"]);
    let mapped = map_with(&order, &catalog, &MappingOptions::default(), false).unwrap();
    let expected = json!(["Women", "Women > Pants", "Women > Pants > Jeans", "Sale"]);
    assert_eq!(
        mapped.json()[0]["attributes"]["properties"]["Categories"],
        expected
    );
    let gone = map_with(
        &order,
        &Catalog::default(),
        &MappingOptions::default(),
        false,
    )
    .unwrap();
    assert_eq!(
        gone.json()[0]["attributes"]["properties"]["Categories"],
        json!([])
    );
}

#[test]
fn rules_states_metrics_and_the_locale_are_the_configured_ones() {
    let mut options = MappingOptions {
        preferred_locale: Some("de-AT".to_owned()),
        ..MappingOptions::default()
    };
    let rules = &mut options.sync.order;
    rules.states.fulfilled = vec!["Shipped".to_owned()];
    rules.states.cancelled = vec!["Shipped".to_owned()];
    rules.metrics.placed = "Bestellt \"neu\"".to_owned();
    rules.properties.include = vec!["id".to_owned(), "orderState".to_owned()];
    rules
        .properties
        .map
        .insert("orderState".to_owned(), "status".to_owned());
    rules.custom_fields.exclude = vec!["secret".to_owned()];
    let order = order_with(
        json!({"orderState": "Shipped", "custom": {"fields": {"secret": 1, "gift": true}},
        "lineItems": [line("l1", "p", json!({"en": "Knife", "de": "Messer"}))]}),
    );
    let mapped = map_with(&order.to_string(), &Catalog::default(), &options, false).unwrap();
    use EventKind::{CancelledOrder, FulfilledOrder, OrderedProduct, PlacedOrder};
    assert_eq!(
        mapped.kinds(),
        [PlacedOrder, OrderedProduct, FulfilledOrder, CancelledOrder]
    );
    let placed = &mapped.json()[0]["attributes"];
    assert_eq!(
        placed["metric"]["data"]["attributes"]["name"],
        "Bestellt \"neu\""
    );
    let expected = json!({"id": "o1", "status": "Shipped", "gift": true, "ItemNames": ["Messer"], "Categories": []});
    assert_eq!(placed["properties"], expected);
}

#[test]
fn only_without_flows_are_events_history() {
    let order = order_with(json!({"lineItems": [line("l1", "p", json!({}))]})).to_string();
    for (trigger_flows, backfill) in [(false, Some(&Value::Bool(true))), (true, None)] {
        let mapped = map_with(
            &order,
            &Catalog::default(),
            &MappingOptions::default(),
            trigger_flows,
        )
        .unwrap();
        for event in mapped.json() {
            assert_eq!(event["attributes"].get("backfill"), backfill);
        }
    }
}

#[test]
fn values_are_copied_byte_for_byte() {
    let item = r#"{ "id":"l", "z":1.10, "a" : 1e999, "n":null, "big":-9223372036854775808, "s":"\u00e9\/\ud800" }"#;
    let order = format!(
        r#"{{"id":"o","customerId":"c","createdAt":"2024-05-06T13:51:19Z","zero":0.00,"z":[ 1.10 , -0.0],"lineItems":[{item}],"a":"\ud800"}}"#
    );
    let mapped = map_with(
        &order,
        &Catalog::default(),
        &MappingOptions::default(),
        true,
    )
    .unwrap();
    let head = |metric: &str, second: u32, id: &str| {
        format!(
            r#"{{"type":"event","attributes":{{"metric":{{"data":{{"type":"metric","attributes":{{"name":"{metric}"}}}}}},"time":"2024-05-06T13:51:{second}Z","unique_id":"{id}","properties":"#
        )
    };
    let placed = format!(
        r#"{}{{"id":"o","customerId":"c","createdAt":"2024-05-06T13:51:19Z","z":[ 1.10 , -0.0],"lineItems":[{item}],"a":"\ud800","ItemNames":[],"Categories":[]}}}}}}"#,
        head("Placed Order", 19, "o")
    );
    assert_eq!(
        mapped.documents,
        [
            placed,
            format!("{}{item}}}}}", head("Ordered Product", 20, "l"))
        ]
    );
}

#[test]
fn an_order_that_has_no_profile_or_lacks_what_events_need_is_skipped() {
    let without = |key: &str| {
        let mut order = order_with(json!({}));
        order.as_object_mut().unwrap().remove(key);
        order
    };
    assert_eq!(skip_of(&without("customerEmail")), "no-identifier");
    assert_eq!(
        skip_of(&order_with(json!({"customerEmail": ""}))),
        "no-identifier"
    );
    for order in [
        without("id"),
        without("createdAt"),
        order_with(json!({"createdAt": "yesterday"})),
        // the second event would be after the end of time
        order_with(
            json!({"createdAt": "9999-12-30T22:00:00Z", "lineItems": [line("l", "p", json!({}))]}),
        ),
        order_with(json!({"lineItems": [{"productId": "p"}]})),
        order_with(json!({"lineItems": [null]})),
        order_with(json!({"lineItems": [line("l", "p", json!({})), line("l", "p", json!({}))]})),
        json!([]),
    ] {
        assert_eq!(skip_of(&order), "malformed");
    }
}

#[test]
fn an_event_beyond_a_limit_is_left_out_and_one_at_the_limit_is_not() {
    let fields = |count: usize| {
        (0..count)
            .map(|n| (format!("f{n}"), json!(n + 1)))
            .collect::<serde_json::Map<_, _>>()
    };
    // id, customerEmail, createdAt, custom, ItemNames and Categories beside them
    assert_eq!(
        skip_of(&order_with(json!({"custom": {"fields": fields(394)}}))),
        "mapped"
    );
    assert_eq!(
        skip_of(&order_with(json!({"custom": {"fields": fields(395)}}))),
        "too-many-properties"
    );
    let mut item = fields(399);
    item.insert("id".to_owned(), json!("l"));
    assert_eq!(skip_of(&order_with(json!({"lineItems": [item]}))), "mapped");
    item.insert("one more".to_owned(), json!(1));
    assert_eq!(
        skip_of(&order_with(json!({"lineItems": [item]}))),
        "left-out"
    );

    let text = |bytes: usize| json!({"lineItems": [{"id": "l", "variant": [{"deep": "\\\"é\n".repeat(bytes / 5)}]}]});
    assert_eq!(skip_of(&order_with(text(100_000))), "mapped");
    assert_eq!(skip_of(&order_with(text(100_005))), "string-too-long");
    assert_eq!(
        skip_of(&order_with(
            json!({"custom": {"fields": {"k".repeat(100_001): 1}}})
        )),
        "string-too-long"
    );

    let many = |count: usize| json!({"syncInfo": vec!["x".repeat(9_997); count]});
    assert_eq!(skip_of(&order_with(many(499))), "mapped");
    assert_eq!(skip_of(&order_with(many(500))), "event-too-large");
}

const WORDS: &[&str] = &[
    "id",
    "customerEmail",
    "customerId",
    "createdAt",
    "orderState",
    "Complete",
    "totalPrice",
    "lineItems",
    "customLineItems",
    "name",
    "custom",
    "fields",
    "productId",
    "2024-05-06T13:51:19Z",
    "ItemNames",
    "centAmount",
    "currencyCode",
    "fractionDigits",
];

proptest! {
    #[test]
    fn any_json_becomes_json_or_a_reason(inner in any_json(WORDS), members in any_json(WORDS)) {
        let others = members.strip_prefix('{').and_then(|members| members.strip_suffix('}')).filter(|members| !members.is_empty());
        let order = match others {
            Some(others) => format!(
                r#"{{"customLineItems":[{inner}],"totalPrice":{inner},{others},"custom":{{"fields":{inner}}},"lineItems":[{{"name":{inner},"id":"l"}}],"id":"o","customerId":"c","createdAt":"2024-05-06T13:51:19Z"}}"#
            ),
            None => inner,
        };
        if let Ok(mapped) = map_with(&order, &Catalog::default(), &MappingOptions::default(), false) {
            for document in mapped.documents.iter().chain([&mapped.events.profile]) {
                prop_assert!(serde_json::from_str::<&RawValue>(document).is_ok(), "{}", document);
            }
        }
    }

    #[test]
    fn events_are_one_second_apart_from_the_second_of_the_order(millis in 631_152_000_000_i64..4_102_444_800_000, lines in 0_usize..12, complete: bool) {
        let created_at = jiff::Timestamp::from_millisecond(millis).unwrap();
        let lines: Vec<Value> = (0..lines).map(|n| line(&format!("l{n}"), "p", json!({}))).collect();
        let state = if complete { "Complete" } else { "Open" };
        let expected = 1 + lines.len() + usize::from(complete);
        let mapped = map(&order_with(json!({"createdAt": created_at.to_string(), "lineItems": lines, "orderState": state})));
        let times: Vec<i64> = mapped.times().iter().map(|time| time.parse::<jiff::Timestamp>().unwrap().as_second()).collect();
        prop_assert_eq!(times, (0..expected as i64).map(|n| millis / 1000 + n).collect::<Vec<_>>());
        prop_assert!(mapped.times().iter().all(|time| time.len() == "2024-05-06T13:51:19Z".len()));
    }

    #[test]
    fn categories_are_every_prefix_once(categories in prop::collection::vec(prop::collection::vec("[a-c]", 1..4), 0..6)) {
        let borrowed: Vec<Vec<&str>> = categories.iter().map(|names| names.iter().map(String::as_str).collect()).collect();
        let slices: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
        let catalog = Catalog::with(&[("p", &slices)]);
        let order = order_with(json!({"lineItems": [line("l", "p", json!({}))]})).to_string();
        let mapped = map_with(&order, &catalog, &MappingOptions::default(), false).unwrap();
        let sent: Vec<String> = serde_json::from_value(mapped.json()[0]["attributes"]["properties"]["Categories"].clone()).unwrap();
        let sent_once: HashSet<String> = sent.iter().cloned().collect();
        let expected: HashSet<String> = categories.iter().flat_map(|names| (1..=names.len()).map(|depth| names[..depth].join(" > "))).collect();
        prop_assert_eq!(sent.len(), sent_once.len());
        prop_assert_eq!(sent_once, expected);
        for (place, path) in sent.iter().enumerate() {
            if let Some((parent, _)) = path.rsplit_once(" > ") {
                prop_assert!(sent[..place].iter().any(|earlier| earlier == parent));
            }
        }
    }
}
