//! Runs and plans as the API shows them, with advice for the operator.

mod advice;
pub(super) mod plan;
pub(super) mod run;

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Continuation;
use crate::run::engine::Engine;
use crate::run::state::Destination;

/// The Klaviyo account that a document names, and whether it is known by the key that this app has.
fn destination(engine: &Engine, named: Option<&Destination>) -> Value {
    named.map_or(Value::Null, |named| {
        json!({
            "fingerprint": named.fingerprint(),
            "hasThisKey": named.has_key(&engine.config.klaviyo.auth_key),
        })
    })
}

/// In a chain of self-calls the next window begins after a second or two; after this long without one it looks cut.
const CUT_AFTER: Duration = Duration::from_secs(15);
/// The same for a scheduler, which may call only once in a few minutes.
const CUT_AFTER_SCHEDULED: Duration = Duration::from_secs(600);

/// The time without work after which a chain looks cut.
fn patience(engine: &Engine) -> Duration {
    match engine.config.continuation {
        Continuation::SelfCall => CUT_AFTER,
        Continuation::Scheduler => CUT_AFTER_SCHEDULED,
    }
}
