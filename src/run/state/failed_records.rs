//! The failed records of one resource, in a custom object beside the run document: remembered from run to run, until a
//! run that has completed has sent them, or somebody dismisses them.
//!
//! Each id is in `remembered` or in `failed`, or in both, and all sets only grow while a run goes on, so that a window
//! whose work is done again changes nothing twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::counts::MAX_COUNT;
use super::document::RunDocument;
use super::failures::{FailureNews, Failures};
use super::resource::Resource;

/// The version of the document that this code writes and reads.
pub const FAILED_RECORDS_SCHEMA: u32 = 1;
/// The most ids that are remembered: about 400 KB of the document.
pub const MAX_REMEMBERED: usize = 10_000;

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailedRecords {
    /// [`FAILED_RECORDS_SCHEMA`].
    pub schema: u32,
    /// Whose records.
    pub resource: Resource,
    /// The run that wrote it last.
    pub run_id: String,
    /// When the document was last written.
    pub updated_at: Timestamp,
    /// Ids of records that failed in earlier runs.
    #[serde(default)]
    pub remembered: BTreeSet<String>,
    /// Those of them that the run has read again. They are forgotten when it completes.
    #[serde(default)]
    pub read: BTreeSet<String>,
    /// Ids of records that failed in the run.
    #[serde(default)]
    pub failed: BTreeSet<String>,
    /// Orders: those whose run triggered flows, of all ids.
    #[serde(default)]
    pub with_flows: BTreeSet<String>,
    /// Failed records of earlier runs that are not named: there was no room, or no id.
    #[serde(default)]
    pub unnamed: u64,
    /// Failed records of the run that are not named.
    #[serde(default)]
    pub unnamed_of_run: u64,
    /// Changes with every write.
    #[serde(default)]
    pub write_id: String,
    /// The custom object that the writer took the document to be in; absent where the write created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
}

