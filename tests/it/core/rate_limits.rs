//! Klaviyo's rate limits, with headers that tell of the second or of the minute.

use std::time::Duration;

use klaviyo_bulk_import::config::{KlaviyoConfig, Secret};
use klaviyo_bulk_import::klaviyo::recent_calls::RecentCalls;
use klaviyo_bulk_import::klaviyo::{Client, profiles};
use klaviyo_bulk_import::time::Deadline;
use native::operator::moment;
use native::{Operator, Setup, Shop};
use sim::klaviyo::RateHeaders;
use sim::seed::Kind;
use sim::world::KLAVIYO;

use crate::support::described::run;

fn throttled(shop: &Shop) -> u64 {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().total_traffic().throttled)
}

#[test]
fn no_minute_is_overdrawn_whatever_headers_tell_and_whichever_instance_sends() {
    for rate_headers in [RateHeaders::Recorded, RateHeaders::Documented] {
        let mut setup = Setup::default().latency_ms(40);
        setup.klaviyo.rate_headers = rate_headers;
        run(setup, async |shop| {
            let ports = shop.ports();
            let begun = ports.clock.monotonic();
            let mut calls = RecentCalls::default();
            // an instance after the other, each of which knows only what the document says
            for _ in 0..10 {
                let config = KlaviyoConfig {
                    api_url: KLAVIYO.to_owned(),
                    auth_key: Secret::from("pk_test".to_owned()),
                };
                let client = Client::new(ports.clone(), config);
                client.remember(&calls, shop.world.clock().now());
                for _ in 0..40 {
                    let deadline = Deadline::after(&*ports.clock, Duration::from_secs(120));
                    let read = profiles::can_read(&client, deadline).await;
                    read.expect("it may be read");
                }
                calls = client.recent_calls(shop.world.clock().now());
            }
            let took = ports.clock.monotonic() - begun;
            assert_eq!(throttled(&shop), 0, "{rate_headers:?}");
            // 400 requests at 150 a minute: two minutes are waited for, each for a step longer, and instances pause for
            // two seconds between each other
            let expected = Duration::from_secs(120)..Duration::from_secs(180);
            assert!(expected.contains(&took), "{rate_headers:?}: {took:?}");
        });
    }
}

#[test]
fn a_minute_that_others_use_up_is_waited_out() {
    for rate_headers in [RateHeaders::Recorded, RateHeaders::Documented] {
        let mut setup = Setup::orders(4_000).variable("window_seconds", 20);
        setup.klaviyo.rate_headers = rate_headers;
        setup.klaviyo.left_by_others = Some(4);
        run(setup, async |shop| {
            let begun = shop.world.clock().now();
            let status = shop.complete("orders", "").await;
            assert_eq!(status["counts"]["read"], 4_000, "{status}");
            assert_eq!(status["counts"]["failed"], 0, "{status}");
            let took = shop.world.clock().now().duration_since(begun);
            let minutes = took.as_secs().unsigned_abs() / 60 + 1;
            assert!(minutes > 1);
            let throttled = throttled(&shop);
            // headers of the minute tell of the others, too
            let is_told = rate_headers == RateHeaders::Documented;
            assert_eq!(throttled == 0, is_told, "{throttled}");
            assert!(throttled <= minutes, "{throttled} in {minutes} minutes");
            shop.assert_ledger(&[Kind::Order]);
        });
    }
}

#[test]
fn a_minute_in_which_others_leave_less_than_a_group_is_progress() {
    // entries are committed in groups of 24 jobs, of which 14 pass in a minute
    let mut setup = Setup::catalog(0, 900)
        .latency_ms(100)
        .scheduled()
        .variable("window_seconds", 5);
    setup.klaviyo.left_by_others = Some(14);
    run(setup, async |shop: Shop| {
        for _ in 0..2 {
            let status = shop.carried("products", "").await;
            assert_eq!(status["status"], "completed", "{status}");
            assert_eq!(status["counts"]["failed"], 0, "{status}");
            assert_eq!(status["counts"]["sent"], status["counts"]["read"]);
            let minutes =
                moment(&status["finishedAt"]).duration_since(moment(&status["startedAt"]));
            let entries = status["variants"]["sent"].as_i64().unwrap_or_default();
            // each minute's 14 jobs of up to 100 variants, and a minute for each end of them
            let most = entries / 700 + 2;
            assert!(
                minutes.as_mins() <= most,
                "{minutes} for {entries} variants"
            );
        }
        shop.assert_ledger(&[Kind::Product]);
    });
}
