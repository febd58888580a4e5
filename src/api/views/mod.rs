//! How runs and plans are shown, and what the operator is told to do about them.

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

/// A chain of self-calls has its next window after a second or two; one that has not after this long looks cut.
const CUT_AFTER: Duration = Duration::from_secs(15);
/// A scheduler may tick once in a while.
const CUT_AFTER_SCHEDULED: Duration = Duration::from_secs(600);

/// How long nobody may have worked before a chain looks cut.
fn patience(engine: &Engine) -> Duration {
    match engine.config.continuation {
        Continuation::SelfCall => CUT_AFTER,
        Continuation::Scheduler => CUT_AFTER_SCHEDULED,
    }
}
