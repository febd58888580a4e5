//! Stops: as often as one likes, whatever runs, and nothing is sent after the answer.

use std::time::Duration;

use futures_util::future::join;
use native::call::says;
use native::shop::run;
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

/// Somebody holds the run of a resource until a moment, and does not react.
fn hold(shop: &Shop, resource: &str, seconds: i64) {
    let until = shop.world.clock().now() + jiff::SignedDuration::from_secs(seconds);
    shop.change_document(resource, |run| {
        run["lease"] = json!({"holder": "gone", "until": until});
    });
}

/// Calls that have brought Klaviyo something.
fn sent(shop: &Shop) -> u64 {
    let calls = shop.world.klaviyo_server().calls();
    let sent = calls
        .iter()
        .filter(|((call, _), _)| call.starts_with("POST"));
    sent.map(|(_, count)| count).sum()
}

#[test]
fn a_second_stop_waits_as_the_first_one_does() {
    run(Setup::customers(20).scheduled(), async |shop| {
        shop.start("customers", "").await;
        hold(&shop, "customers", 30);
        for path in ["/sync/customers/stop", "/sync/customers/stop"] {
            let begun = shop.world.clock().elapsed();
            let answer = shop.post(path, "").await;
            assert!(
                matches!(answer.status, 200 | 202),
                "{path}: {}",
                answer.body
            );
            let waited = shop.world.clock().elapsed() - begun;
            let is_over = answer.status == 200;
            assert!(
                is_over || waited > Duration::from_secs(20),
                "{path}: {waited:?}"
            );
        }
        // 200 once nobody can be sending any more, as often as it is asked for
        for _ in 0..2 {
            let answer = shop.stop("customers").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body["status"], "stopped");
        }
        // but a run that has come to its end is none that was stopped
        shop.complete("customers", "").await;
        let answer = shop.stop("customers").await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    });
}

#[test]
fn two_stops_at_once_are_as_good_as_one() {
    let setup = Setup::orders(300).latency_ms(400);
    run(setup, async |shop| {
        shop.start("orders", "").await;
        shop.pass(Duration::from_secs(2)).await;
        let (one, other) = join(shop.stop("orders"), shop.stop("orders")).await;
        assert_eq!((one.status, other.status), (200, 200), "{one:?} {other:?}");
        let count = sent(&shop);
        shop.pass(Duration::from_secs(60)).await;
        assert_eq!(sent(&shop), count, "something was sent after the stop");
    });
}

#[test]
fn a_stop_of_all_stops_what_runs_without_a_plan() {
    run(Setup::everything().latency_ms(300), async |shop| {
        shop.posted("/sync/stop", "", 400).await;
        for resource in ["customers", "categories"] {
            shop.start(resource, "").await;
        }
        let answer = shop.posted("/sync/stop", "", 200).await;
        assert_eq!(answer["plan"], Value::Null);
        let runs = answer["runs"].as_object().expect("runs");
        let stopped: Vec<&String> = runs.keys().collect();
        assert_eq!(stopped, ["customers", "categories"], "{answer}");
        assert!(
            runs.values().all(|run| run["status"] == "stopped"),
            "{answer}"
        );
        let count = sent(&shop);
        shop.pass(Duration::from_secs(60)).await;
        assert_eq!(sent(&shop), count, "something was sent after the stop");
        shop.posted("/sync/stop", "", 400).await;
    });
}

#[test]
fn a_stop_of_all_stops_the_plan_and_what_runs_beside_it() {
    run(Setup::everything().scheduled(), async |shop| {
        let resources = json!({"resources": ["categories"]});
        shop.posted("/sync", resources, 202).await;
        shop.start("customers", "").await;
        hold(&shop, "customers", 10);
        let answer = shop.posted("/sync/stop", "", 200).await;
        assert_eq!(answer["plan"]["status"], "stopped");
        let runs = answer["runs"].as_object().expect("runs");
        assert_eq!(runs.len(), 2, "{answer}");
        // the second finds a plan that has been stopped, and nothing that runs
        let again = shop.posted("/sync/stop", "", 200).await;
        assert_eq!(again["plan"]["planId"], answer["plan"]["planId"]);
        assert_eq!(again["runs"], json!({}));
    });
}

#[test]
fn a_stop_of_all_keeps_what_can_be_resumed() {
    run(Setup::customers(20).scheduled(), async |shop| {
        let refuse = Rule::always(Fault::refuse(404)).path("profile-bulk");
        shop.world.klaviyo_faults().add(refuse);
        let failed = shop.carried("customers", "").await;
        assert_eq!(failed["status"], "failed");
        shop.posted("/sync/stop", "", 400).await;
        assert_eq!(shop.status("customers").await["status"], "failed");
        shop.world.klaviyo_faults().clear();
        shop.start("customers", json!({"resume": true})).await;
    });
}

#[test]
fn a_plan_that_cannot_be_stopped_keeps_no_run_going() {
    run(Setup::everything().scheduled(), async |shop| {
        shop.start("customers", "").await;
        let refuse = Rule::always(Fault::refuse(403)).path("/plan");
        shop.world.commercetools_faults().add(refuse);
        shop.posted("/sync/stop", "", 502).await;
        assert_eq!(shop.status("customers").await["status"], "stopped");
    });
}

#[test]
fn what_comes_after_a_stopped_run_of_a_plan_is_left_out_and_said() {
    run(Setup::everything().scheduled(), async |shop| {
        let plan = json!({"resources": ["customers", "orders"]});
        shop.posted("/sync", plan, 202).await;
        let answer = shop.stop("customers").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let said = "Its plan leaves out orders, which come after it: POST {\"resources\":[\"orders\"]} to /sync imports them.";
        assert!(says(&answer.body["advice"], said), "{}", answer.body);
        for _ in 0..3 {
            shop.post("/sync/continue", "").await;
        }
        let status = shop.read("/sync/status").await;
        assert_eq!(status["orders"]["status"], "idle", "{status}");
        assert_eq!(status["plan"]["status"], "failed");
        let step = &status["plan"]["steps"][1];
        assert_eq!(step["state"], "skipped");
        assert_eq!(step["note"], "comes after customers, which were stopped");
        assert_eq!(sent(&shop), 0);
        // and the advice leads there
        shop.posted("/sync", json!({"resources": ["orders"]}), 202)
            .await;
        shop.plan_over(true).await;
        shop.assert_ledger(&[Kind::Order]);
    });
}
