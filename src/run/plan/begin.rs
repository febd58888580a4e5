//! How a plan begins.

use futures_util::future::join_all;

use super::advance::{load, log};
use super::{Plan, PlanOptions};
use crate::error::Error;
use crate::run::destination::{self, OtherDestination, Standing};
use crate::run::engine::Engine;
use crate::run::identity::new_id;
use crate::run::log::LogEvent;
use crate::run::start::{self, NotStarted, Since};
use crate::run::state::{Destination, Resource, Status};
use crate::run::store::{Saved, Stored};
use crate::time::Deadline;

/// Why no plan has begun.
#[derive(Debug)]
pub enum NotBegun {
    /// One is going on.
    Locked(Box<Plan>),
    /// Another start was faster, and what it began is gone already.
    Outrun,
    /// Its document names another Klaviyo account.
    OtherDestination(OtherDestination),
    /// The run of a resource could not begin.
    Run(Resource, NotStarted),
    /// An API did not do its part.
    Api(Error),
}

impl From<Error> for NotBegun {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

/// Writes down a plan. None of its runs has begun yet. Where changes since the last run are asked for, what cannot begin is
/// left out of it, with the reason: what can is not kept from it night after night.
///
/// # Errors
/// Where one is going on, where one of its runs could not begin (none of them, where changes are asked for), and where
/// commercetools does not answer or refuses. Nothing is left behind then.
pub async fn begin(
    engine: &Engine,
    resources: &[Resource],
    options: PlanOptions,
) -> Result<Stored<Plan>, NotBegun> {
    let deadline = engine.deadline(start::TIMEOUT);
    let known = load(engine, deadline).await?;
    let destination = owner(engine, known.as_ref(), options.adopt, deadline).await?;
    let now = engine.now();
    let mut document = Plan::start(new_id(now), resources, options, now);
    document.destination = destination;
    // before anything is written: that each of its runs could begin
    let rehearsals = document.steps.iter().map(async |step| {
        let request = document.request(step.resource);
        start::rehearse(engine, step.resource, &request, deadline)
            .await
            .map_err(|reason| (step.resource, reason))
    });
    let rehearsed = join_all(rehearsals).await;
    let may_leave_out = document.options.since == Some(Since::LastRun);
    let some_begin = rehearsed.iter().any(Result::is_ok);
    for (resource, reason) in rehearsed.into_iter().filter_map(Result::err) {
        if !may_leave_out || !some_begin {
            return Err(NotBegun::Run(resource, reason));
        }
        document.leave_out(resource, reason);
    }
    let mut stored = Stored::over(known.as_ref(), document);
    if engine.store.save(&mut stored, deadline).await? == Saved::Lost {
        let winner = load(engine, deadline).await?;
        return Err(winner.map_or(NotBegun::Outrun, |winner| {
            NotBegun::Locked(Box::new(winner.document))
        }));
    }
    log(engine, LogEvent::PlanStarted, &stored.document);
    Ok(stored)
}

/// The account that the plan is to feed, where it may begin over what is known of the one before it.
async fn owner(
    engine: &Engine,
    known: Option<&Stored<Plan>>,
    adopt: bool,
    deadline: Deadline,
) -> Result<Option<Destination>, NotBegun> {
    let known = known.map(|known| &known.document);
    let named = known.and_then(|known| known.destination.as_ref());
    let running = known.filter(|known| known.status == Status::Running);
    let lock = |plan: &Plan| Err(NotBegun::Locked(Box::new(plan.clone())));
    if let Some(plan) = running.filter(|_| destination::is_surely_ours(engine, named)) {
        return lock(plan);
    }
    match destination::compare_at_start(engine, named, deadline).await? {
        Standing::Ours(destination) => match running {
            Some(plan) => lock(plan),
            None => Ok(destination),
        },
        Standing::Other(other) if !adopt => Err(NotBegun::OtherDestination(other)),
        Standing::Other(_) => Ok(Some(destination::adopt(engine, deadline).await?)),
    }
}
