//! What passes from one run to the next, from one account to another, and what does not.

use std::time::Duration;

use jiff::Timestamp;

use super::destination::Destination;
use super::document::{RunDocument, SCHEMA};
use super::failures::Failures;
use super::last_error::REMOVAL_UNCONFIRMED;
use super::lease::Lease;
use super::options::RunOptions;
use super::removal::{Removal, RemovalKind};
use super::resource::Resource;
use super::set_aside::Outcome;
use super::status::Status;
use crate::config::MAX_WINDOW_SECONDS;
use crate::time::later;

/// How long a job of the catalog takes at most: the longest that was recorded took 274 s, and this is twice as long.
const LONGEST_JOB: Duration = Duration::from_secs(600);
/// The first schema that counts the failed records which are remembered.
const REMEMBERS_FAILURES: u32 = 2;

impl RunDocument {
    /// A run that stopped before its removals counts them once more when it is taken up.
    pub(super) fn count_removals_again(&mut self) {
        let code = self
            .last_error
            .as_ref()
            .and_then(|error| error.code.as_deref());
        if code == Some(REMOVAL_UNCONFIRMED)
            && let Some(removal) = &mut self.removal
        {
            removal.count_again();
        }
    }

    /// A record has changed without being modified: it is read, too.
    pub fn note_changed(&mut self, id: String) {
        let changes = self.changes.get_or_insert_default();
        let is_new = changes.note(id);
        if changes.is_everywhere {
            self.total = None;
            self.total_is_at_least = false;
        } else if let Some(total) = &mut self.total {
            *total += u64::from(is_new);
        }
    }

    /// What is found to be removed of this kind. What was found of another kind is kept.
    pub fn removal_of(&mut self, kind: RemovalKind) -> &mut Removal {
        let of_another = self.removal.take_if(|removal| removal.kind != kind);
        let found = of_another.filter(Removal::has_found);
        self.earlier_removals.extend(found);
        self.removal.get_or_insert_with(|| Removal::of_kind(kind))
    }

    /// What is found to be removed, of each kind.
    pub fn removals(&self) -> impl Iterator<Item = &Removal> {
        self.earlier_removals.iter().chain(&self.removal)
    }

    /// Whether the run reads all records that there are, to send them.
    #[must_use]
    pub fn reads_everything(&self) -> bool {
        self.options
            == RunOptions {
                trigger_flows: self.options.trigger_flows,
                ..RunOptions::default()
            }
    }

    /// Converts a document of an earlier schema.
    pub fn upgrade(&mut self) {
        if self.schema < REMEMBERS_FAILURES {
            let named = self
                .set_aside
                .iter()
                .filter(|record| record.outcome == Outcome::Failed && record.id.is_some());
            self.named_failures = named.count() as u64;
            self.remembered_failures = self.counts.failed;
        }
        self.schema = SCHEMA;
    }

    /// The records that the run before this one could not bring into Klaviyo, as far as its report names them.
    #[must_use]
    pub fn earlier_failures(&self) -> Failures {
        let report = self
            .last_report
            .as_ref()
            .filter(|report| !report.delete_all && !report.prune);
        report.map_or_else(Failures::default, |report| {
            Failures::listed(&report.set_aside, &report.counts, report.variants.as_ref())
        })
    }

    /// The records that the run could not bring into Klaviyo, or the run before it where this one was a dry run.
    #[must_use]
    pub fn failures(&self) -> Failures {
        match &self.last_report {
            // what could not be deleted is no record of commercetools
            _ if !self.options.imports() => Failures::default(),
            Some(_) if self.options.dry_run => self.earlier_failures(),
            _ => Failures::listed(&self.set_aside, &self.counts, self.variants.as_ref()),
        }
    }

    /// Takes over what stays from run to run. A dry run's report does not take the place of a real one.
    pub fn inherit_from(&mut self, previous: Self) {
        // a deletion takes away what earlier runs have brought
        self.up_to_date_since = previous
            .up_to_date_since
            .filter(|_| !self.options.delete_all);
        // earlier versions left unpublished products where they were
        self.without_unpublished_since = previous
            .without_unpublished_since
            .or(previous.up_to_date_since);
        self.remembered_failures = previous.remembered_failures;
        self.recent_calls = previous.recent_calls.clone();
        // a dry run has waited for nothing
        self.earlier_jobs_until = previous
            .leaves_jobs_until()
            .max(previous.earlier_jobs_until);
        self.last_report = match previous.last_report {
            Some(report) if previous.options.dry_run => Some(report),
            _ => Some(previous.report()),
        };
    }

    /// Until when Klaviyo may work on jobs of the run, which was ended before they were.
    fn leaves_jobs_until(&self) -> Option<Timestamp> {
        let is_cut_off = self.status == Status::Stopped && self.resource.is_of_catalog();
        let ended = self.finished_at.filter(|_| is_cut_off);
        ended.map(|ended| later(ended, LONGEST_JOB))
    }

