//! `cargo import status`.

use jiff::Timestamp;
use serde_json::json;

use super::Session;
use crate::ending::{Code, CouldNotRun};
use crate::operator::{Overview, Resource, State};
use crate::progress::{event, message, say};

pub(crate) async fn run(session: &Session<'_>) -> Result<Code, CouldNotRun> {
    let overview = session.briefly(|| session.operator().overview()).await?;
    let code = code(&overview);
    if session.screen.is_json() {
        let members = json!({"overview": overview.raw, "exitCode": code.number()});
        event("status", members);
        return Ok(code);
    }
    for resource in Resource::ALL {
        let run = overview.of(resource);
        let told = match run.status {
            State::Idle => "never imported".to_owned(),
            State::Running => format!("running, {}", message(run, Timestamp::now())),
            _ => message(run, Timestamp::now()),
        };
        say(&format!("{:<10} {told}", resource.name()));
        if let Some(error) = run.last_error.as_ref().filter(|_| run.is_going_on()) {
            say(&format!("           {} {}", error.message, error.advice));
        }
        if let Some(removal) = run.removal.as_ref().filter(|_| run.status == State::Failed) {
            say(&format!(
                "           {} of {} {} would be deleted",
                removal.count, removal.of, removal.kind
            ));
        }
        if run.failed_records > 0 {
            say(&format!(
                "           {} failed records are remembered: {} imports them again",
                run.failed_records,
                session.command(&format!("{} --retry-failed", resource.name()))
            ));
        }
    }
    if let Some(plan) = &overview.plan {
        let steps: Vec<String> = plan
            .steps
            .iter()
            .map(|step| format!("{} {}", step.resource.name(), step.state.name()))
            .collect();
        say(&format!(
            "plan       {}: {}",
            plan.status.name(),
            steps.join(", ")
        ));
    }
    if Resource::ALL
        .iter()
        .any(|resource| overview.of(*resource).is_going_on())
    {
        say(&format!(
            "{} goes on with what runs or has failed; {} ends it",
            session.command("--resume"),
            session.command("stop")
        ));
    }
    Ok(code)
}

/// Whether somebody has to do something.
fn code(overview: &Overview) -> Code {
    let runs = Resource::ALL.map(|resource| overview.of(resource));
    let run = runs
        .iter()
        .any(|run| run.status == State::Failed || run.chain_looks_cut);
    let plan = overview
        .plan
        .as_ref()
        .is_some_and(|plan| plan.status == State::Failed || plan.chain_looks_cut);
    match run || plan {
        true => Code::NotCompleted,
        false => Code::Done,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_monitor_needs_the_exit_code_only() {
        for (run, plan, expected) in [
            (json!({"status": "running"}), json!(null), Code::Done),
            (
                json!({"status": "stopped"}),
                json!({"status": "completed"}),
                Code::Done,
            ),
            (json!({"status": "failed"}), json!(null), Code::NotCompleted),
            (
                json!({"status": "running", "chainLooksCut": true}),
                json!(null),
                Code::NotCompleted,
            ),
            (
                json!({"status": "completed"}),
                json!({"status": "failed"}),
                Code::NotCompleted,
            ),
            (
                json!({"status": "completed"}),
                json!({"status": "running", "chainLooksCut": true}),
                Code::NotCompleted,
            ),
        ] {
            let idle = json!({"status": "idle"});
            let overview = json!({"customers": run, "orders": idle, "categories": idle, "products": idle, "plan": plan});
            let overview = serde_json::from_value(overview).expect("an overview");
            assert_eq!(code(&overview), expected, "{run} {plan}");
        }
    }
}
