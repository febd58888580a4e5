//! Stopping: a run by clearing its cursor, the plan with all its runs, or everything that runs.
//!
//! The invocation that holds the lease finds that out at its next save, waits for the calls that it has under way and
//! gives the lease back. A stop waits for that, so that nothing is sent any more once it is over; where the holder does
//! not react (it was killed), the stop says so. A second stop waits as the first one does.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::destination::{self, OtherDestination, Standing};
use super::engine::Engine;
use super::log::LogEvent;
use super::plan::{self, Plan, advance};
use super::state::{Resource, RunDocument, Status};
use super::store::{Persisted, Saved};
use crate::error::Error;
use crate::time::Deadline;

/// How long a stop waits for the holder of the lease: within what platforms allow a request.
const PATIENCE: Duration = Duration::from_secs(22);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(400);
/// Tries against others who write at the same time.
const ATTEMPTS: usize = 10;
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
    /// The document names another Klaviyo account.
    OtherDestination(OtherDestination),
    /// An API did not do its part.
    Api(Error),
}

impl From<Error> for NotStopped {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

/// Everything that has been stopped.
#[derive(Debug)]
pub struct Stopped {
    /// The plan, with its runs as they were seen last; `None` where none is stopped.
    pub plan: Option<Plan>,
    /// What became of the runs that were going on, or whose last invocation may still have been sending.
    pub runs: Vec<(Resource, Result<StoppedRun, NotStopped>)>,
}

/// What a stop finds.
enum Ended<D> {
    /// It is ended with this write.
    Now(D),
    /// There was nothing to end: the document as it stands.
    Before(Option<D>),
}

/// Stops the run of a resource. One that has been stopped is waited for once more.
///
/// # Errors
/// If there is none, and if commercetools does not respond or rejects the request.
pub async fn stop_run(engine: &Engine, resource: Resource) -> Result<StoppedRun, NotStopped> {
    let deadline = engine.deadline(PATIENCE);
    let document = match end_run(engine, resource, |_| true, deadline).await? {
        Ended::Now(run) => run,
        Ended::Before(Some(run)) if run.status == Status::Stopped || run.is_held(engine.now()) => {
            run
        }
        Ended::Before(_) => return Err(NotStopped::NotRunning),
    };
    Ok(wait_for_holder(engine, document, deadline).await)
}

/// Stops everything that runs: the plan, so that no run of it begins and none of its windows is claimed any more, its runs,
/// and those that were started alone. A run that has failed keeps its cursor, unless it is the plan's.
///
/// # Errors
/// Where nothing runs, and where it cannot be found out whether a plan does. What became of the runs is told of each.
pub async fn stop_all(engine: &Engine) -> Result<Stopped, NotStopped> {
    let deadline = engine.deadline(PATIENCE);
    let ended = end(engine, plan::KEY, deadline, |plan: &mut Plan| {
        plan.stop(engine.now())
    })
    .await;
    let plan = match &ended {
        Ok(Ended::Now(plan)) => {
            advance::log(engine, LogEvent::PlanStopped, plan);
            Some(plan)
        }
        Ok(Ended::Before(plan)) => plan.as_ref().filter(|plan| plan.status == Status::Stopped),
        Err(_) => None,
    };
    // what keeps the plan from being stopped keeps none of the runs going
    let is_of_plan =
        |run: &RunDocument| plan.is_some_and(|plan| run.run_id == plan.run_id(run.resource));
    let is_meant = |run: &RunDocument| run.is_running() || is_of_plan(run);
    let stops = Resource::ALL.map(async |resource| {
        let document = match end_run(engine, resource, is_meant, deadline).await {
            Ok(Ended::Now(run)) => run,
            Ok(Ended::Before(Some(run))) if run.is_held(engine.now()) => run,
            Ok(Ended::Before(_)) => return None,
            Err(reason) => return Some((resource, Err(reason))),
        };
        Some((
            resource,
            Ok(wait_for_holder(engine, document, deadline).await),
        ))
    });
    let runs: Vec<_> = join_all(stops).await.into_iter().flatten().collect();
    let mut plan = plan.cloned();
    ended?;
    if plan.is_none() && runs.is_empty() {
        return Err(NotStopped::NotRunning);
    }
    if let Some(plan) = plan
        .as_mut()
        .filter(|_| runs.iter().all(|(_, run)| run.is_ok()))
    {
        // it has been stopped, whether or not that can be shown
        _ = advance::observe(engine, plan, engine.deadline(OBSERVE_TIMEOUT)).await;
    }
    Ok(Stopped { plan, runs })
}

/// Clears the cursor of a run that is going on and is meant.
async fn end_run(
    engine: &Engine,
    resource: Resource,
    is_meant: impl Fn(&RunDocument) -> bool,
    deadline: Deadline,
) -> Result<Ended<RunDocument>, NotStopped> {
    let ended = end(
        engine,
        resource.name(),
        deadline,
        |run: &mut RunDocument| {
            let is_ended = run.is_going_on() && is_meant(run);
            if is_ended {
                run.end(Status::Stopped, engine.now());
            }
            is_ended
        },
    );
    let ended = ended.await?;
    if let Ended::Now(run) = &ended {
        let members = json!({"resource": resource.name(), "runId": run.run_id});
        engine.log(LogEvent::RunStopped, &members);
    }
    Ok(ended)
}

/// Reads the document with this key, changes it and writes it, again and again where others write at the same time.
/// `change` says whether there is anything to end.
async fn end<D: Persisted>(
    engine: &Engine,
    key: &str,
    deadline: Deadline,
    mut change: impl FnMut(&mut D) -> bool,
) -> Result<Ended<D>, NotStopped> {
    for _ in 0..ATTEMPTS {
        let Some(mut stored) = engine.store.load_key::<D>(key, deadline).await? else {
            return Ok(Ended::Before(None));
        };
        if !change(&mut stored.document) {
            return Ok(Ended::Before(Some(stored.document)));
        }
        // where Klaviyo does not tell whose the document is, it is stopped: that can be made good
        let named = stored.document.destination();
        if !destination::is_surely_ours(engine, named)
            && let Ok(Standing::Other(other)) = destination::compare(engine, named, deadline).await
        {
            return Err(NotStopped::OtherDestination(other));
        }
        if engine.store.save(&mut stored, deadline).await? == Saved::Done {
            return Ok(Ended::Now(stored.document));
        }
    }
    Err(NotStopped::Contended)
}

/// Waits until the invocation that holds the lease has given it back, as long as there is time.
async fn wait_for_holder(
    engine: &Engine,
    mut document: RunDocument,
    deadline: Deadline,
) -> StoppedRun {
    while document.is_held(engine.now()) && engine.remaining(deadline) > LOOK {
        engine.ports.clock.sleep(LOOK).await;
        match engine.store.load(document.resource, deadline).await {
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
    StoppedRun {
        may_be_sending: document.is_held(engine.now()),
        document,
    }
}
