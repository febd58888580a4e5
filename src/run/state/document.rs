//! The run document: lock, cursor, progress and report of one resource, in one custom object.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::contested::Contested;
use super::counts::Counts;
use super::cursor::Cursor;
use super::destination::Destination;
use super::drift::Drift;
use super::failures::FailureNews;
use super::history::History;
use super::last_error::LastError;
use super::lease::Lease;
use super::options::RunOptions;
use super::pace::Pace;
use super::phase_name::PhaseName;
use super::removal::Removal;
use super::report::Report;
use super::resource::Resource;
use super::sample::Sample;
use super::set_aside::{Outcome, SetAside};
use super::status::Status;
use crate::klaviyo::recent_calls::RecentCalls;

/// The version of the document that this code writes. It reads those from [`OLDEST_SCHEMA`] on, and refuses to touch any
/// other.
pub const SCHEMA: u32 = 3;
/// The earliest version of the document that this code reads.
pub const OLDEST_SCHEMA: u32 = 1;
/// Records set aside that the report names; the rest are counted only. Keeps the document under about 100 KB.
pub const MAX_SET_ASIDE: usize = 500;
/// Windows in a row without progress after which a run gives up.
pub const MAX_STALLED_WINDOWS: u32 = 5;
/// Windows in a row that were killed after which a run fails.
pub const MAX_KILLED_WINDOWS: u32 = 5;

/// The pause after the first window that waited in vain; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: an outage is waited out for as long as it takes.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

fn is_none(number: &u64) -> bool {
    *number == 0
}

fn is_zero(number: &u32) -> bool {
    *number == 0
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
    /// What the run was started with.
    #[serde(rename = "order")]
    pub options: RunOptions,
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
    /// Nothing is to be done before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// What is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Klaviyo may still have jobs of the run before, until this time at most: they are waited for. Stays until it is known
    /// that there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier_jobs_until: Option<Timestamp>,
    /// How many records. Of products: products, as catalog items. Of a deletion: entries that Klaviyo listed.
    #[serde(default)]
    pub counts: Counts,
    /// Products: how many variants, those that are deleted from Klaviyo included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Counts>,
    /// Variants whose sku another product has, too, as long as it is open what they count as.
    #[serde(default, skip_serializing_if = "Contested::is_empty")]
    pub contested: Contested,
    /// A run of changes: the records that have changed without being modified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// A comparison: how far Klaviyo is from the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What Klaviyo has and commercetools no longer has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    /// What was found before that of another kind, by an earlier phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_removals: Vec<Removal>,
    /// The id that was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<String>,
    /// Records that were set aside, the first [`MAX_SET_ASIDE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// How many more were set aside.
    #[serde(default)]
    pub set_aside_omitted: u64,
    /// How many failed records have been named.
    #[serde(default, skip_serializing_if = "is_none")]
    pub named_failures: u64,
    /// How many failed records are remembered, of this run and those before it. Stays from run to run.
    #[serde(default, skip_serializing_if = "is_none")]
    pub remembered_failures: u64,
    /// What the document of failed records does not have yet.
    #[serde(skip)]
    pub news: FailureNews,
    /// The latest error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// How many records there were to read when the run was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Whether commercetools may have more records than `total`: it did not count them all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub total_is_at_least: bool,
    /// Mean size of a record in bytes, for the size of the first pages of a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_bytes: Option<u64>,
    /// Windows in a row that worked and brought the run no further.
    #[serde(default)]
    pub stalled_windows: u32,
    /// When the run last got further; its start, where it has not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_progress_at: Option<Timestamp>,
    /// Windows in a row that ended without progress because an API did not answer or asked to wait: the pauses grow with
    /// them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fruitless_waits: u32,
    /// Windows in a row that were killed: their lease ran out without a save.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub killed_windows: u32,
    /// How often the memory that a window may use is halved, after windows that were killed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory_halvings: u32,
    /// Documents that Klaviyo has rejected without a pointer to any, while it has accepted nothing of the run.
    #[serde(default, skip_serializing_if = "is_none")]
    pub refused_blindly: u64,
    /// The requests to Klaviyo of the last minute, for its rate limits.
    #[serde(default, skip_serializing_if = "RecentCalls::is_empty")]
    pub recent_calls: RecentCalls,
    /// How far the latest windows got, for the rate.
    #[serde(default)]
    pub pace: Pace,
    /// How the run went on from its start.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
    /// A dry run: the first documents of each kind, masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// The Klaviyo account that the run feeds; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// Another account took the run over on its way: what was sent before is not there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_adopted: bool,
    /// The plan that started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// When the last run that brought Klaviyo up to date was started: everything modified before that is there. Stays
    /// from run to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date_since: Option<Timestamp>,
    /// Products: when the last run was started that has taken those out of Klaviyo that were unpublished by then. Stays from run
    /// to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_unpublished_since: Option<Timestamp>,
    /// The report of the run before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_report: Option<Report>,
    /// Changes with every write: an invocation recognizes its own write by it, if the response was lost.
    pub write_id: String,
    /// The custom object that the writer took the document to be in; absent where the write created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
}

