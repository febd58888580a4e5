//! What is stored of earlier runs, and whether another may begin over it.

use futures_util::future::try_join3;

use super::not_started::NotStarted;
use super::request::StartRequest;
use crate::error::Error;
use crate::run::destination::{self, Standing};
use crate::run::engine::Engine;
use crate::run::state::{Destination, FailedRecords, Resource, RunDocument};
use crate::run::store::Stored;
use crate::time::Deadline;

/// Whose the document of a run is.
struct Owner {
    /// The account that the run is to feed.
    destination: Option<Destination>,
    /// Whether the document names another.
    is_adopted: bool,
}

/// Looks whether a run may begin over what is known of the one before it.
async fn owner(
    engine: &Engine,
    known: Option<&Stored>,
    request: &StartRequest,
    deadline: Deadline,
) -> Result<Owner, NotStarted> {
    let known = known.map(|known| &known.document);
    let of_plan = request
        .plan
        .as_ref()
        .and_then(|plan| plan.destination.as_ref());
    // a run of a plan that is this app's needs no question of its own
    let named = known
        .and_then(|known| known.destination.as_ref())
        .or(of_plan);
    let now = engine.now();
    let locked = known.filter(|known| known.is_locked(now));
    let lock = |known: &RunDocument| Err(NotStarted::Locked(Box::new(known.clone())));
    if let Some(known) = locked.filter(|_| destination::is_surely_ours(engine, named)) {
        return lock(known);
    }
    match destination::compare_at_start(engine, named, deadline).await? {
        Standing::Ours(destination) => match locked {
            Some(known) => lock(known),
            None => Ok(Owner {
                destination,
                is_adopted: false,
            }),
        },
        Standing::Other(other) if !request.adopt => Err(NotStarted::OtherDestination(other)),
        // its last invocation may still be sending
        Standing::Other(_) => match locked.filter(|known| known.is_held(now)) {
            Some(known) => lock(known),
            None => Ok(Owner {
                destination: Some(destination::adopt(engine, deadline).await?),
                is_adopted: true,
            }),
        },
    }
}

/// The run of another resource that this one must not go beside: a deletion of all categories would take away what an
/// import of products has just found.
pub(super) async fn excluded_by(
    engine: &Engine,
    resource: Resource,
    deletes: bool,
    deadline: Deadline,
) -> Result<Option<RunDocument>, Error> {
    let other = match (resource, deletes) {
        (Resource::Categories, true) => Resource::Products,
        (Resource::Products, false) => Resource::Categories,
        _ => return Ok(None),
    };
    let found = engine.store.load(other, deadline).await?;
    let found = found.map(|found| found.document);
    let now = engine.now();
    Ok(found.filter(|run| {
        let is_at_work = run.is_running() || run.is_held(now);
        is_at_work && run.options.delete_all != deletes
    }))
}

/// What is stored of earlier runs, and whose it is.
pub(super) struct Earlier {
    pub(super) known: Option<Stored>,
    pub(super) failed: Option<Stored<FailedRecords>>,
    pub(super) destination: Option<Destination>,
    pub(super) is_adopted: bool,
}

impl Earlier {
    /// # Errors
    /// If the run that is asked for must not begin over it, or beside another.
    pub(super) async fn load(
        engine: &Engine,
        resource: Resource,
        request: &StartRequest,
        deadline: Deadline,
    ) -> Result<Self, NotStarted> {
        let known = engine.store.load(resource, deadline);
        let other = excluded_by(engine, resource, request.options.delete_all, deadline);
        let failed = engine.store.load_failed_records(resource, deadline);
        let (known, other, failed) = try_join3(known, other, failed).await?;
        if let Some(other) = other {
            return Err(NotStarted::Locked(Box::new(other)));
        }
        let Owner {
            destination,
            is_adopted,
        } = owner(engine, known.as_ref(), request, deadline).await?;
        Ok(Self {
            known,
            failed,
            destination,
            is_adopted,
        })
    }
}
