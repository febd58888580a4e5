//! Catalog entries: bulk jobs that create, update and delete them.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::answer::{Fault, Refusal, refuse_if_any};
use super::bodies;
use super::call::Call;
use super::job::{Effect, JobError};
use super::jobs::Jobs;
use super::operation::{Action, JobKind, Kind};
use super::options::{EntryErrors, Existing, Options, TooManyJobs};
use crate::ledger::{EntryError, Ledger, Written};

const MAX_ENTRIES: usize = 100;
const MAX_BODY: usize = 5_000_000;
const MAX_METADATA: usize = 100_000;
/// What a client is told to wait where too many jobs are in progress, in seconds.
const JOBS_RETRY_AFTER: u64 = 5;
/// How every compound id begins.
const COMPOUND: &str = "$custom:::$default:::";

/// The compound id of an external id.
pub(super) fn compound(external_id: &str) -> String {
    format!("{COMPOUND}{external_id}")
}

/// The external id in a compound id.
pub(super) fn external(compound: &str) -> Option<&str> {
    compound.strip_prefix(COMPOUND).filter(|id| !id.is_empty())
}

/// `POST catalog-{kind}-bulk-{action}-jobs`: one entry of the wrong shape has all of them refused.
pub(super) fn start_job(
    call: &Call<'_>,
    (kind, action): (Kind, Action),
    options: &Options,
    jobs: &mut Jobs,
    ledger: &mut Ledger,
) -> Result<Response<Bytes>, Refusal> {
    let mut body = call.json(bodies::catalog_job(kind, action), MAX_BODY)?;
    let entries = match body["data"]["attributes"][kind.entries()]["data"].take() {
        Value::Array(entries) => entries,
        _ => Vec::new(),
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        let at = list(kind);
        let detail = format!("A job takes from 1 to {MAX_ENTRIES} entries.");
        return Err(Fault::invalid(at, detail).into());
    }
    let mut faults = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        check_values(&pointer(kind, n), &entry["attributes"], &mut faults);
    }
    refuse_if_any(faults)?;
    if action == Action::Create {
        refuse_existing(kind, &entries, options, ledger)?;
    }
    let job = JobKind::Catalog(kind, action);
    if let Some(others) = options.jobs_of_others {
        jobs.submit_others(job, others, options.job_limit, call.now);
    }
    if jobs.in_progress(job, options.job_limit, call.now) >= options.jobs_in_progress {
        return Err(one_job_too_many(options));
    }
    let answer = jobs.start(call, job, entries, options.job_times)?;
    ledger.note_write(Written::Catalog(kind), call.now);
    Ok(answer)
}

fn one_job_too_many(options: &Options) -> Refusal {
    let most = options.jobs_in_progress;
    let detail = format!("At most {most} jobs may be in progress.");
    let throttled = Refusal::throttled(JOBS_RETRY_AFTER, detail.as_str());
    let invalid = || Refusal::from(Fault::of_request(detail.as_str()).pointing(options.pointers));
    match options.too_many_jobs {
        TooManyJobs::Throttled => throttled,
        TooManyJobs::ThrottledUntimed => throttled.untimed(),
        TooManyJobs::BadRequest => invalid(),
        TooManyJobs::Conflict => invalid().with_status(StatusCode::CONFLICT),
    }
}

/// Refuses a create with entries that are there, where that is how they are answered.
fn refuse_existing(
    kind: Kind,
    entries: &[Value],
    options: &Options,
    ledger: &Ledger,
) -> Result<(), Refusal> {
    let status = match options.existing {
        Existing::BadRequest => StatusCode::BAD_REQUEST,
        Existing::Conflict => StatusCode::CONFLICT,
        Existing::FailsInJob | Existing::Ignored => return Ok(()),
    };
    let known = ledger.catalog.entries(kind);
    let mut faults = Vec::new();
    for (n, entry) in entries.iter().enumerate() {
        let id = entry["attributes"]["external_id"].as_str();
        if let Some(id) = id.filter(|id| known.contains_key(*id)) {
            let at = pointer(kind, n) + "/attributes/external_id";
            let fault = Fault::invalid(at, format!("{} already exists.", named(kind, id)));
            faults.push(fault.pointing(options.pointers));
        }
    }
    refuse_if_any(faults).map_err(|refusal| refusal.with_status(status))
}

/// Checks what the shape does not say about an entry's attributes.
fn check_values(at: &str, attributes: &Value, faults: &mut Vec<Fault>) {
    if let Some(metadata) = attributes["custom_metadata"].as_object() {
        let at = format!("{at}/attributes/custom_metadata");
        if metadata
            .values()
            .any(|value| value.is_object() || value.is_array())
        {
            faults.push(Fault::invalid(
                at.clone(),
                "custom_metadata has to be flat.",
            ));
        }
        if attributes["custom_metadata"].to_string().len() > MAX_METADATA {
            let detail = format!("custom_metadata may have {MAX_METADATA} bytes at most.");
            faults.push(Fault::invalid(at, detail));
        }
    }
    let policy = &attributes["inventory_policy"];
    if !policy.is_null() && !matches!(policy.as_u64(), Some(0..=2)) {
        let at = format!("{at}/attributes/inventory_policy");
        faults.push(Fault::invalid(at, "inventory_policy is 0, 1 or 2."));
    }
}