impl RunDocument {
    /// The phase that it is in; `None` if it has only one, or does not go on.
    #[must_use]
    pub fn phase(&self) -> Option<PhaseName> {
        self.cursor.as_ref()?.phase
    }

    /// A run that begins.
    #[must_use]
    pub fn start(
        resource: Resource,
        run_id: String,
        options: RunOptions,
        cursor: Cursor,
        now: Timestamp,
    ) -> Self {
        Self {
            schema: SCHEMA,
            resource,
            run_id,
            status: Status::Running,
            options,
            started_at: now,
            updated_at: now,
            finished_at: None,
            window: 0,
            cursor: Some(cursor),
            lease: None,
            not_before: None,
            waiting_for: None,
            earlier_jobs_until: None,
            counts: Counts::default(),
            variants: None,
            contested: Contested::default(),
            changes: None,
            drift: None,
            removal: None,
            earlier_removals: Vec::new(),
            last_id: None,
            set_aside: Vec::new(),
            set_aside_omitted: 0,
            named_failures: 0,
            remembered_failures: 0,
            news: FailureNews::default(),
            last_error: None,
            total: None,
            total_is_at_least: false,
            record_bytes: None,
            stalled_windows: 0,
            last_progress_at: Some(now),
            fruitless_waits: 0,
            killed_windows: 0,
            memory_halvings: 0,
            refused_blindly: 0,
            recent_calls: RecentCalls::default(),
            pace: Pace::begin(now),
            history: History::begin(now),
            samples: Vec::new(),
            destination: None,
            is_adopted: false,
            plan: None,
            up_to_date_since: None,
            without_unpublished_since: None,
            last_report: None,
            write_id: String::new(),
            object_id: None,
        }
    }

    /// Records and variants read.
    #[must_use]
    pub fn read_in_all(&self) -> u64 {
        let variants = self.variants.as_ref();
        self.counts.read + variants.map_or(0, |variants| variants.read)
    }

    /// Whether there is a run that has not ended; a failed one that could be resumed counts.
    #[must_use]
    pub fn is_going_on(&self) -> bool {
        self.cursor.is_some()
    }

