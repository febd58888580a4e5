//! Operating the built component: plans in both modes, and the check, through the host.

use std::sync::Arc;

use host::{Outbound, Verdict, Wasi};
use native::operator::LOOK;
use native::{Call, Operator, Setup, TOKEN};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::seed::{Kind, Sizes};

use crate::support::CRON_TOKEN;
use crate::support::component::{IntoHosted, Shop, on_each_wasi};

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
    Setup::of(Sizes {
        customers: 60,
        orders: 80,
        categories: 12,
        products: 25,
    })
}

async fn plan_completed(shop: &Shop, has_scheduler: bool) {
    let status = shop.plan_over(has_scheduler).await;
    let log = shop.log().join("\n");
    assert_eq!(status["plan"]["status"], "completed", "{status}\n{log}");
    shop.assert_ledger(&Kind::ALL);
}

async fn imports_everything(setup: impl IntoHosted, has_scheduler: bool) {
    let shop = Shop::open(setup).await;
    let answer = shop.post("/sync", "").await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.headers["location"], "/sync/status");
    plan_completed(&shop, has_scheduler).await;
}

async fn a_plan_carries_itself_to_its_end(wasi: Wasi) {
    imports_everything(everything().wasi(wasi), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_carries_a_plan_to_its_end() {
    imports_everything(everything().scheduled(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_picks_up_a_plan_whose_self_calls_are_all_lost() {
    imports_everything(everything().outbound(Arc::new(NoSelfCalls)), true).await;
}

async fn a_plan_survives_that_its_host_is_killed_again_and_again(wasi: Wasi) {
    let mut shop = Shop::open(everything().latency_ms(60).wasi(wasi)).await;
    shop.posted("/sync", "", 202).await;
    let mut kills = 0;
    for resource in ["customers", "orders", "products"] {
        // in the middle of each: its run has begun, and the plan is not over
        let mut looks = 0;
        let is_in_the_middle = loop {
            let status = shop.read("/sync/status").await;
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
    plan_completed(&shop, true).await;
}

async fn the_check_tries_the_self_call_and_everything_else(wasi: Wasi) {
    let shop = Shop::open(everything().wasi(wasi)).await;
    let check = shop.read("/sync/check").await;
    assert_eq!(check["ok"], true, "{check}");
    let built_for = match wasi {
        Wasi::V0_2 => "WASI 0.2",
        Wasi::V0_3 => "WASI 0.3",
    };
    let component = &check["lines"][0];
    assert_eq!(component["what"], "component");
    let detail = component["detail"].as_str().unwrap_or_default();
    assert!(detail.ends_with(built_for), "{component}");
    let lines = check["lines"].as_array().expect("lines");
    let after = lines
        .iter()
        .find(|line| line["what"] == "work after the response");
    assert_eq!(after.expect("a line")["state"], "ok", "{check}");

    let shop = Shop::open(everything().outbound(Arc::new(NoSelfCalls)).wasi(wasi)).await;
    let check = shop.read("/sync/check").await;
    assert_eq!(check["ok"], false, "{check}");
    let lines = check["lines"].as_array().expect("lines");
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
    let setup = everything().variable("window_seconds", 26);
    let shop = Shop::open(setup.variable("ct_project_id", "").wasi(wasi)).await;
    let check = shop.read("/sync/check").await;
    assert_eq!(check["ok"], false, "{check}");
    let lines = check["lines"].as_array().expect("lines").iter();
    let named: Vec<&str> = lines.filter_map(|line| line["what"].as_str()).collect();
    assert_eq!(named, ["variable ct_project_id", "variable window_seconds"]);
    let stranger = Call::get("/sync/check").token(&TOKEN[1..]);
    assert_eq!(shop.send(stranger).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_a_failure_its_resumption_and_what_changed_since() {
    let shop = Shop::open(Setup::customers(60)).await;
    shop.start("customers", json!({"dryRun": true})).await;
    let dry = shop.completed("customers").await;
    assert_eq!(dry["counts"]["read"], 60);
    let klaviyo = shop.world.klaviyo_server();
    let mut calls = klaviyo.calls().into_keys();
    let has_written = calls.any(|(call, _)| !call.starts_with("GET "));
    assert!(!has_written, "a dry run sent Klaviyo something");
    let samples = dry["samples"].to_string();
    assert!(!samples.contains('@'), "{samples}");

    let faults = shop.world.klaviyo_faults();
    faults.add(Rule::always(Fault::refuse(401)));
    shop.start("customers", "").await;
    let failed = shop.over("customers").await;
    assert_eq!(failed["status"], "failed", "{failed}");
    shop.posted("/sync/customers", "", 423).await;
    faults.clear();
    shop.start("customers", json!({"resume": true})).await;
    let resumed = shop.completed("customers").await;
    assert_eq!(resumed["runId"], failed["runId"]);
    shop.assert_ledger(&[Kind::Customer]);

    let id = shop.ids(Kind::Customer).swap_remove(0);
    shop.change_record(Kind::Customer, &id, |customer| {
        customer["firstName"] = "Zoë".into();
    });
    shop.start("customers", json!({"since": "lastRun"})).await;
    assert_eq!(shop.completed("customers").await["counts"]["read"], 1);
    shop.assert_ledger(&[Kind::Customer]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_without_headers_carries_an_import() {
    let setup = Setup::customers(40).variable("cron_token", CRON_TOKEN);
    let shop = Shop::open(setup.scheduled()).await;
    let tick = async |task: &str| {
        let path = format!("/sync/cron/{CRON_TOKEN}/{task}");
        shop.send(Call::get(path).without_token()).await.status
    };
    assert_eq!(tick("changes").await, 400);
    let log = shop.log().join("\n");
    let is_told = log.contains("cron_refused") && log.contains("no last run");
    assert!(is_told, "{log}");
    shop.start("customers", "").await;
    let mut ticks = 0;
    while shop.status("customers").await["status"] == "running" {
        assert_eq!(tick("continue").await, 200);
        ticks += 1;
        assert!(ticks < 1_000, "{}", shop.log().join("\n"));
        shop.pass(LOOK).await;
    }
    shop.completed("customers").await;
    shop.assert_ledger(&[Kind::Customer]);
    let log = shop.log().join("\n");
    assert!(!log.contains(CRON_TOKEN), "the token is in the log: {log}");
}
