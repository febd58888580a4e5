//! The plan as the API shows it.

use serde_json::{Value, json};

use super::{advice, destination, patience};
use crate::run::engine::Engine;
use crate::run::plan::{Plan, Step, StepState};
use crate::run::state::{Resource, Status};
use crate::time::later;

/// The plan as the API shows it.
pub(in crate::api) fn plan_view(engine: &Engine, plan: &Plan) -> Value {
    plan_view_beside(engine, plan, &[])
}

/// The plan as the API shows it; `going_on` are the resources of which a run is going on.
pub(in crate::api) fn plan_view_beside(
    engine: &Engine,
    plan: &Plan,
    going_on: &[Resource],
) -> Value {
    let step = |step: &Step| {
        json!({
            "resource": step.resource,
            "state": step.state,
            "runId": plan.run_id(step.resource),
            "note": step.note,
        })
    };
    let looks_cut = looks_cut(engine, plan, going_on);
    json!({
        "planId": plan.plan_id,
        "status": plan.status,
        "startedAt": plan.started_at,
        "updatedAt": plan.updated_at,
        "finishedAt": plan.finished_at,
        "options": plan.options,
        "destination": destination(engine, plan.destination.as_ref()),
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "chainLooksCut": looks_cut,
        "advice": advice::for_plan(plan, looks_cut),
    })
}

/// Whether no invocation advances a plan that is going on: none of its runs, which would advance it when they end, is
/// running. A plan that waits for somebody else's run is advanced at that run's end.
fn looks_cut(engine: &Engine, plan: &Plan, going_on: &[Resource]) -> bool {
    let has_run = plan.steps.iter().any(|step| {
        let waits = step.state == StepState::Waiting && going_on.contains(&step.resource);
        waits || step.state == StepState::Running
    });
    let patience = patience(engine);
    plan.status == Status::Running && !has_run && engine.now() > later(plan.updated_at, patience)
}
