//! Stopping: a run by clearing its cursor, a plan with all its runs.
//!
//! The invocation that holds the lease finds that out at its next save, waits for the calls that it has under way and
//! gives the lease back. A stop waits for that, so that nothing is sent any more once it is over; where the holder does
//! not react (it was killed), the stop says so.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::engine::Engine;
use super::log::LogEvent;
use super::plan::{self, Plan, advance};
use super::state::{Resource, RunDocument, Status};
use super::store::Updated;
use crate::error::Error;

/// How long a stop waits for the holder of the lease: within what platforms allow a request.
const PATIENCE: Duration = Duration::from_secs(22);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(400);
/// How long the stop of a plan may take to be written down.
const PLAN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to look how the runs of a stopped plan stand.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(3);

/// A run that has been stopped.
#[derive(Debug)]
pub struct StoppedRun {
    /// Its document as it was seen last.
    pub document: RunDocument,
    /// Whether its last invocation may still be sending.
    pub may_be_sending: bool,
}

/// Why nothing has been stopped.
#[derive(Debug)]
pub enum NotStopped {
    /// Nothing is going on.
    NotRunning,
    /// The document was written by others each time.
    Contended,
    /// An API did not do its part.
    Api(Error),
}

impl From<Error> for NotStopped {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

/// A plan that has been stopped.
#[derive(Debug)]
pub struct StoppedPlan {
    /// Its document, with its runs as they were seen last.
    pub plan: Plan,
    /// What became of those of its runs that were going on.
    pub runs: Vec<(Resource, Result<StoppedRun, NotStopped>)>,
}

/// Stops the run of a resource.
///
/// # Errors
/// If there is none, and if commercetools does not respond or rejects the request.
pub async fn stop_run(engine: &Engine, resource: Resource) -> Result<StoppedRun, NotStopped> {
    let deadline = engine.deadline(PATIENCE);
    let cleared = engine
        .store
        .update(resource.name(), deadline, |run: &mut RunDocument| {
            let is_going_on = run.is_going_on();
            if is_going_on {
                run.end(Status::Stopped, engine.now());
            }
            is_going_on
        })
        .await?;
    let mut document = match cleared {
        Updated::Done(stored) => stored.document,
        Updated::Refused(_) => return Err(NotStopped::NotRunning),
        Updated::Contended => return Err(NotStopped::Contended),
    };
    let members = json!({"resource": resource.name(), "runId": document.run_id});
    engine.log(LogEvent::RunStopped, &members);
    while document.is_held(engine.now()) && engine.remaining(deadline) > LOOK {
        engine.ports.clock.sleep(LOOK).await;
        match engine.store.load(resource, deadline).await {
            Ok(Some(found)) if found.document.run_id == document.run_id => {
                document = found.document;
            }
            // another run has begun, which it could not while this one was held
            Ok(_) => {
                document.lease = None;
                break;
            }
            // it has been stopped all the same; whether its holder knows that shows at the next look
            Err(_) => {}
        }
    }
    Ok(StoppedRun {
        may_be_sending: document.is_held(engine.now()),
        document,
    })
}

/// Stops the plan: after this no run of it begins and none of its windows is claimed. Then stops its runs.
///
/// # Errors
/// Where no plan is going on, and where commercetools does not answer or refuses. What became of the runs is told of
/// each.
pub async fn stop_plan(engine: &Engine) -> Result<StoppedPlan, NotStopped> {
    let deadline = engine.deadline(PLAN_TIMEOUT);
    let ended = engine
        .store
        .update(plan::KEY, deadline, |plan: &mut Plan| {
            plan.stop(engine.now())
        })
        .await?;
    let mut plan = match ended {
        Updated::Done(stored) => stored.document,
        Updated::Refused(_) => return Err(NotStopped::NotRunning),
        Updated::Contended => return Err(NotStopped::Contended),
    };
    advance::log(engine, LogEvent::PlanStopped, &plan);
    let stops = plan.steps.iter().map(async |step| {
        let run_id = plan.run_id(step.resource);
        let found = match engine.store.load(step.resource, deadline).await {
            Ok(found) => found.map(|found| found.document),
            Err(error) => return Some((step.resource, Err(error.into()))),
        };
        match found {
            Some(run) if run.run_id == run_id && run.is_going_on() => {
                Some((step.resource, stop_run(engine, step.resource).await))
            }
            _ => None,
        }
    });
    let runs: Vec<_> = join_all(stops).await.into_iter().flatten().collect();
    if runs.iter().all(|(_, run)| run.is_ok()) {
        // it has been stopped, whether or not that can be shown
        _ = advance::observe(engine, &mut plan, engine.deadline(OBSERVE_TIMEOUT)).await;
    }
    Ok(StoppedPlan { plan, runs })
}
