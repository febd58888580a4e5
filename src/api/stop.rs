//! `POST /sync/{resource}/stop` and `POST /sync/stop`: 200 if nothing is sent any more, 202 if the last invocation may
//! still be sending.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, json as json_value};

use super::answer::json;
use super::problem::Problem;
use super::refusal::not_stopped;
use super::views::plan::plan_view;
use super::views::run::run_view;
use crate::run::chain;
use crate::run::engine::Engine;
use crate::run::plan::advance;
use crate::run::state::{Resource, RunDocument};
use crate::run::stop::{self, NotStopped, StoppedRun};

/// How long it may take to look what the plan leaves out.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Stops the run of a resource.
pub(super) async fn run(
    engine: &Rc<Engine>,
    resource: Resource,
) -> Result<Response<Bytes>, Problem> {
    let stopped = stop::stop_run(engine, resource).await;
    let stopped = stopped.map_err(|reason| run_not_stopped(resource, reason))?;
    // other runs of its plan may have waited for it
    chain::advance_plan(engine).await;
    let mut view = run_view(engine, resource, Some(&stopped.document));
    if let Some(advice) = left_out(engine, &stopped.document).await {
        let of_run = view["advice"].as_str().unwrap_or_default();
        view["advice"] = format!("{of_run} {advice}").into();
    }
    Ok(json(status(&stopped), &view))
}

/// What is to be said of the resources that the plan leaves out because the run was stopped. Where commercetools does not
/// tell, the plan's own status does.
async fn left_out(engine: &Engine, stopped: &RunDocument) -> Option<String> {
    let plan_id = stopped.plan.as_ref()?;
    let deadline = engine.deadline(TIMEOUT);
    let plan = advance::load(engine, deadline).await.ok()??.document;
    let left_out = plan.left_out_with(stopped.resource);
    if plan.plan_id != *plan_id || left_out.is_empty() {
        return None;
    }
    let resources = json_value!({"resources": left_out});
    let names: Vec<&str> = left_out.iter().map(|resource| resource.name()).collect();
    Some(format!(
        "Its plan leaves out {}, which come after it: POST {resources} to /sync imports them.",
        names.join(" and ")
    ))
}

/// Stops everything that runs.
pub(super) async fn all(engine: &Rc<Engine>) -> Result<Response<Bytes>, Problem> {
    let stopped = stop::stop_all(engine)
        .await
        .map_err(|reason| not_stopped(reason, "Nothing is going on", "plan"))?;
    let mut code = StatusCode::OK;
    let mut runs = Map::new();
    let mut failed = None;
    for (resource, outcome) in stopped.runs {
        match outcome {
            Ok(run) => {
                code = code.max(status(&run));
                let view = run_view(engine, resource, Some(&run.document));
                runs.insert(resource.name().to_owned(), view);
            }
            Err(reason) => failed = Some(run_not_stopped(resource, reason)),
        }
    }
    let plan = stopped.plan.map(|plan| plan_view(engine, &plan));
    match failed {
        Some(problem) => Err(problem.extension("runs", &runs)),
        None => Ok(json(code, &json_value!({"plan": plan, "runs": runs}))),
    }
}

fn status(stopped: &StoppedRun) -> StatusCode {
    match stopped.may_be_sending {
        true => StatusCode::ACCEPTED,
        false => StatusCode::OK,
    }
}

fn run_not_stopped(resource: Resource, reason: NotStopped) -> Problem {
    let idle = format!("No import of {resource} is going on");
    not_stopped(reason, &idle, "run document")
}
