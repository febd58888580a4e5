//! `POST /sync/{resource}/stop` and `POST /sync/stop`: 200 if nothing is sent any more, 202 if the last invocation may
//! still be sending.

use std::rc::Rc;

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
use crate::run::state::Resource;
use crate::run::stop::{self, NotStopped, StoppedRun};

/// Stops the run of a resource.
pub(super) async fn run(
    engine: &Rc<Engine>,
    resource: Resource,
) -> Result<Response<Bytes>, Problem> {
    let stopped = stop::stop_run(engine, resource).await;
    let stopped = stopped.map_err(|reason| run_not_stopped(resource, reason))?;
    // other runs of its plan may have waited for it
    chain::advance_plan(engine).await;
    let view = run_view(engine, resource, Some(&stopped.document));
    Ok(json(status(&stopped), &view))
}

/// Stops the plan and its runs.
pub(super) async fn plan(engine: &Rc<Engine>) -> Result<Response<Bytes>, Problem> {
    let stopped = stop::stop_plan(engine).await.map_err(|reason| {
        let idle = "No plan is going on. POST /sync/{resource}/stop stops a single import";
        not_stopped(reason, idle, "plan")
    })?;
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
    match failed {
        Some(problem) => Err(problem.extension("runs", &runs)),
        None => Ok(json(
            code,
            &json_value!({"plan": plan_view(engine, &stopped.plan), "runs": runs}),
        )),
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
