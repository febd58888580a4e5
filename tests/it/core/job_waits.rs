//! How long imports wait for Klaviyo's jobs, and how often they ask.

use std::time::Duration;

use native::{Operator, Setup};
use sim::klaviyo::{JobKind, JobTimes, Operation};
use sim::seed::Kind;

use crate::support::described::run;

#[test]
fn a_small_import_ends_within_two_seconds_of_its_last_job() {
    for resource in ["customers", "categories"] {
        for job in [7_300, 12_000, 16_400, 33_000, 130_000, 274_000] {
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

/// Imports this many products with jobs that take the usual time, and a list of them with so many a page. Returns how
/// many jobs that took, and how many reads of jobs and of lists of them.
fn jobs_and_reads(products: u32, jobs_a_page: usize) -> (u64, u64) {
    let mut setup = Setup::catalog(0, products).latency_ms(300);
    setup.klaviyo.job_times = JobTimes::USUAL;
    setup.klaviyo.jobs_a_page = jobs_a_page;
    let (mut made, mut read) = (0, 0);
    run(setup, async |shop| {
        shop.complete("products", "").await;
        shop.world.klaviyo(|klaviyo| {
            for (operation, traffic) in klaviyo.ledger().all_traffic() {
                match operation {
                    Operation::StartJob(JobKind::Catalog(..)) => made += traffic.calls,
                    Operation::GetJob(JobKind::Catalog(..))
                    | Operation::ListJobs(JobKind::Catalog(..)) => read += traffic.calls,
                    _ => {}
                }
                assert_eq!(traffic.throttled, 0, "{operation}");
            }
        });
        shop.assert_ledger(&[Kind::Product]);
    });
    (made, read)
}

#[test]
fn many_jobs_are_found_in_the_lists_of_finished_ones() {
    let (made, read) = jobs_and_reads(8_000, 100);
    assert!(made > 300, "{made} jobs");
    assert!(read <= made / 10 + 30, "{read} reads of {made} jobs");
    // a page cannot have more jobs than it has, and the last ones are not waited for in vain
    for jobs_a_page in [10, 20] {
        let (made, read) = jobs_and_reads(900, jobs_a_page);
        assert!(made > 40, "{made} jobs");
        assert!(read <= 2 * made, "{read} reads of {made} jobs");
    }
}
