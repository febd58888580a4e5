//! The nightly catch-up: what can be started is, and the rest is told.

use std::time::Duration;

use native::operator::{LOOK, moment};
use native::shop::run;
use native::{Call, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

const CRON_TOKEN: &str = "a-token-for-schedulers";

fn setup() -> Setup {
    Setup::everything()
        .scheduled()
        .variable("cron_token", CRON_TOKEN)
}

/// A call of a scheduler that can send nothing but a path.
async fn cron(shop: &Shop, task: &str) -> (u16, Value) {
    let call = Call::get(format!("/sync/cron/{CRON_TOKEN}/{task}"));
    let answer = shop.send(call.without_token()).await;
    (answer.status, answer.body)
}

/// The steps of the plan: state and note.
fn steps(status: &Value) -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let steps = status["plan"]["steps"].as_array().expect("steps");
    let of = |step: &Value| {
        let named = text(&step["resource"]).zip(text(&step["state"]));
        let (resource, state) = named.expect("a step");
        (resource, state, text(&step["note"]))
    };
    steps.iter().map(of).collect()
}

fn states(status: &Value) -> Vec<(String, String)> {
    let steps = steps(status).into_iter();
    steps
        .map(|(resource, state, _)| (resource, state))
        .collect()
}

fn expected(states: [(&str, &str); 4]) -> Vec<(String, String)> {
    let states = states.into_iter();
    states
        .map(|(name, state)| (name.to_owned(), state.to_owned()))
        .collect()
}

/// A customer is changed in commercetools.
fn change_a_customer(shop: &Shop) {
    let id = shop
        .world
        .commercetools(|project| project.ids(Kind::Customer)[3]);
    let now = shop.world.clock().now();
    let is_changed = shop.world.commercetools(|project| {
        project.change(Kind::Customer, id, now, |customer| {
            customer["title"] = "Dr.".into();
        })
    });
    assert!(is_changed);
}

#[test]
fn one_that_was_never_imported_keeps_no_other_from_being_caught_up() {
    run(setup(), async |shop| {
        let (status, answer) = cron(&shop, "changes").await;
        assert_eq!(status, 400, "nothing can be caught up: {answer}");
        for resource in ["customers", "orders", "products"] {
            shop.complete(resource, "").await;
        }
        change_a_customer(&shop);
        for night in 0..2 {
            // what has changed in the minute before a run belongs to the next one, too
            shop.pass(Duration::from_secs(120)).await;
            assert_eq!(cron(&shop, "changes").await, (202, json!({"ok": true})));
            let status = shop.plan_over(true).await;
            // products go by themselves, as they have been imported without their categories
            let states_wanted = expected([
                ("customers", "completed"),
                ("orders", "completed"),
                ("categories", "omitted"),
                ("products", "completed"),
            ]);
            assert_eq!(states(&status), states_wanted, "{status}");
            let read = &status["customers"]["counts"]["read"];
            assert_eq!(*read, if night == 0 { 1 } else { 0 }, "{status}");
            let plan = &status["plan"];
            assert_eq!(plan["status"], "failed", "not all has been caught up");
            assert_eq!(
                plan["advice"],
                "POST {\"resources\":[\"categories\"]} to /sync imports what was left out."
            );
        }
        shop.assert_ledger(&[Kind::Customer, Kind::Order]);
    });
}

#[test]
fn one_that_has_failed_keeps_no_other_from_being_caught_up() {
    run(setup(), async |shop| {
        for resource in ["customers", "orders", "categories", "products"] {
            shop.complete(resource, "").await;
        }
        let refuse = Rule::always(Fault::refuse(404)).path("catalog-categor");
        shop.world.klaviyo_faults().add(refuse);
        let failed = shop.carried("categories", "").await;
        assert_eq!(failed["status"], "failed", "{failed}");
        change_a_customer(&shop);
        let body = json!({"since": "lastRun"});
        let answer = shop.posted("/sync", &body, 202).await;
        let begun = steps(&answer);
        assert_eq!(begun[2].1, "failed", "{answer}");
        let note = begun[2].2.as_deref().expect("a note");
        assert!(note.contains("an earlier run has failed"), "{note}");
        let status = shop.plan_over(true).await;
        let states_wanted = expected([
            ("customers", "completed"),
            ("orders", "completed"),
            ("categories", "failed"),
            // Klaviyo refuses an item with a category that it does not know
            ("products", "skipped"),
        ]);
        assert_eq!(states(&status), states_wanted, "{status}");
        assert_eq!(status["customers"]["counts"]["read"], 1);
        // a plan of everything still waits for the operator's word
        let answer = shop.posted("/sync", "", 423).await;
        assert_eq!(answer["resource"], "categories");
        // where nothing can be started, so does this
        let body = json!({"since": "lastRun", "resources": ["categories"]});
        let answer = shop.posted("/sync", body, 423).await;
        assert_eq!(answer["resource"], "categories");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn one_that_is_being_imported_is_left_out_and_not_waited_for() {
    run(setup(), async |shop| {
        for resource in ["customers", "orders"] {
            shop.complete(resource, "").await;
        }
        shop.start("customers", "").await;
        let body = json!({"since": "lastRun", "resources": ["customers", "orders"]});
        let answer = shop.posted("/sync", body, 202).await;
        let begun = steps(&answer);
        assert_eq!(begun[0].1, "skipped", "{answer}");
        let note = begun[0].2.as_deref();
        assert_eq!(note, Some("another import of this kind was going on"));
        // it ends although the other import does not
        while shop.read("/sync/status").await["plan"]["status"] == "running" {
            shop.go_on("orders").await;
            shop.pass(LOOK).await;
        }
        assert_eq!(shop.status("customers").await["status"], "running");
    });
}

#[test]
fn what_has_changed_of_one_resource_has_a_path_of_its_own() {
    run(setup(), async |shop| {
        let (status, answer) = cron(&shop, "changes/customers").await;
        assert_eq!(status, 400, "{answer}");
        shop.complete("customers", "").await;
        let first = shop.status("customers").await;
        change_a_customer(&shop);
        let began = cron(&shop, "changes/customers").await;
        assert_eq!(began, (202, json!({"ok": true})));
        let (status, answer) = cron(&shop, "changes/customers").await;
        assert_eq!(status, 423);
        assert!(answer.get("runId").is_none(), "{answer}");
        let status = shop.ticked("customers").await.pop().expect("a tick");
        shop.assert_completed(&status);
        assert_eq!(status["counts"]["read"], 1, "{status}");
        let since = moment(&status["options"]["since"]);
        assert!(since < moment(&first["startedAt"]), "{status}");
        for task in [
            "changes/carts",
            "changes/customers/now",
            "continue/customers",
        ] {
            assert_eq!(cron(&shop, task).await.0, 404, "{task}");
        }
        let log = shop.log().join("\n");
        assert!(log.contains(r#""task":"changes/customers""#), "{log}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}
