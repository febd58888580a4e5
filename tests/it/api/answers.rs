//! Every answer that the API's description has is given, and is as it is described.

use futures_util::future::join_all;
use http::{HeaderValue, Method};
use jiff::SignedDuration;
use klaviyo_bulk_import::api::{self, MAX_BODY_BYTES};
use klaviyo_bulk_import::config::Secret;
use native::setup::configuration;
use native::{Call, Operator, Setup, Shop, TOKEN};
use serde_json::json;
use sim::faults::{Fault, Rule};

use crate::support::CRON_TOKEN;
use crate::support::described::run;
use crate::support::description::{description, hold, operations, unseen};

/// What needs no token: the page, which has no data in it, and the way to it.
const PUBLIC: [&str; 2] = ["/", "/sync/page"];

/// All operations that need a token, as calls of customers.
fn calls() -> Vec<Call> {
    let description = description();
    let guarded = operations(&description).filter(|(path, _, _)| !PUBLIC.contains(&path.as_str()));
    guarded
        .map(|(path, method, _)| call(method, path))
        .collect()
}

/// A call of customers under a path as the description has it; of products where only the catalog has it.
fn call(method: Method, path: &str) -> Call {
    let path = path.replace("prune/{resource}", "prune/products");
    let path = path.replace("{resource}", "customers");
    Call::new(method, path.replace("{token}", CRON_TOKEN))
}

/// Answers to callers who are not let in, to bodies that are too large, and of an app that is not usable.
async fn refusals(shop: &Shop) {
    let too_large = " ".repeat(MAX_BODY_BYTES + 1);
    let mut values = shop.values();
    values.insert("window_seconds".to_owned(), "99".to_owned());
    let problems = configuration(&values).expect_err("a window of 99 seconds");
    for call in calls() {
        let mut stranger = call.clone().without_token();
        stranger.path = call
            .path
            .replace(CRON_TOKEN, "another-token-for-schedulers");
        assert_eq!(shop.send(stranger).await.status, 401, "{call:?}");
        let large = call.clone().body(too_large.clone());
        assert_eq!(shop.send(large).await.status, 413, "{call:?}");
        let tokens = api::Tokens {
            api: Some(Secret::from(TOKEN.to_owned())),
            cron: Some(Secret::from(CRON_TOKEN.to_owned())),
        };
        let answer = api::misconfigured(&call.clone().into(), &problems, &tokens);
        hold(&call.method, &call.path, &answer);
    }
}

/// Answers while commercetools cannot be reached, and while it refuses.
async fn failures(shop: &Shop) {
    let description = description();
    for (fault, status) in [(Fault::LoseRequest, 503), (Fault::refuse(403), 502)] {
        shop.world.commercetools_faults().add(Rule::always(fault));
        let described = operations(&description).filter(|(_, _, operation)| {
            let answers = operation["responses"].as_object();
            answers.is_some_and(|answers| answers.contains_key(&status.to_string()))
        });
        let asked = described.map(async |(path, method, _)| {
            let answer = shop.send(call(method.clone(), path)).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        });
        join_all(asked).await;
        shop.end_faults();
    }
}

const DISMISS: &str = r#"{"dismissFailed": true}"#;

/// Changes of one resource, for schedulers.
const OF_ONE: &str = "GET /sync/cron/{token}/changes/{resource}";

/// The prune of one resource, for schedulers.
const PRUNE: &str = "GET /sync/cron/{token}/prune/{resource}";

/// Answers of an app with the key of another account.
async fn another_account(shop: &Shop) {
    shop.world.klaviyo(|klaviyo| {
        let accounts = &mut klaviyo.options_mut().other_accounts;
        accounts.insert("pk_other".to_owned(), "Other1".to_owned());
    });
    let other = shop.another(&[("klaviyo_auth_key", "pk_other")]);
    let customers = r#"{"resources": ["customers"]}"#;
    shop.posted("/sync", customers, 202).await;
    shop.start("products", "").await;
    for (what, body) in [
        ("POST /sync", customers),
        ("POST /sync/continue", ""),
        ("POST /sync/stop", ""),
        ("POST /sync/{resource}", ""),
        ("POST /sync/{resource}/continue", ""),
        ("POST /sync/{resource}/stop", ""),
        ("GET /sync/cron/{token}/continue", ""),
        ("GET /sync/cron/{token}/changes", ""),
        (OF_ONE, ""),
        (PRUNE, ""),
    ] {
        let (method, path) = what.split_once(' ').expect("a method and a path");
        let method = method.parse().expect("a method");
        let answer = other.send(call(method, path).body(body)).await;
        assert_eq!(answer.status, 409, "{what}: {}", answer.body);
    }
    shop.posted("/sync/stop", "", 200).await;
    for document in ["customers", "products", "plan"] {
        assert!(shop.delete_document(document));
    }
}

