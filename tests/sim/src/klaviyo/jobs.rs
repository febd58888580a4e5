//! Asynchronous jobs: `queued`, then `processing`, then `complete` (or `cancelled`), as time goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Refusal, document};
use super::call::{Call, page};
use super::operation::JobKind;
use super::options::JobTimes;
use super::query::{Operator, Order};

/// How long a finished job can be asked for, as its `expires_at` says.
const KEPT: Duration = Duration::from_hours(7 * 24);
const DEFAULT_PAGE: usize = 20;

/// The fields of a job, for `fields[…]`.
const FIELDS: [&str; 10] = [
    "completed_at",
    "completed_count",
    "created_at",
    "errors",
    "expires_at",
    "failed_count",
    "id",
    "started_at",
    "status",
    "total_count",
];

/// What went wrong with one record of a job.
#[derive(Debug, Clone)]
pub(super) struct JobError {
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) detail: String,
    /// Where the record, or what is wrong in it, was in the request.
    pub(super) pointer: String,
    /// The record as it was sent, for import errors.
    pub(super) original_payload: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Complete,
    Cancelled(Timestamp),
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) kind: JobKind,
    id: String,
    created: Timestamp,
    starts: Timestamp,
    ends: Timestamp,
    total: usize,
    state: State,
    records: Vec<Value>,
    errors: Vec<JobError>,
}

impl Job {
    pub(super) fn status(&self, now: Timestamp) -> &'static str {
        match self.state {
            State::Complete => "complete",
            State::Cancelled(_) => "cancelled",
            State::Pending if now < self.starts => "queued",
            State::Pending => "processing",
        }
    }

    fn attributes(&self, now: Timestamp) -> Map<String, Value> {
        let (completed_at, failed) = match self.state {
            State::Complete => (Some(self.ends), self.errors.len()),
            State::Cancelled(at) => (Some(at), 0),
            State::Pending => (None, 0),
        };
        let completed = match self.state {
            State::Complete => self.total - failed,
            State::Cancelled(_) | State::Pending => 0,
        };
        let mut attributes = Map::new();
        let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
        set("status", self.status(now).into());
        set("created_at", self.created.to_string().into());
        set("total_count", self.total.into());
        set("completed_count", completed.into());
        set("failed_count", failed.into());
        set("completed_at", json!(completed_at.map(|at| at.to_string())));
        set("expires_at", (self.created + KEPT).to_string().into());
        match self.kind {
            JobKind::ProfileImport => {
                let started = (now >= self.starts).then(|| self.starts.to_string());
                set("started_at", json!(started));
            }
            JobKind::Catalog(..) => {
                let errors: Vec<Value> = (0..)
                    .zip(&self.errors)
                    .map(|(n, error)| self.error(n, error))
                    .collect();
                set("errors", errors.into());
            }
        }
        attributes
    }

    fn error(&self, n: usize, error: &JobError) -> Value {
        json!({
            "id": self.error_id(n),
            "code": error.code,
            "title": error.title,
            "detail": error.detail,
            "source": { "pointer": error.pointer },
        })
    }

    fn error_id(&self, n: usize) -> String {
        format!("{}-{n:08}", self.id)
    }
}

/// All jobs of the account.
pub(super) struct Jobs {
    /// The ids rise with time, so that this is the order of creation.
    by_id: BTreeMap<String, Job>,
    pending: BTreeSet<(Timestamp, String)>,
    in_progress: BTreeMap<JobKind, usize>,
    rng: Rng,
}

