//! `GET /sync/{resource}`, `GET /sync/status` and `GET /sync`: the status of runs and the plan.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::answer::json;
use super::problem::Problem;
use super::views::plan::plan_view_beside;
use super::views::run::run_view;
use crate::run::engine::Engine;
use crate::run::plan::{self, Plan};
use crate::run::state::{Resource, RunDocument};
use crate::run::store::Overview;

/// The time limit of a status.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn one(engine: &Engine, resource: Resource) -> Result<Response<Bytes>, Problem> {
    let deadline = engine.deadline(TIMEOUT);
    let stored = engine.store.load(resource, deadline).await?;
    Ok(json(
        StatusCode::OK,
        &run_view(
            engine,
            resource,
            stored.as_ref().map(|stored| &stored.document),
        ),
    ))
}

pub(super) async fn all(engine: &Engine) -> Result<Response<Bytes>, Problem> {
    let deadline = engine.deadline(TIMEOUT);
    let Overview { runs, mut plan } = engine.store.load_all::<Plan>(plan::KEY, deadline).await?;
    let running = |run: &Option<RunDocument>| run.as_ref().is_some_and(RunDocument::is_running);
    let going_on = Resource::ALL.into_iter().zip(&runs);
    let going_on = going_on.filter_map(|(resource, run)| running(run).then_some(resource));
    let going_on: Vec<Resource> = going_on.collect();
    let mut answer = Map::new();
    for (resource, run) in Resource::ALL.into_iter().zip(&runs) {
        let run = run.as_ref();
        if let Some(plan) = &mut plan {
            plan.observe(resource, run);
        }
        let mut status = run_view(engine, resource, run);
        if let Value::Object(fields) = &mut status {
            // the overview is short: these lists are in the resource's own status
            for list in ["setAside", "samples", "history", "lastReport"] {
                fields.remove(list);
            }
        }
        answer.insert(resource.name().to_owned(), status);
    }
    answer.insert(
        "plan".to_owned(),
        plan.as_ref().map_or(Value::Null, |plan| {
            plan_view_beside(engine, plan, &going_on)
        }),
    );
    Ok(json(StatusCode::OK, &answer))
}
