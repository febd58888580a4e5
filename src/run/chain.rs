//! From one window to the next: claiming the lease, working, and calling the next invocation.

use std::rc::Rc;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::destination::{self, OtherDestination, Standing};
use super::engine::Engine;
use super::identity::new_holder;
use super::log::LogEvent;
use super::plan::advance;
use super::self_call;
use super::start;
use super::state::{Lease, Resource, RunDocument, Status};
use super::store::{Saved, Stored};
use super::window::ending::log_window;
use super::window::opening::Opening;
use super::window::{self, End};
use crate::config::Continuation;
use crate::error::Error;
use crate::time::Deadline;

/// How long the next invocation may take to claim the lease and respond.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of the call to the next invocation; after that the scheduler's next `continue` picks the chain up.
const CALL_ATTEMPTS: u32 = 3;
/// The pause before the second try.
const CALL_PAUSE: Duration = Duration::from_millis(500);
/// Tries to claim a lease, against others who write at the same time.
const CLAIM_ATTEMPTS: usize = 3;
/// How long claiming may take.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may take whose response comes after the window: platforms allow 30 s
/// ("Quotas and limits" of Akamai Functions).
const REQUEST_TIME: Duration = Duration::from_secs(29);

/// The header in which a self-call names the invocation that it comes from: its lease may be taken over, as it has ended.
pub const PREDECESSOR: &str = "x-predecessor";

/// How a `continue` is meant.
#[derive(Debug, Clone, Default)]
pub struct Continuing {
    /// The window is worked after the answer, and waits where there is nothing to do yet: nobody else would wake the chain.
    pub is_self_call: bool,
    /// The invocation that this one goes on from, by its name in the lease: it has ended, whatever the lease says.
    pub predecessor: Option<String>,
}

/// The right to work a window.
#[derive(Debug)]
pub struct Claimed {
    /// The document with this invocation's lease in it.
    pub stored: Stored,
    /// When claiming began, on the monotonic clock: the lease is measured from there.
    pub begun: Duration,
    /// What the window reads with.
    pub opening: Opening,
}

/// What `continue` finds.
#[derive(Debug)]
pub enum Claim {
    /// The lease is this invocation's.
    Claimed(Box<Claimed>),
    /// Another invocation works.
    Busy(Lease),
    /// There is nothing to do before a timestamp.
    Waiting {
        /// The timestamp, in commercetools' time.
        until: Timestamp,
        /// What is waited for.
        what: String,
    },
    /// No run is going on.
    NotRunning,
    /// The run has failed, and a `continue` does not take it up.
    Failed,
    /// Another invocation was faster.
    Outrun,
    /// The run feeds another Klaviyo account: it is not this app's to go on with.
    OtherDestination(OtherDestination),
}

/// Claims the lease of a run that is going on, or of one that has failed for want of credentials or scopes that are there
/// now.
///
/// # Errors
/// If commercetools does not respond or rejects the request.
pub async fn claim(
    engine: &Engine,
    resource: Resource,
    continuing: &Continuing,
) -> Result<Claim, Error> {
    let begun = engine.monotonic();
    let deadline = engine.deadline(CLAIM_TIMEOUT);
    let mut claim = Claim::Outrun;
    for _ in 0..CLAIM_ATTEMPTS {
        // what was faster may have been the last save of the window before, which was taken for lost: nobody else goes on
        // with the run then
        claim = try_to_claim(engine, resource, continuing, begun, deadline).await?;
        if !matches!(claim, Claim::Outrun) {
            break;
        }
    }
    Ok(claim)
}

async fn try_to_claim(
    engine: &Engine,
    resource: Resource,
    continuing: &Continuing,
    begun: Duration,
    deadline: Deadline,
) -> Result<Claim, Error> {
    let store = &engine.store;
    let Some(mut stored) = store.load(resource, deadline).await? else {
        return Ok(Claim::NotRunning);
    };
    let now = engine.now();
    let document = &mut stored.document;
    let is_predecessor = |lease: &&Lease| continuing.predecessor.as_ref() == Some(&lease.holder);
    let live = document.lease.as_ref().filter(|lease| lease.is_live(now));
    let busy = live.filter(|lease| !is_predecessor(lease)).cloned();
    let is_wanted = document.is_running() || document.can_be_taken_up(now);
    if is_wanted && busy.is_none() {
        match destination::compare(engine, document.destination.as_ref(), deadline).await? {
            Standing::Ours(destination) => document.destination = destination,
            Standing::Other(other) => {
                destination::log(engine, resource.name(), &document.run_id, &other);
                return Ok(Claim::OtherDestination(other));
            }
        }
    }
    if document.can_be_taken_up(now) && is_mended(engine, document, deadline).await {
        document.take_up();
        start::log(engine, LogEvent::RunResumed, document);
    }
    if !document.is_running() {
        return Ok(match document.is_going_on() {
            true => Claim::Failed,
            false => Claim::NotRunning,
        });
    }
    if let Some(lease) = busy {
        return Ok(Claim::Busy(lease));
    }
    if advance::has_called_off(engine, document, deadline).await? {
        // the stop came between the start of this run and its first window
        document.end(Status::Stopped, now);
        store.save(&mut stored, deadline).await?;
        return Ok(Claim::NotRunning);
    }
    document.note_killed_window(now);
    if !document.is_running() {
        start::log(engine, LogEvent::RunFailed, document);
        store.save(&mut stored, deadline).await?;
        return Ok(Claim::Failed);
    }
    let waits = continuing.is_self_call;
    if let Some(until) = document.not_before.filter(|&until| until > now && !waits) {
        return Ok(Claim::Waiting {
            until,
            what: document.waiting_for.clone().unwrap_or_default(),
        });
    }
    document.lease = Some(Lease::begin(new_holder(), now, engine.config.window));
    document.window += 1;
    Ok(match store.save(&mut stored, deadline).await? {
        Saved::Done => Claim::Claimed(Box::new(Claimed {
            opening: Opening::new(engine, &stored.document),
            stored,
            begun,
        })),
        Saved::Lost => Claim::Outrun,
    })
}

