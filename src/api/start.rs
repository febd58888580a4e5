//! `POST /sync/{resource}`: starts an import, or takes up one that has failed.

use std::rc::Rc;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::body::{self, Asked};
use super::problem::Problem;
use super::{App, json, status};
use crate::config::Continuation;
use crate::run::chain::{self, Claimed};
use crate::run::launch::{self, Launched, Refusal};
use crate::run::state::{Resource, RunDocument, Status};

pub(super) async fn start(
    app: &Rc<App>,
    resource: Resource,
    body: &Bytes,
) -> Result<Response<Bytes>, Problem> {
    let (launched, retries) = match body::start(resource, body, app.commercetools.server_now())? {
        Asked::Resume => (launch::resume(app, resource).await, false),
        Asked::Start(wish) => (
            launch::launch(app, resource, &wish).await,
            wish.retry_failed,
        ),
    };
    let Launched {
        stored,
        begun,
        unnamed,
    } = launched.map_err(|refusal| refused(resource, refusal))?;
    let document = &stored.document;
    let mut answer = status::document(app, resource, Some(document));
    if let Value::Object(answer) = &mut answer
        && retries
    {
        let named = document.order.ids.as_ref().map_or(0, Vec::len);
        answer.insert(
            "retried".to_owned(),
            json_value!({"records": named, "missed": unnamed}),
        );
    }
    let mut response = json(StatusCode::ACCEPTED, &answer);
    if let Ok(location) = HeaderValue::from_str(&format!("/sync/{resource}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    if app.config.continuation == Continuation::SelfCall {
        chain::spawn(app, Claimed { stored, begun });
    }
    Ok(response)
}

fn locked(document: &RunDocument) -> Problem {
    let (title, detail) = match document.status {
        Status::Failed => (
            "A failed import of this kind can be resumed",
            "The last run has failed and its cursor is kept. POST {\"resume\": true} goes on from there, POST .../stop \
             gives it up.",
        ),
        Status::Stopped => (
            "The last import of this kind is being stopped",
            "The last run has been stopped, but its last invocation may still be sending. Try again shortly.",
        ),
        _ => (
            "An import of this kind is going on",
            "An import of this kind is going on. Watch it with GET, end it with POST .../stop.",
        ),
    };
    Problem::new(StatusCode::LOCKED, title)
        .detail(detail)
        .extension("runId", &document.run_id)
        .extension("runStatus", &document.status)
        .extension("lease", &document.lease)
}

/// What the caller is told where no run has begun.
pub(super) fn refused(resource: Resource, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Locked(document) => locked(&document),
        Refusal::Outrun => {
            Problem::new(StatusCode::LOCKED, "Another start was faster").detail("Try again")
        }
        Refusal::NoLastRun => body::bad_request(format!(
            "since: no import of all {resource} has completed yet, so there is no last run. Start one without since, or \
             name a time"
        )),
        Refusal::NothingFailed { unnamed: 0 } => body::bad_request(format!(
            "retryFailed: the last report of {resource} has no record that failed"
        )),
        Refusal::NothingFailed { unnamed } => body::bad_request(format!(
            "retryFailed: {unnamed} records of {resource} failed, but the last report names none of them. Import all again"
        )),
        Refusal::NothingToResume => {
            body::bad_request(format!("resume: there is no failed import of {resource}"))
        }
        Refusal::GoingOn(document) => Problem::new(
            StatusCode::CONFLICT,
            "There is nothing to resume",
        )
        .detail("The import is going on. Where its chain looks cut, POST .../continue picks it up")
        .extension("runId", &document.run_id),
        Refusal::Api(error) => error.into(),
    }
}
