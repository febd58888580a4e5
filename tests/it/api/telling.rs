//! What the API tells is so: totals that are not counted to the end, plans that wait, runs that others have ended.

use std::time::Duration;

use native::setup::configuration;
use native::{Operator, Setup};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::Kind;

use crate::support::described::run;

#[test]
fn a_total_that_is_not_counted_to_the_end_gives_no_percentage() {
    const CUSTOMERS: u32 = 12_000;
    let setup = Setup::customers(CUSTOMERS)
        .scheduled()
        .latency_ms(300)
        .variable("window_seconds", 2)
        .variable("id_ranges", 1);
    run(setup, async |shop| {
        let since = json!({"since": "2020-01-01T00:00:00Z"});
        let started = shop.start("customers", since).await;
        assert_eq!(
            (&started["total"], &started["totalIsAtLeast"]),
            (&json!(10_000), &json!(true)),
            "commercetools counts no further"
        );
        let seen = shop.ticked("customers").await;
        let (done, under_way) = seen.split_last().expect("a tick");
        assert!(under_way.len() > 1, "it went too fast to be watched");
        for status in under_way {
            let told = (&status["percent"], &status["estimatedEnd"]);
            assert_eq!(told, (&Value::Null, &Value::Null), "{status}");
        }
        shop.assert_completed(done);
        assert_eq!(done["counts"]["read"], CUSTOMERS);
        assert_eq!(
            (&done["total"], &done["totalIsAtLeast"], &done["percent"]),
            (&json!(CUSTOMERS), &json!(false), &json!(100))
        );
        // without a predicate all are counted
        let all = shop.start("customers", "").await;
        assert_eq!(
            (&all["total"], &all["totalIsAtLeast"]),
            (&json!(CUSTOMERS), &json!(false))
        );
    });
}

#[test]
fn all_unpublished_products_are_counted() {
    const PRODUCTS: u32 = 90_000;
    run(Setup::catalog(1, PRODUCTS).scheduled(), async |shop| {
        let started = shop.start("products", json!({"dryRun": true})).await;
        let published = started["total"].as_u64().expect("a total");
        let unpublished = &started["counts"]["notes"]["unpublished-left-alone"];
        assert_eq!(unpublished.as_u64(), Some(u64::from(PRODUCTS) - published));
        assert!(unpublished.as_u64() > Some(10_000), "{unpublished}");
    });
}

#[test]
fn a_caller_who_hangs_up_costs_nothing_but_time() {
    const CUSTOMERS: u32 = 4_000;
    let setup = Setup::customers(CUSTOMERS)
        .scheduled()
        .variable("window_seconds", 20)
        .variable("id_ranges", 1);
    run(setup, async |shop| {
        let clock = shop.world.clock().clone();
        let slow = Rule::always(Fault::Hold(Duration::from_secs(4))).path("/customers");
        shop.world.commercetools_faults().add(slow);
        shop.start("customers", "").await;
        for _ in 0..2 {
            // the platform ends the invocation with its caller
            let second = Duration::from_secs(1);
            let answer = clock.within(second, shop.go_on("customers")).await;
            assert!(answer.is_none(), "it answered within a second");
            shop.pass(Duration::from_secs(60)).await;
        }
        let mut calls = 2;
        let status = loop {
            calls += 1;
            shop.go_on("customers").await;
            let status = shop.status("customers").await;
            if status["status"] != "running" {
                break status;
            }
            shop.pass(Duration::from_secs(60)).await;
        };
        shop.assert_completed(&status);
        let counts = &status["counts"];
        assert_eq!(
            (&counts["read"], &counts["sent"]),
            (&json!(CUSTOMERS), &json!(CUSTOMERS))
        );
        shop.assert_ledger(&[Kind::Customer]);
        assert!(calls <= 10, "it took {calls} calls");
    });
}

