//! From one window to the next: claiming the lease, working, and calling the next invocation.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::engine::Engine;
use super::identity::new_holder;
use super::log::LogEvent;
use super::plan::advance;
use super::self_call;
use super::state::{Lease, Resource, Status};
use super::store::{Saved, Stored};
use super::window::ending::log_window;
use super::window::{self, End};
use crate::config::Continuation;
use crate::error::Error;

/// How long the next invocation may take to claim the lease and answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of the call to the next invocation; after that the scheduler's next `continue` picks the chain up.
const CALL_ATTEMPTS: u32 = 3;
/// The pause before the second try.
const CALL_PAUSE: Duration = Duration::from_millis(500);
/// How long claiming may take.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);

/// The right to work a window.
#[derive(Debug)]
pub struct Claimed {
    /// The document with this invocation's lease in it.
    pub stored: Stored,
    /// When claiming began, on the monotonic clock: the lease is measured from there.
    pub begun: Duration,
}

/// What `continue` finds.
#[derive(Debug)]
pub enum Claim {
    /// The lease is this invocation's.
    Claimed(Box<Claimed>),
    /// Another invocation works.
    Busy(Lease),
    /// There is nothing to do before a moment.
    Waiting {
        /// That moment, in commercetools' time.
        until: Timestamp,
        /// What is waited for.
        what: String,
    },
    /// No run is going on.
    NotRunning,
    /// Another invocation was faster.
    Outrun,
}

/// Claims the lease of a run that is going on. With `waits`, also where there is nothing to do yet: the invocation
/// waits then, as nobody else would wake the chain.
///
/// # Errors
/// Where commercetools does not answer or refuses.
pub async fn claim(engine: &Engine, resource: Resource, waits: bool) -> Result<Claim, Error> {
    let begun = engine.monotonic();
    let deadline = engine.deadline(CLAIM_TIMEOUT);
    let store = &engine.store;
    let Some(mut stored) = store.load(resource, deadline).await? else {
        return Ok(Claim::NotRunning);
    };
    let now = engine.now();
    let document = &mut stored.document;
    if !document.is_running() {
        return Ok(Claim::NotRunning);
    }
    if let Some(lease) = document.lease.as_ref().filter(|lease| lease.is_live(now)) {
        return Ok(Claim::Busy(lease.clone()));
    }
    if advance::has_called_off(engine, document, deadline).await? {
        // the stop came between the start of this run and its first window
        document.end(Status::Stopped, now);
        store.save(&mut stored, deadline).await?;
        return Ok(Claim::NotRunning);
    }
    if let Some(until) = document.not_before.filter(|&until| until > now && !waits) {
        return Ok(Claim::Waiting {
            until,
            what: document.waiting_for.clone().unwrap_or_default(),
        });
    }
    document.lease = Some(Lease::begin(new_holder(), now, engine.config.window));
    document.window += 1;
    Ok(match store.save(&mut stored, deadline).await? {
        Saved::Done => Claim::Claimed(Box::new(Claimed { stored, begun })),
        Saved::Lost => Claim::Outrun,
    })
}

/// Works one window and logs how it ended. `None` where it could not be saved: the lease runs out by itself then.
pub async fn work(engine: &Engine, claimed: Claimed) -> Option<(Stored, End)> {
    let resource = claimed.stored.document.resource;
    let begun = claimed.begun;
    let import = engine.import(&claimed.stored.document);
    match Box::pin(window::work(engine, import, claimed.stored, begun)).await {
        Ok((stored, end)) => {
            let duration = engine.monotonic().saturating_sub(begun);
            log_window(engine, &stored, &end, duration);
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
        let resource = claimed.stored.document.resource;
        let Some((stored, end)) = work(&spawned, claimed).await else {
            return;
        };
        let goes_on = stored.document.is_running();
        if goes_on && !matches!(end, End::Lost) {
            call_next(&spawned, resource).await;
        } else if !goes_on {
            // one that it belongs to, or one that waits for the end of a run that is not its own
            advance_plan(&spawned).await;
        }
    }));
}

/// Moves the plan on, where there is one, and starts to work on the runs that have begun. What goes wrong is logged: the
/// next `continue` moves it on as well.
pub async fn advance_plan(engine: &Rc<Engine>) {
    match Box::pin(advance::advance(engine)).await {
        Ok(begun) if engine.config.continuation == Continuation::SelfCall && !begun.is_empty() => {
            let spawned = engine.clone();
            engine.ports.spawn.spawn(Box::pin(async move {
                join_all(
                    begun
                        .into_iter()
                        .map(|resource| call_next(&spawned, resource)),
                )
                .await;
            }));
        }
        Ok(_) => {}
        Err(error) => engine.log(
            LogEvent::PlanNotAdvanced,
            &json!({
                "error": error.to_string(),
                "advice": error.advice(),
            }),
        ),
    }
}

async fn call_next(engine: &Engine, resource: Resource) {
    let path = format!("/sync/{resource}/continue");
    let mut outcome = String::new();
    for attempt in 0..CALL_ATTEMPTS {
        if attempt > 0 {
            engine.ports.clock.sleep(CALL_PAUSE * attempt).await;
        }
        match self_call::send(engine, Method::POST, &path, CALL_TIMEOUT).await {
            Ok(()) => return,
            Err(error) => outcome = error,
        }
    }
    engine.log(LogEvent::ChainCut, &json!({
        "resource": resource.name(),
        "error": outcome,
        "advice": format!("POST /sync/{resource}/continue goes on from here; a scheduler beside the chain does it by itself."),
    }));
}
