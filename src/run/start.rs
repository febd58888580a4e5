//! How a run begins: a new one, one of the records that failed, or one that is taken up again.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;

use super::engine::Engine;
use super::identity::{new_holder, new_id};
use super::log::LogEvent;
use super::state::{Cursor, Failures, Lease, Resource, RunDocument, RunOptions, Status};
use super::store::{Saved, Stored};
use crate::config::Continuation;
use crate::error::Error;
use crate::time::Deadline;

/// How long it may take to write a run down.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// How much earlier than the last run's start "lastRun" is: queries show a change a little after it was made
/// (<https://docs.commercetools.com/api/general-concepts#eventual-consistency>), and what arrives twice is harmless.
const OVERLAP: Duration = Duration::from_secs(60);

/// Since when changes are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Since the start of the last run that brought Klaviyo up to date.
    LastRun,
    /// Since a moment.
    Moment(Timestamp),
}

/// [`Since::LastRun`] as it is written.
const LAST_RUN: &str = "lastRun";

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            _ if text == LAST_RUN => Ok(Self::LastRun),
            Ok(moment) => Ok(Self::Moment(moment)),
            Err(_) => Err(D::Error::custom(
                "since: must be \"lastRun\" or a time such as 2026-07-15T00:00:00Z",
            )),
        }
    }
}

impl Serialize for Since {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LastRun => serializer.serialize_str(LAST_RUN),
            Self::Moment(moment) => moment.serialize(serializer),
        }
    }
}

/// What a start asks for.
#[derive(Debug, Clone, Default)]
pub struct StartRequest {
    /// What the run is started with, as far as it does not depend on earlier runs.
    pub options: RunOptions,
    /// Only changes.
    pub since: Option<Since>,
    /// Only what failed in the last run.
    pub retry_failed: bool,
    /// The plan that starts the run, with the run's id in it.
    pub plan: Option<PlannedRun>,
}

/// A run of a plan. It is started without a lease and then claimed like any other: claiming looks at the plan.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// The plan.
    pub plan_id: String,
    /// What the plan calls the run: started twice, it is one run.
    pub run_id: String,
}

/// A run that has begun.
#[derive(Debug)]
pub struct Launched {
    /// Its document, as it is stored.
    pub stored: Stored,
    /// When the launch began, on the monotonic clock: a lease in the document is measured from there.
    pub begun: Duration,
    /// Failed records that [`StartRequest::retry_failed`] could not name.
    pub unnamed: u64,
}

/// Why no run has begun.
#[derive(Debug)]
pub enum NotStarted {
    /// There is one already, or its last invocation may still be sending.
    Locked(Box<RunDocument>),
    /// Another start was faster, and its run is over already.
    Outrun,
    /// Changes since the last run are asked for, and no run has brought Klaviyo up to date yet.
    NoLastRun,
    /// What failed is asked for again, and the last report names no record that failed.
    NothingFailed {
        /// Failed records that the report could not name.
        unnamed: u64,
    },
    /// There is no run that could be taken up.
    NothingToResume,
    /// A run is to be taken up that is going on.
    GoingOn(Box<RunDocument>),
    /// An API did not do its part.
    Api(Error),
}

