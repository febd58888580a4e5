//! The advice for the operator about a run or a plan, in a sentence.

use jiff::Timestamp;

use crate::config::Continuation;
use crate::run::plan::{Plan, StepState};
use crate::run::state::{Counts, Note, Resource, RunDocument, Status};

/// The advice about the run of a resource at `now` (commercetools' time).
pub(super) fn for_run(
    resource: Resource,
    run: Option<&RunDocument>,
    looks_cut: bool,
    continuation: Continuation,
    now: Timestamp,
) -> String {
    let Some(run) = run else {
        return format!("Start an import with POST /sync/{resource}.");
    };
    let is_held = run.is_held(now);
    match run.status {
        Status::Running if looks_cut => format!(
            "No invocation is working on it. POST /sync/{resource}/continue continues it; a scheduler that calls \
             POST /sync/continue does so by itself."
        ),
        Status::Running => running(run, is_held, continuation, now),
        Status::Failed => {
            let cause = run
                .last_error
                .as_ref()
                .map_or("", |error| error.advice.as_str());
            format!(
                "{cause} Then POST {{\"resume\": true}} to /sync/{resource} continues it from its cursor; \
                 POST /sync/{resource}/stop gives it up."
            )
            .trim_start()
            .to_owned()
        }
        Status::Stopped if is_held => {
            "Its last invocation may still be sending. A new import can start shortly.".to_owned()
        }
        Status::Stopped => {
            format!("Nothing. A new import with POST /sync/{resource} starts from the beginning.")
        }
        Status::Completed => completed(resource, run),
    }
}

/// What to do about a run that was last worked on with another key than this app has.
pub(super) fn for_another_key(resource: Resource) -> String {
    format!(
        "It was last worked on with another klaviyo_auth_key. With a new one of the same account it goes on by itself; one \
         of another account leaves it alone: POST /sync/{resource}/continue says which it is."
    )
}

fn running(run: &RunDocument, is_held: bool, continuation: Continuation, now: Timestamp) -> String {
    let trouble = run.last_error.as_ref().map(|error| error.advice.as_str());
    let waits = run.not_before.filter(|&moment| moment > now && !is_held);
    match (trouble, waits, continuation) {
        (Some(trouble), _, _) => format!("It is being retried. {trouble}"),
        (None, Some(moment), Continuation::SelfCall) => {
            format!("Nothing. It continues by itself after {moment}.")
        }
        (None, Some(moment), Continuation::Scheduler) => {
            format!("Nothing. The scheduler's first call after {moment} continues it.")
        }
        (None, None, Continuation::Scheduler) if !is_held => {
            "Nothing. The scheduler's next call continues it.".to_owned()
        }
        (None, None, _) if is_held => "Nothing. It is being worked on.".to_owned(),
        (None, None, _) => "Nothing. Its next window is about to begin.".to_owned(),
    }
}

fn completed(resource: Resource, run: &RunDocument) -> String {
    if run.options.dry_run {
        return "Look at samples and setAside. Nothing has been sent; the same start without dryRun sends it.".to_owned();
    }
    let variants = run.variants.as_ref();
    let failed = run.counts.failed + variants.map_or(0, |variants| variants.failed);
    let noted = |note: Note| {
        let counts = [Some(&run.counts), variants];
        let notes = counts.into_iter().flatten();
        notes
            .filter_map(|counts| counts.notes.get(note.key()))
            .sum::<u64>()
    };
    let mut advice = Vec::new();
    match failed {
        0 => {}
        _ if run.options.delete_all => {
            advice.push("Look at the entries that setAside names, then delete again.".to_owned());
        }
        failed => advice.push(format!(
            "Klaviyo rejected {failed} records. Correct those that setAside names, then POST {{\"retryFailed\": true}} to \
             /sync/{resource}."
        )),
    }
    let earlier = run.remembered_failures.saturating_sub(failed);
    if earlier > 0 {
        advice.push(format!(
            "{earlier} records of earlier runs have failed: POST {{\"retryFailed\": true}} to /sync/{resource} imports them \
             again, {{\"dismissFailed\": true}} forgets them."
        ));
    }
    let unmarked: u64 = run.removals().map(|removal| removal.unmarked).sum();
    if unmarked > 0 {
        advice.push(format!(
            "{unmarked} entries are not in commercetools and do not say whose they are (removals names them): POST \
             {{\"prune\": true, \"pruneUnmarked\": true}} to /sync/{resource} removes them."
        ));
    }
    match noted(Note::LeftInKlaviyo) {
        0 => {}
        left => advice.push(format!(
            "{left} entries are still in Klaviyo: delete again."
        )),
    }
    match noted(Note::JobWithoutResult) {
        0 => {}
        jobs => advice.push(format!(
            "{jobs} of Klaviyo's jobs have no known result, and their records count as sent: look whether they are there, \
             and import again if not."
        )),
    }
    let skipped = run.counts.skipped_in_all() + variants.map_or(0, Counts::skipped_in_all);
    if skipped > 0 {
        let to_do = if advice.is_empty() {
            "Nothing has to be done. "
        } else {
            ""
        };
        advice.push(format!(
            "{to_do}{skipped} records cannot be sent as they are; setAside says why."
        ));
    }
    if advice.is_empty() {
        advice.push("Nothing.".to_owned());
    }
    advice.join(" ")
}

