//! `POST /sync/{resource}/continue` and `POST /sync/continue`: the next window.
//!
//! In `self` mode the answer comes as soon as the lease is claimed, and the window is worked after it. In `scheduler`
//! mode the window is worked first.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::problem::Problem;
use super::{App, json, status};
use crate::config::Continuation;
use crate::run::chain::{self, Claim};
use crate::run::state::Resource;

pub(super) async fn one(app: &Rc<App>, resource: Resource) -> Result<Response<Bytes>, Problem> {
    let (code, answer) = proceed(app, resource).await?;
    Ok(json(code, &answer))
}

pub(super) async fn all(app: &Rc<App>) -> Result<Response<Bytes>, Problem> {
    let outcomes = join_all(Resource::ALL.map(|resource| proceed(app, resource))).await;
    let mut code = StatusCode::OK;
    let mut answer = serde_json::Map::new();
    let mut failed = None;
    for (resource, outcome) in Resource::ALL.into_iter().zip(outcomes) {
        match outcome {
            Ok((status, value)) => {
                code = code.max(status);
                answer.insert(resource.name().to_owned(), value);
            }
            Err(problem) => failed = Some(problem),
        }
    }
    // what one resource cannot do keeps no other from going on, but the caller has to hear of it
    match failed {
        Some(problem) => Err(problem.extension("resources", &answer)),
        None => Ok(json(code, &answer)),
    }
}

async fn proceed(app: &Rc<App>, resource: Resource) -> Result<(StatusCode, Value), Problem> {
    let calls_itself = app.config.continuation == Continuation::SelfCall;
    let outcome = |outcome: &str| json_value!({"outcome": outcome});
    match chain::claim(app, resource, calls_itself).await? {
        Claim::Claimed(claimed) if calls_itself => {
            let answer = json_value!({"outcome": "claimed", "window": claimed.stored.document.window});
            chain::spawn(app, *claimed);
            Ok((StatusCode::ACCEPTED, answer))
        }
        Claim::Claimed(claimed) => match chain::work(app, *claimed).await {
            Some((stored, _)) => {
                let run = status::document(app, resource, Some(&stored.document));
                Ok((StatusCode::OK, json_value!({"outcome": "worked", "run": run})))
            }
            None => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The window could not be saved")
                .detail("What it did is done again by the next window; see the log")),
        },
        Claim::Busy(lease) => Ok((StatusCode::OK, json_value!({"outcome": "busy", "lease": lease}))),
        Claim::Waiting { until, what } => {
            Ok((StatusCode::OK, json_value!({"outcome": "waiting", "until": until, "waitingFor": what})))
        }
        Claim::NotRunning => Ok((StatusCode::OK, outcome("not running"))),
        Claim::Outrun => Ok((StatusCode::OK, outcome("busy"))),
    }
}
