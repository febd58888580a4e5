//! Schedulers that can send nothing but a path: what their token opens, and what it does not.

use std::time::Duration;

use http::Method;
use klaviyo_bulk_import::config::{Config, Problems, VARIABLES, Values};
use serde_json::json;
use sim::seed::Kind;
use sim::world::World;

use crate::support::native::{app, call_with, run};
use crate::support::operator::{get, ticked};
use crate::support::{LOOK, Setup, Shop, TOKEN, assert_ledger};

const CRON_TOKEN: &str = "a-token-for-schedulers";

fn setup() -> Setup {
    Setup::customers(40)
        .variable("cron_token", CRON_TOKEN)
        .variable("continuation", "scheduler")
}

fn path(rest: &str) -> String {
    format!("/sync/cron/{CRON_TOKEN}/{rest}")
}

#[test]
fn its_token_opens_two_doors_and_no_other() {
    run(async || {
        let mut setup = setup();
        let world = setup.world().await;
        let with = app(&setup, &world);
        let without = app(&Setup::customers(40), &world);
        let (get, post) = (Method::GET, Method::POST);
        let in_path = format!("/sync/cron/{TOKEN}/continue");
        let other = format!("/sync/cron/{CRON_TOKEN}x/continue");
        for (app, method, path, bearer, status) in [
            (&with, &get, path("continue"), None, 200),
            (&with, &post, path("continue"), None, 405),
            (&with, &get, path("stop"), None, 404),
            (&with, &get, path("status"), None, 404),
            (&with, &get, path(""), None, 404),
            (&with, &get, other, None, 401),
            (&with, &get, in_path.clone(), None, 401),
            (&with, &get, "/sync/cron//continue".to_owned(), None, 401),
            (
                &with,
                &get,
                "/sync/status".to_owned(),
                Some(CRON_TOKEN),
                401,
            ),
            (&with, &post, "/sync".to_owned(), Some(CRON_TOKEN), 401),
            // without the variable there is no such door, not even an unlocked one
            (&without, &get, path("continue"), None, 401),
            (&without, &get, "/sync/cron//continue".to_owned(), None, 401),
            (&without, &get, in_path, Some(TOKEN), 404),
        ] {
            let (given, answer) = call_with(app, method.clone(), &path, bearer, "").await;
            assert_eq!(given, status, "{method} {path} {bearer:?}: {answer}");
        }
    });
}

#[test]
fn it_goes_on_with_runs_and_starts_what_has_changed_and_tells_nothing_of_them() {
    run(async || {
        let mut setup = setup();
        let world = setup.world().await;
        let app = app(&setup, &world);
        let errand = async |name: &str| call_with(&app, Method::GET, &path(name), None, "").await;

        let (status, answer) = errand("changes").await;
        assert_eq!(status, 400, "nothing has been imported yet: {answer}");
        assert!(answer.get("resource").is_none(), "{answer}");

        let (status, _) = call_with(&app, Method::POST, "/sync/customers", Some(TOKEN), "").await;
        assert_eq!(status, 202);
        while get(&app, "/sync/customers").await["status"] == "running" {
            let answer = errand("continue").await;
            assert_eq!(answer, (200, json!({"ok": true})));
            world.clock().sleep(Duration::from_millis(500)).await;
        }
        assert_ledger(&world, &[Kind::Customer]);

        for resource in ["orders", "categories", "products"] {
            let (status, _) = call_with(
                &app,
                Method::POST,
                &format!("/sync/{resource}"),
                Some(TOKEN),
                "",
            )
            .await;
            assert_eq!(status, 202);
            ticked(&app, &world, resource).await;
        }
        assert_eq!(errand("changes").await, (202, json!({"ok": true})));
        let started = get(&app, "/sync/status").await;
        assert_eq!(started["plan"]["options"]["since"], "lastRun", "{started}");
        let (status, answer) = errand("changes").await;
        assert_eq!(status, 423);
        let members: Vec<&String> = answer.as_object().expect("a problem").keys().collect();
        assert_eq!(members, ["type", "title", "status", "detail"], "{answer}");
    });
}

fn problems(world: &World, cron_token: &str) -> Option<Problems> {
    let setup = Setup::customers(0).variable("cron_token", cron_token);
    let given = setup.values(world);
    let values: Values = VARIABLES
        .map(|name| (name, given.get(name).cloned().unwrap_or_default()))
        .into();
    Config::parse(&values).err()
}

#[test]
fn a_token_that_is_weak_or_cannot_stand_in_a_path_is_refused() {
    run(async || {
        let world = Setup::customers(0).world().await;
        for token in ["short", "with/a/slash/in/it/and/long", TOKEN] {
            let problems = problems(&world, token).unwrap_or_else(|| panic!("{token} was taken"));
            let named: Vec<&str> = problems.0.iter().map(|problem| problem.variable).collect();
            assert_eq!(named, ["cron_token"], "{token}");
            assert!(!problems.to_string().contains("slash"), "{problems}");
        }
        for token in ["", CRON_TOKEN] {
            assert_eq!(problems(&world, token), None, "{token}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_without_headers_carries_an_import_through_the_component() {
    let shop = Shop::open(setup()).await;
    let tick = async |name: &str| shop.send(Method::GET, &path(name), None, "").await;
    assert_eq!(tick("changes").await.status, 400);
    let log = shop.log().join("\n");
    assert!(
        log.contains("cron_refused") && log.contains("no last run"),
        "{log}"
    );
    shop.start("customers", "").await;
    let mut ticks = 0;
    while shop.get("/sync/customers").await.body["status"] == "running" {
        let answer = tick("continue").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        ticks += 1;
        assert!(ticks < 1_000, "{}", shop.log().join("\n"));
        shop.pass(LOOK).await;
    }
    shop.completed("customers").await;
    shop.assert_ledger(&[Kind::Customer]);
    let log = shop.log().join("\n");
    assert!(!log.contains(CRON_TOKEN), "the token is in the log: {log}");
}
