//! What an operator or a scheduler does, natively: calls, imports that are waited for, ticks. Every answer is held to the
//! API's description.
//!
//! On a loaded machine calls can time out without a fault: the answer is 503 or a chain is cut then, and an operator does
//! what the answer and the status advise. Tests that are about these answers use [`call`] itself.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::Method;
use klaviyo_bulk_import::api::App;
use serde_json::Value;
use sim::world::World;

use super::PATIENCE;
use crate::api_description::call;

/// Simulated seconds in a real one: the app's time-outs are still seconds long.
pub(crate) const SPEED: f64 = 4.0;

async fn patient(app: &Rc<App>, method: Method, path: &str, body: &str) -> (u16, Value) {
    let begun = Instant::now();
    let mut is_unsure = false;
    loop {
        let answer = call(app, method.clone(), path, body).await;
        assert!(begun.elapsed() < PATIENCE, "no other answer: {answer:?}");
        match answer {
            (503, _) => is_unsure = true,
            // a start whose answer from commercetools was lost has begun all the same
            (423, _) if is_unsure => match call(app, Method::GET, path, "").await {
                (200, status) => return (202, status),
                _ => continue,
            },
            answer => return answer,
        }
    }
}

pub(crate) async fn get(app: &Rc<App>, path: &str) -> Value {
    let (status, body) = patient(app, Method::GET, path, "").await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Null is no body.
pub(crate) async fn post(app: &Rc<App>, path: &str, body: Value) -> (u16, Value) {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    patient(app, Method::POST, path, &body).await
}

/// Starts an import that must be accepted, and waits for its end.
pub(crate) async fn import(app: &Rc<App>, world: &World, resource: &str, body: Value) -> Value {
    let (status, answer) = post(app, &format!("/sync/{resource}"), body).await;
    assert_eq!(status, 202, "{answer}");
    over(app, world, resource).await
}

/// Waits until the run of a resource is over.
pub(crate) async fn over(app: &Rc<App>, world: &World, resource: &str) -> Value {
    until(app, world, resource, |status| status["status"] != "running").await
}

/// Waits until the status of a resource is so; a chain that looks cut is picked up.
pub(crate) async fn until(
    app: &Rc<App>,
    world: &World,
    resource: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/sync/{resource}");
    let begun = Instant::now();
    loop {
        let status = get(app, &path).await;
        if is_so(&status) {
            return status;
        }
        if status["chainLooksCut"] == true {
            post(app, &format!("{path}/continue"), Value::Null).await;
        }
        assert!(begun.elapsed() < PATIENCE, "never came to be: {status}");
        world.clock().sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until the plan is over, ticking as a scheduler does, or where the plan or a chain looks cut.
pub(crate) async fn plan_over(app: &Rc<App>, world: &World, has_scheduler: bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = get(app, "/sync/status").await;
        if status["plan"]["status"] != "running" {
            return status;
        }
        let looks_cut = status
            .as_object()
            .is_some_and(|parts| parts.values().any(|part| part["chainLooksCut"] == true));
        if has_scheduler || looks_cut {
            post(app, "/sync/continue", Value::Null).await;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the plan does not end: {status}"
        );
        world.clock().sleep(Duration::from_millis(500)).await;
    }
}

pub(crate) fn moment(value: &Value) -> jiff::Timestamp {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no time: {value}"))
}

/// The steps of the plan: resource and state.
pub(crate) fn steps(status: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = status["plan"]["steps"].as_array().expect("steps");
    steps
        .iter()
        .map(|step| (text(&step["resource"]), text(&step["state"])))
        .collect()
}

/// A line of the check.
pub(crate) fn line<'a>(check: &'a Value, what: &str) -> &'a Value {
    let lines = check["lines"].as_array().expect("lines");
    lines
        .iter()
        .find(|line| line["what"] == what)
        .unwrap_or_else(|| panic!("no line {what}: {check}"))
}

/// Ticks as a scheduler does until the run of a resource is over; gives the status after each tick.
pub(crate) async fn ticked(app: &Rc<App>, world: &World, resource: &str) -> Vec<Value> {
    let path = format!("/sync/{resource}");
    let begun = Instant::now();
    let mut seen = Vec::new();
    loop {
        post(app, &format!("{path}/continue"), Value::Null).await;
        let status = get(app, &path).await;
        let is_over = status["status"] != "running";
        assert!(begun.elapsed() < PATIENCE, "the run does not end: {status}");
        seen.push(status);
        if is_over {
            return seen;
        }
        world.clock().sleep(Duration::from_millis(500)).await;
    }
}
