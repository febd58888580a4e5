//! `POST /sync/{resource}/stop`: ends an import.
//!
//! Stopping clears the cursor. The invocation that holds the lease finds that out at its next save, waits for the calls
//! that it has under way and gives the lease back. `stop` waits for that, so that after its answer nothing is sent any
//! more; where the holder does not react (it was killed), the answer says until when it could still be alive.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::problem::Problem;
use super::{App, json, status};
use crate::ports::Deadline;
use crate::run::chain;
use crate::run::state::{Resource, RunDocument, Status};
use crate::run::store::{Saved, Stored};

/// How long the answer waits for the holder of the lease: within what platforms allow a request.
const PATIENCE: Duration = Duration::from_secs(22);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(400);
/// Tries against a window that saves at the same time.
const ATTEMPTS: usize = 10;

pub(super) async fn stop(app: &Rc<App>, resource: Resource) -> Result<Response<Bytes>, Problem> {
    let (code, run) = stop_run(app, resource).await?;
    // the others of its plan may have waited for it
    chain::advance_plan(app).await;
    Ok(json(code, &run))
}

/// Stops the run of a resource: 200 where nothing is sent any more, 202 where its last invocation may still be alive.
pub(super) async fn stop_run(
    app: &App,
    resource: Resource,
) -> Result<(StatusCode, Value), Problem> {
    let deadline = Deadline::after(&*app.ports.clock, PATIENCE);
    let mut stored = clear_cursor(app, resource, deadline).await?;
    app.log(&json_value!({
        "event": "run_stopped",
        "resource": resource.name(),
        "runId": stored.document.run_id,
    }));
    while is_held(app, &stored.document) && deadline.remaining(&*app.ports.clock) > LOOK {
        app.ports.clock.sleep(LOOK).await;
        match app.store().load(resource, deadline).await {
            Ok(Some(found)) if found.document.run_id == stored.document.run_id => stored = found,
            // another run has begun, which it could not while this one was held
            Ok(_) => {
                stored.document.lease = None;
                break;
            }
            // it has been stopped all the same; whether its holder knows that shows at the next look
            Err(_) => {}
        }
    }
    let code = if is_held(app, &stored.document) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    Ok((
        code,
        status::document(app, resource, Some(&stored.document)),
    ))
}

async fn clear_cursor(
    app: &App,
    resource: Resource,
    deadline: Deadline,
) -> Result<Stored, Problem> {
    for _ in 0..ATTEMPTS {
        let mut stored = match app.store().load(resource, deadline).await? {
            Some(stored) if stored.document.is_going_on() => stored,
            _ => {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "Not running")
                    .detail(format!("No import of {resource} is going on")));
            }
        };
        stored
            .document
            .end(Status::Stopped, app.commercetools.server_now());
        if app.store().save(&mut stored, deadline).await? == Saved::Done {
            return Ok(stored);
        }
    }
    Err(Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The run document is being written by others all the time",
    )
    .detail("Nothing has been stopped. Try again")
    .retry_after(1))
}

fn is_held(app: &App, document: &RunDocument) -> bool {
    document
        .lease
        .as_ref()
        .is_some_and(|lease| lease.is_live(app.commercetools.server_now()))
}
