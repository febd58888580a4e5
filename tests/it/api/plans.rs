//! Plans: several resources with one call, in the right order. Natively; every answer is held to the API's description.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::Kind;
use sim::world::World;

use crate::support::native::{app, run};
use crate::support::operator::{get, moment, over, plan_over, post, steps};
use crate::support::{Setup, assert_ledger};

/// Calls that have brought Klaviyo something.
fn sent(world: &World) -> u64 {
    let calls = world.klaviyo_server().calls();
    let sent = calls
        .iter()
        .filter(|((call, _), _)| !call.starts_with("GET "));
    sent.map(|(_, count)| count).sum()
}

#[test]
fn a_dry_run_of_everything_writes_nothing_to_klaviyo() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, answer) = post(&app, "/sync", json!({"dryRun": true})).await;
        assert_eq!(status, 202, "{answer}");
        let status = plan_over(&app, &world, false).await;
        assert_eq!(status["plan"]["status"], "completed", "{status}");
        let written: Vec<_> = world
            .klaviyo_server()
            .calls()
            .into_keys()
            .filter(|(operation, _)| !operation.starts_with("GET"))
            .collect();
        assert!(written.is_empty(), "{written:?}");
        for resource in ["categories", "products"] {
            let samples = get(&app, &format!("/sync/{resource}")).await["samples"].clone();
            assert!(
                samples
                    .as_array()
                    .is_some_and(|samples| !samples.is_empty()),
                "{resource} have no samples"
            );
        }
    });
}

#[test]
fn a_plan_imports_everything_in_order() {
    run(async || {
        for (continuation, tick) in [("self", false), ("scheduler", true)] {
            let mut setup = Setup::everything().variable("continuation", continuation);
            let world = setup.world().await;
            let app = app(&setup, &world);
            let (status, answer) = post(&app, "/sync", json!({})).await;
            assert_eq!(status, 202, "{answer}");
            assert_eq!(post(&app, "/sync", json!({})).await.0, 423);
            let status = plan_over(&app, &world, tick).await;
            let completed = ["customers", "orders", "categories", "products"]
                .map(|name| (name.to_owned(), "completed".to_owned()));
            assert_eq!(steps(&status), completed, "{status}");
            assert_eq!(status["plan"]["status"], "completed");
            for (first, second) in [("customers", "orders"), ("categories", "products")] {
                let (end, start) = (
                    moment(&status[first]["finishedAt"]),
                    moment(&status[second]["startedAt"]),
                );
                // both are by the second that commercetools' latest answer was made in
                assert!(
                    end <= start + Duration::from_secs(1),
                    "{second} began before {first} were imported"
                );
                assert_eq!(status[first]["plan"], status["plan"]["planId"]);
            }
            assert_ledger(&world, &Kind::ALL);

            let (status, answer) = post(
                &app,
                "/sync",
                json!({"since": "lastRun", "resources": ["orders", "customers"]}),
            )
            .await;
            assert_eq!(status, 202, "{answer}");
            let status = plan_over(&app, &world, tick).await;
            assert_eq!(steps(&status).len(), 2);
            assert_eq!(
                (
                    &status["orders"]["counts"]["read"],
                    &status["customers"]["total"]
                ),
                (&json!(0), &json!(0))
            );
        }
    });
}

#[test]
fn a_plan_goes_on_without_what_failed_and_leaves_out_what_needs_it() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let refuse = |path: &str| Rule::always(Fault::refuse(403)).path(path);
        world
            .klaviyo_faults()
            .add(refuse("profile-bulk-import-jobs"));
        world.klaviyo_faults().add(refuse("catalog-categor"));
        assert_eq!(post(&app, "/sync", json!({})).await.0, 202);
        let status = plan_over(&app, &world, false).await;
        let states = [
            ("customers", "failed"),
            ("orders", "completed"),
            ("categories", "failed"),
            ("products", "skipped"),
        ];
        assert_eq!(
            steps(&status),
            states.map(|(name, state)| (name.to_owned(), state.to_owned())),
            "{status}"
        );
        assert_eq!(status["plan"]["status"], "failed");
        assert_eq!(status["products"]["status"], "idle");
        assert_ledger(&world, &[Kind::Order]);
        // their cursors are kept, so a plan of all has to wait for the operator's word
        let (status, answer) = post(&app, "/sync", json!({})).await;
        assert_eq!(
            (status, answer["resource"].as_str()),
            (423, Some("customers")),
            "{answer}"
        );
    });
}

