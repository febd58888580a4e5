//! The app's own API by its OpenAPI description: answers and bodies are held to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Response};
use jsonschema::Validator;
use klaviyo_bulk_import::api::description::DESCRIPTION;
use klaviyo_bulk_import::api::{self, Request};
use klaviyo_bulk_import::app::App;
use serde_json::{Value, json};

use crate::support::native::{app, run};
use crate::support::{Setup, TOKEN};

/// Method, path as the description has it, status.
pub(crate) type Key = (String, String, String);

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

pub(crate) fn description() -> Value {
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
pub(crate) fn operations(description: &Value) -> impl Iterator<Item = (&String, Method, &Value)> {
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

pub(crate) fn request(method: &Method, path: &str, token: Option<&str>, body: &str) -> Request {
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

/// As [`call`], with this token or none.
pub(crate) async fn ask(
    app: &Rc<App>,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> (u16, Value) {
    let answer = api::handle(app, request(&method, path, token, body)).await;
    (answer.status().as_u16(), hold(&method, path, &answer))
}

/// Holds an answer to the description; gives its body.
pub(crate) fn hold(method: &Method, path: &str, answer: &Response<Bytes>) -> Value {
    HELD_TO.with(|description| description.hold(method, path, answer))
}

/// The answers that are described and that this test has not seen.
pub(crate) fn unseen() -> Vec<Key> {
    HELD_TO.with(|description| {
        let given = description.given.borrow();
        let described = description.answers.keys();
        described
            .filter(|key| !given.contains(*key))
            .cloned()
            .collect()
    })
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
