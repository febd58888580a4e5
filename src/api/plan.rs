//! `POST /sync`: imports of several resources, in the right order.

use std::rc::Rc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json as json_value;

use super::answer::json;
use super::body;
use super::problem::Problem;
use super::refusal::{not_started, other_destination};
use super::views::plan::plan_view;
use crate::run::chain;
use crate::run::engine::Engine;
use crate::run::plan::begin::{NotBegun, begin};
use crate::run::plan::{Plan, advance};
use crate::run::start::{self, NotStarted};

/// Starts a plan.
pub(super) async fn start(engine: &Rc<Engine>, body: &Bytes) -> Result<Response<Bytes>, Problem> {
    let (resources, options) = body::plan(body, engine.now())?;
    let stored = begin(engine, &resources, options)
        .await
        .map_err(|reason| not_begun(engine, reason))?;
    // a run that does not begin now is begun by a later `continue` or window
    chain::advance_plan(engine).await;
    let deadline = engine.deadline(start::TIMEOUT);
    let shown = advance::load(engine, deadline)
        .await
        .ok()
        .flatten()
        .unwrap_or(stored);
    let mut response = json(
        StatusCode::ACCEPTED,
        &json_value!({"plan": plan_view(engine, &shown.document)}),
    );
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/sync/status"));
    Ok(response)
}

fn not_begun(engine: &Engine, reason: NotBegun) -> Problem {
    match reason {
        NotBegun::Locked(plan) => locked(engine, &plan),
        NotBegun::Outrun => {
            Problem::new(StatusCode::LOCKED, "Another start was faster").detail("Try again")
        }
        NotBegun::OtherDestination(other) => other_destination(&other),
        NotBegun::Run(resource, reason) => {
            let is_of_resource = !matches!(reason, NotStarted::Api(_));
            let problem = not_started(resource, reason);
            match is_of_resource {
                true => problem.extension("resource", &resource),
                false => problem,
            }
        }
        NotBegun::Api(error) => error.into(),
    }
}

fn locked(engine: &Engine, plan: &Plan) -> Problem {
    Problem::new(StatusCode::LOCKED, "A plan is going on")
        .detail("Watch it with GET /sync/status, end it with POST /sync/stop.")
        .extension("plan", &plan_view(engine, plan))
}