/// What is done after a call has been answered.
enum Then {
    GoOn,
    /// The run is waited for.
    Over(&'static str),
    /// The run document is given a lease of somebody who does not react.
    Leased,
    /// The run document is deleted.
    Deleted,
}

use Then::{Deleted, GoOn, Leased, Over};

impl Then {
    async fn apply(&self, shop: &Shop) {
        match self {
            GoOn => {}
            Over(resource) => _ = shop.over(resource).await,
            Leased => shop.change_document("customers", |document| {
                let until = shop.world.clock().now() + SignedDuration::from_hours(1);
                document["lease"] = json!({"holder": "gone", "until": until});
            }),
            Deleted => assert!(shop.delete_document("customers")),
        }
    }
}

#[test]
fn every_answer_that_is_described_is_given() {
    let setup = Setup::customers(3).variable("cron_token", CRON_TOKEN);
    run(setup, async |itself| {
        let scheduled = itself.another(&[("continuation", "scheduler")]);
        refusals(&itself).await;
        failures(&itself).await;
        another_account(&scheduled).await;
        let mut later = call(Method::POST, "/sync/check/ping");
        later
            .headers
            .insert("x-nonce", HeaderValue::from_static("1"));
        assert_eq!(itself.send(later).await.status, 202);
        let resume = r#"{"resume": true}"#;
        let customers = r#"{"resources": ["customers"]}"#;
        for (shop, what, body, status, then) in [
            (&itself, "GET /sync", "", 200, GoOn),
            (&itself, "GET /sync/status", "", 200, GoOn),
            (&itself, "GET /sync/check", "", 200, GoOn),
            (&itself, "GET /sync/check/ping", "", 200, GoOn),
            (&itself, "POST /sync/check/ping", "", 200, GoOn),
            (&itself, "GET /sync/openapi.json", "", 200, GoOn),
            (&itself, "GET /sync/page", "", 200, GoOn),
            (&itself, "GET /", "", 303, GoOn),
            (&itself, "GET /sync/{resource}", "", 200, GoOn),
            // nothing is going on, and nothing has been
            (&itself, "POST /sync/stop", "", 400, GoOn),
            (&itself, "POST /sync/{resource}/stop", "", 400, GoOn),
            (&itself, "POST /sync/{resource}", resume, 400, GoOn),
            (&itself, "POST /sync", r#"{"since": "lastRun"}"#, 400, GoOn),
            (&itself, "GET /sync/cron/{token}/changes", "", 400, GoOn),
            (&itself, "GET /sync/cron/{token}/continue", "", 200, GoOn),
            (&itself, OF_ONE, "", 400, GoOn),
            // going on
            (&scheduled, "POST /sync/{resource}", "", 202, GoOn),
            (&scheduled, "POST /sync/{resource}", "", 423, GoOn),
            (&scheduled, "POST /sync/{resource}", resume, 409, GoOn),
            (&scheduled, "POST /sync", customers, 423, GoOn),
            (&itself, "POST /sync/{resource}/continue", "", 202, GoOn),
            (
                &itself,
                "POST /sync/{resource}/continue",
                "",
                200,
                Over("customers"),
            ),
            (&itself, "POST /sync/continue", "", 200, GoOn),
            (&itself, "POST /sync/{resource}", DISMISS, 200, GoOn),
            // stopped, while nobody holds it and while somebody does who does not react
            (&scheduled, "POST /sync/{resource}", "", 202, GoOn),
            (&scheduled, "POST /sync/{resource}/stop", "", 200, GoOn),
            (&scheduled, "POST /sync/{resource}", "", 202, Leased),
            (&scheduled, "POST /sync/{resource}/stop", "", 202, Deleted),
            (&scheduled, "POST /sync", customers, 202, GoOn),
            (&scheduled, "GET /sync/cron/{token}/changes", "", 423, GoOn),
            (&scheduled, OF_ONE, "", 423, GoOn),
            (&scheduled, "POST /sync/stop", "", 200, GoOn),
            (&scheduled, "POST /sync", customers, 202, Leased),
            (&scheduled, "POST /sync/stop", "", 202, Deleted),
            // moved on by a call that works after its answer
            (&scheduled, "POST /sync/{resource}", "", 202, GoOn),
            (&itself, "POST /sync/continue", "", 202, Over("customers")),
            (&scheduled, "POST /sync/{resource}", "", 202, GoOn),
            (
                &itself,
                "GET /sync/cron/{token}/continue",
                "",
                202,
                Over("customers"),
            ),
            // all four have been imported: changes can be looked for
            (&itself, "POST /sync/orders", "", 202, Over("orders")),
            (
                &itself,
                "POST /sync/categories",
                "",
                202,
                Over("categories"),
            ),
            (&itself, "POST /sync/products", "", 202, Over("products")),
            (&itself, OF_ONE, "", 202, Over("customers")),
            (&scheduled, PRUNE, "", 202, GoOn),
            (&scheduled, PRUNE, "", 423, GoOn),
            (&itself, "POST /sync/continue", "", 202, Over("products")),
            (
                &itself,
                "GET /sync/cron/{token}/prune/customers",
                "",
                400,
                GoOn,
            ),
            (&itself, "GET /sync/cron/{token}/changes", "", 202, GoOn),
        ] {
            let (method, path) = what.split_once(' ').expect("a method and a path");
            let method = method.parse().expect("a method");
            let answer = shop.send(call(method, path).body(body)).await;
            assert_eq!(answer.status, status, "{what} {body}: {}", answer.body);
            then.apply(shop).await;
        }
        let missing = unseen();
        let is_complete = missing.is_empty();
        assert!(is_complete, "described and never given: {missing:#?}");
    });
}
