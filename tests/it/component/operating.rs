//! Operating the built component: plans in both modes, and the check, through the host.

use std::sync::Arc;
use std::time::Duration;

use host::{Outbound, Verdict, Wasi};
use reqwest::Method;
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::{Kind, Sizes};

use crate::support::{LOOK, Setup, Shop, TOKEN, on_each_wasi};

on_each_wasi! {
    a_plan_carries_itself_to_its_end,
    a_plan_survives_that_its_host_is_killed_again_and_again,
    the_check_tries_the_self_call_and_everything_else,
    the_check_names_variables_that_cannot_be_used,
}

/// How often a plan is looked at, in the world's seconds: far more than it takes.
const MOST_LOOKS: u32 = 3_600;

/// Calls to the app itself never arrive: the chain is cut after every window.
struct NoSelfCalls;

impl Outbound for NoSelfCalls {
    fn decide(&self, _: u64, request: &http::request::Parts) -> Verdict {
        match request.uri.host() {
            Some("self.alt") => Verdict::LoseBefore,
            _ => Verdict::Pass,
        }
    }
}

fn everything() -> Setup {
    let sizes = Sizes {
        customers: 60,
        orders: 80,
        categories: 12,
        products: 25,
    };
    Setup {
        sizes,
        ..Setup::default()
    }
}

/// Looks at the plan until it is over, calling `POST /sync/continue` each time where there is a scheduler.
async fn plan_over(shop: &Shop, has_scheduler: bool) -> Value {
    for _ in 0..MOST_LOOKS {
        let status = shop.get("/sync/status").await.body;
        // while commercetools does not answer in time there is no plan to be seen
        if status["plan"].is_object() && status["plan"]["status"] != "running" {
            return status;
        }
        if has_scheduler {
            let answer = shop.post("/sync/continue", "").await;
            assert!(matches!(answer.status, 200 | 202 | 503), "{}", answer.body);
        }
        shop.pass(Duration::from_secs(1)).await;
    }
    let status = shop.get("/sync/status").await.body;
    panic!("the plan does not end: {status}\n{}", shop.log().join("\n"))
}

async fn imports_everything(setup: Setup, has_scheduler: bool) {
    let shop = Shop::open(setup).await;
    let answer = shop.post("/sync", "").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.headers["location"], "/sync/status");
    let status = plan_over(&shop, has_scheduler).await;
    assert_eq!(
        status["plan"]["status"],
        "completed",
        "{status}\n{}",
        shop.log().join("\n")
    );
    shop.assert_ledger(&Kind::ALL);
}

async fn a_plan_carries_itself_to_its_end(wasi: Wasi) {
    imports_everything(everything().wasi(wasi), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_carries_a_plan_to_its_end() {
    imports_everything(everything().variable("continuation", "scheduler"), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_picks_up_a_plan_whose_self_calls_are_all_lost() {
    imports_everything(
        Setup {
            outbound: Arc::new(NoSelfCalls),
            ..everything()
        },
        true,
    )
    .await;
}

async fn a_plan_survives_that_its_host_is_killed_again_and_again(wasi: Wasi) {
    let mut shop = Shop::open(everything().latency_ms(60).wasi(wasi)).await;
    let answer = shop.post("/sync", "").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let mut kills = 0;
    for resource in ["customers", "orders", "products"] {
        // in the middle of each: its run has begun, and the plan is not over
        let mut looks = 0;
        let is_in_the_middle = loop {
            let status = shop.get("/sync/status").await.body;
            let (plan, run) = (&status["plan"]["status"], &status[resource]["status"]);
            if plan == "running" && run == "running" {
                break true;
            }
            if plan.is_string() && plan != "running" {
                break false;
            }
            shop.post("/sync/continue", "").await;
            looks += 1;
            assert!(looks < MOST_LOOKS, "{status}");
            shop.pass(LOOK).await;
        };
        if is_in_the_middle {
            shop.kill().await;
            shop.revive().await;
            kills += 1;
        }
    }
    assert!(kills > 0, "the plan was over before it could be killed");
    let status = plan_over(&shop, true).await;
    assert_eq!(
        status["plan"]["status"],
        "completed",
        "{status}\n{}",
        shop.log().join("\n")
    );
    shop.assert_ledger(&Kind::ALL);
}

async fn the_check_tries_the_self_call_and_everything_else(wasi: Wasi) {
    let shop = Shop::open(everything().wasi(wasi)).await;
    let answer = shop.get("/sync/check").await;
    assert_eq!(
        (answer.status, &answer.body["ok"]),
        (200, &json!(true)),
        "{}",
        answer.body
    );

    let shop = Shop::open(
        Setup {
            outbound: Arc::new(NoSelfCalls),
            ..everything()
        }
        .wasi(wasi),
    )
    .await;
    let answer = shop.get("/sync/check").await;
    assert_eq!(answer.body["ok"], false, "{}", answer.body);
    let lines = answer.body["lines"].as_array().expect("lines");
    let failed: Vec<&Value> = lines
        .iter()
        .filter(|line| line["state"] == "failed")
        .collect();
    assert!(
        matches!(failed[..], [line] if line["what"] == "self-call" && line["fix"].is_string()),
        "{failed:?}"
    );
}

async fn the_check_names_variables_that_cannot_be_used(wasi: Wasi) {
    let shop = Shop::open(
        everything()
            .variable("window_seconds", "26")
            .variable("ct_project_id", "")
            .wasi(wasi),
    )
    .await;
    let answer = shop.get("/sync/check").await;
    assert_eq!((answer.status, &answer.body["ok"]), (200, &json!(false)));
    let lines = answer.body["lines"].as_array().expect("lines");
    let named: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["what"].as_str())
        .collect();
    assert_eq!(named, ["variable ct_project_id", "variable window_seconds"]);
    assert_eq!(
        shop.send(Method::GET, "/sync/check", Some(&TOKEN[1..]), "")
            .await
            .status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_a_failure_its_resumption_and_what_changed_since() {
    let shop = Shop::open(Setup::customers(60)).await;
    shop.start("customers", r#"{"dryRun":true}"#).await;
    let dry = shop.completed("customers").await;
    assert_eq!(dry["counts"]["read"], 60);
    assert!(
        shop.world.klaviyo_server().calls().is_empty(),
        "a dry run called Klaviyo"
    );
    assert!(
        !dry["samples"].to_string().contains('@'),
        "{}",
        dry["samples"]
    );

    let refused = Fault::refuse(401);
    shop.world.klaviyo_faults().add(Rule::always(refused));
    shop.start("customers", "").await;
    let failed = shop
        .until("customers", |status| status["status"] != "running")
        .await;
    assert_eq!(failed["status"], "failed", "{failed}");
    assert_eq!(shop.post("/sync/customers", "").await.status, 423);
    shop.world.klaviyo_faults().clear();
    shop.start("customers", r#"{"resume":true}"#).await;
    let resumed = shop.completed("customers").await;
    assert_eq!(resumed["runId"], failed["runId"]);
    shop.assert_ledger(&[Kind::Customer]);

    let id = shop
        .world
        .commercetools(|project| project.ids(Kind::Customer)[0]);
    let now = shop.world.clock().now();
    let changed = shop.world.commercetools(|project| {
        project.change(Kind::Customer, id, now, |customer| {
            customer["firstName"] = "Zoë".into();
        })
    });
    assert!(changed);
    shop.start("customers", r#"{"since":"lastRun"}"#).await;
    assert_eq!(shop.completed("customers").await["counts"]["read"], 1);
    shop.assert_ledger(&[Kind::Customer]);
}