    /// Whether Klaviyo has everything that was modified before this run began, once it has completed. A run of what was
    /// modified since a later moment than the last such run leaves a gap.
    pub(super) fn brings_up_to_date(&self) -> bool {
        let options = &self.options;
        let leaves_gap = options
            .since
            .is_some_and(|since| self.up_to_date_since.is_some_and(|known| since > known));
        options.ids.is_none()
            && options.start_id.is_none()
            && !options.dry_run
            && options.imports()
            && !self.is_adopted
            && !leaves_gap
    }

    /// Whether Klaviyo has no product that was unpublished before this run began, once it has completed: one of changes, a
    /// prune, or the first one.
    pub(super) fn takes_out_unpublished(&self) -> bool {
        let options = &self.options;
        let is_first = self.without_unpublished_since.is_none() && self.brings_up_to_date();
        let looks_for_them = options.since.is_some() || options.prune;
        self.resource == Resource::Products && !options.dry_run && (looks_for_them || is_first)
    }

    /// Another account takes the document over: a run that was going on is over, and what it and those before it have
    /// brought is not in that account.
    pub fn give_away(&mut self, now: Timestamp) {
        if self.is_going_on() {
            self.end(Status::Stopped, now);
        }
        self.up_to_date_since = None;
        self.without_unpublished_since = None;
    }

    /// The run feeds another account from here on: what is known of the former one is not so of this.
    pub fn adopt(&mut self, destination: Destination) {
        self.destination = Some(destination);
        self.is_adopted = true;
        self.up_to_date_since = None;
    }

    /// Takes the document for what it is where it was written by somebody whose own document has been deleted: its run is
    /// over, and whose document it is shows when that one writes again, which it does within its lease.
    pub fn disown(&mut self) {
        self.end(Status::Stopped, self.updated_at);
        self.lease = Some(Lease::begin(
            String::new(),
            self.updated_at,
            Duration::from_secs(MAX_WINDOW_SECONDS),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::cursor::Cursor;
    use crate::run::state::document::MAX_SET_ASIDE;
    use crate::run::state::options::RunOptions;
    use crate::run::state::report;
    use crate::run::state::resource::Resource;
    use crate::run::state::set_aside::SetAside;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn only_a_run_without_gaps_brings_up_to_date() {
        let since = |second| RunOptions {
            since: Some(at(second)),
            ..RunOptions::default()
        };
        let ended = |options: RunOptions, known: Option<Timestamp>| {
            let mut document = RunDocument::start(
                Resource::Orders,
                "run".to_owned(),
                options,
                Cursor::default(),
                at(50),
            );
            document.up_to_date_since = known;
            document.end(Status::Completed, at(60));
            document.up_to_date_since
        };
        assert_eq!(ended(RunOptions::default(), None), Some(at(50)));
        assert_eq!(ended(since(9), Some(at(10))), Some(at(50)));
        assert_eq!(ended(since(11), Some(at(10))), Some(at(10)));
        assert_eq!(
            ended(
                RunOptions {
                    ids: Some(Vec::new()),
                    ..RunOptions::default()
                },
                Some(at(10))
            ),
            Some(at(10))
        );
        assert_eq!(
            ended(
                RunOptions {
                    dry_run: true,
                    ..RunOptions::default()
                },
                None
            ),
            None
        );
        assert_eq!(
            ended(
                RunOptions {
                    start_id: Some(String::new()),
                    ..RunOptions::default()
                },
                None
            ),
            None
        );
    }

    fn finished(options: RunOptions, failed: usize) -> RunDocument {
        let mut document = RunDocument::start(
            Resource::Orders,
            "run".to_owned(),
            options,
            Cursor::default(),
            at(0),
        );
        for number in 0..failed {
            for outcome in [Outcome::Skipped, Outcome::Failed] {
                document.set_aside(SetAside {
                    id: Some(format!("id-{number:03}")),
                    outcome,
                    reason: String::new(),
                });
            }
            document.counts.failed += 1;
        }
        document.end(Status::Completed, at(60));
        document
    }

    #[test]
    fn a_report_is_bounded_and_names_failures_before_what_was_skipped() {
        let report = finished(RunOptions::default(), 80).report();
        assert_eq!(
            (report.set_aside.len(), report.set_aside_omitted),
            (report::MAX_SET_ASIDE, 60)
        );
        let failed = report
            .set_aside
            .iter()
            .filter(|record| record.outcome == Outcome::Failed)
            .count();
        assert_eq!(failed, 80);
    }

    #[test]
    fn a_dry_run_does_not_hide_the_failures_of_the_run_before_it() {
        let real = finished(RunOptions::default(), 3);
        let options = RunOptions {
            dry_run: true,
            ..RunOptions::default()
        };
        let mut dry = finished(options, 0);
        dry.inherit_from(real.clone());
        assert_eq!(dry.failures(), real.failures());
        let mut next = finished(RunOptions::default(), 0);
        next.inherit_from(dry);
        assert_eq!(next.last_report, Some(real.report()));
    }

    #[test]
    fn failures_that_the_report_has_no_room_for_are_counted() {
        let document = finished(RunOptions::default(), MAX_SET_ASIDE + 50);
        let failures = document.failures();
        assert_eq!((failures.ids.len(), failures.unnamed), (MAX_SET_ASIDE, 50));
    }
}
