//! Refunds: one event for an order whose payments have successful ones, where they are wanted.

use std::time::Duration;

use native::{Operator, Setup, Shop};
use serde_json::json;
use sim::seed::{Beside, Kind, refund};

use crate::support::described::run;

const PAYMENTS: &str = "GET /sim-shop/payments";

fn setup() -> Setup {
    Setup::orders(120).scheduled()
}

fn refunds(shop: &Shop) -> usize {
    shop.world.klaviyo(|klaviyo| {
        let events = klaviyo.ledger().events().iter();
        events
            .filter(|(key, _)| &*key.metric == "Refunded Order")
            .count()
    })
}

fn calls_of(shop: &Shop, call: &str) -> u64 {
    shop.world.commercetools_server().calls_of(call)
}

#[test]
fn refunds_are_sent_once_where_they_are_wanted() {
    run(setup(), async |shop| {
        shop.complete("orders", "").await;
        assert_eq!((refunds(&shop), calls_of(&shop, PAYMENTS)), (0, 0));
        shop.assert_ledger(&[Kind::Order]);
    });
    let mut wanted = setup().variable("refunds", true);
    wanted.refunds = true;
    run(wanted, async |shop| {
        for _ in 0..2 {
            let status = shop.complete("orders", "").await;
            assert_eq!(status["counts"]["failed"], 0, "{status}");
            shop.assert_ledger(&[Kind::Order]);
        }
        let refunds = refunds(&shop);
        assert!((10..40).contains(&refunds), "{refunds} of 120 orders");
    });
}

#[test]
fn a_refund_has_the_sum_of_the_successful_ones_and_the_moment_of_the_last() {
    let mut wanted = setup().variable("refunds", true);
    wanted.refunds = true;
    run(wanted, async |shop| {
        let order = shop.ids(Kind::Order)[5].clone();
        let at = |text: &str| text.parse().expect("a moment");
        let mut pending = refund("c", 9_999, "EUR", at("2024-06-03T10:00:00Z"));
        pending["state"] = "Pending".into();
        let payment = json!({
            "id": "0000000a-0000-4000-8000-00000000000a", "version": 1, "createdAt": "2024-01-01T00:00:00.000Z",
            "lastModifiedAt": "2024-06-03T10:00:00.000Z", "paymentMethodInfo": {}, "paymentStatus": {},
            "interfaceInteractions": [],
            "amountPlanned": {"type": "centPrecision", "currencyCode": "EUR", "centAmount": 9_999, "fractionDigits": 2},
            "transactions": [
                refund("a", 1_050, "EUR", at("2024-06-02T10:00:00.700Z")),
                refund("b", 500, "EUR", at("2024-06-01T10:00:00Z")),
                pending,
            ],
        });
        shop.world
            .commercetools(|project| project.put_beside(Beside::Payment, &payment));
        shop.change_record(Kind::Order, &order, |record| {
            record["paymentInfo"] = json!({"payments": [{"typeId": "payment", "id": payment["id"]}]});
            record["totalPrice"] = json!({"type": "centPrecision", "currencyCode": "EUR", "centAmount": 5_000, "fractionDigits": 2});
            record["customerEmail"] = "jane@shop.example".into();
            let members = record.as_object_mut().expect("an object");
            members.shift_remove("customerId");
        });
        shop.complete("orders", &json!({"ids": [order]}).to_string())
            .await;
        shop.world.klaviyo(|klaviyo| {
            let events = klaviyo.ledger().events();
            let placed = events
                .get("Placed Order", "jane@shop.example", &order)
                .expect("an event");
            let refunded = events
                .get("Refunded Order", "jane@shop.example", &order)
                .expect("an event");
            assert_eq!(refunded.value, Some(15.5));
            assert_eq!(refunded.value_currency.as_deref(), Some("EUR"));
            assert_eq!(refunded.time.to_string(), "2024-06-02T10:00:00Z");
            assert_eq!(refunded.properties_digest, placed.properties_digest);
        });
    });
}

