//! The error responses for starts and stops that did nothing.

use http::StatusCode;

use super::body::bad_request;
use super::problem::Problem;
use crate::run::destination::OtherDestination;
use crate::run::start::NotStarted;
use crate::run::state::{Resource, RunDocument, Status};
use crate::run::stop::NotStopped;

/// The response if a run keeps the request from being carried out.
pub(super) fn locked(document: &RunDocument) -> Problem {
    let (title, detail) = match document.status {
        Status::Failed => (
            "A failed import of this kind can be resumed",
            "The last run has failed and its cursor is kept. POST {\"resume\": true} continues from there, POST .../stop \
             gives it up.",
        ),
        Status::Stopped => (
            "The last import of this kind is being stopped",
            "The last run has been stopped, but its last invocation may still be sending. Try again shortly.",
        ),
        _ => (
            "An import of this kind is going on",
            "An import of this kind, or one that must not go beside it, is going on. Watch it with GET, end it with POST .../stop.",
        ),
    };
    Problem::new(StatusCode::LOCKED, title)
        .detail(detail)
        .extension("resource", &document.resource)
        .extension("runId", &document.run_id)
        .extension("runStatus", &document.status)
        .extension("lease", &document.lease)
}

/// The response if no run has begun.
pub(super) fn not_started(resource: Resource, reason: NotStarted) -> Problem {
    match reason {
        NotStarted::Locked(document) => locked(&document),
        NotStarted::Outrun => {
            Problem::new(StatusCode::LOCKED, "Another start was faster").detail("Try again")
        }
        NotStarted::NoLastRun => bad_request(format!(
            "since: no import of all {resource} has completed yet, so there is no last run. Start one without since, or \
             name a time"
        )),
        NotStarted::NothingFailed { unnamed: 0 } => {
            bad_request(format!("retryFailed: no record of {resource} has failed"))
        }
        NotStarted::NothingFailed { unnamed } => bad_request(format!(
            "retryFailed: {unnamed} records of {resource} have failed, but none is known by its id. Import all again"
        )),
        NotStarted::NothingToResume => {
            bad_request(format!("resume: there is no failed import of {resource}"))
        }
        NotStarted::GoingOn(document) => Problem::new(
            StatusCode::CONFLICT,
            "There is nothing to resume",
        )
        .detail("The import is going on. If its chain looks cut, POST .../continue continues it")
        .extension("runId", &document.run_id),
        NotStarted::OtherDestination(other) => other_destination(&other),
        NotStarted::Api(error) => error.into(),
    }
}

/// The response if a document names another Klaviyo account.
pub(super) fn other_destination(other: &OtherDestination) -> Problem {
    Problem::new(StatusCode::CONFLICT, "Another Klaviyo account")
        .detail(other.to_string())
        .extension("destination", &other.fingerprint)
        .extension("advice", &other.advice())
}

/// The response if nothing has been stopped. `idle` is the detail if nothing is going on; `document` names the document
/// that other requests have changed each time.
pub(super) fn not_stopped(reason: NotStopped, idle: &str, document: &str) -> Problem {
    match reason {
        NotStopped::NotRunning => Problem::new(StatusCode::BAD_REQUEST, "Not running").detail(idle),
        NotStopped::Contended => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("Other requests changed the {document} each time"),
        )
        .detail("Nothing has been stopped. Try again")
        .retry_after(1),
        NotStopped::OtherDestination(other) => other_destination(&other),
        NotStopped::Api(error) => error.into(),
    }
}
