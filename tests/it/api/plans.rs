//! Plans: several resources with one call, in the right order.

use std::time::Duration;

use futures_util::future::join_all;
use native::operator::moment;
use native::{Operator, Setup, Shop};
use serde_json::json;
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

use crate::support::described::run;
use crate::support::views::steps;

/// Calls that have brought Klaviyo something.
fn sent(shop: &Shop) -> u64 {
    let calls = shop.world.klaviyo_server().calls();
    let sent = calls
        .iter()
        .filter(|((call, _), _)| !call.starts_with("GET "));
    sent.map(|(_, count)| count).sum()
}

#[test]
fn a_dry_run_of_everything_writes_nothing_to_klaviyo() {
    run(Setup::everything(), async |shop| {
        shop.posted("/sync", json!({"dryRun": true}), 202).await;
        let status = shop.plan_over(false).await;
        assert_eq!(status["plan"]["status"], "completed", "{status}");
        let calls = shop.world.klaviyo_server().calls().into_keys();
        let written: Vec<_> = calls
            .filter(|(operation, _)| !operation.starts_with("GET"))
            .collect();
        assert!(written.is_empty(), "{written:?}");
        for resource in ["categories", "products"] {
            let status = shop.status(resource).await;
            let samples = status["samples"].as_array();
            let has_some = samples.is_some_and(|samples| !samples.is_empty());
            assert!(has_some, "{resource} have no samples");
        }
    });
}

#[test]
fn a_plan_imports_everything_in_order() {
    for (continuation, has_scheduler) in [("self", false), ("scheduler", true)] {
        let setup = Setup::everything().variable("continuation", continuation);
        run(setup, async |shop| {
            shop.posted("/sync", "", 202).await;
            shop.posted("/sync", "", 423).await;
            let status = shop.plan_over(has_scheduler).await;
            let completed =
                ["customers", "orders", "categories", "products"].map(|name| (name, "completed"));
            assert_eq!(steps(&status), completed, "{status}");
            assert_eq!(status["plan"]["status"], "completed");
            for (first, second) in [("customers", "orders"), ("categories", "products")] {
                let end = moment(&status[first]["finishedAt"]);
                let start = moment(&status[second]["startedAt"]);
                // both are by the second that commercetools' latest answer was made in
                assert!(
                    end <= start + Duration::from_secs(1),
                    "{second} began before {first} were imported"
                );
                assert_eq!(status[first]["plan"], status["plan"]["planId"]);
            }
            shop.assert_ledger(&Kind::ALL);

            let changes = json!({"since": "lastRun", "resources": ["orders", "customers"]});
            shop.posted("/sync", changes, 202).await;
            let status = shop.plan_over(has_scheduler).await;
            assert_eq!(steps(&status).len(), 2);
            let (orders, customers) = (&status["orders"], &status["customers"]);
            assert_eq!(
                (&orders["counts"]["read"], &customers["total"]),
                (&json!(0), &json!(0))
            );
        });
    }
}

#[test]
fn a_plan_goes_on_without_what_failed_and_leaves_out_what_needs_it() {
    run(Setup::everything(), async |shop| {
        for path in ["profile-bulk-import-jobs", "catalog-categor"] {
            let refused = Rule::always(Fault::refuse(403)).path(path);
            shop.world.klaviyo_faults().add(refused);
        }
        shop.posted("/sync", "", 202).await;
        let status = shop.plan_over(false).await;
        let states = [
            ("customers", "failed"),
            ("orders", "completed"),
            ("categories", "failed"),
            ("products", "skipped"),
        ];
        assert_eq!(steps(&status), states, "{status}");
        assert_eq!(status["plan"]["status"], "failed");
        assert_eq!(status["products"]["status"], "idle");
        shop.assert_ledger(&[Kind::Order]);
        // their cursors are kept, so a plan of all has to wait for the operator's word
        let answer = shop.posted("/sync", "", 423).await;
        assert_eq!(answer["resource"], "customers", "{answer}");
    });
}