#[test]
fn without_the_scope_the_run_says_what_is_missing() {
    let setup = Setup::orders(120).variable("refunds", true);
    let setup = setup.variable("ct_scope", "");
    run(setup, async |shop| {
        shop.world.commercetools(|project| {
            project.set_client_scopes(&[
                "view_orders",
                "view_products",
                "manage_key_value_documents",
            ]);
        });
        let status = shop.import("orders", "").await;
        assert_eq!(status["status"], "failed", "{status}");
        let message = status["lastError"]["message"].as_str().expect("a message");
        assert!(message.contains("query payments of orders"), "{message}");
        let check = shop.read("/sync/check").await;
        let line = crate::support::views::line(&check, "commercetools: scope for payments");
        assert_eq!(line["state"], "failed", "{line}");
    });
}

#[test]
fn a_payment_that_changed_brings_its_order_and_each_event_arrives_once() {
    let mut wanted = setup().variable("refunds", true);
    wanted.refunds = true;
    run(wanted, async |shop| {
        shop.complete("orders", "").await;
        shop.pass(Duration::from_secs(3_600)).await;
        let (before, now) = (refunds(&shop), shop.world.clock().now());
        // an order without a refund gets one, and is not modified by that
        let found = shop.world.commercetools(|project| {
            let ids = project.ids(Kind::Order);
            ids.into_iter().find_map(|id| {
                let order = project.record(Kind::Order, id)?;
                let is_sent = order["customerId"].is_string();
                let payment = order["paymentInfo"]["payments"][0]["id"].as_str()?;
                let mut payment = project.payment(payment).filter(|_| is_sent)?;
                let has_refund = payment.to_string().contains("Refund");
                let currency = order["totalPrice"]["currencyCode"].as_str()?.to_owned();
                payment["lastModifiedAt"] = now.to_string().into();
                payment["transactions"] = json!([refund("a", 100, &currency, now)]);
                (!has_refund).then(|| (id.to_string(), payment))
            })
        });
        let (order, payment) = found.expect("an order with a payment and no refund");
        shop.world
            .commercetools(|project| project.put_beside(Beside::Payment, &payment));
        let status = shop.complete("orders", json!({"since": "lastRun"})).await;
        assert_eq!(status["counts"]["read"], 1, "{status}");
        assert_eq!(status["lastId"], order);
        assert_eq!(refunds(&shop), before + 1);
        shop.assert_ledger(&[Kind::Order]);

        // an order that was modified sends what it did not have
        shop.pass(Duration::from_secs(3_600)).await;
        shop.change_record(Kind::Order, &order, |order| {
            order["orderState"] = "Cancelled".into();
        });
        shop.complete("orders", json!({"since": "lastRun"})).await;
        let cancelled = shop.world.klaviyo(|klaviyo| {
            let events = klaviyo.ledger().events().iter();
            let of = |metric: &str, id: &str| metric == "Cancelled Order" && id == order;
            events
                .filter(|(key, _)| of(&key.metric, &key.unique_id))
                .count()
        });
        assert_eq!(cancelled, 1);
    });
}

#[test]
fn a_run_that_looks_for_changed_payments_sends_all_changed_orders_where_refunds_are_turned_off() {
    let mut wanted = setup().variable("refunds", true);
    wanted.refunds = true;
    run(wanted, async |shop| {
        shop.complete("orders", "").await;
        shop.pass(Duration::from_secs(3_600)).await;
        let changed = shop.ids(Kind::Order).into_iter().step_by(12);
        for order in changed {
            shop.change_record(Kind::Order, &order, |order| {
                order["orderState"] = "Cancelled".into();
            });
        }
        shop.start("orders", json!({"since": "lastRun"})).await;
        // some pages of payments have been read, and there are more
        shop.change_document("orders", |document| {
            assert_eq!(document["cursor"]["phase"], "changes", "{document}");
            let range = &mut document["cursor"]["ranges"][0];
            assert_eq!(range["source"], "payments", "{range}");
            range["after"] = "fffffffe-0000-4000-8000-000000000000".into();
        });
        let without = shop.another(&[("refunds", "false")]);
        let status = without.ticked("orders").await.pop().expect("a status");
        without.assert_completed(&status);
        assert_eq!(status["counts"]["read"], 10, "{status}");
    });
}