impl Jobs {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            by_id: BTreeMap::new(),
            pending: BTreeSet::new(),
            in_progress: BTreeMap::new(),
            rng: Rng::with_seed(seed),
        }
    }

    /// Jobs of this kind that are queued or processing.
    pub(super) fn in_progress(&self, kind: JobKind) -> usize {
        self.in_progress.get(&kind).copied().unwrap_or_default()
    }

    /// Takes a job on and answers its document.
    pub(super) fn start(
        &mut self,
        call: &Call<'_>,
        kind: JobKind,
        records: Vec<Value>,
        times: JobTimes,
    ) -> Result<Response<bytes::Bytes>, Refusal> {
        let id = format!("01SIMJOB{:018}", self.by_id.len() + 1);
        let starts = call.now + times.queued + self.jitter(times);
        let ends = starts + times.processing + self.jitter(times);
        let job = Job {
            kind,
            id: id.clone(),
            created: call.now,
            starts,
            ends,
            total: records.len(),
            state: State::Pending,
            records,
            errors: Vec::new(),
        };
        let answer = job_document(call, &job, StatusCode::ACCEPTED)?;
        self.pending.insert((ends, id.clone()));
        *self.in_progress.entry(kind).or_default() += 1;
        self.by_id.insert(id, job);
        Ok(answer)
    }

    fn jitter(&mut self, times: JobTimes) -> Duration {
        times.jitter.mul_f64(self.rng.f64())
    }

    /// The next job that has run its time at `now`, with its records: whoever takes it says how it went with
    /// [`Jobs::finish`].
    pub(super) fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let (at, _) = self.pending.first()?;
        if *at > now {
            return None;
        }
        let (at, id) = self.pending.pop_first()?;
        let job = self.by_id.get_mut(&id)?;
        Some(Due {
            at,
            kind: job.kind,
            records: std::mem::take(&mut job.records),
            id,
        })
    }

    /// Completes a job that was due.
    pub(super) fn finish(&mut self, id: &str, errors: Vec<JobError>) {
        self.end(id, State::Complete);
        if let Some(job) = self.by_id.get_mut(id) {
            job.errors = errors;
        }
    }

    /// Cancels a job that is not over, none of whose records has been taken in yet. Answers whether it was.
    pub(super) fn cancel(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(job) = self.by_id.get_mut(id) else {
            return false;
        };
        job.records.clear();
        let key = (job.ends, id.to_owned());
        let pending = self.pending.remove(&key);
        if pending {
            self.end(id, State::Cancelled(now));
        }
        pending
    }

    fn end(&mut self, id: &str, state: State) {
        if let Some(job) = self.by_id.get_mut(id) {
            job.state = state;
            if let Some(count) = self.in_progress.get_mut(&job.kind) {
                *count -= 1;
            }
        }
    }

    /// The ids of the jobs that are not over, oldest first.
    pub(super) fn unfinished(&self) -> Vec<String> {
        self.by_id
            .values()
            .filter(|job| job.state == State::Pending)
            .map(|job| job.id.clone())
            .collect()
    }

    fn find(&self, kind: JobKind, id: &str) -> Result<&Job, Refusal> {
        self.by_id
            .get(id)
            .filter(|job| job.kind == kind)
            .ok_or_else(|| Refusal::not_found(format!("There is no {} {id}.", kind.resource())))
    }

    /// `GET {jobs}/{id}`
    pub(super) fn get(
        &self,
        call: &Call<'_>,
        kind: JobKind,
    ) -> Result<Response<bytes::Bytes>, Refusal> {
        job_document(call, self.find(kind, call.id)?, StatusCode::OK)
    }

    /// `GET profile-bulk-import-jobs`
    pub(super) fn list_imports(&self, call: &Call<'_>) -> Result<Response<bytes::Bytes>, Refusal> {
        let fields = fields_parameter(JobKind::ProfileImport);
        call.query
            .allow(&[&fields, "filter", "page[cursor]", "page[size]", "sort"])?;
        let filters = call
            .query
            .filters(&[("status", &[Operator::Any, Operator::Equals])])?;
        let order = call.query.sort("created_at")?.unwrap_or(Order::Ascending);
        let cursor = call.query.cursor()?;
        let mut jobs: Vec<&Job> = self
            .by_id
            .values()
            .filter(|job| job.kind == JobKind::ProfileImport)
            .filter(|job| {
                filters
                    .iter()
                    .all(|filter| filter.passes(job.status(call.now)))
            })
            .collect();
        jobs.sort_by(|a, b| order.apply(a.id.cmp(&b.id)));
        let rest = jobs.into_iter().filter(|job| {
            cursor
                .as_ref()
                .is_none_or(|cursor| order.apply(job.id.cmp(cursor)).is_gt())
        });
        let (jobs, next) = page(
            rest.map(|job| (job.id.clone(), job)),
            call.query.page_size(DEFAULT_PAGE)?,
        );
        let data: Vec<Value> = jobs
            .into_iter()
            .map(|(_, job)| job_resource(call, job))
            .collect::<Result<_, _>>()?;
        let body = json!({ "data": data, "links": call.page_links(next.as_deref()) });
        Ok(document(StatusCode::OK, &body))
    }

    /// `GET profile-bulk-import-jobs/{id}/import-errors`
    pub(super) fn list_import_errors(
        &self,
        call: &Call<'_>,
    ) -> Result<Response<bytes::Bytes>, Refusal> {
        const FIELDS: [&str; 6] = [
            "code",
            "detail",
            "id",
            "original_payload",
            "source",
            "title",
        ];
        call.query
            .allow(&["fields[import-error]", "page[cursor]", "page[size]"])?;
        let job = self.find(JobKind::ProfileImport, call.id)?;
        let cursor = call.query.cursor()?;
        let rest = (0..)
            .zip(&job.errors)
            .map(|(n, error)| (job.error_id(n), error))
            .filter(|(id, _)| cursor.as_ref().is_none_or(|cursor| id > cursor));
        let (errors, next) = page(rest, call.query.page_size(DEFAULT_PAGE)?);
        let mut data = Vec::new();
        for (id, error) in errors {
            let mut attributes = Map::new();
            attributes.insert("code".to_owned(), error.code.into());
            attributes.insert("title".to_owned(), error.title.into());
            attributes.insert("detail".to_owned(), error.detail.as_str().into());
            attributes.insert("source".to_owned(), json!({ "pointer": error.pointer }));
            attributes.insert(
                "original_payload".to_owned(),
                error.original_payload.clone().unwrap_or_default(),
            );
            call.query
                .sparse("import-error", &FIELDS, &mut attributes)?;
            data.push(json!({ "type": "import-error", "id": id, "attributes": attributes }));
        }
        let body = json!({ "data": data, "links": call.page_links(next.as_deref()) });
        Ok(document(StatusCode::OK, &body))
    }
}

/// A job whose time is up.
pub(super) struct Due {
    /// When it ended.
    pub(super) at: Timestamp,
    pub(super) kind: JobKind,
    pub(super) id: String,
    pub(super) records: Vec<Value>,
}

fn fields_parameter(kind: JobKind) -> String {
    format!("fields[{}]", kind.resource())
}

fn job_document(
    call: &Call<'_>,
    job: &Job,
    status: StatusCode,
) -> Result<Response<bytes::Bytes>, Refusal> {
    call.query.allow(&[&fields_parameter(job.kind)])?;
    let data = job_resource(call, job)?;
    let links = data["links"].clone();
    Ok(document(status, &json!({ "data": data, "links": links })))
}

fn job_resource(call: &Call<'_>, job: &Job) -> Result<Value, Refusal> {
    let resource = job.kind.resource();
    let mut attributes = job.attributes(call.now);
    call.query.sparse(&resource, &FIELDS, &mut attributes)?;
    Ok(call.resource(&resource, &job.kind.collection(), &job.id, attributes))
}
