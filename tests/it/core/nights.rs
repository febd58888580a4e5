//! What a nightly and a prune cost: calls and time, where little has changed.

use std::time::Duration;

use jiff::Timestamp;
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{JobTimes, Operation};
use sim::seed::Kind;

use crate::support::described::run;

/// How many calls read something of either API, beside those that ask for jobs; documents of runs, which the operator reads,
/// too, are left out.
fn reads(shop: &Shop) -> u64 {
    let of_klaviyo: u64 = shop.world.klaviyo(|klaviyo| {
        let traffic = klaviyo.ledger().all_traffic();
        let reads = traffic.filter(|(operation, _)| {
            let is_of_job = |operation| {
                use Operation::{GetJob, ListJobs, StartJob};
                matches!(operation, GetJob(_) | ListJobs(_) | StartJob(_))
            };
            !is_of_job(*operation)
        });
        reads.map(|(_, traffic)| traffic.calls).sum()
    });
    let of_commercetools = shop.world.commercetools_server().calls().into_iter();
    let reads = of_commercetools
        .filter(|((call, _), _)| !call.contains("/custom-objects") && !call.ends_with("/token"));
    of_klaviyo + reads.map(|(_, calls)| calls).sum::<u64>()
}

fn took(status: &Value) -> Duration {
    let at = |name: &str| -> Timestamp { native::operator::moment(&status[name]) };
    at("finishedAt")
        .duration_since(at("startedAt"))
        .unsigned_abs()
}

/// A run of each resource of the catalog: what they read in all, and how long both took.
async fn both(shop: &Shop, body: &Value) -> (u64, Duration) {
    let before = reads(shop);
    let mut in_all = Duration::ZERO;
    for resource in ["categories", "products"] {
        shop.start(resource, body.to_string()).await;
        in_all += took(&shop.completed(resource).await);
    }
    (reads(shop) - before, in_all)
}

#[test]
fn a_night_after_few_changes_costs_few_calls_and_little_time() {
    let mut setup = Setup::catalog(60, 2_300).latency_ms(300);
    setup.klaviyo.job_times = JobTimes::taking(Duration::ZERO);
    run(setup, async |shop| {
        both(&shop, &json!({})).await;
        // 2,000 products and 60 categories: pages of 100, and a question for each whether commercetools has them
        let (reads, _) = both(&shop, &json!({"prune": true})).await;
        assert!(
            reads <= 2 * (21 + 1) + 3,
            "{reads} reads of a prune of what is clean"
        );
        shop.pass(Duration::from_hours(20)).await;
        let changed = sim::day::pass(&shop.world);
        assert!(changed >= 20, "{changed}");
        shop.pass(Duration::from_hours(1)).await;
        let (reads, took) = both(&shop, &json!({"since": "lastRun"})).await;
        assert!(reads <= 40, "{reads} reads of a night");
        assert!(took <= Duration::from_secs(15), "{took:?}");
        both(&shop, &json!({"prune": true})).await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}