    /// Whether the run is going on and has not failed: there is a window to work.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.is_going_on() && self.status == Status::Running
    }

    /// Whether `continue` may take up the run, which has failed, at `now` (commercetools' time).
    #[must_use]
    pub fn can_be_taken_up(&self, now: Timestamp) -> bool {
        let is_of_credentials = self
            .last_error
            .as_ref()
            .is_some_and(|error| error.is_of_credentials);
        self.is_going_on()
            && self.status == Status::Failed
            && is_of_credentials
            && self.not_before.is_none_or(|moment| moment <= now)
    }

    /// Whether an invocation may still be working on it at `now` (commercetools' time).
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_live(now))
    }

    /// The name of the invocation that holds the lease.
    #[must_use]
    pub fn holder(&self) -> Option<String> {
        self.lease.as_ref().map(|lease| lease.holder.clone())
    }

    /// Whether it keeps another run from beginning at `now` (commercetools' time).
    #[must_use]
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.is_going_on() || self.is_held(now)
    }

    /// The report of the run, as it stands.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            run_id: self.run_id.clone(),
            status: self.status,
            started_at: self.started_at,
            finished_at: self.finished_at,
            dry_run: self.options.dry_run,
            delete_all: self.options.delete_all,
            prune: self.options.prune && !self.options.imports(),
            counts: self.counts.clone(),
            variants: self.variants.clone(),
            set_aside: Vec::new(),
            set_aside_omitted: self.set_aside_omitted,
        }
        .with_set_aside(self.set_aside.clone())
    }

    /// Whether the run brings records to Klaviyo: a dry run sends nothing, and what a deletion deletes is Klaviyo's.
    #[must_use]
    pub fn sends_records(&self) -> bool {
        !self.options.dry_run && self.options.imports()
    }

    /// Whether the run has completed.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.status == Status::Completed
    }

    /// Takes up a run that has failed where it stands. What went wrong stays in sight until there is progress. It is no
    /// longer part of a plan, which may be over.
    pub fn resume(&mut self) {
        self.count_removals_again();
        self.fruitless_waits = 0;
        self.killed_windows = 0;
        self.take_up();
    }

    /// Counts documents that were rejected without a pointer to any, beside these counts of the records they are of:
    /// windows that are too short for as many as it takes to tell that it is not the documents add up.
    pub fn note_refused(&mut self, records: &Counts, parts: &Counts, refused_blindly: u64) {
        match records.sent + parts.sent {
            0 => self.refused_blindly += refused_blindly,
            _ => self.refused_blindly = 0,
        }
    }

    /// As [`RunDocument::resume`], by a `continue`: should it fail again, the pause is longer.
    pub fn take_up(&mut self) {
        self.status = Status::Running;
        self.plan = None;
        self.finished_at = None;
        self.stalled_windows = 0;
        self.refused_blindly = 0;
        self.not_before = None;
        self.waiting_for = None;
        // the time that it lay idle says nothing about how fast it is
        self.pace = Pace::default();
    }

    /// How long to wait after one more window that waited in vain.
    pub fn wait_in_vain(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.fruitless_waits.min(16));
        self.fruitless_waits = self.fruitless_waits.saturating_add(1);
        pause.min(LONGEST_PAUSE)
    }

    /// The run has got further.
    pub fn note_progress(&mut self, now: Timestamp) {
        self.last_progress_at = Some(now);
        self.fruitless_waits = 0;
        self.stalled_windows = 0;
        self.last_error = None;
    }

    /// Puts a record into the report.
    pub fn set_aside(&mut self, record: SetAside) {
        // what is read again because a job was cancelled has been named before
        if record.id.is_some() && self.set_aside.contains(&record) {
            return;
        }
        let has_failed = record.outcome == Outcome::Failed;
        if let Some(id) = record.id.as_ref().filter(|_| has_failed) {
            self.named_failures += 1;
            self.news.failed.insert(id.clone());
        }
        if self.set_aside.len() < MAX_SET_ASIDE {
            self.set_aside.push(record);
            return;
        }
        self.set_aside_omitted += 1;
        // what was skipped makes room for what failed
        let skipped = |record: &SetAside| record.outcome == Outcome::Skipped;
        if has_failed && let Some(last) = self.set_aside.iter().rposition(skipped) {
            self.set_aside.remove(last);
            self.set_aside.push(record);
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
        if status == Status::Completed && self.takes_out_unpublished() {
            self.without_unpublished_since = Some(self.started_at);
        }
        if status == Status::Completed && self.total_is_at_least {
            self.total = Some(self.counts.read);
            self.total_is_at_least = false;
        }
        self.count_contested();
        self.status = status;
        self.finished_at = Some(now);
        self.cursor = None;
        self.not_before = None;
        self.waiting_for = None;
    }
}
