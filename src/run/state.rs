//! The run document: lock, cursor, progress and report of one resource, in one custom object.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::lease::{Lease, later};
use super::names::EntryName;
use super::report::{Pace, Report};
use super::sample::Sample;

/// The version of the document that this code writes. It refuses to touch any other.
pub const SCHEMA: u32 = 1;
/// Records set aside that the report names; the rest are counted only. Keeps the document under about 100 KB.
pub const MAX_SET_ASIDE: usize = 500;
/// Further ahead than any run waits: twice as long as the longest `Retry-After` that is obeyed.
const FARTHEST: Duration = Duration::from_secs(2 * 3_600);
/// Windows in a row without progress after which a run gives up.
pub const MAX_STALLED_WINDOWS: u32 = 5;

/// More than anyone has counted.
const MAX_COUNT: u64 = 1 << 40;
/// More often than anyone has tried or asked.
const MAX_ATTEMPTS: u32 = 1 << 20;

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Customers, as profiles.
    Customers,
    /// Orders, as events.
    Orders,
    /// Categories, as catalog categories.
    Categories,
    /// Products, as catalog items and variants.
    Products,
}

impl Resource {
    /// All of them, in the order in which they are imported.
    pub const ALL: [Self; 4] = [
        Self::Customers,
        Self::Orders,
        Self::Categories,
        Self::Products,
    ];

    /// Its name in paths, keys and documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::Categories => "categories",
            Self::Products => "products",
        }
    }

    /// The resource of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|resource| resource.name() == name)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Going on.
    Running,
    /// Over: everything was read and Klaviyo has finished everything.
    Completed,
    /// Ended by `stop`.
    Stopped,
    /// Gave up; its cursor is kept.
    Failed,
}

/// What a start asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// Only these records, sorted, each once; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Only this record and those after it in id order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_id: Option<String>,
    /// Orders: events are to trigger flows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trigger_flows: bool,
    /// Only what was modified at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Everything is read and mapped, nothing is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Categories, products: nothing is imported; everything of the kind that Klaviyo has is deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete_all: bool,
}

/// How many records. `read` is always the sum of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counts {
    /// Records read from commercetools (an id that was asked for and does not exist counts as read).
    #[serde(default)]
    pub read: u64,
    /// Records that Klaviyo has taken.
    #[serde(default)]
    pub sent: u64,
    /// Records that were not sent, by reason.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// Records that Klaviyo refused.
    #[serde(default)]
    pub failed: u64,
    /// Documents made of the records sent: profiles, events, catalog entries.
    #[serde(default)]
    pub documents: u64,
    /// What was done differently for a record that was sent, by name, such as `phone-number-left-out`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.sent += other.sent;
        self.failed += other.failed;
        self.documents += other.documents;
        for (ours, theirs) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.notes, &other.notes),
        ] {
            for (name, count) in theirs {
                *ours.entry(name.clone()).or_default() += count;
            }
        }
    }

    /// Takes back what was counted, because it is going to be counted again.
    pub fn take_back(&mut self, other: &Self) {
        self.read = self.read.saturating_sub(other.read);
        self.sent = self.sent.saturating_sub(other.sent);
        self.failed = self.failed.saturating_sub(other.failed);
        self.documents = self.documents.saturating_sub(other.documents);
        for (ours, theirs) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.notes, &other.notes),
        ] {
            for (name, count) in theirs {
                if let Some(ours) = ours.get_mut(name) {
                    *ours = ours.saturating_sub(*count);
                }
            }
            ours.retain(|_, count| *count > 0);
        }
    }

    /// Counts records as refused that had been counted as sent.
    pub fn move_to_failed(&mut self, records: u64) {
        let records = records.min(self.sent);
        self.sent -= records;
        self.failed += records;
    }

    /// Whether these are numbers that anyone has counted, far from where sums of them come to their end.
    fn are_possible(&self) -> bool {
        let by_name = self.skipped.values().chain(self.notes.values());
        [self.read, self.sent, self.failed, self.documents]
            .iter()
            .chain(by_name)
            .all(|&count| count <= MAX_COUNT)
    }

    /// Records skipped for any reason.
    #[must_use]
    pub fn skipped_in_all(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Whether read = sent + skipped + failed.
    #[must_use]
    pub fn add_up(&self) -> bool {
        self.read == self.sent + self.skipped_in_all() + self.failed
    }
}