impl FailedRecords {
    /// Whether its numbers can be ours: those of a document that is written by hand can be anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.unnamed <= MAX_COUNT && self.unnamed_of_run <= MAX_COUNT
    }

    /// Before anything is known but the run document, which may be an earlier version's: what its report names.
    #[must_use]
    pub fn from_report(run: &RunDocument) -> Self {
        let own = run.failures();
        let (earlier, failed) = match run.is_completed() {
            true => (own, Failures::default()),
            false => (run.earlier_failures(), own),
        };
        Self {
            schema: FAILED_RECORDS_SCHEMA,
            resource: run.resource,
            run_id: run.run_id.clone(),
            updated_at: run.updated_at,
            remembered: earlier.ids.into_iter().collect(),
            read: BTreeSet::new(),
            failed: failed.ids.into_iter().collect(),
            with_flows: BTreeSet::new(),
            unnamed: earlier.unnamed,
            unnamed_of_run: failed.unnamed,
            write_id: String::new(),
            object_id: None,
        }
    }

    /// How many failed records there are, as far as they are known.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ids().count() as u64 + self.unnamed()
    }

    /// Those that are not named.
    #[must_use]
    pub fn unnamed(&self) -> u64 {
        self.unnamed + self.unnamed_of_run
    }

    /// The ids of all, in order.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.remembered.union(&self.failed)
    }

    /// What it says when a run begins, before that has anything to add.
    #[must_use]
    pub fn as_of(&self, run: &RunDocument) -> Self {
        let mut document = self.clone();
        if document.run_id != run.run_id {
            document.begin(&run.run_id);
        }
        document
    }

    /// Whether a run that came after this one has written it.
    #[must_use]
    pub fn is_of_later_run(&self, run: &RunDocument) -> bool {
        let earlier = run.last_report.as_ref().map(|report| &report.run_id);
        // run ids begin with the time of the start
        self.run_id > run.run_id && Some(&self.run_id) != earlier
    }

    /// Takes over what a run knows. Once it has completed, what it has read again is forgotten; if it read all records,
    /// also what it did not meet, because that does not exist any more.
    pub fn take(&mut self, run: &RunDocument, news: &FailureNews) {
        if self.run_id != run.run_id {
            self.begin(&run.run_id);
        }
        let mut count = self.ids().count();
        for id in &news.failed {
            let is_known = self.remembered.contains(id) || self.failed.contains(id);
            if !is_known && count >= MAX_REMEMBERED {
                continue;
            }
            count += usize::from(!is_known);
            self.failed.insert(id.clone());
            if run.options.trigger_flows {
                self.with_flows.insert(id.clone());
            }
        }
        let met = news.read.iter().filter(|id| self.remembered.contains(*id));
        self.read.extend(met.cloned());
        let failed = run.counts.failed + run.variants.as_ref().map_or(0, |counts| counts.failed);
        self.unnamed_of_run = failed.saturating_sub(run.named_failures);
        if count >= MAX_REMEMBERED {
            self.unnamed_of_run += run.named_failures.saturating_sub(self.failed.len() as u64);
        }
        if run.is_completed() {
            self.complete(run.reads_everything());
        }
    }

    /// The run before is over without having completed: what failed in it is remembered, what it has read again stays.
    fn begin(&mut self, run_id: &str) {
        run_id.clone_into(&mut self.run_id);
        self.remembered.append(&mut self.failed);
        self.read.clear();
        self.unnamed += std::mem::take(&mut self.unnamed_of_run);
    }

    /// What the run knows of its own failures stays where it is: if this window is worked again, because the run document
    /// could not be saved, it completes the run once more.
    fn complete(&mut self, has_read_everything: bool) {
        if has_read_everything {
            self.remembered.clear();
            self.unnamed = 0;
        } else {
            let read = &self.read;
            self.remembered.retain(|id| !read.contains(id));
        }
        self.read.clear();
        let (remembered, failed) = (&self.remembered, &self.failed);
        let is_known = |id: &String| remembered.contains(id) || failed.contains(id);
        self.with_flows.retain(is_known);
    }

    /// Forgets all; returns how many there were.
    pub fn dismiss(&mut self) -> u64 {
        let count = self.count();
        for ids in [
            &mut self.remembered,
            &mut self.read,
            &mut self.failed,
            &mut self.with_flows,
        ] {
            ids.clear();
        }
        self.unnamed = 0;
        self.unnamed_of_run = 0;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::state::cursor::Cursor;
    use crate::run::state::options::RunOptions;
    use crate::run::state::status::Status;

    fn run(name: &str, options: RunOptions) -> RunDocument {
        let resource = Resource::Orders;
        let now = Timestamp::UNIX_EPOCH;
        RunDocument::start(resource, name.to_owned(), options, Cursor::default(), now)
    }

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    fn news(failed: &[&str], read: &[&str]) -> FailureNews {
        FailureNews {
            failed: set(failed),
            read: set(read),
        }
    }

    fn ids(known: &FailedRecords) -> Vec<&str> {
        known.ids().map(String::as_str).collect()
    }

    fn since() -> RunOptions {
        RunOptions {
            since: Some(Timestamp::UNIX_EPOCH),
            ..RunOptions::default()
        }
    }

    /// What is known after a run of everything in which a, b and c failed.
    fn known() -> FailedRecords {
        let mut first = run("1", RunOptions::default());
        let mut known = FailedRecords::from_report(&first);
        known.take(&first, &news(&["a", "b", "c"], &[]));
        first.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&first, &FailureNews::default());
        assert_eq!(ids(&known), ["a", "b", "c"]);
        known
    }

    #[test]
    fn what_is_read_again_is_forgotten_when_its_run_has_completed() {
        let mut known = known();
        let mut second = run("2", since());
        known.take(&second, &news(&["d"], &["a", "b"]));
        known.take(&second, &news(&["b"], &["b", "x"]));
        let all: Vec<&String> = known.ids().collect();
        assert_eq!(all, ["a", "b", "c", "d"], "the run has not completed");
        let twice = {
            let mut known = known.clone();
            known.take(&second, &news(&["b"], &["b"]));
            known
        };
        assert_eq!(twice, known, "news that come twice change nothing");
        second.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&second, &FailureNews::default());
        assert_eq!(ids(&known), ["b", "c", "d"]);
        assert_eq!(known.count(), 3);
    }

    #[test]
    fn what_a_run_of_everything_does_not_meet_does_not_exist() {
        let mut known = known();
        let mut second = run("2", RunOptions::default());
        known.take(&second, &news(&["b"], &["a", "b"]));
        second.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&second, &FailureNews::default());
        assert_eq!(ids(&known), ["b"]);
    }

    #[test]
    fn a_run_that_completes_twice_loses_nothing() {
        let mut known = known();
        let mut second = run("2", RunOptions::default());
        known.take(&second, &news(&["b", "d"], &["a", "b"]));
        second.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&second, &FailureNews::default());
        // the run document was not saved: another window reads the end once more
        known.take(&second, &news(&["d"], &[]));
        assert_eq!(ids(&known), ["b", "d"]);
    }

    #[test]
    fn a_run_that_does_not_complete_adds_what_failed_and_forgets_nothing() {
        let mut known = known();
        known.take(&run("2", since()), &news(&["d"], &["a"]));
        let mut third = run("3", since());
        known.take(&third, &news(&[], &["b"]));
        third.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&third, &FailureNews::default());
        assert_eq!(ids(&known), ["a", "c", "d"]);
    }

    #[test]
    fn the_window_of_an_earlier_run_is_known() {
        let mut known = known();
        let mut second = run("2", since());
        known.take(&second, &news(&["d"], &[]));
        assert!(known.is_of_later_run(&run("1", since())));
        assert!(!known.is_of_later_run(&run("3", since())));
        // started in the same second, in the other order of their names
        second.run_id = "1".to_owned();
        second.last_report = Some(run("2", since()).report());
        assert!(!known.is_of_later_run(&second));
    }

    #[test]
    fn what_has_no_name_or_no_room_is_counted() {
        let ids: Vec<String> = (0..MAX_REMEMBERED).map(|id| format!("{id:05}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut first = run("1", RunOptions::default());
        let mut known = FailedRecords::from_report(&first);
        first.counts.failed = ids.len() as u64 + 7;
        first.named_failures = ids.len() as u64;
        known.take(&first, &news(&ids, &[]));
        assert_eq!((known.ids().count(), known.unnamed()), (MAX_REMEMBERED, 7));
        first.counts.failed += 2;
        first.named_failures += 2;
        known.take(&first, &news(&["x", "y"], &[]));
        assert_eq!((known.ids().count(), known.unnamed()), (MAX_REMEMBERED, 9));
        // the next run of some records adds to them, one of everything does not
        let mut second = run("2", since());
        second.counts.failed = 1;
        second.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&second, &FailureNews::default());
        assert_eq!(known.unnamed(), 10);
        let mut third = run("3", RunOptions::default());
        third.end(Status::Completed, Timestamp::UNIX_EPOCH);
        known.take(&third, &FailureNews::default());
        assert_eq!(known.count(), 0);
    }

    #[test]
    fn what_an_earlier_version_reported_is_where_it_begins() {
        let mut before = run("1", RunOptions::default());
        before.counts.failed = 3;
        before.set_aside(super::super::set_aside::SetAside::failed(
            Some("a"),
            String::new(),
        ));
        let mut next = run("2", since());
        next.inherit_from(before.clone());
        let known = FailedRecords::from_report(&next);
        assert_eq!((known.remembered, known.unnamed), (set(&["a"]), 2));
        before.end(Status::Completed, Timestamp::UNIX_EPOCH);
        assert_eq!(FailedRecords::from_report(&before).count(), 3);
    }

    #[test]
    fn dismissed_is_forgotten() {
        let mut known = known();
        assert_eq!(known.dismiss(), 3);
        assert_eq!((known.count(), known.dismiss()), (0, 0));
    }
}
