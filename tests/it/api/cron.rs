//! Schedulers that can send nothing but a path: what their token opens, and what it does not.

use klaviyo_bulk_import::config::Problems;
use native::operator::LOOK;
use native::setup::configuration;
use native::{Call, Operator, Setup, Shop, TOKEN};
use serde_json::json;
use sim::seed::Kind;

use crate::support::CRON_TOKEN;
use crate::support::described::run;

fn setup() -> Setup {
    Setup::customers(40)
        .variable("cron_token", CRON_TOKEN)
        .scheduled()
}

fn path(rest: &str) -> String {
    format!("/sync/cron/{CRON_TOKEN}/{rest}")
}

#[test]
fn its_token_opens_two_doors_and_no_other() {
    native::run(setup(), async |with| {
        let without = with.another(&[("cron_token", "")]);
        let in_path = format!("/sync/cron/{TOKEN}/continue");
        let other = format!("/sync/cron/{CRON_TOKEN}x/continue");
        let none = "/sync/cron//continue";
        for (shop, call, bearer, status) in [
            (&with, Call::get(path("continue")), None, 200),
            (&with, Call::post(path("continue"), ""), None, 405),
            (&with, Call::get(path("stop")), None, 404),
            (&with, Call::get(path("status")), None, 404),
            (&with, Call::get(path("")), None, 404),
            (&with, Call::get(other), None, 401),
            (&with, Call::get(in_path.clone()), None, 401),
            (&with, Call::get(none), None, 401),
            (&with, Call::get("/sync/status"), Some(CRON_TOKEN), 401),
            (&with, Call::post("/sync", ""), Some(CRON_TOKEN), 401),
            // without the variable there is no such door, not even an unlocked one
            (&without, Call::get(path("continue")), None, 401),
            (&without, Call::get(none), None, 401),
            (&without, Call::get(in_path), Some(TOKEN), 404),
        ] {
            let call = match bearer {
                None => call.without_token(),
                Some(token) => call.token(token),
            };
            let what = format!("{} {} {bearer:?}", call.method, call.path);
            let answer = shop.send(call).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.body);
        }
    });
}

#[test]
fn it_goes_on_with_runs_and_starts_what_has_changed_and_tells_nothing_of_them() {
    run(setup(), async |shop| {
        let task = async |name: &str| shop.send(Call::get(path(name)).without_token()).await;

        let answer = task("changes").await;
        assert_eq!(answer.status, 400, "nothing has been imported yet");
        assert!(answer.body.get("resource").is_none(), "{}", answer.body);

        shop.start("customers", "").await;
        while shop.status("customers").await["status"] == "running" {
            let answer = task("continue").await;
            assert_eq!((answer.status, answer.body), (200, json!({"ok": true})));
            shop.pass(LOOK).await;
        }
        shop.assert_ledger(&[Kind::Customer]);

        for resource in ["orders", "categories", "products"] {
            shop.start(resource, "").await;
            shop.ticked(resource).await;
        }
        let answer = task("changes").await;
        assert_eq!((answer.status, answer.body), (202, json!({"ok": true})));
        let started = shop.read("/sync/status").await;
        assert_eq!(started["plan"]["options"]["since"], "lastRun", "{started}");
        let answer = task("changes").await;
        assert_eq!(answer.status, 423);
        let members = answer.body.as_object().expect("a problem").keys();
        let members: Vec<&String> = members.collect();
        assert_eq!(members, ["type", "title", "status", "detail"]);
    });
}

fn problems(shop: &Shop, cron_token: &str) -> Option<Problems> {
    let mut values = shop.values();
    values.insert("cron_token".to_owned(), cron_token.to_owned());
    configuration(&values).err()
}

#[test]
fn a_token_that_is_weak_or_cannot_stand_in_a_path_is_refused() {
    run(Setup::default(), async |shop| {
        for token in ["short", "with/a/slash/in/it/and/long", TOKEN] {
            let problems = problems(&shop, token).unwrap_or_else(|| panic!("{token} was taken"));
            let named: Vec<&str> = problems.0.iter().map(|problem| problem.variable).collect();
            assert_eq!(named, ["cron_token"], "{token}");
            assert!(!problems.to_string().contains("slash"), "{problems}");
        }
        for token in ["", CRON_TOKEN] {
            assert_eq!(problems(&shop, token), None, "{token}");
        }
    });
}