/// What became of a record that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It cannot be sent; trying again changes nothing until the record is changed.
    Skipped,
    /// Klaviyo refused it.
    Failed,
}

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetAside {
    /// Its id in commercetools, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl SetAside {
    /// A catalogue entry that Klaviyo refused, by the name that the cursor gives it.
    #[must_use]
    pub fn failed(name: Option<&str>, reason: String) -> Self {
        let name = name.map(EntryName::read);
        let reason = match name.and_then(|name| name.part) {
            Some(part) => format!("{part}: {reason}"),
            None => reason,
        };
        Self {
            id: name.map(|name| name.id.to_owned()),
            outcome: Outcome::Failed,
            reason,
        }
    }
}

/// The latest error of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What happened; no personal data.
    pub message: String,
    /// What to do about it.
    pub advice: String,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunDocument {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What is imported.
    pub resource: Resource,
    /// Names the run.
    pub run_id: String,
    /// How it stands.
    pub status: Status,
    /// What the start asked for.
    pub order: Order,
    /// When it was started.
    pub started_at: Timestamp,
    /// When the document was last written.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Windows begun.
    #[serde(default)]
    pub window: u64,
    /// How far it is; a run is going on exactly while there is a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Who works, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Nothing is to be done before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// What is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// How many records. Of products: products, as catalog items. Of a deletion: entries that Klaviyo listed.
    #[serde(default)]
    pub counts: Counts,
    /// Products: how many variants, those that are deleted from Klaviyo included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Counts>,
    /// The id that was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<String>,
    /// Records that were set aside, the first [`MAX_SET_ASIDE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// How many more were set aside.
    #[serde(default)]
    pub set_aside_omitted: u64,
    /// The latest error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// How many records there were to read when the run was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Mean size of a record in bytes, for the size of the first pages of a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_bytes: Option<u64>,
    /// Windows in a row without progress.
    #[serde(default)]
    pub stalled_windows: u32,
    /// How far the latest windows got, for the rate.
    #[serde(default)]
    pub pace: Pace,
    /// A dry run: the first documents of each kind, masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// The plan that started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When the last run that brought Klaviyo up to date was started: everything modified before that is there. Stays
    /// from run to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date_since: Option<Timestamp>,
    /// The report of the run before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report: Option<Report>,
    /// Changes with every write: tells a write of one's own whose answer was lost from somebody else's.
    pub write_id: String,
}

impl RunDocument {
    /// A run that begins.
    #[must_use]
    pub fn start(
        resource: Resource,
        run_id: String,
        order: Order,
        cursor: Cursor,
        now: Timestamp,
    ) -> Self {
        Self {
            schema: SCHEMA,
            resource,
            run_id,
            status: Status::Running,
            order,
            started_at: now,
            updated_at: now,
            finished_at: None,
            window: 0,
            cursor: Some(cursor),
            lease: None,
            not_before: None,
            waiting_for: None,
            counts: Counts::default(),
            variants: None,
            last_id: None,
            set_aside: Vec::new(),
            set_aside_omitted: 0,
            last_error: None,
            total: None,
            record_bytes: None,
            stalled_windows: 0,
            pace: Pace::begin(now),
            samples: Vec::new(),
            plan: None,
            up_to_date_since: None,
            last_report: None,
            write_id: String::new(),
        }
    }

