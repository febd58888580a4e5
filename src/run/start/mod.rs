//! How a run begins: a new one, one of the records that failed, or one that is taken up again.
//!
//! - `earlier`: what is stored of earlier runs, and whether another may begin over it.
//! - `failed_records`: what is chosen to be sent again.
//! - `request`: what a start asks for. `not_started`: why no run has begun.

mod earlier;
mod failed_records;
mod not_started;
mod request;

use std::time::Duration;

use futures_util::future::{join, try_join};
use jiff::Timestamp;
use serde_json::json;

pub use self::failed_records::{Dismissed, MAX_IDS, Retried, dismiss};
pub use self::not_started::NotStarted;
pub use self::request::{PlannedRun, Since, StartRequest};

use self::earlier::{Earlier, excluded_by};
use super::destination::{self, Standing};
use super::engine::Engine;
use super::identity::{new_holder, new_id};
use super::log::LogEvent;
use super::state::{Cursor, Lease, Note, Resource, RunDocument, RunOptions, Status};
use super::store::{Saved, Stored};
use super::window::opening::Opening;
use crate::commercetools::query::MAX_COUNTED;
use crate::config::Continuation;
use crate::error::Error;
use crate::time::Deadline;

/// How long it may take to write a run down.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// How much earlier than the last run's start "lastRun" is: queries show a change a little after it was made
/// (<https://docs.commercetools.com/api/general-concepts#eventual-consistency>), which takes seconds as a rule, and what
/// arrives twice is harmless.
const OVERLAP: Duration = Duration::from_secs(60);

/// A run that has begun.
#[derive(Debug)]
pub struct Launched {
    /// Its document, as it is stored.
    pub stored: Stored,
    /// When the launch began, on the monotonic clock: a lease in the document is measured from there.
    pub begun: Duration,
    /// What the first window reads with, where the lease in the document is the caller's, who has to work it.
    pub opening: Option<Opening>,
    /// What [`StartRequest::retry_failed`] has chosen.
    pub retried: Option<Retried>,
}

/// The time from which on changes are read, where everything modified before `last` is known to be in Klaviyo.
#[must_use]
pub fn overlapped(last: Timestamp) -> Timestamp {
    last.checked_sub(OVERLAP).unwrap_or(last)
}

/// Since when changes are to be read, as far as earlier runs decide it.
fn resolve(request: &StartRequest, known: Option<&RunDocument>) -> Result<RunOptions, NotStarted> {
    let mut options = request.options.clone();
    options.since = match request.since {
        None => None,
        Some(Since::Moment(moment)) => Some(moment),
        Some(Since::LastRun) => {
            let last = known
                .and_then(|known| known.up_to_date_since)
                .ok_or(NotStarted::NoLastRun)?;
            Some(overlapped(last))
        }
    };
    Ok(options)
}

/// Looks whether [`launch`] would begin a run; nothing is written.
///
/// # Errors
/// As [`launch`].
pub async fn rehearse(
    engine: &Engine,
    resource: Resource,
    request: &StartRequest,
    deadline: Deadline,
) -> Result<(), NotStarted> {
    prepare(engine, resource, request, deadline)
        .await
        .map(|_| ())
}

/// How many records a run will read, and what is to be said of those that it will not.
async fn count(
    engine: &Engine,
    resource: Resource,
    options: &RunOptions,
    deadline: Deadline,
) -> Result<(u64, Vec<(Note, u64)>), Error> {
    let import = engine.import(&asked_for(engine, resource, options));
    let total = import.total(options, deadline);
    try_join(total, import.unread_notes(options, deadline)).await
}

