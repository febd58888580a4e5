//! Jobs that a stopped run left in Klaviyo: the next run waits for them, as long as such a job may take.

use std::time::Duration;

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{Action, JobKind, JobTimes, JobsOfOthers, Kind as EntryKind, Operation};
use sim::seed::Kind;

use crate::support::described::run;

const DELETE_PRODUCTS: &str = r#"{"deleteAll":true,"confirmDeletion":"products"}"#;
const KINDS: [Kind; 2] = [Kind::Category, Kind::Product];

fn entries(shop: &Shop, kind: EntryKind) -> usize {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().catalog().entries(kind).len())
}

fn jobs_take(shop: &Shop, time: JobTimes) {
    shop.world
        .klaviyo(|klaviyo| klaviyo.options_mut().job_times = time);
}

/// Starts a run whose jobs take two minutes, and stops it after this. Whether it has left some.
async fn stopped(shop: &Shop, body: &str, after: Duration) -> bool {
    jobs_take(shop, JobTimes::taking(Duration::from_secs(120)));
    shop.start("products", body).await;
    shop.pass(after).await;
    let answer = shop.stop("products").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    jobs_take(shop, JobTimes::default());
    let now = shop.world.clock().now();
    shop.world
        .klaviyo(|klaviyo| !klaviyo.unfinished_jobs(now).is_empty())
}

/// How often a list of jobs to delete items was asked for.
fn looks(shop: &Shop) -> u64 {
    let lists = Operation::ListJobs(JobKind::Catalog(EntryKind::Item, Action::Delete));
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().traffic(lists).calls)
}

#[test]
fn an_import_right_after_a_stopped_deletion_loses_nothing_to_it_and_the_other_way_round() {
    let mut left = 0;
    for after in [500, 2_000, 5_000, 12_000] {
        let after = Duration::from_millis(after);
        for setup in [Setup::catalog(25, 120), Setup::catalog(25, 120).scheduled()] {
            run(setup.latency_ms(200), async |shop| {
                shop.complete("categories", "").await;
                shop.complete("products", "").await;
                left += usize::from(stopped(&shop, DELETE_PRODUCTS, after).await);
                let status = shop.complete("products", "").await;
                assert_eq!(status["counts"]["failed"], 0, "{status}");
                shop.pass(Duration::from_secs(300)).await;
                shop.assert_ledger(&KINDS);

                shop.complete("products", DELETE_PRODUCTS).await;
                left += usize::from(stopped(&shop, "", after).await);
                shop.complete("products", DELETE_PRODUCTS).await;
                shop.pass(Duration::from_secs(300)).await;
                let kinds = [EntryKind::Item, EntryKind::Variant];
                assert_eq!(kinds.map(|kind| entries(&shop, kind)), [0, 0]);
            });
        }
    }
    assert!(left >= 4, "only {left} of the stopped runs left jobs");
}

#[test]
fn while_jobs_of_the_run_before_are_waited_for_the_status_says_so_and_a_stop_works() {
    run(Setup::catalog(25, 120), async |shop| {
        shop.complete("categories", "").await;
        assert!(stopped(&shop, "", Duration::from_secs(3)).await);
        shop.start("products", "").await;
        shop.pass(Duration::from_secs(20)).await;
        let status = shop.status("products").await;
        let waits_for = status["waitingFor"].as_str().unwrap_or_default();
        assert!(waits_for.contains("the run before"), "{status}");
        assert_eq!(status["counts"]["read"], 0, "{status}");
        // a run that is stopped while it waits leaves the waiting to the next one
        assert_eq!(shop.stop("products").await.status, 200);
        let status = shop.complete("products", "").await;
        assert_eq!(status["waitingFor"], Value::Null, "{status}");
        assert_eq!(status["stalledWindows"].as_u64().unwrap_or_default(), 0);
        shop.assert_ledger(&KINDS);
    });
}

#[test]
fn what_others_keep_klaviyo_busy_with_is_waited_for_no_longer_than_a_job_takes() {
    let mut setup = Setup::catalog(25, 120);
    setup.klaviyo.jobs_of_others = Some(JobsOfOthers {
        count: 3,
        take: Duration::from_secs(7_200),
        every: Duration::from_secs(7_000),
    });
    run(setup, async |shop| {
        shop.complete("categories", "").await;
        stopped(&shop, "", Duration::from_secs(6)).await;
        let begun = shop.world.clock().elapsed();
        shop.complete("products", "").await;
        let took = shop.world.clock().elapsed() - begun;
        assert!(took >= Duration::from_secs(590), "{took:?}");
        assert!(took < Duration::from_secs(660), "{took:?}");
        shop.assert_ledger(&KINDS);
    });
}

#[test]
fn nothing_is_asked_where_no_run_was_stopped_or_nothing_is_sent() {
    run(Setup::catalog(25, 120), async |shop| {
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        shop.complete("products", "").await;
        assert_eq!(looks(&shop), 0);
        assert!(stopped(&shop, "", Duration::from_secs(3)).await);
        shop.complete("products", json!({"dryRun": true})).await;
        assert_eq!(looks(&shop), 0);
        // it has waited for nothing, so that the next one does
        shop.complete("products", "").await;
        assert!(looks(&shop) > 0);
        let before = looks(&shop);
        shop.complete("products", "").await;
        assert_eq!(looks(&shop), before);
    });
}
