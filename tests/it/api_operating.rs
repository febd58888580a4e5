//! Operating it: changes only, resuming, trying failures again, dry runs, plans, the check. Natively; every answer is
//! held to the API's description.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use http::Method;
use klaviyo_bulk_import::api::App;
use serde_json::{Value, json};
use sim::faults::{Fault, Rule, When};
use sim::klaviyo::Choice;
use sim::seed::{Kind, Sizes};
use sim::world::World;

use crate::api_description::call;
use crate::support::native::{app, run};
use crate::support::{Setup, assert_contract, assert_counts_add_up, assert_ledger, calls};

/// Looks at a resource until its run is over, in simulated seconds.
const LOOKS: usize = 3_000;

async fn get(app: &Rc<App>, path: &str) -> Value {
    let (status, body) = call(app, Method::GET, path, "").await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn post(app: &Rc<App>, path: &str, body: Value) -> (u16, Value) {
    call(app, Method::POST, path, &body.to_string()).await
}

/// Starts an import that must be accepted, and waits for its end.
async fn import(app: &Rc<App>, world: &World, resource: &str, body: Value) -> Value {
    let (status, answer) = post(app, &format!("/sync/{resource}"), body).await;
    assert_eq!(status, 202, "{answer}");
    over(app, world, resource).await
}

async fn over(app: &Rc<App>, world: &World, resource: &str) -> Value {
    for _ in 0..LOOKS {
        let status = get(app, &format!("/sync/{resource}")).await;
        if status["status"] != "running" {
            return status;
        }
        world.clock().sleep(Duration::from_secs(1)).await;
    }
    panic!("the import of {resource} does not end")
}

async fn plan_over(app: &Rc<App>, world: &World, tick: bool) -> Value {
    for _ in 0..LOOKS {
        if tick {
            let (status, answer) = call(app, Method::POST, "/sync/continue", "").await;
            assert!(matches!(status, 200 | 202), "{answer}");
        }
        let status = get(app, "/sync/status").await;
        if status["plan"]["status"] != "running" {
            return status;
        }
        world.clock().sleep(Duration::from_secs(1)).await;
    }
    panic!("the plan does not end: {}", get(app, "/sync/status").await)
}

fn orders_and_customers() -> Setup {
    Setup {
        sizes: Sizes {
            customers: 30,
            orders: 40,
            categories: 8,
            products: 12,
        },
        ..Setup::default()
    }
    .speed(20.0)
}

fn moment(value: &Value) -> jiff::Timestamp {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no time: {value}"))
}

fn steps(status: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = status["plan"]["steps"].as_array().expect("steps");
    steps
        .iter()
        .map(|step| (text(&step["resource"]), text(&step["state"])))
        .collect()
}

#[test]
fn only_what_changed_since_the_last_run_is_imported() {
    run(async || {
        let mut setup = Setup::customers(40).speed(20.0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, answer) = post(&app, "/sync/customers", json!({"since": "lastRun"})).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            answer["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("no last run")),
            "{answer}"
        );

        let first = import(&app, &world, "customers", json!({})).await;
        assert_eq!(first["upToDateSince"], first["startedAt"]);
        let id = world.commercetools(|project| project.ids(Kind::Customer)[7]);
        let now = world.clock().now();
        world.commercetools(|project| {
            project.change(Kind::Customer, id, now, |customer| {
                customer["title"] = "Dr.".into();
            })
        });
        let second = import(&app, &world, "customers", json!({"since": "lastRun"})).await;
        assert_eq!(
            (&second["counts"]["read"], &second["total"]),
            (&json!(1), &json!(1)),
            "{second}"
        );
        assert_eq!(second["lastId"], id.to_string());
        assert_eq!(second["upToDateSince"], second["startedAt"]);
        assert_eq!(second["lastReport"]["runId"], first["runId"]);
        assert_ledger(&world, &[Kind::Customer]);

        let third = import(
            &app,
            &world,
            "customers",
            json!({"since": "2000-01-01T00:00:00Z"}),
        )
        .await;
        assert_eq!(third["counts"]["read"], 40);
        let one = import(&app, &world, "customers", json!({"ids": [id.to_string()]})).await;
        assert_eq!(
            one["upToDateSince"], third["startedAt"],
            "a run of some ids was taken for a run of all"
        );
    });
}

#[test]
fn a_failed_run_is_resumed_from_its_cursor_or_given_up() {
    run(async || {
        let mut setup = Setup::customers(60).speed(20.0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, answer) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(status, 400, "{answer}");

        let refuse = || {
            Rule::new(
                When::Always,
                Fault::Refuse {
                    status: 403,
                    retry_after: None,
                },
            )
        };
        world.klaviyo_faults().add(refuse());
        let failed = import(&app, &world, "customers", json!({})).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert!(
            failed["advice"].as_str().is_some_and(
                |advice| advice.contains("klaviyo_auth_key") && advice.contains("resume")
            )
        );
        let (status, answer) = post(&app, "/sync/customers", json!({})).await;
        assert_eq!(status, 423);
        assert!(
            answer["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("resume")),
            "{answer}"
        );

        let (status, answer) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(
            (status, answer["status"].as_str()),
            (202, Some("running")),
            "{answer}"
        );
        assert_eq!(
            (&answer["runId"], &answer["lastError"]),
            (&failed["runId"], &failed["lastError"])
        );
        assert_eq!(
            over(&app, &world, "customers").await["status"],
            "failed",
            "Klaviyo still refuses"
        );

        world.klaviyo_faults().clear();
        let (status, _) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(status, 202);
        let (status, _) = post(&app, "/sync/customers", json!({"resume": true})).await;
        assert_eq!(status, 409);
        let done = over(&app, &world, "customers").await;
        assert_eq!(
            (&done["status"], &done["runId"]),
            (&json!("completed"), &failed["runId"])
        );
        assert!(done["lastError"].is_null());
        assert_counts_add_up(&done);
        assert_ledger(&world, &[Kind::Customer]);

        world.klaviyo_faults().add(refuse());
        assert_eq!(
            import(&app, &world, "customers", json!({})).await["status"],
            "failed"
        );
        assert_eq!(
            call(&app, Method::POST, "/sync/customers/stop", "").await.0,
            200
        );
        assert_eq!(
            post(&app, "/sync/customers", json!({"resume": true}))
                .await
                .0,
            400
        );
    });
}

#[test]
fn what_failed_is_imported_again_and_nothing_else() {
    run(async || {
        let mut setup = Setup::customers(50).speed(20.0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let refused: Vec<String> = world
            .commercetools(|project| project.ids(Kind::Customer))
            .iter()
            .step_by(11)
            .map(ToString::to_string)
            .collect();
        world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_profiles = Choice::ids(refused.clone());
        });
        let first = import(&app, &world, "customers", json!({})).await;
        assert_eq!(first["counts"]["failed"], refused.len(), "{first}");
        assert!(
            first["advice"]
                .as_str()
                .is_some_and(|advice| advice.contains("retryFailed")),
            "{first}"
        );

        let dry = import(&app, &world, "customers", json!({"dryRun": true})).await;
        assert_eq!(dry["lastReport"]["runId"], first["runId"]);

        world.klaviyo(|klaviyo| klaviyo.options_mut().refuse_profiles = Choice::None);
        let (status, answer) = post(&app, "/sync/customers", json!({"retryFailed": true})).await;
        assert_eq!(status, 202, "{answer}");
        assert_eq!(
            answer["retried"],
            json!({"records": refused.len(), "missed": 0})
        );
        let again = over(&app, &world, "customers").await;
        assert_eq!(
            (&again["counts"]["read"], &again["counts"]["sent"]),
            (&json!(refused.len()), &json!(refused.len()))
        );
        assert_ledger(&world, &[Kind::Customer]);
        let (status, answer) = post(&app, "/sync/customers", json!({"retryFailed": true})).await;
        assert_eq!(status, 400, "{answer}");
    });
}

#[test]
fn a_dry_run_counts_everything_sends_nothing_and_shows_masked_documents() {
    run(async || {
        let mut setup = orders_and_customers();
        let world = setup.world().await;
        let app = app(&setup, &world);
        for (resource, kinds) in [
            ("customers", &["import profiles"][..]),
            (
                "orders",
                &[
                    "create events: Placed Order",
                    "create events: Ordered Product",
                ],
            ),
        ] {
            let dry = import(&app, &world, resource, json!({"dryRun": true})).await;
            assert_eq!(
                (&dry["status"], &dry["percent"]),
                (&json!("completed"), &json!(100)),
                "{dry}"
            );
            assert!(dry["upToDateSince"].is_null());
            let shown: HashSet<&str> = dry["samples"]
                .as_array()
                .expect("samples")
                .iter()
                .filter_map(|sample| sample["kind"].as_str())
                .collect();
            assert!(kinds.iter().all(|kind| shown.contains(kind)), "{shown:?}");
            assert!(
                !dry["samples"].to_string().contains('@'),
                "an e-mail address: {}",
                dry["samples"]
            );
            let real = import(&app, &world, resource, json!({})).await;
            assert_eq!(dry["counts"], real["counts"], "{resource}");
            assert_eq!(real["samples"], json!([]));
        }
        assert_ledger(&world, &[Kind::Customer, Kind::Order]);
    });
}

#[test]
fn a_dry_run_of_everything_writes_nothing_to_klaviyo() {
    run(async || {
        let mut setup = orders_and_customers();
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
            let mut setup = orders_and_customers().variable("continuation", continuation);
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
        let mut setup = orders_and_customers();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let refuse = |path: &str| {
            Rule::new(
                When::Always,
                Fault::Refuse {
                    status: 403,
                    retry_after: None,
                },
            )
            .path(path)
        };
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
        let mut setup = orders_and_customers()
            .latency_ms(300)
            .variable("continuation", "scheduler");
        let world = setup.world().await;
        let app = app(&setup, &world);
        assert_eq!(call(&app, Method::POST, "/sync/stop", "").await.0, 400);
        assert_eq!(post(&app, "/sync", json!({})).await.0, 202);
        let (status, answer) = call(&app, Method::POST, "/sync/stop", "").await;
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
            assert_eq!(call(&app, Method::POST, "/sync/continue", "").await.0, 200);
        }
        assert!(
            world.klaviyo_server().calls().is_empty(),
            "something was sent after the stop"
        );
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
        let mut setup = orders_and_customers().variable("continuation", "scheduler");
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
        let (_, answer) = call(&app, Method::POST, "/sync/customers/continue", "").await;
        assert_eq!(answer["outcome"], "not running");
        assert_eq!(get(&app, "/sync/customers").await["status"], "stopped");
        assert!(world.klaviyo_server().calls().is_empty());
    });
}

