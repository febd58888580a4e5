//! The phases of an import of products: variants follow their items, and runs of earlier versions go on.

use std::time::Duration;

use native::{Call, Operator, Setup};
use serde_json::Value;
use sim::klaviyo::{self, JobTimes};
use sim::seed::Kind;

use crate::support::described::run;

#[test]
fn variants_follow_their_items_and_a_slow_job_holds_up_only_its_own() {
    let mut setup = Setup::catalog(0, 1_200).scheduled().latency_ms(50);
    setup.klaviyo.job_times = JobTimes::RECORDED;
    run(setup, async |shop| {
        let entries = |kind| {
            shop.world.klaviyo(|klaviyo| {
                let catalog = klaviyo.ledger().catalog();
                catalog.entries(kind).len()
            })
        };
        let variants = || entries(klaviyo::Kind::Variant);
        let begun = shop.world.clock().now();
        shop.start("products", "").await;
        // recorded times of jobs that create items are 12, 16 and 274 s
        let quick = Duration::from_secs(90);
        while shop
            .world
            .clock()
            .now()
            .duration_since(begun)
            .unsigned_abs()
            < quick
        {
            shop.send(Call::post("/sync/products/continue", "")).await;
            shop.pass(Duration::from_secs(1)).await;
        }
        let now = shop.world.clock().now();
        let slow = shop
            .world
            .klaviyo(|klaviyo| klaviyo.unfinished_jobs(now).len());
        let early = variants();
        let status = shop.status("products").await;
        assert!(
            slow > 0 && status["jobsUnderWay"] == slow,
            "{slow}: {status}"
        );
        shop.ticked("products").await;
        let (all, items) = (variants(), entries(klaviyo::Kind::Item));
        assert!(early > 0 && early < all, "{early} of {all}");
        // how many jobs are slow is drawn: only variants of their items, up to 100 each, are not there yet
        let expected = all * items.saturating_sub(100 * slow) / items;
        assert!(
            early > expected * 9 / 10,
            "{early} of {all}: {slow} slow jobs of {items} items"
        );
        shop.assert_ledger(&[Kind::Product]);
    });
}

/// A document of an earlier version, in a phase that this one does not begin any more.
fn of_an_earlier_version(mut document: Value, phase: &str) -> Value {
    document["schema"] = 2.into();
    document["cursor"]["phase"] = phase.into();
    document
}

#[test]
fn a_run_that_an_earlier_version_began_goes_on_in_either_phase() {
    for phase in ["items", "variants"] {
        run(Setup::catalog(0, 60).scheduled(), async |shop| {
            if phase == "variants" {
                // its first phase is over: the items are there
                shop.complete("products", "").await;
            }
            shop.start("products", "").await;
            let document = of_an_earlier_version(shop.document("products"), phase);
            shop.put_document("products", &document);
            let statuses = shop.ticked("products").await;
            let phases = statuses
                .iter()
                .filter_map(|status| status["phase"].as_str());
            assert!(!phases.clone().any(|seen| seen == "products"), "{phase}");
            let done = statuses.last().expect("a status");
            assert_eq!(done["status"], "completed", "{done}");
            if phase == "items" {
                assert_eq!(done["counts"]["read"], done["total"]);
            }
            shop.assert_ledger(&[Kind::Product]);
        });
    }
}
