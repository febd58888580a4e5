//! Races, decided by gates: whoever comes first, one run, one window, and nothing after the answer of a stop.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{join, join_all, join3};
use futures_util::stream::FuturesUnordered;
use host::Gate;
use jiff::{SignedDuration, Timestamp};
use native::{Answer, Operator, Setup};
use reqwest::Method;
use sim::commercetools::CustomObject;
use sim::seed::Kind;

use crate::support::component::{Hosted, IntoHosted, Shop};
use crate::support::gates::Gates;

/// A write of a run document.
const SAVE: (Method, &str) = (Method::POST, "/custom-objects");
/// A page of customers.
const PAGE: (Method, &str) = (Method::GET, "/sim-shop/customers");
/// A batch of events.
const SEND: (Method, &str) = (Method::POST, "/event-bulk-create-jobs");

/// Time goes slowly, so that no time-out of the component decides what the gates are to decide.
fn slowly(setup: Setup, gates: Gates) -> Hosted {
    setup.speed(0.5).outbound(Arc::new(gates))
}

/// An import of orders, which is over with its first save: events have no jobs to wait for. It has been started, and its
/// last save, the second write of its document, stands at a gate.
async fn at_the_last_save(gates: impl FnOnce(&Gate) -> Gates) -> (Shop, Gate) {
    let save = Gate::default();
    let shop = Shop::open(slowly(Setup::orders(30), gates(&save))).await;
    shop.start("orders", "").await;
    save.arrived(1).await;
    (shop, save)
}

/// That save waits before it is sent.
fn before(save: &Gate) -> Gates {
    Gates::default().before(SAVE, 2..=2, save)
}

/// That save has taken effect and waits for its answer.
fn after(save: &Gate) -> Gates {
    Gates::default().after(SAVE, 2..=2, save)
}

/// Stops the import of orders; when the stop is written down, `gates` are opened in their order.
async fn stopped_before(shop: &Shop, gates: &[&Gate]) -> Answer {
    let then = async {
        shop.until_stored("orders", |run| run.value["status"] == "stopped")
            .await;
        gates.iter().for_each(|gate| gate.open());
    };
    join(shop.stop("orders"), then).await.0
}

fn sends(shop: &Shop) -> u64 {
    let klaviyo = shop.world.klaviyo_server();
    klaviyo.calls_of("POST /api/event-bulk-create-jobs")
}

async fn orders_completed(shop: &Shop) {
    shop.completed("orders").await;
    shop.assert_ledger(&[Kind::Order]);
}