/// Makes the document of a run, with the version that it is stored over, and with what a retry has chosen.
async fn prepare(
    engine: &Engine,
    resource: Resource,
    request: &StartRequest,
    deadline: Deadline,
) -> Result<(Stored, Option<Retried>), NotStarted> {
    let earlier = Earlier::load(engine, resource, request, deadline);
    // each round of requests is time before the first record is sent
    let (earlier, counted) = match request.depends_on_earlier() {
        true => (earlier.await, None),
        false => {
            let options = resolve(request, None)?;
            let counted = count(engine, resource, &options, deadline);
            let (earlier, counted) = join(earlier, counted).await;
            (earlier, Some(counted))
        }
    };
    let Earlier {
        known,
        failed,
        destination,
        is_adopted,
    } = earlier?;
    // what is known of another account says nothing of this one
    let earlier = known.as_ref().map(|known| &known.document);
    let earlier = earlier.filter(|_| !is_adopted);
    let mut options = resolve(request, earlier)?;
    let mut retried = None;
    if request.retry_failed {
        let chosen = failed_records::choose(failed.clone(), earlier, &mut options);
        if chosen.records == 0 {
            let unnamed = chosen.unnamed;
            return Err(NotStarted::NothingFailed { unnamed });
        }
        retried = Some(chosen);
    }
    let now = engine.now();
    let run_id = request
        .plan
        .as_ref()
        .map_or_else(|| new_id(now), |plan| plan.run_id.clone());
    let counted = match counted {
        Some(counted) => counted,
        None => count(engine, resource, &options, deadline).await,
    };
    // before anything is written: that the records may be read at all
    let (total, notes) = counted?;
    let mut document = RunDocument::start(resource, run_id, options, Cursor::default(), now);
    let import = engine.import(&document);
    document.total = Some(total);
    let has_predicate = document.options.since.is_some() || document.options.start_id.is_some();
    document.total_is_at_least =
        has_predicate && total >= MAX_COUNTED && document.options.ids.is_none();
    for (note, count) in notes {
        document.counts.note(note, count);
    }
    document.cursor = Some(Cursor {
        ranges: import.ranges(&document, engine.config.id_ranges),
        phase: import.phase(),
        ..Cursor::default()
    });
    document.plan = request.plan.as_ref().map(|plan| plan.plan_id.clone());
    document.destination = destination;
    let mut stored = Stored::over(known.as_ref(), document);
    if let Some(mut known) = known {
        if is_adopted {
            known.document.give_away(now);
        }
        stored.document.inherit_from(known.document);
    }
    if let Some(failed) = failed {
        // the run before may have been cut off between storing these and counting them
        stored.document.remembered_failures = failed.document.count();
    }
    Ok((stored, retried))
}

/// Writes down a new run. In `self` mode its document has a lease of the caller, who has to work the first window; a run
/// of a plan has none.
///
/// # Errors
/// If there is a run already, if what is requested does not exist, and if commercetools does not respond or rejects the
/// request. Then nothing is stored.
pub async fn launch(
    engine: &Engine,
    resource: Resource,
    request: &StartRequest,
) -> Result<Launched, NotStarted> {
    let begun = engine.monotonic();
    let deadline = engine.deadline(TIMEOUT);
    let mut early = open_early(engine, resource, request, begun);
    let prepared = prepare(engine, resource, request, deadline);
    let prepared = match &mut early {
        Some(opening) => opening.beside(prepared).await,
        None => prepared.await,
    };
    let (mut stored, retried) = prepared?;
    if request.plan.is_none() {
        claim_if_self(engine, &mut stored.document);
    }
    let mut launched = Launched {
        opening: open(engine, &stored.document, early),
        stored,
        begun,
        retried,
    };
    if let Some(opening) = &mut launched.opening {
        opening.read_ahead(engine, &launched.stored.document, begun);
    }
    if let Some(winner) = launched.save(engine, deadline).await? {
        // no other start gives a run this name: it has begun, and others have gone on with it. A plan's runs are begun
        // by whoever comes first
        let is_ours = winner.document.run_id == launched.stored.document.run_id;
        if !is_ours || request.plan.is_some() {
            return Err(NotStarted::Locked(Box::new(winner.document)));
        }
        launched.take_over(engine, winner, deadline).await;
    }
    log(engine, LogEvent::RunStarted, &launched.stored.document);
    Ok(launched)
}

