//! More jobs than Klaviyo takes: the refusal of one too many, in whichever form, is no bad document.

use std::time::Duration;

use native::{Operator, Setup};
use sim::klaviyo::{JobLimit, JobsOfOthers, Pointers, TooManyJobs};
use sim::seed::Kind;

use crate::support::described::run;

/// A shop, with windows of so many seconds, while other apps have as many jobs as Klaviyo takes, for so many seconds.
fn others_use_it_up(window_seconds: u64, take: u64) -> Setup {
    let mut setup = Setup::catalog(30, 30)
        .variable("window_seconds", window_seconds)
        .latency_ms(300);
    setup.klaviyo.jobs_of_others = Some(JobsOfOthers {
        count: 500,
        take: Duration::from_secs(take),
        every: Duration::from_secs(100_000),
    });
    setup
}

/// Imports the whole catalog, of which nothing fails.
fn everything_arrives(setup: Setup) {
    let (too_many_jobs, job_limit) = (setup.klaviyo.too_many_jobs, setup.klaviyo.job_limit);
    run(setup, async |shop| {
        for resource in ["categories", "products"] {
            let status = shop.complete(resource, "").await;
            assert_eq!(
                status["counts"]["failed"], 0,
                "{too_many_jobs:?} {job_limit:?}: {status}"
            );
        }
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}

#[test]
fn a_limit_that_others_use_up_for_long_is_waited_out() {
    for (too_many_jobs, pointers) in TooManyJobs::ALL.into_iter().zip(Pointers::ALL) {
        for (window_seconds, job_limit) in [6, 25].into_iter().zip(JobLimit::ALL) {
            let mut setup = others_use_it_up(window_seconds, 900);
            setup.klaviyo.too_many_jobs = too_many_jobs;
            setup.klaviyo.job_limit = job_limit;
            setup.klaviyo.pointers = pointers;
            everything_arrives(setup);
        }
    }
}

#[test]
fn more_jobs_than_a_window_can_count_are_waited_out() {
    for too_many_jobs in TooManyJobs::ALL {
        // thirty pages, one after the other, take longer than such a window
        let mut setup = others_use_it_up(1, 120);
        setup.klaviyo.too_many_jobs = too_many_jobs;
        setup.klaviyo.jobs_a_page = 10;
        everything_arrives(setup);
    }
}

#[test]
fn one_job_too_many_is_waited_out_whatever_its_refusal_looks_like() {
    let limits = JobLimit::ALL.into_iter().cycle();
    for ((too_many_jobs, jobs_a_page), job_limit) in TooManyJobs::ALL
        .into_iter()
        .zip([10, 20, 20, 100])
        .zip(limits)
    {
        let mut setup = Setup::catalog(900, 300);
        setup.klaviyo.jobs_a_page = jobs_a_page;
        setup.klaviyo.job_limit = job_limit;
        setup.klaviyo.too_many_jobs = too_many_jobs;
        // others leave room for two jobs, and then for none that began before them
        setup.klaviyo.jobs_of_others = Some(JobsOfOthers {
            count: 498,
            take: Duration::from_secs(70),
            every: Duration::from_secs(100),
        });
        run(setup, async |shop| {
            for (resource, kind) in [("categories", Kind::Category), ("products", Kind::Product)] {
                // everything is created, and then updated
                for _ in 0..2 {
                    shop.start(resource, "").await;
                    let status = shop.completed(resource).await;
                    assert_eq!(
                        status["counts"]["failed"], 0,
                        "{too_many_jobs:?} {job_limit:?}: {status}"
                    );
                    shop.assert_ledger(&[kind]);
                }
            }
            let traffic = shop
                .world
                .klaviyo(|klaviyo| klaviyo.ledger().total_traffic());
            assert!(
                traffic.refused + traffic.throttled > 0,
                "{too_many_jobs:?} {job_limit:?}: the limit was never met"
            );
        });
    }
}
