//! What an operator or a scheduler does, natively: calls, imports that are waited for, ticks. Every answer is held to the
//! API's description.

use std::rc::Rc;
use std::time::Duration;

use http::Method;
use klaviyo_bulk_import::app::App;
use serde_json::Value;
use sim::world::World;

use crate::written::description::call;

/// How often something is looked at until it is so, at most.
const LOOKS: u32 = 20_000;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn get(app: &Rc<App>, path: &str) -> Value {
    let (status, body) = call(app, Method::GET, path, "").await;
    assert_eq!(status, 200, "{body}");
    body
}

/// Null is no body.
pub(crate) async fn post(app: &Rc<App>, path: &str, body: Value) -> (u16, Value) {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    call(app, Method::POST, path, &body).await
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

/// Waits until the status of a resource is so.
pub(crate) async fn until(
    app: &Rc<App>,
    world: &World,
    resource: &str,
    is_so: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/sync/{resource}");
    for _ in 0..LOOKS {
        let status = get(app, &path).await;
        if is_so(&status) {
            return status;
        }
        world.clock().sleep(PAUSE).await;
    }
    panic!("never came to be: {}", get(app, &path).await)
}

/// Waits until the plan is over, ticking as a scheduler does where there is one.
pub(crate) async fn plan_over(app: &Rc<App>, world: &World, has_scheduler: bool) -> Value {
    for _ in 0..LOOKS {
        let status = get(app, "/sync/status").await;
        if status["plan"]["status"] != "running" {
            return status;
        }
        if has_scheduler {
            post(app, "/sync/continue", Value::Null).await;
        }
        world.clock().sleep(PAUSE).await;
    }
    panic!("the plan does not end: {}", get(app, "/sync/status").await)
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
    let mut seen = Vec::new();
    for _ in 0..LOOKS {
        post(app, &format!("{path}/continue"), Value::Null).await;
        let status = get(app, &path).await;
        let is_over = status["status"] != "running";
        seen.push(status);
        if is_over {
            return seen;
        }
        world.clock().sleep(PAUSE).await;
    }
    panic!("the run does not end: {:?}", seen.last())
}