/// The advice about a plan.
pub(super) fn for_plan(plan: &Plan, looks_cut: bool) -> String {
    let those = |state: StepState| -> Vec<&str> {
        plan.steps
            .iter()
            .filter(|step| step.state == state)
            .map(|step| step.resource.name())
            .collect()
    };
    match plan.status {
        Status::Running if looks_cut => {
            "No invocation is advancing it. POST /sync/continue does; a scheduler that calls it does so by itself.".to_owned()
        }
        Status::Running => "Nothing. Each of its imports has advice of its own.".to_owned(),
        Status::Completed => "Nothing.".to_owned(),
        Status::Stopped => "Nothing. A new one with POST /sync starts from the beginning.".to_owned(),
        Status::Failed => {
            let mut advice = Vec::new();
            let failed = those(StepState::Failed);
            let left_out = [those(StepState::Omitted), those(StepState::Skipped)].concat();
            if !failed.is_empty() {
                advice.push(format!("See the advice of {}.", failed.join(" and ")));
            }
            if !left_out.is_empty() {
                let then = if failed.is_empty() { "" } else { "Then " };
                let left_out = serde_json::json!({"resources": left_out});
                advice.push(format!("{then}POST {left_out} to /sync imports what was left out."));
            }
            if advice.is_empty() {
                advice.push("Nothing. Some of its imports were stopped.".to_owned());
            }
            advice.join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::PlanOptions;
    use crate::run::state::{Cursor, LastError, Lease, RunOptions};
    use crate::time::later;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn run() -> RunDocument {
        RunDocument::start(
            Resource::Orders,
            "run".to_owned(),
            RunOptions::default(),
            Cursor::default(),
            NOW,
        )
    }

    fn advice(run: Option<&RunDocument>, looks_cut: bool, continuation: Continuation) -> String {
        for_run(Resource::Orders, run, looks_cut, continuation, NOW)
    }

    #[test]
    fn every_state_has_its_advice() {
        let by_itself = Continuation::SelfCall;
        assert!(advice(None, false, by_itself).contains("POST /sync/orders"));
        assert!(advice(Some(&run()), true, by_itself).contains("/sync/orders/continue"));
        assert_eq!(
            advice(Some(&run()), false, by_itself),
            "Nothing. Its next window is about to begin."
        );
        let held = RunDocument {
            lease: Some(Lease::begin(String::new(), NOW, Duration::from_secs(20))),
            ..run()
        };
        for continuation in [by_itself, Continuation::Scheduler] {
            assert_eq!(
                advice(Some(&held), false, continuation),
                "Nothing. It is being worked on."
            );
        }
        assert!(
            advice(Some(&run()), false, Continuation::Scheduler).contains("scheduler's next call")
        );
        let waiting = RunDocument {
            not_before: Some(later(NOW, Duration::from_secs(60))),
            ..run()
        };
        assert!(advice(Some(&waiting), false, by_itself).contains("1970-01-01T00:01:00Z"));
        assert!(
            advice(Some(&waiting), false, Continuation::Scheduler)
                .contains("scheduler's first call")
        );
        let error = LastError {
            at: NOW,
            message: String::new(),
            advice: "Mend it.".to_owned(),
            is_of_credentials: false,
            code: None,
        };
        let failed = RunDocument {
            status: Status::Failed,
            last_error: Some(error),
            ..run()
        };
        let text = advice(Some(&failed), false, by_itself);
        assert!(
            text.starts_with("Mend it. Then POST") && text.contains("resume"),
            "{text}"
        );
        let tried_again = RunDocument {
            status: Status::Running,
            ..failed
        };
        assert_eq!(
            advice(Some(&tried_again), false, by_itself),
            "It is being retried. Mend it."
        );
        let mut completed = run();
        completed.end(Status::Completed, NOW);
        assert_eq!(advice(Some(&completed), false, by_itself), "Nothing.");
        completed.counts.skipped.insert("not-found".to_owned(), 2);
        assert!(advice(Some(&completed), false, by_itself).contains("2 records cannot be sent"));
        completed.counts.failed = 3;
        let text = advice(Some(&completed), false, by_itself);
        assert!(
            text.contains("rejected 3 records") && text.contains("retryFailed"),
            "{text}"
        );
        completed.remembered_failures = 7;
        let text = advice(Some(&completed), false, by_itself);
        assert!(
            text.contains("4 records of earlier runs") && text.contains("dismissFailed"),
            "{text}"
        );
        completed.counts.note(Note::JobWithoutResult, 2);
        let variants = completed.variants.get_or_insert_default();
        variants.skipped.insert("no-sku".to_owned(), 5);
        let text = advice(Some(&completed), false, by_itself);
        assert!(text.contains("2 of Klaviyo's jobs"), "{text}");
        assert!(
            text.ends_with("7 records cannot be sent as they are; setAside says why."),
            "{text}"
        );
        completed.options.dry_run = true;
        assert!(advice(Some(&completed), false, by_itself).contains("samples"));
        let mut deletion = run();
        deletion.options.delete_all = true;
        deletion.counts.note(Note::LeftInKlaviyo, 3);
        deletion.end(Status::Completed, NOW);
        assert_eq!(
            advice(Some(&deletion), false, by_itself),
            "3 entries are still in Klaviyo: delete again."
        );
        let mut stopped = run();
        stopped.end(Status::Stopped, NOW);
        assert!(advice(Some(&stopped), false, by_itself).contains("from the beginning"));
        stopped.lease = Some(Lease {
            holder: String::new(),
            until: NOW,
            has_saved: false,
        });
        assert!(advice(Some(&stopped), false, by_itself).contains("may still be sending"));
    }

    #[test]
    fn every_state_of_a_plan_has_its_advice() {
        let resources = [
            Resource::Customers,
            Resource::Categories,
            Resource::Products,
        ];
        let mut plan = Plan::start("p".to_owned(), &resources, PlanOptions::default(), NOW);
        assert!(for_plan(&plan, false).starts_with("Nothing."));
        assert!(for_plan(&plan, true).contains("POST /sync/continue"));
        for (step, state) in [StepState::Failed, StepState::Failed, StepState::Skipped]
            .into_iter()
            .enumerate()
        {
            plan.steps[step].state = state;
        }
        plan.finish_if_over(NOW);
        assert_eq!(
            for_plan(&plan, false),
            "See the advice of customers and categories. Then POST {\"resources\":[\"products\"]} to /sync imports what \
             was left out."
        );
        for (step, state) in [StepState::Completed, StepState::Omitted, StepState::Skipped]
            .into_iter()
            .enumerate()
        {
            plan.steps[step].state = state;
        }
        assert_eq!(
            for_plan(&plan, false),
            "POST {\"resources\":[\"categories\",\"products\"]} to /sync imports what was left out."
        );
        for step in &mut plan.steps {
            step.state = StepState::Stopped;
        }
        assert!(for_plan(&plan, false).contains("were stopped"));
        for (status, said) in [
            (Status::Completed, "Nothing."),
            (Status::Stopped, "from the beginning"),
        ] {
            plan.status = status;
            assert!(for_plan(&plan, false).contains(said));
        }
    }
}
