//! Every crash point: the instance is killed at each of its outbound calls, before the call is sent and after it has
//! taken effect, and the ledger is the same as without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use host::{Outbound, Verdict, Wasi};
use sim::seed::{Kind, Sizes};

use crate::support::{Setup, Shop, assert_counts_add_up, on_each_wasi};

on_each_wasi! {
    customers_survive_a_kill_at_every_call,
}

/// Imports that run side by side.
const AT_ONCE: usize = 4;
/// How often the operator looks; each look is a call that the instance can be killed at, too.
const LOOK: Duration = Duration::from_secs(1);
/// How often it has to look at most: a lease that has to run out takes 18 s, the rest of an import less.
const MOST_LOOKS: u32 = 120;

/// Kills at the n-th call.
struct KillAt {
    call: u64,
    verdict: Verdict,
    seen: AtomicU64,
    is_armed: AtomicBool,
}

impl Outbound for KillAt {
    fn decide(&self, _n: u64, _request: &http::request::Parts) -> Verdict {
        if !self.is_armed.load(Ordering::SeqCst) {
            return Verdict::Pass;
        }
        let call = self.seen.fetch_add(1, Ordering::SeqCst);
        if call == self.call {
            self.verdict
        } else {
            Verdict::Pass
        }
    }
}

fn setup(kind: Kind) -> Setup {
    let sizes = match kind {
        Kind::Customer => Sizes {
            customers: 30,
            orders: 0,
            categories: 0,
            products: 0,
        },
        Kind::Order => Sizes {
            customers: 30,
            orders: 30,
            categories: 20,
            products: 20,
        },
        Kind::Category | Kind::Product => Sizes {
            customers: 0,
            orders: 0,
            categories: 20,
            products: 15,
        },
    };
    Setup {
        sizes,
        ..Setup::default()
    }
    .variable("id_ranges", "2")
    .variable("window_seconds", "8")
}

/// Imports a resource, killed at one call; gives how many calls there were.
async fn import_killed_at(
    wasi: Wasi,
    resource: &str,
    kind: Kind,
    call: u64,
    verdict: Verdict,
) -> u64 {
    let killer = Arc::new(KillAt {
        call,
        verdict,
        seen: AtomicU64::new(0),
        is_armed: AtomicBool::new(false),
    });
    let mut setup = setup(kind).wasi(wasi);
    setup.outbound = killer.clone();
    let shop = Shop::open(setup).await;
    if kind == Kind::Product {
        shop.start("categories", "").await;
        shop.completed("categories").await;
    }
    killer.is_armed.store(true, Ordering::SeqCst);
    // an operator, or a cron job, who starts what is not started and continues what stands still
    let mut looks = 0;
    let status = loop {
        looks += 1;
        assert!(
            looks <= MOST_LOOKS,
            "does not end after a kill at call {call} ({verdict:?})\n{}",
            shop.log().join("\n")
        );
        let status = shop
            .try_send(reqwest::Method::GET, &format!("/sync/{resource}"), "")
            .await;
        let state = status
            .as_ref()
            .and_then(|status| status.body["status"].as_str());
        match state {
            Some("completed") => break status.expect("there is one").body,
            Some("idle") => {
                shop.try_send(reqwest::Method::POST, &format!("/sync/{resource}"), "")
                    .await;
            }
            Some("running") => {
                shop.try_send(
                    reqwest::Method::POST,
                    &format!("/sync/{resource}/continue"),
                    "",
                )
                .await;
            }
            Some(other) => panic!(
                "{other} after a kill at call {call} ({verdict:?})\n{}",
                shop.log().join("\n")
            ),
            None => {}
        }
        shop.pass(LOOK).await;
    };
    assert_counts_add_up(&status);
    assert_eq!(
        status["counts"]["read"], status["total"],
        "killed at call {call} ({verdict:?}): {status}"
    );
    shop.assert_ledger(&[kind]);
    killer.seen.load(Ordering::SeqCst)
}

async fn every_crash_point(wasi: Wasi, resource: &str, kind: Kind) {
    let calls = import_killed_at(wasi, resource, kind, u64::MAX, Verdict::Pass).await;
    // status calls of the operator are calls too: what comes after the import is of no interest
    assert!(calls > 6, "too few calls to tell anything: {calls}");
    let points =
        (0..calls).flat_map(|call| [(call, Verdict::KillBefore), (call, Verdict::KillAfter)]);
    let imports =
        points.map(|(call, verdict)| import_killed_at(wasi, resource, kind, call, verdict));
    futures_util::stream::iter(imports)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
}

async fn customers_survive_a_kill_at_every_call(wasi: Wasi) {
    every_crash_point(wasi, "customers", Kind::Customer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_survive_a_kill_at_every_call() {
    every_crash_point(Wasi::V0_2, "categories", Kind::Category).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_survive_a_kill_at_every_call() {
    every_crash_point(Wasi::V0_2, "products", Kind::Product).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_survive_a_kill_at_every_call() {
    every_crash_point(Wasi::V0_2, "orders", Kind::Order).await;
}
