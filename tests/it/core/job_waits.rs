//! How long imports wait for Klaviyo's jobs, and how often they ask.

use std::time::Duration;

use native::{Operator, Setup};
use sim::klaviyo::{JobKind, JobTimes, Operation};
use sim::seed::Kind;

use crate::support::described::run;

#[test]
fn a_small_import_ends_within_two_seconds_of_its_last_job() {
    for resource in ["customers", "categories"] {
        for job in [7_300, 12_000, 16_400, 33_000] {
            let job = Duration::from_millis(job);
            let mut setup = match resource {
                "customers" => Setup::customers(1),
                _ => Setup::catalog(200, 0),
            };
            setup.klaviyo.job_times = JobTimes::taking(job);
            run(setup, async |shop| {
                let begun = shop.world.clock().now();
                let status = shop.complete(resource, "").await;
                assert_eq!(status["counts"]["failed"], 0, "{status}");
                let took = shop.world.clock().now().duration_since(begun);
                let after = took.unsigned_abs().saturating_sub(job);
                assert!(
                    after <= Duration::from_secs(2),
                    "{resource} {job:?}: {after:?}"
                );
            });
        }
    }
}

#[test]
fn many_jobs_are_not_asked_for_again_and_again() {
    let mut setup = Setup::catalog(0, 900).latency_ms(100);
    setup.klaviyo.job_times = JobTimes::USUAL;
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let (mut made, mut read) = (0, 0);
        shop.world.klaviyo(|klaviyo| {
            for (operation, traffic) in klaviyo.ledger().all_traffic() {
                match operation {
                    Operation::StartJob(JobKind::Catalog(..)) => made += traffic.calls,
                    Operation::GetJob(JobKind::Catalog(..)) => read += traffic.calls,
                    _ => {}
                }
                assert_eq!(traffic.throttled, 0, "{operation}");
            }
        });
        assert!(made > 40, "{made} jobs");
        assert!(read <= 5 * made, "{read} polls of {made} jobs");
        shop.assert_ledger(&[Kind::Product]);
    });
}