#[test]
fn a_plan_that_waits_for_another_import_is_not_cut() {
    run(Setup::everything().scheduled(), async |shop| {
        shop.start("customers", "").await;
        let plan = json!({"resources": ["customers"]});
        let answer = shop.posted("/sync", plan, 423).await;
        assert_eq!(answer["resource"], "customers");
        // begun while nothing ran, and then another import of the kind comes first
        let plan = json!({"resources": ["categories", "products"]});
        shop.posted("/sync", plan, 202).await;
        shop.change_document("plan", |plan| {
            plan["steps"][0]["state"] = "waiting".into();
            plan["steps"][0]["note"] = "waits for the end of another import of this kind".into();
        });
        shop.pass(Duration::from_secs(1_200)).await;
        let status = shop.read("/sync/status").await;
        assert_eq!(status["plan"]["chainLooksCut"], false, "{status}");
        assert_eq!(status["categories"]["chainLooksCut"], true, "{status}");
    });
}

#[test]
fn a_continue_of_a_failed_run_says_what_goes_on_with_it() {
    run(Setup::customers(5).scheduled(), async |shop| {
        let answer = shop.go_on("customers").await;
        assert_eq!(answer.body, json!({"outcome": "not running"}));
        let refuse = Rule::always(Fault::refuse(404)).path("profile-bulk");
        shop.world.klaviyo_faults().add(refuse);
        let failed = shop.carried("customers", "").await;
        assert_eq!(failed["status"], "failed");
        let answer = shop.go_on("customers").await;
        assert_eq!(answer.body["outcome"], "not running");
        assert!(
            answer.says("advice", r#"{"resume": true}"#),
            "{}",
            answer.body
        );
    });
}

#[test]
fn a_window_that_others_have_ended_logs_its_own_run() {
    let setup = Setup::orders(400).scheduled().latency_ms(400);
    run(setup, async |shop| {
        let run_id = shop.start("orders", "").await["runId"].clone();
        let other = shop.another(&[]);
        let window = shop.go_on("orders");
        let stop = async {
            other.pass(Duration::from_secs(2)).await;
            // the document is gone, and a new run has begun
            assert!(other.delete_document("orders"));
            other.start("orders", "").await
        };
        let (_, begun) = futures_util::future::join(window, stop).await;
        assert_ne!(begun["runId"], run_id);
        let log = shop.log();
        let ended = log
            .iter()
            .find(|line| line.contains(r#""event":"window_ended_by_others""#));
        let ended: Value = serde_json::from_str(ended.expect("a log line")).expect("JSON");
        assert_eq!(ended["runId"], run_id, "{ended}");
    });
}

#[test]
fn a_status_of_everything_is_one_read() {
    run(Setup::everything().scheduled(), async |shop| {
        shop.posted("/sync", "", 202).await;
        let server = shop.world.commercetools_server();
        let before = server.calls().values().sum::<u64>();
        shop.read("/sync/status").await;
        assert_eq!(server.calls().values().sum::<u64>() - before, 1);
        // the first of an instance fetches a token as well
        shop.another(&[]).read("/sync/status").await;
        assert_eq!(server.calls().values().sum::<u64>() - before, 3);
    });
}

#[test]
fn an_empty_address_is_the_default_and_a_wrong_one_is_named() {
    run(Setup::customers(0), async |shop| {
        let with = |url: &str| {
            let mut values = shop.values();
            values.insert("klaviyo_api_url".to_owned(), url.to_owned());
            configuration(&values)
        };
        let config = with("").expect("usable variables");
        assert_eq!(config.klaviyo.api_url, "https://a.klaviyo.com");
        for url in [
            "https://a.klaviyo.com/api",
            "http://a.klaviyo.com",
            "klaviyo",
        ] {
            let problems = with(url).expect_err("an address that is not one of Klaviyo's");
            assert!(format!("{problems:?}").contains("klaviyo_api_url"), "{url}");
        }
    });
}
