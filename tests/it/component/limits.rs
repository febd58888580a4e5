//! The built component where a platform allows less than usual, with the settings that the handbook gives for it, and
//! where its peers do not answer, or hardly.

use std::time::Duration;

use host::{Stats, Wasi};
use sim::faults::{Fault, Faults, Rule};
use sim::seed::{Kind, Sizes};

use crate::support::{Setup, Shop, on_each_wasi};

on_each_wasi! {
    little_memory_and_little_time_are_enough_for_everything,
    a_peer_that_accepts_and_never_answers_is_not_waited_for,
    a_peer_that_trickles_a_byte_a_second_is_not_waited_for,
    an_operator_is_answered_while_a_window_hangs,
}

/// What small platforms allow.
const MEMORY_MIB: usize = 64;
/// The least that the component can be told to work in.
const LEAST_MEMORY_MIB: usize = 48;
/// A request that takes longer is cut short, with the work that goes on after its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for an answer of the app at most, whatever its peers do: less than any platform allows.
const MOST_WAITED: Duration = Duration::from_secs(28);
/// How often a scheduler ticks.
const TICK: Duration = Duration::from_secs(60);
/// After so many ticks an import of some hundred records is over, or never will be.
const MOST_TICKS: u32 = 100;

fn small() -> Setup {
    Setup {
        platform: |options| {
            options.memory_limit = MEMORY_MIB << 20;
            options.request_timeout = Some(REQUEST_TIMEOUT);
        },
        ..Setup::default()
    }
    .variable("memory_mib", MEMORY_MIB.to_string())
    .variable("window_seconds", "5")
    .latency_ms(300)
}

fn assert_within_limits(stats: &Stats) {
    assert!(stats.peak_memory <= MEMORY_MIB << 20, "{stats:?}");
    assert_eq!((stats.refused_growths, stats.traps), (0, 0), "{stats:?}");
}

async fn little_memory_and_little_time_are_enough_for_everything(wasi: Wasi) {
    let shop = Shop::open(
        Setup {
            sizes: Sizes {
                customers: 4_000,
                orders: 3_000,
                categories: 300,
                products: 500,
            },
            ..small()
        }
        .wasi(wasi),
    )
    .await;
    let answer = shop.post("/sync", "").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    for resource in ["categories", "products", "customers", "orders"] {
        shop.until(resource, |status| status["status"] == "completed")
            .await;
    }
    shop.assert_ledger(&Kind::ALL);
    let stats = shop.host().stats();
    assert_within_limits(&stats);
    assert_eq!(stats.timeouts, 0, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_records_are_read_in_smaller_pages() {
    // a page of 500 of these would be larger than all of the memory
    let shop = Shop::open(Setup {
        sizes: Sizes {
            customers: 50,
            orders: 600,
            categories: 40,
            products: 60,
        },
        order_bytes: 400_000,
        ..small()
    })
    .await;
    shop.start("orders", "").await;
    let status = shop.completed("orders").await;
    assert_eq!(status["counts"]["read"], 600, "{status}");
    shop.assert_ledger(&[Kind::Order]);
    assert_within_limits(&shop.host().stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_tree_of_categories_fits_into_the_least_memory() {
    // each of them has ancestors of its own to be looked up, up to twenty
    let shop = Shop::open(
        Setup {
            sizes: Sizes {
                categories: 25_000,
                ..Sizes::default()
            },
            platform: |options| options.memory_limit = LEAST_MEMORY_MIB << 20,
            ..Setup::default()
        }
        .variable("memory_mib", LEAST_MEMORY_MIB.to_string())
        .latency_ms(100),
    )
    .await;
    shop.start("categories", "").await;
    shop.completed("categories").await;
    shop.assert_ledger(&[Kind::Category]);
    let stats = shop.host().stats();
    assert_eq!((stats.refused_growths, stats.traps), (0, 0), "{stats:?}");
}

/// Each of the calls that an import of customers makes, by a part of its path, at the API that takes it.
fn calls(shop: &Shop) -> [(&Faults, &'static str); 5] {
    let (commercetools, klaviyo) = (
        shop.world.commercetools_faults(),
        shop.world.klaviyo_faults(),
    );
    [
        (commercetools, "/oauth/token"),
        (commercetools, "/custom-objects"),
        (commercetools, "/customers"),
        (klaviyo, "/profile-bulk-import-jobs"),
        (klaviyo, "/profile-bulk-import-jobs/"),
    ]
}

/// An import that one of its calls keeps failing for, with a scheduler that ticks on. `fault` strikes `times` times.
async fn import_against(wasi: Wasi, call: usize, fault: Fault, times: u64) {
    let shop = Shop::open(
        Setup::customers(300)
            .variable("continuation", "scheduler")
            .wasi(wasi),
    )
    .await;
    let (faults, path) = calls(&shop)[call];
    let answered_in_time = async |path: &str, is_start: bool| {
        let begun = shop.world.clock().elapsed();
        let answer = if is_start {
            shop.post(path, "").await
        } else {
            shop.get(path).await
        };
        let took = shop.world.clock().elapsed() - begun;
        assert!(took < MOST_WAITED, "{path} took {took:?}");
        answer
    };
    faults.add(Rule::always(fault).path(path).times(times));
    let mut ticks = 0;
    loop {
        let status = answered_in_time("/sync/customers", false).await;
        match (status.status, status.body["status"].as_str()) {
            (200, Some("completed")) => break,
            (200, Some("idle")) => {
                answered_in_time("/sync/customers", true).await;
            }
            (200, Some("running")) => {
                answered_in_time("/sync/continue", true).await;
            }
            // five windows without progress: the operator sees to it
            (200, Some("failed")) => {
                shop.post("/sync/customers", r#"{"resume": true}"#).await;
            }
            (502 | 503, _) => {}
            _ => panic!("{path}: {}", status.body),
        }
        ticks += 1;
        assert!(ticks < MOST_TICKS, "{path}: {}", shop.log().join("\n"));
        shop.pass(TICK).await;
    }
    assert!(faults.applied() > 0, "{path} is never called");
    shop.assert_ledger(&[Kind::Customer]);
}

async fn a_peer_that_accepts_and_never_answers_is_not_waited_for(wasi: Wasi) {
    for call in 0..5 {
        import_against(wasi, call, Fault::Hold(Duration::from_secs(86_400)), 6).await;
    }
}

async fn a_peer_that_trickles_a_byte_a_second_is_not_waited_for(wasi: Wasi) {
    for call in 0..5 {
        import_against(wasi, call, Fault::Trickle, 6).await;
    }
}

async fn an_operator_is_answered_while_a_window_hangs(wasi: Wasi) {
    let shop = Shop::open(Setup::customers(300).wasi(wasi)).await;
    let hold = Fault::Hold(Duration::from_secs(86_400));
    let klaviyo = shop.world.klaviyo_faults();
    klaviyo.add(Rule::always(hold));
    shop.start("customers", "").await;
    shop.pass(Duration::from_secs(5)).await;
    assert!(klaviyo.applied() > 0, "nothing hangs yet");
    let begun = shop.world.clock().elapsed();
    let status = shop.get("/sync/status").await.body;
    assert_eq!(status["customers"]["status"], "running", "{status}");
    let took = shop.world.clock().elapsed() - begun;
    assert!(took < Duration::from_secs(1), "took {took:?}");
    klaviyo.clear();
    shop.completed("customers").await;
    shop.assert_ledger(&[Kind::Customer]);
}
