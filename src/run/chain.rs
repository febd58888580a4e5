//! From one window to the next: claiming the lease, working, and calling the next invocation.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use serde_json::json;

use super::lease::Lease;
use super::plan;
use super::state::{Resource, Status};
use super::store::{Saved, Stored};
use super::window::{self, End};
use crate::api::App;
use crate::config::Continuation;
use crate::error::Error;
use crate::ports::{Body, Deadline, Limits};
use crate::resources;

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

/// A name for this invocation.
#[must_use]
pub fn holder() -> String {
    format!("{:016x}", fastrand::u64(..))
}

/// Claims the lease of a run that is going on. With `waits`, also where there is nothing to do yet: the invocation
/// waits then, as nobody else would wake the chain.
///
/// # Errors
/// Where commercetools does not answer or refuses.
pub async fn claim(app: &App, resource: Resource, waits: bool) -> Result<Claim, Error> {
    let begun = app.ports.clock.monotonic();
    let deadline = Deadline::after(&*app.ports.clock, CLAIM_TIMEOUT);
    let store = app.store();
    let Some(mut stored) = store.load(resource, deadline).await? else {
        return Ok(Claim::NotRunning);
    };
    let now = app.commercetools.server_now();
    let document = &mut stored.document;
    if document.status != Status::Running || !document.is_going_on() {
        return Ok(Claim::NotRunning);
    }
    if let Some(lease) = document.lease.as_ref().filter(|lease| lease.is_live(now)) {
        return Ok(Claim::Busy(lease.clone()));
    }
    if plan::has_called_off(app, document, deadline).await? {
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
    document.lease = Some(Lease::begin(holder(), now, app.config.window));
    document.window += 1;
    Ok(match store.save(&mut stored, deadline).await? {
        Saved::Done => Claim::Claimed(Box::new(Claimed { stored, begun })),
        Saved::Lost => Claim::Outrun,
    })
}

/// Works one window and logs how it ended. `None` where it could not be saved: the lease runs out by itself then.
pub async fn work(app: &App, claimed: Claimed) -> Option<(Stored, End)> {
    let resource = claimed.stored.document.resource;
    let begun = claimed.begun;
    let import = resources::import(app, &claimed.stored.document);
    match Box::pin(window::work(app, import, claimed.stored, begun)).await {
        Ok((stored, end)) => {
            let duration = app.ports.clock.monotonic().saturating_sub(begun);
            app.log(&window::log_line(resource, &stored, &end, duration));
            Some((stored, end))
        }
        Err(error) => {
            app.log(&json!({
                "event": "window_not_saved",
                "resource": resource.name(),
                "error": error.to_string(),
                "advice": error.advice(),
            }));
            None
        }
    }
}

/// Works one window after the response, then calls the next invocation.
pub fn spawn(app: &Rc<App>, claimed: Claimed) {
    let spawned = app.clone();
    app.ports.spawn.spawn(Box::pin(async move {
        let resource = claimed.stored.document.resource;
        let Some((stored, end)) = work(&spawned, claimed).await else {
            return;
        };
        let goes_on = stored.document.is_going_on() && stored.document.status == Status::Running;
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
pub async fn advance_plan(app: &Rc<App>) {
    match Box::pin(plan::advance(app)).await {
        Ok(begun) if app.config.continuation == Continuation::SelfCall && !begun.is_empty() => {
            let spawned = app.clone();
            app.ports.spawn.spawn(Box::pin(async move {
                join_all(
                    begun
                        .into_iter()
                        .map(|resource| call_next(&spawned, resource)),
                )
                .await;
            }));
        }
        Ok(_) => {}
        Err(error) => app.log(&json!({
            "event": "plan_not_advanced",
            "error": error.to_string(),
            "advice": error.advice(),
        })),
    }
}

async fn call_next(app: &App, resource: Resource) {
    let mut outcome = String::new();
    for attempt in 0..CALL_ATTEMPTS {
        if attempt > 0 {
            app.ports.clock.sleep(CALL_PAUSE * attempt).await;
        }
        let itself = app.ports.http.self_url();
        let request = http::Request::post(format!("{itself}/sync/{resource}/continue"))
            .header(
                AUTHORIZATION,
                format!("Bearer {}", app.config.api_token.expose()),
            )
            .body(Body::default());
        let Ok(request) = request else { break };
        match app
            .ports
            .send(
                request,
                Limits {
                    timeout: CALL_TIMEOUT,
                    max_bytes: 64 * 1024,
                },
            )
            .await
        {
            Ok(response) if response.status().is_success() => return,
            Ok(response) => outcome = format!("status {}", response.status().as_u16()),
            Err(error) => outcome = error.to_string(),
        }
    }
    app.log(&json!({
        "event": "chain_cut",
        "resource": resource.name(),
        "error": outcome,
        "advice": format!("POST /sync/{resource}/continue goes on from here; a scheduler beside the chain does it by itself."),
    }));
}
