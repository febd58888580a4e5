//! `GET /sync/{resource}`, `GET /sync/status` and `GET /sync`: the status of runs and the plan.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{try_join, try_join_all};
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::answer::json;
use super::problem::Problem;
use super::views::plan::plan_view;
use super::views::run::run_view;
use crate::run::engine::Engine;
use crate::run::plan::advance;
use crate::run::state::Resource;

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
    let loads = Resource::ALL.map(|resource| engine.store.load(resource, deadline));
    let (runs, plan) = try_join(try_join_all(loads), advance::load(engine, deadline)).await?;
    let mut plan = plan.map(|plan| plan.document);
    let mut answer = Map::new();
    for (resource, stored) in Resource::ALL.into_iter().zip(runs) {
        let run = stored.as_ref().map(|stored| &stored.document);
        if let Some(plan) = &mut plan {
            plan.observe(resource, run);
        }
        let mut status = run_view(engine, resource, run);
        if let Value::Object(fields) = &mut status {
            // the overview is short: these lists are in the resource's own status
            for list in ["setAside", "samples", "lastReport"] {
                fields.remove(list);
            }
        }
        answer.insert(resource.name().to_owned(), status);
    }
    answer.insert(
        "plan".to_owned(),
        plan.as_ref()
            .map_or(Value::Null, |plan| plan_view(engine, plan)),
    );
    Ok(json(StatusCode::OK, &answer))
}
