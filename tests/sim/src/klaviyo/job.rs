//! One job: what it says of itself, and what went wrong in it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{error_id, moment};
use super::catalog::compound;
use super::operation::{Action, JobKind, Kind};
use super::options::EntryErrors;
use super::times::Times;

/// How long a finished job can be asked for: `expires_at` is exactly 7 days after `created_at`.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// What went wrong with one record of a job.
#[derive(Debug, Clone)]
pub(super) struct JobError {
    /// The code of an import error.
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
    /// The pointer of all records, such as `/data/attributes/items/data`.
    pub(super) list: String,
    /// The index of the record in the request.
    pub(super) index: usize,
    /// The pointer within the record.
    pub(super) place: &'static str,
    /// The external id of a catalog entry.
    pub(super) entry: Option<String>,
    /// The form of a catalog entry's error.
    pub(super) form: EntryErrors,
    /// The record as it was sent, for import errors.
    pub(super) original_payload: Option<Value>,
}

impl JobError {
    /// The pointer with the record's index.
    pub(super) fn indexed(&self) -> String {
        format!("{}/{}{}", self.list, self.index, self.place)
    }

    /// The error of a catalog entry, in its form.
    fn of_entry(&self, id: &str) -> Value {
        let entry = self.entry.as_deref().unwrap_or_default();
        let mut error = json!({
            "id": id,
            "code": "invalid",
            "meta": { "id": compound(entry) },
            "title": self.title,
            "detail": self.detail,
            "source": { "pointer": format!("{}{}", self.list, self.place) },
        });
        match self.form {
            EntryErrors::MetaId => {}
            EntryErrors::NullCode => error["code"] = Value::Null,
            EntryErrors::MetaExternalId => {
                return json!({
                    "id": null,
                    "code": null,
                    "title": null,
                    "detail": self.detail,
                    "meta": { "external_id": entry },
                });
            }
            EntryErrors::Index => {
                error["source"]["pointer"] = self.indexed().into();
                remove(&mut error, "meta");
            }
            EntryErrors::Nameless => {
                error["source"]["pointer"] = self.list.as_str().into();
                remove(&mut error, "meta");
            }
        }
        error
    }
}

fn remove(object: &mut Value, name: &str) {
    if let Some(members) = object.as_object_mut() {
        members.shift_remove(name);
    }
}

/// What a job has done, from the moment at which it takes effect.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// The external ids of the entries that succeeded.
    pub(super) made: Vec<String>,
    pub(super) errors: Vec<JobError>,
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) kind: JobKind,
    pub(super) id: String,
    pub(super) created: Timestamp,
    times: Times,
    pub(super) total: usize,
    pub(super) records: Vec<Value>,
    pub(super) effect: Option<Effect>,
    pub(super) cancelled: Option<Timestamp>,
}

impl Job {
    pub(super) fn new(
        kind: JobKind,
        id: String,
        created: Timestamp,
        times: Times,
        records: Vec<Value>,
    ) -> Self {
        Self {
            kind,
            id,
            created,
            times,
            total: records.len(),
            records,
            effect: None,
            cancelled: None,
        }
    }

    pub(super) fn takes_effect(&self) -> Timestamp {
        self.created + self.times.takes_effect
    }

    /// How long it takes from its submission on.
    pub(super) fn takes(&self) -> Duration {
        self.times.ends
    }

    pub(super) fn ends(&self) -> Timestamp {
        self.created + self.times.ends
    }

    /// Catalog jobs begin as `processing`, profile imports as `queued`.
    pub(super) fn status(&self, now: Timestamp) -> &'static str {
        let waits = now < self.created + self.times.begins;
        match self.kind {
            _ if self.cancelled.is_some() => "cancelled",
            _ if now >= self.ends() => "complete",
            JobKind::ProfileImport if waits => "queued",
            _ => "processing",
        }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.cancelled.is_some() || now >= self.ends()
    }

    /// When it was completed or cancelled, if it is over.
    pub(super) fn completed_at(&self, now: Timestamp) -> Option<Timestamp> {
        let completed = || (now >= self.ends()).then(|| self.ends());
        self.cancelled.or_else(completed)
    }

    /// Counts and errors run ahead of the state.
    pub(super) fn attributes(&self, now: Timestamp) -> Map<String, Value> {
        let failed = self.errors().len();
        let completed = match self.effect {
            Some(_) => self.total - failed,
            None => 0,
        };
        let mut attributes = Map::new();
        let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
        set("status", self.status(now).into());
        set("created_at", moment(self.created).into());
        set("total_count", self.total.into());
        set("completed_count", completed.into());
        set("failed_count", failed.into());
        set("completed_at", json!(self.completed_at(now).map(moment)));
        set("expires_at", moment(self.created + KEPT).into());
        match self.kind {
            JobKind::ProfileImport => {
                let begins = self.created + self.times.begins;
                set("started_at", json!((now >= begins).then(|| moment(begins))));
            }
            JobKind::Catalog(..) => {
                let errors: Vec<Value> = (0..)
                    .zip(self.errors())
                    .map(|(n, error)| error.of_entry(&error_id(&self.id, n)))
                    .collect();
                set("errors", errors.into());
            }
        }
        attributes
    }

    pub(super) fn errors(&self) -> &[JobError] {
        self.effect.as_ref().map_or(&[], |effect| &effect.errors)
    }

    /// The entries that succeeded, once there are some: no key at all while there are none, but for a job that is asked
    /// to include them.
    pub(super) fn made(&self, is_included: bool) -> Option<(Kind, Value)> {
        let JobKind::Catalog(kind, _) = self.kind else {
            return None;
        };
        let made = self.effect.as_ref().map_or(&[][..], |effect| &effect.made);
        let is_pending = self.effect.is_none();
        if made.is_empty() && !(is_included && is_pending) {
            return None;
        }
        let made = made
            .iter()
            .map(|id| json!({ "type": kind.resource(), "id": compound(id) }));
        Some((kind, json!({ "data": made.collect::<Vec<_>>() })))
    }

    /// What `include` may name: what a create or an update job made.
    pub(super) fn can_include(&self) -> Option<Kind> {
        match self.kind {
            JobKind::Catalog(kind, Action::Create | Action::Update) => Some(kind),
            JobKind::Catalog(_, Action::Delete) | JobKind::ProfileImport => None,
        }
    }
}
