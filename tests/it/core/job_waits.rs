//! How long imports wait for Klaviyo's jobs, and how often they ask.

use std::time::Duration;

use native::{Operator, Setup};
use sim::klaviyo::{JobKind, JobTimes, Operation};
use sim::seed::Kind;

use crate::support::described::run;

/// Imports something small, and returns how long after its last job's end it is over.
fn ends_after(resource: &str, setup: Setup) -> Duration {
    run(setup, async |shop| {
        shop.start(resource, "").await;
        let is_running = || {
            let document = shop.stored(resource).expect("a run");
            document.value["status"] == "running"
        };
        while is_running() {
            shop.pass(Duration::from_millis(20)).await;
        }
        let over = shop.world.clock().now();
        let status = shop.completed(resource).await;
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        shop.world.klaviyo(|klaviyo| {
            assert_eq!(klaviyo.ledger().total_traffic().throttled, 0);
            let jobs = klaviyo.jobs_after(0).into_iter();
            let last = jobs.map(|(_, since, takes)| since + takes).max();
            over.duration_since(last.expect("a job")).unsigned_abs()
        })
    })
}

#[test]
fn a_small_import_ends_within_two_seconds_of_its_last_job() {
    let chosen = [7_300, 12_000, 16_400, 33_000, 130_000, 274_000];
    let chosen = chosen.map(|job| JobTimes::taking(Duration::from_millis(job)));
    let seeds = [JobTimes::USUAL, JobTimes::RECORDED].map(|times| [times; 4]);
    let times = chosen.iter().chain(seeds.as_flattened());
    // with 300 ms a call, few end later: a call takes 450 ms at most, and there may be four of them beside the pause of half a
    // second: the poll that comes just too early, the next one, a save that is under way, and the last one
    for (latency, most) in [(0, 2_000), (300, 2_300)] {
        for resource in ["customers", "categories", "products"] {
            for (seed, &job_times) in (0..).zip(times.clone()) {
                let setup = match resource {
                    "customers" => Setup::customers(1),
                    "categories" => Setup::catalog(200, 0),
                    _ => Setup::catalog(0, 20),
                };
                let mut setup = setup.latency_ms(latency);
                setup.klaviyo.job_times = job_times;
                setup.klaviyo.seed = seed;
                let after = ends_after(resource, setup);
                assert!(
                    after <= Duration::from_millis(most),
                    "{resource} {latency} ms {job_times:?} {seed}: {after:?}"
                );
            }
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
