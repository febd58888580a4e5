//! What stays of a run when the next one begins, and how fast a run is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::state::{Counts, Outcome, RunDocument, SetAside, Status};

/// Records that the report of an earlier run names; the rest are counted only. Two reports fit into the document.
const MAX_SET_ASIDE: usize = 100;
/// Windows that the rate is taken over.
const MAX_MARKS: usize = 8;

/// A run that is over, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Names the run.
    pub run_id: String,
    /// How it ended.
    pub status: Status,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Whether it sent nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether it deleted instead of importing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_all: bool,
    /// How many records.
    pub counts: Counts,
    /// Products: how many variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Counts>,
    /// Records that were set aside, those that failed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// How many more were set aside.
    #[serde(default)]
    pub set_aside_omitted: u64,
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn of(document: &RunDocument) -> Self {
        let mut set_aside = document.set_aside.clone();
        set_aside.sort_by_key(|record| record.outcome != Outcome::Failed);
        let omitted = set_aside.len().saturating_sub(MAX_SET_ASIDE) as u64;
        set_aside.truncate(MAX_SET_ASIDE);
        Self {
            run_id: document.run_id.clone(),
            status: document.status,
            started_at: document.started_at,
            finished_at: document.finished_at,
            dry_run: document.order.dry_run,
            delete_all: document.order.delete_all,
            counts: document.counts.clone(),
            variants: document.variants.clone(),
            set_aside,
            set_aside_omitted: document.set_aside_omitted + omitted,
        }
    }
}

/// The records that the last real run could not bring into Klaviyo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// The ids that its report names, sorted, each once.
    pub ids: Vec<String>,
    /// How many more failed: left out of the report's bounded list, or with an id that is not known.
    pub unnamed: u64,
}

impl Failures {
    /// What failed in the run of this document, or in the one before it where this one was a dry run.
    #[must_use]
    pub fn of(document: &RunDocument) -> Self {
        match &document.last_report {
            // what could not be deleted is no record of commercetools
            _ if document.order.delete_all => Self::default(),
            Some(report) if document.order.dry_run && report.delete_all => Self::default(),
            Some(report) if document.order.dry_run => {
                Self::listed(&report.set_aside, &report.counts, report.variants.as_ref())
            }
            _ => Self::listed(
                &document.set_aside,
                &document.counts,
                document.variants.as_ref(),
            ),
        }
    }

    fn listed(set_aside: &[SetAside], counts: &Counts, variants: Option<&Counts>) -> Self {
        let in_all = counts.failed + variants.map_or(0, |variants| variants.failed);
        let failed = set_aside
            .iter()
            .filter(|record| record.outcome == Outcome::Failed);
        let mut ids: Vec<String> = failed.filter_map(|record| record.id.clone()).collect();
        let named = ids.len() as u64;
        ids.sort_unstable();
        ids.dedup();
        Self {
            ids,
            unnamed: in_all.saturating_sub(named),
        }
    }
}

/// How far the run was at the ends of its latest windows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace(Vec<Mark>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mark {
    at: Timestamp,
    read: u64,
}

impl Pace {
    /// The pace of a run that begins.
    #[must_use]
    pub fn begin(now: Timestamp) -> Self {
        Self(vec![Mark { at: now, read: 0 }])
    }

    /// A window has ended with this many records read in all.
    pub fn note(&mut self, now: Timestamp, read: u64) {
        self.0.push(Mark { at: now, read });
        if self.0.len() > MAX_MARKS {
            self.0.remove(0);
        }
    }

    /// Records a second over the latest windows, pauses between them included; `None` before there is anything to
    /// measure.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        let seconds = last.at.duration_since(first.at).as_secs_f64();
        // a job that Klaviyo gave up on is read again: what was counted is taken back then
        let read = last.read.saturating_sub(first.read);
        (seconds > 0.0 && read > 0).then(|| read as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::cursor::Cursor;
    use crate::run::state::{Order, Resource};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn finished(order: Order, failed: usize) -> RunDocument {
        let mut document = RunDocument::start(
            Resource::Orders,
            "run".to_owned(),
            order,
            Cursor::default(),
            at(0),
        );
        for number in 0..failed {
            let id = Some(format!("id-{number:03}"));
            document.set_aside(SetAside {
                id: id.clone(),
                outcome: Outcome::Skipped,
                reason: String::new(),
            });
            document.set_aside(SetAside {
                id,
                outcome: Outcome::Failed,
                reason: String::new(),
            });
            document.counts.failed += 1;
        }
        document.end(Status::Completed, at(60));
        document
    }

    #[test]
    fn a_report_is_bounded_and_names_failures_before_what_was_skipped() {
        let report = Report::of(&finished(Order::default(), 80));
        assert_eq!(
            (report.set_aside.len(), report.set_aside_omitted),
            (MAX_SET_ASIDE, 60)
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
        let real = finished(Order::default(), 3);
        let mut dry = finished(
            Order {
                dry_run: true,
                ..Order::default()
            },
            0,
        );
        dry.succeed(real.clone());
        assert_eq!(Failures::of(&dry), Failures::of(&real));
        let mut next = finished(Order::default(), 0);
        next.succeed(dry);
        assert_eq!(next.last_report, Some(Report::of(&real)));
    }

    #[test]
    fn failures_that_the_report_has_no_room_for_are_counted() {
        let document = finished(Order::default(), 300);
        let failures = Failures::of(&document);
        assert_eq!((failures.ids.len(), failures.unnamed), (250, 50));
    }

    #[test]
    fn only_a_run_without_gaps_brings_up_to_date() {
        let since = |second| Order {
            since: Some(at(second)),
            ..Order::default()
        };
        let ended = |order: Order, known: Option<Timestamp>| {
            let mut document = RunDocument::start(
                Resource::Orders,
                "run".to_owned(),
                order,
                Cursor::default(),
                at(50),
            );
            document.up_to_date_since = known;
            document.end(Status::Completed, at(60));
            document.up_to_date_since
        };
        assert_eq!(ended(Order::default(), None), Some(at(50)));
        assert_eq!(ended(since(9), Some(at(10))), Some(at(50)));
        assert_eq!(ended(since(11), Some(at(10))), Some(at(10)));
        assert_eq!(
            ended(
                Order {
                    ids: Some(Vec::new()),
                    ..Order::default()
                },
                Some(at(10))
            ),
            Some(at(10))
        );
        assert_eq!(
            ended(
                Order {
                    dry_run: true,
                    ..Order::default()
                },
                None
            ),
            None
        );
        assert_eq!(
            ended(
                Order {
                    start_id: Some(String::new()),
                    ..Order::default()
                },
                None
            ),
            None
        );
    }

    #[test]
    fn the_rate_is_that_of_the_latest_windows() {
        let mut pace = Pace::begin(at(0));
        assert_eq!(pace.rate(), None);
        for window in 1..=20 {
            pace.note(
                at(window * 10),
                if window <= 10 {
                    0
                } else {
                    (window as u64 - 10) * 500
                },
            );
        }
        assert_eq!(pace.rate(), Some(50.0));
        assert_eq!(pace.0.len(), MAX_MARKS);
    }
}
