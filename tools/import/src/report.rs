//! What is said at the end of an import.

use serde_json::{Value, json};

use crate::commands::Session;
use crate::ending::Code;
use crate::figures::grouped;
use crate::follow::Ended;
use crate::operator::{Plan, Resource, State, Status};
use crate::progress::{event, say};
use crate::table;

/// What became of an import, which may have been several runs of a resource.
#[derive(Debug, Default)]
pub(crate) struct Report {
    runs: Vec<(Resource, Vec<Status>)>,
    plan: Option<Plan>,
    /// What kept it from being whole.
    trouble: Vec<String>,
    /// What was said besides.
    notes: Vec<String>,
}

impl Report {
    /// Adds what has ended. Gives whether all of it completed.
    pub(crate) fn add(&mut self, ended: Ended) -> bool {
        for resource in &ended.replaced {
            self.trouble.push(format!(
                "{}: another run has begun in the meantime; what became of this one is not known",
                resource.name()
            ));
        }
        let mut completed = ended.replaced.is_empty();
        for (resource, run) in ended.runs {
            completed &= run.status == State::Completed;
            match self.runs.iter_mut().find(|(known, _)| *known == resource) {
                Some((_, runs)) => runs.push(run),
                None => self.runs.push((resource, vec![run])),
            }
        }
        for step in ended.plan.iter().flat_map(|plan| &plan.steps) {
            let is_left_out =
                matches!(step.state, State::Skipped | State::Omitted | State::Waiting);
            if is_left_out {
                completed = false;
                let note = step.note.as_deref().unwrap_or("the plan is over");
                let (name, state) = (step.resource.name(), step.state.name());
                self.trouble.push(format!("{name}: {state}; {note}"));
            }
        }
        self.plan = ended.plan.or(self.plan.take());
        completed
    }

    /// Something that keeps it from being whole.
    pub(crate) fn trouble(&mut self, text: String) {
        self.trouble.push(text);
    }

    /// Something to know.
    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Whether no run is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = &Status> {
        self.runs.iter().flat_map(|(_, runs)| runs)
    }

    /// The exit code.
    pub(crate) fn code(&self) -> Code {
        let completed = self.all().all(|run| run.status == State::Completed);
        let plan = self
            .plan
            .as_ref()
            .is_none_or(|plan| plan.status == State::Completed);
        if !completed || !plan || !self.trouble.is_empty() {
            Code::NotCompleted
        } else if self.all().any(|run| run.failed() > 0) {
            Code::RecordsFailed
        } else {
            Code::Done
        }
    }

    /// Says it: a report for people, or one object for machines.
    pub(crate) fn tell(&self, session: &Session<'_>) {
        let next = self.next(session);
        let code = self.code();
        if session.screen.is_json() {
            let runs: serde_json::Map<String, Value> = self
                .runs
                .iter()
                .map(|(resource, runs)| {
                    let raw = runs.iter().map(|run| run.raw.clone()).collect();
                    (resource.name().to_owned(), Value::Array(raw))
                })
                .collect();
            let members = json!({
                "runs": runs, "plan": self.plan, "trouble": self.trouble, "notes": self.notes, "next": next,
                "exitCode": code.number(),
            });
            return event("report", members);
        }
        if !self.runs.is_empty() {
            say("");
            say(&table::head());
        }
        for (resource, runs) in &self.runs {
            let run = merged(runs);
            let told = table::lines(resource.name(), &run);
            told.iter().for_each(|line| say(line));
        }
        for (resource, runs) in &self.runs {
            let told = table::set_aside(resource.name(), &merged(runs));
            told.iter().for_each(|line| say(line));
        }
        for sample in self.all().flat_map(|run| &run.samples) {
            say(&format!("sample      {sample}"));
        }
        for line in self.trouble.iter().chain(&self.notes).chain(&next) {
            say(line);
        }
        if code == Code::NotCompleted && session.app.is_here() {
            for line in session.app.latest_lines() {
                say(&format!("log         {line}"));
            }
        }
        say(match code {
            Code::Done => "Everything completed, and nothing failed.",
            Code::RecordsFailed => "Everything completed, but records failed.",
            _ => "Not everything completed.",
        });
    }

