//! Whose Klaviyo account a run feeds: two apps on one project, keys that change, and taking a document over.

use std::time::Duration;

use native::call::says;
use native::shop::run;
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

/// The key of another account.
const OTHER_KEY: &str = "pk_other";

fn setup() -> Setup {
    let mut setup = Setup::customers(40).scheduled();
    let other = (OTHER_KEY.to_owned(), "Other1".to_owned());
    setup.klaviyo.other_accounts = [other].into();
    setup
}

/// The app of somebody else on the same project, who feeds another account.
fn staging(shop: &Shop) -> Shop {
    shop.another(&[("klaviyo_auth_key", OTHER_KEY)])
}

/// Klaviyo gives the account another key; the app as it is deployed with it.
fn with_new_key(shop: &Shop) -> Shop {
    let set = |key: &str| {
        let world = &shop.world;
        world.klaviyo(|klaviyo| key.clone_into(&mut klaviyo.options_mut().api_key));
    };
    set("pk_new");
    shop.another(&[("klaviyo_auth_key", "pk_new")])
}

fn may_read_account(shop: &Shop, may: bool) {
    shop.world
        .klaviyo(|klaviyo| klaviyo.options_mut().may_read_account = may);
}

fn asked_for_account(shop: &Shop) -> u64 {
    let calls = shop.world.klaviyo_server().calls();
    let asked = calls
        .iter()
        .filter(|((call, _), _)| call == "GET /api/accounts");
    asked.map(|(_, count)| count).sum()
}

/// The call is answered 409, which says whose the document is and what to do, and nothing has changed.
async fn assert_left_alone(shop: &Shop, path: &str, body: Value) {
    let keys = ["customers", "plan"];
    let before = keys.map(|key| shop.stored(key).map(|object| object.version));
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let answer = shop.post(path, &body).await;
    assert_eq!(answer.status, 409, "{path} {body}: {}", answer.body);
    assert!(answer.says("advice", "adopt"), "{}", answer.body);
    assert_eq!(answer.body["destination"], "account:SimAc1");
    let after = keys.map(|key| shop.stored(key).map(|object| object.version));
    assert_eq!(before, after, "{path} {body}");
}

