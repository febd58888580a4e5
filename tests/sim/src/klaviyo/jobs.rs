//! Asynchronous jobs: `queued` (imports only) or `processing`, then `complete` (or `cancelled`), as time goes by. Jobs
//! overtake each other, and take effect before they are `complete`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Fault, Refusal, document, error_id};
use super::call::{Call, page};
use super::catalog::external;
use super::job::{Effect, Job};
use super::listing;
use super::operation::{JobKind, Kind};
use super::options::{ImportErrors, JobLimit, JobOrder, JobsOfOthers, Options};
use super::query::{Operator, Order};
use super::times::{JobTimes, Times};
use crate::ledger::Catalog;

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

/// All jobs of the account.
pub(super) struct Jobs {
    by_id: BTreeMap<String, Job>,
    /// Ids in the order of creation.
    created: Vec<String>,
    /// Jobs that have not taken effect, by when they do.
    effects: BTreeSet<(Timestamp, String)>,
    /// When other apps submitted jobs last: of each kind, or of any where the limit is the account's.
    of_others: HashMap<Option<JobKind>, Timestamp>,
    rng: Rng,
}

impl Jobs {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            by_id: BTreeMap::new(),
            created: Vec::new(),
            effects: BTreeSet::new(),
            of_others: HashMap::new(),
            rng: Rng::with_seed(seed),
        }
    }

    /// Jobs in the order of creation.
    fn all(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.created.iter().filter_map(|id| self.by_id.get(id))
    }

    pub(super) fn len(&self) -> usize {
        self.created.len()
    }

    /// How many records the jobs of a kind have not taken so far.
    pub(super) fn failures(&self, kind: JobKind) -> usize {
        let jobs = self.all().filter(|job| job.kind == kind);
        jobs.map(|job| job.errors().len()).sum()
    }

    /// The kinds of all jobs with when they were submitted and how long they take, in the order of creation.
    pub(super) fn times(&self) -> impl Iterator<Item = (JobKind, Timestamp, Duration)> {
        self.all().map(|job| (job.kind, job.created, job.takes()))
    }

    /// Jobs that are queued or processing and count for the same limit as a catalog job of this kind.
    pub(super) fn in_progress(&self, kind: JobKind, limit: JobLimit, now: Timestamp) -> usize {
        let counts = |job: &Job| match limit {
            JobLimit::OfKind => job.kind == kind,
            JobLimit::OfAccount => matches!(job.kind, JobKind::Catalog(..)),
        };
        self.all()
            .filter(|job| counts(job) && !job.is_over(now))
            .count()
    }

    /// Other apps have submitted their jobs, of this kind, if the time for that has come: for the kind or the account.
    pub(super) fn submit_others(
        &mut self,
        kind: JobKind,
        others: JobsOfOthers,
        limit: JobLimit,
        now: Timestamp,
    ) {
        let limited = match limit {
            JobLimit::OfKind => Some(kind),
            JobLimit::OfAccount => None,
        };
        let latest = match self.of_others.get(&limited) {
            None => now,
            Some(&last) if now < last + others.every => return,
            Some(&last) => {
                let rounds = now.duration_since(last).as_secs_f64() / others.every.as_secs_f64();
                last + others.every * (rounds as u32)
            }
        };
        self.of_others.insert(limited, latest);
        for _ in 0..others.count {
            let id = format!("01OTHERJOB{:018}", self.created.len() + 1);
            let times = Times {
                begins: Duration::ZERO,
                takes_effect: Duration::ZERO,
                ends: others.take,
            };
            let mut job = Job::new(kind, id.clone(), latest, times, Vec::new());
            job.effect = Some(Effect::default());
            self.created.push(id.clone());
            self.by_id.insert(id, job);
        }
    }

    /// Takes a job on and answers its document.
    pub(super) fn start(
        &mut self,
        call: &Call<'_>,
        kind: JobKind,
        records: Vec<Value>,
        times: JobTimes,
    ) -> Result<Response<Bytes>, Refusal> {
        let number = self.created.len() + 1;
        let id = match kind {
            // ids of imports are long, in unpadded base64url, and not in the order of creation
            JobKind::ProfileImport => format!(
                "{:08x}U2ltQWNfbWFpbnRlbmFuY2Uu-SIM_{number:026}",
                (number as u32).wrapping_mul(0x9e37_79b9)
            ),
            JobKind::Catalog(..) => format!("01SIMJOB{number:018}"),
        };
        let times = times.draw(kind, &mut self.rng);
        let job = Job::new(kind, id.clone(), call.now, times, records);
        call.query.allow(&[&fields_parameter(kind)])?;
        let data = resource(call, &job, false)?;
        self.effects.insert((job.takes_effect(), id.clone()));
        self.created.push(id.clone());
        self.by_id.insert(id, job);
        let links = json!({ "self": call.same_link() });
        Ok(document(
            StatusCode::ACCEPTED,
            &json!({ "data": data, "links": links }),
        ))
    }

    /// The next job that takes effect by `now`, with its records: whoever takes it says how it went with
    /// [`Jobs::finish`].
    pub(super) fn next_due(&mut self, now: Timestamp) -> Option<Due> {
        let (at, _) = self.effects.first()?;
        if *at > now {
            return None;
        }
        let (at, id) = self.effects.pop_first()?;
        let job = self.by_id.get_mut(&id)?;
        Some(Due {
            at,
            kind: job.kind,
            records: std::mem::take(&mut job.records),
            id,
        })
    }

    /// Notes what a job that was due has done.
    pub(super) fn finish(&mut self, id: &str, effect: Effect) {
        if let Some(job) = self.by_id.get_mut(id) {
            job.effect = Some(effect);
        }
    }

    /// Cancels a job that is not over. What it has done already stays done: that a cancelled job did none of it is not
    /// documented. Answers whether it was cancelled.
    pub(super) fn cancel(&mut self, id: &str, now: Timestamp) -> bool {
        let Some(job) = self.by_id.get_mut(id).filter(|job| !job.is_over(now)) else {
            return false;
        };
        job.records.clear();
        job.cancelled = Some(now);
        self.effects.remove(&(job.takes_effect(), id.to_owned()));
        true
    }

    /// The ids of the jobs that are not over, oldest first.
    pub(super) fn unfinished(&self, now: Timestamp) -> Vec<String> {
        self.all()
            .filter(|job| !job.is_over(now))
            .map(|job| job.id.clone())
            .collect()
    }

    fn find(&self, kind: JobKind, id: &str) -> Result<&Job, Refusal> {
        let found = self.by_id.get(id).filter(|job| job.kind == kind);
        found.ok_or_else(|| {
            Refusal::not_found(match kind {
                JobKind::ProfileImport => "Invalid job id".to_owned(),
                JobKind::Catalog(kind, action) => format!(
                    "A {} bulk {} job with id {id} does not exist.",
                    kind.resource(),
                    action.word()
                ),
            })
        })
    }

    /// `GET {jobs}/{id}`
    pub(super) fn get(
        &self,
        call: &Call<'_>,
        kind: JobKind,
        catalog: &Catalog,
    ) -> Result<Response<Bytes>, Refusal> {
        let job = self.find(kind, call.id)?;
        let fields = fields_parameter(kind);
        let included = job.can_include();
        let fields_of_included = included.map(|kind| format!("fields[{}]", kind.resource()));
        let mut known = vec![fields.as_str()];
        if let Some(fields) = &fields_of_included {
            known.extend(["include", fields]);
        }
        call.query.allow(&known)?;
        let include = match included {
            Some(kind) => call.query.includes(kind.entries())?,
            None => false,
        };
        let data = resource(call, job, include)?;
        let mut body = json!({ "data": data });
        if let (true, Some(kind)) = (include, included) {
            body["included"] = made_entries(call, kind, job, catalog)?;
        }
        body["links"] = json!({ "self": call.same_link() });
        Ok(document(StatusCode::OK, &body))
    }

    /// `GET {jobs}`, newest first.
    pub(super) fn list(
        &self,
        call: &Call<'_>,
        kind: JobKind,
        options: &Options,
    ) -> Result<Response<Bytes>, Refusal> {
        let fields = fields_parameter(kind);
        let (order, size, operators): (_, _, &[Operator]) = match kind {
            JobKind::ProfileImport => {
                call.query
                    .allow(&[&fields, "filter", "page[cursor]", "page[size]", "sort"])?;
                // in which order imports come without `sort` was never recorded
                let order = call.query.sort("created_at")?.unwrap_or(Order::Ascending);
                let size = call.query.page_size(DEFAULT_PAGE)?;
                (order, size, &[Operator::Any, Operator::Equals])
            }
            JobKind::Catalog(..) => {
                if call.query.has("page[size]") {
                    let detail = "page_size is not allowed here.";
                    return Err(Fault::invalid("/data/attributes/page_size", detail).into());
                }
                call.query.allow(&[&fields, "filter", "page[cursor]"])?;
                (Order::Descending, options.jobs_a_page, &[Operator::Equals])
            }
        };
        let filters = call.query.filters(&[("status", operators)])?;
        let cursor = call.query.cursor()?;
        let by_completion =
            kind != JobKind::ProfileImport && options.job_order == JobOrder::Completed;
        let mut jobs: Vec<(String, &Job)> = (0..)
            .zip(self.all())
            .filter(|(_, job)| job.kind == kind)
            .map(|(number, job)| match by_completion {
                true => (key_by_completion(number, job, call.now), job),
                false => (key_by_creation(number), job),
            })
            .filter(|(_, job)| {
                let status = job.status(call.now);
                filters.iter().all(|filter| filter.passes(status))
            })
            .filter(|(key, _)| {
                cursor
                    .as_ref()
                    .is_none_or(|cursor| order.apply(key.cmp(cursor)).is_gt())
            })
            .collect();
        jobs.sort_by(|(a, _), (b, _)| order.apply(a.cmp(b)));
        let (jobs, next) = page(jobs.into_iter(), size);
        let data: Vec<Value> = jobs
            .into_iter()
            .map(|(_, job)| resource(call, job, false))
            .collect::<Result<_, _>>()?;
        let body = json!({ "data": data, "links": call.page_links(next.as_deref()) });
        Ok(document(StatusCode::OK, &body))
    }

    /// `GET profile-bulk-import-jobs/{id}/import-errors`. Recorded is an empty page only: what an entry looks like is
    /// from the documentation, and there are options for what it leaves open.
    pub(super) fn list_import_errors(
        &self,
        call: &Call<'_>,
        options: &Options,
    ) -> Result<Response<Bytes>, Refusal> {
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
        if options.import_errors == ImportErrors::Gone {
            return Err(Refusal::not_found("Invalid job id"));
        }
        let cursor = call.query.cursor()?;
        let listed = match options.import_errors {
            ImportErrors::None => &[],
            _ => job.errors(),
        };
        let rest = (0..)
            .zip(listed)
            .map(|(n, error): (usize, _)| (format!("{n:08}"), (n, error)))
            .filter(|(key, _)| cursor.as_ref().is_none_or(|cursor| key > cursor));
        let (errors, next) = page(rest, call.query.page_size(DEFAULT_PAGE)?);
        let mut data = Vec::new();
        for (_, (n, error)) in errors {
            let mut attributes = Map::new();
            attributes.insert("code".to_owned(), error.code.into());
            attributes.insert("title".to_owned(), error.title.into());
            attributes.insert("detail".to_owned(), error.detail.as_str().into());
            let pointer = json!({ "pointer": error.indexed() });
            attributes.insert("source".to_owned(), pointer);
            let payload = match options.import_errors {
                ImportErrors::WithoutPayload => Value::Null,
                _ => error.original_payload.clone().unwrap_or_default(),
            };
            attributes.insert("original_payload".to_owned(), payload);
            call.query
                .sparse("import-error", &FIELDS, &mut attributes)?;
            let id = error_id(&job.id, n);
            data.push(json!({ "type": "import-error", "id": id, "attributes": attributes }));
        }
        let body = json!({ "data": data, "links": call.page_links(next.as_deref()) });
        Ok(document(StatusCode::OK, &body))
    }
}