#[test]
fn a_stopped_plan_begins_nothing_more() {
    let setup = Setup::everything().latency_ms(300).scheduled();
    run(setup, async |shop| {
        shop.posted("/sync/stop", "", 400).await;
        shop.posted("/sync", "", 202).await;
        let answer = shop.posted("/sync/stop", "", 200).await;
        assert_eq!(answer["plan"]["status"], "stopped", "{answer}");
        let runs = answer["runs"].as_object().map(serde_json::Map::len);
        assert_eq!(runs, Some(2), "{answer}");
        for _ in 0..3 {
            shop.posted("/sync/continue", "", 200).await;
        }
        assert_eq!(sent(&shop), 0, "something was sent after the stop");
        let status = shop.read("/sync").await;
        let steps = steps(&status);
        let stopped = steps.iter().filter(|(_, state)| *state == "stopped");
        assert_eq!(stopped.count(), 2, "{status}");
        let categories = json!({"resources": ["categories"]});
        shop.posted("/sync", categories, 202).await;
        let status = shop.plan_over(true).await;
        assert_eq!(status["plan"]["status"], "completed");
    });
}

#[test]
fn a_run_whose_plan_was_stopped_while_it_was_written_down_is_not_worked_on() {
    run(Setup::everything().scheduled(), async |shop| {
        let customers = json!({"resources": ["customers"]});
        shop.posted("/sync", customers, 202).await;
        // as if the stop had looked for the run just before it was there
        shop.change_document("plan", |plan| plan["status"] = "stopped".into());
        let answer = shop.go_on("customers").await;
        assert_eq!(answer.body["outcome"], "not running");
        assert_eq!(shop.status("customers").await["status"], "stopped");
        assert_eq!(sent(&shop), 0);
    });
}

#[test]
fn a_plan_that_cannot_begin_leaves_nothing_behind() {
    run(Setup::everything(), async |shop| {
        let since = json!({"since": "lastRun"});
        let answer = shop.posted("/sync", since, 400).await;
        assert_eq!(answer["resource"], "customers", "{answer}");
        shop.world.commercetools(|project| {
            project.revoke_tokens();
            project.set_client_scopes(&["view_customers", "manage_key_value_documents"]);
        });
        let shop = shop.another(&[("ct_scope", "")]);
        shop.posted("/sync", "", 502).await;
        assert!(shop.stored("plan").is_none());
    });
}

#[test]
fn a_hundred_continues_at_once_are_as_good_as_one() {
    for (continuation, has_scheduler) in [("self", false), ("scheduler", true)] {
        let setup = Setup::everything().variable("continuation", continuation);
        run(setup, async |shop| {
            shop.posted("/sync", "", 202).await;
            for _ in 0..3 {
                let calls = (0..100).map(|_| shop.post("/sync/continue", ""));
                for answer in join_all(calls).await {
                    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
                }
            }
            let status = shop.plan_over(has_scheduler).await;
            assert_eq!(status["plan"]["status"], "completed", "{status}");
            shop.assert_ledger(&Kind::ALL);
        });
    }
}

#[test]
fn a_failed_plan_says_what_is_left_to_do() {
    run(Setup::everything(), async |shop| {
        let faults = shop.world.klaviyo_faults();
        faults.add(Rule::always(Fault::refuse(403)).path("catalog-categor"));
        let resources = json!({"resources": ["products", "categories"]});
        shop.posted("/sync", resources, 202).await;
        let status = shop.plan_over(false).await;
        assert_eq!(
            status["plan"]["advice"],
            "See the advice of categories. Then POST {\"resources\":[\"products\"]} to /sync imports what was left out."
        );
        faults.clear();
        shop.import("categories", json!({"resume": true})).await;
        let products = json!({"resources": ["products"]});
        shop.posted("/sync", products, 202).await;
        let status = shop.plan_over(false).await;
        assert_eq!(status["plan"]["status"], "completed", "{status}");
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}
