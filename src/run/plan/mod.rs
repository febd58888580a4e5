//! Imports of several resources in the right order.
//!
//! A plan is a document of its own beside the run documents, and holds no more than they cannot tell: which resources,
//! with which options, and how far it has come. Each of its runs has an id that follows from the plan's, so that a run
//! is begun once, however often and by whomever the plan is advanced.
//!
//! - Products need categories: Klaviyo refuses an item with a category that it does not know. Where the categories of
//!   a plan were not imported, its products are left out.
//! - Orders come after customers, so that a profile has its name before its first event, but they do not need them: an
//!   event makes the profile that it lacks. Orders are imported even where the customers failed.
//! - The two pairs go side by side.
//! - What comes after a run that was stopped is left out: whoever stops one does not ask for another.

pub mod advance;
pub mod begin;

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::start::{NotStarted, PlannedRun, Since, StartRequest};
use super::state::{Destination, Resource, RunDocument, RunOptions, Status};
use super::store::Persisted;
use crate::error::Action;

/// The plan's key, beside those of the resources.
pub const KEY: &str = "plan";
/// The version of the document that this code writes. It reads those from [`OLDEST_SCHEMA`] on, and refuses to touch any
/// other.
pub const SCHEMA: u32 = 2;
/// The earliest version of the document that this code reads.
pub const OLDEST_SCHEMA: u32 = 1;

/// The state of a step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Its run is going on.
    Running,
    /// Its run has completed.
    Completed,
    /// Its run has failed, or could not be begun.
    Failed,
    /// Its run was stopped.
    Stopped,
    /// Not begun: what it comes after was not imported, or an import of its kind was going on.
    Skipped,
    /// Left out from the beginning: its changes were asked for, and no import of all of it has completed that they could
    /// be looked for since.
    Omitted,
}

impl StepState {
    fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    fn of(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Stopped => Self::Stopped,
        }
    }
}

/// One resource of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// What is imported.
    pub resource: Resource,
    /// How it stands.
    pub state: StepState,
    /// Why it stands so, where that needs saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What all runs of a plan are started with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanOptions {
    /// Only changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// Nothing is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The events of orders are to trigger flows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trigger_flows: bool,
    /// What Klaviyo has of this project and commercetools no longer has is removed from the catalog.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune: bool,
    /// As [`RunOptions::prune_unmarked`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prune_unmarked: bool,
    /// Documents that name another Klaviyo account are taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Names the plan.
    pub plan_id: String,
    /// How it stands; failed where any of its steps has not completed.
    pub status: Status,
    /// What its runs are started with.
    pub options: PlanOptions,
    /// Its resources.
    pub steps: Vec<Step>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When the document was last written.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// As [`RunDocument::destination`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// As [`RunDocument::write_id`].
    pub write_id: String,
    /// As [`RunDocument::object_id`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
}

impl Persisted for Plan {
    fn key(&self) -> &'static str {
        KEY
    }

    fn schema(&self) -> u32 {
        self.schema
    }

    fn readable() -> RangeInclusive<u32> {
        OLDEST_SCHEMA..=SCHEMA
    }

    fn upgrade(&mut self) {
        self.schema = SCHEMA;
    }

    fn write_id(&self) -> &str {
        &self.write_id
    }

    fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// Each resource has one step.
    fn is_sound(&self) -> bool {
        let of = |resource| {
            self.steps
                .iter()
                .filter(move |step| step.resource == resource)
        };
        Resource::ALL
            .into_iter()
            .all(|resource| of(resource).count() <= 1)
    }

    fn disown(&mut self) {
        self.stop(self.updated_at);
    }

    fn stamp(&mut self, now: Timestamp, write_id: String, object_id: Option<String>) {
        self.updated_at = now;
        self.write_id = write_id;
        self.object_id = object_id;
    }
}

/// What has to be over before a resource is imported, and whether it has to have gone well.
fn needs(resource: Resource) -> Option<(Resource, bool)> {
    match resource {
        Resource::Products => Some((Resource::Categories, true)),
        Resource::Orders => Some((Resource::Customers, false)),
        Resource::Categories | Resource::Customers => None,
    }
}