/// Whether the cause of a run's failure is fixed, as far as counting its records shows.
async fn is_mended(engine: &Engine, run: &RunDocument, deadline: Deadline) -> bool {
    let import = engine.import(run);
    import.total(&run.options, deadline).await.is_ok()
}

/// The moment by which a request has to be answered whose window is worked before the answer.
#[must_use]
pub fn request_end(engine: &Engine) -> Deadline {
    engine.deadline(REQUEST_TIME)
}

/// Works one window and logs how it ended; with `ends`, all of it is over by then. `None` where it could not be saved: the
/// lease runs out by itself then.
pub async fn work(
    engine: &Engine,
    claimed: Claimed,
    ends: Option<Deadline>,
) -> Option<(Stored, End)> {
    let Claimed {
        stored,
        begun,
        opening,
    } = claimed;
    let resource = stored.document.resource;
    match Box::pin(window::work(engine, opening, stored, begun, ends)).await {
        Ok((stored, end)) => {
            // a window that others have ended has logged its own run: what is stored may be another
            if !matches!(end, End::Lost) {
                let duration = engine.monotonic().saturating_sub(begun);
                log_window(engine, &stored.document, &end, duration);
            }
            Some((stored, end))
        }
        Err(error) => {
            engine.log(
                LogEvent::WindowNotSaved,
                &json!({
                    "resource": resource.name(),
                    "error": error.to_string(),
                    "advice": error.advice(),
                }),
            );
            None
        }
    }
}

/// Works one window after the response, then calls the next invocation.
pub fn spawn(engine: &Rc<Engine>, claimed: Claimed) {
    let spawned = engine.clone();
    engine.ports.spawn.spawn(Box::pin(async move {
        let document = &claimed.stored.document;
        let (resource, holder) = (document.resource, document.holder());
        match work(&spawned, claimed, None).await {
            // the invocation that has changed the document continues
            Some((_, End::Lost)) => {}
            Some((stored, _)) if stored.document.is_running() => {
                call_next(&spawned, resource, holder).await;
            }
            // a plan that it belongs to, or one that waits for the end of a run that is not its own
            Some(_) => advance_plan(&spawned).await,
            // what has not been saved is done again; the lease is still this invocation's
            None => call_next(&spawned, resource, holder).await,
        }
    }));
}

/// Moves the plan on, where there is one, and starts to work on the runs that have begun. What goes wrong is logged: the
/// next `continue` moves it on as well.
pub async fn advance_plan(engine: &Rc<Engine>) {
    let begun = |resource| {
        if engine.config.continuation == Continuation::SelfCall {
            let spawned = engine.clone();
            let call = Box::pin(async move { call_next(&spawned, resource, None).await });
            engine.ports.spawn.spawn(call);
        }
    };
    if let Err(error) = Box::pin(advance::advance(engine, begun)).await {
        let members = json!({"error": error.to_string(), "advice": error.advice()});
        engine.log(LogEvent::PlanNotAdvanced, &members);
    }
}

async fn call_next(engine: &Engine, resource: Resource, predecessor: Option<String>) {
    let path = format!("/sync/{resource}/continue");
    let headers: Vec<(&str, String)> = predecessor
        .map(|holder| (PREDECESSOR, holder))
        .into_iter()
        .collect();
    let mut outcome = String::new();
    for attempt in 0..CALL_ATTEMPTS {
        if attempt > 0 {
            engine.ports.clock.sleep(CALL_PAUSE * attempt).await;
        }
        match self_call::send(engine, Method::POST, &path, &headers, CALL_TIMEOUT).await {
            Ok(()) => return,
            Err(error) => outcome = error.to_string(),
        }
    }
    engine.log(LogEvent::ChainCut, &json!({
        "resource": resource.name(),
        "error": outcome,
        "advice": format!("POST /sync/{resource}/continue goes on from here; a scheduler beside the chain does it by itself."),
    }));
}
