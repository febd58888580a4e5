//! Every answer that the API's description has is given, and is as it is described. Natively.

use std::rc::Rc;

use futures_util::future::join_all;
use http::Method;
use klaviyo_bulk_import::api::{self, MAX_BODY_BYTES};
use klaviyo_bulk_import::app::App;
use klaviyo_bulk_import::config::{Config, Secret, VARIABLES, Values};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::world::World;

use crate::support::native::{app, run};
use crate::support::operator::over;
use crate::support::{Setup, TOKEN};
use crate::written::description::{ask, call, description, hold, operations, request, unseen};

const CRON_TOKEN: &str = "a-token-for-schedulers";

/// All operations, as calls of customers.
fn calls() -> Vec<(Method, String)> {
    let description = description();
    operations(&description)
        .map(|(path, method, _)| {
            let path = path.replace("{resource}", "customers");
            (method, path.replace("{token}", CRON_TOKEN))
        })
        .collect()
}

/// Asks for an answer with this status.
async fn expect(app: &Rc<App>, method: Method, path: &str, body: Value, status: u16) {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let (given, answer) = call(app, method.clone(), path, &body).await;
    assert_eq!(given, status, "{method} {path} {body}: {answer}");
}

/// Answers to callers who are not let in, to bodies that are too large, and of an app that is not usable.
async fn refusals(app: &Rc<App>, world: &World) {
    let too_large = " ".repeat(MAX_BODY_BYTES + 1);
    let setup = Setup::customers(0).variable("window_seconds", "99");
    let given = setup.values(world);
    let values: Values = VARIABLES
        .map(|name| (name, given.get(name).cloned().unwrap_or_default()))
        .into();
    let problems = Config::parse(&values).expect_err("a window of 99 seconds");
    for (method, path) in calls() {
        let wrong = path.replace(CRON_TOKEN, "another-token-for-schedulers");
        let (status, _) = ask(app, method.clone(), &wrong, None, "").await;
        assert_eq!(status, 401, "{method} {path}");
        let (status, _) = call(app, method.clone(), &path, &too_large).await;
        assert_eq!(status, 413, "{method} {path}");
        let token = Secret::from(TOKEN.to_owned());
        let request = request(&method, &path, Some(TOKEN), "");
        let answer = api::misconfigured(&request, &problems, Some(&token));
        hold(&method, &path, &answer);
    }
}

/// Answers while commercetools cannot be reached, and while it refuses.
async fn failures(app: &Rc<App>, world: &World) {
    let description = description();
    for (fault, status) in [(Fault::LoseRequest, 503), (Fault::refuse(403), 502)] {
        world.commercetools_faults().add(Rule::always(fault));
        let described = operations(&description).filter(|(_, _, operation)| {
            operation["responses"]
                .as_object()
                .is_some_and(|answers| answers.contains_key(&status.to_string()))
        });
        let asked = described.map(async |(path, method, _)| {
            let path = path.replace("{resource}", "customers");
            let path = path.replace("{token}", CRON_TOKEN);
            expect(app, method, &path, Value::Null, status).await;
        });
        join_all(asked).await;
        world.commercetools_faults().clear();
    }
}

/// Answers of an app that feeds another account.
async fn another_account(world: &World) {
    world.klaviyo(|klaviyo| {
        let accounts = &mut klaviyo.options_mut().other_accounts;
        accounts.insert("pk_other".to_owned(), "Other1".to_owned());
    });
    let ours = Setup::customers(3).variable("continuation", "scheduler");
    let ours = app(&ours, world);
    let other = Setup::customers(3)
        .variable("cron_token", CRON_TOKEN)
        .variable("klaviyo_auth_key", "pk_other");
    let other = app(&other, world);
    let customers = json!({"resources": ["customers"]});
    expect(&ours, Method::POST, "/sync", customers, 202).await;
    for call in [
        "",
        "/continue",
        "/stop",
        "/customers/continue",
        "/customers/stop",
    ] {
        let path = format!("/sync{call}");
        expect(&other, Method::POST, &path, Value::Null, 409).await;
    }
    for task in ["continue", "changes", "changes/customers"] {
        let path = format!("/sync/cron/{CRON_TOKEN}/{task}");
        expect(&other, Method::GET, &path, Value::Null, 409).await;
    }
    expect(&ours, Method::POST, "/sync/stop", Value::Null, 200).await;
}

/// Puts a lease of somebody who does not react into the run document.
fn put_lease(world: &World) {
    let now = world.clock().now();
    let until = now + jiff::SignedDuration::from_secs(3_600);
    world.commercetools(|project| {
        let object = project.custom_object("klaviyo-bulk-import", "customers");
        let mut document = object.expect("a run document").value.clone();
        document["lease"] = json!({"holder": "gone", "until": until});
        project.put_custom_object(now, "klaviyo-bulk-import", "customers", &document);
    });
}

