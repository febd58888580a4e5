//! The app's own API by its OpenAPI description: every answer is held to it, and every answer that it has is given.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Response};
use jsonschema::Validator;
use klaviyo_bulk_import::api::{self, App, DESCRIPTION, MAX_BODY_BYTES, Request};
use klaviyo_bulk_import::config::{Config, Secret, VARIABLES, Values};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule, When};
use sim::world::World;

use crate::support::native::{app, run};
use crate::support::operator::over;
use crate::support::{Setup, TOKEN};

/// Method, path as the description has it, status.
type Key = (String, String, String);

/// What is described of an answer.
struct Answer {
    media_type: String,
    body: Validator,
    /// Headers that it always has.
    headers: Vec<String>,
}

/// The description, with what has been seen of it.
struct Description {
    answers: BTreeMap<Key, Answer>,
    given: RefCell<BTreeSet<Key>>,
}

fn description() -> Value {
    serde_json::from_str(DESCRIPTION).expect("the description is JSON")
}

fn validator(description: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = json!({"schemas": description["components"]["schemas"]});
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap_or_else(|error| panic!("{schema}: {error}"))
}

/// The operations of the description: path, method, operation.
fn operations(description: &Value) -> impl Iterator<Item = (&String, Method, &Value)> {
    let paths = description["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        operations
            .filter(|(name, _)| *name != "parameters")
            .map(move |(method, operation)| {
                let method = method.to_ascii_uppercase().parse().expect("a method");
                (path, method, operation)
            })
    })
}

impl Description {
    fn read() -> Self {
        let description = description();
        let mut answers = BTreeMap::new();
        for (path, method, operation) in operations(&description) {
            for (status, answer) in operation["responses"].as_object().expect("answers") {
                let shared = answer["$ref"]
                    .as_str()
                    .and_then(|name| description.pointer(name.strip_prefix('#')?));
                let answer = shared.unwrap_or(answer);
                let content = answer["content"].as_object().expect("content");
                let (media_type, content) = content.iter().next().expect("a media type");
                let headers = answer["headers"].as_object().into_iter().flatten();
                let headers = headers.filter(|(_, header)| header["required"] == true);
                let answer = Answer {
                    media_type: media_type.clone(),
                    body: validator(&description, &content["schema"]),
                    headers: headers.map(|(name, _)| name.clone()).collect(),
                };
                answers.insert((method.to_string(), path.clone(), status.clone()), answer);
            }
        }
        Self {
            answers,
            given: RefCell::default(),
        }
    }

    fn hold(&self, method: &Method, path: &str, answer: &Response<Bytes>) -> Value {
        let body: Value = serde_json::from_slice(answer.body()).expect("a JSON answer");
        let key = (
            method.to_string(),
            template(path),
            answer.status().as_u16().to_string(),
        );
        let described = self.answers.get(&key);
        let described = described.unwrap_or_else(|| panic!("{key:?} is not described: {body}"));
        let errors: Vec<String> = described
            .body
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{key:?}: {errors:#?}\n{body}");
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            described.media_type,
            "{key:?}"
        );
        for header in &described.headers {
            assert!(answer.headers().contains_key(header), "{key:?}: {header}");
        }
        self.given.borrow_mut().insert(key);
        body
    }
}

