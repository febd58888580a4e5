//! `profile-bulk-import-jobs`: upserts up to 10,000 profiles per request; a job reports later which of them were
//! rejected (<https://developers.klaviyo.com/en/reference/bulk_import_profiles>).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::bulk::{
    BulkAction, BulkEndpoint, Corrected, MAX_REQUEST_BYTES, Mended, Shape, job_path,
};
use super::client::Client;
use super::job::{self, JobState};
use super::links::{Links, next_path};
use super::rate::Endpoint;
use crate::error::{Error, Peer, plain_code, plain_field};
use crate::mapping::customer;
use crate::time::Deadline;

/// "Maximum number of profiles per request: 10,000".
const MAX_PROFILES: usize = 10_000;
/// "Maximum payload size: 100KB per profile".
pub const MAX_PROFILE_BYTES: usize = 100_000;

static IMPORT: Endpoint = Endpoint {
    name: "import profiles",
    burst: 10,
    steady: 150,
};
static READ_JOB: Endpoint = Endpoint {
    name: "read a profile import job",
    burst: 10,
    steady: 150,
};
static LIST_JOBS: Endpoint = Endpoint {
    name: "list profile import jobs",
    burst: 10,
    steady: 150,
};
static READ_ERRORS: Endpoint = Endpoint {
    name: "read a profile import job's errors",
    burst: 10,
    steady: 150,
};

/// The bulk import of profiles.
pub static BULK_IMPORT: BulkEndpoint = BulkEndpoint {
    key: "import profiles",
    action: BulkAction::Upsert,
    post: &IMPORT,
    path: "/api/profile-bulk-import-jobs",
    shape: Shape::Flat,
    head: r#"{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":["#,
    tail: "]}}}}",
    pointer: "/data/attributes/profiles/data/",
    max_documents: MAX_PROFILES,
    max_bytes: MAX_REQUEST_BYTES,
    mend: without_identifier,
    apart: without_shared_phone_numbers,
    read_job: Some(&READ_JOB),
    names_entries: false,
};

/// A profile without the identifier at the end of a pointer: one identifier that is rejected never costs a record that
/// has another.
pub(super) fn without_identifier(pointer: &str, document: &[u8]) -> Option<Mended> {
    if pointer.ends_with("/phone_number") {
        customer::without_phone_number(document).map(Mended::WithoutPhoneNumber)
    } else if pointer.ends_with("/email") {
        customer::without_email(document).map(Mended::WithoutEmail)
    } else {
        None
    }
}

/// Profiles without the phone number that another one of the same request keeps: Klaviyo may take the two for one person,
/// and write one customer's data over another's. The one with the first `external_id` keeps it.
fn without_shared_phone_numbers(documents: &[&[u8]]) -> Vec<Corrected> {
    let numbers = documents.iter().enumerate().filter_map(|(at, document)| {
        let (number, id) = customer::phone_number_and_id(std::str::from_utf8(document).ok()?)?;
        Some((number, (id, at)))
    });
    let mut sharing: HashMap<String, Vec<(String, usize)>> = HashMap::new();
    for (number, profile) in numbers {
        sharing.entry(number).or_default().push(profile);
    }
    let mut apart = Vec::new();
    for mut profiles in sharing.into_values().filter(|profiles| profiles.len() > 1) {
        profiles.sort_unstable();
        let others = profiles.into_iter().skip(1);
        apart.extend(
            others.filter_map(|(_, at)| Some((at, customer::without_phone_number(documents[at])?))),
        );
    }
    apart.sort_unstable_by_key(|(at, _)| *at);
    apart
}

/// Klaviyo's code for a profile that it takes for another one.
const DUPLICATE: &str = "duplicate_profile";

/// The result of a finished job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Outcome {
    /// The number of profiles that it rejected.
    #[serde(rename = "failed_count", default)]
    pub failed: Option<u64>,
}

