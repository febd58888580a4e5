//! `cargo import stop`: ends what is going on, and what has failed and could be resumed.

use serde_json::json;

use super::Session;
use crate::ending::{Code, CouldNotRun};
use crate::operator::{Resource, State, Stopped};
use crate::progress::{event, say};

/// How often a stop is repeated while an invocation may be sending: each waits 22 s, and a lease lasts 33 s at most.
const TRIES: u32 = 3;

pub(crate) async fn run(
    session: &Session<'_>,
    resources: &[Resource],
) -> Result<Code, CouldNotRun> {
    let operator = session.operator();
    let overview = session.briefly(|| operator.overview()).await?;
    let is_named = |resource: &Resource| resources.is_empty() || resources.contains(resource);
    let going_on: Vec<Resource> = Resource::ALL
        .into_iter()
        .filter(is_named)
        .filter(|resource| overview.of(*resource).is_going_on())
        .collect();
    let mut outcomes = Vec::new();
    if resources.is_empty() && overview.running_plan().is_some() {
        outcomes.push(("plan", stop(session, None).await?));
    }
    for resource in going_on {
        // what runs has been stopped with its plan; what has failed beside it has not
        let run = session.briefly(|| operator.status(resource)).await?;
        let outcome = match run.status {
            State::Running | State::Failed => stop(session, Some(resource)).await?,
            _ => Stopped::Done,
        };
        outcomes.push((resource.name(), outcome));
    }
    let said: Vec<String> = outcomes
        .iter()
        .map(|(name, outcome)| match outcome {
            Stopped::Done => format!("{name}: stopped; nothing more is sent"),
            Stopped::MayBeSending => {
                format!("{name}: stopped; an invocation that does not react may be sending until its lease ends")
            }
            Stopped::NothingRan => format!("{name}: it was over already"),
        })
        .collect();
    if session.screen.is_json() {
        let stopped: Vec<_> = outcomes.iter().map(|(name, _)| name).collect();
        let members = json!({"stopped": stopped, "said": said, "exitCode": Code::Done.number()});
        event("stopped", members);
    } else if said.is_empty() {
        say("Nothing is going on.");
    } else {
        said.iter().for_each(|line| say(line));
    }
    Ok(Code::Done)
}

async fn stop(session: &Session<'_>, resource: Option<Resource>) -> Result<Stopped, CouldNotRun> {
    let what = resource.map_or("everything", Resource::name);
    session.screen.note(&format!("Stopping {what}."));
    let operator = session.operator();
    let mut outcome = session.briefly(|| operator.stop(resource)).await?;
    for _ in 1..TRIES {
        if outcome != Stopped::MayBeSending {
            break;
        }
        session
            .screen
            .note("Its last invocation does not react; waiting for the end of its lease.");
        outcome = match session.briefly(|| operator.stop(resource)).await? {
            // nobody is sending any more
            Stopped::NothingRan => Stopped::Done,
            again => again,
        };
    }
    Ok(outcome)
}
