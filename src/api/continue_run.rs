//! `POST /sync/{resource}/continue` and `POST /sync/continue`: the next window.
//!
//! In `self` mode the response is sent as soon as the lease is claimed, and the window is worked after it. In
//! `scheduler` mode the window is worked first. In both modes the plan is advanced if one of its runs has ended.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json as json_value};

use super::answer::json;
use super::problem::Problem;
use super::refusal::other_destination;
use super::views::run::run_view;
use crate::config::Continuation;
use crate::run::chain::{self, Claim, Continuing, PREDECESSOR};
use crate::run::engine::Engine;
use crate::run::state::Resource;
use crate::time::Deadline;

/// The time limit of advancing the plan: the same request also works a window, within what platforms allow for it.
const PLAN_PATIENCE: Duration = Duration::from_secs(4);

/// The outcome of a `continue`.
struct Continued {
    code: StatusCode,
    answer: Value,
    run: RunIs,
}

/// The state of the run after a `continue`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunIs {
    GoingOn,
    /// It ended in this window.
    Ended,
    /// There was no run to continue.
    Absent,
}

impl Continued {
    fn going_on(code: StatusCode, answer: Value) -> Self {
        Self {
            code,
            answer,
            run: RunIs::GoingOn,
        }
    }
}

pub(super) async fn one(
    engine: &Rc<Engine>,
    resource: Resource,
    headers: &HeaderMap,
) -> Result<Response<Bytes>, Problem> {
    let ends = chain::request_end(engine);
    let predecessor = headers
        .get(PREDECESSOR)
        .and_then(|holder| holder.to_str().ok())
        .map(str::to_owned);
    let is_of_chain = predecessor.is_some();
    let continued = Box::pin(continue_run(engine, resource, predecessor, ends));
    let Continued { code, answer, run } = continued.await?;
    // the invocation that has ended the run has advanced the plan as well
    let is_for_others = is_of_chain && run == RunIs::Absent;
    if run != RunIs::GoingOn && !is_for_others {
        advance_plan(engine, ends).await;
    }
    Ok(json(code, &answer))
}

pub(super) async fn all(engine: &Rc<Engine>) -> Result<Response<Bytes>, Problem> {
    let ends = chain::request_end(engine);
    advance_plan(engine, ends).await;
    let runs = Resource::ALL.map(|resource| Box::pin(continue_run(engine, resource, None, ends)));
    let outcomes = join_all(runs).await;
    let mut code = StatusCode::OK;
    let mut answer = serde_json::Map::new();
    let mut failed = None;
    let mut some_ended = false;
    let mut some_go_on = false;
    for (resource, outcome) in Resource::ALL.into_iter().zip(outcomes) {
        match outcome {
            Ok(continued) => {
                code = code.max(continued.code);
                some_ended |= continued.run == RunIs::Ended;
                some_go_on |= continued.run == RunIs::GoingOn;
                answer.insert(resource.name().to_owned(), continued.answer);
            }
            Err(problem) => failed = Some(problem),
        }
    }
    if some_ended {
        advance_plan(engine, ends).await;
    } else if !some_go_on {
        // nobody waits for a window: a run that takes long to begin, with a slow API, begins in the time that is left
        advance_plan_within(engine, engine.remaining(ends)).await;
    }
    // the failure of one resource does not stop the others, but the caller has to know
    match failed {
        Some(problem) => Err(problem.extension("resources", &answer)),
        None => Ok(json(code, &answer)),
    }
}

/// Advances the plan, within a time limit, so that neither the windows nor the caller have to wait: the next `continue`
/// does the rest.
async fn advance_plan(engine: &Rc<Engine>, ends: Deadline) {
    let patience = match engine.config.continuation {
        Continuation::SelfCall => PLAN_PATIENCE,
        Continuation::Scheduler => PLAN_PATIENCE.min(engine.remaining(ends)),
    };
    advance_plan_within(engine, patience).await;
}

async fn advance_plan_within(engine: &Rc<Engine>, patience: Duration) {
    let advance = Box::pin(chain::advance_plan(engine));
    select(advance, engine.ports.clock.sleep(patience)).await;
}

async fn continue_run(
    engine: &Rc<Engine>,
    resource: Resource,
    predecessor: Option<String>,
    ends: Deadline,
) -> Result<Continued, Problem> {
    let calls_itself = engine.config.continuation == Continuation::SelfCall;
    let continuing = Continuing {
        is_self_call: calls_itself,
        predecessor,
    };
    match chain::claim(engine, resource, &continuing).await? {
        Claim::Claimed(claimed) if calls_itself => {
            let answer =
                json_value!({"outcome": "claimed", "window": claimed.stored.document.window});
            chain::spawn(engine, *claimed);
            Ok(Continued::going_on(StatusCode::ACCEPTED, answer))
        }
        Claim::Claimed(claimed) => {
            match Box::pin(chain::work(engine, *claimed, Some(ends))).await {
                Some((stored, _)) => {
                    let run = run_view(engine, resource, Some(&stored.document));
                    let goes_on = stored.document.is_running();
                    Ok(Continued {
                        code: StatusCode::OK,
                        answer: json_value!({"outcome": "worked", "run": run}),
                        run: if goes_on {
                            RunIs::GoingOn
                        } else {
                            RunIs::Ended
                        },
                    })
                }
                None => Err(Problem::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The window could not be saved",
                )
                .detail("The next window repeats its work; see the log")),
            }
        }
        Claim::Busy(lease) => Ok(Continued::going_on(
            StatusCode::OK,
            json_value!({"outcome": "busy", "lease": lease}),
        )),
        Claim::Waiting { until, what } => Ok(Continued::going_on(
            StatusCode::OK,
            json_value!({"outcome": "waiting", "until": until, "waitingFor": what}),
        )),
        Claim::NotRunning => Ok(Continued {
            code: StatusCode::OK,
            answer: json_value!({"outcome": "not running"}),
            run: RunIs::Absent,
        }),
        Claim::Failed => {
            let advice = format!(
                "The run has failed. POST {{\"resume\": true}} to /sync/{resource} continues it from its cursor, once \
                 what its status names is corrected."
            );
            Ok(Continued {
                code: StatusCode::OK,
                answer: json_value!({"outcome": "not running", "advice": advice}),
                run: RunIs::Absent,
            })
        }
        Claim::OtherDestination(other) => Err(other_destination(&other)),
        Claim::Outrun => Ok(Continued::going_on(
            StatusCode::OK,
            json_value!({"outcome": "busy"}),
        )),
    }
}
