//! `POST /sync`: imports of several resources, in the right order.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json as json_value;

use super::answer::json;
use super::body;
use super::problem::Problem;
use super::refusal::not_started;
use super::views::plan::plan_view;
use crate::run::chain;
use crate::run::engine::Engine;
use crate::run::identity::new_id;
use crate::run::log::LogEvent;
use crate::run::plan::{Plan, advance};
use crate::run::start::{self, NotStarted};
use crate::run::state::Status;
use crate::run::store::{Saved, Stored};

/// Starts a plan.
pub(super) async fn start(engine: &Rc<Engine>, body: &Bytes) -> Result<Response<Bytes>, Problem> {
    let (resources, options) = body::plan(body, engine.now())?;
    let deadline = engine.deadline(start::TIMEOUT);
    let known = advance::load(engine, deadline).await?;
    if let Some(known) = known
        .as_ref()
        .filter(|known| known.document.status == Status::Running)
    {
        return Err(locked(engine, &known.document));
    }
    let now = engine.now();
    let document = Plan::start(new_id(now), &resources, options, now);
    // before anything is written: checks that each of its runs could begin
    let rehearsals = document.steps.iter().map(async |step| {
        let request = document.request(step.resource);
        start::rehearse(engine, step.resource, &request, deadline)
            .await
            .map_err(|reason| (step.resource, reason))
    });
    if let Some((resource, reason)) = join_all(rehearsals).await.into_iter().find_map(Result::err) {
        let is_of_resource = !matches!(reason, NotStarted::Api(_));
        let problem = not_started(resource, reason);
        return Err(if is_of_resource {
            problem.extension("resource", &resource)
        } else {
            problem
        });
    }
    let mut stored = Stored::over(known.as_ref(), document);
    if engine.store.save(&mut stored, deadline).await? == Saved::Lost {
        return Err(match advance::load(engine, deadline).await? {
            Some(winner) => locked(engine, &winner.document),
            None => {
                Problem::new(StatusCode::LOCKED, "Another start was faster").detail("Try again")
            }
        });
    }
    advance::log(engine, LogEvent::PlanStarted, &stored.document);
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

fn locked(engine: &Engine, plan: &Plan) -> Problem {
    Problem::new(StatusCode::LOCKED, "A plan is going on")
        .detail("Watch it with GET /sync/status, end it with POST /sync/stop.")
        .extension("plan", &plan_view(engine, plan))
}