#[test]
fn a_plan_that_cannot_begin_leaves_nothing_behind() {
    run(async || {
        let mut setup = orders_and_customers();
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
        let setup = orders_and_customers().variable("ct_scope", "");
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
fn the_status_tells_rate_and_estimated_end() {
    run(async || {
        let mut setup = Setup::customers(3_000)
            .latency_ms(400)
            .variable("window_seconds", "2")
            .variable("id_ranges", "1")
            .speed(20.0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        assert_eq!(post(&app, "/sync/customers", json!({})).await.0, 202);
        let mut told = false;
        for _ in 0..LOOKS {
            let status = get(&app, "/sync/status").await["customers"].clone();
            if status["status"] != "running" {
                break;
            }
            if let (Some(rate), Some(end)) =
                (status["rate"].as_f64(), status["estimatedEnd"].as_str())
            {
                told |= rate > 0.0 && Some(end) > status["startedAt"].as_str();
            }
            world.clock().sleep(Duration::from_millis(500)).await;
        }
        assert!(told, "no rate was told while the import went on");
        let done = over(&app, &world, "customers").await;
        assert_eq!(
            (&done["percent"], &done["estimatedEnd"]),
            (&json!(100), &Value::Null),
            "{done}"
        );
    });
}

fn line<'a>(check: &'a Value, what: &str) -> &'a Value {
    let lines = check["lines"].as_array().expect("lines");
    lines
        .iter()
        .find(|line| line["what"] == what)
        .unwrap_or_else(|| panic!("no line {what}: {check}"))
}

#[test]
fn the_check_says_what_works() {
    run(async || {
        // at its real speed: the check looks at the clock
        let mut setup = orders_and_customers().speed(1.0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let check = get(&app, "/sync/check").await;
        assert_eq!(check["ok"], true, "{check}");
        assert_eq!(line(&check, "self-call")["state"], "ok");
        assert_eq!(
            line(&check, "commercetools: read customers")["detail"],
            "30 customers"
        );
        assert_eq!(line(&check, "Klaviyo: profiles")["state"], "ok");
        assert_eq!(line(&check, "clock")["state"], "ok");
        let left = world.commercetools(|project| {
            project
                .custom_object("klaviyo-bulk-import", "check")
                .is_some()
        });
        assert!(!left, "the check left its custom object behind");
        assert_eq!(
            calls(
                world.commercetools_server(),
                "DELETE /sim-shop/custom-objects/klaviyo-bulk-import/check"
            ),
            1
        );
        assert_contract(&world);
    });
}

#[test]
fn the_check_names_what_does_not_work_with_its_fix() {
    run(async || {
        let mut setup = orders_and_customers().speed(1.0);
        let world = setup.world().await;
        world.commercetools(|project| {
            project.set_client_scopes(&["view_customers", "view_products", "view_orders"]);
        });
        let setup = orders_and_customers()
            .variable("ct_scope", "")
            .variable("klaviyo_auth_key", "pk_wrong");
        let app = app(&setup, &world);
        let check = get(&app, "/sync/check").await;
        assert_eq!(check["ok"], false);
        let fix = |what: &str| {
            line(&check, what)["fix"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert!(
            fix("commercetools: scope for run documents")
                .contains("manage_key_value_documents:sim-shop"),
            "{check}"
        );
        assert_eq!(
            line(&check, "commercetools: write and delete a custom object")["state"],
            "failed"
        );
        assert!(
            fix("Klaviyo: catalog items").contains("klaviyo_auth_key"),
            "{check}"
        );
        assert_eq!(
            line(&check, "commercetools: scope for orders")["state"],
            "ok"
        );

        let setup = orders_and_customers()
            .variable("ct_api_client", r#"{"clientId":"no","secret":"hush-hush"}"#);
        let app = crate::support::native::app(&setup, &world);
        let check = get(&app, "/sync/check").await;
        assert!(
            line(&check, "commercetools: token")["fix"]
                .as_str()
                .is_some_and(|fix| fix.contains("ct_api_client"))
        );
        assert!(!check.to_string().contains("hush-hush"));
    });
}
