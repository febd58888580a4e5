//! The chain of windows of the built component: carried on, cut, picked up, stopped, made to wait.

use host::Wasi;
use std::time::Duration;

use futures_util::future::join_all;
use native::operator::LOOK;
use native::{Operator, Setup};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Action, JobKind, JobTimes, Kind as CatalogKind};
use sim::seed::Kind;

use crate::support::component::{IntoHosted, Shop, on_each_wasi};

on_each_wasi! {
    an_import_goes_on_through_many_windows,
    a_killed_host_loses_nothing_when_continue_picks_the_chain_up,
    nothing_is_sent_after_the_answer_of_stop,
    of_fifty_starts_at_once_one_wins,
    of_many_deletions_at_once_one_begins,
}

/// An import that reads one page after the other, each of which takes longer than half a window.
fn slow(customers: u32) -> Setup {
    Setup::customers(customers)
        .variable("id_ranges", 1)
        .variable("window_seconds", 1)
        .latency_ms(600)
}

/// Jobs that keep an import going for minutes after all has been sent.
fn long_jobs() -> sim::klaviyo::Options {
    sim::klaviyo::Options {
        job_times: JobTimes::taking(Duration::from_secs(300)),
        ..sim::klaviyo::Options::default()
    }
}

async fn an_import_goes_on_through_many_windows(wasi: Wasi) {
    let shop = Shop::open(slow(1_500).wasi(wasi)).await;
    shop.start("customers", "").await;
    let status = shop.completed("customers").await;
    assert!(status["window"].as_u64() >= Some(4), "{status}");
    assert_eq!(status["counts"]["read"], 1_500);
    shop.assert_ledger(&[Kind::Customer]);
}

async fn a_killed_host_loses_nothing_when_continue_picks_the_chain_up(wasi: Wasi) {
    let mut setup = slow(2_500);
    setup.klaviyo = long_jobs();
    let mut shop = Shop::open(setup.wasi(wasi)).await;
    shop.start("customers", "").await;
    // at moments of all kinds: between two pages, while a page is on its way, between two windows
    for kill in 0..6 {
        shop.pass(Duration::from_millis(1_100 + 270 * kill)).await;
        let status = shop.status("customers").await;
        assert_eq!(status["status"], "running", "{status}");
        shop.kill().await;
        shop.revive().await;
        // the lease of the killed invocation has to run out: until then somebody else has it
        loop {
            let answer = shop.go_on("customers").await;
            match answer.body["outcome"].as_str() {
                Some("busy") => shop.pass(LOOK).await,
                Some("claimed") => break,
                _ => panic!("{}", answer.body),
            }
        }
    }
    let status = shop.completed("customers").await;
    assert_eq!(status["counts"]["read"], 2_500);
    shop.assert_ledger(&[Kind::Customer]);
}

