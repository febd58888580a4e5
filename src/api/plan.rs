//! `POST /sync` and `POST /sync/stop`: imports of several resources, in the right order.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::problem::Problem;
use super::{App, advice, body, json, start, status, stop};
use crate::ports::Deadline;
use crate::run::chain;
use crate::run::launch::{self, Refusal, rehearse};
use crate::run::lease::later;
use crate::run::plan::{self, Plan, StepState};
use crate::run::state::Status;
use crate::run::store::{Saved, Stored};

/// How long a stop may take to be written down.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to look how the runs of a stopped plan stand.
const SHOW_TIMEOUT: Duration = Duration::from_secs(3);
/// Tries against invocations that move the plan on at the same time.
const ATTEMPTS: usize = 10;

/// Starts a plan.
pub(super) async fn start(app: &Rc<App>, body: &Bytes) -> Result<Response<Bytes>, Problem> {
    let (resources, options) = body::plan(body, app.commercetools.server_now())?;
    let deadline = Deadline::after(&*app.ports.clock, launch::TIMEOUT);
    let known = plan::load(app, deadline).await?;
    if let Some(known) = known
        .as_ref()
        .filter(|known| known.document.status == Status::Running)
    {
        return Err(locked(app, &known.document));
    }
    let now = app.commercetools.server_now();
    let document = Plan::start(launch::new_id(now), &resources, options, now);
    // before anything is written: that each of its runs could begin
    let rehearsals = document.steps.iter().map(async |step| {
        let wish = document.wish(step.resource);
        rehearse(app, step.resource, &wish, deadline)
            .await
            .map_err(|refusal| (step.resource, refusal))
    });
    if let Some((resource, refusal)) = join_all(rehearsals).await.into_iter().find_map(Result::err)
    {
        let is_of_resource = !matches!(refusal, Refusal::Api(_));
        let problem = start::refused(resource, refusal);
        return Err(if is_of_resource {
            problem.extension("resource", &resource)
        } else {
            problem
        });
    }
    let mut stored = Stored::new(document, known.map_or(0, |known| known.version));
    if app.store().save(&mut stored, deadline).await? == Saved::Lost {
        return Err(match plan::load(app, deadline).await? {
            Some(winner) => locked(app, &winner.document),
            None => {
                Problem::new(StatusCode::LOCKED, "Another start was faster").detail("Try again")
            }
        });
    }
    plan::log(app, "plan_started", &stored.document);
    // what does not begin now is begun by the next that comes along
    chain::advance_plan(app).await;
    let deadline = Deadline::after(&*app.ports.clock, launch::TIMEOUT);
    let shown = plan::load(app, deadline)
        .await
        .ok()
        .flatten()
        .unwrap_or(stored);
    let mut response = json(
        StatusCode::ACCEPTED,
        &json_value!({"plan": view(app, &shown.document)}),
    );
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/sync/status"));
    Ok(response)
}

fn locked(app: &App, plan: &Plan) -> Problem {
    Problem::new(StatusCode::LOCKED, "A plan is going on")
        .detail("Watch it with GET /sync/status, end it with POST /sync/stop.")
        .extension("plan", &view(app, plan))
}

/// Stops the plan and its runs. As with a single run, nothing more is sent after an answer of 200.
pub(super) async fn stop(app: &Rc<App>) -> Result<Response<Bytes>, Problem> {
    let deadline = Deadline::after(&*app.ports.clock, STOP_TIMEOUT);
    let mut stored = clear(app, deadline).await?;
    plan::log(app, "plan_stopped", &stored.document);
    let store = app.store();
    let stops = stored.document.steps.iter().map(async |step| {
        let run_id = stored.document.run_id(step.resource);
        match store
            .load(step.resource, deadline)
            .await?
            .map(|found| found.document)
        {
            Some(run) if run.run_id == run_id && run.is_going_on() => {
                stop::stop_run(app, step.resource).await.map(Some)
            }
            _ => Ok(None),
        }
    });
    let mut code = StatusCode::OK;
    let mut runs = serde_json::Map::new();
    let mut failed = None;
    for outcome in join_all(stops).await {
        match outcome {
            Ok(Some((status, run))) => {
                code = code.max(status);
                runs.insert(run["resource"].as_str().unwrap_or_default().to_owned(), run);
            }
            Ok(None) => {}
            Err(problem) => failed = Some(problem),
        }
    }
    if let Some(problem) = failed {
        return Err(problem.extension("runs", &runs));
    }
    // it has been stopped, whether or not that can be shown
    let deadline = Deadline::after(&*app.ports.clock, SHOW_TIMEOUT);
    _ = plan::observe(app, &mut stored.document, deadline).await;
    Ok(json(
        code,
        &json_value!({"plan": view(app, &stored.document), "runs": runs}),
    ))
}

/// Writes the end of the plan: after this no run of it begins and none of its windows is claimed.
async fn clear(app: &App, deadline: Deadline) -> Result<Stored<Plan>, Problem> {
    for _ in 0..ATTEMPTS {
        let mut stored = match plan::load(app, deadline).await? {
            Some(stored) if stored.document.status == Status::Running => stored,
            _ => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "Not running").detail(
                    "No plan is going on. POST /sync/{resource}/stop stops a single import",
                ));
            }
        };
        stored.document.status = Status::Stopped;
        stored.document.finished_at = Some(app.commercetools.server_now());
        if app.store().save(&mut stored, deadline).await? == Saved::Done {
            return Ok(stored);
        }
    }
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The plan is being written by others all the time",
    )
    .detail("Nothing has been stopped. Try again")
    .retry_after(1))
}

/// The plan as it is shown.
pub(super) fn view(app: &App, plan: &Plan) -> Value {
    let step = |step: &plan::Step| {
        json_value!({
            "resource": step.resource,
            "state": step.state,
            "runId": plan.run_id(step.resource),
            "note": step.note,
        })
    };
    let looks_cut = looks_cut(app, plan);
    json_value!({
        "planId": plan.plan_id,
        "status": plan.status,
        "startedAt": plan.started_at,
        "updatedAt": plan.updated_at,
        "finishedAt": plan.finished_at,
        "options": plan.options,
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "chainLooksCut": looks_cut,
        "advice": advice::for_plan(plan, looks_cut),
    })
}

/// Whether nobody moves a plan on that should be moved on: it has no run that would do so at its end.
fn looks_cut(app: &App, plan: &Plan) -> bool {
    let has_run = plan
        .steps
        .iter()
        .any(|step| step.state == StepState::Running);
    let patience = status::patience(app);
    plan.status == Status::Running
        && !has_run
        && app.commercetools.server_now() > later(plan.updated_at, patience)
}
