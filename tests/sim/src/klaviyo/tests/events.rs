//! Events in batches.

use super::*;
use crate::klaviyo::{Choice, Pointers};
use crate::ledger::{Written, properties_digest};

const JOBS: &str = "/api/event-bulk-create-jobs";
const AT: &str = "/data/attributes/events-bulk-create/data/0/attributes";

fn order(n: usize) -> Value {
    json!({
        "metric": { "data": { "type": "metric", "attributes": { "name": "Placed Order" } } },
        "properties": { "orderNumber": n.to_string() },
        "time": "2026-03-01T10:00:00.500Z",
        "unique_id": format!("o{n}"),
        "value": 12.5,
        "value_currency": "EUR",
        "backfill": true,
    })
}

/// A batch of events of one profile.
fn batch_of(profile: &Value, events: &[Value]) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|attributes| json!({ "type": "event", "attributes": attributes }))
        .collect();
    let group = json!({
        "type": "event-bulk-create",
        "attributes": {
            "profile": { "data": { "type": "profile", "attributes": profile } },
            "events": { "data": events },
        },
    });
    json!({
        "data": {
            "type": "event-bulk-create-job",
            "attributes": { "events-bulk-create": { "data": [group] } },
        },
    })
}

fn batch(events: &[Value]) -> Value {
    batch_of(
        &json!({ "external_id": "c1", "email": "c1@shop.example" }),
        events,
    )
}

/// An order with one attribute changed; a null takes it away.
fn order_with(name: &str, value: Value) -> Value {
    let mut order = order(1);
    order[name] = value;
    order
}

#[test]
fn events_arrive_once() {
    let mut account = Account::new(Options {
        keep_properties: true,
        ..Options::default()
    });
    let answer = account.post(JOBS, &batch(&[order(1), order(2)]));
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::ACCEPTED, Value::Null)
    );
    account.wait(Duration::from_secs(1));
    account.post(
        JOBS,
        &batch(&[order(2), order_with("unique_id", json!("o3"))]),
    );
    let events = account.klaviyo.ledger().events();
    assert_eq!((events.len(), events.repeats()), (3, 1));
    let second = events.get("Placed Order", "c1", "o2").expect("there");
    assert_eq!((second.arrivals, second.contradicted), (2, false));
    assert_eq!(second.identifiers.email.as_deref(), Some("c1@shop.example"));
    assert_eq!(
        second.time.to_string(),
        "2026-03-01T10:00:00Z",
        "cut to the second"
    );
    assert_eq!(
        (second.value, second.value_currency.as_deref()),
        (Some(12.5), Some("EUR"))
    );
    assert!(second.backfill);
    let properties = second.properties.as_ref().expect("kept").get();
    assert_eq!(properties, r#"{"orderNumber":"2"}"#);
    assert_eq!(
        second.properties_digest,
        properties_digest(properties).expect("JSON")
    );
    let written = account.klaviyo.ledger().last_write(Written::Events);
    assert_eq!(written.map(Timestamp::as_second), Some(START + 1));

    account.post(JOBS, &batch(&[order_with("value", json!(13))]));
    let events = account.klaviyo.ledger().events();
    assert!(
        events
            .get("Placed Order", "c1", "o1")
            .expect("there")
            .contradicted
    );
}

#[test]
fn defaults_apply() {
    let mut account = Account::unlimited();
    let bare = json!({
        "metric": { "data": { "type": "metric", "attributes": { "name": "M" } } },
        "properties": {},
    });
    let mut body = batch(&[bare]);
    body["data"]["attributes"]["events-bulk-create"]["data"][0]["attributes"]["backfill"] =
        true.into();
    assert_eq!(account.post(JOBS, &body).status, StatusCode::ACCEPTED);
    let events = account.klaviyo.ledger().events();
    let event = events
        .get("M", "c1", &START.to_string())
        .expect("the second is its id");
    assert_eq!((event.time.as_second(), event.backfill), (START, true));
    assert!(event.properties.is_none());
}

#[test]
fn a_repeat_within_a_batch_refuses_it_whole() {
    let mut account = Account::unlimited();
    let at = format!("{AT}/events/data/1/attributes/unique_id");
    account.refused(JOBS, &batch(&[order(1), order(1)]), &[&at]);
    assert!(account.klaviyo.ledger().events().is_empty());
    let mut other = order(1);
    other["metric"]["data"]["attributes"]["name"] = "Fulfilled Order".into();
    assert_eq!(
        account.post(JOBS, &batch(&[order(1), other])).status,
        StatusCode::ACCEPTED
    );
}

