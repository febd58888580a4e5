//! Orders, imported by the built component.

use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::Choice;
use sim::seed::Kind;

use crate::support::{Setup, Shop, calls};

#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_as_events_through_many_windows() {
    let shop = Shop::open(
        Setup::orders(800)
            .variable("id_ranges", "2")
            .variable("window_seconds", "1")
            .latency_ms(300),
    )
    .await;
    shop.start("orders", "").await;
    let status = shop.completed("orders").await;
    assert!(status["window"].as_u64() >= Some(2), "{status}");
    assert_eq!(status["counts"]["read"], 800);
    assert!(
        status["counts"]["skipped"]["no-identifier"].as_u64() > Some(0),
        "{status}"
    );
    shop.assert_ledger(&[Kind::Order]);
    shop.world.klaviyo(|klaviyo| {
        assert!(
            klaviyo
                .ledger()
                .events()
                .iter()
                .all(|(_, event)| event.backfill),
            "history would trigger flows"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_start_id_on_nothing_before_it_and_nothing_lost() {
    let shop = Shop::open(Setup::orders(300)).await;
    let ids: Vec<String> = shop
        .world
        .commercetools(|project| project.ids(Kind::Order))
        .iter()
        .map(ToString::to_string)
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    let start = &sorted[200];
    shop.start(
        "orders",
        &serde_json::json!({"startId": start, "triggerFlows": true}).to_string(),
    )
    .await;
    let status = shop.completed("orders").await;
    assert_eq!(status["counts"]["read"], 100, "{status}");
    shop.world.klaviyo(|klaviyo| {
        let events = klaviyo.ledger().events();
        for (at, id) in sorted.iter().enumerate() {
            let placed = events
                .iter()
                .any(|(key, _)| &*key.metric == "Placed Order" && *key.unique_id == **id);
            let skipped = status["setAside"]
                .as_array()
                .is_some_and(|list| list.iter().any(|r| r["id"] == **id));
            assert_eq!(placed, at >= 200 && !skipped, "order {at}");
        }
        assert!(
            events.iter().all(|(_, event)| !event.backfill),
            "triggerFlows was asked for"
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_orders_asked_for() {
    let shop = Shop::open(Setup::orders(200)).await;
    let ids: Vec<String> = shop
        .world
        .commercetools(|project| project.ids(Kind::Order))
        .iter()
        .step_by(3)
        .map(ToString::to_string)
        .collect();
    shop.start("orders", &serde_json::json!({"ids": ids}).to_string())
        .await;
    let status = shop.completed("orders").await;
    assert_eq!(status["counts"]["read"], ids.len());
    shop.world.klaviyo(|klaviyo| {
        let placed = klaviyo
            .ledger()
            .events()
            .iter()
            .filter(|(key, _)| &*key.metric == "Placed Order");
        assert!(
            placed
                .into_iter()
                .all(|(key, _)| ids.iter().any(|id| **id == *key.unique_id))
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_klaviyo_refuses_cost_their_order_only() {
    for points in [true, false] {
        let mut setup = Setup::orders(120);
        let world = setup.world().await;
        let order = world.commercetools(|project| project.ids(Kind::Order))[5].to_string();
        drop(world);
        setup.klaviyo.refuse_events = Choice::ids([order.clone()]);
        setup.klaviyo.point_at_records = points;
        let shop = Shop::open(setup).await;
        shop.start("orders", "").await;
        let status = shop.completed("orders").await;
        assert_eq!(status["counts"]["failed"], 1, "{status}");
        let failed = status["setAside"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|record| record["outcome"] == "failed");
        assert_eq!(failed.expect("it is in the report")["id"], order.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_doubles_nothing() {
    let shop = Shop::open(Setup::orders(150)).await;
    for _ in 0..2 {
        shop.start("orders", "").await;
        shop.completed("orders").await;
    }
    shop.assert_ledger(&[Kind::Order]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_beyond_klaviyos_limits_is_skipped_with_the_reason_and_the_rest_goes_on() {
    let shop = Shop::open(Setup::orders(120)).await;
    let orders = shop.world.commercetools(|project| project.ids(Kind::Order));
    let now = shop.world.clock().now();
    let change = |order: usize, act: &dyn Fn(&mut Value)| {
        let id = orders[order];
        let is_there = shop.world.commercetools(|project| {
            project.change(Kind::Order, id, now, |order| {
                order["customerEmail"] = "somebody@example.com".into();
                act(order);
            })
        });
        assert!(is_there);
        id.to_string()
    };
    let with_fields = |order: &mut Value, fields: Value| {
        order["custom"] = json!({"type": {"typeId": "type", "id": "t"}, "fields": fields});
    };
    let long = change(10, &|order| {
        with_fields(order, json!({"note": "x".repeat(100_001)}));
    });
    let many = change(60, &|order| {
        let fields = (0..400).map(|field| (format!("field-{field}"), json!("x")));
        with_fields(order, fields.collect());
    });
    let large = change(110, &|order| {
        let fields = (0..100).map(|field| (format!("field-{field}"), json!("x".repeat(60_000))));
        with_fields(order, fields.collect());
    });
    shop.start("orders", "").await;
    let status = shop.completed("orders").await;
    assert_eq!(status["counts"]["read"], 120);
    assert_eq!(status["counts"]["failed"], 0, "{status}");
    for (id, code) in [
        (long, "string-too-long"),
        (many, "too-many-properties"),
        (large, "event-too-large"),
    ] {
        assert_eq!(status["counts"]["skipped"][code], 1, "{status}");
        let list = status["setAside"].as_array().expect("a list");
        assert!(list.iter().any(|record| record["id"] == *id), "{id}");
        // the rest is compared without it
        shop.world
            .commercetools(|project| project.delete(Kind::Order, id.parse().expect("an id")));
    }
    shop.assert_ledger(&[Kind::Order]);
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_looked_up_by_the_page_and_a_failure_to_do_so_is_not_taken_for_none() {
    let mut setup = Setup::orders(600);
    setup.sizes.products = 400;
    let shop = Shop::open(setup).await;
    let faults = shop.world.commercetools_faults();
    for (fault, nth) in [
        (Fault::LoseAnswer, 1),
        (Fault::HalfAnswer, 2),
        (Fault::refuse(503), 3),
    ] {
        for path in ["/product-projections", "/categories"] {
            faults.add(Rule::nth(nth, fault.clone()).path(path));
        }
    }
    shop.start("orders", "").await;
    shop.completed("orders").await;
    assert!(faults.applied() >= 4);
    // a chunk of 100 at a time, and what is known is not asked again
    let server = shop.world.commercetools_server();
    for path in ["product-projections", "categories"] {
        let lookups = calls(server, &format!("GET /sim-shop/{path}"));
        assert!((1..40).contains(&lookups), "{path}: {lookups}");
    }
    shop.assert_ledger(&[Kind::Order]);
}