    /// What to do next, as commands.
    fn next(&self, session: &Session<'_>) -> Vec<String> {
        let mut next = Vec::new();
        for (resource, runs) in &self.runs {
            let name = resource.name();
            let run = merged(runs);
            match run.status {
                State::Failed => {
                    let removal = run.removal.as_ref().filter(|_| run.asks_for_confirmation());
                    let resume = match removal {
                        Some(removal) => {
                            format!("{name} --resume --confirm-removal {}", removal.count)
                        }
                        None => format!("{name} --resume"),
                    };
                    let what = removal.map_or_else(
                        || "goes on from its cursor".to_owned(),
                        |removal| {
                            format!("deletes these {} {}", grouped(removal.count), removal.kind)
                        },
                    );
                    next.push(format!(
                        "{name}: {} {what}; {} gives it up",
                        session.command(&resume),
                        session.command(&format!("stop {name}"))
                    ));
                }
                State::Completed if run.options.dry_run => {
                    next.push(format!(
                        "{name}: nothing was sent; the same without --dry-run sends it"
                    ));
                }
                State::Completed if run.failed() > 0 && run.options.delete_all => {
                    next.push(format!("{name}: look at these entries, then delete again"));
                }
                State::Completed if run.failed() > 0 => next.push(format!(
                    "{name}: Klaviyo rejected {}; correct them, then {} imports them again",
                    grouped(run.failed()),
                    session.command(&format!("{name} --retry-failed"))
                )),
                State::Completed if !run.advice.starts_with("Nothing") => {
                    next.push(format!("{name}: {}", run.advice));
                }
                _ => {}
            }
        }
        next
    }
}

/// Runs of one resource as if they had been one.
fn merged(runs: &[Status]) -> Status {
    let mut runs = runs.iter();
    let mut sum = runs.next().cloned().unwrap_or_default();
    for run in runs {
        sum.counts.add(&run.counts);
        if let Some(variants) = &run.variants {
            sum.variants.get_or_insert_default().add(variants);
        }
        sum.window += run.window;
        sum.set_aside.extend(run.set_aside.iter().cloned());
        sum.set_aside_omitted += run.set_aside_omitted;
        sum.status = run.status;
        sum.finished_at = run.finished_at;
        sum.last_error.clone_from(&run.last_error);
        sum.removal.clone_from(&run.removal);
        sum.advice.clone_from(&run.advice);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &str, failed: u64) -> (Resource, Status) {
        let run = json!({
            "status": status, "window": 2, "counts": {"read": 5, "failed": failed},
            "setAside": [{"id": "a", "outcome": "failed", "reason": "bad"}],
            "startedAt": "2026-08-01T10:00:00Z", "finishedAt": "2026-08-01T10:00:05Z",
        });
        (
            Resource::Customers,
            serde_json::from_value(run).expect("a run"),
        )
    }

    fn code(runs: Vec<(Resource, Status)>, plan: Value) -> Code {
        let mut report = Report::default();
        report.add(Ended {
            runs,
            plan: serde_json::from_value(plan).expect("a plan"),
            replaced: Vec::new(),
        });
        report.code()
    }

    #[test]
    fn the_exit_code_says_what_became_of_it() {
        let none = || Value::Null;
        assert_eq!(code(vec![run("completed", 0)], none()), Code::Done);
        assert_eq!(
            code(vec![run("completed", 0), run("completed", 1)], none()),
            Code::RecordsFailed
        );
        for status in ["failed", "stopped", "running"] {
            assert_eq!(
                code(vec![run(status, 1)], none()),
                Code::NotCompleted,
                "{status}"
            );
        }
        let step = |state: &str| json!({"resource": "orders", "state": state, "runId": "o1", "note": null});
        let plan = |status: &str, state: &str| json!({"planId": "x", "status": status, "steps": [step(state)]});
        assert_eq!(
            code(vec![run("completed", 0)], plan("completed", "completed")),
            Code::Done
        );
        assert_eq!(
            code(vec![run("completed", 0)], plan("failed", "omitted")),
            Code::NotCompleted
        );
    }

    #[test]
    fn a_run_that_made_way_is_not_taken_for_completed() {
        let mut report = Report::default();
        let replaced = vec![Resource::Orders];
        assert!(!report.add(Ended {
            replaced,
            ..Ended::default()
        }));
        assert_eq!(report.code(), Code::NotCompleted);
    }

    #[test]
    fn several_runs_have_one_report() {
        let runs = [run("completed", 1).1, run("stopped", 2).1];
        let sum = merged(&runs);
        assert_eq!((sum.counts.read, sum.counts.failed, sum.window), (10, 3, 4));
        assert_eq!((sum.status, sum.set_aside.len()), (State::Stopped, 2));
    }
}
