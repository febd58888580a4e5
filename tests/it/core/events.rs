//! Laws of an import, over drawn worlds: every event is in Klaviyo exactly once, whatever the ranges, windows and faults.
//! Natively, as it takes many runs.

use std::time::Duration;

use proptest::prelude::*;
use sim::faults::{Fault, Rule};
use sim::seed::{Kind, Sizes};

use crate::support::native::{app, call, run};
use crate::support::{Setup, assert_counts_add_up, assert_ledger};

#[derive(Debug, Clone)]
struct Draw {
    orders: u32,
    ranges: usize,
    window: u64,
    latency_ms: u64,
    faults: Vec<(f64, Fault)>,
}

fn fault() -> impl Strategy<Value = (f64, Fault)> {
    let fault = prop_oneof![
        Just(Fault::LoseRequest),
        Just(Fault::LoseAnswer),
        Just(Fault::HalfAnswer),
        Just(Fault::Hold(Duration::from_secs(13))),
        Just(Fault::refuse(500)),
        Just(Fault::throttle(1)),
    ];
    (0.01..0.12, fault)
}

fn draw() -> impl Strategy<Value = Draw> {
    (
        0u32..160,
        1usize..20,
        3u64..9,
        0u64..200,
        proptest::collection::vec(fault(), 0..4),
    )
        .prop_map(|(orders, ranges, window, latency_ms, faults)| Draw {
            orders,
            ranges,
            window,
            latency_ms,
            faults,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_arrives_exactly_once(draw in draw()) {
        run(async || {
            let mut setup = Setup { sizes: Sizes { customers: 20, orders: draw.orders, categories: 15, products: 25 }, ..Setup::default() }
                .variable("id_ranges", draw.ranges.to_string())
                .variable("window_seconds", draw.window.to_string())
                .latency_ms(draw.latency_ms);
            let world = setup.world().await;
            let app = app(&setup, &world);
            for (share, fault) in &draw.faults {
                world.commercetools_faults().add(Rule::chance(*share, fault.clone()));
                world.klaviyo_faults().add(Rule::chance(*share, fault.clone()));
            }
            loop {
                let (status, body) = call(&app, http::Method::POST, "/sync/orders", "").await;
                match status {
                    202 | 423 => break,
                    502 | 503 => {}
                    _ => panic!("{body}"),
                }
            }
            let mut calls = 0;
            let status = loop {
                let (code, status) = call(&app, http::Method::GET, "/sync/orders", "").await;
                match status["status"].as_str() {
                    Some("running") | None => {}
                    Some("completed") if code == 200 => break status,
                    _ => panic!("{status}"),
                }
                calls += 1;
                if calls > 40 {
                    // enough of faults: what is left has to come to its end by itself
                    world.commercetools_faults().clear();
                    world.klaviyo_faults().clear();
                }
                call(&app, http::Method::POST, "/sync/orders/continue", "").await;
                world.clock().sleep(Duration::from_secs(2)).await;
            };
            assert_counts_add_up(&status);
            assert_eq!(status["counts"]["read"], draw.orders);
            assert_ledger(&world, &[Kind::Order]);
        });
    }
}
