//! Moving the plan on: what its runs say, and beginning those whose turn it is.

use serde_json::json;

use super::{KEY, Plan, StepState};
use crate::error::Error;
use crate::run::destination::{self, Standing};
use crate::run::engine::Engine;
use crate::run::log::LogEvent;
use crate::run::start;
use crate::run::state::{Resource, RunDocument, Status};
use crate::run::store::{Saved, Stored};
use crate::time::Deadline;

/// Tries against others who advance the plan at the same time.
const ATTEMPTS: usize = 5;

/// Reads the plan; `None` where there never was one.
///
/// # Errors
/// If commercetools does not respond, and if this version cannot read the document.
pub async fn load(engine: &Engine, deadline: Deadline) -> Result<Option<Stored<Plan>>, Error> {
    engine.store.load_key(KEY, deadline).await
}

/// Moves the plan on: begins the runs whose turn it is, and ends the plan after the last of them. `begun` is told of each
/// run as soon as it has begun, as nobody works on it yet: what comes after it may fail, or be cut off.
///
/// # Errors
/// If commercetools does not respond or rejects the request: the next advance finds the plan unchanged.
pub async fn advance(engine: &Engine, mut begun: impl FnMut(Resource)) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        let deadline = engine.deadline(start::TIMEOUT);
        let Some(mut stored) = load(engine, deadline).await? else {
            return Ok(());
        };
        if stored.document.status != Status::Running {
            return Ok(());
        }
        let before = stored.document.clone();
        let named = stored.document.destination.as_ref();
        match destination::compare(engine, named, deadline).await? {
            Standing::Ours(destination) => stored.document.destination = destination,
            Standing::Other(other) => {
                destination::log(engine, KEY, &stored.document.plan_id, &other);
                return Ok(());
            }
        }
        observe(engine, &mut stored.document, deadline).await?;
        let plan = &mut stored.document;
        for resource in plan.due() {
            match Box::pin(start::launch(engine, resource, &plan.request(resource))).await {
                Ok(_) => {
                    begun(resource);
                    plan.set_step(resource, StepState::Running, None);
                }
                Err(reason) => plan.not_started(resource, reason),
            }
        }
        plan.finish_if_over(engine.now());
        if *plan == before {
            return Ok(());
        }
        let is_over = plan.status != Status::Running;
        if engine.store.save(&mut stored, deadline).await? == Saved::Done {
            if is_over {
                log(engine, LogEvent::PlanFinished, &stored.document);
            }
            return Ok(());
        }
    }
    // others are moving it on
    Ok(())
}

/// Updates the plan with the status of all its runs.
///
/// # Errors
/// If commercetools does not respond or rejects the request.
pub async fn observe(engine: &Engine, plan: &mut Plan, deadline: Deadline) -> Result<(), Error> {
    let resources: Vec<Resource> = plan.steps.iter().map(|step| step.resource).collect();
    let store = &engine.store;
    let loads = resources
        .iter()
        .map(|&resource| store.load(resource, deadline));
    for (&resource, found) in resources
        .iter()
        .zip(futures_util::future::try_join_all(loads).await?)
    {
        plan.observe(resource, found.as_ref().map(|found| &found.document));
    }
    Ok(())
}

/// Whether a run belongs to a plan that has been stopped, perhaps with another begun since: it must not be worked on. A
/// plan that ends otherwise leaves no run that is going on, and a run that is resumed is none of a plan's.
///
/// # Errors
/// If commercetools does not respond or rejects the request.
pub async fn has_called_off(
    engine: &Engine,
    document: &RunDocument,
    deadline: Deadline,
) -> Result<bool, Error> {
    let Some(plan_id) = &document.plan else {
        return Ok(false);
    };
    let plan = load(engine, deadline).await?;
    Ok(plan.is_some_and(|plan| {
        plan.document.plan_id != *plan_id || plan.document.status == Status::Stopped
    }))
}

/// Writes a log line about a plan.
pub fn log(engine: &Engine, event: LogEvent, plan: &Plan) {
    let members = json!({"planId": plan.plan_id, "status": plan.status, "steps": plan.steps});
    engine.log(event, &members);
}
