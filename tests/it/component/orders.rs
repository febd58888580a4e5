//! Orders, imported by the built component.

use native::operator::reported;
use native::{Operator, Setup};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Choice, Pointers};
use sim::seed::Kind;

use crate::support::component::Shop;

/// The ids of the orders of which Klaviyo has that they were placed.
fn placed(shop: &Shop) -> Vec<String> {
    shop.world.klaviyo(|klaviyo| {
        let events = klaviyo.ledger().events().iter();
        let placed = events.filter(|(key, _)| &*key.metric == "Placed Order");
        placed.map(|(key, _)| key.unique_id.to_string()).collect()
    })
}

/// Whether Klaviyo takes all events for history, or none of them.
fn assert_backfill(shop: &Shop, backfill: bool) {
    shop.world.klaviyo(|klaviyo| {
        let mut events = klaviyo.ledger().events().iter();
        assert!(events.all(|(_, event)| event.backfill == backfill));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_arrive_as_events_through_many_windows() {
    let setup = Setup::orders(800)
        .variable("id_ranges", 2)
        .variable("window_seconds", 1)
        .latency_ms(300);
    let shop = Shop::open(setup).await;
    shop.start("orders", "").await;
    let status = shop.completed("orders").await;
    assert!(status["window"].as_u64() >= Some(2), "{status}");
    assert_eq!(status["counts"]["read"], 800);
    assert!(
        status["counts"]["skipped"]["no-identifier"].as_u64() > Some(0),
        "{status}"
    );
    shop.assert_ledger(&[Kind::Order]);
    // history does not trigger flows
    assert_backfill(&shop, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_start_id_on_nothing_before_it_and_nothing_lost() {
    let shop = Shop::open(Setup::orders(300)).await;
    let mut ids = shop.ids(Kind::Order);
    ids.sort_unstable();
    let body = json!({"startId": ids[200], "triggerFlows": true});
    shop.start("orders", body).await;
    let status = shop.completed("orders").await;
    assert_eq!(status["counts"]["read"], 100, "{status}");
    let (placed, reported) = (placed(&shop), reported(&status));
    for (at, id) in ids.iter().enumerate() {
        let is_expected = at >= 200 && !reported.contains(id);
        assert_eq!(placed.contains(id), is_expected, "order {at}");
    }
    assert_backfill(&shop, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_orders_asked_for() {
    let shop = Shop::open(Setup::orders(200)).await;
    let ids: Vec<String> = shop.ids(Kind::Order).into_iter().step_by(3).collect();
    shop.start("orders", json!({"ids": ids})).await;
    let status = shop.completed("orders").await;
    assert_eq!(status["counts"]["read"], ids.len());
    let placed = placed(&shop);
    assert!(!placed.is_empty() && placed.iter().all(|id| ids.contains(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_klaviyo_refuses_cost_their_order_only() {
    for pointers in [Pointers::Record, Pointers::Nowhere] {
        let mut setup = Setup::orders(120);
        setup.klaviyo.pointers = pointers;
        let shop = Shop::open(setup).await;
        let order = shop.ids(Kind::Order).swap_remove(5);
        shop.world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_events = Choice::ids([order.clone()]);
        });
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
    let orders = shop.ids(Kind::Order);
    let change = |order: usize, act: &dyn Fn(&mut Value)| {
        let id = &orders[order];
        shop.change_record(Kind::Order, id, |order| {
            order["customerEmail"] = "somebody@example.com".into();
            act(order);
        });
        id
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
        assert!(reported(&status).contains(id), "{id}");
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
        for path in ["/graphql", "/categories"] {
            faults.add(Rule::nth(nth, fault.clone()).path(path));
        }
    }
    shop.start("orders", "").await;
    shop.completed("orders").await;
    assert!(faults.applied() >= 4);
    // a chunk of 100 at a time, and what is known is not asked again
    let server = shop.world.commercetools_server();
    for call in ["POST /sim-shop/graphql", "GET /sim-shop/categories"] {
        let lookups = server.calls_of(call);
        assert!((1..40).contains(&lookups), "{call}: {lookups}");
    }
    shop.assert_ledger(&[Kind::Order]);
}