#[test]
fn bad_values_refuse_the_batch_with_a_pointer() {
    let mut account = Account::unlimited();
    let nested = |depth: usize| {
        serde_json::from_str::<Value>(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)))
    };
    let many: serde_json::Map<String, Value> =
        (0..401).map(|n| (n.to_string(), n.into())).collect();
    let bad = [
        ("time", json!("1990-12-31T23:59:59Z")),
        ("time", json!("2028-01-16T00:00:00Z")),
        ("time", json!("yesterday")),
        ("value_currency", json!("eur")),
        ("value_currency", json!("EURO")),
        ("value", json!("12")),
        ("properties", json!([])),
        ("properties", Value::Null),
        ("properties", json!({ "x": ["x".repeat(100_001)] })),
        ("properties", many.into()),
        ("unique_id", json!(5)),
        ("currency", json!("EUR")),
        ("backfill", json!("true")),
    ];
    for (name, value) in bad {
        let at = format!("{AT}/events/data/1/attributes/{name}");
        account.refused(JOBS, &batch(&[order(2), order_with(name, value)]), &[&at]);
    }
    let fine = [
        ("time", json!("1991-01-01T00:00:00Z")),
        ("time", json!("2028-01-15T07:59:59+00:00")),
        ("properties", json!({ "x": "x".repeat(100_000) })),
        ("properties", json!({ "x": nested(50).expect("JSON") })),
        ("value_currency", Value::Null),
    ];
    for (name, value) in fine {
        let answer = account.post(JOBS, &batch(&[order_with(name, value)]));
        assert_eq!(
            answer.status,
            StatusCode::ACCEPTED,
            "{name}: {}",
            answer.body
        );
    }
}

#[test]
fn profiles_of_events_need_an_identifier() {
    let mut account = Account::unlimited();
    for (profile, place) in [
        (json!({}), ""),
        (json!({ "email": "" }), ""),
        (json!({ "email": "x" }), "/email"),
        (json!({ "phone_number": "123" }), "/phone_number"),
        (json!({ "external_id": "a", "age": 4 }), "/age"),
    ] {
        let at = format!("{AT}/profile/data/attributes{place}");
        account.refused(JOBS, &batch_of(&profile, &[order(1)]), &[&at]);
    }
    let answer = account.post(
        JOBS,
        &batch_of(&json!({ "anonymous_id": "a" }), &[order(1)]),
    );
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[test]
fn batches_are_bounded() {
    let mut account = Account::unlimited();
    let many = |count: usize| batch(&(0..count).map(order).collect::<Vec<_>>());
    let at = "/data/attributes/events-bulk-create/data";
    assert_eq!(
        account.post(JOBS, &many(1_000)).status,
        StatusCode::ACCEPTED
    );
    account.refused(JOBS, &many(1_001), &[at]);
    account.refused(JOBS, &many(0), &[at]);
    let text = "x".repeat(90_000);
    let large: Vec<Value> = (0..56)
        .map(|n| order_with("properties", json!({ "n": n, "text": text })))
        .collect();
    assert_eq!(
        account.post(JOBS, &batch(&large)).status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[test]
fn chosen_events_refuse_the_batch() {
    let mut account = Account::new(Options {
        refuse_events: Choice::ids(["o2"]),
        ..Options::default()
    });
    let body = batch(&[order(1), order(2)]);
    account.refused(JOBS, &body, &[&format!("{AT}/events/data/1")]);
    let list = AT.replace("/0/", "/");
    for (pointers, at) in [
        (Pointers::List, format!("{list}/events/data").as_str()),
        (Pointers::Request, "/data"),
        (Pointers::Nowhere, "nowhere"),
    ] {
        account.klaviyo.options_mut().pointers = pointers;
        account.refused(JOBS, &body, &[at]);
    }
    assert!(account.klaviyo.ledger().events().is_empty());
}

#[test]
fn a_batch_that_comes_again_counts_once() {
    let lines: Vec<Value> = (0..12)
        .map(|n| json!({ "id": n, "name": { "de-DE": "Tasche", "en-US": "Bag" }, "price": { "centAmount": n, "currencyCode": "EUR" }, "sku": format!("sku-{n}-{}", "x".repeat(40)) }))
        .collect();
    let events: Vec<Value> = (0..1_000)
        .map(|n| {
            let mut event = order(n);
            event["properties"] = json!({ "lineItems": lines, "n": n });
            event
        })
        .collect();
    let body = Bytes::from(batch(&events).to_string());
    assert!(
        (1_500_000..5_000_000).contains(&body.len()),
        "{}",
        body.len()
    );
    let mut account = Account::unlimited();
    let request = request("POST", JOBS, body);
    for _ in 0..20 {
        let answer = account.klaviyo.answer(account.now, &request);
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    assert_eq!(account.klaviyo.ledger().events().repeats(), 19_000);
}
