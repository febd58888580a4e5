//! The run document: lock, cursor, progress and report of one resource, in one custom object.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::lease::Lease;

/// The version of the document that this code writes. It refuses to touch any other.
pub const SCHEMA: u32 = 1;
/// Records set aside that the report names; the rest are counted only. Keeps the document under about 100 KB.
pub const MAX_SET_ASIDE: usize = 500;
/// Windows in a row without progress after which a run gives up.
pub const MAX_STALLED_WINDOWS: u32 = 5;

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
    pub const ALL: [Self; 4] = [Self::Customers, Self::Orders, Self::Categories, Self::Products];

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
        Self::ALL.into_iter().find(|resource| resource.name() == name)
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
        for (ours, theirs) in [(&mut self.skipped, &other.skipped), (&mut self.notes, &other.notes)] {
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
        for (ours, theirs) in [(&mut self.skipped, &other.skipped), (&mut self.notes, &other.notes)] {
            for (name, count) in theirs {
                if let Some(ours) = ours.get_mut(name) {
                    *ours = ours.saturating_sub(*count);
                }
            }
            ours.retain(|_, count| *count > 0);
        }
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
    /// How many records.
    #[serde(default)]
    pub counts: Counts,
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
    /// Changes with every write: tells a write of one's own whose answer was lost from somebody else's.
    pub write_id: String,
}

impl RunDocument {
    /// A run that begins.
    #[must_use]
    pub fn start(resource: Resource, run_id: String, order: Order, cursor: Cursor, now: Timestamp) -> Self {
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
            last_id: None,
            set_aside: Vec::new(),
            set_aside_omitted: 0,
            last_error: None,
            total: None,
            record_bytes: None,
            stalled_windows: 0,
            write_id: String::new(),
        }
    }

    /// Whether there is a run that has not ended; a failed one that could be resumed counts.
    #[must_use]
    pub fn is_going_on(&self) -> bool {
        self.cursor.is_some()
    }

    /// Puts a record into the report.
    pub fn set_aside(&mut self, record: SetAside) {
        if self.set_aside.len() < MAX_SET_ASIDE {
            self.set_aside.push(record);
        } else {
            self.set_aside_omitted += 1;
        }
    }

    /// Counts records as refused that had been counted as sent.
    pub fn move_to_failed(&mut self, records: u64) {
        let records = records.min(self.counts.sent);
        self.counts.sent -= records;
        self.counts.failed += records;
    }

    /// Ends the run. The report stays, the cursor goes.
    pub fn end(&mut self, status: Status, now: Timestamp) {
        self.status = status;
        self.finished_at = Some(now);
        self.cursor = None;
        self.not_before = None;
        self.waiting_for = None;
    }
}
