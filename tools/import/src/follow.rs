//! Following imports until they are over.

use std::time::Duration;

use crate::operator::{Failure, Operator, Overview, Plan, Resource, State, Status};
use crate::patience::Patience;
use crate::progress::{Progress, Shown};

/// How often the app is looked at, here and elsewhere. A look costs commercetools a request or two.
const LOOK_HERE: Duration = Duration::from_secs(1);
const LOOK_ELSEWHERE: Duration = Duration::from_secs(2);

/// What an import is told by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    /// The plan.
    pub(crate) plan: Option<String>,
    /// Runs beside it, or without one.
    pub(crate) runs: Vec<(Resource, String)>,
}

/// What became of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    /// The plan, as it was seen last.
    pub(crate) plan: Option<Plan>,
    /// The runs in full.
    pub(crate) runs: Vec<(Resource, Status)>,
    /// Resources whose runs have made way for others.
    pub(crate) replaced: Vec<Resource>,
}

/// An operator who looks.
pub(crate) struct Follower<'a> {
    operator: &'a Operator,
    screen: &'a Progress,
    look: Duration,
}

impl<'a> Follower<'a> {
    /// Of an app that runs here, or elsewhere.
    pub(crate) fn new(operator: &'a Operator, screen: &'a Progress, is_here: bool) -> Self {
        Self {
            operator,
            screen,
            look: match is_here {
                true => LOOK_HERE,
                false => LOOK_ELSEWHERE,
            },
        }
    }

    /// Shows the target's progress until it is over, however long the app is away in between, and sets a chain going
    /// again that was cut.
    ///
    /// # Errors
    /// If the app refuses to answer.
    pub(crate) async fn follow(&self, target: &Target) -> Result<Ended, Failure> {
        let mut shown: Vec<(Resource, Shown)> = Vec::new();
        let mut patience = Patience::new(self.screen);
        loop {
            let overview = match self.operator.overview().await {
                Ok(overview) => overview,
                Err(failure) => {
                    patience.wait(failure).await?;
                    continue;
                }
            };
            patience.answered();
            let seen = Seen::of(target, &overview);
            for (resource, run) in &seen.runs {
                let at = shown.iter().position(|(known, _)| known == resource);
                let at = at.unwrap_or_else(|| {
                    shown.push((*resource, self.screen.show(*resource)));
                    shown.len() - 1
                });
                shown[at].1.update(run);
            }
            if seen.is_over() {
                return self.in_full(&seen).await;
            }
            if seen.looks_cut()
                && let Err(failure) = self.operator.proceed(None).await
            {
                patience.wait(failure).await?;
            }
            tokio::time::sleep(self.look).await;
        }
    }

    async fn in_full(&self, seen: &Seen<'_>) -> Result<Ended, Failure> {
        let mut ended = Ended {
            plan: seen.plan.cloned(),
            replaced: seen.replaced.clone(),
            runs: Vec::new(),
        };
        for &(resource, short) in &seen.runs {
            let run = self.patiently(|| self.operator.status(resource)).await?;
            if run.run_id == short.run_id {
                ended.runs.push((resource, run));
            } else {
                ended.replaced.push(resource);
            }
        }
        Ok(ended)
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// If the app refuses to answer.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, Failure> {
        let mut patience = Patience::new(self.screen);
        loop {
            match ask().await {
                Ok(answer) => {
                    patience.answered();
                    return Ok(answer);
                }
                Err(failure) => patience.wait(failure).await?,
            }
        }
    }
}

/// What an overview shows of a target.
struct Seen<'a> {
    plan: Option<&'a Plan>,
    runs: Vec<(Resource, &'a Status)>,
    replaced: Vec<Resource>,
}

impl<'a> Seen<'a> {
    fn of(target: &Target, overview: &'a Overview) -> Self {
        let plan = overview
            .plan
            .as_ref()
            .filter(|plan| target.plan.as_ref() == Some(&plan.plan_id));
        let mut runs = Vec::new();
        let mut replaced = Vec::new();
        let is_there = |resource: Resource, id: &str| {
            let run = overview.of(resource);
            (run.run_id.as_deref() == Some(id)).then_some((resource, run))
        };
        for step in plan.into_iter().flat_map(|plan| &plan.steps) {
            match is_there(step.resource, &step.run_id) {
                Some(run) => runs.push(run),
                // it has begun, and its document is another run's now
                None if matches!(
                    step.state,
                    State::Completed | State::Failed | State::Stopped
                ) =>
                {
                    replaced.push(step.resource);
                }
                None => {}
            }
        }
        for (resource, id) in &target.runs {
            match is_there(*resource, id) {
                Some(run) if runs.iter().any(|(_, known)| known.run_id == run.1.run_id) => {}
                Some(run) => runs.push(run),
                None => replaced.push(*resource),
            }
        }
        Self {
            plan,
            runs,
            replaced,
        }
    }

    fn is_over(&self) -> bool {
        let runs = self
            .runs
            .iter()
            .any(|(_, run)| run.status == State::Running);
        let plan = self.plan.is_some_and(|plan| plan.status == State::Running);
        !runs && !plan
    }

    fn looks_cut(&self) -> bool {
        self.runs.iter().any(|(_, run)| run.chain_looks_cut)
            || self.plan.is_some_and(|plan| plan.chain_looks_cut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn overview(customers: &str, plan: &str, step: &str) -> Overview {
        let idle = json!({"status": "idle"});
        serde_json::from_value(json!({
            "customers": {"status": customers, "runId": "c1"},
            "orders": idle, "categories": idle, "products": {"status": "running", "runId": "p2", "chainLooksCut": true},
            "plan": {"planId": "x", "status": plan, "steps": [
                {"resource": "customers", "state": step, "runId": "c1", "note": null},
                {"resource": "orders", "state": "waiting", "runId": "o1", "note": null},
            ]},
        }))
        .expect("an overview")
    }

    fn target(plan: Option<&str>, runs: &[(Resource, &str)]) -> Target {
        Target {
            plan: plan.map(str::to_owned),
            runs: runs
                .iter()
                .map(|(resource, id)| (*resource, (*id).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn a_plan_is_over_when_it_and_its_runs_are() {
        let target = target(Some("x"), &[(Resource::Customers, "c1")]);
        for (customers, plan, is_over) in [
            ("running", "running", false),
            // the next run is about to begin
            ("completed", "running", false),
            ("running", "stopped", false),
            ("stopped", "stopped", true),
        ] {
            let overview = overview(customers, plan, "running");
            let seen = Seen::of(&target, &overview);
            assert_eq!(seen.is_over(), is_over, "{customers} {plan}");
            assert_eq!(
                seen.runs.len(),
                1,
                "it is one run, in the plan and by itself"
            );
            assert!(!seen.looks_cut(), "another's chain");
        }
    }

    #[test]
    fn a_run_that_has_made_way_for_another_is_over() {
        let overview = overview("running", "completed", "completed");
        let seen = Seen::of(&target(None, &[(Resource::Products, "p1")]), &overview);
        assert!(seen.is_over());
        assert_eq!(seen.replaced, [Resource::Products]);
        let seen = Seen::of(&target(None, &[(Resource::Products, "p2")]), &overview);
        assert!(!seen.is_over() && seen.looks_cut());
        // a plan of somebody else's
        assert!(Seen::of(&target(Some("y"), &[]), &overview).is_over());
    }
}
