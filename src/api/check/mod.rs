//! `GET /sync/check`: tries the configuration and says, line by line, what works and how to mend what does not.
//!
//! Harmless calls only: what is written is a custom object of its own key, which is deleted again.

mod commercetools;
mod klaviyo;
mod line;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join4;
use http::{Method, Response, StatusCode};

use self::line::{Line, State};
use super::answer::json;
use crate::config::{Continuation, Problems};
use crate::ports::WASI;
use crate::run::engine::Engine;
use crate::run::self_call;

/// How long the whole check may take: within what platforms allow a request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the app may take to answer itself.
const SELF_TIMEOUT: Duration = Duration::from_secs(8);
/// A clock that is further off than this misleads whoever reads logs beside commercetools' own times. Nothing else
/// depends on it: leases are in commercetools' time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(30);

/// Tries everything.
pub(super) async fn check(engine: &Engine) -> Response<Bytes> {
    let deadline = engine.deadline(TIMEOUT);
    let component = Line::ok("component", format!("it is built for WASI {WASI}"));
    let variables = Line::ok("variables", "every variable can be read");
    // first, so that whatever asks commercetools afterwards finds a token, and its clock is known
    let (token, granted) = commercetools::token(engine, deadline).await;
    let collections = async {
        if granted.is_none() {
            Vec::new()
        } else {
            commercetools::collections(engine, deadline).await
        }
    };
    let documents = async {
        if granted.is_none() {
            Vec::new()
        } else {
            vec![commercetools::documents(engine, deadline).await]
        }
    };
    let (collections, documents, klaviyo, itself) = join4(
        collections,
        documents,
        klaviyo::klaviyo(engine, deadline),
        self_call(engine),
    )
    .await;
    let mut lines = vec![component, variables, token];
    lines.extend(
        granted
            .as_deref()
            .map(|granted| commercetools::scopes(granted, &engine.config.commercetools.project))
            .unwrap_or_default(),
    );
    lines.extend(collections);
    lines.extend(documents);
    lines.extend(klaviyo);
    lines.push(itself);
    lines.push(clock(engine));
    answer(&lines)
}

/// What is wrong with the variables: without them nothing else can be tried.
pub(super) fn misconfigured(problems: &Problems) -> Response<Bytes> {
    let lines: Vec<Line> = problems
        .0
        .iter()
        .map(|problem| {
            Line::failed(
                format!("variable {}", problem.variable),
                "it cannot be used",
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

async fn self_call(engine: &Engine) -> Line {
    const WHAT: &str = "self-call";
    const FIX: &str = "Put http://self into allowed_outbound_hosts of the component in spin.toml; where the platform \
                       does not let an app call itself, set continuation to scheduler.";
    if engine.config.continuation == Continuation::Scheduler {
        return Line::ok(
            WHAT,
            "not needed: continuation is scheduler, which has to call POST /sync/continue",
        );
    }
    match self_call::send(engine, Method::GET, "/sync/check/ping", &[], SELF_TIMEOUT).await {
        Ok(()) => Line::ok(WHAT, "the app reaches itself"),
        Err(error) => Line::failed(WHAT, error, FIX),
    }
}

fn clock(engine: &Engine) -> Line {
    const WHAT: &str = "clock";
    let (ours, theirs) = (engine.ports.clock.now(), engine.now());
    let difference = ours.duration_since(theirs);
    let detail = format!("{} s beside commercetools'", difference.as_secs());
    if difference.unsigned_abs() <= CLOCK_TOLERANCE {
        Line::ok(WHAT, detail)
    } else {
        Line::failed(
            WHAT,
            detail,
            "Set the clock of the machine (NTP). Imports do not depend on it, the times in logs do.",
        )
    }
}
