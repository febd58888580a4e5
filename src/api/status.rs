//! `GET /sync/{resource}` and `GET /sync/status`: how a run stands, for operators and their scripts.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json as json_value};

use super::problem::Problem;
use super::{App, json};
use crate::config::Continuation;
use crate::ports::Deadline;
use crate::run::lease::later;
use crate::run::state::{Resource, RunDocument, Status};

/// How long a status may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A chain of self-calls has its next window after a second or two; one that has not after this long looks cut.
const CUT_AFTER: Duration = Duration::from_secs(15);
/// A scheduler may tick once in a while.
const CUT_AFTER_SCHEDULED: Duration = Duration::from_secs(600);

pub(super) async fn one(app: &App, resource: Resource) -> Result<Response<Bytes>, Problem> {
    let deadline = Deadline::after(&*app.ports.clock, TIMEOUT);
    let stored = app.store().load(resource, deadline).await?;
    Ok(json(StatusCode::OK, &document(app, resource, stored.as_ref().map(|stored| &stored.document))))
}

pub(super) async fn all(app: &App) -> Result<Response<Bytes>, Problem> {
    let deadline = Deadline::after(&*app.ports.clock, TIMEOUT);
    let store = app.store();
    let loads = Resource::ALL.map(|resource| store.load(resource, deadline));
    let mut answer = Map::new();
    for (resource, stored) in Resource::ALL.into_iter().zip(try_join_all(loads).await?) {
        let mut status = document(app, resource, stored.as_ref().map(|stored| &stored.document));
        if let Value::Object(fields) = &mut status {
            // at a glance: the lists are in the resource's own status
            fields.remove("setAside");
        }
        answer.insert(resource.name().to_owned(), status);
    }
    Ok(json(StatusCode::OK, &answer))
}

/// The status document. `status` is `idle` where there never was a run.
pub(super) fn document(app: &App, resource: Resource, document: Option<&RunDocument>) -> Value {
    let Some(run) = document else {
        return json_value!({"resource": resource, "status": "idle"});
    };
    let cursor = run.cursor.as_ref();
    let percent = run.total.filter(|&total| total > 0).map(|total| {
        let done = if run.status == Status::Completed { total } else { run.counts.read.min(total) };
        done * 100 / total
    });
    json_value!({
        "resource": resource,
        "status": run.status,
        "runId": run.run_id,
        "startedAt": run.started_at,
        "updatedAt": run.updated_at,
        "finishedAt": run.finished_at,
        "window": run.window,
        "total": run.total,
        "percent": percent,
        "counts": run.counts,
        "lastId": run.last_id,
        "rangesLeft": cursor.map_or(0, |cursor| cursor.ranges.len()),
        "jobsUnderWay": cursor.map_or(0, |cursor| cursor.jobs.len()),
        "lease": run.lease,
        "notBefore": run.not_before,
        "waitingFor": run.waiting_for,
        "chainLooksCut": looks_cut(app, run),
        "lastError": run.last_error,
        "setAside": run.set_aside,
        "setAsideOmitted": run.set_aside_omitted,
    })
}

/// Whether nobody works on a run that should be worked on: `continue` picks it up.
fn looks_cut(app: &App, run: &RunDocument) -> bool {
    let now = app.commercetools.server_now();
    let patience = match app.config.continuation {
        Continuation::SelfCall => CUT_AFTER,
        Continuation::Scheduler => CUT_AFTER_SCHEDULED,
    };
    let since = match &run.lease {
        Some(lease) if lease.is_live(now) => return false,
        Some(lease) => lease.until,
        None => later(run.not_before.map_or(run.updated_at, |moment| moment.max(run.updated_at)), patience),
    };
    run.is_going_on() && run.status == Status::Running && now > since
}
