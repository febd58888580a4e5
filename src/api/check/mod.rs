//! `GET /sync/check`: tries the configuration and says, line by line, what works and how to fix what does not.
//!
//! All requests are harmless: the only things written are two custom objects with their own keys, which are deleted
//! again.

mod catalog;
mod commercetools;
mod itself;
mod klaviyo;
mod line;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join5;
use http::{Response, StatusCode};

pub(super) use self::itself::pong;
use self::line::{Line, State};
use super::answer::json;
use crate::config::Problems;
use crate::ports::WASI;
use crate::run::engine::Engine;

/// The time limit of the whole check: within what platforms allow for a request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A larger difference makes it hard to compare the log with commercetools' times. Nothing else depends on the clock:
/// leases are in commercetools' time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// Tries everything.
pub(super) async fn check(engine: &Engine) -> Response<Bytes> {
    let deadline = engine.deadline(TIMEOUT);
    let component = Line::ok("component", format!("it is built for WASI {WASI}"));
    let variables = Line::ok("variables", "all variables are valid");
    // first, so that the other requests to commercetools find a token and its time is known
    let (token, granted) = commercetools::token(engine, deadline).await;
    let collections = async {
        if granted.is_none() {
            Vec::new()
        } else {
            commercetools::collections(engine, deadline).await
        }
    };
    let model = async {
        match &granted {
            Some(granted) => Some(catalog::model(engine, granted, deadline).await),
            None => None,
        }
    };
    let documents = async {
        if granted.is_none() {
            Vec::new()
        } else {
            vec![commercetools::documents(engine, deadline).await]
        }
    };
    let (collections, model, documents, klaviyo, itself) = join5(
        collections,
        model,
        documents,
        klaviyo::klaviyo(engine, deadline),
        itself::lines(engine, deadline),
    )
    .await;
    let mut lines = vec![component, variables, token];
    lines.extend(without_effect(&engine.config.mapping.sync.without_effect));
    if let Some(granted) = &granted {
        let project = &engine.config.commercetools.project;
        lines.extend(commercetools::scopes(granted, project));
        lines.push(catalog::standalone_prices(granted, project));
    }
    lines.extend(collections);
    lines.extend(model);
    lines.extend(documents);
    lines.extend(klaviyo);
    lines.extend(itself);
    lines.push(clock(engine));
    answer(&lines)
}

/// The response while variables are invalid: then nothing else can be tried.
pub(super) fn misconfigured(problems: &Problems) -> Response<Bytes> {
    let lines: Vec<Line> = problems
        .0
        .iter()
        .map(|problem| {
            Line::failed(
                format!("variable {}", problem.variable),
                "its value is not valid",
                &problem.expected,
            )
        })
        .collect();
    answer(&lines)
}

fn answer(lines: &[Line]) -> Response<Bytes> {
    let ok = lines.iter().all(|line| line.state != State::Failed);
    json(
        StatusCode::OK,
        &serde_json::json!({"ok": ok, "lines": lines}),
    )
}

/// The keys of `sync_config` that are taken and not read.
fn without_effect(keys: &[String]) -> Option<Line> {
    (!keys.is_empty()).then(|| {
        let detail = format!(
            "valid. Keys of the Node plugin's realtime module, without effect here: {}",
            keys.join(", ")
        );
        Line::ok("sync_config", detail)
    })
}

fn clock(engine: &Engine) -> Line {
    const WHAT: &str = "clock";
    let (ours, theirs) = (engine.ports.clock.now(), engine.now());
    let difference = ours.duration_since(theirs);
    let detail = format!("{} s ahead of commercetools' time", difference.as_secs());
    if difference.unsigned_abs() <= CLOCK_TOLERANCE {
        Line::ok(WHAT, detail)
    } else {
        Line::failed(
            WHAT,
            detail,
            "Set the machine's clock (NTP). Imports do not depend on it, the times in the log do.",
        )
    }
}
