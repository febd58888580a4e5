//! More jobs than Klaviyo takes: the refusal of one too many, in whichever form, is no bad document.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup};
use sim::klaviyo::{JobLimit, JobTimes, JobsOfOthers, Pointers, TooManyJobs};
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

/// Klaviyo does not create this variant, and does not say which one of a request it is.
#[derive(Default)]
struct BadVariant {
    sku: RefCell<Option<String>>,
    refused: Cell<u32>,
}

impl Interceptor for BadVariant {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let sku = self.sku.borrow();
        let id = format!(r#""external_id":"{}""#, sku.as_ref()?);
        let is_refused = to == Destination::Klaviyo
            && request.method() == Method::POST
            && request.uri().path() == "/api/catalog-variant-bulk-create-jobs"
            && String::from_utf8_lossy(request.body()).contains(&id);
        if !is_refused {
            return None;
        }
        self.refused.set(self.refused.get() + 1);
        let body = br#"{"errors":[{"code":"invalid","source":{"pointer":"/data"}}]}"#;
        let response = Response::builder().status(400);
        Some(Ok(response
            .body(Bytes::from_static(body))
            .expect("a response")))
    }
}

/// Imports products, one variant of which is bad or none, while other apps have many jobs under way, of each kind or in all.
/// Returns how long that takes.
fn beside_many_jobs(job_limit: JobLimit, is_bad: bool) -> Duration {
    let mut setup = Setup::catalog(0, 300).latency_ms(300);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(12));
    setup.klaviyo.jobs_a_page = 100;
    setup.klaviyo.job_limit = job_limit;
    setup.klaviyo.jobs_of_others = Some(JobsOfOthers {
        count: 400,
        take: Duration::from_secs(10_000),
        every: Duration::from_secs(100_000),
    });
    let bad = Rc::new(BadVariant::default());
    run_with(setup, bad.clone(), async |shop| {
        let id = shop.published_products().swap_remove(100);
        if is_bad {
            shop.change_published(&id, |data| {
                let sku = data["masterVariant"]["sku"].as_str();
                bad.sku.replace(sku.map(str::to_owned));
            });
        }
        let begun = shop.world.clock().elapsed();
        let status = shop.complete("products", "").await;
        let failed = u32::from(is_bad);
        assert_eq!(status["variants"]["failed"], failed, "{status}");
        assert_eq!(bad.refused.get() > 0, is_bad);
        shop.world.clock().elapsed() - begun
    })
}

#[test]
fn many_jobs_below_the_limit_do_not_make_a_bad_document_wait() {
    for job_limit in JobLimit::ALL {
        let [usual, with_bad] = [false, true].map(|is_bad| beside_many_jobs(job_limit, is_bad));
        // taking its batch apart takes 14 requests, and each time the jobs are counted, in some three seconds; the others
        // of the batch wait for a job of their own
        let longer = with_bad.saturating_sub(usual);
        assert!(
            longer < Duration::from_secs(60),
            "{job_limit:?}: {longer:?}"
        );
    }
}
