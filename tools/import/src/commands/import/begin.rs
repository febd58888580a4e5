//! Starting, so that an answer that is lost starts nothing twice and loses nothing.

use serde_json::Value;

use crate::commands::{Session, TRIES};
use crate::ending::{CouldNotRun, could_not_run};
use crate::follow::Target;
use crate::operator::{Failure, Overview, Resource, State};
use crate::patience::Patience;

/// Starts or resumes a run; `before` is what there was until now.
pub(super) async fn run(
    session: &Session<'_>,
    resource: Resource,
    body: &Value,
    before: &Overview,
) -> Result<Target, CouldNotRun> {
    let was = before.of(resource);
    let start = async || {
        let run = session.operator().start(resource, body).await?;
        Ok(run.run_id.clone().unwrap_or_default())
    };
    let begun = |now: &Overview| {
        let is = now.of(resource);
        let has_begun = match body.get("resume") {
            Some(_) => is.status == State::Running && was.status != State::Running,
            None => is.run_id != was.run_id,
        };
        is.run_id.clone().filter(|_| has_begun)
    };
    Ok(Target {
        plan: None,
        runs: vec![(resource, begin(session, start, begun).await?)],
    })
}

/// Starts a plan; `before` is what there was until now.
pub(super) async fn plan(
    session: &Session<'_>,
    body: &Value,
    before: &Overview,
) -> Result<Target, CouldNotRun> {
    let was = before.plan.as_ref().map(|plan| &plan.plan_id);
    let start = async || Ok(session.operator().start_plan(body).await?.plan_id);
    let begun = |now: &Overview| {
        let is = now.plan.as_ref().map(|plan| &plan.plan_id);
        is.filter(|_| is != was).cloned()
    };
    Ok(Target {
        plan: Some(begin(session, start, begun).await?),
        runs: Vec::new(),
    })
}

/// Starts until it has begun; what it is called. After an answer that did not come it looks first whether it has.
async fn begin(
    session: &Session<'_>,
    start: impl AsyncFn() -> Result<String, Failure>,
    begun: impl Fn(&Overview) -> Option<String>,
) -> Result<String, CouldNotRun> {
    let mut patience = Patience::new(session.screen);
    for _ in 0..TRIES {
        match start().await {
            Ok(name) => return Ok(name),
            Err(failure) => patience.wait(failure).await?,
        }
        let overview = session.briefly(|| session.operator().overview()).await?;
        patience.answered();
        if let Some(name) = begun(&overview) {
            return Ok(name);
        }
    }
    could_not_run!(
        "the app did not answer the start; {} says whether it has begun",
        session.command("status")
    )
}
