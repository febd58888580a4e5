//! What the status tells of runs and plans.

use std::time::Duration;

use http::Method;
use native::call::says;
use native::operator::moment;
use native::{Operator, Setup};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::JobTimes;
use sim::seed::{Kind, Sizes};

use crate::support::described::run;
use crate::support::views::steps;

fn percents(seen: &[Value]) -> Vec<u64> {
    seen.iter()
        .filter_map(|status| status["percent"].as_u64())
        .collect()
}

#[test]
fn the_status_tells_percent_rate_and_estimated_end() {
    let setup = Setup::customers(2_500)
        .latency_ms(1_000)
        .scheduled()
        .variable("window_seconds", 3)
        .variable("id_ranges", 1);
    run(setup, async |shop| {
        let started = shop.start("customers", "").await;
        assert_eq!(
            (&started["total"], &started["percent"], &started["rate"]),
            (&json!(2_500), &json!(0), &Value::Null)
        );
        let seen = shop.ticked("customers").await;
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
            let from_now = end.duration_since(moment(&status["updatedAt"]));
            let from_now = from_now.as_secs_f64();
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
    let mut setup = Setup::catalog(5, 60)
        .scheduled()
        .variable("window_seconds", 3);
    // so long that each phase has to be waited for from window to window
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(13));
    run(setup, async |shop| {
        shop.start("categories", "").await;
        shop.ticked("categories").await;
        shop.start("products", "").await;
        let seen = shop.ticked("products").await;
        let percents = percents(&seen);
        assert!(percents.is_sorted(), "{percents:?}");
        let (items, variants): (Vec<_>, Vec<_>) = seen
            .iter()
            .filter(|status| status["status"] == "running")
            .partition(|status| status["variants"].is_null());
        assert!(!items.is_empty(), "the items were not seen");
        for status in items {
            assert!(status["percent"].as_u64() <= Some(50), "{status}");
            let end = &status["estimatedEnd"];
            assert_eq!(end, &Value::Null, "the variants are to come");
        }
        assert!(!variants.is_empty(), "the variants were not seen");
        for status in variants {
            assert!(status["percent"].as_u64() >= Some(50), "{status}");
            assert!(status["percent"].as_u64() < Some(100), "{status}");
        }
        let last = seen.last().map(|status| &status["percent"]);
        assert_eq!(last, Some(&json!(100)));
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}

#[test]
fn a_run_of_nothing_is_wholly_done() {
    run(Setup::customers(0), async |shop| {
        let done = shop.import("customers", "").await;
        assert_eq!((&done["total"], &done["percent"]), (&json!(0), &json!(100)));
        assert_eq!(done["advice"], "Nothing.");
    });
}

#[test]
fn what_is_waited_for_is_told_with_its_moment() {
    let setup = Setup::customers(5)
        .scheduled()
        .variable("window_seconds", 3);
    run(setup, async |shop| {
        let busy = Rule::always(Fault::throttle(20)).path("profile-bulk-import-jobs");
        shop.world.klaviyo_faults().add(busy.times(1));
        shop.start("customers", "").await;
        let seen = shop.ticked("customers").await;
        let waiting = seen
            .iter()
            .find(|status| !status["notBefore"].is_null())
            .expect("a status that waits");
        assert_eq!(waiting["waitingFor"], "the rate limit of: import profiles");
        assert!(moment(&waiting["notBefore"]) > moment(&waiting["updatedAt"]));
        let advice = &waiting["advice"];
        assert!(says(advice, "scheduler's first call after"), "{waiting}");
        assert_eq!(waiting["chainLooksCut"], false);
        assert_eq!(seen.last().expect("a status")["status"], "completed");
    });
}

#[test]
fn a_plan_that_nobody_moves_on_says_so_and_continue_does() {
    let sizes = Sizes {
        customers: 5,
        orders: 5,
        categories: 3,
        products: 3,
    };
    run(Setup::of(sizes), async |shop| {
        // the plan is written down, and then none of its first two runs, each tried three times
        for write in 2..=7 {
            let rule = Rule::nth(write, Fault::refuse(503)).method(Method::POST);
            shop.world
                .commercetools_faults()
                .add(rule.path("custom-objects"));
        }
        let answer = shop.posted("/sync", "", 202).await;
        assert_eq!(answer["plan"]["chainLooksCut"], false, "{answer}");
        let states: Vec<&str> = steps(&answer).into_iter().map(|(_, state)| state).collect();
        assert_eq!(states, ["waiting"; 4], "{answer}");
        shop.pass(Duration::from_secs(30)).await;
        let status = shop.read("/sync/status").await;
        let plan = &status["plan"];
        assert_eq!(plan["chainLooksCut"], true, "{status}");
        assert!(says(&plan["advice"], "POST /sync/continue"), "{status}");
        shop.posted("/sync/continue", "", 202).await;
        let status = shop.plan_over(false).await;
        assert_eq!(
            (&status["plan"]["status"], &status["plan"]["advice"]),
            (&json!("completed"), &json!("Nothing.")),
            "{status}"
        );
        shop.assert_ledger(&Kind::ALL);
    });
}