async fn nothing_is_sent_after_the_answer_of_stop(wasi: Wasi) {
    // before anything has been read, while it is read and sent, and while Klaviyo's jobs are waited for
    for moment in [0, 400, 900, 1_300, 2_000, 2_900, 4_100, 9_000, 30_000] {
        let mut setup = slow(1_500);
        setup.klaviyo = long_jobs();
        let shop = Shop::open(setup.wasi(wasi)).await;
        shop.start("customers", "").await;
        shop.pass(Duration::from_millis(moment)).await;
        let answer = shop.stop("customers").await;
        assert_eq!(answer.status, 200, "after {moment} ms: {}", answer.body);
        assert_eq!(answer.body["status"], "stopped");
        // one claim of the chain may be under way: it fetches a token, reads the document, and where the stop was faster is
        // refused to write it, and reads it once more
        let is_look = |call: &str, status: u16| {
            call == "POST /oauth/token"
                || call == "GET /sim-shop/custom-objects/klaviyo-bulk-import/customers"
                || (call == "POST /sim-shop/custom-objects" && status == 409)
        };
        let calls = || {
            let servers = [
                shop.world.commercetools_server(),
                shop.world.klaviyo_server(),
            ];
            let calls = servers
                .map(sim::server::Server::calls)
                .into_iter()
                .flatten();
            let (looks, others): (Vec<_>, Vec<_>) =
                calls.partition(|((call, status), _)| is_look(call, *status));
            (others, looks.iter().map(|(_, count)| count).sum::<u64>())
        };
        let (before, looks_before) = calls();
        // long enough for a chain that goes on, and for one that comes back when its lease has run out
        shop.pass(Duration::from_secs(60)).await;
        let (after, looks_after) = calls();
        assert_eq!(after, before, "after {moment} ms");
        let looks = looks_after - looks_before;
        assert!(
            looks <= 4,
            "after {moment} ms: {looks} looks at the document"
        );
        assert_eq!(shop.status("customers").await["status"], "stopped");
        let answer = shop.go_on("customers").await;
        assert_eq!(answer.body["outcome"], "not running");
        // and a new import starts from the beginning
        shop.world
            .klaviyo(|klaviyo| klaviyo.options_mut().job_times = JobTimes::default());
        shop.start("customers", "").await;
        assert_eq!(shop.completed("customers").await["counts"]["read"], 1_500);
        shop.assert_ledger(&[Kind::Customer]);
    }
}

async fn of_fifty_starts_at_once_one_wins(wasi: Wasi) {
    let mut setup = Setup::customers(500).latency_ms(50);
    // the one that wins is going on when the last one comes, however late that is
    setup.klaviyo = long_jobs();
    let shop = Shop::open(setup.wasi(wasi)).await;
    let starts = join_all((0..50).map(|_| shop.post("/sync/customers", ""))).await;
    let won = starts.iter().filter(|answer| answer.status == 202).count();
    let lost = starts.iter().filter(|answer| answer.status == 423).count();
    let statuses: Vec<u16> = starts.iter().map(|answer| answer.status).collect();
    assert_eq!((won, lost), (1, 49), "{statuses:?}");
    shop.completed("customers").await;
    shop.assert_ledger(&[Kind::Customer]);
}