#[test]
fn a_stopped_plan_begins_nothing_more() {
    run(async || {
        let mut setup = Setup::everything()
            .latency_ms(300)
            .variable("continuation", "scheduler");
        let world = setup.world().await;
        let app = app(&setup, &world);
        assert_eq!(post(&app, "/sync/stop", Value::Null).await.0, 400);
        assert_eq!(post(&app, "/sync", json!({})).await.0, 202);
        let (status, answer) = post(&app, "/sync/stop", Value::Null).await;
        assert_eq!(
            (status, answer["plan"]["status"].as_str()),
            (200, Some("stopped")),
            "{answer}"
        );
        assert_eq!(
            answer["runs"].as_object().map(serde_json::Map::len),
            Some(2),
            "{answer}"
        );
        for _ in 0..3 {
            assert_eq!(post(&app, "/sync/continue", Value::Null).await.0, 200);
        }
        assert_eq!(sent(&world), 0, "something was sent after the stop");
        let status = get(&app, "/sync").await;
        assert_eq!(
            steps(&status)
                .iter()
                .filter(|(_, state)| state == "stopped")
                .count(),
            2,
            "{status}"
        );
        assert_eq!(
            post(&app, "/sync", json!({"resources": ["categories"]}))
                .await
                .0,
            202
        );
        assert_eq!(
            plan_over(&app, &world, true).await["plan"]["status"],
            "completed"
        );
    });
}

#[test]
fn a_run_whose_plan_was_stopped_while_it_was_written_down_is_not_worked_on() {
    run(async || {
        let mut setup = Setup::everything().variable("continuation", "scheduler");
        let world = setup.world().await;
        let app = app(&setup, &world);
        assert_eq!(
            post(&app, "/sync", json!({"resources": ["customers"]}))
                .await
                .0,
            202
        );
        // as if the stop had looked for the run just before it was there
        let now = world.clock().now();
        world.commercetools(|project| {
            let mut plan = project
                .custom_object("klaviyo-bulk-import", "plan")
                .expect("a plan")
                .value
                .clone();
            plan["status"] = "stopped".into();
            project.put_custom_object(now, "klaviyo-bulk-import", "plan", &plan);
        });
        let (_, answer) = post(&app, "/sync/customers/continue", Value::Null).await;
        assert_eq!(answer["outcome"], "not running");
        assert_eq!(get(&app, "/sync/customers").await["status"], "stopped");
        assert_eq!(sent(&world), 0);
    });
}

#[test]
fn a_plan_that_cannot_begin_leaves_nothing_behind() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, answer) = post(&app, "/sync", json!({"since": "lastRun"})).await;
        assert_eq!(
            (status, answer["resource"].as_str()),
            (400, Some("customers")),
            "{answer}"
        );
        world.commercetools(|project| {
            project.revoke_tokens();
            project.set_client_scopes(&["view_customers", "manage_key_value_documents"]);
        });
        let setup = Setup::everything().variable("ct_scope", "");
        let app = crate::support::native::app(&setup, &world);
        assert_eq!(post(&app, "/sync", json!({})).await.0, 502);
        assert!(world.commercetools(|project| {
            project
                .custom_object("klaviyo-bulk-import", "plan")
                .is_none()
        }));
    });
}

#[test]
fn a_hundred_continues_at_once_are_as_good_as_one() {
    run(async || {
        for continuation in ["self", "scheduler"] {
            let mut setup = Setup::everything().variable("continuation", continuation);
            let world = setup.world().await;
            let app = app(&setup, &world);
            let (status, answer) = post(&app, "/sync", json!({})).await;
            assert_eq!(status, 202, "{answer}");
            for _ in 0..3 {
                let calls = (0..100).map(|_| post(&app, "/sync/continue", Value::Null));
                for (status, answer) in join_all(calls).await {
                    assert!(matches!(status, 200 | 202), "{status}: {answer}");
                }
            }
            let status = plan_over(&app, &world, continuation == "scheduler").await;
            assert_eq!(status["plan"]["status"], "completed", "{status}");
            assert_ledger(&world, &Kind::ALL);
        }
    });
}

#[test]
fn a_failed_plan_says_what_is_left_to_do() {
    run(async || {
        let mut setup = Setup::everything();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let fault = Fault::refuse(403);
        world
            .klaviyo_faults()
            .add(Rule::always(fault).path("catalog-categor"));
        let resources = json!({"resources": ["products", "categories"]});
        assert_eq!(post(&app, "/sync", resources).await.0, 202);
        let status = plan_over(&app, &world, false).await;
        assert_eq!(
            status["plan"]["advice"],
            "See the advice of categories. Then POST {\"resources\":[\"products\"]} to /sync imports what was left out."
        );
        world.klaviyo_faults().clear();
        assert_eq!(
            post(&app, "/sync/categories", json!({"resume": true}))
                .await
                .0,
            202
        );
        over(&app, &world, "categories").await;
        assert_eq!(
            post(&app, "/sync", json!({"resources": ["products"]}))
                .await
                .0,
            202
        );
        let status = plan_over(&app, &world, false).await;
        assert_eq!(status["plan"]["status"], "completed", "{status}");
        assert_ledger(&world, &[Kind::Category, Kind::Product]);
    });
}
