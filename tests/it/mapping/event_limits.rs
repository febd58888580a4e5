//! Klaviyo's limits for an event: what fills them is sent, one more is not.

use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::config::sync::SyncConfig;
use klaviyo_bulk_import::mapping::order::{self, CategoryPaths, EventKind};
use serde_json::value::RawValue;
use serde_json::{Value, json};

struct NoCategories;

impl CategoryPaths for NoCategories {
    fn paths(&self, _: &str) -> Option<&[String]> {
        None
    }
}

/// Why an order with these members is skipped; "mapped" if it is not, and "left-out" if one of its other events is not sent.
fn skip_with(members: Value, options: &MappingOptions) -> &'static str {
    let mut order = json!({"id": "o", "customerId": "c", "createdAt": "2024-05-06T13:51:19.123Z"});
    let members = members.as_object().expect("an object").clone();
    order.as_object_mut().expect("an object").extend(members);
    let text = order.to_string();
    let text: &RawValue = serde_json::from_str(&text).expect("JSON");
    let mut out = Vec::new();
    match order::events(text, &NoCategories, options, false, None, &mut out) {
        Ok(events) => match (events.skipped, events.left_out) {
            (Some(skip), _) => skip.code(),
            (None, 0) => "mapped",
            (None, left_out) => {
                assert_eq!(left_out, 1);
                "left-out"
            }
        },
        Err(skip) => {
            assert!(out.is_empty(), "nothing is appended");
            skip.code()
        }
    }
}

fn skip_of(members: Value) -> &'static str {
    skip_with(members, &MappingOptions::default())
}

/// So many objects and arrays within one another.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!("bottom"), |inner, level| match level % 2 {
        0 => json!({"level": inner}),
        _ => json!([1, inner]),
    })
}

#[test]
fn ten_levels_are_sent_properties_included() {
    assert_eq!(skip_of(json!({"a": nested(9)})), "mapped");
    assert_eq!(skip_of(json!({"a": nested(10)})), "nested-too-deep");
    // lineItems, its array and the line item are three of them
    let line = |levels: usize| json!({"lineItems": [{"id": "l", "custom": nested(levels)}]});
    assert_eq!(skip_of(line(7)), "mapped");
    assert_eq!(skip_of(line(8)), "nested-too-deep");
}

#[test]
fn a_line_item_is_checked_by_itself_where_the_order_is_sent_without_them() {
    let config = json!({"order": {"properties": {"exclude": ["lineItems"]}}}).to_string();
    let options = MappingOptions {
        sync: SyncConfig::parse(&config).expect("it is valid"),
        ..MappingOptions::default()
    };
    let line = |levels: usize| json!({"lineItems": [{"id": "l", "custom": nested(levels)}]});
    assert_eq!(skip_with(line(9), &options), "mapped");
    assert_eq!(skip_with(line(10), &options), "left-out");
    let long = json!({"lineItems": [{"id": "l", "a": vec![0; 4_001]}]});
    assert_eq!(skip_with(long, &options), "left-out");
}

#[test]
fn arrays_of_4000_entries_are_sent() {
    assert_eq!(skip_of(json!({"a": {"b": vec!["[,"; 4_000]}})), "mapped");
    assert_eq!(
        skip_of(json!({"a": {"b": vec!["[,"; 4_001]}})),
        "array-too-long"
    );
}

#[test]
fn integers_of_64_bits_are_sent() {
    assert_eq!(skip_of(json!({"a": [i64::MAX, i64::MIN]})), "mapped");
    assert_eq!(skip_of(json!({"a": [u64::MAX]})), "integer-too-large");
    assert_eq!(skip_of(json!({"a": "18446744073709551616"})), "mapped");
}

#[test]
fn ids_of_255_characters_are_sent() {
    assert_eq!(skip_of(json!({"id": "é".repeat(255)})), "mapped");
    assert_eq!(skip_of(json!({"id": "é".repeat(256)})), "id-too-long");
    let line = |length: usize| json!({"lineItems": [{"id": "l".repeat(length)}]});
    assert_eq!(skip_of(line(255)), "mapped");
    assert_eq!(skip_of(line(256)), "left-out");
}

#[test]
fn a_profile_of_95000_bytes_is_sent() {
    let frame = r#"{"type":"profile","attributes":{"external_id":""}}"#.len();
    let customer = |bytes: usize| json!({"customerId": "c".repeat(bytes - frame)});
    let options = MappingOptions {
        // the properties have a limit of their own
        sync: SyncConfig::parse(r#"{"order":{"properties":{"exclude":["customerId"]}}}"#)
            .expect("it is valid"),
        ..MappingOptions::default()
    };
    assert_eq!(skip_with(customer(95_000), &options), "mapped");
    assert_eq!(skip_with(customer(95_001), &options), "too-large");
}

#[test]
fn what_exceeds_a_limit_costs_only_its_own_event() {
    let map = |order: &Value| {
        let text = order.to_string();
        let text: &RawValue = serde_json::from_str(&text).expect("JSON");
        let mut out = Vec::new();
        let options = MappingOptions::default();
        let events = order::events(text, &NoCategories, &options, false, None, &mut out);
        let events = events.expect("some events");
        let made: Vec<(EventKind, Value)> = events
            .events
            .iter()
            .map(|event| {
                let event_json: Value =
                    serde_json::from_slice(&event.pieces.join(&out)).expect("JSON");
                (event.kind, event_json["attributes"]["time"].clone())
            })
            .collect();
        (
            made,
            events.skipped.map(|skip| skip.code()),
            events.left_out,
        )
    };
    let order = |lines: Value, more: Value| {
        json!({
            "id": "o", "customerId": "c", "createdAt": "2024-05-06T13:51:19Z", "orderState": "Complete", "lineItems": lines,
            "custom": {"fields": {"more": more}},
        })
    };
    let time = |second: u8| json!(format!("2024-05-06T13:51:{second}Z"));
    let long = "x".repeat(256);
    // a line item's event is left out, and the others keep their times
    let lines = json!([{"id": "a"}, {"id": long}, {"id": "b"}]);
    let (made, skipped, left_out) = map(&order(lines, json!(1)));
    assert_eq!((skipped, left_out), (None, 1));
    let ordered = EventKind::OrderedProduct;
    let expected = vec![
        (EventKind::PlacedOrder, time(19)),
        (ordered, time(20)),
        (ordered, time(22)),
        (EventKind::FulfilledOrder, time(23)),
    ];
    assert_eq!(made, expected);
    // the order itself is too deep: its line items are sent, and it counts as skipped
    let lines = json!([{"id": "a"}, {"id": "b"}]);
    let (made, skipped, left_out) = map(&order(lines, nested(8)));
    assert_eq!((skipped, left_out), (Some("nested-too-deep"), 0));
    assert_eq!(made, vec![(ordered, time(20)), (ordered, time(21))]);
}