/// Each of them reads something before it knows whether it may begin.
async fn of_many_deletions_at_once_one_begins(wasi: Wasi) {
    let setup = Setup::catalog(0, 150).latency_ms(50);
    let shop = Shop::open(setup.wasi(wasi)).await;
    shop.complete("products", "").await;
    // the one that begins is going on when the last one comes, however late that is
    shop.world
        .klaviyo(|klaviyo| klaviyo.options_mut().job_times = long_jobs().job_times);
    let deletion = r#"{"deleteAll": true, "confirmDeletion": "products"}"#;
    let starts = join_all((0..20).map(|_| shop.post("/sync/products", deletion))).await;
    let statuses: Vec<u16> = starts.iter().map(|answer| answer.status).collect();
    let count = |status| statuses.iter().filter(|&&one| one == status).count();
    assert_eq!((count(202), count(423)), (1, 19), "{statuses:?}");
    let status = shop.completed("products").await;
    assert_eq!(status["counts"]["failed"], 0, "{status}");
    let (left, in_vain) = shop.world.klaviyo(|klaviyo| {
        let deletion = JobKind::Catalog(CatalogKind::Item, Action::Delete);
        let items = klaviyo.ledger().catalog().entries(CatalogKind::Item);
        (items.len(), klaviyo.failures(deletion))
    });
    // none of the others has deleted an item, too
    assert_eq!((left, in_vain), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_continues_at_once_one_works() {
    let shop = Shop::open(Setup::customers(500).scheduled().latency_ms(50)).await;
    shop.start("customers", "").await;
    let answers = join_all((0..50).map(|_| shop.go_on("customers"))).await;
    let count = |outcome: &str| {
        let these = answers.iter();
        these
            .filter(|answer| answer.body["outcome"] == outcome)
            .count()
    };
    let worked = count("worked");
    // one that comes after the window finds the run over
    let idle = count("busy") + count("not running") + count("waiting");
    assert_eq!(worked + idle, 50);
    assert_eq!(shop.completed("customers").await["window"], worked);
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_carries_an_import_without_self_calls() {
    let shop = Shop::open(slow(1_500).scheduled()).await;
    shop.start("customers", "").await;
    let mut windows = 0;
    while shop.status("customers").await["status"] == "running" {
        let answer = shop.posted("/sync/continue", "", 200).await;
        windows += u64::from(answer["customers"]["outcome"] == "worked");
    }
    let status = shop.completed("customers").await;
    assert_eq!(status["window"], windows);
    assert!(windows >= 4, "{status}");
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_429_is_waited_out_across_windows() {
    let shop = Shop::open(Setup::customers(200).variable("window_seconds", 5)).await;
    let throttled = Rule::always(Fault::throttle(60));
    shop.world
        .klaviyo_faults()
        .add(throttled.path("/api/profile-bulk-import-jobs").times(1));
    let begun = shop.world.clock().now();
    shop.start("customers", "").await;
    let waiting = shop
        .until("customers", |status| !status["notBefore"].is_null())
        .await;
    assert_eq!(waiting["status"], "running");
    let status = shop.completed("customers").await;
    let took = shop.world.clock().now().duration_since(begun);
    assert!(took.as_secs() >= 60, "it did not wait: {took:?}");
    // one refused call, not a storm of them
    assert_eq!(shop.world.klaviyo_faults().applied(), 1);
    assert!(status["window"].as_u64() > Some(1), "{status}");
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_uses_a_token_until_shortly_before_it_ends_and_replaces_it_once_when_it_is_refused()
 {
    // windows of WASI 0.3 come to an instance that has a token; one of 0.2 has nothing from the window before
    let mut setup = slow(1_500);
    setup.klaviyo = long_jobs();
    let shop = Shop::open(setup.wasi(Wasi::V0_3)).await;
    // half of so short a life is left to calls that are under way
    shop.world
        .commercetools(|project| project.set_token_lifetime(Duration::from_secs(100)));
    shop.start("customers", "").await;
    shop.pass(Duration::from_secs(40)).await;
    let issued = || shop.world.commercetools(|project| project.tokens_issued());
    assert_eq!(issued(), 1);
    shop.pass(Duration::from_secs(40)).await;
    assert_eq!(issued(), 2);
    let refusals = || {
        let calls = shop.world.commercetools_server().calls();
        let refused = calls.iter().filter(|((_, status), _)| *status == 401);
        refused.map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!(refusals(), 0, "an old token was used");
    shop.world.commercetools(|project| project.revoke_tokens());
    shop.completed("customers").await;
    assert!(refusals() > 0, "the token was never refused");
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_sent_is_saved_while_the_window_goes_on() {
    let setup = slow(5_000).variable("window_seconds", 20);
    let shop = Shop::open(setup.latency_ms(1_500)).await;
    shop.start("customers", "").await;
    let stored = || shop.stored("customers").expect("a run document");
    let first = stored();
    let (mut version, mut read) = (first.version, Vec::new());
    let begun = shop.world.clock().elapsed();
    let mut saved_at = begun;
    // until the window comes to its end, which is another save
    while saved_at < begun + Duration::from_secs(14) {
        shop.pass(Duration::from_millis(100)).await;
        let now = shop.world.clock().elapsed();
        let found = stored();
        assert_eq!(found.value["window"], first.value["window"]);
        if found.version > version {
            (version, saved_at) = (found.version, now);
            read.push(found.value["counts"]["read"].as_u64().unwrap_or_default());
        }
        // five seconds, and the call that saves
        assert!(now - saved_at < Duration::from_secs(5 + 3));
    }
    assert!(read.len() >= 2 && read.last() > Some(&0), "{read:?}");
}