/// The path as the description has it.
fn template(path: &str) -> String {
    let parts = path.split('/').enumerate().map(|(at, part)| match part {
        "customers" | "orders" | "categories" | "products" => "{resource}",
        _ if at == 3 && path.starts_with("/sync/cron/") => "{token}",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

thread_local! {
    static HELD_TO: Description = Description::read();
}

fn request(method: &Method, path: &str, token: Option<&str>, body: &str) -> Request {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let shown = format!("Bearer {token}").parse().expect("a header");
        headers.insert(AUTHORIZATION, shown);
    }
    Request {
        method: method.clone(),
        path: path.to_owned(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

async fn ask(
    app: &Rc<App>,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, Value) {
    let answer = api::handle(app, request(&method, path, token, body)).await;
    let body = HELD_TO.with(|description| description.hold(&method, path, &answer));
    (answer.status().as_u16(), body)
}

/// A call of the app's API whose answer is described: status and body.
pub(crate) async fn call(app: &Rc<App>, method: Method, path: &str, body: &str) -> (u16, Value) {
    ask(app, method, path, Some(TOKEN), body).await
}

#[test]
fn the_description_is_served_as_it_is_written() {
    run(async || {
        let mut setup = Setup::customers(0);
        let world = setup.world().await;
        let app = app(&setup, &world);
        let (status, served) = call(&app, Method::GET, "/sync/openapi.json", "").await;
        assert_eq!((status, served["openapi"].as_str()), (200, Some("3.1.0")));
        assert_eq!(served, description());
    });
}

#[test]
fn references_and_operation_ids_are_sound() {
    let description = description();
    let mut ids: Vec<&str> = operations(&description)
        .map(|(_, _, operation)| operation["operationId"].as_str().expect("an operationId"))
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operationId is used twice");
    let mut open = vec![&description];
    while let Some(value) = open.pop() {
        if let Some(name) = value["$ref"].as_str() {
            let found = description.pointer(
                name.strip_prefix('#')
                    .expect("a reference within the description"),
            );
            assert!(found.is_some(), "{name} leads nowhere");
        }
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
}

#[test]
fn bodies_are_taken_where_they_are_as_described() {
    const ID: &str = "00000000-0000-4000-8000-000000000000";
    let description = description();
    let schema = |name: &str| validator(&description, &description["components"]["schemas"][name]);
    let (start, plan) = (schema("Start"), schema("PlanStart"));
    run(async || {
        let mut setup = Setup::customers(0).variable("continuation", "scheduler");
        let world = setup.world().await;
        let app = app(&setup, &world);
        let many = vec![ID; 5_001];
        for (path, schema, body) in [
            ("/sync/orders", &start, json!({})),
            ("/sync/orders", &start, json!({"ids": [ID]})),
            ("/sync/orders", &start, json!({"ids": many[1..]})),
            ("/sync/orders", &start, json!({"ids": many})),
            ("/sync/orders", &start, json!({"ids": []})),
            ("/sync/orders", &start, json!({"ids": null, "since": null})),
            ("/sync/orders", &start, json!({"ids": ["x"]})),
            ("/sync/orders", &start, json!({"ids": ID})),
            (
                "/sync/orders",
                &start,
                json!({"startId": ID, "triggerFlows": true}),
            ),
            ("/sync/orders", &start, json!({"startId": 7})),
            (
                "/sync/orders",
                &start,
                json!({"since": "2026-01-31T00:00:00Z"}),
            ),
            (
                "/sync/orders",
                &start,
                json!({"since": "2026-01-31T00:00:00+02:00"}),
            ),
            ("/sync/orders", &start, json!({"since": "yesterday"})),
            ("/sync/orders", &start, json!({"dryRun": true})),
            ("/sync/orders", &start, json!({"dryRun": "yes"})),
            ("/sync/orders", &start, json!({"dryRun": null})),
            ("/sync/orders", &start, json!({"idz": [ID]})),
            ("/sync/orders", &start, json!([])),
            ("/sync/orders", &start, json!(null)),
            (
                "/sync/products",
                &start,
                json!({"deleteAll": true, "confirmDeletion": "products"}),
            ),
            (
                "/sync/products",
                &start,
                json!({"deleteAll": true, "confirmDeletetion": "products"}),
            ),
            (
                "/sync/products",
                &start,
                json!({"deleteAll": true, "confirmDeletion": "everything"}),
            ),
            ("/sync", &plan, json!({})),
            ("/sync", &plan, json!({"resources": ["orders", "orders"]})),
            ("/sync", &plan, json!({"resources": []})),
            ("/sync", &plan, json!({"resources": ["carts"]})),
            (
                "/sync",
                &plan,
                json!({"resources": null, "since": "2026-01-31T00:00:00Z"}),
            ),
            (
                "/sync",
                &plan,
                json!({"dryRun": true, "triggerFlows": true}),
            ),
            ("/sync", &plan, json!({"ids": [ID]})),
        ] {
            let (status, answer) = call(&app, Method::POST, path, &body.to_string()).await;
            let as_described = if schema.is_valid(&body) { 202 } else { 400 };
            assert_eq!(status, as_described, "{path} {body}: {answer}");
            if status == 202 {
                let (status, answer) = call(&app, Method::POST, &format!("{path}/stop"), "").await;
                assert_eq!(status, 200, "{answer}");
            }
        }
    });
}

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
        HELD_TO.with(|description| description.hold(&method, &path, &answer));
    }
}

/// Answers while commercetools cannot be reached, and while it refuses.
async fn failures(app: &Rc<App>, world: &World) {
    let description = description();
    for (fault, status) in [
        (Fault::LoseRequest, 503),
        (
            Fault::Refuse {
                status: 403,
                retry_after: None,
            },
            502,
        ),
    ] {
        world
            .commercetools_faults()
            .add(Rule::new(When::Always, fault));
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

/// Puts a lease of somebody who does not react into the run document.
fn hold(world: &World) {
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
        expect(&itself, get.clone(), &changes, Value::Null, 400).await;
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
        hold(&world);
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
        expect(&scheduled, post.clone(), "/sync/stop", Value::Null, 200).await;
        expect(&scheduled, post.clone(), "/sync", customers(), 202).await;
        hold(&world);
        expect(&scheduled, post.clone(), "/sync/stop", Value::Null, 202).await;
        world.commercetools(|project| {
            project.delete_custom_object("klaviyo-bulk-import", "customers");
        });

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
        expect(&itself, get.clone(), &changes, Value::Null, 202).await;

        let (described, given) = HELD_TO.with(|description| {
            (
                description.answers.keys().cloned().collect::<BTreeSet<_>>(),
                description.given.borrow().clone(),
            )
        });
        let missing: Vec<_> = described.difference(&given).collect();
        assert!(
            missing.is_empty(),
            "described and never given: {missing:#?}"
        );
    });
}