impl From<Error> for NotStarted {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

/// Since when changes are to be read, and which records, as far as earlier runs decide it.
fn resolve(
    request: &StartRequest,
    known: Option<&RunDocument>,
) -> Result<(RunOptions, u64), NotStarted> {
    let mut options = request.options.clone();
    options.since = match request.since {
        None => None,
        Some(Since::Moment(moment)) => Some(moment),
        Some(Since::LastRun) => {
            let last = known
                .and_then(|known| known.up_to_date_since)
                .ok_or(NotStarted::NoLastRun)?;
            Some(last.checked_sub(OVERLAP).unwrap_or(last))
        }
    };
    if !request.retry_failed {
        return Ok((options, 0));
    }
    let Failures { ids, unnamed } = known.map(RunDocument::failures).unwrap_or_default();
    if ids.is_empty() {
        return Err(NotStarted::NothingFailed { unnamed });
    }
    options.ids = Some(ids);
    Ok((options, unnamed))
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

/// Makes the document of a run, with the version that it is stored over and the failed records that it cannot name.
async fn prepare(
    engine: &Engine,
    resource: Resource,
    request: &StartRequest,
    deadline: Deadline,
) -> Result<(Stored, u64), NotStarted> {
    let known = engine.store.load(resource, deadline).await?;
    if let Some(known) = known
        .as_ref()
        .filter(|known| known.document.is_locked(engine.now()))
    {
        return Err(NotStarted::Locked(Box::new(known.document.clone())));
    }
    let (options, unnamed) = resolve(request, known.as_ref().map(|known| &known.document))?;
    let now = engine.now();
    let run_id = request
        .plan
        .as_ref()
        .map_or_else(|| new_id(now), |plan| plan.run_id.clone());
    let mut document = RunDocument::start(resource, run_id, options, Cursor::default(), now);
    let import = engine.import(&document);
    // before anything is written: that the records may be read at all
    document.total = Some(import.total(&document.options, deadline).await?);
    for (note, count) in import.unread_notes(&document.options, deadline).await? {
        document.counts.note(note, count);
    }
    document.cursor = Some(Cursor::start(
        &document.options,
        import.phase(),
        engine.config.id_ranges,
    ));
    document.plan = request.plan.as_ref().map(|plan| plan.plan_id.clone());
    let version = known.as_ref().map_or(0, |known| known.version);
    if let Some(known) = known {
        document.inherit_from(known.document);
    }
    Ok((Stored::new(document, version), unnamed))
}

/// Writes down a new run. In `self` mode its document has a lease of the caller, who has to work the first window or
/// hand the lease back; a run of a plan has none.
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
    let (mut stored, unnamed) = prepare(engine, resource, request, deadline).await?;
    if request.plan.is_none() {
        claim_if_self(engine, &mut stored.document);
    }
    let stored = save(engine, stored, deadline).await?;
    log(engine, LogEvent::RunStarted, &stored.document);
    Ok(Launched {
        stored,
        begun,
        unnamed,
    })
}

/// Takes up a run that has failed, from its cursor.
///
/// # Errors
/// If there is none, and if commercetools does not respond or (still) rejects the request. Then the run stays failed.
pub async fn resume(engine: &Engine, resource: Resource) -> Result<Launched, NotStarted> {
    let begun = engine.monotonic();
    let deadline = engine.deadline(TIMEOUT);
    let mut stored = match engine.store.load(resource, deadline).await? {
        Some(stored) if stored.document.is_going_on() => stored,
        _ => return Err(NotStarted::NothingToResume),
    };
    if stored.document.status != Status::Failed {
        return Err(NotStarted::GoingOn(Box::new(stored.document)));
    }
    let import = engine.import(&stored.document);
    // the cause of the failure may still exist: the caller learns it at once, not after the first window
    import.total(&stored.document.options, deadline).await?;
    stored.document.resume();
    claim_if_self(engine, &mut stored.document);
    let stored = save(engine, stored, deadline).await?;
    log(engine, LogEvent::RunResumed, &stored.document);
    Ok(Launched {
        stored,
        begun,
        unnamed: 0,
    })
}

async fn save(
    engine: &Engine,
    mut stored: Stored,
    deadline: Deadline,
) -> Result<Stored, NotStarted> {
    if engine.store.save(&mut stored, deadline).await? == Saved::Done {
        return Ok(stored);
    }
    let winner = engine
        .store
        .load(stored.document.resource, deadline)
        .await?;
    Err(winner.map_or(NotStarted::Outrun, |winner| {
        NotStarted::Locked(Box::new(winner.document))
    }))
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