/// Runs a job: each entry succeeds or fails by itself.
pub(super) fn run_job(
    at: Timestamp,
    (kind, action): (Kind, Action),
    entries: Vec<Value>,
    options: &Options,
    ledger: &mut Ledger,
) -> Effect {
    let mut effect = Effect::default();
    for (index, entry) in entries.into_iter().enumerate() {
        let id = match action {
            Action::Create => entry["attributes"]["external_id"].as_str(),
            Action::Update | Action::Delete => entry["id"].as_str().and_then(external),
        };
        let id = id.map(str::to_owned);
        match run_entry(at, kind, action, entry, options, ledger) {
            Ok(()) => effect.made.extend(id),
            Err(Wrong { is_ignored, .. }) if is_ignored => {}
            Err(wrong) => effect.errors.push(JobError {
                code: "invalid",
                title: "Invalid input",
                detail: wrong.detail,
                list: list(kind),
                index,
                place: wrong.place,
                entry: id,
                // recorded of an update or a deletion of an item that is not there
                form: match kind {
                    Kind::Item if wrong.is_unknown => EntryErrors::MetaId,
                    _ => options.entry_errors,
                },
                original_payload: None,
            }),
        }
    }
    effect
}

/// What is wrong with one entry.
pub(super) struct Wrong {
    /// Pointer within the entry.
    pub(super) place: &'static str,
    pub(super) detail: String,
    /// Whether it is not there.
    is_unknown: bool,
    /// Whether it counts as done all the same.
    is_ignored: bool,
}

impl Wrong {
    fn invalid(place: &'static str, detail: impl Into<String>) -> Self {
        Self {
            place,
            detail: detail.into(),
            is_unknown: false,
            is_ignored: false,
        }
    }
}

/// Creates, changes or deletes one entry.
pub(super) fn run_entry(
    at: Timestamp,
    kind: Kind,
    action: Action,
    mut entry: Value,
    options: &Options,
    ledger: &mut Ledger,
) -> Result<(), Wrong> {
    let mut attributes = match entry["attributes"].take() {
        Value::Object(attributes) => attributes,
        _ => Map::new(),
    };
    let (place, id) = match action {
        Action::Create => ("/attributes/external_id", text(&attributes, "external_id")),
        Action::Update | Action::Delete => ("/id", known_id(&entry["id"], "/id")?),
    };
    if id.is_empty() {
        return Err(Wrong::invalid(place, "The external id is empty."));
    }
    if options.refuse_entries.picks(&id) {
        return Err(Wrong::invalid(
            place,
            format!("{id} was chosen to be refused."),
        ));
    }
    for (name, place) in [
        ("title", "/attributes/title"),
        ("url", "/attributes/url"),
        ("name", "/attributes/name"),
    ] {
        if attributes.get(name).and_then(Value::as_str) == Some("") {
            return Err(Wrong::invalid(
                place,
                format!("The {name} of {id} is empty."),
            ));
        }
    }
    let related = related(kind, &entry)?;
    attributes.retain(|name, _| !matches!(name.as_str(), "integration_type" | "catalog_type"));
    let catalog = &mut ledger.catalog;
    let done = match action {
        Action::Create => {
            attributes.retain(|_, value| !value.is_null());
            catalog.create(at, kind, &id, attributes, &related.unwrap_or_default())
        }
        Action::Update => catalog.update(at, kind, &id, attributes, related.as_deref()),
        Action::Delete => catalog.delete(kind, &id),
    };
    done.map_err(|error| match error {
        EntryError::Exists => Wrong {
            is_ignored: options.existing == Existing::Ignored,
            ..Wrong::invalid(place, format!("{} already exists.", named(kind, &id)))
        },
        EntryError::Unknown => Wrong {
            is_unknown: true,
            ..Wrong::invalid(place, format!("{} does not exist.", named(kind, &id)))
        },
        EntryError::UnknownRelation => Wrong::invalid(
            "/relationships",
            format!(
                "Something that {} is related to does not exist.",
                named(kind, &id)
            ),
        ),
    })
}

/// An entry as the texts of errors name it.
fn named(kind: Kind, id: &str) -> String {
    let kind = match kind {
        Kind::Category => "A category",
        Kind::Item => "An item",
        Kind::Variant => "A variant",
    };
    format!("{kind} with the id `{}`", compound(id))
}

fn text(attributes: &Map<String, Value>, name: &str) -> String {
    attributes
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// The external id that a compound id holds.
fn known_id(id: &Value, place: &'static str) -> Result<String, Wrong> {
    let id = id.as_str().unwrap_or_default();
    external(id).map(str::to_owned).ok_or_else(|| {
        let detail = format!("'{id}' is not a compound id ({COMPOUND} and the external id).");
        Wrong::invalid(place, detail)
    })
}

/// The external ids of an entry's relationship, where the entry has one.
fn related(kind: Kind, entry: &Value) -> Result<Option<Vec<String>>, Wrong> {
    let relationship = match kind {
        Kind::Category => "items",
        Kind::Item => "categories",
        Kind::Variant => "item",
    };
    let ids = match &entry["relationships"][relationship]["data"] {
        Value::Array(entries) => entries.iter().collect(),
        Value::Null => return Ok(None),
        one => vec![one],
    };
    ids.into_iter()
        .map(|related| known_id(&related["id"], "/relationships"))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Where the entries are in a request.
fn list(kind: Kind) -> String {
    format!("/data/attributes/{}/data", kind.entries())
}

fn pointer(kind: Kind, n: usize) -> String {
    format!("{}/{n}", list(kind))
}
