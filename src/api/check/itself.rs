//! Checks what the app needs of the platform: that it reaches itself, that work goes on after a response, and that it may
//! send several requests at once.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::line::Line;
use crate::config::Continuation;
use crate::error::Error;
use crate::ports::TransportError;
use crate::run::engine::Engine;
use crate::run::self_call::{self, SelfCallError};
use crate::time::Deadline;

const PING: &str = "/sync/check/ping";
/// The header that asks for a response after [`PAUSE`].
const DELAY: &str = "x-delay";
/// The header with what is to be written after the response.
const NONCE: &str = "x-nonce";
/// The key of the custom object that is written after a response.
const KEY: &str = "check-after-response";
/// The time limit of a self-call.
const TIMEOUT: Duration = Duration::from_secs(8);
/// How long a delayed response takes, and how long after a response the work begins.
const PAUSE: Duration = Duration::from_millis(500);
/// How often the check looks whether the work was done.
const LOOK: Duration = Duration::from_millis(400);
/// How long the check waits for it.
const PATIENCE: Duration = Duration::from_secs(6);
/// Requests that are sent at once. A window has many more under way, where the platform lets it.
const AT_ONCE: u32 = 8;
/// An import with fewer requests at a time is slow, or stands still.
const ENOUGH: u32 = 4;
/// What to do if the platform has no work after the response.
const SCHEDULER: &str =
    "Set continuation to scheduler, and let a scheduler call POST /sync/continue every minute.";

/// What the custom object holds.
#[derive(Serialize, Deserialize)]
struct Done {
    nonce: String,
}

/// Tries it, if the app calls itself.
pub(super) async fn lines(engine: &Engine, deadline: Deadline) -> Vec<Line> {
    if engine.config.continuation == Continuation::Scheduler {
        let detail = "not needed: continuation is scheduler, which has to call POST /sync/continue";
        return vec![Line::ok("self-call", detail)];
    }
    let reached = reach(engine).await;
    if reached.fix.is_some() {
        return vec![reached];
    }
    let (after, connections) =
        futures_util::future::join(after_response(engine, deadline), connections(engine)).await;
    vec![reached, after, connections]
}

async fn reach(engine: &Engine) -> Line {
    const WHAT: &str = "self-call";
    let Err(error) = self_call::send(engine, Method::GET, PING, &[], TIMEOUT).await else {
        return Line::ok(WHAT, "the app reaches itself");
    };
    let fix = match &error {
        SelfCallError::Transport(TransportError::Denied) => {
            "Add http://self to allowed_outbound_hosts of the component in spin.toml."
        }
        SelfCallError::Refused(_) => {
            "Something before the app responds in its place: let the app reach its own paths, or set continuation to \
             scheduler."
        }
        SelfCallError::Transport(_) | SelfCallError::Unusable => {
            "The platform does not connect the app to itself. Where Spin serves TLS itself, its certificate has to be one \
             that it trusts. Or set continuation to scheduler."
        }
    };
    Line::failed(WHAT, error.to_string(), fix)
}

/// Whether work that was begun before a response is done after it.
async fn after_response(engine: &Engine, deadline: Deadline) -> Line {
    const WHAT: &str = "work after the response";
    let nonce = format!("{:016x}", fastrand::u64(..));
    let headers = [(NONCE, nonce.clone())];
    if let Err(error) = self_call::send(engine, Method::POST, PING, &headers, TIMEOUT).await {
        return Line::failed(WHAT, error.to_string(), SCHEDULER);
    }
    match wait_for(engine, &nonce, deadline).await {
        Ok(true) => Line::ok(WHAT, "it is done"),
        Ok(false) => Line::failed(
            WHAT,
            format!("it was not done within {} s", PATIENCE.as_secs()),
            SCHEDULER,
        ),
        Err(error) => Line::unknown(WHAT, format!("it could not be looked for: {error}")),
    }
}

async fn wait_for(engine: &Engine, nonce: &str, deadline: Deadline) -> Result<bool, Error> {
    let (client, container) = (&engine.commercetools, engine.store.container());
    let begun = engine.monotonic();
    while engine.monotonic().saturating_sub(begun) < PATIENCE {
        engine.ports.clock.sleep(LOOK).await;
        let found = client.custom_object::<Done>(container, KEY, deadline);
        if let Some(found) = found.await?.filter(|found| found.value.nonce == nonce) {
            let deleted = client.delete_custom_object(container, KEY, found.version, deadline);
            // else the next check writes over it
            _ = deleted.await;
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many requests the platform lets the app send at once (`max_connections` of Spin's `[outbound_http]`).
async fn connections(engine: &Engine) -> Line {
    const WHAT: &str = "requests at a time";
    let headers = [(DELAY, "1".to_owned())];
    let begun = engine.monotonic();
    let calls = (0..AT_ONCE)
        .map(|_| self_call::send(engine, Method::GET, PING, &headers, TIMEOUT))
        .map(Box::pin);
    let answers = join_all(calls).await;
    if let Some(error) = answers.into_iter().find_map(Result::err) {
        return Line::unknown(WHAT, format!("{AT_ONCE} self-calls at once: {error}"));
    }
    let took = engine.monotonic().saturating_sub(begun);
    match at_a_time(took) {
        number if number < ENOUGH => Line::unknown(
            WHAT,
            format!(
                "about {number}, which makes imports slow or stalls them: raise max_connections in the runtime \
                 configuration's [outbound_http], if it is set"
            ),
        ),
        number => Line::ok(WHAT, format!("{number} or more")),
    }
}

/// How many of the delayed requests were under way at a time, if all of them took so long; at least one.
fn at_a_time(took: Duration) -> u32 {
    let rounds = took.as_millis() / PAUSE.as_millis();
    u32::try_from(rounds).map_or(1, |rounds| (AT_ONCE / rounds.max(1)).max(1))
}

/// Carries out what a ping asks for; returns the status of its response.
pub(in crate::api) async fn pong(
    engine: &Rc<Engine>,
    method: &Method,
    headers: &HeaderMap,
) -> StatusCode {
    if headers.contains_key(DELAY) {
        engine.ports.clock.sleep(PAUSE).await;
    }
    let nonce = headers.get(NONCE).and_then(|nonce| nonce.to_str().ok());
    let Some(nonce) = nonce.filter(|_| method == Method::POST) else {
        return StatusCode::OK;
    };
    let (later, nonce) = (engine.clone(), nonce.to_owned());
    engine.ports.spawn.spawn(Box::pin(async move {
        later.ports.clock.sleep(PAUSE).await;
        // if it cannot be written, the check says that it was not done, and its line for custom objects why
        _ = write(&later, nonce).await;
    }));
    StatusCode::ACCEPTED
}

async fn write(engine: &Engine, nonce: String) -> Result<(), Error> {
    let (client, container) = (&engine.commercetools, engine.store.container());
    let deadline = engine.deadline(TIMEOUT);
    let found = client.custom_object::<serde_json::Value>(container, KEY, deadline);
    let version = found.await?.map_or(0, |found| found.version);
    let done = Done { nonce };
    let written = client.write_custom_object(container, KEY, &done, version, deadline);
    written.await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_wait_for_each_other_take_longer() {
        for (millis, expected) in [
            (0, 8),
            (520, 8),
            (990, 8),
            (1_100, 4),
            (2_100, 2),
            (4_200, 1),
            (60_000, 1),
        ] {
            assert_eq!(
                at_a_time(Duration::from_millis(millis)),
                expected,
                "{millis} ms"
            );
        }
    }
}