/// Takes up a run that has failed, from its cursor. With `adopt` also one that names another Klaviyo account, even where
/// it has not failed: nobody else goes on with it. With `confirm_removal` it may remove so many entries.
///
/// # Errors
/// If there is none, and if commercetools does not respond or (still) rejects the request. Then the run stays failed.
pub async fn resume(
    engine: &Engine,
    resource: Resource,
    adopt: bool,
    confirm_removal: Option<u64>,
) -> Result<Launched, NotStarted> {
    let begun = engine.monotonic();
    let deadline = engine.deadline(TIMEOUT);
    let mut stored = match engine.store.load(resource, deadline).await? {
        Some(stored) if stored.document.is_going_on() => stored,
        _ => return Err(NotStarted::NothingToResume),
    };
    let deletes = stored.document.options.delete_all;
    if let Some(other) = excluded_by(engine, resource, deletes, deadline).await? {
        return Err(NotStarted::Locked(Box::new(other)));
    }
    let named = stored.document.destination.as_ref();
    let adopted = match destination::compare_at_start(engine, named, deadline).await? {
        Standing::Ours(destination) => {
            stored.document.destination = destination;
            None
        }
        Standing::Other(other) if !adopt => return Err(NotStarted::OtherDestination(other)),
        Standing::Other(_) => Some(destination::adopt(engine, deadline).await?),
    };
    let is_free = adopted.is_some() && !stored.document.is_held(engine.now());
    if stored.document.status != Status::Failed && !is_free {
        return Err(NotStarted::GoingOn(Box::new(stored.document)));
    }
    let import = engine.import(&stored.document);
    // the cause of the failure may still exist: the caller learns it at once, not after the first window
    import.total(&stored.document.options, deadline).await?;
    stored.document.resume();
    if let Some(removal) = &mut stored.document.removal {
        removal.confirmed = confirm_removal.or(removal.confirmed);
    }
    if let Some(destination) = adopted {
        stored.document.adopt(destination);
    }
    claim_if_self(engine, &mut stored.document);
    let mut launched = Launched {
        opening: open(engine, &stored.document, None),
        stored,
        begun,
        retried: None,
    };
    if let Some(winner) = launched.save(engine, deadline).await? {
        if !launched.has_lease_in(&winner.document) {
            return Err(NotStarted::Locked(Box::new(winner.document)));
        }
        launched.take_over(engine, winner, deadline).await;
    }
    log(engine, LogEvent::RunResumed, &launched.stored.document);
    Ok(launched)
}

/// What the caller's window reads with, if the lease is the caller's.
fn open(engine: &Engine, document: &RunDocument, early: Option<Opening>) -> Option<Opening> {
    let lease = document.lease.as_ref();
    lease.map(|_| Opening::of(engine, document, early))
}

/// What the caller's window reads with, if it is known what that is before it is whether the run may begin.
fn open_early(
    engine: &Engine,
    resource: Resource,
    request: &StartRequest,
    begun: Duration,
) -> Option<Opening> {
    let is_ours = engine.config.continuation == Continuation::SelfCall && request.plan.is_none();
    if !is_ours || request.depends_on_earlier() {
        return None;
    }
    let run = asked_for(engine, resource, &resolve(request, None).ok()?);
    Opening::early(engine, &run, begun)
}

/// A run with these options, as far as it is known before it is prepared.
fn asked_for(engine: &Engine, resource: Resource, options: &RunOptions) -> RunDocument {
    let (options, now) = (options.clone(), engine.now());
    RunDocument::start(resource, String::new(), options, Cursor::default(), now)
}

impl Launched {
    /// Writes the document; gives the one that others have written instead.
    async fn save(
        &mut self,
        engine: &Engine,
        deadline: Deadline,
    ) -> Result<Option<Stored>, NotStarted> {
        let saved = engine.store.save(&mut self.stored, deadline);
        let saved = match &mut self.opening {
            Some(opening) => opening.beside(saved).await,
            None => saved.await,
        };
        if saved? == Saved::Done {
            return Ok(None);
        }
        // nobody goes on with what is under way: its answers would lie unread while something else is waited for
        self.opening = None;
        let resource = self.stored.document.resource;
        let winner = engine.store.load(resource, deadline).await?;
        winner.map(Some).ok_or(NotStarted::Outrun)
    }

    fn has_lease_in(&self, document: &RunDocument) -> bool {
        let own = self.stored.document.holder();
        own.is_some() && document.holder() == own
    }

    /// The run has begun, although its write was refused as its copy had taken effect, and others have written since.
    /// Where that was a stop, it waits for the lease.
    async fn take_over(&mut self, engine: &Engine, mut found: Stored, deadline: Deadline) {
        if self.has_lease_in(&found.document) {
            if found.document.is_running() {
                self.opening = open(engine, &found.document, None);
            } else {
                found.document.lease = None;
                // where that is not written, the lease runs out
                _ = engine.store.save(&mut found, deadline).await;
            }
        }
        self.stored = found;
    }
}

fn claim_if_self(engine: &Engine, document: &mut RunDocument) {
    if engine.config.continuation == Continuation::SelfCall {
        let now = engine.now();
        document.lease = Some(Lease::begin(new_holder(), now, engine.config.window));
        document.window += 1;
    }
}

/// Writes a log line about a run.
pub fn log(engine: &Engine, event: LogEvent, document: &RunDocument) {
    engine.log(
        event,
        &json!({
            "resource": document.resource.name(),
            "runId": document.run_id,
            "plan": document.plan,
            "records": document.total,
        }),
    );
}