/// A job whose effect is due.
pub(super) struct Due {
    /// When it takes effect.
    pub(super) at: Timestamp,
    pub(super) kind: JobKind,
    pub(super) id: String,
    pub(super) records: Vec<Value>,
}

/// The number of a job, its place in the order of creation, as a text that sorts in that order.
fn key_by_creation(number: u64) -> String {
    format!("{number:020}")
}

/// The same after when the job was completed, or created where it is not.
fn key_by_completion(number: u64, job: &Job, now: Timestamp) -> String {
    let at = job.completed_at(now).unwrap_or(job.created);
    format!("{:020}|{}", at.as_microsecond(), key_by_creation(number))
}

fn fields_parameter(kind: JobKind) -> String {
    format!("fields[{}]", kind.resource())
}

/// A job as JSON:API resource. The relationships of an import lead elsewhere; those of a catalog job say what it made.
fn resource(call: &Call<'_>, job: &Job, include: bool) -> Result<Value, Refusal> {
    let (name, collection) = (job.kind.resource(), job.kind.collection());
    let mut attributes = job.attributes(call.now);
    call.query.sparse(&name, &FIELDS, &mut attributes)?;
    let mut resource = call.resource(&name, &collection, &job.id, attributes);
    match job.kind {
        JobKind::ProfileImport => {
            let own = format!("{}/api/{collection}/{}", call.origin, job.id);
            let both = |relation: &str| {
                json!({ "links": {
                    "self": format!("{own}/relationships/{relation}/"),
                    "related": format!("{own}/{relation}/"),
                } })
            };
            let errors = format!("{own}/import-errors/");
            resource["relationships"] = json!({
                "lists": both("lists"),
                "profiles": both("profiles"),
                "import-errors": { "links": { "related": errors } },
            });
        }
        JobKind::Catalog(..) => {
            if let Some((kind, made)) = job.made(include) {
                resource["relationships"] = json!({ kind.entries(): made });
            }
        }
    }
    Ok(resource)
}

/// What a job made, as far as it is there.
fn made_entries(
    call: &Call<'_>,
    kind: Kind,
    job: &Job,
    catalog: &Catalog,
) -> Result<Value, Refusal> {
    let made = job.made(true).map(|(_, made)| made).unwrap_or_default();
    let ids = made["data"].as_array().into_iter().flatten();
    let ids = ids.filter_map(|made| external(made["id"].as_str()?));
    let entries = ids.filter_map(|id| Some((id, catalog.entries(kind).get(id)?)));
    let entries: Vec<Value> = entries
        .map(|(id, entry)| listing::resource(call, kind, id, entry))
        .collect::<Result<_, _>>()?;
    Ok(entries.into())
}
