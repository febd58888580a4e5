//! What the status tells of runs and plans. Natively; every answer is held to the API's description.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::{Kind, Sizes};

use crate::support::native::{app, run};
use crate::support::operator::{get, import, moment, plan_over, post, ticked};
use crate::support::{Setup, assert_ledger};

fn percents(seen: &[Value]) -> Vec<u64> {
    seen.iter()
        .filter_map(|status| status["percent"].as_u64())
        .collect()
}

#[test]
fn the_status_tells_percent_rate_and_estimated_end() {
    run(async || {
        let mut setup = Setup::customers(2_500)
            .latency_ms(1_000)
            .variable("continuation", "scheduler")
            .variable("window_seconds", "3")
            .variable("id_ranges", "1");
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, started) = post(&app, "/sync/customers", json!({})).await;
        assert_eq!(status, 202);
        assert_eq!(
            (&started["total"], &started["percent"], &started["rate"]),
            (&json!(2_500), &json!(0), &Value::Null)
        );
        let seen = ticked(&app, &world, "customers").await;
        assert!(seen.len() > 3, "too few windows to tell anything");
        let percents = percents(&seen);
        assert!(percents.is_sorted(), "{percents:?}");
        assert_eq!(percents.last(), Some(&100));
        let told = seen.iter().filter(|status| {
            let read = status["counts"]["read"].as_u64().unwrap_or_default();
            status["status"] == "running" && (1..2_500).contains(&read)
        });
        let mut estimates = 0;
        for status in told {
            let rate = status["rate"].as_f64().expect("a rate");
            assert!(rate > 0.0, "{status}");
            let left = 2_500.0 - status["counts"]["read"].as_f64().expect("a count");
            let end = moment(&status["estimatedEnd"]);
            let from_now = end
                .duration_since(moment(&status["updatedAt"]))
                .as_secs_f64();
            // the rate is shown with one digit, and the clock went on between the save and the look
            assert!(
                from_now >= left / (rate + 0.1) - 2.0,
                "{from_now} s for {left} at {rate}"
            );
            estimates += 1;
        }
        assert!(estimates > 0, "no estimate was seen");
        let done = seen.last().expect("a status");
        assert_eq!(
            (&done["status"], &done["rate"], &done["estimatedEnd"]),
            (&json!("completed"), &Value::Null, &Value::Null)
        );
    });
}

#[test]
fn the_percentage_of_products_goes_on_from_items_to_variants() {
    run(async || {
        let mut setup = Setup {
            sizes: Sizes {
                customers: 0,
                orders: 0,
                categories: 5,
                products: 60,
            },
            ..Setup::default()
        }
        .variable("continuation", "scheduler")
        .variable("window_seconds", "3");
        // so long that each phase has to be waited for from window to window
        setup.klaviyo.job_times.processing = Duration::from_secs(12);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, _) = post(&app, "/sync/categories", json!({})).await;
        assert_eq!(status, 202);
        ticked(&app, &world, "categories").await;
        let (status, _) = post(&app, "/sync/products", json!({})).await;
        assert_eq!(status, 202);
        let seen = ticked(&app, &world, "products").await;
        let percents = percents(&seen);
        assert!(percents.is_sorted(), "{percents:?}");
        let of_phase =
            |phase: &'static str| seen.iter().filter(move |status| status["phase"] == phase);
        for status in of_phase("items") {
            assert!(status["percent"].as_u64() <= Some(50), "{status}");
            assert_eq!(
                status["estimatedEnd"],
                Value::Null,
                "the variants are to come"
            );
        }
        for status in of_phase("variants") {
            assert!(status["percent"].as_u64() >= Some(50), "{status}");
        }
        assert!(
            of_phase("variants").count() > 0,
            "the second phase was not seen"
        );
        assert_eq!(
            seen.last().map(|status| &status["percent"]),
            Some(&json!(100))
        );
        assert_ledger(&world, &[Kind::Category, Kind::Product]);
    });
}

#[test]
fn a_run_of_nothing_is_wholly_done() {
    run(async || {
        let mut setup = Setup::customers(0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let done = import(&app, &world, "customers", json!({})).await;
        assert_eq!((&done["total"], &done["percent"]), (&json!(0), &json!(100)));
        assert_eq!(done["advice"], "Nothing.");
    });
}

#[test]
fn what_is_waited_for_is_told_with_its_moment() {
    run(async || {
        let mut setup = Setup::customers(5)
            .variable("continuation", "scheduler")
            .variable("window_seconds", "3");
        let world = setup.world().await;
        let app = app(&setup, &world);
        let busy = Fault::throttle(20);
        let busy = Rule::always(busy).path("profile-bulk-import-jobs");
        world.klaviyo_faults().add(busy.times(1));
        assert_eq!(post(&app, "/sync/customers", json!({})).await.0, 202);
        let seen = ticked(&app, &world, "customers").await;
        let waiting = seen
            .iter()
            .find(|status| !status["notBefore"].is_null())
            .expect("a status that waits");
        assert_eq!(waiting["waitingFor"], "the rate limit of: import profiles");
        assert!(moment(&waiting["notBefore"]) > moment(&waiting["updatedAt"]));
        assert!(
            waiting["advice"]
                .as_str()
                .is_some_and(|advice| advice.contains("scheduler's first call after")),
            "{waiting}"
        );
        assert_eq!(waiting["chainLooksCut"], false);
        assert_eq!(seen.last().expect("a status")["status"], "completed");
    });
}

#[test]
fn a_plan_that_nobody_moves_on_says_so_and_continue_does() {
    run(async || {
        let mut setup = Setup {
            sizes: Sizes {
                customers: 5,
                orders: 5,
                categories: 3,
                products: 3,
            },
            ..Setup::default()
        };
        let world = setup.world().await;
        let app = app(&setup, &world);
        // the plan is written down, and then none of its first two runs, each tried three times
        for write in 2..=7 {
            let fault = Fault::refuse(503);
            let rule = Rule::nth(write, fault);
            let rule = rule.method(Method::POST).path("custom-objects");
            world.commercetools_faults().add(rule);
        }
        let (status, answer) = post(&app, "/sync", json!({})).await;
        assert_eq!(status, 202, "{answer}");
        let plan = &answer["plan"];
        assert_eq!(plan["chainLooksCut"], false, "{answer}");
        let states: Vec<&Value> = plan["steps"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|step| &step["state"])
            .collect();
        assert_eq!(states, ["waiting"; 4], "{answer}");
        world.clock().sleep(Duration::from_secs(30)).await;
        let status = get(&app, "/sync/status").await;
        let plan = &status["plan"];
        assert_eq!(plan["chainLooksCut"], true, "{status}");
        assert!(
            plan["advice"]
                .as_str()
                .is_some_and(|advice| advice.contains("POST /sync/continue")),
            "{status}"
        );
        assert_eq!(post(&app, "/sync/continue", Value::Null).await.0, 202);
        let status = plan_over(&app, &world, false).await;
        assert_eq!(
            (&status["plan"]["status"], &status["plan"]["advice"]),
            (&json!("completed"), &json!("Nothing.")),
            "{status}"
        );
        assert_ledger(&world, &Kind::ALL);
    });
}