impl Plan {
    /// A plan that begins.
    #[must_use]
    pub fn start(
        plan_id: String,
        resources: &[Resource],
        options: PlanOptions,
        now: Timestamp,
    ) -> Self {
        let wanted = Resource::ALL
            .into_iter()
            .filter(|resource| resources.contains(resource));
        let steps = wanted
            .map(|resource| Step {
                resource,
                state: StepState::Waiting,
                note: None,
            })
            .collect();
        Self {
            schema: SCHEMA,
            plan_id,
            status: Status::Running,
            options,
            steps,
            started_at: now,
            updated_at: now,
            finished_at: None,
            destination: None,
            write_id: String::new(),
            object_id: None,
        }
    }

    /// Ends the plan: after this no run of it begins and none of its windows is claimed. `false` where it has ended
    /// already.
    pub fn stop(&mut self, now: Timestamp) -> bool {
        let is_running = self.status == Status::Running;
        if is_running {
            self.status = Status::Stopped;
            self.finished_at = Some(now);
        }
        is_running
    }

    /// The id of the run of a resource.
    #[must_use]
    pub fn run_id(&self, resource: Resource) -> String {
        format!("{}-{resource}", self.plan_id)
    }

    /// What the run of a resource is started with.
    #[must_use]
    pub fn request(&self, resource: Resource) -> StartRequest {
        let trigger_flows = self.options.trigger_flows && resource == Resource::Orders;
        StartRequest {
            options: RunOptions {
                trigger_flows,
                dry_run: self.options.dry_run,
                prune: self.options.prune && resource.is_of_catalog(),
                prune_unmarked: self.options.prune_unmarked && resource.is_of_catalog(),
                ..RunOptions::default()
            },
            since: self.options.since,
            retry_failed: false,
            adopt: self.options.adopt,
            plan: Some(PlannedRun {
                plan_id: self.plan_id.clone(),
                run_id: self.run_id(resource),
                destination: self.destination.clone(),
            }),
        }
    }

    /// Whether nothing is imported: then nothing depends on anything else.
    fn only_prunes(&self) -> bool {
        self.options.prune && self.options.since.is_none()
    }

    fn state(&self, resource: Resource) -> Option<StepState> {
        self.steps
            .iter()
            .find(|step| step.resource == resource)
            .map(|step| step.state)
    }

    /// Updates the plan with the status of the run of a resource.
    pub fn observe(&mut self, resource: Resource, document: Option<&RunDocument>) {
        let run_id = self.run_id(resource);
        let Some(step) = self.steps.iter_mut().find(|step| step.resource == resource) else {
            return;
        };
        let report = document.and_then(|document| document.last_report.as_ref());
        let status = match document {
            Some(document) if document.run_id == run_id => Some(document.status),
            _ => report
                .filter(|report| report.run_id == run_id)
                .map(|report| report.status),
        };
        match status {
            Some(status) if step.state != StepState::of(status) => {
                step.state = StepState::of(status);
                step.note = None;
            }
            None if step.state == StepState::Running => {
                step.state = StepState::Stopped;
                step.note = Some("its run is gone: others have begun and ended since".to_owned());
            }
            _ => {}
        }
    }

    /// The resources whose turn it is. What will never have its turn is skipped.
    pub fn due(&mut self) -> Vec<Resource> {
        let mut due = Vec::new();
        for number in 0..self.steps.len() {
            let Step {
                resource, state, ..
            } = self.steps[number];
            let needed = needs(resource)
                .filter(|_| !self.only_prunes())
                .and_then(|(other, well)| Some((other, well, self.state(other)?)))
                .filter(|(_, _, needed)| *needed != StepState::Omitted);
            let note = match needed {
                _ if state != StepState::Waiting => continue,
                Some((_, _, needed)) if !needed.is_over() => continue,
                Some((other, true, needed)) if needed != StepState::Completed => {
                    format!("needs {other}, which were not imported")
                }
                // whoever stops one import does not ask for another
                Some((other, false, StepState::Stopped)) => {
                    format!("comes after {other}, which were stopped")
                }
                _ => {
                    due.push(resource);
                    continue;
                }
            };
            let step = &mut self.steps[number];
            step.state = StepState::Skipped;
            step.note = Some(note);
        }
        due
    }