/// Nothing is sent after the answer of a stop, and a new import finds its way.
async fn assert_stopped(mut shop: Shop, answer: Answer) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["status"], "stopped", "{}", answer.body);
    assert!(answer.body["lease"].is_null(), "{}", answer.body);
    let sent = sends(&shop);
    shop.finish().await;
    assert_eq!(sends(&shop), sent, "{}", shop.log().join("\n"));
    shop.revive().await;
    shop.start("orders", "").await;
    orders_completed(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_starts_that_found_no_run_one_begins() {
    let gate = Gate::default();
    let gates = Gates::default().before(SAVE, 1..=50, &gate);
    let shop = Shop::open(slowly(Setup::customers(20), gates)).await;
    let starts = join_all((0..50).map(|_| shop.post("/sync/customers", "")));
    let all_have_looked = async {
        gate.arrived(50).await;
        gate.open();
    };
    let (answers, ()) = join(starts, all_have_looked).await;
    let count = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!((count(202), count(423)), (1, 49));
    let begun = answers.iter().find(|answer| answer.status == 202);
    let status = shop.completed("customers").await;
    assert_eq!(
        begun.map(|answer| &answer.body["runId"]),
        Some(&status["runId"])
    );
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_continues_that_found_no_lease_one_works() {
    let (claims, pages) = (Gate::default(), Gate::default());
    // the first write and the first query are the start's
    let gates = Gates::default()
        .before(SAVE, 2..=51, &claims)
        .before(PAGE, 2..=1_000, &pages);
    let shop = Shop::open(slowly(Setup::customers(20).scheduled(), gates)).await;
    shop.start("customers", "").await;
    let mut continues: FuturesUnordered<_> = (0..50).map(|_| shop.go_on("customers")).collect();
    let all_have_looked = async {
        claims.arrived(50).await;
        claims.open();
    };
    let losers = async {
        let mut outcomes = Vec::new();
        for _ in 0..49 {
            let answer = continues.next().await.expect("fifty answers");
            outcomes.push(answer.body["outcome"].clone());
        }
        outcomes
    };
    let (outcomes, ()) = join(losers, all_have_looked).await;
    assert!(outcomes.iter().all(|o| o == "busy"), "{outcomes:?}");
    pages.open();
    let winner = continues.next().await.expect("fifty answers");
    assert_eq!(winner.body["outcome"], "worked", "{}", winner.body);
    assert_eq!(winner.body["run"]["window"], 1, "{}", winner.body);
    let last = shop.ticked("customers").await.pop();
    shop.assert_completed(&last.expect("a tick"));
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_overtakes_the_last_save() {
    let (shop, save) = at_the_last_save(before).await;
    let answer = stopped_before(&shop, &[&save]).await;
    // what had been acknowledged by then is told
    assert_eq!(answer.body["counts"]["sent"], 30, "{}", answer.body);
    assert_stopped(shop, answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_save_overtakes_a_stop() {
    let stop = Gate::default();
    let (shop, save) = at_the_last_save(|save| before(save).before(SAVE, 3..=3, &stop)).await;
    let then = async {
        stop.arrived(1).await;
        save.open();
        shop.until_stored("orders", |run| run.value["status"] == "completed")
            .await;
        stop.open();
    };
    let (answer, ()) = join(shop.stop("orders"), then).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.body["title"], "Not running");
    orders_completed(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_comes_between_the_last_save_and_its_answer() {
    let (shop, save) = at_the_last_save(after).await;
    let answer = shop.stop("orders").await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    save.open();
    orders_completed(&shop).await;
}

/// As [`at_the_last_save`], but the run's first batch is held up too, so that its second write is a checkpoint in the
/// middle of a window.
async fn at_a_checkpoint(gates: impl FnOnce(&Gate) -> Gates) -> (Shop, Gate, Gate) {
    let (save, send) = (Gate::default(), Gate::default());
    let gates = gates(&save).before(SEND, 1..=1, &send);
    let setup = Setup::orders(30).speed(2.0).outbound(Arc::new(gates));
    let shop = Shop::open(setup).await;
    shop.start("orders", "").await;
    send.arrived(1).await;
    save.arrived(1).await;
    (shop, save, send)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_overtakes_a_checkpoint() {
    let (shop, save, send) = at_a_checkpoint(before).await;
    let answer = stopped_before(&shop, &[&save, &send]).await;
    assert_stopped(shop, answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_comes_between_a_checkpoint_and_its_answer() {
    let (shop, save, send) = at_a_checkpoint(after).await;
    // the window learns of its own save first, and of the stop only with its next
    let answer = stopped_before(&shop, &[&save, &send]).await;
    assert_stopped(shop, answer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_before_the_last_save_is_refused() {
    let (shop, save) = at_the_last_save(before).await;
    let answer = shop.posted("/sync/orders", "", 423).await;
    assert_eq!(answer["runStatus"], "running");
    save.open();
    shop.completed("orders").await;
    shop.start("orders", "").await;
    orders_completed(&shop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_before_the_answer_of_the_last_save_begins_a_run_of_its_own() {
    let (mut shop, save) = at_the_last_save(after).await;
    let second = shop.start("orders", "").await;
    save.open();
    let status = shop.completed("orders").await;
    assert_eq!(status["runId"], second["runId"]);
    assert_eq!(status["window"], 1, "the first run's chain went on in it");
    shop.finish().await;
    shop.assert_ledger(&[Kind::Order]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_another_overtakes_is_refused() {
    let slow = Gate::default();
    let gates = Gates::default().before(SAVE, 1..=1, &slow);
    let shop = Shop::open(slowly(Setup::orders(30), gates)).await;
    let overtaken = async {
        slow.arrived(1).await;
        let fast = shop.start("orders", "").await;
        shop.completed("orders").await;
        slow.open();
        fast["runId"].clone()
    };
    let (answer, run_id) = join(shop.post("/sync/orders", ""), overtaken).await;
    assert_eq!(answer.status, 423, "{}", answer.body);
    assert_eq!(shop.completed("orders").await["runId"], run_id);
    shop.assert_ledger(&[Kind::Order]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_instances_that_find_the_same_lease_run_out_one_works() {
    let claims = Gate::default();
    let gates = Gates::default()
        .killed((Method::POST, "/profile-bulk-import-jobs"), 1..=1)
        .before(SAVE, 2..=3, &claims);
    let setup = Setup::customers(20)
        .variable("window_seconds", 1)
        .speed(2.0)
        .outbound(Arc::new(gates))
        .platform(|options| options.max_instance_concurrency = 1);
    let shop = Shop::open(setup).await;
    shop.start("customers", "").await;
    shop.until_stored("customers", |run| {
        has_run_out(run, shop.world.clock().now())
    })
    .await;
    let instances = shop.host().stats().instances;
    let (first, second, ()) = join3(shop.go_on("customers"), shop.go_on("customers"), async {
        claims.arrived(2).await;
        claims.open();
    })
    .await;
    assert!(shop.host().stats().instances >= instances + 2);
    let mut outcomes = [&first, &second].map(|answer| answer.body["outcome"].as_str());
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [Some("busy"), Some("claimed")],
        "{first:?} {second:?}"
    );
    shop.completed("customers").await;
    shop.assert_ledger(&[Kind::Customer]);
}

/// Whether the lease in a run document has run out at this moment, with what the component allows for clocks.
fn has_run_out(run: &CustomObject, now: Timestamp) -> bool {
    let until = run.value["lease"]["until"].as_str();
    let until: Option<Timestamp> = until.and_then(|until| until.parse().ok());
    until.is_some_and(|until| now.duration_since(until) > SignedDuration::from_secs(4))
}