#[test]
fn an_app_of_another_account_changes_nothing_and_says_so() {
    run(setup(), async |shop| {
        let plan = json!({"resources": ["customers"]});
        shop.posted("/sync", &plan, 202).await;
        let staging = staging(&shop);
        for (path, body) in [
            ("/sync/customers/continue", Value::Null),
            ("/sync/continue", Value::Null),
            ("/sync/customers/stop", Value::Null),
            ("/sync/stop", Value::Null),
            ("/sync/customers", Value::Null),
            ("/sync", plan.clone()),
        ] {
            assert_left_alone(&staging, path, body).await;
        }
        let log = staging.log();
        for document in ["customers", "plan"] {
            let member = format!(r#""document":"{document}""#);
            let is_said = |line: &String| {
                line.contains(r#""event":"other_destination""#) && line.contains(&member)
            };
            assert!(log.iter().any(is_said), "{log:#?}");
        }
        let status = staging.status("customers").await;
        let known = json!({"fingerprint": "account:SimAc1", "hasThisKey": false});
        assert_eq!(status["destination"], known, "{status}");
        assert!(says(&status["advice"], "leaves it alone"), "{status}");

        // production is none the worse for it
        let status = shop.plan_over(true).await;
        assert_eq!(status["plan"]["status"], "completed", "{status}");
        assert_eq!(status["customers"]["destination"]["hasThisKey"], true);
        shop.assert_ledger(&[Kind::Customer]);
        // nor is what it has left behind taken for the other account's
        for body in [json!({}), json!({"since": "lastRun"})] {
            assert_left_alone(&staging, "/sync/customers", body).await;
        }
        assert_left_alone(&staging, "/sync", plan).await;
    });
}

#[test]
fn an_app_of_another_account_is_not_called_on_by_itself() {
    run(setup().variable("continuation", "self"), async |shop| {
        // nobody works on it: the app that began it is gone
        shop.another(&[("continuation", "scheduler")])
            .start("customers", "")
            .await;
        let staging = staging(&shop);
        assert_left_alone(&staging, "/sync/customers/continue", Value::Null).await;
        assert_eq!(shop.go_on("customers").await.status, 202);
        shop.completed("customers").await;
    });
}

#[test]
fn what_is_adopted_begins_anew_for_the_other_account() {
    run(setup(), async |shop| {
        shop.complete("customers", "").await;
        shop.start("customers", "").await;
        let staging = staging(&shop);
        // who is at work is not disturbed
        let lease = |until: &str| json!({"holder": "production", "until": until});
        shop.change_document("customers", |run| {
            run["lease"] = lease("2026-07-15T10:30:00Z");
        });
        staging
            .posted("/sync/customers", json!({"adopt": true}), 423)
            .await;
        shop.change_document("customers", |run| {
            run["lease"] = Value::Null;
        });
        // what has changed since a run that fed another account is not all that there is to bring
        let changes = json!({"adopt": true, "since": "lastRun"});
        let answer = staging.posted("/sync/customers", changes, 400).await;
        assert!(says(&answer["detail"], "no last run"), "{answer}");
        let run = staging.start("customers", json!({"adopt": true})).await;
        assert_eq!(
            run["destination"],
            json!({"fingerprint": "account:Other1", "hasThisKey": true})
        );
        assert_eq!(run["upToDateSince"], Value::Null);
        assert_eq!(run["lastReport"]["status"], "stopped");
        // from here on it is production that finds another's
        assert_eq!(shop.go_on("customers").await.status, 409);
        let plan = json!({"resources": ["customers"], "adopt": true});
        let answer = shop.posted("/sync", plan, 202).await;
        assert_eq!(
            answer["plan"]["destination"]["fingerprint"],
            "account:SimAc1"
        );
        shop.plan_over(true).await;
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn a_new_key_of_the_same_account_goes_on() {
    run(setup(), async |shop| {
        shop.start("customers", "").await;
        // one call a second is allowed
        shop.pass(Duration::from_secs(2)).await;
        let before = asked_for_account(&shop);
        let shop = with_new_key(&shop);
        let status = shop.ticked("customers").await.pop().expect("a tick");
        shop.assert_completed(&status);
        assert_eq!(status["destination"]["hasThisKey"], true, "{status}");
        let asked = asked_for_account(&shop) - before;
        assert_eq!(
            asked, 1,
            "the account is asked for where the key has changed"
        );
        shop.complete("customers", json!({"since": "lastRun"}))
            .await;
        assert_eq!(asked_for_account(&shop) - before, 1);
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn where_only_the_key_is_known_a_new_one_has_to_be_adopted() {
    run(setup(), async |shop| {
        may_read_account(&shop, false);
        let started = shop.start("customers", "").await;
        let fingerprint = started["destination"]["fingerprint"].as_str();
        let fingerprint = fingerprint.expect("a fingerprint");
        assert!(fingerprint.starts_with("key:"), "{started}");
        let document = shop.document("customers").to_string();
        assert!(!document.contains("pk_test"), "{document}");

        let shop = with_new_key(&shop);
        for path in ["/sync/customers/continue", "/sync/customers/stop"] {
            let answer = shop.post(path, "").await;
            assert_eq!(answer.status, 409, "{}", answer.body);
            assert!(answer.says("advice", "accounts:read"), "{}", answer.body);
            assert!(answer.says("detail", "cannot be told"), "{}", answer.body);
        }
        // even where the new one may read it: there is nothing to compare it with
        may_read_account(&shop, true);
        assert_eq!(shop.go_on("customers").await.status, 409);
        let body = json!({"resume": true});
        shop.posted("/sync/customers", &body, 409).await;
        let body = json!({"resume": true, "adopt": true});
        let resumed = shop.start("customers", body).await;
        assert_eq!(resumed["destination"]["fingerprint"], "account:SimAc1");
        assert_eq!(resumed["runId"], started["runId"]);
        let status = shop.ticked("customers").await.pop().expect("a tick");
        shop.assert_completed(&status);
        // what came before is not known to be in this account
        assert_eq!(status["adopted"], true);
        assert_eq!(status["upToDateSince"], Value::Null);
        shop.posted("/sync/customers", json!({"since": "lastRun"}), 400)
            .await;
        let status = shop.complete("customers", "").await;
        assert_eq!(status["adopted"], false);
        assert_eq!(status["upToDateSince"], status["startedAt"]);
    });
}

#[test]
fn a_key_that_may_not_read_its_account_is_not_taken_for_one_of_it() {
    run(setup(), async |shop| {
        shop.start("customers", "").await;
        may_read_account(&shop, false);
        let shop = with_new_key(&shop);
        let answer = shop.go_on("customers").await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert!(answer.says("detail", "may not read"), "{}", answer.body);
        may_read_account(&shop, true);
        // that it may not is remembered for a minute
        assert_eq!(shop.go_on("customers").await.status, 409);
        shop.pass(Duration::from_secs(61)).await;
        assert_eq!(shop.go_on("customers").await.body["outcome"], "worked");
    });
}

#[test]
fn a_key_that_gains_the_scope_names_the_account_by_itself() {
    run(setup(), async |shop| {
        may_read_account(&shop, false);
        shop.complete("customers", "").await;
        may_read_account(&shop, true);
        shop.pass(Duration::from_secs(61)).await;
        let status = shop
            .complete("customers", json!({"since": "lastRun"}))
            .await;
        assert_eq!(status["destination"]["fingerprint"], "account:SimAc1");
        let shop = with_new_key(&shop);
        shop.complete("customers", json!({"since": "lastRun"}))
            .await;
    });
}

#[test]
fn a_document_that_names_nobody_takes_the_first() {
    run(setup(), async |shop| {
        shop.posted("/sync", json!({"resources": ["customers"]}), 202)
            .await;
        for key in ["customers", "plan"] {
            shop.change_document(key, |document| {
                let document = document.as_object_mut().expect("an object");
                document.remove("destination");
                document.insert("schema".to_owned(), 1.into());
            });
        }
        shop.post("/sync/continue", "").await;
        for key in ["customers", "plan"] {
            let named = &shop.document(key)["destination"]["account"];
            assert_eq!(named, "SimAc1", "{key}");
        }
        shop.plan_over(true).await;
        assert_eq!(staging(&shop).post("/sync/customers", "").await.status, 409);
    });
}

#[test]
fn a_key_that_nobody_knows_is_bound_to_no_document() {
    run(setup(), async |shop| {
        let wrong = shop.another(&[("klaviyo_auth_key", "pk_mistyped")]);
        let failed = wrong.carried("customers", "").await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert_eq!(failed["destination"], Value::Null);
        shop.posted("/sync/customers", json!({"resume": true}), 202)
            .await;
        let status = shop.ticked("customers").await.pop().expect("a tick");
        shop.assert_completed(&status);
        assert_eq!(status["destination"]["fingerprint"], "account:SimAc1");
    });
}

#[test]
fn while_the_account_cannot_be_asked_for_nothing_is_decided() {
    run(setup(), async |shop| {
        let down = || {
            let rule = Rule::always(Fault::refuse(503)).path("/api/accounts");
            shop.world.klaviyo_faults().add(rule);
        };
        down();
        // the first has nobody to be compared with
        let started = shop.start("customers", "").await;
        let fingerprint = started["destination"]["fingerprint"].as_str();
        assert!(fingerprint.is_some_and(|name| name.starts_with("key:")));
        shop.world.klaviyo_faults().clear();
        shop.ticked("customers").await;
        shop.complete("customers", "").await;
        let shop = with_new_key(&shop);
        let down = Rule::always(Fault::refuse(503)).path("/api/accounts");
        shop.world.klaviyo_faults().add(down);
        shop.posted("/sync/customers", "", 503).await;
        shop.world.klaviyo_faults().clear();
        shop.complete("customers", "").await;
    });
}

#[test]
fn apps_with_containers_of_their_own_know_nothing_of_each_other() {
    run(setup(), async |shop| {
        shop.start("customers", "").await;
        let other = [("klaviyo_auth_key", OTHER_KEY), ("container", "staging")];
        let staging = shop.another(&other);
        assert_eq!(staging.status("customers").await["status"], "idle");
        staging.start("customers", "").await;
        let held = staging
            .world
            .commercetools(|project| project.custom_object("staging", "customers").is_some());
        assert!(held);
        let status = shop.ticked("customers").await.pop().expect("a tick");
        shop.assert_completed(&status);
        let check = staging.read("/sync/check").await;
        let lines = check["lines"].as_array().expect("lines");
        let is_named = |line: &Value| says(&line["detail"], "staging/check was written");
        assert!(lines.iter().any(is_named), "{check}");
    });
}