    /// Whether its numbers can be ours: those of a document that is written by hand can be anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let cursor = self.cursor.as_ref();
        let jobs = || cursor.into_iter().flat_map(|cursor| &cursor.jobs);
        let counts = [Some(&self.counts), self.variants.as_ref()];
        let mut counts = counts
            .into_iter()
            .flatten()
            .chain(jobs().map(|job| &job.counts));
        let phase_records = cursor.map_or(0, |cursor| cursor.phase_records);
        let mut attempts = jobs().flat_map(|job| [job.asked, job.attempt]).chain(
            cursor
                .into_iter()
                .flat_map(|cursor| cursor.ranges.iter().map(|range| range.attempt)),
        );
        counts.all(Counts::are_possible)
            && attempts.all(|attempt| attempt <= MAX_ATTEMPTS)
            && self.stalled_windows <= MAX_STALLED_WINDOWS
            && [self.window, self.set_aside_omitted, phase_records]
                .iter()
                .all(|&count| count <= MAX_COUNT)
    }

    /// Whether there is a run that has not ended; a failed one that could be resumed counts.
    #[must_use]
    pub fn is_going_on(&self) -> bool {
        self.cursor.is_some()
    }

    /// Takes over what stays from run to run. A dry run's report does not take the place of a real one.
    pub fn succeed(&mut self, previous: Self) {
        // a deletion takes away what earlier runs have brought
        self.up_to_date_since = previous.up_to_date_since.filter(|_| !self.order.delete_all);
        self.last_report = match previous.last_report {
            Some(report) if previous.order.dry_run => Some(report),
            _ => Some(Report::of(&previous)),
        };
    }

    /// Whether Klaviyo has everything that was modified before this run began, once it has completed. A run of what was
    /// modified since a later moment than the last such run leaves a gap.
    fn brings_up_to_date(&self) -> bool {
        let order = &self.order;
        let leaves_gap = order
            .since
            .is_some_and(|since| self.up_to_date_since.is_some_and(|known| since > known));
        order.ids.is_none()
            && order.start_id.is_none()
            && !order.dry_run
            && !order.delete_all
            && !leaves_gap
    }

    /// Takes up a run that has failed where it stands. What went wrong stays in sight until there is progress. It is no
    /// longer part of a plan, which may be over.
    pub fn resume(&mut self) {
        self.status = Status::Running;
        self.plan = None;
        self.finished_at = None;
        self.stalled_windows = 0;
        self.not_before = None;
        self.waiting_for = None;
        // the time that it lay idle says nothing about how fast it is
        self.pace = Pace::default();
    }

    /// Forgets moments of the future that no run sets: whoever wrote them took a wrong time for commercetools'. A run
    /// would stand still until then, with nobody at work on it.
    pub fn forget_impossible_moments(&mut self, now: Timestamp) {
        let farthest = later(now, FARTHEST);
        self.lease.take_if(|lease| lease.until > farthest);
        self.not_before.take_if(|moment| *moment > farthest);
        let jobs = self.cursor.iter_mut().flat_map(|cursor| &mut cursor.jobs);
        for job in jobs {
            if job.due > farthest {
                job.due = now;
            }
            if job.since > farthest {
                job.since = now;
            }
        }
    }

    /// Puts a record into the report.
    pub fn set_aside(&mut self, record: SetAside) {
        // what is read again because a job was cancelled has been named before
        if record.id.is_some() && self.set_aside.contains(&record) {
            return;
        }
        if self.set_aside.len() < MAX_SET_ASIDE {
            self.set_aside.push(record);
        } else {
            self.set_aside_omitted += 1;
        }
    }

    /// A window brought the run no further, for this reason. After [`MAX_STALLED_WINDOWS`] in a row it gives up.
    pub fn stall(&mut self, error: LastError) {
        self.stalled_windows += 1;
        if self.stalled_windows >= MAX_STALLED_WINDOWS {
            self.give_up(error.at);
        }
        self.last_error = Some(error);
    }

    /// The run has failed. Its cursor is kept, so that it can go on from there.
    pub fn give_up(&mut self, now: Timestamp) {
        self.status = Status::Failed;
        self.finished_at = Some(now);
    }

    /// Ends the run. The report stays, the cursor goes.
    pub fn end(&mut self, status: Status, now: Timestamp) {
        if status == Status::Completed && self.brings_up_to_date() {
            self.up_to_date_since = Some(self.started_at);
        }
        self.status = status;
        self.finished_at = Some(now);
        self.cursor = None;
        self.not_before = None;
        self.waiting_for = None;
    }
}