/// A profile that a job rejected.
#[derive(Debug)]
pub struct ImportError {
    /// The customer's id, if the error says which profile it is about.
    pub external_id: Option<String>,
    /// The field that the error points at, such as `/attributes/phone_number`.
    pub field: String,
    /// Klaviyo's code.
    pub code: String,
    /// The profile without the phone number or email that the error is about.
    pub mended: Option<Mended>,
}

/// A page of a job's errors.
#[derive(Debug, Default)]
pub struct ImportErrors {
    /// The errors.
    pub errors: Vec<ImportError>,
    /// The path of the next page.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct ErrorsAnswer<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    links: Option<Links>,
}

/// An error. What an entry of this list looks like was never recorded: one in an unexpected form is an error all the same,
/// and leaves the others.
#[derive(Default, Deserialize)]
struct ErrorData<'a> {
    #[serde(borrow)]
    attributes: ErrorAttributes<'a>,
}

#[derive(Default, Deserialize)]
struct ErrorAttributes<'a> {
    #[serde(default)]
    code: Value,
    #[serde(default)]
    source: Value,
    #[serde(borrow, default)]
    original_payload: Option<&'a RawValue>,
}

/// Checks that profile import jobs can be read, with the smallest possible request.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn can_read(client: &Client, deadline: Deadline) -> Result<(), Error> {
    let path = format!("{}?page%5Bsize%5D=1", BULK_IMPORT.path);
    client.get(&LIST_JOBS, &path, deadline).await.map(|_| ())
}

/// Reads the state of a job.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn job(
    client: &Client,
    id: &str,
    deadline: Deadline,
) -> Result<JobState<Outcome>, Error> {
    let state = job::read::<Outcome>(client, &BULK_IMPORT, id, deadline).await?;
    Ok(state.map(|(outcome, _)| outcome))
}

/// The path of the first page of a job's errors.
#[must_use]
pub fn errors_path(id: &str) -> String {
    format!(
        "{}/import-errors?page%5Bsize%5D=100",
        job_path(&BULK_IMPORT, id)
    )
}

/// Reads a page of a job's errors.
///
/// # Errors
/// If Klaviyo does not respond or rejects the request.
pub async fn import_errors(
    client: &Client,
    path: &str,
    deadline: Deadline,
) -> Result<ImportErrors, Error> {
    let body = client.get(&READ_ERRORS, path, deadline).await?;
    let unreadable =
        || Error::unreadable(Peer::Klaviyo, READ_ERRORS.name, "a page of import errors");
    let answer: ErrorsAnswer<'_> = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let errors = answer
        .data
        .into_iter()
        .map(|error| serde_json::from_str::<ErrorData<'_>>(error.get()).unwrap_or_default())
        .map(|error| import_error(error.attributes))
        .collect();
    let next = next_path(answer.links, path).map_err(|_| unreadable())?;
    Ok(ImportErrors { errors, next })
}

fn import_error(error: ErrorAttributes<'_>) -> ImportError {
    let pointer = error.source["pointer"].as_str().unwrap_or_default();
    let code = error.code.as_str();
    // "/data/attributes/profiles/data/17/attributes/email", or only the field
    let field = pointer
        .find("/attributes/")
        .filter(|_| pointer.starts_with(BULK_IMPORT.pointer))
        .map_or(0, |_| {
            BULK_IMPORT.pointer.len() + pointer[BULK_IMPORT.pointer.len()..].find('/').unwrap_or(0)
        });
    let field = pointer[field..].to_owned();
    let payload = error.original_payload.map(RawValue::get);
    let mended = |payload: &str| {
        let without = |name: &str| without_identifier(name, payload.as_bytes());
        let mended = without(&field);
        if mended.is_some() || code != Some(DUPLICATE) {
            return mended;
        }
        // a phone number is what several persons may have
        without("/phone_number").or_else(|| without("/email"))
    };
    ImportError {
        external_id: payload.and_then(customer::external_id),
        mended: payload.and_then(mended),
        field: plain_field(&field).to_owned(),
        code: code
            .map(str::to_owned)
            .and_then(plain_code)
            .unwrap_or_else(|| "no code".to_owned()),
    }
}
