//! Laws of an import, over drawn worlds: every event is in Klaviyo exactly once, whatever the ranges, windows and faults.
//! Natively, as it takes many runs.

use std::time::Duration;

use native::{Operator, Setup};
use proptest::prelude::*;
use sim::faults::{Fault, Rule};
use sim::seed::{Kind, Sizes};

use crate::support::described::run;

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
        let sizes = Sizes { customers: 20, orders: draw.orders, categories: 15, products: 25 };
        let setup = Setup::of(sizes)
            .variable("id_ranges", draw.ranges)
            .variable("window_seconds", draw.window)
            .latency_ms(draw.latency_ms);
        run(setup, async |shop| {
            let faults = [shop.world.commercetools_faults(), shop.world.klaviyo_faults()];
            for (share, fault) in &draw.faults {
                faults.iter().for_each(|faults| faults.add(Rule::chance(*share, fault.clone())));
            }
            shop.start_despite_faults("orders").await;
            let status = shop.complete_despite_faults("orders", 40).await;
            assert_eq!(status["counts"]["read"], draw.orders);
            shop.assert_ledger(&[Kind::Order]);
        });
    }
}