    /// Ends the plan where all its steps are over.
    pub fn finish_if_over(&mut self, now: Timestamp) {
        if self.status == Status::Running && self.steps.iter().all(|step| step.state.is_over()) {
            let went_well = self
                .steps
                .iter()
                .all(|step| step.state == StepState::Completed);
            self.status = if went_well {
                Status::Completed
            } else {
                Status::Failed
            };
            self.finished_at = Some(now);
        }
    }

    pub(super) fn set_step(&mut self, resource: Resource, state: StepState, note: Option<String>) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.resource == resource) {
            step.state = state;
            step.note = note;
        }
    }

    /// The resources that the plan leaves out because this one was stopped, or was not imported.
    #[must_use]
    pub fn left_out_with(&self, stopped: Resource) -> Vec<Resource> {
        let followers = self.steps.iter().filter(|step| {
            let comes_after = needs(step.resource).is_some_and(|(other, _)| other == stopped);
            comes_after && step.state == StepState::Skipped
        });
        followers.map(|step| step.resource).collect()
    }

    /// Updates the plan, before it begins, with why a run cannot: the run is left out if the plan would have to wait for
    /// it.
    pub(super) fn leave_out(&mut self, resource: Resource, reason: NotStarted) {
        let (state, note) = match reason {
            NotStarted::NoLastRun => (
                StepState::Omitted,
                "no import of all of it has completed yet, so there is no last run",
            ),
            NotStarted::Locked(run) if run.status != Status::Failed => (
                StepState::Skipped,
                "another import of this kind was going on",
            ),
            reason => return self.not_started(resource, reason),
        };
        self.set_step(resource, state, Some(note.to_owned()));
    }

    /// Updates the plan with why a run has not begun.
    pub(super) fn not_started(&mut self, resource: Resource, reason: NotStarted) {
        let (state, note) = match reason {
            NotStarted::Locked(document) if document.run_id == self.run_id(resource) => {
                (StepState::of(document.status), None)
            }
            NotStarted::Locked(document) if document.status == Status::Failed => (
                StepState::Failed,
                Some("an earlier run has failed: resume it or stop it".to_owned()),
            ),
            NotStarted::Locked(_) | NotStarted::Outrun => (
                StepState::Waiting,
                Some("waits for the end of another import of this kind".to_owned()),
            ),
            NotStarted::Api(error)
                if matches!(
                    error.action(),
                    Action::Retry | Action::RetryForAWhile | Action::Wait | Action::AskForLess
                ) =>
            {
                (StepState::Waiting, Some(error.to_string()))
            }
            NotStarted::Api(error) => (
                StepState::Failed,
                Some(format!("{error}. {}", error.advice())),
            ),
            NotStarted::OtherDestination(other) => (
                StepState::Failed,
                Some(format!("{other}. {}", other.advice())),
            ),
            NotStarted::NoLastRun => (
                StepState::Failed,
                Some("no run has completed yet whose changes could be looked for".to_owned()),
            ),
            // what a plan does not ask for
            NotStarted::NothingFailed { .. }
            | NotStarted::NothingToResume
            | NotStarted::GoingOn(_) => (StepState::Failed, None),
        };
        self.set_step(resource, state, note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::Cursor;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn plan(resources: &[Resource]) -> Plan {
        Plan::start("p".to_owned(), resources, PlanOptions::default(), NOW)
    }

    fn run(plan: &Plan, resource: Resource, status: Status) -> RunDocument {
        let mut document = RunDocument::start(
            resource,
            plan.run_id(resource),
            RunOptions::default(),
            Cursor::default(),
            NOW,
        );
        if status != Status::Running {
            document.end(status, NOW);
        }
        document
    }

    fn ended(plan: &mut Plan, resource: Resource, status: Status) {
        let document = run(plan, resource, status);
        plan.observe(resource, Some(&document));
    }

    #[test]
    fn the_pairs_go_side_by_side_and_each_in_order() {
        let mut plan = plan(&Resource::ALL);
        assert_eq!(plan.due(), [Resource::Customers, Resource::Categories]);
        ended(&mut plan, Resource::Customers, Status::Running);
        ended(&mut plan, Resource::Categories, Status::Completed);
        assert_eq!(plan.due(), [Resource::Products]);
        ended(&mut plan, Resource::Products, Status::Completed);
        ended(&mut plan, Resource::Customers, Status::Completed);
        assert_eq!(plan.due(), [Resource::Orders]);
        plan.finish_if_over(NOW);
        assert_eq!(plan.status, Status::Running);
        ended(&mut plan, Resource::Orders, Status::Completed);
        assert_eq!(plan.due(), []);
        plan.finish_if_over(NOW);
        assert_eq!(plan.status, Status::Completed);
    }

    #[test]
    fn a_failure_keeps_only_those_from_running_that_need_it() {
        let mut plan = plan(&Resource::ALL);
        ended(&mut plan, Resource::Customers, Status::Failed);
        ended(&mut plan, Resource::Categories, Status::Failed);
        assert_eq!(plan.due(), [Resource::Orders]);
        assert_eq!(plan.state(Resource::Products), Some(StepState::Skipped));
        ended(&mut plan, Resource::Orders, Status::Completed);
        plan.finish_if_over(NOW);
        assert_eq!(plan.status, Status::Failed);
    }

    #[test]
    fn what_comes_after_a_run_that_was_stopped_does_not_begin() {
        let mut plan = plan(&Resource::ALL);
        ended(&mut plan, Resource::Customers, Status::Stopped);
        ended(&mut plan, Resource::Categories, Status::Stopped);
        assert_eq!(plan.due(), []);
        assert_eq!(plan.left_out_with(Resource::Customers), [Resource::Orders]);
        assert_eq!(
            plan.left_out_with(Resource::Categories),
            [Resource::Products]
        );
        let note = plan.steps[1].note.as_deref();
        assert_eq!(note, Some("comes after customers, which were stopped"));
    }

    #[test]
    fn what_is_left_out_from_the_beginning_is_not_waited_for() {
        let mut plan = plan(&[Resource::Categories, Resource::Products]);
        plan.leave_out(Resource::Categories, NotStarted::NoLastRun);
        assert_eq!(plan.due(), [Resource::Products]);
        let failed = run(&plan, Resource::Categories, Status::Failed);
        plan.leave_out(Resource::Categories, NotStarted::Locked(Box::new(failed)));
        assert_eq!(plan.due(), []);
        assert_eq!(plan.state(Resource::Products), Some(StepState::Skipped));
    }

    #[test]
    fn what_is_not_part_of_the_plan_is_not_waited_for() {
        assert_eq!(
            plan(&[Resource::Products, Resource::Orders]).due(),
            [Resource::Orders, Resource::Products]
        );
    }

    #[test]
    fn a_failed_run_that_is_resumed_goes_on_in_its_plan() {
        let mut plan = plan(&[Resource::Categories, Resource::Customers]);
        ended(&mut plan, Resource::Categories, Status::Failed);
        ended(&mut plan, Resource::Categories, Status::Running);
        assert_eq!(plan.state(Resource::Categories), Some(StepState::Running));
    }

    #[test]
    fn a_run_that_others_have_followed_is_known_by_its_report() {
        let mut plan = plan(&[Resource::Categories]);
        let document = run(&plan, Resource::Categories, Status::Completed);
        let other = |previous: RunDocument| {
            let mut next = run(&plan, Resource::Categories, Status::Running);
            next.run_id = "other".to_owned();
            next.inherit_from(previous);
            next
        };
        let next = other(document);
        let after_next = other(next.clone());
        ended(&mut plan, Resource::Categories, Status::Running);
        plan.observe(Resource::Categories, Some(&next));
        assert_eq!(plan.state(Resource::Categories), Some(StepState::Completed));
        ended(&mut plan, Resource::Categories, Status::Running);
        plan.observe(Resource::Categories, Some(&after_next));
        assert_eq!(plan.state(Resource::Categories), Some(StepState::Stopped));
    }
}