#[test]
fn every_answer_that_is_described_is_given() {
    run(async || {
        let mut setup = Setup::customers(3).variable("cron_token", CRON_TOKEN);
        let world = setup.world().await;
        let itself = app(&setup, &world);
        let scheduled = app(
            &Setup::customers(3)
                .variable("cron_token", CRON_TOKEN)
                .variable("continuation", "scheduler"),
            &world,
        );
        let (get, post) = (Method::GET, Method::POST);
        let customers = || json!({"resources": ["customers"]});
        refusals(&itself, &world).await;
        failures(&itself, &world).await;

        for path in [
            "/sync",
            "/sync/status",
            "/sync/check",
            "/sync/check/ping",
            "/sync/openapi.json",
            "/sync/customers",
        ] {
            expect(&itself, get.clone(), path, Value::Null, 200).await;
        }
        // nothing is going on, and nothing has been
        expect(&itself, post.clone(), "/sync/stop", Value::Null, 400).await;
        expect(
            &itself,
            post.clone(),
            "/sync/customers/stop",
            Value::Null,
            400,
        )
        .await;
        expect(
            &itself,
            post.clone(),
            "/sync/customers",
            json!({"resume": true}),
            400,
        )
        .await;
        expect(
            &itself,
            post.clone(),
            "/sync",
            json!({"since": "lastRun"}),
            400,
        )
        .await;
        let changes = format!("/sync/cron/{CRON_TOKEN}/changes");
        let going_on = format!("/sync/cron/{CRON_TOKEN}/continue");
        let of_one = format!("{changes}/customers");
        expect(&itself, get.clone(), &changes, Value::Null, 400).await;
        expect(&itself, get.clone(), &of_one, Value::Null, 400).await;
        expect(&itself, get.clone(), &going_on, Value::Null, 200).await;

        // going on
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers",
            Value::Null,
            202,
        )
        .await;
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers",
            Value::Null,
            423,
        )
        .await;
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers",
            json!({"resume": true}),
            409,
        )
        .await;
        expect(&scheduled, post.clone(), "/sync", customers(), 423).await;
        expect(
            &itself,
            post.clone(),
            "/sync/customers/continue",
            Value::Null,
            202,
        )
        .await;
        expect(
            &itself,
            post.clone(),
            "/sync/customers/continue",
            Value::Null,
            200,
        )
        .await;
        over(&itself, &world, "customers").await;
        expect(&itself, post.clone(), "/sync/continue", Value::Null, 200).await;

        // stopped, while nobody holds it and while somebody does who does not react
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers",
            Value::Null,
            202,
        )
        .await;
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers/stop",
            Value::Null,
            200,
        )
        .await;
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers",
            Value::Null,
            202,
        )
        .await;
        put_lease(&world);
        expect(
            &scheduled,
            post.clone(),
            "/sync/customers/stop",
            Value::Null,
            202,
        )
        .await;
        world.commercetools(|project| {
            project.delete_custom_object("klaviyo-bulk-import", "customers");
        });
        expect(&scheduled, post.clone(), "/sync", customers(), 202).await;
        expect(&scheduled, get.clone(), &changes, Value::Null, 423).await;
        expect(&scheduled, get.clone(), &of_one, Value::Null, 423).await;
        expect(&scheduled, post.clone(), "/sync/stop", Value::Null, 200).await;
        expect(&scheduled, post.clone(), "/sync", customers(), 202).await;
        put_lease(&world);
        expect(&scheduled, post.clone(), "/sync/stop", Value::Null, 202).await;
        world.commercetools(|project| {
            project.delete_custom_object("klaviyo-bulk-import", "customers");
        });

        another_account(&world).await;

        // moved on by a call that works after its answer
        for path in ["/sync/continue", &going_on] {
            expect(
                &scheduled,
                post.clone(),
                "/sync/customers",
                Value::Null,
                202,
            )
            .await;
            let method = if path == going_on { &get } else { &post };
            expect(&itself, method.clone(), path, Value::Null, 202).await;
            over(&itself, &world, "customers").await;
        }
        // all four have been imported: changes can be looked for
        for resource in ["orders", "categories", "products"] {
            expect(
                &itself,
                post.clone(),
                &format!("/sync/{resource}"),
                Value::Null,
                202,
            )
            .await;
            over(&itself, &world, resource).await;
        }
        expect(&itself, get.clone(), &of_one, Value::Null, 202).await;
        over(&itself, &world, "customers").await;
        expect(&itself, get.clone(), &changes, Value::Null, 202).await;

        let missing = unseen();
        assert!(
            missing.is_empty(),
            "described and never given: {missing:#?}"
        );
    });
}
